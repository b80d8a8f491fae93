//! The served side: a message from another steward, checked, then given to openraft.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use havenlink_proto::raft::v1 as proto;
use havenlink_runtime::telemetry::journal::{Entry, Event};
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest};
use openraft::type_config::alias::SnapshotOf;
use proto::install_snapshot_request::Part;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::convert;
use super::message_guard::Passed;
use super::node::Node;
use super::snapshot::Carried;
use super::types::{SnapshotMeta, TypeConfig, Vote};
use crate::chain::Verified;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::error::Error;
use crate::snapshot_handle::Assembly;

/// Appends that may wait between the guard and openraft.
const IN_FLIGHT: usize = 16;
/// Time for the reason of a refusal to come after the last answer.
const LAST_WORD: Duration = Duration::from_millis(100);

fn stopped(error: impl std::fmt::Display) -> Error {
    Error::new(Reason::NodeStopping, format!("Raft has stopped: {error}"))
}

/// What a sender brought was judged: a refusal is counted under its name, however often it calls.
fn told<T>(sender: &AuthorityId, judged: Result<T, Error>) -> Result<T, Error> {
    judged.inspect_err(|error| {
        let reason = error.reason();
        if matches!(reason, Reason::NodeStopping | Reason::Internal) {
            return;
        }
        Entry { reason: Some(reason), ..Entry::about(Event::Refused, sender) }.count(1);
        tracing::debug!(peer = %sender, %error, "a message of another steward's Raft was refused");
    })
}

/// One snapshot of a steward at a time.
struct Installing<'a> {
    all: &'a Mutex<BTreeSet<AuthorityId>>,
    sender: &'a AuthorityId,
}

impl<'a> Installing<'a> {
    fn begin(all: &'a Mutex<BTreeSet<AuthorityId>>, sender: &'a AuthorityId) -> Result<Self, Error> {
        if all.lock().unwrap_or_else(PoisonError::into_inner).insert(sender.clone()) {
            return Ok(Self { all, sender });
        }
        Err(Error::new(Reason::BudgetExhausted, "a snapshot of this steward is coming in already"))
    }
}

impl Drop for Installing<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(self.sender);
    }
}

impl Node {
    /// Whether a sender is heard, by its certificate: before anything that it sends is read.
    ///
    /// # Errors
    /// `NOT_A_STEWARD`.
    pub fn admits(&self, sender: &AuthorityId) -> Result<(), Error> {
        told(sender, self.guard.admits(sender))
    }

