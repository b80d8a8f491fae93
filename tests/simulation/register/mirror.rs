//! A mirror: what it takes of what it is sent, what it has after a crash, and whom it denies.

use std::collections::BTreeMap;

use bytes::Bytes;
use havenlink_directory::RegisterState;
use havenlink_directory::beats::Beats;
use havenlink_directory::overlay::{Entry, Overlay};
use havenlink_directory::refounding::{self, Awaited};
use havenlink_directory::state::entry_time_fits;
use havenlink_directory::{snapshot, statements};
use havenlink_domain::ids::{AuthorityId, Digest, StatementId};
use havenlink_domain::limits;
use havenlink_domain::time::{Millis, UnixMs};
use havenlink_wire::beat::Beat;

use super::{Link, Register};
use crate::Broken;

pub struct Mirror {
    n: usize,
    pub state: RegisterState,
    pub overlay: Overlay,
    pub beats: Beats,
    pub off: i64,
    /// The founding on a base ahead of its clock that it waits with.
    awaited: Option<Awaited>,
    /// On its disk: a snapshot, the changes after it, and the orders of the overlay.
    snapshot: snapshot::Encoded,
    changes: Vec<Link>,
    stored: Vec<Entry>,
    /// What it took into its overlay and may not lose: whom it is about, and when it was seen first.
    denies: BTreeMap<StatementId, (AuthorityId, UnixMs)>,
}

impl Mirror {
    pub fn new(n: usize, state: RegisterState) -> Self {
        let snapshot = snapshot::encode(&state);
        let (overlay, beats) = (Overlay::default(), Beats::default());
        Self {
            n,
            state,
            overlay,
            beats,
            off: 0,
            awaited: None,
            snapshot,
            changes: Vec::new(),
            stored: Vec::new(),
            denies: BTreeMap::new(),
        }
    }

    /// The line that it followed has begun anew with this register.
    pub fn stands_on(&mut self, state: RegisterState) {
        self.state = state;
        self.beats = Beats::default();
        self.take_snapshot();
    }

    /// Its snapshot takes the place of the changes before it.
    pub fn take_snapshot(&mut self) {
        self.snapshot = snapshot::encode(&self.state);
        self.changes.clear();
    }
}

impl Register {
    pub(super) fn clock_of(&self, n: usize) -> UnixMs {
        self.now + Millis(self.mirrors[n].off)
    }

    /// A mirror is told of foundings, then sent changes, some of which it may have, and takes what it may.
    pub(super) fn follows(&mut self, n: usize, again: u64, most: usize) {
        self.meets(n);
        let from = self.mirrors[n].state.number().saturating_sub(again);
        let sent: Vec<Link> = self.log.iter().filter(|link| link.number > from).take(most).cloned().collect();
        self.takes(n, sent);
    }

