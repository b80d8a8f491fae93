//! Consensus between stewards: each message goes to the register's doors with the authority of its certificate. What a
//! steward passes on is taken from its budget, statement by statement.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use havenlink_proto::codec::TOO_MANY;
use havenlink_proto::raft::v1 as raft;
use havenlink_proto::raft::v1::raft_service_server::RaftService;
use tonic::{Request, Response, Status, Streaming};

use super::errors;
use super::layers::{self, Charge, PeerQuota};
use crate::directory::Directory;
use crate::domain::reason::Reason;

pub struct Raft {
    pub directory: Directory,
}

type Answer<T> = Result<Response<T>, Status>;

/// Why a stream of requests broke off, such as a message that is too large: the caller is told, and not only cut off.
#[derive(Clone, Default)]
struct Fault(Arc<Mutex<Option<Status>>>);

impl Fault {
    fn take(&self) -> Option<Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn watched<T>(requests: Streaming<T>) -> (impl Stream<Item = Result<T, Status>> + use<T>, Fault) {
    let fault = Fault::default();
    let kept = fault.clone();
    let requests = requests.inspect(move |request| {
        if let Err(status) = request {
            let status =
                if status.code() == TOO_MANY { errors::refuse(Reason::MessageTooLarge) } else { status.clone() };
            *kept.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        }
    });
    (requests, fault)
}

/// Takes each statement from the budget of the steward that passes it on, since each is ordered on every steward's disk. How
/// many are beyond it: those are refused one by one, and the sender asks again.
fn beyond(quota: Option<&PeerQuota>, signed: &mut Vec<Bytes>) -> usize {
    let may = |_: &&Bytes| quota.is_none_or(|quota| quota.take(Charge::Statement).is_ok());
    let within = signed.iter().take_while(may).count();
    signed.split_off(within).len()
}

#[tonic::async_trait]
impl RaftService for Raft {
    type AppendStreamStream = Pin<Box<dyn Stream<Item = Result<raft::AppendStreamResponse, Status>> + Send>>;

    async fn append_stream(
        &self,
        request: Request<Streaming<raft::AppendStreamRequest>>,
    ) -> Answer<Self::AppendStreamStream> {
        let sender = layers::peer(&request)?;
        let (requests, fault) = watched(request.into_inner());
        let answers = self.directory.append_stream(sender, requests).map_err(|e| errors::directory(&e))?;
        let answers = answers.map(|a| a.map_err(|e| errors::directory(&e)));
        let last = futures_util::stream::once(async move { fault.take() });
        Ok(Response::new(Box::pin(answers.chain(last.filter_map(|fault| std::future::ready(fault.map(Err)))))))
    }

    async fn vote(&self, request: Request<raft::VoteRequest>) -> Answer<raft::VoteResponse> {
        let sender = layers::peer(&request)?;
        let answer = self.directory.vote(&sender, request.into_inner()).await;
        answer.map(Response::new).map_err(|e| errors::directory(&e))
    }

    async fn pre_vote(&self, request: Request<raft::PreVoteRequest>) -> Answer<raft::PreVoteResponse> {
        let sender = layers::peer(&request)?;
        let answer = self.directory.pre_vote(&sender, request.into_inner()).await;
        answer.map(Response::new).map_err(|e| errors::directory(&e))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<raft::InstallSnapshotRequest>>,
    ) -> Answer<raft::InstallSnapshotResponse> {
        let sender = layers::peer(&request)?;
        let (requests, fault) = watched(request.into_inner());
        let answer = self.directory.install_snapshot(&sender, requests).await;
        answer.map(Response::new).map_err(|e| fault.take().unwrap_or_else(|| errors::directory(&e)))
    }

    async fn transfer_leader(
        &self,
        request: Request<raft::TransferLeaderRequest>,
    ) -> Answer<raft::TransferLeaderResponse> {
        let sender = layers::peer(&request)?;
        let answer = self.directory.transfer_leader(&sender, request.into_inner()).await;
        answer.map(Response::new).map_err(|e| errors::directory(&e))
    }

    async fn enlist(&self, request: Request<raft::EnlistRequest>) -> Answer<raft::EnlistResponse> {
        let sender = layers::peer(&request)?;
        let answer = self.directory.enlisted(&sender, request.get_ref());
        answer.map(Response::new).map_err(|e| errors::directory(&e))
    }

    async fn forward(&self, request: Request<raft::ForwardRequest>) -> Answer<raft::ForwardResponse> {
        let sender = layers::peer(&request)?;
        let quota = layers::quota(&request);
        let mut asked = request.into_inner();
        let beyond = beyond(quota.as_ref(), &mut asked.signed);
        let answer = self.directory.forwarded(&sender, asked).await.map_err(|e| errors::directory(&e))?;
        let refused = raft::forwarded::Result::Refused(Reason::BudgetExhausted.code().to_owned());
        let refused = std::iter::repeat_n(raft::Forwarded { result: Some(refused) }, beyond);
        Ok(Response::new(raft::ForwardResponse { results: answer.results.into_iter().chain(refused).collect() }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::domain::ids::AuthorityId;

    #[test]
    fn each_statement_that_is_passed_on_is_taken_from_the_budget_of_who_passes_it() {
        let left = AtomicUsize::new(5);
        let spend = move |who: &AuthorityId, spent| {
            assert_eq!((who.as_str(), spent), ("de-kehl", Charge::Statement));
            let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            taken.map(drop).map_err(|_| Duration::from_secs(1))
        };
        let quota = PeerQuota::new(Arc::new(spend), AuthorityId::parse("de-kehl").unwrap());
        for (sent, refused) in [(3, 0), (4, 2), (1, 1)] {
            let mut signed = vec![Bytes::new(); sent];
            assert_eq!(beyond(Some(&quota), &mut signed), refused);
            assert_eq!(signed.len(), sent - refused);
        }
    }
}
