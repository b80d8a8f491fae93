//! Following a founding: back to its base, and from there on its own line (9.15).
//!
//! What stands above the base is kept, and is proposed again; the log, the vote and the snapshots of the order that has ended
//! go. All of it is one commit: a node that ends in between stands before it or after it.

use std::sync::MutexGuard;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::proofs::Proofs;
use super::{Chain, Core, Link, applied, kept, load};
use crate::disk::{Kept, Meta, Slot, Write};
use crate::domain::directory::Position;
use crate::domain::ids::{AuthorityId, Digest, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::domain::time::UnixMs;
use crate::error::Error;
use crate::refounding::{self, Base, Judged, Known, Next, Readable, Said, SetInForce, WithoutProof};
use crate::rotations;
use crate::snapshot;
use crate::snapshot_handle::SnapshotHandle;
use crate::state::{Change, RegisterState};

/// What became of a founding that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learnt {
    /// It was known, with all of these signatures.
    Known,
    New,
    /// Its base lies ahead of this clock: it waits for the beats of those whom it makes stewards.
    Awaited,
}

/// A founding that some of its founders have not signed yet.
#[derive(Clone, Debug)]
pub struct Pending {
    pub judged: Judged,
    /// The encoded `Signed`, with the signatures that there are.
    pub signed: Bytes,
    /// The register at its base.
    pub there: RegisterState,
}

/// What is left of Raft when its order ends here.
pub struct EndedOrder {
    /// Forgets log and vote, and has the Raft id of the next enrolment.
    pub rows: Vec<Write>,
    /// Statements of the log that were not applied.
    pub unapplied: Vec<Bytes>,
}

/// A founding that is to be followed, made on its base.
struct Made {
    state: RegisterState,
    link: Link,
    left: RegisterState,
    above: Vec<Bytes>,
}

impl Chain {
    /// Takes in a founding that counts, complete or not.
    ///
    /// # Errors
    /// Why it does not count; `CHANGES_GONE` where its base is not here yet.
    pub async fn learn_founding(&self, signed: &Bytes) -> Result<Learnt, Error> {
        if self.lock().kept.foundings.all().any(|(_, _, known)| known == signed) {
            return Ok(Learnt::Known);
        }
        // What is queued is read back below.
        self.disk.write(Vec::new()).await?;
        let row = {
            let mut core = self.lock();
            let judged = match self.judged(&core, signed) {
                Ok((judged, _)) => judged,
                Err(Reason::ChangesGone) if self.awaits_founding(&mut core, signed)? => return Ok(Learnt::Awaited),
                Err(reason) => return Err(reason.into()),
            };
            if !judged.missing.is_empty() && self.clock.now() > judged.not_after {
                return Err(Error::new(Reason::RefoundingInvalid, "not signed by all in time"));
            }
            let Some((id, merged)) = core.kept.foundings.add(signed) else { return Ok(Learnt::Known) };
            kept::founding(&id, &merged)
        };
        self.disk.write(vec![row]).await?;
        Ok(Learnt::New)
    }

    /// Works out what follows from the foundings that are known. `Some`: this one is to be followed now.
    pub fn settle(&self) -> Option<Bytes> {
        let mut core = self.lock();
        let counts = |signed: &Bytes| self.judged(&core, signed).is_ok_and(|(judged, _)| judged.missing.is_empty());
        let next = core.kept.foundings.next(core.best.founding(), counts);
        let (contested, next) = match next {
            Next::Stay => (Vec::new(), None),
            Next::Take(signed) => (Vec::new(), Some(signed)),
            Next::Contested(ids) => (ids, None),
        };
        if core.kept.contested != contested {
            core.kept.contested = contested;
            self.publish(&mut core);
        }
        next
    }

    /// A person decided for one of those that stand against each other.
    ///
    /// # Errors
    /// `NOT_FOUND` for one that is not known; when it cannot be written.
    pub async fn choose_founding(&self, id: StatementId) -> Result<(), Error> {
        if self.lock().kept.foundings.get(&id).is_none() {
            return Err(Error::new(Reason::ProposalUnknown, id.to_string()));
        }
        self.disk.write(vec![Write::Keep(Kept::Chosen, id.as_bytes().to_vec(), Vec::new())]).await?;
        self.lock().kept.foundings.choose(id);
        Ok(())
    }

