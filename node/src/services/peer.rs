//! City to city (9.3): greet, deliver, the ends of agreements (9.7), what was withdrawn (9.10), holds and capacity (9.11).

use std::sync::Arc;
use std::time::Duration;

use havenlink_proto::peer::v1 as peer;
use havenlink_proto::peer::v1::exchange_service_server::ExchangeService;
use tonic::{Request, Response, Status};

use super::{errors, layers};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::exchange::{Agreements, Capacity, Persons, Road, Spent};
use crate::wire::{board, holds, peer as wire};

/// What the batches of partners are taken from.
pub trait BatchBudget: Send + Sync {
    /// Takes rows of a class from a partner's budget of the day, if it has not overspent; otherwise how long it has to wait.
    ///
    /// # Errors
    /// The time to wait.
    fn take(&self, partner: &AuthorityId, class: StreamClass, rows: usize) -> Result<(), Duration>;

    /// Takes a question for capacity from a partner's day.
    ///
    /// # Errors
    /// The time to wait.
    fn take_question(&self, partner: &AuthorityId) -> Result<(), Duration>;

    /// What a batch of the partner came to.
    fn spent(&self, partner: &AuthorityId, spent: Spent);
}

pub struct Peer {
    pub road: Arc<Road>,
    pub agreements: Arc<Agreements>,
    pub persons: Arc<Persons>,
    pub capacity: Arc<Capacity>,
    pub batches: Arc<dyn BatchBudget>,
}

fn exhausted(wait: Duration) -> Status {
    errors::status(Reason::BudgetExhausted, errors::RefusalDetails { retry_after: Some(wait), ..Default::default() })
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
        Ok(layers::denying(!answer.held, wire::ends_answer_to_proto(answer)))
    }

    async fn hold(&self, request: Request<peer::HoldRequest>) -> Result<Response<peer::HoldResponse>, Status> {
        let caller = layers::peer(&request)?;
        let call = holds::call_from_proto(request.get_ref()).map_err(|e| errors::field(&e))?;
        let lease = self.capacity.hold_for(&caller, call).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(holds::lease_to_proto(lease)))
    }

    async fn list_capacity(
        &self,
        request: Request<peer::ListCapacityRequest>,
    ) -> Result<Response<peer::ListCapacityResponse>, Status> {
        let caller = layers::peer(&request)?;
        let question = board::question_from_proto(request.get_ref()).map_err(|e| errors::field(&e))?;
        // Whoever it asks for: the connection pays.
        self.batches.take_question(&caller).map_err(exhausted)?;
        let answer = self.capacity.capacity_for(&caller, question).await.map_err(|e| errors::exchange(&e))?;
        Ok(layers::denying(answer.offers.is_empty(), board::answer_to_proto(&answer)))
    }

    async fn list_withdrawals(
        &self,
        request: Request<peer::ListWithdrawalsRequest>,
    ) -> Result<Response<peer::ListWithdrawalsResponse>, Status> {
        let caller = layers::peer(&request)?;
        let question = wire::withdrawals_from_proto(request.into_inner()).map_err(|e| errors::field(&e))?;
        // Whoever brings receipts is not told which of them were for something.
        let brings = !question.receipts.is_empty();
        let answer = self.persons.withdrawals_for(&caller, question).await.map_err(|e| errors::exchange(&e))?;
        Ok(layers::denying(brings, wire::withdrawals_answer_to_proto(answer)))
    }

    async fn deliver(&self, request: Request<peer::DeliverRequest>) -> Result<Response<peer::DeliverResponse>, Status> {
        let caller = layers::peer(&request)?;
        let batch = wire::batch_from_proto(request.into_inner()).map_err(|e| errors::field(&e))?;
        // Of calls that nobody waited for.
        self.batches.spent(&caller, self.road.take_spent(&caller));
        self.batches.take(&caller, batch.stream.class, batch.items.len()).map_err(exhausted)?;
        let answer = self.road.receive(&caller, batch).await;
        self.batches.spent(&caller, self.road.take_spent(&caller));
        let answer = answer.map_err(|e| errors::exchange(&e))?;
        Ok(layers::denying(answer.denies, wire::answer_to_proto(answer)))
    }
}
