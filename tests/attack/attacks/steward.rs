//! What somebody with a steward's keys can do to the other stewards' consensus: ask for votes, and say that it leads, in terms
//! that rise with each call; append in terms that are over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use havenlink::transport::PeerChannel;
use havenlink_proto::raft::v1::raft_service_client::RaftServiceClient;
use havenlink_proto::raft::v1::{AppendStreamRequest, LogId, PreVoteRequest, Vote, VoteRequest};

use crate::target::Target;

/// Callers of each sort, over one connection.
const CALLERS: usize = 2;
/// Appends of one stream.
const APPENDS: usize = 64;
/// Whoever was refused looks anew where the others are.
const PAUSE: Duration = Duration::from_millis(2);

/// Somebody who floods; clones go on in one row of terms.
#[derive(Clone)]
struct Flooder {
    target: Target,
    raft: RaftServiceClient<PeerChannel>,
    term: Arc<AtomicU64>,
}

pub fn floods(target: &Target) {
    let raft = RaftServiceClient::new(target.steward_channel());
    let flooder = Flooder { target: target.clone(), raft, term: Arc::default() };
    for _ in 0..CALLERS {
        tokio::spawn(flooder.clone().votes());
        tokio::spawn(flooder.clone().appends(false));
    }
    tokio::spawn(flooder.appends(true));
}

impl Flooder {
    /// Asks for votes: each time in a higher term, every other time as if a leader handed over, which nothing holds up.
    async fn votes(mut self) {
        let mut last = self.look().await;
        loop {
            self.target.made();
            let mut request = self.asks_for(last, self.term.fetch_add(1, Ordering::Relaxed));
            request.leadership_transfer = request.vote.is_some_and(|vote| vote.term % 2 == 0);
            if self.raft.vote(request).await.is_err() {
                tokio::time::sleep(PAUSE).await;
                last = self.look().await;
            }
        }
    }

    /// Streams of appends: as who leads in a higher term than any, or in one that is over.
    async fn appends(mut self, leads: bool) {
        let mut last = self.look().await;
        loop {
            let steward = &self.target.steward;
            let term = if leads { self.term.fetch_add(1, Ordering::Relaxed) } else { 1 };
            let append = AppendStreamRequest {
                federation_id: self.federation(),
                vote: Some(Vote { term, node_id: steward.own, committed: true }),
                prev_log_id: last,
                target: steward.of_the_victim,
                ..Default::default()
            };
            let appends = vec![append; APPENDS];
            (0..APPENDS).for_each(|_| self.target.made());
            let went = async {
                let mut answers = self.raft.append_stream(tokio_stream::iter(appends)).await?.into_inner();
                while answers.message().await?.is_some() {}
                Ok::<_, tonic::Status>(())
            };
            if went.await.is_err() {
                tokio::time::sleep(PAUSE).await;
                last = self.look().await;
            }
        }
    }

    /// Where the victim's log ends, and in which term it is: it tells every steward that asks whether it would be elected.
    async fn look(&mut self) -> Option<LogId> {
        let request = self.asks_for(None, self.term.load(Ordering::Relaxed));
        let answer = self.raft.pre_vote(PreVoteRequest { request: Some(request) }).await.ok()?.into_inner().response?;
        self.term.store(answer.vote.map_or(1, |vote| vote.term), Ordering::Relaxed);
        answer.last_log_id
    }

    fn asks_for(&self, last_log_id: Option<LogId>, term: u64) -> VoteRequest {
        let steward = &self.target.steward;
        VoteRequest {
            federation_id: self.federation(),
            vote: Some(Vote { term, node_id: steward.own, committed: false }),
            last_log_id,
            leadership_transfer: false,
            target: steward.of_the_victim,
        }
    }

    fn federation(&self) -> Bytes {
        Bytes::copy_from_slice(self.target.keys.federation.as_bytes())
    }
}
