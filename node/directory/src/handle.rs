//! The directory as the rest of the node sees it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::awaiting_countersignature::AwaitingCountersignature;
use super::beats::Fork;
use super::chain::Chain;
use super::dial::Dial;
use super::disk::{Disk, Meta, Write};
use super::error::Error;
use super::forward::{self, Passing};
use super::founding::{self, RefoundingStatus, Words};
use super::raft::{self, Node};
use super::state::RegisterState;
use super::{asking_members, gossip, membership, mirror, own_beats, steward};
use crate::clock::SharedClock;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Digest, StatementId};
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::transport::ViewSource;
use crate::wire::beat::Beat;
use crate::wire::keys::SigningKey;

/// The register's file in the data directory.
pub const FILE: &str = "directory.redb";
/// Statements that may wait to be passed on.
const PASSING: usize = 1_024;

/// What a directory is opened with.
pub struct Opening {
    pub data_dir: PathBuf,
    /// The node's own authority.
    pub authority: AuthorityId,
    pub key: Arc<SigningKey>,
    pub clock: SharedClock,
    /// The genesis statement, where nothing is stored yet: made here, or from the invitation.
    pub genesis: Option<Bytes>,
}

/// How a directory runs. The product has the defaults; a test may have less patience.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long others decide without a word to a Raft instance that is no steward's any more, until it counts as passed
    /// by and ends.
    pub passed_by_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { passed_by_after: Duration::from_secs(30) }
    }
}

/// How the register stands at this node.
#[derive(Clone, Debug)]
pub struct RegisterStatus {
    pub number: u64,
    pub head: Digest,
    /// Time of the newest change.
    pub entry_time: UnixMs,
    /// This enrolment's Raft id.
    pub raft_id: u64,
    /// Whether the register names this node as a steward under that id.
    pub steward: bool,
    /// `None`: no Raft instance runs here.
    pub raft: Option<raft::RaftStatus>,
    /// The steward that leads, as far as this node knows.
    pub leader: Option<AuthorityId>,
    /// Whom this node follows as a mirror now.
    pub follows: Option<AuthorityId>,
    /// Time of the oldest beat of the newest majority.
    pub majority_beat: Option<UnixMs>,
    pub fresh: bool,
    pub forks: Vec<Fork>,
    /// The rules version that stopped this node, if one did.
    pub stopped_by_rules: Option<u32>,
    /// Why Raft does not run here although it should.
    pub raft_error: Option<String>,
    /// Stewards that Raft does not count here although the register names them; on a steward only.
    pub without_a_vote: Vec<AuthorityId>,
    /// Snapshots of other nodes that were not taken, since the start.
    pub snapshots_refused: u64,
    /// The founding that the register stands on; 0: the genesis statement.
    pub founding: u64,
    pub refounding: RefoundingStatus,
}

