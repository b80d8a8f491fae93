//! One running Raft instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::{ClientWriteError, ForwardToLeader, LinearizableReadError, RaftError};
use openraft::{ChangeMembers, ReadPolicy};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::answers::Terms;
use super::leader_lease::LeaderLease;
use super::log_store::LogStore;
use super::message_guard::MessageGuard;
use super::network::Network;
use super::state_machine::StateMachine;
use super::tasks::{Ordering, purge_proven, submit_batches, take_snapshots, watch_status};
use super::types::{Peer, Raft, TypeConfig, config};
use crate::chain::Chain;
use crate::clock::SharedClock;
use crate::dial::Dial;
use crate::domain::ids::{AuthorityId, FederationId};
use crate::domain::reason::Reason;
use crate::domain::register::Applied;
use crate::error::Error;

/// Statements that may wait for the batch before them.
const WAITING: usize = 4_096;

/// How this instance stands among the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaftStatus {
    /// Whether the instance works; it stops for good when its disk fails, or at rules that it does not know.
    pub running: bool,
    pub term: u64,
    /// Raft id of the leader, as far as this instance knows.
    pub leader: Option<u64>,
    /// Whether it is this one.
    pub leads: bool,
    /// Voters of the effective membership, joint ones together.
    pub voters: BTreeSet<u64>,
    /// Whether a change of voters is under way.
    pub changing: bool,
    /// Raft id -> authority, learners included.
    pub nodes: BTreeMap<u64, String>,
}

/// Why a statement was not applied through this instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// Another one leads, or nobody: nothing was appended.
    NotLeader(Option<u64>),
    /// It was appended and may or may not be committed: the same bytes may be sent again.
    Unknown,
    /// This node's clock cannot give an entry its time: nothing was appended.
    ClockWrong,
    /// Too few of the others answer to say whether it can, or to take the entry: nothing was appended.
    NoMajority,
    /// The instance has stopped.
    Stopped,
}

/// What a new instance needs.
pub struct Start {
    pub federation: FederationId,
    pub authority: AuthorityId,
    pub raft_id: u64,
    pub chain: Arc<Chain>,
    pub dial: Arc<dyn Dial>,
    pub clock: SharedClock,
}

pub(super) type Waiting = (Bytes, oneshot::Sender<Result<Applied, NotDone>>);

/// A running instance.
pub struct Node {
    pub(super) raft: Raft,
    pub(super) guard: MessageGuard,
    pub(super) chain: Arc<Chain>,
    machine: StateMachine,
    id: u64,
    status: watch::Receiver<RaftStatus>,
    queue: mpsc::Sender<Waiting>,
    /// Stewards whose snapshot is coming in: each is held in memory until it is whole.
    pub(super) installing: Mutex<BTreeSet<AuthorityId>>,
    pub(super) lease: Arc<LeaderLease>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn stopped(error: impl std::fmt::Display) -> Error {
    Error::new(Reason::Internal, format!("Raft has stopped: {error}"))
}

impl Node {
    /// Opens log and state machine and starts. Where an order begins, its stewards found the Raft group with each other: the
    /// one of the genesis statement alone, or those of a founding.
    ///
    /// # Errors
    /// When the log does not verify, the rules are too new, or openraft refuses what it finds.
    pub async fn start(start: Start) -> Result<Self, Error> {
        let Start { federation, authority, raft_id, chain, dial, clock } = start;
        chain.open_raft()?;
        let log = LogStore::open(chain.disk().clone())?;
        let machine = StateMachine::open(Arc::clone(&chain))?;
        let lease = Arc::new(LeaderLease::new());
        let guard = MessageGuard::new(
            federation,
            raft_id,
            Arc::clone(&chain),
            log.clone(),
            machine.clone(),
            Arc::clone(&clock),
            Arc::clone(&lease),
        );
        let settings = config(&federation.to_hex()).map_err(|why| Error::new(Reason::Internal, why))?;
        let terms = Terms::new(Arc::clone(&chain), raft_id, log.clone(), Arc::clone(&lease));
        let network = Network::new(&federation, dial, terms);
        let raft = Raft::new(raft_id, settings, network, log.clone(), machine.clone()).await.map_err(stopped)?;
        lease.of(&raft);
        let founds = chain.raft_state().filter(|state| {
            let named = state.stewards().iter().any(|own| own.authority == authority && own.raft_id == raft_id);
            state.number() == state.founding().at && named
        });
        if let Some(state) = founds.filter(|_| log.last().is_none() && log.vote().is_none()) {
            // Each founder begins with the same set, which openraft allows; one of them is elected.
            let peer = |of: &AuthorityId| Peer { authority: of.to_string() };
            let peers = state.stewards().iter().map(|steward| (steward.raft_id, peer(&steward.authority)));
            raft.initialize(peers.collect::<BTreeMap<u64, Peer>>()).await.map_err(stopped)?;
        }
        let (queue, waiting) = mpsc::channel(WAITING);
        let ordering = Ordering {
            raft: raft.clone(),
            lease: Arc::clone(&lease),
            raft_id,
            authority,
            log,
            chain: Arc::clone(&chain),
            machine: machine.clone(),
            members: Arc::clone(&chain.members),
            clock,
        };
        let (sender, status) = watch::channel(RaftStatus::default());
        let tasks = vec![
            tokio::spawn(watch_status(raft.clone(), raft_id, sender)),
            tokio::spawn(submit_batches(ordering, waiting)),
            tokio::spawn(take_snapshots(raft.clone(), machine.due())),
            tokio::spawn(purge_proven(raft.clone(), machine.clone(), chain.heard())),
        ];
        Ok(Self { raft, guard, chain, machine, id: raft_id, status, queue, installing: Mutex::default(), lease, tasks })
    }