    /// Goes back to the base of a founding that counts, and on from there. No Raft instance runs here meanwhile.
    ///
    /// # Errors
    /// Why it does not count, or that it cannot be written.
    pub async fn begin_anew(&self, signed: &Bytes, ended: EndedOrder) -> Result<(), Error> {
        let EndedOrder { mut rows, unapplied } = ended;
        loop {
            let made = self.made(&self.lock(), signed)?;
            let state = made.state.clone();
            let encoded = tokio::task::spawn_blocking(move || snapshot::encode(&state)).await;
            let encoded = encoded.map_err(|_| Error::from(Reason::Internal))?;
            let (sender, written) = oneshot::channel();
            {
                let mut core = self.lock();
                // Somebody else's changes came in meanwhile: they belong to what stands above.
                if core.best.position() != made.left.position() {
                    continue;
                }
                let position = made.state.position();
                let mut writes = vec![
                    Write::DropChangesFrom(position.number),
                    made.link.row(),
                    Write::DropSnapshot(Slot::Mirror),
                    applied::stored(Slot::Founding, super::mirrored::stored_header(&encoded.header), &encoded.items),
                    Write::DropAllKept(Kept::Beat),
                    Write::Unset(Meta::Offered),
                ];
                writes.append(&mut rows);
                for signed in made.above.iter().chain(&unapplied) {
                    writes.extend(core.kept.put_above(signed));
                }
                writes.extend(core.kept.note_denied(&made.left, &made.state));
                writes.extend(core.kept.saw(SetInForce::of(&made.left)));
                let done: crate::disk::Done = Box::new(move |result| drop(sender.send(result)));
                self.disk.submit(writes, true, Some(done))?;
                core.stand_on(made, encoded.mark);
                self.snapshots.send_replace(position.number);
                self.publish(&mut core);
                self.hear_nobody_else();
            }
            written.await.map_err(|_| Error::from(Reason::StorageFailed))??;
            return Ok(());
        }
    }

