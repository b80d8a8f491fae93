//! The verified register of this node, in memory and on disk, however its changes come in: by Raft or by following.
//!
//! What lives here: the newest verified state and the one that Raft has applied, the overlay, the keys that
//! were withdrawn, the beats, the newest changes for those who follow us, what is kept of foundings, and the view that
//! everyone reads, swapped once per batch. What does not: consensus (`raft`), calls to others (`mirror`, `gossip`).
//! Invariants: nothing enters a state but through `RegisterState::apply`; rows of changes are written in order, in the
//! same commit as the Raft position that they belong to; a view is published only after the rows it shows are queued.

mod ahead;
mod applied;
mod denying;
mod heard;
mod kept;
mod load;
mod mirrored;
mod proofs;
mod refound;
mod sent;

pub use mirrored::Verified;
pub use refound::{EndedOrder, Learnt, Pending};

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::store::v1::StoredChange;
use havenlink_runtime::telemetry::metrics;
use prost::Message;
use tokio::sync::{Notify, watch};

use super::awaiting_countersignature::{AwaitingCountersignature, CountersignatureQueue};
use super::beats::{Beats, Fork};
use super::disk::{Disk, Slot, Write};
use super::error::Error;
use super::overlay::Overlay;
use super::refounding::SetInForce;
use super::snapshot_handle::SnapshotHandle;
use super::sources::Sources;
use super::state::RegisterState;
use super::verified_signatures::VerifiedSignatures;
use crate::clock::SharedClock;
use crate::domain::directory::{ConfirmedTime, DirectoryView, Position, Steward};
use crate::domain::ids::{AuthorityId, Digest, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::Applied;
use crate::domain::time::UnixMs;
use crate::members_clocks::MembersClocks;
use crate::transport::ViewSource;
use crate::wire::beat::{Beat, SnapshotMark};

/// Changes kept in memory for followers; older ones are read from disk.
const RECENT: usize = 2_048;
/// After a change of stewards the outgoing ones are still heard for this long, so that they can hand over in order.
const HANDOVER: Duration = Duration::from_secs(10);

/// A change and the head that it led to.
#[derive(Clone, Debug)]
pub struct Link {
    pub change: proto::Change,
    pub head: Digest,
}

impl Link {
    fn new(entry_time: UnixMs, signed: &Bytes, applied: &Applied, head: Digest) -> Self {
        let (number, outcome) = (applied.number, applied.outcome.code());
        let change = proto::Change { number, entry_time_ms: entry_time.0, signed: signed.clone(), outcome };
        Self { change, head }
    }

    fn row(&self) -> Write {
        let head = Bytes::copy_from_slice(self.head.as_bytes());
        let row = StoredChange { change: Some(self.change.clone()), head };
        Write::Change(self.change.number, row.encode_to_vec())
    }
}

/// Who is heard on Raft, and up to which term: reads take no lock.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    stewards: Arc<Vec<Steward>>,
    /// Those that a decision has sent out, with the instant from which on they are not heard any more.
    outgoing: Option<(Duration, Arc<Vec<Steward>>)>,
    /// The highest term that a majority of stewards has reached by their beats.
    pub majority_term: u64,
}

impl Gate {
    /// Raft ids under which an authority is heard: its own by the newest verified state, and for a short while one that
    /// a decision has just sent out, so that a leader can hand over.
    pub fn ids<'a>(&'a self, authority: &'a AuthorityId, now: Duration) -> impl Iterator<Item = u64> + 'a {
        let outgoing = self.outgoing.iter().filter(move |(until, _)| now < *until).flat_map(|(_, gone)| gone.iter());
        self.stewards.iter().chain(outgoing).filter(move |s| s.authority == *authority).map(|s| s.raft_id)
    }
}

struct Core {
    /// The newest verified state.
    best: RegisterState,
    /// What Raft has applied, on a node that runs it; never ahead of `best`.
    raft: Option<RegisterState>,
    overlay: Overlay,
    awaiting_countersignature: CountersignatureQueue,
    beats: Beats,
    recent: VecDeque<Link>,
    snapshot: Option<Arc<SnapshotHandle>>,
    /// Raft's own snapshot: changes after it are needed to start again.
    raft_snapshot: Option<Arc<SnapshotHandle>>,
    /// The newest one that a majority of its stewards has signed, with their beats.
    proven: Option<(Arc<SnapshotHandle>, Vec<Bytes>)>,
    /// Changes below this number were dropped since the start.
    dropped: u64,
    /// How often what was followed had to go.
    misled: u64,
    /// What was followed and lies ahead of this clock.
    ahead: ahead::Ahead,
    confirmed: Option<ConfirmedTime>,
    /// What it takes to be fresh again after a long silence.
    sources: Sources,
    /// What is kept for the day on which the order begins anew.
    kept: kept::KeptState,
}

