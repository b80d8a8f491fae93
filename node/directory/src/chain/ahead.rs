//! Changes whose time lies ahead of this node's clock: applied forward, and taken once they are confirmed (9.4).
//!
//! A clock that was wrong when something was ordered is no reason to follow nothing for as long as it was wrong. Who tells
//! a change of then from one that somebody dates ahead now are the stewards: beats of a majority, dated within this node's
//! own window, that name a head at or beyond it which this node computes itself. Where the order has begun anew since, nobody
//! beats for the one before: the founding is held as well, and its own stewards confirm it.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use havenlink_proto::directory::v1::Change;

use super::{Chain, Core, Link, kept};
use crate::beats;
use crate::disk::Write;
use crate::domain::ids::Digest;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::error::Error;
use crate::refounding::{self, Awaited, Known, SetInForce};
use crate::state::{RegisterState, entry_time_fits};

/// Changes held at most until they are confirmed; a node that lacks more waits for a snapshot.
pub(super) const MOST: usize = 4_096;

/// Changes after the newest verified state that nobody has confirmed yet, each with the state after it.
#[derive(Default)]
pub(super) struct Ahead {
    after: Option<(u64, Digest)>,
    changes: Vec<(RegisterState, Link)>,
    /// The founding that stands on one of them: nobody beats for the order before it any more.
    awaited: Option<Awaited>,
}

impl Ahead {
    /// The state after the last of them, if they follow on the newest verified one.
    pub fn end(&self, best: &RegisterState) -> Option<&RegisterState> {
        let fits = self.after == Some((best.number(), best.head()));
        self.changes.last().map(|(state, _)| state).filter(|_| fits)
    }

    pub fn push(&mut self, best: &RegisterState, state: RegisterState, link: Link) {
        let after = Some((best.number(), best.head()));
        if self.after != after {
            *self = Self { after, ..Self::default() };
        }
        self.changes.push((state, link));
    }

    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether a founding stands on them: what comes after it comes again.
    pub fn awaits(&self, best: &RegisterState) -> bool {
        self.awaited.is_some() && self.end(best).is_some()
    }

    /// The state after one of them.
    fn at(&self, number: u64) -> Option<&RegisterState> {
        let place = self.changes.binary_search_by_key(&number, |(state, _)| state.number());
        place.ok().map(|place| &self.changes[place].0)
    }

    /// Lets go of all when a source sends another change at the number of one of them: either made it up, and the beats
    /// that come name one of the two.
    pub fn compare(&mut self, sent: &[Change]) {
        let other = |(state, link): &(RegisterState, Link)| {
            // In their order, or nothing of it is taken anyway.
            let place = sent.binary_search_by_key(&state.number(), |change| change.number);
            place.is_ok_and(|place| sent[place] != link.change)
        };
        if self.changes.iter().any(other) {
            *self = Self::default();
        }
    }
}

impl Core {
    /// Takes what is confirmed, and what needs no confirmation behind it. Answers with the rows to write, and with a state
    /// to take a snapshot of, when one was passed.
    pub(super) fn confirm(&mut self, now: UnixMs) -> (Vec<Write>, Option<RegisterState>) {
        let Ahead { after, mut changes, awaited } = std::mem::take(&mut self.ahead);
        if after != Some((self.best.number(), self.best.head())) {
            return (Vec::new(), None);
        }
        let heads: Vec<(u64, Digest)> = changes.iter().map(|(state, _)| (state.number(), state.head())).collect();
        // By the set before the change, which ordered it: nobody takes a beat of whoever it makes a steward.
        let before = |at: usize| at.checked_sub(1).map_or(&self.best, |before| &changes[before].0);
        let Some(mut last) = (0..changes.len()).rev().find(|at| self.beats.confirm(&heads[*at..], before(*at), now))
        else {
            self.ahead = Ahead { after, changes, awaited };
            return (Vec::new(), None);
        };
        while let [(before, _), (next, _)] = &changes[last..(last + 2).min(changes.len())]
            && entry_time_fits(before.entry_time(), next.entry_time(), now)
        {
            last += 1;
        }
        let rest = changes.split_off(last + 1);
        let (writes, due) = self.take_over(changes);
        // One whose base was taken is met at its place.
        let awaited = awaited.filter(|awaited| awaited.base() > self.best.number());
        self.ahead = Ahead { after: Some((self.best.number(), self.best.head())), changes: rest, awaited };
        (writes, due)
    }

