//! What Raft does to the register: batches of applied entries, snapshots taken and installed.

use std::sync::{Arc, MutexGuard};

use bytes::Bytes;

use super::{Chain, Core, Link};
use crate::disk::{Meta, Slot, Write};
use crate::domain::reason::Reason;
use crate::domain::register::Applied;
use crate::domain::time::UnixMs;
use crate::error::Error;
use crate::snapshot;
use crate::snapshot_handle::{self, SnapshotHandle};
use crate::state::RegisterState;

/// Entries being applied by Raft: one lock, one commit, one swap of the view.
pub struct Batch<'a> {
    chain: &'a Chain,
    core: MutexGuard<'a, Core>,
    state: RegisterState,
    writes: Vec<Write>,
    replaced: bool,
}

impl Batch<'_> {
    /// Applies one statement.
    pub fn apply(&mut self, entry_time: UnixMs, signed: &Bytes) -> Applied {
        let applied = self.state.apply(entry_time, signed, &self.chain.verified);
        let (Some(number), Some(head)) = (applied.taken(), applied.head) else { return applied };
        let link = Link::new(entry_time, signed, &applied, head);
        self.writes.push(link.row());
        let followed = self.core.own_head(number);
        self.core.beats.note_own(number, head);
        let best = self.core.best.number();
        if number > best {
            self.core.keep(link);
            self.replaced = true;
        } else if followed.is_some_and(|followed| followed != head) {
            // What was followed is not what was agreed on. Both heads are on record as a fork; Raft's goes on here.
            havenlink_runtime::repeated!(error; number, "this node had followed another order of changes than the one agreed on");
            self.core.recent.clear();
            self.core.beats.forget_own_above(number);
            self.writes.push(Write::DropChangesFrom(number + 1));
            self.writes.extend(self.core.drop_snapshot_above(number));
            self.core.best = self.state.clone();
            self.replaced = true;
        }
        applied
    }

    /// The state so far.
    pub fn state(&self) -> &RegisterState {
        &self.state
    }

    /// Queues the rows together with the new position, and shows the new view.
    ///
    /// # Errors
    /// When the file's writer has ended.
    pub fn finish(mut self, position: Vec<u8>) -> std::io::Result<()> {
        let mut writes = std::mem::take(&mut self.writes);
        writes.push(Write::Set(Meta::Applied, position));
        self.chain.disk.submit(writes, false, None)?;
        if self.replaced {
            self.core.best = self.state.clone();
        }
        let moved = self.core.raft.as_ref().is_none_or(|raft| raft.number() != self.state.number());
        self.core.raft = Some(self.state);
        if moved {
            self.chain.publish(&mut self.core);
        }
        Ok(())
    }
}

impl Chain {
    /// Begins a batch of entries that Raft has committed. `None` on a node whose Raft was never opened.
    pub fn begin(&self) -> Option<Batch<'_>> {
        let core = self.lock();
        let state = core.raft.clone()?;
        Some(Batch { chain: self, core, state, writes: Vec::new(), replaced: false })
    }

    /// Raft's state was replaced by a verified snapshot that is on disk already.
    pub fn installed_by_raft(&self, handle: Arc<SnapshotHandle>) {
        let mut core = self.lock();
        let state = handle.state.clone();
        core.beats.note_own(state.number(), state.head());
        if state.position() >= core.best.position() {
            core.best = state.clone();
            core.recent.clear();
        }
        core.raft_snapshot = Some(Arc::clone(&handle));
        core.raft = Some(state);
        self.took(&mut core, handle);
        self.publish(&mut core);
    }

    /// Raft has taken a snapshot, and it is on disk.
    pub fn taken_by_raft(&self, handle: Arc<SnapshotHandle>) {
        let mut core = self.lock();
        core.raft_snapshot = Some(Arc::clone(&handle));
        self.took(&mut core, handle);
    }

    pub(super) fn took(&self, core: &mut Core, handle: Arc<SnapshotHandle>) {
        let newest = core.snapshot.as_ref().is_none_or(|kept| kept.mark.number <= handle.mark.number);
        if newest {
            let number = handle.mark.number;
            core.snapshot = Some(handle);
            self.snapshots.send_replace(number);
        }
    }

    /// Drops changes that nobody needs any more: those well below a snapshot that a majority has signed.
    ///
    /// # Errors
    /// When the file's writer has ended.
    pub fn forget_changes(&self) -> Result<(), Error> {
        let mut core = self.lock();
        self.note_proven(&mut core);
        let Some((handle, _)) = &core.proven else { return Ok(()) };
        let mut below = handle.mark.number.saturating_sub(core.best.policy().snapshot_interval);
        if core.raft.is_some() {
            below = below.min(core.raft_snapshot.as_ref().map_or(0, |handle| handle.mark.number));
        }
        if below <= core.dropped {
            return Ok(());
        }
        core.dropped = below;
        core.recent.retain(|link| link.change.number >= below);
        Ok(self.disk.submit(vec![Write::DropChangesBelow(below)], false, None)?)
    }

    /// Opens the state that Raft applies to, where its order began, if there is none yet.
    ///
    /// # Errors
    /// `RULES_TOO_OLD` when the register has moved beyond what this program knows.
    pub fn open_raft(&self) -> Result<(), Error> {
        let mut core = self.lock();
        if core.raft.is_none() {
            core.raft = Some(core.beginning()?);
        }
        let stopped = core.raft.as_ref().and_then(RegisterState::stopped);
        stopped.map_or(Ok(()), |rules| Err(Error::new(Reason::RulesTooOld, format!("rules version {rules}"))))
    }

    /// Replaces a slot's snapshot on disk and waits until it is there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn store_snapshot(
        &self,
        slot: Slot,
        header: Vec<u8>,
        items: &Bytes,
        position: Option<Vec<u8>>,
    ) -> std::io::Result<()> {
        let mut writes = vec![stored(slot, header, items)];
        writes.extend(position.map(|row| Write::Set(Meta::Applied, row)));
        self.disk.write(writes).await
    }
}

/// The row of a snapshot. One that is too large to be sent still is this node's own: it is only told.
pub(super) fn stored(slot: Slot, header: Vec<u8>, items: &Bytes) -> Write {
    drop(snapshot_handle::fits(items.len()));
    Write::Snapshot(slot, header, snapshot::chunks(items).map(|piece| piece.to_vec()).collect())
}