/// The verified register.
pub struct Chain {
    core: Mutex<Core>,
    view: ViewSource,
    gate: ArcSwap<Gate>,
    changes: watch::Sender<u64>,
    /// Rises with every new beat or overlay statement.
    heard: watch::Sender<u64>,
    /// The newest snapshot's number.
    snapshots: watch::Sender<u64>,
    disk: Disk,
    clock: SharedClock,
    verified: VerifiedSignatures,
    /// The newest snapshot as it was sent last.
    sent: tokio::sync::Mutex<Option<sent::Sent>>,
    snapshots_refused: AtomicU64,
    /// Told when Raft here is sent entries whose time this node has to have confirmed by following.
    pub wanted: Notify,
    /// What members' clocks show, where this node is the only steward.
    pub members: Arc<MembersClocks>,
    /// This node signs all the beats that there are.
    only_steward: AtomicBool,
    /// Whose register this is, where that is known.
    pub owner: std::sync::OnceLock<AuthorityId>,
    /// Told when members are to be asked which head they have.
    pub sources_wanted: Notify,
    /// A founding was confirmed that is not followed yet.
    founding_due: AtomicBool,
}

impl Chain {
    /// The view, for those who read it on every call.
    pub fn source(&self) -> ViewSource {
        Arc::clone(&self.view)
    }

    /// The view now.
    pub fn view(&self) -> Arc<DirectoryView> {
        self.view.load_full()
    }

    /// Tells of every new view; the value is its number.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Tells of new beats and overlay statements.
    pub fn heard(&self) -> watch::Receiver<u64> {
        self.heard.subscribe()
    }

    /// Tells of new snapshots.
    pub fn snapshots(&self) -> watch::Receiver<u64> {
        self.snapshots.subscribe()
    }

    /// The register's file.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The memory of verified signatures.
    pub fn verified_signatures(&self) -> &VerifiedSignatures {
        &self.verified
    }

    /// The newest verified state. Cheap: states share what they have in common.
    pub fn state(&self) -> RegisterState {
        self.lock().best.clone()
    }

    /// How often, since the start, what was followed had to go because a majority of stewards had signed another order.
    pub fn misled(&self) -> u64 {
        self.lock().misled
    }

    /// Its place.
    pub fn position(&self) -> Position {
        self.lock().best.position()
    }

    /// Its change number.
    pub fn number(&self) -> u64 {
        self.lock().best.number()
    }

    /// What Raft has applied here, if this node runs it.
    pub fn raft_state(&self) -> Option<RegisterState> {
        self.lock().raft.clone()
    }

    /// Whether following has brought this node further than its own Raft.
    pub fn raft_lags(&self) -> bool {
        let core = self.lock();
        core.raft.as_ref().is_some_and(|raft| raft.number() < core.best.number())
    }

    /// Whether a majority of stewards has said that there are changes which are not here yet.
    pub fn is_behind(&self) -> bool {
        let core = self.lock();
        core.beats.majority_number(&core.best) > core.best.number()
    }

    /// What is checked of every Raft message; swapped with the view.
    pub fn gate(&self) -> Arc<Gate> {
        self.gate.load_full()
    }

    /// Time since some fixed instant of this process.
    pub fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Forks found so far.
    pub fn forks(&self) -> Vec<Fork> {
        self.lock().beats.forks().to_vec()
    }

    /// The newest beat of each steward, encoded.
    pub fn beats(&self) -> Vec<(Beat, Bytes)> {
        self.lock().beats.newest().map(|(beat, bytes)| (beat.clone(), bytes.clone())).collect()
    }

    /// The overlay's statements that others may still take, encoded.
    pub fn overlay(&self) -> Vec<(StatementId, Bytes)> {
        let now = self.clock.now();
        self.lock().overlay.to_gossip(now).map(|entry| (entry.id, entry.signed.clone())).collect()
    }

    /// Emergency suspensions of an authority: what a restore lifts. Those that the overlay holds, and those that still
    /// wait for a second signature: nobody is to complete one after the restore. No more than one statement may name.
    pub fn emergencies(&self, of: &AuthorityId) -> Vec<StatementId> {
        let (core, now) = (self.lock(), self.clock.now());
        core.overlay.to_lift(of, core.awaiting_countersignature.waiting(&core.best, now), &core.best, now)
    }

