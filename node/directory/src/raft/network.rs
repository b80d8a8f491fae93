//! Raft's calls to other stewards, over the pool's channels.
//!
//! A steward that cannot be reached, refuses us, or refuses what we sent is *unreachable*: openraft then backs off, where it
//! sends; a stream that ends before it is sent anything never comes there, and a good answer makes openraft forget what failed.
//! So the link itself waits: a stream that brought no good answer, or broke off after one, is followed by the next one when
//! `REOPEN` is over, and no more than a few are opened at once, whatever is answered. In TLS 1.3 a refused certificate shows as a
//! cancelled first call, so that is unreachable too.

use std::future::{Future, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption, RaftNetworkFactory,
};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendError, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::SnapshotOf;
use openraft::{AnyError, OptionalSend};
use tokio::time::Instant;
use tonic::{Code, Request, Status};

use super::answers::{Asking, Stored, Terms};
use super::convert::{self, To};
use super::snapshot::{self, Carried};
use super::types::{Peer, TypeConfig, Vote};
use crate::clients::{self, Consensus};
use crate::dial::{Dial, refused};
use crate::domain::ids::{AuthorityId, FederationId};

type C = TypeConfig;
type Rpc<T> = Result<T, RPCError<C>>;
type Appended = Rpc<StreamAppendResult<C>>;

/// Time for a stream to be opened; after that keepalive tells whether the other side lives.
const OPEN: Duration = Duration::from_secs(2);
/// From the opening of a stream that failed to the next one's. Shorter than what lies between two heartbeats, each of which opens
/// a stream and has no longer for it: it may not find itself waiting for the one before.
const REOPEN: Duration = Duration::from_millis(200);
/// Streams that may be opened one after the other; after that one in every `BETWEEN`, less than a heartbeat. To find where two
/// logs part takes some; more than that is asked for only by whoever ends each.
const AT_ONCE: u32 = 16;
const BETWEEN: Duration = Duration::from_millis(100);
/// A vote is worth nothing after the longest election.
const VOTE: Duration = Duration::from_secs(1);
/// Time for a whole snapshot.
const SNAPSHOT: Duration = Duration::from_secs(60);

/// Makes a link per steward.
pub struct Network {
    federation: Bytes,
    dial: Arc<dyn Dial>,
    terms: Terms,
    stored: Stored,
}

impl Network {
    pub fn new(federation: &FederationId, dial: Arc<dyn Dial>, terms: Terms) -> Self {
        let federation = Bytes::copy_from_slice(federation.as_bytes());
        Self { federation, dial, terms, stored: Stored::default() }
    }
}

impl RaftNetworkFactory<C> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, node: &Peer) -> Link {
        Link {
            to: To { federation: self.federation.clone(), target },
            dial: Arc::clone(&self.dial),
            authority: AuthorityId::parse(&node.authority),
            terms: self.terms.clone(),
            stored: self.stored.clone(),
            opened: None,
            failing: Arc::default(),
            pace: Pace::default(),
        }
    }
}

/// The way to one steward.
pub struct Link {
    to: To,
    dial: Arc<dyn Dial>,
    authority: Option<AuthorityId>,
    terms: Terms,
    stored: Stored,
    /// When the last stream was opened, or tried to be.
    opened: Option<Instant>,
    /// The last word of the last stream was no good answer, or it has had no word.
    failing: Arc<AtomicBool>,
    pace: Pace,
}

/// When streams may be opened.
#[derive(Default)]
struct Pace(Option<Instant>);

impl Pace {
    /// How long the next one waits.
    fn wait(&mut self, now: Instant) -> Duration {
        // As if each took its time; only who is ahead by many has to wait.
        let paid = self.0.map_or(now, |paid| paid.max(now)) + BETWEEN;
        self.0 = Some(paid);
        paid.saturating_duration_since(now + BETWEEN * AT_ONCE)
    }
}

impl Link {
    fn client(&self) -> Rpc<Consensus> {
        let authority = self.authority.as_ref().ok_or_else(|| unreachable("not an authority id"))?;
        let channel = self.dial.channel(authority).map_err(|error| unreachable(&error.to_string()))?;
        Ok(clients::consensus(channel))
    }
}

impl Link {
    /// Waits for the turn of the next stream, if the last one failed.
    async fn turn(&mut self) {
        let now = Instant::now();
        let failed = self.opened.filter(|_| self.failing.load(Ordering::Relaxed));
        let until = failed.map_or(now, |opened| opened + REOPEN).max(now + self.pace.wait(now));
        if until > now {
            tokio::time::sleep_until(until).await;
        }
        self.opened = Some(Instant::now());
        self.failing.store(true, Ordering::Relaxed);
    }

    /// A vote in an answer, as it may be believed.
    fn heard(&self, vote: Option<havenlink_proto::raft::v1::Vote>) -> Rpc<Vote> {
        let vote = convert::vote_from(vote).map_err(invalid)?;
        self.terms.told(self.to.target, &vote).map_err(|why| lied(self.to.target, why))
    }
}

