//! Changes whose time lies ahead of this node's clock: applied forward, and taken once they are confirmed (9.4).
//!
//! A clock that was wrong when something was ordered is no reason to follow nothing for as long as it was wrong. Who tells
//! a change of then from one that somebody dates ahead now are the stewards: beats of a majority, dated within this node's
//! own window, that name a head at or beyond it which this node computes itself.

use havenlink_proto::directory::v1::Change;

use super::{Chain, Core, Link};
use crate::disk::Write;
use crate::domain::ids::Digest;
use crate::domain::time::UnixMs;
use crate::error::Error;
use crate::state::{RegisterState, entry_time_fits};

/// Changes held at most until they are confirmed; a node that lacks more waits for a snapshot.
pub(super) const MOST: usize = 4_096;

/// Changes after the newest verified state that nobody has confirmed yet, each with the state after it.
#[derive(Default)]
pub(super) struct Ahead {
    after: Option<(u64, Digest)>,
    changes: Vec<(RegisterState, Link)>,
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
            (self.after, self.changes) = (after, Vec::new());
        }
        self.changes.push((state, link));
    }

    pub fn len(&self) -> usize {
        self.changes.len()
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
        let Ahead { after, mut changes } = std::mem::take(&mut self.ahead);
        if after != Some((self.best.number(), self.best.head())) {
            return (Vec::new(), None);
        }
        let heads: Vec<(u64, Digest)> = changes.iter().map(|(state, _)| (state.number(), state.head())).collect();
        // By the set before the change, which ordered it: nobody takes a beat of whoever it makes a steward.
        let before = |at: usize| at.checked_sub(1).map_or(&self.best, |before| &changes[before].0);
        let Some(mut last) = (0..changes.len()).rev().find(|at| self.beats.confirm(&heads[*at..], before(*at), now))
        else {
            self.ahead = Ahead { after, changes };
            return (Vec::new(), None);
        };
        while let [(before, _), (next, _)] = &changes[last..(last + 2).min(changes.len())]
            && entry_time_fits(before.entry_time(), next.entry_time(), now)
        {
            last += 1;
        }
        let rest = changes.split_off(last + 1);
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
        self.ahead = Ahead { after: Some((self.best.number(), self.best.head())), changes: rest };
        (writes, due)
    }
}

impl Chain {
    /// Whether this node's own register, however it came here, has this head at the number.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_head(&self, number: u64, head: Digest) -> Result<bool, Error> {
        Ok(self.number() >= number && self.head_at(number)? == Some(head))
    }
}