    /// Suspensions of stewards that wait for a second signature.
    pub fn awaiting_countersignature(&self) -> Vec<Arc<AwaitingCountersignature>> {
        let (core, now) = (self.lock(), self.clock.now());
        core.awaiting_countersignature.waiting(&core.best, now).cloned().collect()
    }

    /// Digest of the overlay: equal sets, equal digests.
    pub fn overlay_digest(&self) -> Digest {
        self.lock().overlay.digest(self.clock.now())
    }

    /// The newest snapshot, whoever has signed it.
    #[cfg(test)]
    pub fn snapshot(&self) -> Option<Arc<SnapshotHandle>> {
        self.lock().snapshot.clone()
    }

    /// The newest snapshot that a majority has signed, with the beats that prove it: what others may be sent.
    pub fn proven_snapshot(&self) -> Option<(Arc<SnapshotHandle>, Vec<Bytes>)> {
        let mut core = self.lock();
        self.note_proven(&mut core);
        core.proven.clone()
    }

    /// Remembers the newest snapshot as proven once it is: a later one, which nobody has signed yet, does not push it out.
    fn note_proven(&self, core: &mut Core) {
        let Some(handle) = core.snapshot.clone() else { return };
        if let Some(proof) = core.beats.proof(&handle.mark, &handle.state, &core.judged_by(), &self.verified) {
            core.proven = Some((handle, proof));
        }
    }

    /// Raft's own snapshot.
    pub fn raft_snapshot(&self) -> Option<Arc<SnapshotHandle>> {
        self.lock().raft_snapshot.clone()
    }

    /// Number and head of what Raft has applied here, and its newest snapshot: what a steward's beat may vouch for. What it
    /// merely followed it did not decide.
    pub fn agreed_mark(&self) -> Option<(u64, Digest, Option<SnapshotMark>)> {
        let core = self.lock();
        let raft = core.raft.as_ref()?;
        // Where the order began anew: each of its stewards has that state, and vouches for it until its Raft takes another.
        let founded = core.kept.founded.as_ref().filter(|handle| handle.state.founding() == raft.founding());
        let snapshot = core.raft_snapshot.as_ref().or(founded);
        Some((raft.number(), raft.head(), snapshot.map(|handle| handle.mark)))
    }

    /// Beats that sign this snapshot, of a majority of the stewards in force at its number; `None` while there are too few.
    pub fn proof(&self, handle: &SnapshotHandle) -> Option<Vec<Bytes>> {
        let core = self.lock();
        core.beats.proof(&handle.mark, &handle.state, &core.judged_by(), &self.verified)
    }

    /// A snapshot of another node was not taken: logged, counted and shown.
    pub fn snapshot_refused(&self, from: &AuthorityId, error: &Error) {
        self.snapshots_refused.fetch_add(1, Ordering::Relaxed);
        metrics::SNAPSHOTS_REFUSED.add([], 1);
        havenlink_runtime::repeated!(warn by from.as_str(); %from, %error, "a snapshot of the register was refused");
    }

    /// How many snapshots of other nodes were refused since the start.
    pub fn snapshots_refused(&self) -> u64 {
        self.snapshots_refused.load(Ordering::Relaxed)
    }

    /// Changes after a number, up to so many bytes; `None`: they are not kept any more.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn after(&self, number: u64, bytes: usize) -> Result<Option<Vec<Link>>, Error> {
        {
            let core = self.lock();
            if number >= core.best.number() {
                return Ok(Some(Vec::new()));
            }
            let first = core.recent.front().map_or(u64::MAX, |link| link.change.number);
            if let Some(skip) = number.checked_add(1).and_then(|next| next.checked_sub(first)) {
                let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(core.recent.len());
                return Ok(Some(fitting(core.recent.range(skip..).cloned(), bytes)));
            }
        }
        // Rows from before a snapshot may stand in front of a gap.
        let mut links = load::links(&self.disk, number + 1, bytes)?;
        let gapless = (number + 1..).zip(&links).take_while(|(next, link)| link.change.number == *next).count();
        links.truncate(gapless);
        Ok((gapless > 0).then_some(links))
    }

    /// The head at a number, if it is still known.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn head_at(&self, number: u64) -> Result<Option<Digest>, Error> {
        {
            let core = self.lock();
            if number == core.best.number() {
                return Ok(Some(core.best.head()));
            }
            if let Some(link) = core.recent.iter().find(|link| link.change.number == number) {
                return Ok(Some(link.head));
            }
        }
        if number == 0 {
            return Ok(Some(Digest(self.view.load().federation.0)));
        }
        let links = load::links(&self.disk, number, 1)?;
        Ok(links.first().filter(|link| link.change.number == number).map(|link| link.head))
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Swaps the view and tells everyone.
    fn publish(&self, core: &mut Core) {
        // Of two lines that stand against each other none is confirmed.
        let beat = core.beats.majority_beat(&core.best).filter(|_| core.kept.contested.is_empty());
        let sources_missing = self.sources_missing(core, beat);
        self.confirm_time(core, beat.filter(|_| sources_missing == 0));
        let view = core.best.view(&core.overlay, beat);
        let mut view = DirectoryView { sources_missing, confirmed: core.confirmed, ..view };
        core.kept.deny(&mut view);
        let mut gate = Gate::clone(&self.gate.load());
        if gate.stewards != view.stewards {
            if let Some(row) = core.kept.saw(SetInForce::of(&core.best))
                && let Err(error) = self.disk.submit(vec![row], false, None)
            {
                havenlink_runtime::repeated!(warn; %error, "a set of stewards was not kept");
            }
            gate.outgoing = Some((self.clock.monotonic() + HANDOVER, gate.stewards));
            gate.stewards = Arc::clone(&view.stewards);
        }
        gate.majority_term = core.beats.majority_term(&core.best);
        self.gate.store(Arc::new(gate));
        let number = view.number;
        self.view.store(Arc::new(view));
        self.changes.send_replace(number);
    }
}

