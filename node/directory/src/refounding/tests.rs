//! The rule as the model has it (`tests/model`): each clause, on real statements.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::domain::directory::{Position, Steward};
use crate::domain::ids::{AuthorityId, Digest, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::domain::statement::{Founder, Subject};
use crate::domain::time::Millis;
use crate::samples::{ESCH, GENT, KEHL, STRASBOURG, World, id, new_key};
use crate::snapshot;
use crate::state::RegisterState;
use crate::statements;
use crate::wire::beat::Beat;
use crate::wire::keys::Plain;
use crate::withdrawals::Withdrawals;

/// A line of three stewards, with beats of it.
struct Line {
    world: World,
    beats: Vec<Said>,
    states: Vec<RegisterState>,
}

impl Line {
    fn three() -> Self {
        Self::of(World::three())
    }

    fn of(world: World) -> Self {
        let states = vec![world.state.clone()];
        Self { world, beats: Vec::new(), states }
    }

    fn change(&mut self) {
        let n = self.world.nonce;
        assert_eq!(self.world.change_own(GENT, |e| e.networks = vec![format!("n-{n}")]), Outcome::Accepted);
        self.states.push(self.world.state.clone());
    }

    fn beats(&mut self, stewards: &[&str]) {
        for steward in stewards {
            let beat = Beat {
                federation: self.world.state.federation(),
                steward: id(steward),
                founding: self.world.state.position().founding,
                number: self.world.state.number(),
                head: self.world.state.head(),
                overlay: Digest([0; 32]),
                snapshot: None,
                term: 3,
                time: self.world.now,
            };
            let signed = statements::beat(&beat, &self.world.keys[&id(steward)]);
            self.beats.push((beat, signed));
        }
    }

    fn head_at(&self, number: u64) -> Option<Digest> {
        self.state_at(number).map(|state| state.head())
    }

    fn state_at(&self, number: u64) -> Option<RegisterState> {
        self.states.iter().find(|state| state.number() == number).cloned()
    }

    fn base(&self, founders: &[&str]) -> Base {
        let founders: Vec<AuthorityId> = founders.iter().map(|name| id(name)).collect();
        let newest = self.states.last().unwrap();
        proved(newest, &self.beats, &founders, |n| self.head_at(n), |n| self.state_at(n)).unwrap()
    }

    fn founder(&self, name: &str, raft_id: u64) -> Founder {
        let steward = Steward { authority: id(name), raft_id };
        founder(self.world.state.federation(), steward, 0, true, self.world.now, &self.world.keys[&id(name)])
    }

    fn plan(&self, founders: &[&str]) -> Plan {
        let mut names = founders.to_vec();
        names.sort_unstable();
        let words = names.iter().zip(101..).map(|(name, raft_id)| self.founder(name, raft_id)).collect();
        let set_version = self.world.state.version(&Subject::Stewards);
        Plan { founding: 1, set_version, base: self.base(founders), founders: words, rotations: Vec::new() }
    }

    fn sign(&self, plan: &Plan, names: &[&str]) -> Bytes {
        let author = id(names[0]);
        let key = &self.world.keys[&author];
        let by = statements::Author { authority: &author, key, now: self.world.now, nonce: [9; 16] };
        let first = plan.statement(&by);
        let more = |signed, name: &&str| {
            add_signature(&self.world.state.federation(), &signed, &self.world.keys[&id(name)]).unwrap()
        };
        names[1..].iter().fold(first, more)
    }

    fn founded(&self, founders: &[&str]) -> Bytes {
        self.sign(&self.plan(founders), founders)
    }

    fn judged(&self, there: &RegisterState, signed: &Bytes, sets: &[SetInForce]) -> Result<Judged, Reason> {
        let known = Known {
            newest: &self.world.state,
            sets,
            head_at: &|n| self.head_at(n),
            withdrawn: &Withdrawals::default(),
        };
        judge(there, signed, &known, &Plain)
    }
}

fn rejected(result: Result<Judged, Reason>) -> Reason {
    result.map(|judged| judged.missing).unwrap_err()
}

#[test]
fn the_base_is_what_a_majority_has_signed_and_not_the_longest_line() {
    let mut line = Line::three();
    let start = line.world.state.number();
    line.beats(&[STRASBOURG, KEHL, ESCH]);
    line.change();
    line.beats(&[STRASBOURG, KEHL]);
    line.change();
    line.beats(&[KEHL]);
    line.change();
    let base = line.base(&[STRASBOURG, KEHL]);
    assert_eq!((base.there.number(), base.proof.len()), (start + 1, 2), "a later beat of a founder counts for it");
    let base = line.base(&[STRASBOURG, ESCH]);
    assert_eq!(base.there.number(), start + 1, "each has signed that very number");
    line.beats(&[ESCH]);
    assert_eq!(line.base(&[KEHL, ESCH]).there.number(), start + 2, "Esch signed a later one");
    assert_eq!(
        line.base(&[STRASBOURG, KEHL]).there.number(),
        start + 1,
        "whose line nobody can follow who does not have it"
    );
    // Of another line, or of nobody, nothing is proved.
    let mut other = Line::three();
    other.beats = line.beats.clone();
    assert!(other.state_at(0).is_none() && other.base_number().is_none());
}

impl Line {
    fn base_number(&self) -> Option<u64> {
        let newest = self.states.last().unwrap();
        proved(newest, &self.beats, &[], |n| self.head_at(n), |n| self.state_at(n)).map(|base| base.there.number())
    }
}

#[test]
fn a_complete_founding_begins_the_order_anew_and_a_snapshot_carries_it() {
    let mut line = Line::three();
    line.beats(&[STRASBOURG, KEHL]);
    let there = line.world.state.clone();
    line.change();
    let signed = line.founded(&[STRASBOURG, KEHL]);
    let known = Known {
        newest: &line.world.state,
        sets: &[SetInForce::of(&there)],
        head_at: &|n| line.head_at(n),
        withdrawn: &Withdrawals::default(),
    };
    let (state, change) = there.begin_anew(&signed, &known, &Plain).unwrap();
    assert_eq!(state.position(), Position { founding: 1, number: there.number() + 1 });
    assert!(state.position() > line.world.state.position(), "whatever the old line came to");
    assert!(state.stewards().iter().map(|s| (s.authority.as_str(), s.raft_id)).eq([(KEHL, 101), (STRASBOURG, 102)]));
    assert_eq!(change.outcome, Outcome::Accepted);
    assert!(state.is_snapshot_due());
    let encoded = snapshot::encode(&state);
    let opened = snapshot::open(&state.federation(), &encoded.header, &encoded.items, Some(&there), &Plain).unwrap();
    let restored = opened.from_own_disk();
    assert_eq!((restored.position(), restored.founding()), (state.position(), state.founding()));
    let forged = havenlink_proto::directory::v1::SnapshotHeader { founding: 2, ..encoded.header };
    assert!(snapshot::open(&state.federation(), &forged, &encoded.items, None, &Plain).is_err());
    // Ordered like a statement it is none.
    let mut ordered = there.clone();
    assert_eq!(ordered.apply(line.world.now, &signed, &Plain).outcome, Outcome::UnknownKind);
    // The order goes on: the founders vote, and Esch comes back like any member.
    let mut world = World { state, ..line.world.clone() };
    assert_eq!(world.change_own(GENT, |entry| entry.services = vec![2]), Outcome::Accepted);
    assert_eq!(world.change_own(ESCH, |entry| entry.raft_id = 3_003), Outcome::Accepted);
    world.promote(ESCH, 3_003);
    // A restored founder announced an id before the founding, and is ordered after it: it comes back to the one that votes.
    assert_eq!(world.change_own(KEHL, |entry| entry.raft_id = 2_002), Outcome::Accepted);
    assert_eq!(world.change_own(ESCH, |entry| entry.raft_id = 101), Outcome::RaftIdReused, "nobody else's");
    assert_eq!(world.change_own(KEHL, |entry| entry.raft_id = 2), Outcome::RaftIdReused, "of the order that ended");
    assert_eq!(world.change_own(KEHL, |entry| entry.raft_id = 101), Outcome::Accepted);
}

#[test]
fn a_majority_at_the_base_and_of_each_later_set_signs() {
    let mut line = Line::three();
    line.beats(&[STRASBOURG, KEHL, ESCH]);
    let there = line.world.state.clone();
    assert_eq!(rejected(line.judged(&there, &line.founded(&[KEHL]), &[])), Reason::RefoundingInvalid, "one of three");
    let signed = line.founded(&[STRASBOURG, KEHL]);
    assert!(line.judged(&there, &signed, &[]).unwrap().missing.is_empty());
    let incomplete = line.sign(&line.plan(&[STRASBOURG, KEHL]), &[KEHL]);
    assert_eq!(line.judged(&there, &incomplete, &[]).unwrap().missing, [id(STRASBOURG)]);
    let known = Known { newest: &line.world.state, sets: &[], head_at: &|_| None, withdrawn: &Withdrawals::default() };
    assert_eq!(there.begin_anew(&incomplete, &known, &Plain).map(drop), Err(Reason::RefoundingIncomplete));

    // A set that came later: who knows it asks for its majority as well, and for its version.
    let opened = line.world.act(STRASBOURG, |a, s| {
        let set: Vec<Steward> = s.stewards().iter().filter(|s| s.authority.as_str() != KEHL).cloned().collect();
        a.steward_set(s, &set)
    });
    assert_eq!(line.world.decide(opened), Outcome::Accepted);
    let later = SetInForce::of(&line.world.state);
    assert_eq!(rejected(line.judged(&there, &signed, std::slice::from_ref(&later))), Reason::RefoundingInvalid);
    let both = line.founded(&[STRASBOURG, ESCH]);
    assert!(line.judged(&there, &both, std::slice::from_ref(&later)).is_ok());
    let of_before = Plan { set_version: later.version - 1, ..line.plan(&[STRASBOURG, ESCH]) };
    let of_before = line.sign(&of_before, &[STRASBOURG, ESCH]);
    assert_eq!(rejected(line.judged(&there, &of_before, &[later])), Reason::RefoundingInvalid, "half signed before");
}

#[test]
fn keys_that_are_withdrawn_sign_and_prove_nothing() {
    let mut line = Line::three();
    line.beats(&[STRASBOURG, KEHL]);
    let there = line.world.state.clone();
    let signed = line.founded(&[KEHL, ESCH]);
    let by_kehl = line.founded(&[STRASBOURG, ESCH]);
    assert!(line.judged(&there, &signed, &[]).is_ok() && line.judged(&there, &by_kehl, &[]).is_ok());
    let key = new_key();
    let rotation = line.world.sign(KEHL, |a, s| a.key_rotation(s, &key, true));
    assert_eq!(line.world.outcome(&rotation), Outcome::Accepted);
    assert_eq!(rejected(line.judged(&there, &signed, &[])), Reason::RefoundingInvalid, "known to be withdrawn since");
    assert_eq!(
        rejected(line.judged(&there, &by_kehl, &[])),
        Reason::RefoundingUnproved,
        "its beat was half of the proof"
    );
    line.world.keys.insert(id(KEHL), key);
    line.beats = Vec::new();
    let beat = |world: &World, name: &str| Beat { number: there.number(), head: there.head(), ..world.beat_of(name) };
    for name in [STRASBOURG, KEHL] {
        let beat = beat(&line.world, name);
        line.beats.push((beat.clone(), line.world.signed_beat(&beat)));
    }
    let again = line.founded(&[KEHL, ESCH]);
    assert!(line.judged(&there, &again, &[]).is_ok(), "under its new key it counts");
}

#[test]
fn keys_that_nobody_has_ordered_to_be_withdrawn_sign_nothing_either() {
    let mut line = Line::three();
    line.beats(&[STRASBOURG, KEHL]);
    let there = line.world.state.clone();
    let signed = line.founded(&[KEHL, ESCH]);
    let mut withdrawn = Withdrawals::default();
    let judged = |withdrawn: &Withdrawals| {
        let known = Known { newest: &line.world.state, sets: &[], head_at: &|n| line.head_at(n), withdrawn };
        judge(&there, &signed, &known, &Plain)
    };
    assert!(judged(&withdrawn).is_ok());
    withdrawn.insert(line.world.keys[&id(KEHL)].public().id(), Bytes::new());
    assert_eq!(rejected(judged(&withdrawn)), Reason::RefoundingInvalid);
}

#[test]
fn what_is_made_up_about_the_base_does_not_count() {
    let mut line = Line::three();
    line.beats(&[STRASBOURG, KEHL]);
    let there = line.world.state.clone();
    line.change();
    let plan = line.plan(&[STRASBOURG, KEHL]);
    let judged = |plan: &Plan| line.judged(&there, &line.sign(plan, &[STRASBOURG, KEHL]), &[]);
    assert!(judged(&plan).is_ok());
    let unproved = Plan { base: Base { proof: plan.base.proof[..1].to_vec(), ..plan.base.clone() }, ..plan.clone() };
    assert_eq!(rejected(judged(&unproved)), Reason::RefoundingUnproved);
    let twice = vec![plan.base.proof[0].clone(); 2];
    let twice = Plan { base: Base { proof: twice, ..plan.base.clone() }, ..plan.clone() };
    assert_eq!(rejected(judged(&twice)), Reason::RefoundingUnproved, "the same steward twice");
    let elsewhere = Plan { base: Base { there: line.world.state.clone(), ..plan.base.clone() }, ..plan.clone() };
    assert_eq!(rejected(judged(&elsewhere)), Reason::RefoundingInvalid, "another change than the one here");
    assert_eq!(rejected(judged(&Plan { founding: 0, ..plan.clone() })), Reason::RefoundingInvalid);
    let mut spent = plan.clone();
    spent.founders[0] = line.founder(KEHL, 2);
    assert_eq!(rejected(judged(&spent)), Reason::RefoundingInvalid, "a Raft id that has voted");
    let mut stranger = plan.clone();
    stranger.founders.insert(0, line.founder(GENT, 77));
    let signed = line.sign(&stranger, &[STRASBOURG, KEHL, GENT]);
    assert_eq!(rejected(line.judged(&there, &signed, &[])), Reason::RefoundingInvalid, "no steward at the base");
    let mut forged = plan;
    forged.founders[0].signed = line.founder(STRASBOURG, 101).signed;
    assert!(judged(&forged).is_err(), "in another's name");
}

#[test]
fn two_complete_ones_of_one_founding_are_neither_followed_and_a_person_decides() {
    let mut line = Line::three();
    line.beats(&[STRASBOURG, KEHL, ESCH]);
    let here = line.world.state.founding();
    let one = line.founded(&[STRASBOURG, KEHL]);
    let two = line.founded(&[KEHL, ESCH]);
    let (id_one, id_two) = (readable(&one).unwrap().id, readable(&two).unwrap().id);
    let mut known = Foundings::default();
    assert!(known.add(&one).is_some() && known.add(&one).is_none(), "the same again is nothing new");
    assert_eq!(known.next(here, |_| true), Next::Take(one.clone()));
    let followed = crate::state::Founding { founding: 1, at: 9, by: Some(id_one) };
    assert_eq!(known.next(followed, |_| true), Next::Stay);
    known.add(&two).unwrap();
    let mut both = vec![id_one, id_two];
    both.sort_unstable();
    let contested = |next: Next| match next {
        Next::Contested(mut ids) => {
            ids.sort_unstable();
            ids
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(contested(known.next(here, |_| true)), both);
    assert_eq!(contested(known.next(followed, |_| true)), both, "also where one is followed already");
    assert_eq!(known.next(followed, |signed| *signed == one), Next::Stay, "one that does not count is no rival");
    let with_snapshot = crate::state::Founding { by: Some(StatementId([3; 32])), ..followed };
    assert_eq!(contested(known.next(with_snapshot, |signed| *signed == one)).len(), 2);
    let mut decided = known.clone();
    decided.choose(id_two);
    assert_eq!(decided.next(followed, |_| true), Next::Take(two));
    // A later one stands above both.
    let later = line.sign(&Plan { founding: 2, ..line.plan(&[STRASBOURG, ESCH]) }, &[STRASBOURG, ESCH]);
    known.add(&later).unwrap();
    assert_eq!(known.next(followed, |_| true), Next::Take(later));
    assert_eq!(known.highest(), 2);
}

#[test]
fn signatures_come_together_from_anywhere_and_are_the_same_bytes() {
    let mut line = Line::three();
    line.beats(&[STRASBOURG, KEHL]);
    let plan = line.plan(&[STRASBOURG, KEHL]);
    let whole = line.sign(&plan, &[STRASBOURG, KEHL]);
    let ours = line.sign(&plan, &[STRASBOURG]);
    let mut known = Foundings::default();
    known.add(&ours).unwrap();
    let (_, merged) = known.add(&whole).unwrap();
    assert_eq!(merged, whole);
    assert!(known.add(&ours).is_none());
    let again =
        add_signature(&line.world.state.federation(), &whole, &Arc::clone(&line.world.keys[&id(KEHL)])).unwrap();
    assert_eq!(again, whole);
    assert!(readable(&Bytes::from_static(b"none")).is_none());
    assert_eq!(line.judged(&line.world.state.clone(), &whole, &[]).unwrap().not_after, line.world.now + LIFE);
    assert!(LIFE <= Millis::days(7));
}

#[test]
fn a_key_that_comes_after_one_of_the_base_signs_where_its_rotation_lies_beside_it() {
    let mut line = Line::three();
    line.beats(&[STRASBOURG]);
    let there = line.world.state.clone();
    let (key, thiefs) = (new_key(), new_key());
    let rotation = line.world.sign(KEHL, |a, s| a.key_rotation(s, &key, true));
    let rival = line.world.sign(KEHL, |a, s| a.key_rotation(s, &thiefs, true));
    let old = line.world.keys[&id(KEHL)].public().id();
    let known = |withdrawals: &[&Bytes]| {
        let mut withdrawn = Withdrawals::default();
        for signed in withdrawals {
            withdrawn.insert(old, (*signed).clone());
        }
        withdrawn
    };
    let mut founded = |key: &Arc<crate::wire::keys::SigningKey>, rotations: &[&Bytes]| {
        line.world.keys.insert(id(KEHL), Arc::clone(key));
        line.beats.truncate(1);
        line.beats(&[KEHL]);
        let plan = line.plan(&[STRASBOURG, KEHL]);
        let all: Vec<Bytes> = rotations.iter().map(|signed| (*signed).clone()).collect();
        let rotations = leading(&there, &plan.founders, &all);
        line.sign(&Plan { rotations, ..plan }, &[STRASBOURG, KEHL])
    };
    let signed = founded(&key, &[&rival, &rotation]);
    let thief_signed = founded(&thiefs, &[&rival]);
    let unshown = founded(&key, &[]);
    let judged = |signed: &Bytes, withdrawn: &Withdrawals| {
        let known = Known { newest: &there, sets: &[], head_at: &|_| None, withdrawn };
        judge(&there, signed, &known, &Plain).map(|judged| judged.missing)
    };
    assert_eq!(
        judged(&signed, &known(&[])),
        Ok(Vec::new()),
        "also for who has not heard that the old one is withdrawn"
    );
    assert_eq!(judged(&signed, &known(&[&rotation])), Ok(Vec::new()));
    assert_eq!(judged(&unshown, &known(&[&rotation])), Err(Reason::RefoundingInvalid), "it proves itself, or does not");
    assert_eq!(
        judged(&thief_signed, &known(&[&rotation])),
        Err(Reason::RefoundingInvalid),
        "another one comes after it"
    );
    assert_eq!(
        judged(&signed, &known(&[&rotation, &rival])),
        Err(Reason::RefoundingInvalid),
        "who knows of both takes neither"
    );
    assert_eq!(judged(&signed, &known(&[&Bytes::new()])), Err(Reason::RefoundingInvalid), "withdrawn by an order");
    // A snapshot carries it, and whoever has nothing but the register at its place judges it there.
    assert!(replayed(&there, &signed, &Plain).is_ok_and(|judged| judged.missing.is_empty()));
    assert!(replayed(&there, &unshown, &Plain).is_err());
}

#[test]
fn a_rotation_that_was_ordered_above_the_base_lies_beside_the_founding_too() {
    let mut line = Line::three();
    line.beats(&[STRASBOURG, KEHL]);
    let there = line.world.state.clone();
    let keys = [new_key(), new_key()];
    let mut rotations = Vec::new();
    for key in &keys {
        let rotation = line.world.sign(KEHL, |a, s| a.key_rotation(s, key, false));
        assert_eq!(line.world.outcome(&rotation), Outcome::Accepted);
        line.world.keys.insert(id(KEHL), Arc::clone(key));
        rotations.push(rotation);
    }
    let plan = line.plan(&[STRASBOURG, KEHL]);
    rotations.reverse();
    let led = leading(&there, &plan.founders, &rotations);
    rotations.reverse();
    assert_eq!(led, rotations, "each after the one that it goes on from");
    let signed = line.sign(&Plan { rotations: led, ..plan }, &[STRASBOURG, KEHL]);
    assert!(replayed(&there, &signed, &Plain).is_ok(), "who was never told of them");
    assert!(line.judged(&there, &signed, &[]).is_ok());
}
