//! What comes in from others: followed changes, snapshots, beats, overlay statements.

use std::sync::Arc;

use bytes::Bytes;
use havenlink_proto::directory::v1::{Change, SnapshotHeader};
use havenlink_proto::store::v1::{StoredOverlay, StoredSnapshot};
use prost::Message;

use super::{Chain, Core, Link, ahead, applied, load};
use crate::disk::{Slot, Write};
use crate::domain::directory::Position;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::error::Error;
use crate::snapshot_handle::SnapshotHandle;
use crate::state::{RegisterState, entry_time_fits};
use crate::{beats, overlay, snapshot};

/// A snapshot that holds together and that a majority of its stewards signed.
pub struct Verified {
    pub handle: SnapshotHandle,
    /// Their beats.
    pub proof: Vec<Bytes>,
    pub header: SnapshotHeader,
    pub items: Bytes,
}

impl Chain {
    /// Takes followed changes into the newest state: each is applied here, and must come to the outcome that it was
    /// sent with. Answers with a state to take a snapshot of, when one was passed.
    ///
    /// # Errors
    /// `CHANGES_GONE` when a number is missing, `HEAD_MISMATCH` when an outcome differs, `ENTRY_TIME_INVALID` when times run
    /// backwards or too many lie ahead of this clock without a majority's word, `RULES_TOO_OLD`.
    pub fn follow(&self, changes: Vec<Change>) -> Result<Option<RegisterState>, Error> {
        let now = self.clock.now();
        let mut core = self.lock();
        core.ahead.compare(&changes);
        if core.ahead.awaits(&core.best) {
            return Ok(None);
        }
        let mut state = core.ahead.end(&core.best).unwrap_or(&core.best).clone();
        let mut writes = Vec::with_capacity(changes.len());
        let mut refused = None;
        let mut due = None;
        let (known, mut best) = (state.number(), core.best.clone());
        for change in changes.into_iter().skip_while(|change| change.number <= known) {
            if let Some(rules) = state.stopped() {
                refused = Some(Error::new(Reason::RulesTooOld, format!("rules version {rules}")));
                break;
            }
            let entry_time = UnixMs(change.entry_time_ms);
            if entry_time < state.entry_time() || core.ahead.len() >= ahead::MOST {
                let detail = format!("change {} at {entry_time}", change.number);
                refused = Some(Error::new(Reason::EntryTimeInvalid, detail));
                break;
            }
            let waits = core.ahead.end(&best).is_some() || !entry_time_fits(state.entry_time(), entry_time, now);
            let mut next = state.clone();
            let applied = next.apply(entry_time, &change.signed, &self.verified);
            if change.number != state.number() + 1 {
                refused =
                    Some(Error::new(Reason::ChangesGone, format!("change {} after {}", change.number, state.number())));
            } else if applied.taken() != Some(change.number) || applied.outcome.code() != change.outcome {
                refused = Some(Error::new(Reason::HeadMismatch, format!("change {}", change.number)));
            }
            if refused.is_some() {
                break;
            }
            state = next;
            if waits {
                let link = Link { change, head: state.head() };
                core.ahead.push(&best, state.clone(), link);
                continue;
            }
            best = state.clone();
            core.beats.note_own(state.number(), state.head());
            if state.is_snapshot_due() {
                due = Some(state.clone());
            }
            let link = Link { change, head: state.head() };
            writes.push(link.row());
            core.keep(link);
        }
        core.best = best;
        let (confirmed, passed) = core.confirm(now);
        writes.extend(confirmed);
        due = passed.or(due);
        if core.ahead.len() > 0 {
            havenlink_runtime::repeated!(warn; items = core.ahead.len(), "changes lie ahead of this clock and wait for a majority of stewards");
        }
        if !writes.is_empty() {
            self.disk.submit(writes, true, None)?;
            // What stewards said about these numbers may have come before them.
            self.judge_own(&mut core)?;
            self.publish(&mut core);
        }
        // A node that runs Raft takes its snapshots there, unless it is behind what it follows.
        let due = due.filter(|due| core.raft.as_ref().is_none_or(|raft| raft.position() < due.position()));
        drop(core);
        refused.map_or(Ok(due), Err)
    }