/// An answer that no honest steward gives: the steward is as good as away.
fn lied(target: u64, why: &str) -> RPCError<C> {
    havenlink_runtime::repeated!(warn by why; raft_id = target, why, "an answer of another steward's Raft was refused");
    unreachable(why)
}

fn unreachable(why: &str) -> RPCError<C> {
    RPCError::Unreachable(Unreachable::new(&AnyError::error(why)))
}

fn failed(status: Status) -> RPCError<C> {
    if status.code() == Code::Aborted {
        RPCError::Network(NetworkError::new(&status))
    } else {
        RPCError::Unreachable(Unreachable::new(&status))
    }
}

fn invalid(error: crate::wire::Error) -> RPCError<C> {
    RPCError::Unreachable(Unreachable::new(&error))
}

fn within<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

/// What comes on a stream, up to the first that is no answer: nothing that follows on it is looked at. `failing` says whether the
/// last word was a good one. That a log differs at a place is one, since places run out; a vote is none.
fn heeded(answers: impl Stream<Item = Appended>, failing: Arc<AtomicBool>) -> impl Stream<Item = Appended> {
    answers.scan(false, move |over, answer| {
        if *over {
            return ready(None);
        }
        *over = answer.is_err();
        let good = matches!(&answer, Ok(Ok(_) | Err(StreamAppendError::Conflict(_))));
        failing.store(!good, Ordering::Relaxed);
        ready(Some(answer))
    })
}

impl NetStreamAppend<C> for Link {
    fn stream_append<'s, S>(&'s mut self, input: S, _option: RPCOption) -> BoxFuture<'s, Rpc<BoxStream<'s, Appended>>>
    where
        S: Stream<Item = AppendEntriesRequest<C>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            self.turn().await;
            let to = self.to.clone();
            let target = to.target;
            let asking = Arc::new(Asking::new(target, self.stored.clone(), self.terms.clone()));
            let out = Arc::clone(&asking);
            let requests = input.map(move |request| {
                out.asked(&request);
                convert::append_to(&to, request)
            });
            let mut client = self.client()?;
            let opened = tokio::time::timeout(OPEN, client.append_stream(within(requests, OPEN))).await;
            let answers = opened.map_err(|_| unreachable("no answer"))?.map_err(failed)?.into_inner();
            let answers = answers.map(move |answer| {
                let answer = convert::appended_from(answer.map_err(failed)?).map_err(invalid)?;
                asking.judge(answer).map_err(|why| lied(target, why))
            });
            Ok(Box::pin(heeded(answers, Arc::clone(&self.failing))) as BoxStream<'s, Appended>)
        })
    }
}

impl NetVote<C> for Link {
    async fn vote(&mut self, request: VoteRequest<C>, _option: RPCOption) -> Rpc<VoteResponse<C>> {
        let request = convert::vote_request_to(&self.to, &request);
        let answer = self.client()?.vote(within(request, VOTE)).await.map_err(failed)?.into_inner();
        self.heard(answer.vote)?;
        convert::vote_response_from(answer).map_err(invalid)
    }

    async fn pre_vote(&mut self, request: VoteRequest<C>, _option: RPCOption) -> Rpc<VoteResponse<C>> {
        let request = convert::vote_request_to(&self.to, &request);
        let request = havenlink_proto::raft::v1::PreVoteRequest { request: Some(request) };
        let answer = self.client()?.pre_vote(within(request, VOTE)).await.map_err(failed)?.into_inner();
        let answer = answer.response.ok_or_else(|| unreachable("an empty answer to a pre-vote"))?;
        self.heard(answer.vote)?;
        convert::vote_response_from(answer).map_err(invalid)
    }
}

impl NetSnapshot<C> for Link {
    type SnapshotData = Carried;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<C, Carried>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<C>, StreamingError<C>> {
        let mut client = self.client()?;
        let to = self.to.clone();
        let (term, last) = (vote.leader_id().term, snapshot.meta.last_log_id);
        let encoding = move || snapshot::messages(&to, &vote, &snapshot.meta, &snapshot.snapshot);
        let parts = tokio::task::spawn_blocking(encoding).await.map_err(|error| unreachable(&error.to_string()))?;
        let Some(parts) = parts else {
            havenlink_runtime::repeated!(warn; raft_id = self.to.target, "a steward needs a snapshot that no majority has signed yet");
            return Err(unreachable("no majority has signed the snapshot yet").into());
        };
        let call = client.install_snapshot(within(tokio_stream::iter(parts), SNAPSHOT));
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            answer = call => {
                let answer = answer.map_err(|status| {
                    let error = refused(&status);
                    havenlink_runtime::repeated!(warn by error.reason().code();
                        raft_id = self.to.target, reason = error.reason().code(), "a steward did not take the snapshot");
                    failed(status)
                })?;
                let vote = self.heard(answer.into_inner().vote)?;
                if let Some(last) = last.filter(|_| vote.leader_id().term <= term) {
                    // What a snapshot brought is stored as well: whoever took it does not go back behind it.
                    self.stored.note(self.to.target, term, last.index());
                }
                Ok(SnapshotResponse::new(vote))
            }
        }
    }
}