    pub(super) fn takes(&mut self, n: usize, sent: Vec<Link>) {
        let now = self.clock_of(n);
        let unchecked = self.is(Broken::NumbersUnchecked);
        let mut ahead: Vec<(RegisterState, Link)> = Vec::new();
        let mut awaited = None;
        for link in sent {
            let state = ahead.last().map_or(&self.mirrors[n].state, |(state, _)| state);
            if link.number <= state.number() && !unchecked {
                continue;
            }
            // The time of a founding is nobody's to judge: signatures make it count.
            let met = self.met(state, &link);
            let fits_in_time = met.is_some() || entry_time_fits(state.entry_time(), link.time, now);
            let waits = !ahead.is_empty() || !fits_in_time;
            let waits = waits && !self.is(Broken::EntryTimeUnchecked);
            let time = if self.is(Broken::AppliedAtOwnTime) { now.max(state.entry_time()) } else { link.time };
            let (next, fits) = match met {
                Some(begun) => (begun.clone().unwrap_or_else(|| state.clone()), begun.is_some()),
                None => {
                    let mut next = state.clone();
                    let applied = next.apply(time, &link.signed, &self.verify);
                    (next, applied.taken() == Some(link.number) && applied.outcome == link.outcome)
                }
            };
            if link.time < state.entry_time() || (!fits && !unchecked) {
                break;
            }
            if waits && awaited.is_none() && refounding::readable(&link.signed).is_some() {
                awaited = self.awaits(state, &link).map(|founding| (ahead.len(), founding));
            }
            ahead.push((next, link));
            if !waits {
                self.confirmed(n, &mut ahead, 1);
            }
        }
        if let Some((at, founding)) = awaited {
            let known = self.mirrors[n].awaited.take().filter(|known| known.id == founding.id);
            let founding = known.unwrap_or(founding);
            if founding.is_confirmed(now) && !self.is(Broken::AwaitedForEver) {
                self.trace.note(format_args!("mirror {n} hears that a founding ahead of it stands"));
                self.confirmed(n, &mut ahead, at + 1);
                self.mirrors[n].beats = Beats::default();
                return;
            }
            self.mirrors[n].awaited = Some(founding);
        }
        // The last one that a majority vouches for, and all before it.
        let heads: Vec<(u64, Digest)> = ahead.iter().map(|(state, _)| (state.number(), state.head())).collect();
        let mirror = &self.mirrors[n];
        let before = |at: usize| at.checked_sub(1).map_or(&mirror.state, |before| &ahead[before].0);
        let last = (0..ahead.len()).rev().find(|at| mirror.beats.confirm(&heads[*at..], before(*at), now));
        if let Some(last) = last {
            self.confirmed(n, &mut ahead, last + 1);
        }
    }

    fn confirmed(&mut self, n: usize, ahead: &mut Vec<(RegisterState, Link)>, count: usize) {
        for (state, link) in ahead.drain(..count) {
            self.trace.note(format_args!("mirror {n} takes {} head {:?}", link.number, state.head()));
            let ordered = self.log.iter().find(|ordered| ordered.number == state.number());
            if ordered.is_none_or(|ordered| ordered.head != state.head()) {
                let number = state.number();
                let lied = ordered.is_none_or(|ordered| ordered.time != link.time);
                let invariant = if lied { "FORWARD" } else { "EQUAL" };
                self.trace.fault(invariant, format_args!("mirror {n} has another head at {number} than was ordered"));
            }
            self.mirrors[n].state = state;
            self.mirrors[n].changes.push(link);
        }
    }

    /// What was in memory is gone: the snapshot is opened, and what came after it is applied again.
    pub(super) fn crashes(&mut self, n: usize) {
        let forgotten = self.is(Broken::OverlayForgottenByCrash);
        let mirror = &mut self.mirrors[n];
        let (federation, number, head) = (mirror.state.federation(), mirror.state.number(), mirror.state.head());
        let opened = snapshot::open(&federation, &mirror.snapshot.header, &mirror.snapshot.items, None, &self.verify);
        let mut state = match opened {
            Ok(opened) => opened.from_own_disk(),
            Err(error) => {
                return self.trace.fault("EQUAL", format_args!("the snapshot of mirror {n} does not open: {error}"));
            }
        };
        let mirror = &self.mirrors[n];
        for link in &mirror.changes {
            match self.met(&state, link) {
                Some(begun) => state = begun.unwrap_or(state),
                None => _ = state.apply(link.time, &link.signed, &self.verify),
            }
        }
        if (state.number(), state.head()) != (number, head) {
            self.trace.fault(
                "EQUAL",
                format_args!("mirror {n} was at {number} before a crash, and is at {}", state.number()),
            );
        }
        let mirror = &mut self.mirrors[n];
        (mirror.state, mirror.beats, mirror.overlay) = (state, Beats::default(), Overlay::default());
        mirror.awaited = None;
        for entry in mirror.stored.iter().filter(|_| !forgotten).cloned() {
            mirror.overlay.insert(entry);
        }
        self.trace.note(format_args!("mirror {n} crashed at {number}"));
        self.check_denied(n);
    }