    /// Verifies a snapshot that another member sent, stores it and takes it for the newest state, if it is newer.
    ///
    /// # Errors
    /// `SNAPSHOT_INVALID` when it does not verify, or no majority of stewards has signed it.
    pub async fn install(self: &Arc<Self>, header: SnapshotHeader, items: Bytes) -> Result<(), Error> {
        let chain = Arc::clone(self);
        let verified = tokio::task::spawn_blocking(move || chain.verify_snapshot(header, items)).await;
        let Verified { handle, proof, header, items } = verified.map_err(|_| Error::from(Reason::Internal))??;
        if handle.state.position() <= self.state().position() {
            return Ok(());
        }
        self.store_snapshot(Slot::Mirror, stored_header(&header), &items, None).await?;
        let mut core = self.lock();
        if handle.state.position() > core.best.position() {
            core.beats.note_own(handle.mark.number, handle.mark.head);
            core.best = handle.state.clone();
            core.recent.clear();
            let handle = Arc::new(handle);
            core.proven = Some((Arc::clone(&handle), proof));
            self.took(&mut core, handle);
            self.publish(&mut core);
        }
        Ok(())
    }

    /// A snapshot from others: what it says was decided it proves, and a majority of its stewards signed it.
    ///
    /// # Errors
    /// `SNAPSHOT_INVALID`.
    pub fn verify_snapshot(&self, header: SnapshotHeader, items: Bytes) -> Result<Verified, Error> {
        let invalid = |error: snapshot::Error| Error::new(error.reason(), error.to_string());
        let newest = self.lock().judged_by();
        // A snapshot below what is known here cannot continue it; it is then judged on its own.
        let place = Position { founding: header.founding, number: header.number };
        let known = (place >= newest.position()).then_some(&newest);
        let federation = self.view.load().federation;
        let opened = snapshot::open(&federation, &header, &items, known, &self.verified).map_err(invalid)?;
        let mark = opened.mark();
        let (state, proof) = opened.by_majority(&newest, &self.verified).map_err(invalid)?;
        Ok(Verified { handle: SnapshotHandle { state, mark }, proof, header, items })
    }

