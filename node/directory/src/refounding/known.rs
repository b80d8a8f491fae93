//! The foundings that are known here, and which of them is followed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use havenlink_proto::elements;
use havenlink_proto::record::v1::Signed;

use super::make;
use crate::domain::ids::StatementId;
use crate::state::Founding;

/// Foundings kept at most. Each was signed by a steward; who signs more than this has no further ones kept.
const MOST: usize = 64;

/// What follows from what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The line that is followed stays.
    Stay,
    /// This one is above it, and stands alone.
    Take(Bytes),
    /// These stand against each other: none is taken, and a person decides.
    Contested(Vec<StatementId>),
}

/// Every founding that is known here, complete or not; grow-only.
#[derive(Clone, Debug, Default)]
pub struct Foundings {
    all: BTreeMap<(u64, StatementId), Bytes>,
    /// What a person decided for, among those that stand against each other.
    chosen: BTreeSet<StatementId>,
}

impl Foundings {
    /// Takes one in whose signatures were verified, with whatever signatures it has more than the one that is kept; `Some`: what is kept now, where that is new.
    pub fn add(&mut self, signed: &Bytes) -> Option<(StatementId, Bytes)> {
        let read = make::readable(signed)?;
        let key = (read.founding, read.id);
        let merged = match self.all.get(&key) {
            None if self.all.len() >= MOST => return None,
            None => signed.clone(),
            Some(kept) => merged(kept, signed)?,
        };
        self.all.insert(key, merged.clone());
        Some((read.id, merged))
    }

    /// One of those that are known.
    pub fn get(&self, id: &StatementId) -> Option<&Bytes> {
        self.all.iter().find(|((_, known), _)| known == id).map(|(_, signed)| signed)
    }

    /// All, the highest first.
    pub fn all(&self) -> impl Iterator<Item = (u64, StatementId, &Bytes)> {
        self.all.iter().rev().map(|((founding, id), signed)| (*founding, *id, signed))
    }

    /// The highest number of any that is known.
    pub fn highest(&self) -> u64 {
        self.all.last_key_value().map_or(0, |((founding, _), _)| *founding)
    }

    /// A person decided for this one.
    pub fn choose(&mut self, id: StatementId) {
        self.chosen.insert(id);
    }

    /// What a person decided for.
    pub fn chosen(&self) -> impl Iterator<Item = &StatementId> {
        self.chosen.iter()
    }

    /// What follows for a line that `here` began. `counts`: whether one is complete, and counts by what is known here.
    pub fn next(&self, here: Founding, mut counts: impl FnMut(&Bytes) -> bool) -> Next {
        let mut rivals: BTreeMap<u64, Vec<(StatementId, &Bytes)>> = BTreeMap::new();
        for (founding, id, signed) in self.all().filter(|(founding, ..)| *founding >= here.founding.max(1)) {
            if here.by == Some(id) || counts(signed) {
                rivals.entry(founding).or_default().push((id, signed));
            }
        }
        let Some((top, mut rivals)) = rivals.pop_last() else { return Next::Stay };
        if top == here.founding
            && let Some(by) = here.by
            && rivals.iter().all(|(id, _)| *id != by)
        {
            // It is followed, and came with a snapshot.
            let others = rivals.iter().map(|(id, _)| *id);
            return self.against(others.chain([by]).collect(), by);
        }
        if rivals.iter().any(|(id, _)| self.chosen.contains(id)) {
            rivals.retain(|(id, _)| self.chosen.contains(id));
        }
        match rivals.as_slice() {
            [(id, _)] if here.by == Some(*id) => Next::Stay,
            [(_, signed)] => Next::Take((*signed).clone()),
            rivals => Next::Contested(rivals.iter().map(|(id, _)| *id).collect()),
        }
    }

    fn against(&self, mut rivals: Vec<StatementId>, here: StatementId) -> Next {
        rivals.sort_unstable();
        rivals.dedup();
        if rivals.len() < 2 || self.chosen.contains(&here) { Next::Stay } else { Next::Contested(rivals) }
    }
}

/// The signatures of both, in the order that the founders stand in; `None`: the other one adds none.
fn merged(kept: &Bytes, other: &Bytes) -> Option<Bytes> {
    let (mut ours, theirs) =
        (elements::decode::<Signed>(kept.clone()).ok()?, elements::decode::<Signed>(other.clone()).ok()?);
    let before = ours.signatures.len();
    for signature in theirs.signatures {
        if ours.signatures.iter().all(|known| known.key_id != signature.key_id) {
            ours.signatures.push(signature);
        }
    }
    (ours.signatures.len() > before).then(|| make::in_order(ours)).flatten()
}
