//! From disk to memory at start: the snapshots, then the changes after them, applied again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use bytes::Bytes;
use havenlink_proto::store::v1::{StoredChange, StoredOverlay, StoredPosition, StoredSnapshot};
use prost::Message;
use tokio::sync::{Notify, watch};

use super::kept::KeptState;
use super::{Chain, Core, CountersignatureQueue, Gate, Link, first_view};
use crate::beats::Beats;
use crate::clock::SharedClock;
use crate::disk::{Disk, Meta, Slot};
use crate::domain::ids::{AuthorityId, Digest, StatementId};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::error::Error;
use crate::overlay::{self, Overlay};
use crate::snapshot;
use crate::snapshot_handle::SnapshotHandle;
use crate::sources::Sources;
use crate::state::RegisterState;
use crate::verified_signatures::{Stored, VerifiedSignatures};
use crate::wire::keys::Plain;

/// Bytes of changes read at once.
const PIECE: usize = 4 << 20;

fn damaged(what: &str) -> Error {
    Error::new(Reason::StorageDamaged, what)
}

/// The state that a genesis statement makes.
pub(super) fn genesis(signed: &Bytes) -> Result<RegisterState, Error> {
    Ok(RegisterState::genesis(signed, &Plain)?)
}

/// Changes from a number on, up to so many bytes.
pub(super) fn links(disk: &Disk, from: u64, bytes: usize) -> Result<Vec<Link>, Error> {
    disk.changes(from, bytes)?
        .into_iter()
        .map(|(_, row)| {
            let stored = StoredChange::decode(Bytes::from(row)).map_err(|_| damaged("a change does not decode"))?;
            let head = Digest::from_slice(&stored.head).ok_or_else(|| damaged("a head has no 32 bytes"))?;
            let change = stored.change.ok_or_else(|| damaged("a row without its change"))?;
            Ok(Link { change, head })
        })
        .collect()
}

impl Chain {
    /// Reads everything back, or starts from the genesis statement.
    ///
    /// # Errors
    /// `STORAGE_DAMAGED` when rows do not fit together, `NOT_JOINED` when there is no genesis statement at all.
    pub fn open(disk: Disk, clock: SharedClock) -> Result<Self, Error> {
        let genesis_row = disk.meta(Meta::Genesis)?.ok_or_else(|| Error::from(Reason::NotJoined))?;
        let start = genesis(&Bytes::from(genesis_row))?;
        let raft_snapshot = restored(&disk, Slot::Raft, &start)?.map(Arc::new);
        let kept = KeptState::open(&disk, restored(&disk, Slot::Founding, &start)?.map(Arc::new))?;
        let from = raft_snapshot.as_deref().or(kept.founded.as_deref());
        let raft = raft_state(&disk, &start, from)?;
        let mirror_snapshot = restored(&disk, Slot::Mirror, &start)?.map(Arc::new);
        let mut best = raft.clone().unwrap_or_else(|| start.clone());
        for handle in mirror_snapshot.iter().chain(&kept.founded) {
            if handle.state.position() > best.position() {
                best = handle.state.clone();
            }
        }
        let recent = replay(&disk, &mut best)?;
        let overlay = overlay(&disk)?;
        let mut beats = Beats::default();
        beats.note_own(best.number(), best.head());
        let snapshots = [raft_snapshot.clone(), mirror_snapshot, kept.founded.clone()];
        let snapshot = snapshots.into_iter().flatten().max_by_key(|handle| handle.state.position());
        let view = first_view(&best, &overlay, &beats, &kept);
        let term = beats.majority_term(&best);
        let gate = Gate { stewards: best.stewards().clone(), outgoing: None, majority_term: term };
        let (number, mark) = (best.number(), snapshot.as_ref().map_or(0, |handle| handle.mark.number));
        let awaiting_countersignature = CountersignatureQueue::default();
        let heard = disk.meta(Meta::Heard)?.and_then(|row| row.try_into().ok()).map(i64::from_be_bytes);
        let sources = Sources::since(heard.map(UnixMs));
        let core = Core {
            best,
            raft,
            overlay,
            awaiting_countersignature,
            beats,
            recent,
            snapshot,
            raft_snapshot,
            proven: None,
            dropped: 0,
            misled: 0,
            ahead: Default::default(),
            confirmed: None,
            sources,
            kept,
        };
        Ok(Self {
            core: Mutex::new(core),
            view,
            gate: ArcSwap::from_pointee(gate),
            changes: watch::Sender::new(number),
            heard: watch::Sender::new(0),
            snapshots: watch::Sender::new(mark),
            disk,
            clock,
            verified: VerifiedSignatures::default(),
            sent: tokio::sync::Mutex::default(),
            snapshots_refused: AtomicU64::new(0),
            wanted: Notify::new(),
            members: Arc::default(),
            only_steward: AtomicBool::new(false),
            sources_wanted: Notify::new(),
            owner: std::sync::OnceLock::new(),
            founding_due: AtomicBool::new(false),
        })
    }
}