    /// They are the newest verified ones now.
    fn take_over(&mut self, changes: Vec<(RegisterState, Link)>) -> (Vec<Write>, Option<RegisterState>) {
        let (mut writes, mut due) = (Vec::with_capacity(changes.len()), None);
        for (state, link) in changes {
            self.beats.note_own(state.number(), state.head());
            writes.push(link.row());
            self.keep(link);
            if state.is_snapshot_due() {
                due = Some(state.clone());
            }
            self.best = state;
        }
        (writes, due)
    }

    /// What the founding that is waited for begins, without what withdrawn keys would prove.
    fn awaited_judge(&self, founding: u64) -> Option<RegisterState> {
        let awaited = self.ahead.awaited.as_ref().filter(|_| self.ahead.awaits(&self.best));
        let awaited = awaited.filter(|awaited| awaited.position().founding == founding)?;
        Some(awaited.begun.without_keys(&self.kept.withdrawn))
    }
}

impl Chain {
    /// Waits for a founding whose base lies ahead of this clock; whether its base is there. It is judged on what would be here.
    pub(super) fn awaits_founding(&self, core: &mut Core, signed: &Bytes) -> Result<bool, Reason> {
        let read = refounding::readable(signed).ok_or(Reason::StatementMalformed)?;
        let there = core.ahead.at(read.base.number).filter(|_| core.ahead.end(&core.best).is_some());
        let on_it = |there: &&RegisterState| there.position() == read.base && there.head() == read.base_head;
        let Some(there) = there.filter(on_it) else { return Ok(false) };
        if core.ahead.awaited.as_ref().is_some_and(|known| known.position().founding >= read.founding) {
            return Ok(true);
        }
        let mut sets = core.kept.sets.clone();
        sets.push(SetInForce::of(&core.best));
        let head_at = |number| core.ahead.at(number).map(RegisterState::head);
        let known = Known { newest: &core.best, sets: &sets, head_at: &head_at, withdrawn: &core.kept.withdrawn };
        match Awaited::judged(there, signed, &known, &self.verified) {
            Ok(awaited) => core.ahead.awaited = Some(awaited),
            // It is told again once it is complete.
            Err(Reason::RefoundingIncomplete) => return Ok(false),
            Err(reason) => return Err(reason),
        }
        Ok(true)
    }

    /// A beat of the line that the founding begins which is waited for. `None`: it is of another one. Once a majority has confirmed it,
    /// all up to its base is taken, and the founding is known: the caller follows it.
    pub(super) fn accept_awaited(&self, opened: &beats::Opened, signed: &Bytes) -> Result<Option<bool>, Error> {
        let now = self.clock.now();
        let Some(judge) = self.lock().awaited_judge(opened.beat.founding) else { return Ok(None) };
        opened.check(&judge, &self.verified)?;
        let mut core = self.lock();
        let Some(judge) = core.awaited_judge(opened.beat.founding) else { return Ok(None) };
        let Some(mut awaited) = core.ahead.awaited.take() else { return Ok(None) };
        let heard = awaited.hear(signed, &judge, now, &self.verified);
        if !awaited.is_confirmed(now) {
            core.ahead.awaited = Some(awaited);
            return Ok(Some(heard?));
        }
        let Ahead { mut changes, .. } = std::mem::take(&mut core.ahead);
        let base = awaited.base();
        changes.retain(|(state, _)| state.number() <= base);
        let (mut writes, _) = core.take_over(changes);
        if let Some((id, merged)) = core.kept.foundings.add(&awaited.signed) {
            writes.push(kept::founding(&id, &merged));
        }
        self.disk.submit(writes, true, None)?;
        self.publish(&mut core);
        self.founding_due.store(true, Ordering::Relaxed);
        Ok(Some(heard?))
    }

    /// Whether a founding was confirmed since this was asked last.
    pub fn founding_due(&self) -> bool {
        self.founding_due.swap(false, Ordering::Relaxed)
    }

    /// Whether this node's own register, however it came here, has this head at the number.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_head(&self, number: u64, head: Digest) -> Result<bool, Error> {
        Ok(self.number() >= number && self.head_at(number)? == Some(head))
    }
}
