//! Raft's state machine: drives the pure register, and nothing else.
//!
//! State and applied position change together, in one commit of the register's file that follows the log's own; what is
//! lost of it is applied again from the log. A snapshot is taken in memory at the very entry whose change number the
//! policy's interval divides, so that every steward takes the same ones; it is encoded and written outside of `apply`.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use havenlink_proto::store::v1::{StoredPosition, StoredSnapshot};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::alias::SnapshotOf;
use openraft::{OptionalSend, RaftSnapshotBuilder};
use prost::Message;
use tokio::sync::Notify;

use super::convert;
use super::snapshot::Carried;
use super::stored::{self, damaged};
use super::types::{Answer, LogId, Membership, Payload, SnapshotMeta, StoredMembership, TypeConfig};
use crate::chain::Chain;
use crate::disk::Slot;
use crate::snapshot;
use crate::snapshot_handle::SnapshotHandle;
use crate::state::RegisterState;

type Snapshot = SnapshotOf<TypeConfig, Carried>;

/// A state to take a snapshot of, at its place in the log.
#[derive(Clone)]
struct Due {
    meta: SnapshotMeta,
    state: RegisterState,
}

/// A snapshot, and the beats that prove it.
#[derive(Clone)]
struct Proven {
    meta: SnapshotMeta,
    handle: Arc<SnapshotHandle>,
    proof: Vec<Bytes>,
}

#[derive(Default)]
struct Position {
    /// The instance has ended: whatever of it still runs writes nothing any more, as the next one may be there already.
    retired: bool,
    applied: Option<LogId>,
    membership: StoredMembership,
    /// SnapshotHandle, not yet written.
    due: Option<Due>,
    current: Option<(SnapshotMeta, Arc<SnapshotHandle>)>,
    /// The newest that a majority has signed: what others are sent until a newer one is proven.
    proven: Option<Proven>,
}

/// The state machine; clones share it.
#[derive(Clone)]
pub struct StateMachine {
    chain: Arc<Chain>,
    place: Arc<Mutex<Position>>,
    /// Told when a snapshot is due.
    due: Arc<Notify>,
    /// Held while the stored snapshot is replaced: one taken here never overwrites one that was installed meanwhile.
    slot: Arc<tokio::sync::Mutex<()>>,
}

impl StateMachine {
    /// Reads where the log was applied to.
    ///
    /// # Errors
    /// When a row does not decode.
    pub fn open(chain: Arc<Chain>) -> io::Result<Self> {
        let at = stored::position(chain.disk())?;
        let mut place = Position { applied: at.last_log_id, membership: at.last_membership, ..Position::default() };
        if let Some(handle) = chain.raft_snapshot()
            && let Some((header, _)) = chain.disk().snapshot(Slot::Raft)?
        {
            let stored = StoredSnapshot::decode(header.as_slice()).map_err(|error| damaged(&error))?;
            let meta = convert::meta_from(stored.meta).map_err(|error| damaged(&error))?;
            place.current = Some((meta, handle));
        }
        Ok(Self { chain, place: Arc::new(Mutex::new(place)), due: Arc::default(), slot: Arc::default() })
    }

    /// The register that it drives.
    #[cfg(test)]
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// Told when a snapshot is due.
    pub fn due(&self) -> Arc<Notify> {
        Arc::clone(&self.due)
    }

    /// The newest snapshot, and where in the log it stands.
    pub fn current(&self) -> Option<(SnapshotMeta, Arc<SnapshotHandle>)> {
        self.lock().current.clone()
    }

    /// Whether a majority of the stewards in force at its number has signed it; remembered, with their beats.
    pub fn is_proven(&self, meta: &SnapshotMeta, handle: &Arc<SnapshotHandle>) -> bool {
        let Some(proof) = self.chain.proof(handle) else { return false };
        let (meta, handle) = (meta.clone(), Arc::clone(handle));
        let mut place = self.lock();
        if place.proven.as_ref().is_none_or(|known| known.meta.last_log_id <= meta.last_log_id) {
            place.proven = Some(Proven { meta, handle, proof });
        }
        true
    }

    /// What others are sent: the newest snapshot if it is proven, else the last one that was, else one to wait with.
    fn to_send(&self) -> Option<Snapshot> {
        let (meta, handle) = self.current()?;
        self.is_proven(&meta, &handle);
        let sent = self.lock().proven.clone();
        Some(
            sent.map_or(
                Snapshot { meta, snapshot: Carried { handle, proof: None } },
                |Proven { meta, handle, proof }| Snapshot { meta, snapshot: Carried { handle, proof: Some(proof) } },
            ),
        )
    }

    /// The last applied log id.
    pub fn applied(&self) -> Option<LogId> {
        self.lock().applied
    }

    /// The membership as applied; `None` before the first one.
    pub fn membership(&self) -> Option<Membership> {
        stored::applied(&self.lock().membership)
    }

    /// Ends: what is being written is waited for, nothing is written after it.
    pub async fn retire(&self) {
        let _slot = self.slot.lock().await;
        self.lock().retired = true;
    }