    /// For how long no leader has spoken here; since the start, if none has.
    pub fn silence(&self) -> Duration {
        self.lease.silence()
    }

    /// This instance's Raft id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How it stands, and tells of changes from now on: a clone of a receiver would tell of one that was long ago.
    pub fn status(&self) -> watch::Receiver<RaftStatus> {
        let mut status = self.status.clone();
        status.mark_unchanged();
        status
    }

    /// Whether a snapshot of this steward is coming in.
    #[cfg(test)]
    pub fn is_installing(&self, sender: &AuthorityId) -> bool {
        self.installing.lock().unwrap().contains(sender)
    }

    /// Term and index of the last log entry.
    #[cfg(test)]
    pub fn last_log_id(&self) -> Option<(u64, u64)> {
        let metrics = self.raft.data_metrics();
        let last = metrics.borrow_watched().last_log;
        last.map(|id| (id.committed_leader_id().term, id.index()))
    }

    /// The first index that is not purged.
    #[cfg(test)]
    pub fn first_log_index(&self) -> u64 {
        let metrics = self.raft.data_metrics();
        let purged = metrics.borrow_watched().purged;
        purged.map_or(0, |id| id.index() + 1)
    }

    /// Puts a statement into the log and waits until it is applied here.
    ///
    /// # Errors
    /// When this instance does not lead, or the outcome is unknown.
    pub async fn submit(&self, signed: Bytes) -> Result<Applied, NotDone> {
        let (sender, answer) = oneshot::channel();
        self.queue.send((signed, sender)).await.map_err(|_| NotDone::Stopped)?;
        answer.await.unwrap_or(Err(NotDone::Unknown))
    }

    /// Makes sure that this instance leads and has applied what was committed when the call came (ReadIndex).
    ///
    /// # Errors
    /// When it does not lead, or no quorum answers.
    pub async fn read_index(&self) -> Result<(), NotDone> {
        match self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => Err(not_leader(&to)),
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => Err(NotDone::NotLeader(None)),
            Err(RaftError::Fatal(_)) => Err(NotDone::Stopped),
        }
    }

    /// Adds a learner, so that it catches up.
    ///
    /// # Errors
    /// When this instance does not lead, or a change is under way.
    pub async fn add_learner(&self, id: u64, authority: &AuthorityId) -> Result<(), Error> {
        let peer = Peer { authority: authority.to_string() };
        self.raft.add_learner(id, peer, false).await.map(drop).map_err(unchanged)
    }

    /// Whether each of these lacks at most so many entries of the log.
    pub fn caught_up(&self, ids: &BTreeSet<u64>, lack: u64) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let last = metrics.last_log_index.unwrap_or(0);
        ids.iter().all(|id| {
            let matched = metrics.replication.as_ref().and_then(|replication| replication.get(id)).copied().flatten();
            *id == self.id || matched.is_some_and(|matched| matched.index() + lack >= last)
        })
    }

    /// Makes these the voters, through a joint step; those that leave stay as learners, so that they hear of it.
    ///
    /// # Errors
    /// When this instance does not lead, or a change is under way.
    pub async fn set_voters(&self, ids: BTreeSet<u64>) -> Result<(), Error> {
        self.raft.change_membership(ChangeMembers::ReplaceAllVoters(ids), true).await.map(drop).map_err(unchanged)
    }

    /// Forgets learners.
    ///
    /// # Errors
    /// As `set_voters`.
    pub async fn remove_learners(&self, ids: BTreeSet<u64>) -> Result<(), Error> {
        self.raft.change_membership(ChangeMembers::RemoveNodes(ids), true).await.map(drop).map_err(unchanged)
    }

    /// Of these, the one that has most of the log.
    pub fn foremost(&self, ids: &BTreeSet<u64>) -> Option<u64> {
        foremost(&self.raft, self.id, ids)
    }

    /// Asks another steward to lead.
    ///
    /// # Errors
    /// When the instance has stopped.
    pub async fn hand_over(&self, to: u64) -> Result<(), Error> {
        self.lease.hands_over(to);
        self.raft.trigger().transfer_leader(to).await.map_err(stopped)
    }

    /// Stops the instance and waits for it.
    pub async fn shutdown(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "Raft did not stop in order");
        }
        self.machine.retire().await;
    }

    /// Stops openraft as a fault of its own would.
    #[cfg(test)]
    pub async fn break_down(&self) {
        drop(self.raft.with_raft_state(|_| panic!("as a fault would")).await);
    }
}

fn unchanged(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> Error {
    Error::new(Reason::NoLeader, format!("voters not changed: {error}"))
}

pub(super) fn foremost(raft: &Raft, own: u64, ids: &BTreeSet<u64>) -> Option<u64> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let matched = metrics.replication.iter().flatten();
    let known = matched.filter(|(id, matched)| **id != own && ids.contains(id) && matched.is_some());
    known.max_by_key(|(_, matched)| **matched).map(|(id, _)| *id)
}

pub(super) fn not_leader(to: &ForwardToLeader<TypeConfig>) -> NotDone {
    NotDone::NotLeader(to.leader_id)
}
