//! What stewards said of how far the order has come, kept for longer than this process lives: the proof of a base (9.15).
//!
//! A machine of another line may speak under the same name, and later: what it says pushes out no proof of the line that is
//! followed here.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Chain, Core};
use crate::beats;
use crate::disk::{Disk, Kept, Write};
use crate::domain::ids::AuthorityId;
use crate::error::Error;
use crate::refounding::Said;
use crate::wire::beat::Beat;

/// Beats of the founding that is followed, of each steward at most two.
#[derive(Default)]
pub struct Proofs {
    newest: BTreeMap<AuthorityId, Said>,
    /// The newest one that names a head of the line that is followed, where the newest of all does not.
    standing: BTreeMap<AuthorityId, Said>,
}

/// Behind the authority's id, in the key of a row of `standing`: no id has this byte.
const STANDING: u8 = 0;

impl Proofs {
    /// Reads them back.
    pub fn open(disk: &Disk) -> Result<Self, Error> {
        let mut proofs = Self::default();
        for (key, signed) in disk.kept(Kept::Beat)? {
            let signed = Bytes::from(signed);
            let beat = beats::open(&signed)?.beat;
            let slot = if key.last() == Some(&STANDING) { &mut proofs.standing } else { &mut proofs.newest };
            slot.insert(beat.steward.clone(), (beat, signed));
        }
        Ok(proofs)
    }

    /// All, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Said> {
        self.newest.values().chain(self.standing.values())
    }

    /// What a steward said.
    pub fn of(&self, steward: &AuthorityId) -> impl Iterator<Item = &Beat> {
        [&self.newest, &self.standing].into_iter().filter_map(|slot| slot.get(steward)).map(|(beat, _)| beat)
    }

    /// Whether an older beat proves what nothing newer of this steward does. `stands`: whether one names a head of the line.
    fn is_missing(&self, beat: &Beat, stands: impl Fn(&Beat) -> bool) -> bool {
        let newer = |known: &Beat| known.time >= beat.time && stands(known);
        self.newest.contains_key(&beat.steward) && stands(beat) && !self.of(&beat.steward).any(newer)
    }

    /// Takes one in whose signature was verified; the rows to write.
    fn take(&mut self, beat: &Beat, signed: &Bytes, stands: impl Fn(&Beat) -> bool) -> Vec<Write> {
        let said = (beat.clone(), Bytes::copy_from_slice(signed));
        let steward = &beat.steward;
        let mut rows = Vec::new();
        match self.newest.get(steward) {
            Some((known, _)) if known.time >= beat.time => {
                if self.is_missing(beat, stands) {
                    rows.push(row(standing_key(steward), &said));
                    self.standing.insert(steward.clone(), said);
                }
            }
            before => {
                if let Some(before) = before.filter(|(known, _)| stands(known) && !stands(beat)) {
                    rows.push(row(standing_key(steward), before));
                    self.standing.insert(steward.clone(), before.clone());
                } else if stands(beat) && self.standing.remove(steward).is_some() {
                    rows.push(Write::DropKept(Kept::Beat, standing_key(steward)));
                }
                rows.push(row(key(steward), &said));
                self.newest.insert(steward.clone(), said);
            }
        }
        rows
    }

    /// Forgets what this steward said and does not count any more; the rows to write.
    pub fn forget(&mut self, steward: &AuthorityId, counts: impl Fn(&Bytes) -> bool) -> Vec<Write> {
        let mut rows = Vec::new();
        for (slot, key) in [(&mut self.newest, key(steward)), (&mut self.standing, standing_key(steward))] {
            if slot.get(steward).is_some_and(|(_, signed)| !counts(signed)) {
                slot.remove(steward);
                rows.push(Write::DropKept(Kept::Beat, key));
            }
        }
        rows
    }
}

fn key(steward: &AuthorityId) -> Vec<u8> {
    steward.as_str().as_bytes().to_vec()
}

fn standing_key(steward: &AuthorityId) -> Vec<u8> {
    [steward.as_str().as_bytes(), &[STANDING]].concat()
}

fn row(key: Vec<u8>, (_, signed): &Said) -> Write {
    Write::Keep(Kept::Beat, key, signed.to_vec())
}

impl Chain {
    /// Whether a beat that says nothing new proves what nothing newer does.
    pub(super) fn proves_more(&self, core: &Core, beat: &Beat) -> bool {
        core.best.is_steward(&beat.steward) && core.kept.proofs.is_missing(beat, |beat| self.stands(core, beat))
    }

    /// Remembers it for longer than this process lives, where it proves more than what is kept.
    pub(super) fn keep_beat(&self, core: &mut Core, beat: &Beat, signed: &Bytes) -> Result<(), Error> {
        let mut proofs = std::mem::take(&mut core.kept.proofs);
        let rows = proofs.take(beat, signed, |beat| self.stands(core, beat));
        core.kept.proofs = proofs;
        if rows.is_empty() { Ok(()) } else { Ok(self.disk.submit(rows, false, None)?) }
    }

    /// Beats that others may need as a proof and have not heard with the newest ones.
    pub fn kept_beats(&self) -> Vec<Bytes> {
        let core = self.lock();
        let heard: Vec<&Bytes> = core.beats.newest().map(|(_, signed)| signed).collect();
        let kept = core.kept.proofs.all().filter(|(_, signed)| !heard.contains(&signed));
        kept.map(|(_, signed)| signed.clone()).collect()
    }

    /// What a steward said last, if there is any of the line that is followed, that.
    pub fn last_said(&self, steward: &AuthorityId) -> Option<Beat> {
        let core = self.lock();
        let heard = core.beats.newest().map(|(beat, _)| beat).filter(|beat| beat.steward == *steward);
        let said = heard.chain(core.kept.proofs.of(steward));
        said.max_by_key(|beat| (self.stands(&core, beat), beat.time)).cloned()
    }

    fn stands(&self, core: &Core, beat: &Beat) -> bool {
        beat.founding == core.best.position().founding && self.head_in(core, beat.number) == Some(beat.head)
    }
}
