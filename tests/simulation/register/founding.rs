//! Ordering dies and begins anew: on what a majority has signed, by a founding that every mirror judges for itself (9.15).

use std::collections::BTreeSet;

use bytes::Bytes;
use havenlink_directory::RegisterState;
use havenlink_directory::refounding::{self, Awaited, Known, Plan, Said, SetInForce, Withdrawals};
use havenlink_directory::samples::{ESCH, KEHL, STRASBOURG, id};
use havenlink_directory::statements::{self, Author};
use havenlink_domain::directory::Steward;
use havenlink_domain::ids::{AuthorityId, Digest, StatementId};
use havenlink_domain::statement::Subject;
use havenlink_wire::beat::Beat;
use havenlink_wire::statement;

use super::{Link, Register};
use crate::Broken;

/// What is known of foundings, beside the line that is followed.
#[derive(Default)]
pub struct Foundings {
    /// Each founding with its base, in their order.
    all: Vec<(u64, u64, Bytes)>,
    /// Each steward's newest beat of this line.
    said: Vec<Said>,
    /// The registers of this line, as far as anybody can still make them.
    states: Vec<RegisterState>,
    /// What was accepted above a base, to be proposed again in its order.
    above: Vec<Bytes>,
    /// What came of it.
    again: BTreeSet<StatementId>,
    /// All that was ever accepted above a base.
    accepted: BTreeSet<StatementId>,
}

fn id_of(signed: &Bytes) -> Option<StatementId> {
    let (_, unverified) = statement::open(signed.clone()).ok()?;
    Some(statement::id(&unverified.payload_digest()))
}

/// The register after a founding on this one, as somebody judges it who stands at `newest`.
fn begun(register: &Register, there: &RegisterState, signed: &Bytes, newest: &RegisterState) -> Option<RegisterState> {
    let head_at = |number| register.foundings.states.iter().find(|s| s.number() == number).map(RegisterState::head);
    let (sets, withdrawn) = ([SetInForce::of(newest)], Withdrawals::default());
    let known = Known { newest, sets: &sets, head_at: &head_at, withdrawn: &withdrawn };
    there.begin_anew(signed, &known, &register.verify).ok().map(|(state, _)| state)
}

impl Register {
    /// Some stewards sign where the register is; each keeps its newest word.
    pub(super) fn signs(&mut self) {
        self.remembers();
        let stewards: Vec<AuthorityId> = self.book.state.stewards().iter().map(|s| s.authority.clone()).collect();
        for steward in stewards {
            if self.chance.one_in(3) {
                continue;
            }
            let state = &self.book.state;
            let beat = Beat {
                federation: state.federation(),
                steward: steward.clone(),
                founding: state.position().founding,
                number: state.number(),
                head: state.head(),
                overlay: Digest([0; 32]),
                snapshot: None,
                term: 1,
                time: self.now,
            };
            let signed = statements::beat(&beat, &self.book.keys[&steward]);
            self.foundings.said.retain(|(said, _)| said.steward != steward);
            self.foundings.said.push((beat, signed));
        }
    }

    /// The register as it is now can be made again later.
    fn remembers(&mut self) {
        let state = &self.book.state;
        if self.foundings.states.last().is_none_or(|last| last.head() != state.head()) {
            self.foundings.states.push(state.clone());
        }
    }

    /// No machine of a majority comes back: those who have their keys begin anew on what a majority had signed.
    pub(super) fn founds_anew(&mut self) {
        // A mirror below two foundings that stand on what lies ahead of its clock is not played (node/decisions/032).
        let founded = self.log.iter().rposition(|link| refounding::readable(&link.signed).is_some());
        if self.log[..founded.map_or(0, |at| at + 1)].iter().any(|link| link.time > self.now) {
            return;
        }
        self.remembers();
        let three = self.chance.one_in(2) && self.book.state.is_steward(&id(ESCH));
        let names: Vec<&str> = if three { vec![KEHL, STRASBOURG, ESCH] } else { vec![KEHL, STRASBOURG] };
        let mut founders: Vec<AuthorityId> = names.iter().map(|name| id(name)).collect();
        founders.sort();
        let left = self.book.state.clone();
        let states = &self.foundings.states;
        let head_at = |number| states.iter().find(|s| s.number() == number).map(RegisterState::head);
        let state_at = |number| states.iter().find(|s| s.number() == number).cloned();
        let Some(base) = refounding::proved(&left, &self.foundings.said, &founders, head_at, state_at) else { return };
        let there = base.there.clone();
        let founding = left.position().founding + 1;
        let word = |(at, authority): (u64, &AuthorityId)| {
            let steward = Steward { authority: authority.clone(), raft_id: 1_000 * founding + at };
            refounding::founder(left.federation(), steward, 0, true, self.now, &self.book.keys[authority])
        };
        let words = (0..).zip(&founders).map(word).collect();
        let set_version = left.version(&Subject::Stewards);
        let plan = Plan { founding, set_version, base, founders: words, rotations: Vec::new() };
        let key = &self.book.keys[&founders[0]];
        let author = Author { authority: &founders[0], key, now: self.order_time(), nonce: [7; 16] };
        let first = plan.statement(&author);
        let more = |signed: Bytes, by: &AuthorityId| {
            refounding::add_signature(&left.federation(), &signed, &self.book.keys[by]).unwrap_or(signed)
        };
        // Whoever hears of it before all have signed stays where it is.
        if begun(self, &there, &first, &left).is_some() {
            self.trace.fault("EQUAL", format_args!("a founding by one of {} counts", founders.len()));
        }
        let signed = founders[1..].iter().fold(first, more);
        let Some(state) = begun(self, &there, &signed, &left) else {
            return self.trace.fault("EQUAL", format_args!("what was founded on {} does not count", there.number()));
        };
        self.stand_on(state, signed, &there);
    }