    /// A stream of appends. It ends with the first one that a door refuses, after the answers to those before it.
    pub fn append_stream<S, E>(
        self: Arc<Self>,
        sender: AuthorityId,
        requests: S,
    ) -> impl Stream<Item = Result<proto::AppendStreamResponse, Error>> + Send + 'static
    where
        S: Stream<Item = Result<proto::AppendStreamRequest, E>> + Send + 'static,
        E: Send,
    {
        let (pass, passed) = mpsc::channel(IN_FLIGHT);
        let (answer, answers) = mpsc::channel(IN_FLIGHT);
        let raft = self.raft.clone();
        let checks = tokio::spawn(async move {
            let mut requests = Box::pin(requests);
            let mut seen = Passed::default();
            while let Some(Ok(request)) = requests.next().await {
                let request = told(&sender, self.check_append(&sender, request, &mut seen).await)?;
                if pass.send(request).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
        tokio::spawn(async move {
            let mut stored = std::pin::pin!(raft.stream_append(ReceiverStream::new(passed)));
            while let Some(result) = stored.next().await {
                if answer.send(result.map(convert::appended_to).map_err(stopped)).await.is_err() {
                    checks.abort();
                    return;
                }
            }
            // openraft ended the stream by itself, or because the checks have ended: then they are done, or nearly.
            let end = checks.abort_handle();
            if let Ok(Ok(Err(error))) = tokio::time::timeout(LAST_WORD, checks).await {
                drop(answer.send(Err(error)).await);
            }
            end.abort();
        });
        ReceiverStream::new(answers)
    }

    async fn check_append(
        &self,
        sender: &AuthorityId,
        request: proto::AppendStreamRequest,
        seen: &mut Passed,
    ) -> Result<AppendEntriesRequest<TypeConfig>, Error> {
        self.guard.meant_for_us(&request.federation_id, request.target)?;
        let mut request = convert::append_from(request)?;
        if !request.vote.is_committed() {
            return Err(Error::new(Reason::RaftSenderMismatch, "an append by a vote that no quorum granted"));
        }
        self.guard.sender(sender, &request.vote)?;
        self.guard.place(&request)?;
        if !request.entries.is_empty() {
            self.guard.entries(&mut request, seen).await?;
        }
        self.lease.heed(&request.vote).await?;
        Ok(request)
    }

    /// Whether something that another steward passes on is heard: it is one, and means this enrolment.
    ///
    /// # Errors
    /// What a door refuses.
    pub fn hears(&self, sender: &AuthorityId, federation: &[u8], target: u64) -> Result<(), Error> {
        let heard = self.guard.meant_for_us(federation, target).and_then(|()| self.guard.steward(sender));
        told(sender, heard)
    }

    /// A vote asked for.
    ///
    /// # Errors
    /// What a door refuses.
    pub async fn vote(&self, sender: &AuthorityId, request: proto::VoteRequest) -> Result<proto::VoteResponse, Error> {
        let checked = self.check_vote(sender, request);
        let checked = checked.and_then(|request| self.lease.asked(&request.vote).map(|()| request));
        let mut request = told(sender, checked)?;
        // The leader's lease holds it up, unless the leader itself wanted it.
        request.leadership_transfer &= self.lease.was_handed(request.vote.leader_id().voted_for);
        let answer = self.raft.vote(request).await.map_err(stopped)?;
        Ok(convert::vote_response_to(&answer))
    }

    /// Whether a vote would be given.
    ///
    /// # Errors
    /// What a door refuses.
    pub async fn pre_vote(
        &self,
        sender: &AuthorityId,
        request: proto::PreVoteRequest,
    ) -> Result<proto::PreVoteResponse, Error> {
        let request = request.request.ok_or_else(|| crate::wire::Error::missing("request"))?;
        let request = told(sender, self.check_vote(sender, request))?;
        let answer = self.raft.pre_vote(request).await.map_err(stopped)?;
        Ok(proto::PreVoteResponse { response: Some(convert::vote_response_to(&answer)) })
    }

    fn check_vote(
        &self,
        sender: &AuthorityId,
        request: proto::VoteRequest,
    ) -> Result<openraft::raft::VoteRequest<TypeConfig>, Error> {
        self.guard.meant_for_us(&request.federation_id, request.target)?;
        let request = convert::vote_request_from(request)?;
        if request.vote.is_committed() {
            return Err(Error::new(Reason::RaftSenderMismatch, "a vote asked for that is called won already"));
        }
        self.guard.sender(sender, &request.vote)?;
        self.guard.end(request.last_log_id.as_ref())?;
        Ok(request)
    }

    /// A leader hands over, to this one or to another.
    ///
    /// # Errors
    /// What a door refuses.
    pub async fn transfer_leader(
        &self,
        sender: &AuthorityId,
        request: proto::TransferLeaderRequest,
    ) -> Result<proto::TransferLeaderResponse, Error> {
        let request = told(sender, self.check_transfer(sender, request))?;
        let answer = self.raft.handle_transfer_leader(request).await.map_err(stopped)?;
        Ok(proto::TransferLeaderResponse { accepted: answer.is_ok() })
    }

    fn check_transfer(
        &self,
        sender: &AuthorityId,
        request: proto::TransferLeaderRequest,
    ) -> Result<TransferLeaderRequest<TypeConfig>, Error> {
        self.guard.meant_for_us(&request.federation_id, request.target)?;
        let request = convert::transfer_from(request)?;
        self.guard.sender(sender, request.from_leader())?;
        self.lease.is_handed(request.from_leader(), *request.to_node_id());
        Ok(request)
    }

    /// A whole snapshot: who sends it is checked with the first message, what it says with the last.
    ///
    /// # Errors
    /// What a door refuses, `SNAPSHOT_INVALID`, or `BUDGET_EXHAUSTED` while another one of this steward is coming in.
    pub async fn install_snapshot<S, E>(
        &self,
        sender: &AuthorityId,
        requests: S,
    ) -> Result<proto::InstallSnapshotResponse, Error>
    where
        S: Stream<Item = Result<proto::InstallSnapshotRequest, E>> + Send + 'static,
    {
        let installed = told(sender, self.install(sender, requests).await);
        if let Err(error) = &installed
            && error.reason() == Reason::SnapshotInvalid
        {
            self.chain.snapshot_refused(sender, error);
        }
        installed
    }

    async fn install<S, E>(&self, sender: &AuthorityId, requests: S) -> Result<proto::InstallSnapshotResponse, Error>
    where
        S: Stream<Item = Result<proto::InstallSnapshotRequest, E>> + Send + 'static,
    {
        let invalid = |why: &str| Error::new(Reason::SnapshotInvalid, why);
        let mut requests = Box::pin(requests);
        let Some(Ok(proto::InstallSnapshotRequest { part: Some(Part::Begin(begin)) })) = requests.next().await else {
            return Err(invalid("no beginning"));
        };
        self.guard.meant_for_us(&begin.federation_id, begin.target)?;
        let vote = convert::vote_from(begin.vote)?;
        let meta = convert::meta_from(begin.meta)?;
        if !vote.is_committed() {
            return Err(Error::new(Reason::RaftSenderMismatch, "a snapshot by a vote that no quorum granted"));
        }
        self.guard.sender(sender, &vote)?;
        let _one = Installing::begin(&self.installing, sender)?;
        let mut assembly = Assembly::default();
        while let Some(request) = requests.next().await {
            match request {
                Ok(proto::InstallSnapshotRequest { part: Some(Part::Chunk(chunk)) }) => assembly.add(chunk)?,
                _ => return Err(invalid("cut off")),
            }
        }
        let (header, items) = assembly.finish()?;
        let chain = Arc::clone(&self.chain);
        let verified = tokio::task::spawn_blocking(move || chain.verify_snapshot(header, items)).await;
        let Verified { handle, proof, .. } = verified.map_err(|_| Error::from(Reason::Internal))??;
        self.guard.snapshot(&vote, &meta, &handle.state)?;
        if let Some(own) = self.take_leader(vote, &meta).await? {
            return Ok(proto::InstallSnapshotResponse { vote: Some(convert::vote_to(&own)) });
        }
        let carried = Carried { handle: Arc::new(handle), proof: Some(proof) };
        let snapshot = SnapshotOf::<TypeConfig, Carried> { meta, snapshot: carried };
        let answer = self.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
        Ok(proto::InstallSnapshotResponse { vote: Some(convert::vote_to(&answer.vote)) })
    }

    /// Takes the sender for the leader, as an append without entries would, and looks again at what openraft knows to be
    /// committed: from now on nobody but the sender itself can move that, and openraft panics at a snapshot that does not
    /// fit it. A sender that moves it all the same while its own snapshot comes in stops the instance here for as long as
    /// it takes to be started again (`steward`). Tells the vote here where the sender's does not stand.
    async fn take_leader(&self, vote: Vote, meta: &SnapshotMeta) -> Result<Option<Vote>, Error> {
        let nothing =
            AppendEntriesRequest::<TypeConfig> { vote, prev_log_id: None, entries: Vec::new(), leader_commit: None };
        self.lease.heed(&vote).await?;
        self.raft.append_entries(nothing).await.map_err(stopped)?;
        let known = self.raft.with_raft_state(|state| (*state.vote_ref(), state.local_committed().copied()));
        let (own, committed) = known.await.map_err(stopped)?;
        if own != vote {
            return Ok(Some(own));
        }
        meta.last_log_id.map_or(Ok(()), |last| self.guard.above(last, committed))?;
        Ok(None)
    }
}