    /// Durably leaves Raft, before the signature under this founding goes out; what is not applied yet is proposed again later.
    /// The register at the base is kept as a snapshot: the log's own goes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn pledge(
        &self,
        (founding, id): (u64, StatementId),
        signed: &Bytes,
        there: &RegisterState,
        ended: EndedOrder,
    ) -> Result<(), Error> {
        let EndedOrder { rows, unapplied } = ended;
        let encoding = there.clone();
        let encoded = tokio::task::spawn_blocking(move || snapshot::encode(&encoding)).await;
        let encoded = encoded.map_err(|_| Error::from(Reason::Internal))?;
        let mut writes = {
            let mut core = self.lock();
            unapplied.iter().filter_map(|signed| core.kept.put_above(signed)).collect::<Vec<_>>()
        };
        writes.push(kept::pledge(founding, &id));
        writes.push(kept::founding(&id, signed));
        writes.push(applied::stored(Slot::Mirror, super::mirrored::stored_header(&encoded.header), &encoded.items));
        writes.push(Write::Unset(Meta::Offered));
        writes.extend(rows);
        self.disk.write(writes).await?;
        let mut core = self.lock();
        core.kept.pledged = Some((founding, id));
        core.kept.foundings.add(signed);
        (core.raft, core.raft_snapshot) = (None, None);
        core.snapshot = Some(SnapshotHandle { state: there.clone(), mark: encoded.mark }.into());
        self.publish(&mut core);
        Ok(())
    }

    /// Whether a signature under a founding above the one that is followed went out: then nothing is ordered here.
    pub fn has_left(&self) -> bool {
        let core = self.lock();
        let left = core.kept.pledged.is_some_and(|(founding, _)| founding > core.best.position().founding);
        left || !core.kept.contested.is_empty()
    }

    /// Foundings that stand against each other.
    pub fn contested(&self) -> Vec<StatementId> {
        self.lock().kept.contested.clone()
    }

    /// Whether a founding of this id was told here.
    pub fn knows_founding(&self, id: &[u8]) -> bool {
        let id = StatementId::from_slice(id);
        id.is_some_and(|id| self.lock().kept.foundings.get(&id).is_some())
    }

    /// The founding that was signed here last.
    pub fn pledged(&self) -> Option<(u64, StatementId)> {
        self.lock().kept.pledged
    }

    /// The time of the founding that the line stands on.
    pub fn founded_at(&self) -> Option<UnixMs> {
        let core = self.lock();
        let here = core.best.founding();
        let change = core.best.stewards_changes().iter().find(|change| change.number == here.at)?;
        Some(change.entry_time)
    }

    /// The highest founding that this node has anything to do with.
    pub fn highest_founding(&self) -> u64 {
        let core = self.lock();
        core.kept.highest(&core.best)
    }

    /// The newest version of the stewards that is known here, on any line.
    pub fn newest_set_version(&self) -> u64 {
        let core = self.lock();
        let here = SetInForce::of(&core.best).version;
        core.kept.sets.iter().map(|set| set.version).fold(here, u64::max)
    }

    /// The highest founding above the one that is followed that some have still to sign, and that still counts.
    pub fn pending_founding(&self) -> Option<Pending> {
        let core = self.lock();
        let (here, now) = (core.best.position().founding, self.clock.now());
        let above = core.kept.foundings.all().filter(|(founding, ..)| *founding > here);
        above.map(|(_, _, signed)| signed.clone()).find_map(|signed| {
            let (judged, there) = self.judged(&core, &signed).ok()?;
            (!judged.missing.is_empty() && now <= judged.not_after).then_some(Pending { judged, signed, there })
        })
    }

    /// Foundings above one, as they are told to others: the one that is followed first.
    pub fn foundings_above(&self, founding: u64) -> Vec<Bytes> {
        let core = self.lock();
        let here = core.best.founding();
        let followed = core.best.stewards_changes().iter().find(|change| change.number == here.at);
        let followed = followed.filter(|_| here.founding > founding).map(|change| change.signed.clone());
        let known = core.kept.foundings.all().filter(|(above, id, _)| *above > founding && Some(*id) != here.by);
        followed.into_iter().chain(known.map(|(_, _, signed)| signed.clone())).collect()
    }

    /// How far the line here is proved, for these founders; where nothing above its beginning is, and that is wanted, its beginning.
    ///
    /// # Errors
    /// `REFOUNDING_UNPROVED`.
    pub async fn base(&self, founders: &[AuthorityId], without: WithoutProof) -> Result<Base, Error> {
        self.disk.write(Vec::new()).await?;
        let core = self.lock();
        let newest = core.beats.newest().map(|(beat, bytes)| (beat.clone(), bytes.clone()));
        let beats: Vec<Said> = newest.chain(core.kept.proofs.all().cloned()).collect();
        let head_at = |number| self.head_in(&core, number);
        let place = |number| Position { founding: core.best.position().founding, number };
        let state_at = |number| self.state_at(&core, place(number));
        let base = refounding::proved(&core.best, &beats, founders, head_at, state_at);
        match (base, without) {
            (Some(base), _) => Ok(base),
            (None, WithoutProof::Refuse) => Err(Reason::RefoundingUnproved.into()),
            (None, WithoutProof::FromBeginning) => Ok(Base { there: core.beginning()?, proof: Vec::new() }),
        }
    }

    /// Rotations of keys that the register at a base does not have: those that were ordered above it, and withdrawals.
    pub fn rotations_since(&self, base: Position) -> Vec<Bytes> {
        let core = self.lock();
        let above = (base.number + 1..=core.best.number()).filter_map(|number| self.link_at(&core, number));
        let accepted = above.filter(|link| Outcome::from_code(link.change.outcome).is_some_and(Outcome::is_accepted));
        let ordered = accepted.map(|link| link.change.signed).chain(core.kept.above.values().cloned());
        let told = core.kept.withdrawn.stated().map(|(_, signed)| signed.clone());
        ordered.chain(told).filter(|signed| matches!(rotations::open(signed), Ok(Some(_)))).collect()
    }

    /// Changes of the line here that stand above a base.
    pub fn count_above(&self, base: Position) -> u64 {
        self.number().saturating_sub(base.number)
    }

    /// Statements from above a base that the new line has not decided yet.
    pub fn above(&self) -> Vec<(u64, Bytes)> {
        self.lock().kept.above.iter().map(|(place, signed)| (*place, signed.clone())).collect()
    }

    /// One of them was decided. After the last one nothing is denied by them any more.
    ///
    /// # Errors
    /// When the file's writer has ended.
    pub fn decided_above(&self, place: u64) -> Result<(), Error> {
        let mut core = self.lock();
        core.kept.above.remove(&place);
        let mut writes = vec![Write::DropKept(Kept::Above, place.to_be_bytes().to_vec())];
        if core.kept.above.is_empty() && !core.kept.denied.is_empty() {
            core.kept.denied.clear();
            writes.push(Write::DropAllKept(Kept::Denied));
            self.publish(&mut core);
        }
        Ok(self.disk.submit(writes, true, None)?)
    }

    /// Judges a founding by what is known here, on the register at its base.
    fn judged(&self, core: &Core, signed: &Bytes) -> Result<(Judged, RegisterState), Reason> {
        let read = refounding::readable(signed).ok_or(Reason::StatementMalformed)?;
        let mut sets = core.kept.sets.clone();
        sets.push(SetInForce::of(&core.best));
        let head_at = |number| self.head_in(core, number);
        let withdrawn = &core.kept.withdrawn;
        let known = Known { newest: &core.best, sets: &sets, head_at: &head_at, withdrawn };
        if let Some(there) = self.base_here(core, &read) {
            return Ok((refounding::judge(&there, signed, &known, &self.verified)?, there));
        }
        let here = core.best.founding();
        if here.by.is_none() || read.founding > here.founding {
            return Err(Reason::ChangesGone);
        }
        // Its line is not here any more, and it stands against the one that is: judged where that one began.
        let before = Position { founding: read.base.founding, number: here.at.saturating_sub(1) };
        let there = self.state_at(core, before).ok_or(Reason::ChangesGone)?;
        Ok((refounding::judge_rival(&there, signed, &known, &self.verified)?, there))
    }

    fn base_here(&self, core: &Core, read: &Readable) -> Option<RegisterState> {
        if self.head_in(core, read.base.number) != Some(read.base_head) {
            return None;
        }
        self.state_at(core, read.base)
    }

    /// The register at a place of the line that is followed, as far as it can still be made.
    fn state_at(&self, core: &Core, place: Position) -> Option<RegisterState> {
        if place.number > core.best.number() {
            return None;
        }
        let handles = [&core.raft_snapshot, &core.snapshot, &core.kept.founded];
        let handles = handles.into_iter().flatten().map(|handle| handle.state.clone());
        let proven = core.proven.iter().map(|(handle, _)| handle.state.clone());
        let genesis = load::genesis(core.best.genesis_signed()).ok();
        let known = core.raft.iter().chain([&core.best]).cloned();
        let fits = |state: &RegisterState| {
            state.position().founding == place.founding && state.number() <= place.number && self.is_own(core, state)
        };
        let from = handles.chain(proven).chain(genesis).chain(known).filter(fits);
        let mut state = from.max_by_key(RegisterState::number)?;
        while state.number() < place.number {
            let next = self.link_at(core, state.number() + 1)?;
            load::again(&mut state, &next).ok()?;
        }
        Some(state)
    }

    fn is_own(&self, core: &Core, state: &RegisterState) -> bool {
        state.number() == 0 || self.head_in(core, state.number()).is_none_or(|head| head == state.head())
    }

    pub(super) fn head_in(&self, core: &Core, number: u64) -> Option<Digest> {
        if number == 0 {
            return Some(Digest(core.best.federation().0));
        }
        core.own_head(number).or_else(|| self.link_at(core, number).map(|link| link.head))
    }

    fn link_at(&self, core: &Core, number: u64) -> Option<Link> {
        let kept = core.recent.iter().rev().find(|link| link.change.number == number);
        if number > core.best.number() || kept.is_some() {
            return kept.cloned();
        }
        let links = load::links(&self.disk, number, 1).ok()?;
        links.into_iter().next().filter(|link| link.change.number == number)
    }

    fn made(&self, core: &MutexGuard<'_, Core>, signed: &Bytes) -> Result<Made, Error> {
        let (_, there) = self.judged(core, signed)?;
        let mut sets = core.kept.sets.clone();
        sets.push(SetInForce::of(&core.best));
        let head_at = |number| self.head_in(core, number);
        let withdrawn = &core.kept.withdrawn;
        let known = Known { newest: &core.best, sets: &sets, head_at: &head_at, withdrawn };
        let (state, change) = there.begin_anew(signed, &known, &self.verified)?;
        let accepted = |link: &Link| Outcome::from_code(link.change.outcome).is_some_and(Outcome::is_accepted);
        let above = (there.number() + 1..=core.best.number()).filter_map(|number| self.link_at(core, number));
        let above = above.filter(accepted).map(|link| link.change.signed);
        let above = above.filter(|signed| refounding::readable(signed).is_none()).collect();
        let head = state.head();
        let link = Link { change: sent(&change), head };
        Ok(Made { state, link, left: core.best.clone(), above })
    }

    /// Whoever was a steward of the order that has ended is not heard any more, however shortly before it was.
    fn hear_nobody_else(&self) {
        let gate = super::Gate::clone(&self.gate.load());
        self.gate.store(super::Gate { outgoing: None, ..gate }.into());
    }
}

impl Core {
    /// The line that is followed begins anew.
    fn stand_on(&mut self, made: Made, mark: crate::wire::beat::SnapshotMark) {
        let number = made.state.number();
        let handle = std::sync::Arc::new(SnapshotHandle { state: made.state.clone(), mark });
        while self.recent.back().is_some_and(|link| link.change.number >= number) {
            self.recent.pop_back();
        }
        self.keep(made.link);
        self.beats = crate::beats::Beats::default();
        self.beats.note_own(number, made.state.head());
        self.proven.take_if(|(proven, _)| proven.mark.number >= number);
        (self.raft, self.raft_snapshot) = (None, None);
        self.snapshot = Some(std::sync::Arc::clone(&handle));
        self.ahead = super::ahead::Ahead::default();
        self.best = made.state;
        self.kept.founded = Some(handle);
        self.kept.proofs = Proofs::default();
    }
}

fn sent(change: &Change) -> havenlink_proto::directory::v1::Change {
    let UnixMs(entry_time_ms) = change.entry_time;
    havenlink_proto::directory::v1::Change {
        number: change.number,
        entry_time_ms,
        signed: change.signed.clone(),
        outcome: change.outcome.code(),
    }
}
