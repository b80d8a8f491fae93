//! The one place of the exchange that touches transport and generated services.

pub mod join;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use tonic::Status;
use tonic_types::StatusExt;

use crate::domain::board::{CapacityAnswer, CapacityQuestion};
use crate::domain::holds::{HoldCall, Lease};
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::stream::{Batch, BatchAnswer, EndsAnswer, EndsQuestion, GreetAnswer, Greeting};
use crate::domain::stream::{WithdrawalsAnswer, WithdrawalsQuestion};
use crate::domain::time::Millis;
use crate::exchange::context::{LinkError, PeerLink};
use crate::transport::PeerChannel;
use crate::transport::{Lane, Pool, classify};
use crate::wire::{board, holds, peer};

/// The line over the pool: mutual TLS to the endpoints that the register lists.
pub struct PoolLink {
    pool: Pool,
}

impl PoolLink {
    /// A line over this pool.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    fn client(&self, host: &AuthorityId, lane: Lane) -> Result<ExchangeServiceClient<PeerChannel>, LinkError> {
        let channel = self.pool.lane(host, lane).map_err(|error| LinkError::from(error.reason()))?;
        Ok(ExchangeServiceClient::new(channel)
            .max_decoding_message_size(limits::CALL_BYTES)
            .max_encoding_message_size(limits::DELIVER_BYTES))
    }
}

impl PeerLink for PoolLink {
    fn greet(&self, host: AuthorityId, greeting: Greeting) -> BoxFuture<'_, Result<GreetAnswer, LinkError>> {
        async move {
            let request = peer::greet_to_proto(greeting);
            let answer = self.client(&host, Lane::Reunion)?.greet(request).await.map_err(|status| failed(&status))?;
            peer::greet_answer_from_proto(answer.into_inner()).map_err(|error| LinkError::from(error.reason))
        }
        .boxed()
    }

    fn deliver(&self, host: AuthorityId, batch: Batch) -> BoxFuture<'_, Result<BatchAnswer, LinkError>> {
        async move {
            let request = peer::batch_to_proto(batch);
            let answer =
                self.client(&host, Lane::Exchange)?.deliver(request).await.map_err(|status| failed(&status))?;
            Ok(peer::answer_from_proto(answer.into_inner()))
        }
        .boxed()
    }

    fn ends(&self, host: AuthorityId, question: EndsQuestion) -> BoxFuture<'_, Result<EndsAnswer, LinkError>> {
        async move {
            let request = peer::ends_to_proto(question);
            let answer =
                self.client(&host, Lane::Exchange)?.list_ends(request).await.map_err(|status| failed(&status))?;
            Ok(peer::ends_answer_from_proto(answer.into_inner()))
        }
        .boxed()
    }

    fn hold(&self, host: AuthorityId, call: HoldCall) -> BoxFuture<'_, Result<Lease, LinkError>> {
        async move {
            let request = holds::call_to_proto(&call);
            let answer = self.client(&host, Lane::Exchange)?.hold(request).await.map_err(|status| failed(&status))?;
            holds::lease_from_proto(&answer.into_inner()).map_err(|error| LinkError::from(error.reason))
        }
        .boxed()
    }

    fn capacity(
        &self,
        host: AuthorityId,
        question: CapacityQuestion,
    ) -> BoxFuture<'_, Result<CapacityAnswer, LinkError>> {
        async move {
            let request = board::question_to_proto(&question);
            let mut client = self.client(&host, Lane::Exchange)?;
            let answer = client.list_capacity(request).await.map_err(|status| failed(&status))?;
            board::answer_from_proto(answer.into_inner()).map_err(|error| LinkError::from(error.reason))
        }
        .boxed()
    }

    fn withdrawals(
        &self,
        host: AuthorityId,
        question: WithdrawalsQuestion,
    ) -> BoxFuture<'_, Result<WithdrawalsAnswer, LinkError>> {
        async move {
            let request = peer::withdrawals_to_proto(question);
            let mut client = self.client(&host, Lane::Exchange)?;
            let answer = client.list_withdrawals(request).await.map_err(|status| failed(&status))?;
            Ok(peer::withdrawals_answer_from_proto(answer.into_inner()))
        }
        .boxed()
    }
}

/// A reason that the partner gave stands in its `ErrorInfo`; anything else is classified along the chain of sources.
fn failed(status: &Status) -> LinkError {
    let details = status.get_error_details();
    let said = details.error_info().and_then(|info| Reason::from_code(&info.reason));
    let retry_after = details
        .retry_info()
        .and_then(|info| info.retry_delay)
        .map(|delay| Millis(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)));
    LinkError { reason: said.unwrap_or_else(|| classify(status)), retry_after }
}
