//! City to city (9.3): greet, deliver, and the ends of agreements (9.7).

use std::sync::Arc;
use std::time::Duration;

use havenlink_proto::peer::v1 as peer;
use havenlink_proto::peer::v1::exchange_service_server::ExchangeService;
use tonic::{Request, Response, Status};

use super::{errors, layers};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::exchange::{Agreements, Road};
use crate::wire::peer as wire;

/// Takes rows of a class from a peer's budget of the day; otherwise how long it has to wait.
pub type Rows = Arc<dyn Fn(&AuthorityId, StreamClass, usize) -> Result<(), Duration> + Send + Sync>;

pub struct Peer {
    pub road: Arc<Road>,
    pub agreements: Arc<Agreements>,
    pub rows: Rows,
}

#[tonic::async_trait]
impl ExchangeService for Peer {
    async fn greet(&self, request: Request<peer::GreetRequest>) -> Result<Response<peer::GreetResponse>, Status> {
        let caller = layers::peer(&request)?;
        let greeting = wire::greet_from_proto(request.into_inner()).map_err(|e| errors::field(&e))?;
        let answer = self.road.greet(&caller, greeting).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(wire::greet_answer_to_proto(answer)))
    }

    async fn list_ends(
        &self,
        request: Request<peer::ListEndsRequest>,
    ) -> Result<Response<peer::ListEndsResponse>, Status> {
        let caller = layers::peer(&request)?;
        let question = wire::ends_from_proto(request.into_inner()).map_err(|e| errors::field(&e))?;
        let answer = self.agreements.ends_for(&caller, question).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(wire::ends_answer_to_proto(answer)))
    }

    async fn deliver(&self, request: Request<peer::DeliverRequest>) -> Result<Response<peer::DeliverResponse>, Status> {
        let caller = layers::peer(&request)?;
        let batch = wire::batch_from_proto(request.into_inner()).map_err(|e| errors::field(&e))?;
        (self.rows)(&caller, batch.stream.class, batch.items.len()).map_err(|wait| {
            errors::status(
                Reason::BudgetExhausted,
                errors::RefusalDetails { retry_after: Some(wait), ..Default::default() },
            )
        })?;
        let answer = self.road.receive(&caller, batch).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(wire::answer_to_proto(answer)))
    }
}