/// The state of a stored snapshot. What it proves was checked before it was written.
fn restored(disk: &Disk, slot: Slot, start: &RegisterState) -> Result<Option<SnapshotHandle>, Error> {
    let Some((header, pieces)) = disk.snapshot(slot)? else { return Ok(None) };
    let stored =
        StoredSnapshot::decode(header.as_slice()).map_err(|_| damaged("a snapshot's header does not decode"))?;
    let header = stored.header.ok_or_else(|| damaged("a snapshot without its header"))?;
    let items = Bytes::from(pieces.concat());
    let opened = snapshot::open(&start.federation(), &header, &items, None, &Stored);
    let opened = opened.map_err(|error| damaged(&error.to_string()))?;
    Ok(Some(SnapshotHandle { mark: opened.mark(), state: opened.from_own_disk() }))
}

/// What Raft had applied: its snapshot, and the changes from there to its position.
fn raft_state(
    disk: &Disk,
    start: &RegisterState,
    base: Option<&SnapshotHandle>,
) -> Result<Option<RegisterState>, Error> {
    let Some(row) = disk.meta(Meta::Applied)? else { return Ok(None) };
    let position = StoredPosition::decode(row.as_slice()).map_err(|_| damaged("the position does not decode"))?;
    let mut state = base.map_or_else(|| start.clone(), |handle| handle.state.clone());
    while state.number() < position.number {
        let links = links(disk, state.number() + 1, PIECE)?;
        if links.is_empty() {
            return Err(damaged("changes are missing"));
        }
        for link in links.iter().take_while(|link| link.change.number <= position.number) {
            again(&mut state, link)?;
        }
    }
    if state.head().as_bytes()[..] != position.head[..] {
        return Err(damaged("the position's head is another one"));
    }
    Ok(Some(state))
}

/// Applies what follows on a state; stops at a gap or at a change of another chain.
fn replay(disk: &Disk, state: &mut RegisterState) -> Result<VecDeque<Link>, Error> {
    let mut recent = VecDeque::new();
    loop {
        let links = links(disk, state.number() + 1, PIECE)?;
        if links.is_empty() {
            return Ok(recent);
        }
        for link in links {
            let mut next = state.clone();
            if again(&mut next, &link).is_err() {
                return Ok(recent);
            }
            *state = next;
            recent.push_back(link);
            if recent.len() > super::RECENT {
                recent.pop_front();
            }
        }
    }
}

pub(super) fn again(state: &mut RegisterState, link: &Link) -> Result<(), Error> {
    let applied = state.apply(UnixMs(link.change.entry_time_ms), &link.change.signed, &Stored);
    let same = applied.taken() == Some(link.change.number) && applied.head == Some(link.head);
    if same { Ok(()) } else { Err(damaged("a change does not lead to its head")) }
}

fn overlay(disk: &Disk) -> Result<Overlay, Error> {
    let mut entries = Vec::new();
    for row in disk.overlay()? {
        let bad = || damaged("an overlay statement does not decode");
        let stored = StoredOverlay::decode(Bytes::from(row)).map_err(|_| bad())?;
        entries.push(overlay::Entry {
            id: StatementId::from_slice(&stored.id).ok_or_else(bad)?,
            subject: AuthorityId::parse(&stored.subject).ok_or_else(bad)?,
            stewards: stored
                .stewards
                .iter()
                .map(|id| AuthorityId::parse(id).ok_or_else(bad))
                .collect::<Result<_, _>>()?,
            time: UnixMs(stored.time_ms),
            first_seen: UnixMs(stored.first_seen_ms),
            signed: stored.signed,
        });
    }
    // Of two by one steward, written at a time before the node ended, the first one acts, as it would have.
    entries.sort_by_key(|entry| entry.first_seen);
    let mut overlay = Overlay::default();
    for entry in entries {
        if !overlay.is_used(&entry) {
            overlay.insert(entry);
        }
    }
    Ok(overlay)
}