    fn stand_on(&mut self, state: RegisterState, signed: Bytes, there: &RegisterState) {
        let (number, base) = (state.number(), there.number());
        let gone: Vec<Link> = self.log.iter().filter(|link| link.number > base).cloned().collect();
        self.trace.note(format_args!("founding {} on {base}, {} above it", state.position().founding, gone.len()));
        self.log.retain(|link| link.number <= base);
        for link in gone.into_iter().filter(|l| l.outcome.is_accepted() && refounding::readable(&l.signed).is_none()) {
            self.foundings.accepted.extend(id_of(&link.signed));
            self.foundings.above.push(link.signed);
        }
        let (time, outcome, head) = (state.entry_time(), havenlink_domain::register::Outcome::Accepted, state.head());
        self.log.push(Link { number, time, signed: signed.clone(), outcome, head });
        self.foundings.states.retain(|known| known.number() <= base);
        self.foundings.states.push(state.clone());
        self.foundings.said.clear();
        self.foundings.all.push((state.position().founding, base, signed));
        self.book.state = state;
        if self.is(Broken::AboveForgotten) {
            self.foundings.above.clear();
        }
    }

    /// What stood above is proposed again, the oldest first.
    pub(super) fn proposes_again(&mut self, most: usize) {
        for _ in 0..most.min(self.foundings.above.len()) {
            let signed = self.foundings.above.remove(0);
            let applied = self.order(&signed);
            self.foundings.again.insert(applied.statement);
        }
    }

    /// A mirror hears of the foundings that it does not stand on. Above the base of one it lets go of what is there; below it meets it at
    /// its place.
    pub(super) fn meets(&mut self, n: usize) {
        for (founding, base, signed) in self.foundings.all.clone() {
            let mirror = &self.mirrors[n];
            if founding <= mirror.state.position().founding {
                continue;
            }
            if mirror.state.number() <= base || self.is(Broken::FoundingIgnoredAbove) {
                return;
            }
            let there = self.foundings.states.iter().find(|state| state.number() == base).cloned();
            let Some(state) = there.and_then(|there| begun(self, &there, &signed, &mirror.state)) else {
                return self.trace.fault("EQUAL", format_args!("mirror {n} does not take the founding on {base}"));
            };
            self.mirrors[n].stands_on(state);
            self.trace.note(format_args!("mirror {n} lets go of what stands above {base}"));
        }
    }

    /// A change that is a founding, met at its place.
    pub(super) fn met(&self, state: &RegisterState, link: &Link) -> Option<Option<RegisterState>> {
        refounding::readable(&link.signed).map(|_| begun(self, state, &link.signed, state))
    }

    /// A founding on what nobody has confirmed here, until its own stewards do.
    pub(super) fn awaits(&self, there: &RegisterState, link: &Link) -> Option<Awaited> {
        let head_at = |number| self.foundings.states.iter().find(|s| s.number() == number).map(RegisterState::head);
        let (sets, withdrawn) = ([SetInForce::of(there)], Withdrawals::default());
        let known = Known { newest: there, sets: &sets, head_at: &head_at, withdrawn: &withdrawn };
        Awaited::judged(there, &link.signed, &known, &self.verify).ok()
    }

    /// Nothing that was accepted is lost by a founding: it stands on the new line, or was decided there.
    pub(super) fn check_above(&mut self) {
        let lost = self
            .foundings
            .accepted
            .iter()
            .find(|id| self.book.state.accepted(id).is_none() && !self.foundings.again.contains(id));
        if let Some(lost) = lost {
            let lost = format!("{lost:?}");
            self.trace.fault("KEPT", format_args!("{lost} was accepted, and nobody decided on it again"));
        }
    }
}