pub(super) struct Inner {
    pub authority: AuthorityId,
    pub key: ArcSwap<SigningKey>,
    /// The key that is to replace it, once there is one.
    pub next_key: ArcSwapOption<SigningKey>,
    pub clock: SharedClock,
    pub chain: Arc<Chain>,
    raft_id: AtomicU64,
    /// The Raft id for a founding, once it was asked for.
    pub offered: Mutex<Option<u64>>,
    /// What other stewards said that they would take part under.
    pub words: Mutex<Words>,
    /// Held while the register goes back, and while an instance starts.
    pub refounding: tokio::sync::Mutex<()>,
    pub settings: Settings,
    pub dial: OnceLock<Arc<dyn Dial>>,
    pub node: ArcSwapOption<Node>,
    /// Rises when an instance starts or stops.
    pub node_changed: watch::Sender<u64>,
    pub raft_error: Mutex<Option<String>>,
    pub follows: Mutex<Option<AuthorityId>>,
    /// Asks the mirror to pull once, even on a steward.
    pub pull: Notify,
    /// Nodes that this one, while it leads, brings up to date before they vote: Raft id, whose, and since when.
    pub enlisted: Mutex<BTreeMap<u64, (AuthorityId, Instant)>>,
    /// When a steward's Raft last called this node although no instance runs here: it is to learn.
    pub called: watch::Sender<Option<Instant>>,
    /// Statements on their way to the leader.
    pub passing: mpsc::Sender<Passing>,
    pub waiting: Mutex<Option<mpsc::Receiver<Passing>>>,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

impl Inner {
    /// Another enrolment begins, and what was offered for it is used.
    pub fn set_raft_id(&self, id: u64) {
        self.raft_id.store(id, Ordering::Release);
        *self.offered.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.node_changed.send_modify(|count| *count += 1);
    }
}

/// The directory. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Directory(pub(super) Arc<Inner>);

/// The Raft id of the next enrolment from this data directory; made at the first call, and kept.
///
/// # Errors
/// When the register's file cannot be opened or written.
pub fn raft_id(data_dir: &Path) -> Result<u64, Error> {
    let disk = Disk::open(&data_dir.join(FILE))?;
    let id = own_raft_id(&disk);
    disk.close_blocking()?;
    id
}

/// Before a node starts from a backup: forgets its Raft, so that it comes back as a mirror, under a new Raft id (9.10).
///
/// # Errors
/// When the register's file cannot be opened or written.
pub fn forget_raft(data_dir: &Path) -> Result<(), Error> {
    let disk = Disk::open(&data_dir.join(FILE))?;
    let done = written(&disk, raft::forgotten());
    disk.close_blocking()?;
    done
}

fn written(disk: &Disk, writes: Vec<Write>) -> Result<(), Error> {
    let (sender, receiver) = std::sync::mpsc::channel();
    disk.submit(writes, true, Some(Box::new(move |result| drop(sender.send(result)))))?;
    receiver.recv().map_err(|_| Error::from(Reason::StorageFailed))??;
    Ok(())
}

fn own_raft_id(disk: &Disk) -> Result<u64, Error> {
    if let Some(row) = disk.meta(Meta::RaftId)? {
        let bytes = row.try_into().map_err(|_| Error::new(Reason::StorageDamaged, "the Raft id"))?;
        return Ok(u64::from_be_bytes(bytes));
    }
    // 63 bits: the id is never 0, and fits wherever a signed number is kept.
    let id = random()? >> 1 | 1;
    written(disk, vec![Write::Set(Meta::RaftId, id.to_be_bytes().to_vec())])?;
    Ok(id)
}

/// 64 random bits.
pub(super) fn random() -> Result<u64, Error> {
    let mut bytes = [0_u8; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::new(Reason::Internal, "the system gives no randomness"))?;
    Ok(u64::from_be_bytes(bytes))
}

impl Directory {
    /// Opens what is stored, or begins with the genesis statement. Nothing runs yet: the view is there, so that what
    /// dials and listens can be built from it, and `start` comes after that.
    ///
    /// # Errors
    /// `NOT_JOINED` without anything stored or given, `WRONG_FEDERATION` when another federation is stored,
    /// `STORAGE_DAMAGED` when rows do not fit together.
    pub fn open(opening: Opening) -> Result<Self, Error> {
        Self::open_with(opening, Settings::default())
    }

    /// The same, with other settings than the product's.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with(opening: Opening, settings: Settings) -> Result<Self, Error> {
        let disk = Disk::open(&opening.data_dir.join(FILE))?;
        if let Some(genesis) = opening.genesis {
            match disk.meta(Meta::Genesis)? {
                None => written(&disk, vec![Write::Set(Meta::Genesis, genesis.to_vec())])?,
                Some(stored) if stored == genesis => {}
                Some(_) => return Err(Error::new(Reason::WrongFederation, "another federation is stored here")),
            }
        }
        let mut raft_id = own_raft_id(&disk)?;
        let mut chain = Chain::open(disk.clone(), Arc::clone(&opening.clock))?;
        // While Raft still counts its vote, the others may have no quorum without it, whatever the register has decided.
        if steward::is_spent(&chain.state(), &opening.authority, raft_id) && !raft::counts(&disk, raft_id)? {
            written(&disk, raft::forgotten())?;
            raft_id = own_raft_id(&disk)?;
            chain = Chain::open(disk, Arc::clone(&opening.clock))?;
        }
        let _ = chain.owner.set(opening.authority.clone());
        let (passing, waiting) = mpsc::channel(PASSING);
        Ok(Self(Arc::new(Inner {
            authority: opening.authority,
            key: ArcSwap::new(opening.key),
            next_key: ArcSwapOption::empty(),
            clock: opening.clock,
            chain: Arc::new(chain),
            raft_id: AtomicU64::new(raft_id),
            offered: Mutex::default(),
            words: Mutex::default(),
            refounding: tokio::sync::Mutex::default(),
            settings,
            dial: OnceLock::new(),
            node: ArcSwapOption::empty(),
            node_changed: watch::Sender::new(0),
            raft_error: Mutex::default(),
            follows: Mutex::default(),
            pull: Notify::new(),
            enlisted: Mutex::default(),
            called: watch::Sender::new(None),
            passing,
            waiting: Mutex::new(Some(waiting)),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })))
    }