    /// Each steward's word for where the register is, dated by clocks that are right, reaches a mirror.
    pub(super) fn beats_reach(&mut self, n: usize) {
        let now = self.clock_of(n);
        let state = &self.book.state;
        for steward in state.stewards().iter() {
            let beat = Beat {
                federation: state.federation(),
                steward: steward.authority.clone(),
                founding: state.position().founding,
                number: state.number(),
                head: state.head(),
                overlay: Digest([0; 32]),
                snapshot: None,
                term: 1,
                time: self.now,
            };
            let signed = statements::beat(&beat, &self.book.keys[&steward.authority]);
            let mirror = &mut self.mirrors[n];
            if let Some(awaited) = &mut mirror.awaited {
                let begun = awaited.begun.clone();
                let _ = awaited.hear(&signed, &begun, now, &self.verify);
            }
            // A clock that is wrong refuses it, and so does whoever is too far behind to know the steward.
            let _ = mirror.beats.accept(&signed, &mirror.state, now, &self.verify);
        }
    }

    /// One mirror tells another what it has, or somebody tells what was told long ago.
    pub(super) fn gossip(&mut self, from: usize, to: usize) {
        let told: Vec<Bytes> =
            self.mirrors[from].overlay.to_gossip(self.clock_of(from)).map(|e| e.signed.clone()).collect();
        self.gossiped.push(told.clone());
        if self.is(Broken::OverlayReplaced) {
            (self.mirrors[to].overlay, self.mirrors[to].stored) =
                (self.mirrors[from].overlay.clone(), self.mirrors[from].stored.clone());
        }
        self.hears(to, &told);
    }

    pub(super) fn hears(&mut self, n: usize, told: &[Bytes]) {
        let now = self.clock_of(n);
        for signed in told {
            let mirror = &mut self.mirrors[n];
            let judged = mirror.overlay.judge(signed, &mirror.state, now, &self.verify);
            self.trace.note(format_args!("mirror {n} hears an order: {:?}", judged.as_ref().map(|e| e.is_some())));
            if let Ok(Some(entry)) = judged {
                mirror.denies.insert(entry.id, (entry.subject.clone(), entry.first_seen));
                mirror.stored.push(entry.clone());
                mirror.overlay.insert(entry);
            }
        }
        self.check_denied(n);
    }

    /// A mirror forgets what can act no more, by a time that is confirmed.
    pub(super) fn forgets(&mut self, n: usize) {
        let now = self.now;
        let mirror = &mut self.mirrors[n];
        let gone: Vec<_> = {
            let entries: BTreeMap<_, _> = mirror.overlay.entries().map(|e| (e.id, e.time)).collect();
            mirror.overlay.forget(now).into_iter().map(|id| (id, entries[&id])).collect()
        };
        for (id, time) in gone {
            mirror.stored.retain(|entry| entry.id != id);
            mirror.denies.remove(&id);
            if now.since(time) <= limits::EMERGENCY_AGAIN {
                self.trace.fault("DENIED", format_args!("mirror {} forgot an order that is a use still", mirror.n));
            }
        }
    }

    /// What it took in is there, was first seen when it was, and denies unless the register lifts it.
    fn check_denied(&mut self, n: usize) {
        let mirror = &self.mirrors[n];
        let entries: BTreeMap<_, _> = mirror.overlay.entries().map(|entry| (entry.id, entry.first_seen)).collect();
        let denied = mirror.overlay.denied(&mirror.state);
        for (id, (subject, first_seen)) in &mirror.denies {
            if entries.get(id) != Some(first_seen) {
                return self.trace.fault("DENIED", format_args!("mirror {n} has lost an order about {subject}"));
            }
            let is_lifted = mirror.state.history(subject).is_some_and(|history| history.lifted.contains(id));
            let until = *first_seen + mirror.state.policy().emergency;
            if !is_lifted && denied.get(subject).is_none_or(|denied| *denied < until) {
                return self.trace.fault("DENIED", format_args!("mirror {n} lets {subject} in again too early"));
            }
        }
    }
}