    fn in_use(&self) -> io::Result<()> {
        if self.lock().retired { Err(io::Error::other("this instance has ended")) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Position> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply_all(&self, entries: Vec<EntryResponder<TypeConfig>>) -> io::Result<()> {
        let mut batch = self.chain.begin().ok_or_else(|| io::Error::other("the register was never opened for Raft"))?;
        let mut answers = Vec::with_capacity(entries.len());
        let mut place = self.lock();
        if place.retired {
            return Err(io::Error::other("this instance has ended"));
        }
        let idle = place.due.is_none();
        for (entry, responder) in entries {
            if let Some(rules) = batch.state().stopped() {
                // What is applied so far stays applied; nothing further is, until this program knows the rules.
                let why = format!("rules version {rules} is beyond what this version of havenlink knows");
                let row = position(&place, batch.state());
                batch.finish(row)?;
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
            let mut answer = Answer(None);
            match entry.payload {
                Payload::Blank => {}
                Payload::Normal(command) => answer = Answer(Some(batch.apply(command.entry_time, &command.signed))),
                Payload::Membership(membership) => {
                    place.membership = StoredMembership::new(Some(entry.log_id), membership);
                }
            }
            place.applied = Some(entry.log_id);
            let numbered = answer.0.is_some_and(|applied| applied.is_new);
            if idle && numbered && batch.state().is_snapshot_due() {
                let meta = SnapshotMeta { last_log_id: place.applied, last_membership: place.membership.clone() };
                place.due = Some(Due { meta, state: batch.state().clone() });
            }
            if let Some(responder) = responder {
                answers.push((responder, answer));
            }
        }
        let row = position(&place, batch.state());
        let due = idle && place.due.is_some();
        drop(place);
        batch.finish(row)?;
        for (responder, answer) in answers {
            responder.send(answer);
        }
        if due {
            self.due.notify_one();
        }
        Ok(())
    }
}

fn position(place: &Position, state: &RegisterState) -> Vec<u8> {
    let meta = SnapshotMeta { last_log_id: place.applied, last_membership: place.membership.clone() };
    StoredPosition {
        meta: Some(convert::meta_to(&meta)),
        number: state.number(),
        head: Bytes::copy_from_slice(state.head().as_bytes()),
    }
    .encode_to_vec()
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Carried;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let place = self.lock();
        Ok((place.applied, place.membership.clone()))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let entries = entries.try_collect().await?;
        self.apply_all(entries)
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Self> {
        let state = self.chain.raft_state();
        let mut place = self.lock();
        if place.due.is_none() && force {
            let meta = SnapshotMeta { last_log_id: place.applied, last_membership: place.membership.clone() };
            place.due = state.map(|state| Due { meta, state });
        }
        (place.due.is_some() || force).then(|| self.clone())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, carried: Carried) -> io::Result<()> {
        let state = carried.handle.state.clone();
        let encoding = state.clone();
        let encoded = tokio::task::spawn_blocking(move || snapshot::encode(&encoding)).await?;
        let next = Position {
            retired: false,
            applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
            due: None,
            current: Some((meta.clone(), Arc::clone(&carried.handle))),
            proven: carried.proof.map(|proof| Proven {
                meta: meta.clone(),
                handle: Arc::clone(&carried.handle),
                proof,
            }),
        };
        let _slot = self.slot.lock().await;
        self.in_use()?;
        let row = position(&next, &state);
        let header = stored_header(meta, &encoded);
        self.chain.store_snapshot(Slot::Raft, header, &encoded.items, Some(row)).await?;
        *self.lock() = next;
        self.chain.installed_by_raft(carried.handle);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.to_send())
    }
}

impl RaftSnapshotBuilder<TypeConfig> for StateMachine {
    type SnapshotData = Carried;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let Some(Due { meta, state }) = self.lock().due.clone() else { return self.newer() };
        let encoding = state.clone();
        let encoded = tokio::task::spawn_blocking(move || snapshot::encode(&encoding)).await?;
        let _slot = self.slot.lock().await;
        self.in_use()?;
        if self.lock().current.as_ref().is_some_and(|(newer, _)| newer.last_log_id >= meta.last_log_id) {
            return self.newer();
        }
        self.chain.store_snapshot(Slot::Raft, stored_header(&meta, &encoded), &encoded.items, None).await?;
        let handle = Arc::new(SnapshotHandle { state, mark: encoded.mark });
        {
            let mut place = self.lock();
            place.due = None;
            place.current = Some((meta.clone(), Arc::clone(&handle)));
        }
        self.chain.taken_by_raft(Arc::clone(&handle));
        Ok(Snapshot { meta, snapshot: Carried { handle, proof: None } })
    }
}

impl StateMachine {
    /// What a build ends with when a newer snapshot was installed meanwhile: that one. An error would stop Raft for good;
    /// openraft passes over a snapshot that it knows.
    fn newer(&self) -> io::Result<Snapshot> {
        let (meta, handle) = self.current().ok_or_else(|| io::Error::other("no snapshot is due"))?;
        self.lock().due.take_if(|due| due.meta.last_log_id <= meta.last_log_id);
        Ok(Snapshot { meta, snapshot: Carried { handle, proof: None } })
    }
}

fn stored_header(meta: &SnapshotMeta, encoded: &snapshot::Encoded) -> Vec<u8> {
    StoredSnapshot { header: Some(encoded.header.clone()), meta: Some(convert::meta_to(meta)) }.encode_to_vec()
}
