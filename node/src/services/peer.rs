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
use crate::exchange::{Agreements, Road, Spent};
use crate::wire::peer as wire;

/// What the batches of partners are taken from.
pub trait BatchBudget: Send + Sync {
    /// Takes rows of a class from a partner's budget of the day, if it has not overspent; otherwise how long it has to wait.
    ///
    /// # Errors
    /// The time to wait.
    fn take(&self, partner: &AuthorityId, class: StreamClass, rows: usize) -> Result<(), Duration>;

    /// What a batch of the partner came to.
    fn spent(&self, partner: &AuthorityId, spent: Spent);
}

pub struct Peer {
    pub road: Arc<Road>,
    pub agreements: Arc<Agreements>,
    pub batches: Arc<dyn BatchBudget>,
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
        // Of calls that nobody waited for.
        self.batches.spent(&caller, self.road.take_spent(&caller));
        self.batches.take(&caller, batch.stream.class, batch.items.len()).map_err(|wait| {
            errors::status(
                Reason::BudgetExhausted,
                errors::RefusalDetails { retry_after: Some(wait), ..Default::default() },
            )
        })?;
        let answer = self.road.receive(&caller, batch).await;
        self.batches.spent(&caller, self.road.take_spent(&caller));
        Ok(Response::new(wire::answer_to_proto(answer.map_err(|e| errors::exchange(&e))?)))
    }
}