fn fitting(links: impl Iterator<Item = Link>, bytes: usize) -> Vec<Link> {
    let mut size = 0;
    let mut out = Vec::new();
    for link in links {
        size += link.change.signed.len() + 64;
        if size > bytes && !out.is_empty() {
            break;
        }
        out.push(link);
    }
    out
}

impl Core {
    /// The head that this node's newest state had at a number, as far as memory goes.
    fn own_head(&self, number: u64) -> Option<Digest> {
        if number == self.best.number() { Some(self.best.head()) } else { self.beats.own(number) }
    }

    /// Lets go of a followed snapshot of a state that turned out to be another one.
    fn drop_snapshot_above(&mut self, number: u64) -> Option<Write> {
        self.proven.take_if(|(handle, _)| handle.mark.number > number);
        self.snapshot.take_if(|handle| handle.mark.number > number)?;
        self.snapshot.clone_from(&self.raft_snapshot);
        Some(Write::DropSnapshot(Slot::Mirror))
    }

    /// What stays when a majority of stewards has signed another order than the one that was followed: what Raft has
    /// applied here, or the newest snapshot that a majority signed, or the beginning.
    fn agreed(&self, verify: &VerifiedSignatures) -> Result<RegisterState, Error> {
        if let Some(raft) = &self.raft {
            return Ok(raft.clone());
        }
        match self.proven(verify) {
            Some(handle) => Ok(handle.state.clone()),
            None => self.beginning(),
        }
    }

    /// Where the order of the newest state began: the founding that it stands on, or the genesis statement.
    fn beginning(&self) -> Result<RegisterState, Error> {
        if self.best.founding().by.is_none() {
            return load::genesis(self.best.genesis_signed());
        }
        let founded = self.kept.founded.as_ref().filter(|handle| handle.state.founding() == self.best.founding());
        let missing = || Error::new(Reason::ChangesGone, "the founding's own state is not here");
        founded.map(|handle| handle.state.clone()).ok_or_else(missing)
    }

    /// Its number.
    fn agreed_number(&self, verify: &VerifiedSignatures) -> u64 {
        let raft = self.raft.as_ref().map(RegisterState::number);
        raft.or_else(|| Some(self.proven(verify)?.mark.number)).unwrap_or(self.best.founding().at)
    }

    /// The followed snapshot, if beats of a majority sign it.
    fn proven(&self, verify: &VerifiedSignatures) -> Option<&Arc<SnapshotHandle>> {
        let newest = self.judged_by();
        let signed = |held: &&Arc<SnapshotHandle>| self.beats.proof(&held.mark, &held.state, &newest, verify).is_some();
        self.snapshot.as_ref().filter(signed)
    }

    fn keep(&mut self, link: Link) {
        if self.recent.back().is_some_and(|last| last.change.number + 1 != link.change.number) {
            self.recent.clear();
        }
        self.recent.push_back(link);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }
}

/// The first view.
fn first_view(state: &RegisterState, overlay: &Overlay, beats: &Beats, kept: &kept::KeptState) -> ViewSource {
    let mut view = state.view(overlay, beats.majority_beat(state));
    kept.deny(&mut view);
    Arc::new(ArcSwap::from_pointee(view))
}