    /// Stores a snapshot of a state that was passed while following, if it still is on the way to the newest one: what was
    /// followed may have gone while it was encoded, and what stands in the slot is what the node starts from.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep_snapshot(&self, state: RegisterState) -> Result<(), Error> {
        let encoding = state.clone();
        let encoded = tokio::task::spawn_blocking(move || snapshot::encode(&encoding)).await;
        let encoded = encoded.map_err(|_| Error::from(Reason::Internal))?;
        let row = applied::stored(Slot::Mirror, stored_header(&encoded.header), &encoded.items);
        // Asked and queued under one lock: whoever lets go of it later drops it behind it in the queue.
        let mut core = self.lock();
        let newer = core.snapshot.as_ref().is_some_and(|kept| kept.mark.number >= state.number());
        if newer || core.own_head(state.number()) != Some(state.head()) {
            return Ok(());
        }
        self.disk.submit(vec![row], true, None)?;
        self.took(&mut core, Arc::new(SnapshotHandle { state, mark: encoded.mark }));
        Ok(())
    }

    /// Takes in a beat; whether it was new.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn accept_beat(&self, signed: &Bytes) -> Result<bool, Error> {
        let now = self.clock.now();
        let opened = beats::open(signed)?;
        if let Some(new) = self.accept_awaited(&opened, signed)? {
            return Ok(new);
        }
        let best = {
            let core = self.lock();
            if !core.beats.look(&opened, &core.best, now)? && !self.proves_more(&core, &opened.beat) {
                return Ok(false);
            }
            core.judged_by()
        };
        // Consensus does not wait for a signature that somebody made up: what holds is remembered for the look under the lock.
        opened.check(&best, &self.verified)?;
        let mut core = self.lock();
        let best = core.judged_by();
        let new = core.beats.accept(signed, &best, now, &self.verified)?;
        let proves = self.proves_more(&core, &opened.beat);
        if new || proves {
            self.keep_beat(&mut core, &opened.beat, signed)?;
        }
        if new {
            let (confirmed, _) = core.confirm(now);
            if !confirmed.is_empty() {
                self.disk.submit(confirmed, true, None)?;
            }
            self.weigh(&mut core, opened.beat.number)?;
            self.judge_own(&mut core)?;
            self.publish(&mut core);
            self.heard.send_modify(|count| *count += 1);
        }
        Ok(new || proves)
    }

    /// Compares what stewards said at a number with the head that is here, also where memory does not reach back to.
    fn weigh(&self, core: &mut Core, number: u64) -> Result<(), Error> {
        if number > core.best.number() {
            return Ok(());
        }
        let own = match core.own_head(number) {
            Some(head) => Some(head),
            None => load::links(&self.disk, number, 1)?.first().filter(|l| l.change.number == number).map(|l| l.head),
        };
        if let Some(own) = own {
            core.beats.weigh(number, own);
        }
        Ok(())
    }

    /// Lets go of what was followed, if a majority of stewards contradicts it, each wherever it last beat: whoever it came
    /// from lied. The fork stays on record, with the beats that prove it.
    fn judge_own(&self, core: &mut Core) -> Result<(), Error> {
        let certain = core.agreed_number(&self.verified);
        let Some(number) = core.beats.outvoted(&core.best, certain) else { return Ok(()) };
        let agreed = core.agreed(&self.verified)?;
        havenlink_runtime::repeated!(error;
            number,
            first = agreed.number(),
            "a majority of stewards has signed another order than the one followed"
        );
        let mut writes = vec![Write::DropChangesFrom(agreed.number() + 1)];
        writes.extend(core.drop_snapshot_above(agreed.number()));
        self.disk.submit(writes, true, None)?;
        core.recent.clear();
        core.beats.forget_own_above(agreed.number());
        core.best = agreed;
        core.misled += 1;
        Ok(())
    }

    /// Takes in an emergency suspension: judged, on disk, then acting. Whether it was new.
    ///
    /// # Errors
    /// Why it does not count, or that it could not be stored.
    pub async fn accept_overlay(&self, signed: &Bytes) -> Result<bool, Error> {
        let now = self.clock.now();
        // Sets are cheap to clone: signatures are verified without the lock.
        let (overlay, best) = {
            let core = self.lock();
            (core.overlay.clone(), core.judged_by())
        };
        let Some(entry) =
            overlay.judge(signed, &best, now, &self.verified).map_err(|r| self.told_by_withdrawn(signed, r))?
        else {
            return Ok(false);
        };
        self.disk.write(vec![Write::Overlay(entry.id.0, stored_overlay(&entry))]).await?;
        let mut core = self.lock();
        // Others came in while it was written: a steward's one use is counted once, however many are sent at a time.
        match core.overlay.judge(signed, &core.judged_by(), now, &self.verified) {
            Ok(Some(entry)) => core.overlay.insert(entry),
            Ok(None) => return Ok(false),
            Err(reason) => {
                self.disk.submit(vec![Write::DropOverlay(entry.id.0)], false, None)?;
                return Err(reason.into());
            }
        }
        self.publish(&mut core);
        self.heard.send_modify(|count| *count += 1);
        Ok(true)
    }

    /// Takes in a suspension of a steward that waits for a second signature. Whether it was new.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn accept_awaiting_countersignature(&self, signed: &Bytes) -> Result<bool, Error> {
        let now = self.clock.now();
        let best = {
            let core = self.lock();
            if core.awaiting_countersignature.holds(signed) {
                return Ok(false);
            }
            core.judged_by()
        };
        // As for beats: signatures are verified without the lock, and remembered.
        overlay::read(signed, &best, now, &self.verified)?;
        let mut core = self.lock();
        let best = core.judged_by();
        let Core { awaiting_countersignature, overlay, .. } = &mut *core;
        Ok(awaiting_countersignature.take(signed, overlay, &best, now, &self.verified)?)
    }

    /// Forgets overlay statements that can neither act nor count any more, and orders that nobody can sign any more.
    ///
    /// # Errors
    /// When the file's writer has ended.
    pub fn forget_overlay(&self) -> Result<(), Error> {
        let (now, confirmed) = (self.clock.now(), self.confirmed_time());
        let mut core = self.lock();
        let Core { awaiting_countersignature, overlay, best, .. } = &mut *core;
        awaiting_countersignature.forget(best, now);
        // What denied somebody is gone for good: not by a clock that may be ahead.
        let gone = confirmed.map(|confirmed| overlay.forget(confirmed)).unwrap_or_default();
        if gone.is_empty() {
            return Ok(());
        }
        self.publish(&mut core);
        let writes = gone.into_iter().map(|id| Write::DropOverlay(id.0)).collect();
        Ok(self.disk.submit(writes, false, None)?)
    }
}

pub(super) fn stored_header(header: &SnapshotHeader) -> Vec<u8> {
    StoredSnapshot { header: Some(header.clone()), meta: None }.encode_to_vec()
}

fn stored_overlay(entry: &overlay::Entry) -> Vec<u8> {
    StoredOverlay {
        id: Bytes::copy_from_slice(entry.id.as_bytes()),
        subject: entry.subject.to_string(),
        stewards: entry.stewards.iter().map(ToString::to_string).collect(),
        time_ms: entry.time.0,
        first_seen_ms: entry.first_seen.0,
        signed: entry.signed.clone(),
    }
    .encode_to_vec()
}