impl NetTransferLeader<C> for Link {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<C>,
        _option: RPCOption,
    ) -> Rpc<TransferLeaderResponse<C>> {
        let message = convert::transfer_to(&self.to, &request);
        let answer = self.client()?.transfer_leader(within(message, VOTE)).await.map_err(failed)?.into_inner();
        if answer.accepted { Ok(Ok(())) } else { Err(unreachable("the steward does not take over now")) }
    }
}

impl NetBackoff<C> for Link {
    fn backoff(&self) -> Option<Backoff> {
        None
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::super::leader_lease::LeaderLease;
    use super::super::types::config;
    use super::*;
    use crate::clock::SystemClock;
    use crate::dial::PeerChannel;
    use crate::error::Error;
    use crate::tests::{KEHL, World};

    struct Nobody;

    impl Dial for Nobody {
        fn channel(&self, _to: &AuthorityId) -> Result<PeerChannel, Error> {
            Err(crate::domain::reason::Reason::PeerUnreachable.into())
        }

        fn reunion(&self, to: &AuthorityId) -> Result<PeerChannel, Error> {
            self.channel(to)
        }
    }

    async fn link(dir: &tempfile::TempDir) -> Link {
        let (log, chain) =
            super::super::tests::log_and_chain(&dir.path().join("directory.redb"), SystemClock::shared());
        let federation = World::founded().state.federation();
        let mut network =
            Network::new(&federation, Arc::new(Nobody), Terms::new(chain, 1, log, Arc::new(LeaderLease::new())));
        network.new_client(2, &Peer { authority: KEHL.to_owned() }).await
    }

    #[tokio::test]
    async fn a_stream_that_did_not_open_is_not_opened_again_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut link = link(&dir).await;
        let option = || RPCOption::new(OPEN);
        let first = link.stream_append(futures_util::stream::pending(), option()).now_or_never();
        assert!(first.is_some_and(|opened| opened.is_err()), "the first says at once that nobody is there");
        let again = link.stream_append(futures_util::stream::pending(), option()).now_or_never();
        assert!(again.is_none(), "the next one waits: openraft asks as fast as it is answered");
    }

    #[test]
    fn whoever_ends_each_stream_is_not_sent_one_after_the_other() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        assert!((0..AT_ONCE).all(|_| pace.wait(now).is_zero()), "some at once: to find where two logs part");
        assert_eq!([pace.wait(now), pace.wait(now)], [BETWEEN, BETWEEN * 2]);
        now += BETWEEN * 60;
        // One in each heartbeat is never held up.
        for _ in 0..100 {
            assert!(pace.wait(now).is_zero());
            now += Duration::from_millis(super::super::types::HEARTBEAT_MS);
        }
    }

    /// What openraft is told of these answers, one after the other on one stream.
    async fn told(link: &Link, answers: Vec<Appended>) -> usize {
        let failing = Arc::clone(&link.failing);
        heeded(futures_util::stream::iter(answers), failing).count().await
    }

    #[tokio::test]
    async fn a_stream_counts_as_open_once_it_has_brought_a_good_answer() {
        let dir = tempfile::tempdir().unwrap();
        let mut link = link(&dir).await;
        let good = || Ok(Ok(None));
        let differs = || Ok(Err(StreamAppendError::Conflict(super::super::types::LogId::new_term_index(1, 1))));
        let vote = || Ok(Err(StreamAppendError::HigherVote(Vote::new(2, 2))));
        let bad = || Err(unreachable("no answer that an honest steward gives"));
        let cases: [(Vec<Appended>, bool); 7] = [
            (vec![], true),
            (vec![bad()], true),
            (vec![vote()], true),
            (vec![good(), bad(), good(), bad()], true),
            (vec![good(), vote()], true),
            (vec![good()], false),
            (vec![differs()], false),
        ];
        for (case, (answers, waits)) in cases.into_iter().enumerate() {
            link.turn().await;
            told(&link, answers).await;
            assert_eq!(link.turn().now_or_never().is_none(), waits, "{case}");
            link.failing.store(false, Ordering::Relaxed);
        }
        assert_eq!(told(&link, vec![good(), bad(), good(), bad()]).await, 2, "nothing is looked at behind a lie");
    }

    #[tokio::test]
    async fn a_steward_that_did_not_answer_one_heartbeat_is_asked_with_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let mut link = link(&dir).await;
        let heartbeat = Duration::from_millis(config("federation").unwrap().heartbeat_interval);
        link.turn().await;
        tokio::time::sleep_until(link.opened.unwrap() + heartbeat).await;
        assert!(link.turn().now_or_never().is_some(), "a heartbeat has no time to wait for the one before");
    }
}