    /// Starts what runs: Raft when the register names this node, the mirror otherwise, beats, gossip. A second call does
    /// nothing.
    pub fn start(&self, dial: Arc<dyn Dial>) {
        if self.0.dial.set(dial).is_err() {
            return;
        }
        let tasks = &self.0.tasks;
        if let Some(waiting) = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            tasks.spawn(self.0.stop.clone().run_until_cancelled_owned(forward::run(self.clone(), waiting)));
        }
        tasks.spawn(self.0.stop.clone().run_until_cancelled_owned(steward::supervise(self.clone())));
        tasks.spawn(self.0.stop.clone().run_until_cancelled_owned(steward::announce(self.clone())));
        tasks.spawn(self.0.stop.clone().run_until_cancelled_owned(membership::follow_stewards(self.clone())));
        tasks.spawn(self.0.stop.clone().run_until_cancelled_owned(asking_members::ask(self.clone())));
        tasks.spawn(self.0.stop.clone().run_until_cancelled_owned(mirror::run(self.clone())));
        tasks.spawn(self.0.stop.clone().run_until_cancelled_owned(own_beats::beat(self.clone())));
        tasks.spawn(self.0.stop.clone().run_until_cancelled_owned(gossip::exchange(self.clone())));
        tasks.spawn(self.0.stop.clone().run_until_cancelled_owned(founding::propose_again(self.clone())));
    }

    /// Stops everything and waits for it.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        if let Some(node) = self.0.node.swap(None) {
            node.shutdown().await;
        }
        if let Err(error) = self.0.chain.disk().close().await {
            tracing::error!(%error, "the register's file was not closed in order");
        }
    }

    /// The operator of the only steward knows its clock to be right, whatever members' clocks show.
    pub fn clock_is_right(&self) {
        self.0.chain.members.override_them();
    }

    /// How far members' clocks are ahead of this one (negative: behind), and how many agree on it; on the only steward.
    pub fn members_ahead(&self) -> Option<(Millis, usize)> {
        self.0.chain.members.ahead(self.0.clock.now(), self.0.clock.monotonic())
    }

    /// The authority's key was rotated: what is signed from now on is signed with the new one.
    pub fn set_key(&self, key: Arc<SigningKey>) {
        self.0.key.store(key);
    }

    /// The key that is to replace the authority's, made already: where the one that is listed was withdrawn, and the withdrawal names
    /// this one, it speaks for the steward before anybody can order that.
    pub fn set_next_key(&self, key: Arc<SigningKey>) {
        self.0.next_key.store(Some(key));
    }

    /// What a steward says with no order: beats, words, foundings. Changes are signed with the key that the register lists.
    pub(super) fn speaking_key(&self) -> Arc<SigningKey> {
        let key = self.0.key.load_full();
        let next = self.0.next_key.load_full();
        let after = |next: &Arc<SigningKey>| self.0.chain.successor(&key.public().id()) == Some(next.public());
        next.filter(after).unwrap_or(key)
    }

    /// The node's own authority.
    pub fn authority(&self) -> &AuthorityId {
        &self.0.authority
    }

    /// This enrolment's Raft id, for the node's own entry.
    pub fn raft_id(&self) -> u64 {
        self.0.raft_id.load(Ordering::Acquire)
    }

    /// The view now. No lock, no copy.
    pub fn view(&self) -> Arc<DirectoryView> {
        self.0.chain.view()
    }

    /// The view for those who read it on every call.
    pub fn source(&self) -> ViewSource {
        self.0.chain.source()
    }

    /// Tells of every new view; the value is its number.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.chain.changes()
    }

    /// The newest verified state: proposals, votes, versions; what statements are built from.
    pub fn state(&self) -> RegisterState {
        self.0.chain.state()
    }

    /// Waits until the local view has reached a number.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED`.
    pub async fn wait_for(&self, number: u64, limit: Duration) -> Result<Arc<DirectoryView>, Error> {
        let mut changes = self.changes();
        let reached = tokio::time::timeout(limit, changes.wait_for(|now| *now >= number)).await;
        match reached {
            Ok(Ok(_)) => Ok(self.view()),
            _ => Err(Error::new(Reason::DeadlineExceeded, format!("the register has not reached {number}"))),
        }
    }

    /// A steward's sign of life, from whoever relays it. Whether it was new.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn accept_beat(&self, signed: &Bytes) -> Result<bool, Error> {
        self.0.chain.accept_beat(signed)
    }

    /// An emergency suspension, or the withdrawal of a key: acts here when this returns, and goes to everyone. Whether it was new.
    ///
    /// # Errors
    /// Why it does not count, or that it could not be stored.
    pub async fn overlay_add(&self, signed: Bytes) -> Result<bool, Error> {
        let last = self.0.chain.last_said(self.authority());
        let withdrawn = self.0.chain.accept_withdrawal(&signed).await?;
        if withdrawn == Some(true) {
            // Words under that key count no more; who gave one gives another.
            self.0.words.lock().unwrap_or_else(PoisonError::into_inner).clear();
            own_beats::say_again(self, last);
        }
        let new = match withdrawn {
            Some(new) => new,
            None => self.0.chain.accept_overlay(&signed).await?,
        };
        if new {
            gossip::spread(self, &signed);
        }
        Ok(new)
    }

    /// A suspension of a steward that waits for a second signature: kept here, and told to the other stewards. Whether it
    /// was new.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn ask_second(&self, signed: &Bytes) -> Result<bool, Error> {
        let new = self.0.chain.accept_awaiting_countersignature(signed)?;
        if new {
            gossip::ask_second(self, signed);
        }
        Ok(new)
    }

    /// Suspensions of stewards that wait for a second signature.
    pub fn awaiting_countersignature(&self) -> Vec<Arc<AwaitingCountersignature>> {
        self.0.chain.awaiting_countersignature()
    }

    /// Emergency suspensions that the overlay holds and nodes may still take, encoded `Signed`.
    pub fn overlay(&self) -> Vec<(StatementId, Bytes)> {
        self.0.chain.overlay()
    }

    /// Emergency suspensions of an authority that the overlay holds, or that wait for a second signature.
    pub fn emergencies(&self, of: &AuthorityId) -> Vec<StatementId> {
        self.0.chain.emergencies(of)
    }

    /// The newest beat of each steward.
    pub fn beats(&self) -> Vec<Beat> {
        self.0.chain.beats().into_iter().map(|(beat, _)| beat).collect()
    }

    /// How the register stands here.
    pub fn status(&self) -> RegisterStatus {
        let (state, view) = (self.state(), self.view());
        let raft = self.node().map(|node| node.status().borrow().clone());
        let leader = raft.as_ref().and_then(|status| status.leader);
        let counted = |id: u64| raft.as_ref().is_none_or(|raft| raft.voters.is_empty() || raft.voters.contains(&id));
        let without_a_vote =
            state.stewards().iter().filter(|s| !counted(s.raft_id)).map(|s| s.authority.clone()).collect();
        let authority_of = |id| state.stewards().iter().find(|s| s.raft_id == id).map(|s| s.authority.clone());
        RegisterStatus {
            number: state.number(),
            head: state.head(),
            entry_time: state.entry_time(),
            raft_id: self.raft_id(),
            steward: steward::is_named(&state, &self.0.authority, self.raft_id()),
            leader: leader.and_then(authority_of),
            raft,
            follows: self.0.follows.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            majority_beat: view.majority_beat,
            fresh: view.is_fresh(self.0.clock.now()),
            forks: self.0.chain.forks(),
            stopped_by_rules: state.stopped(),
            raft_error: self.0.raft_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            without_a_vote,
            snapshots_refused: self.0.chain.snapshots_refused(),
            founding: state.position().founding,
            refounding: self.refounding(),
        }
    }

    /// Term and index of the last log entry.
    #[cfg(test)]
    pub(super) fn last_log_id_for_tests(&self) -> (u64, u64) {
        self.node().and_then(|node| node.last_log_id()).unwrap_or_default()
    }

    /// The first index of the log that is not purged.
    #[cfg(test)]
    pub(super) fn first_log_index_for_tests(&self) -> u64 {
        self.node().map_or(0, |node| node.first_log_index())
    }

    pub(super) fn node(&self) -> Option<Arc<Node>> {
        self.0.node.load_full()
    }
}
