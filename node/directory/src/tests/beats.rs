//! Beats: freshness, forks, terms, the majority's signature.

use super::*;
use crate::beats::{Beats, Witness};
use crate::domain::reason::Reason;
use crate::statements;
use crate::wire::beat::{Beat, SnapshotMark};

impl World {
    pub fn beat_of(&self, steward: &str) -> Beat {
        Beat {
            federation: self.state.federation(),
            steward: id(steward),
            founding: self.state.position().founding,
            number: self.state.number(),
            head: self.state.head(),
            overlay: Digest([0; 32]),
            snapshot: None,
            term: 3,
            time: self.now,
        }
    }

    pub fn signed_beat(&self, beat: &Beat) -> Bytes {
        statements::beat(beat, &self.keys[&beat.steward])
    }

    fn hear(&self, beats: &mut Beats, steward: &str, change: impl FnOnce(&mut Beat)) -> Result<bool, Reason> {
        let mut beat = self.beat_of(steward);
        change(&mut beat);
        beats.accept(&self.signed_beat(&beat), &self.state, self.now, &Plain)
    }
}

#[test]
fn a_node_is_fresh_while_a_majority_beats() {
    let mut world = World::three();
    let mut beats = Beats::default();
    assert_eq!(beats.majority_beat(&world.state), None);
    assert_eq!(world.hear(&mut beats, KEHL, |_| {}), Ok(true));
    assert_eq!(world.hear(&mut beats, KEHL, |_| {}), Ok(false), "the same again");
    assert_eq!(beats.majority_beat(&world.state), None, "one of three");
    let first = world.now;
    world.now = world.now + Millis::minutes(3);
    assert_eq!(world.hear(&mut beats, ESCH, |_| {}), Ok(true));
    assert_eq!(beats.majority_beat(&world.state), Some(first), "the older of the two that make the majority");
    let fresh = |world: &World, beats: &Beats, at| {
        world.state.view(&Default::default(), beats.majority_beat(&world.state)).is_fresh(at)
    };
    assert!(fresh(&world, &beats, first + Millis::minutes(10)));
    assert!(!fresh(&world, &beats, first + Millis::minutes(10) + Millis(1)));
    assert_eq!(world.hear(&mut beats, STRASBOURG, |_| {}), Ok(true));
    assert_eq!(beats.majority_beat(&world.state), Some(world.now));
    // A steward that is demoted counts no more.
    let set = [Steward { authority: id(STRASBOURG), raft_id: 1 }, Steward { authority: id(KEHL), raft_id: 2 }];
    let opened = world.act(STRASBOURG, |a, s| a.steward_set(s, &set));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    assert_eq!(beats.majority_beat(&world.state), Some(first));
}

#[test]
fn beats_that_nobody_should_count_are_refused() {
    let world = World::three();
    let mut beats = Beats::default();
    assert_eq!(world.hear(&mut beats, GENT, |_| {}), Err(Reason::BeatInvalid), "not a steward");
    assert_eq!(world.hear(&mut beats, KEHL, |b| b.time = b.time + Millis::minutes(2)), Ok(true));
    let ahead = world.hear(&mut beats, KEHL, |b| b.time = b.time + Millis::minutes(2) + Millis(1));
    assert_eq!(ahead, Err(Reason::BeatInvalid));
    let elsewhere = world.hear(&mut beats, KEHL, |b| b.federation.0 = [1; 32]);
    assert_eq!(elsewhere, Err(Reason::WrongFederation));
    let mut forged = world.beat_of(ESCH);
    forged.time = forged.time + Millis(1);
    let by_gent = statements::beat(&forged, &world.keys[&id(GENT)]);
    assert_eq!(beats.accept(&by_gent, &world.state, world.now, &Plain), Err(Reason::BeatInvalid));
    assert_eq!(beats.accept(&Bytes::from_static(&[1, 2]), &world.state, world.now, &Plain), Err(Reason::BeatInvalid));
    assert_eq!(beats.newest().count(), 1);
}

#[test]
fn two_heads_at_one_number_are_a_fork_with_names() {
    let world = World::three();
    let number = world.state.number();
    // Two stewards were told another order.
    let mut beats = Beats::default();
    world.hear(&mut beats, KEHL, |_| {}).unwrap();
    assert!(beats.forks().is_empty());
    world.hear(&mut beats, ESCH, |b| b.head = Digest([9; 32])).unwrap();
    world.hear(&mut beats, STRASBOURG, |b| b.number += 1).unwrap();
    let [fork] = beats.forks() else { panic!("one fork") };
    assert_eq!((fork.number, fork.heads.len(), fork.proof.len()), (number, 2, 2));
    for (head, name) in [(world.state.head(), KEHL), (Digest([9; 32]), ESCH)] {
        assert!(fork.heads.contains(&(head, vec![Witness::Steward(id(name))])));
    }
    // This node itself was, whichever comes first.
    for own_first in [true, false] {
        let mut beats = Beats::default();
        if own_first {
            beats.note_own(number, world.state.head());
        }
        world.hear(&mut beats, ESCH, |b| b.head = Digest([9; 32])).unwrap();
        beats.note_own(number, world.state.head());
        assert!(beats.forks()[0].heads.contains(&(world.state.head(), vec![Witness::Own])));
    }
    // One steward says one thing here and another there, at one time.
    let mut beats = Beats::default();
    world.hear(&mut beats, KEHL, |_| {}).unwrap();
    assert_eq!(world.hear(&mut beats, KEHL, |b| b.head = Digest([8; 32])), Ok(true), "passed on: it is a proof");
    assert_eq!(beats.forks().len(), 1);
    // Many numbers do not push a fork out, and memory is bounded.
    let mut later = world.clone();
    for n in 0..600 {
        later.now = later.now + Millis(1);
        later.hear(&mut beats, KEHL, |b| b.number += 10 + n).unwrap();
    }
    assert_eq!(beats.forks().len(), 1);
}

#[test]
fn a_lone_huge_term_moves_nothing() {
    let mut world = World::three();
    let mut beats = Beats::default();
    assert_eq!(beats.majority_term(&world.state), 0);
    for (steward, term) in [(STRASBOURG, 4), (KEHL, u64::MAX), (ESCH, 5)] {
        world.hear(&mut beats, steward, |b| b.term = term).unwrap();
    }
    assert_eq!(beats.majority_term(&world.state), 5, "reached by two of three");
    world.now = world.now + Millis(1);
    world.hear(&mut beats, ESCH, |b| b.term = 900).unwrap();
    assert_eq!(beats.majority_term(&world.state), 900);
}

#[test]
fn beats_of_a_majority_sign_a_snapshot() {
    let mut world = World::three();
    let mark = crate::snapshot::encode(&world.state).mark;
    let mut beats = Beats::default();
    world.hear(&mut beats, KEHL, |b| b.snapshot = Some(mark)).unwrap();
    let other = SnapshotMark { digest: Digest([1; 32]), ..mark };
    world.hear(&mut beats, ESCH, |b| b.snapshot = Some(other)).unwrap();
    let proof =
        |beats: &Beats, state: &RegisterState| beats.proof(&mark, state, state, &Plain).map(|beats| beats.len());
    assert_eq!(proof(&beats, &world.state), None);
    world.now = world.now + Millis(1);
    world.hear(&mut beats, STRASBOURG, |b| b.snapshot = Some(mark)).unwrap();
    assert_eq!(proof(&beats, &world.state), Some(2));
    // The next snapshot of one steward takes nothing away from this one.
    world.now = world.now + Millis(1);
    let next = SnapshotMark { number: mark.number + 4_096, ..other };
    world.hear(&mut beats, KEHL, |b| b.snapshot = Some(next)).unwrap();
    assert_eq!(proof(&beats, &world.state), Some(2));
    // Nor do a hundred that a hostile steward invents.
    for n in 0..100 {
        world.now = world.now + Millis(1);
        let invented = SnapshotMark { number: u64::MAX - n, ..mark };
        world.hear(&mut beats, ESCH, |b| b.snapshot = Some(invented)).unwrap();
    }
    assert_eq!(proof(&beats, &world.state), Some(2));
}

#[test]
fn a_snapshot_is_proved_by_the_stewards_in_force_at_its_number() {
    let mut world = World::three();
    let there = world.state.clone();
    let mark = crate::snapshot::encode(&there).mark;
    let mut beats = Beats::default();
    for steward in [STRASBOURG, KEHL] {
        world.hear(&mut beats, steward, |b| b.snapshot = Some(mark)).unwrap();
    }
    world.promote(GENT, 4);
    let by_later_ones = beats.proof(&mark, &world.state, &world.state, &Plain);
    assert_eq!(by_later_ones, None, "two of four are no majority");
    let proof = beats.proof(&mark, &there, &world.state, &Plain).unwrap();
    assert_eq!(proof.len(), 2, "two of the three that were stewards there");
    // A key that merely was replaced goes on proving what it signed; one that was withdrawn proves nothing any more.
    let key = new_key();
    let rotation = world.sign(KEHL, |a, s| a.key_rotation(s, &key, false));
    assert_eq!(world.outcome(&rotation), Outcome::Accepted);
    world.keys.insert(id(KEHL), key);
    assert!(beats.proof(&mark, &there, &world.state, &Plain).is_some());
    let key = new_key();
    let rotation = world.sign(STRASBOURG, |a, s| a.key_rotation(s, &key, true));
    assert_eq!(world.outcome(&rotation), Outcome::Accepted);
    world.keys.insert(id(STRASBOURG), key);
    assert_eq!(beats.proof(&mark, &there, &world.state, &Plain), None);
    // Signed with a key of later, by who was a steward there.
    world.now = world.now + Millis(1);
    world.hear(&mut beats, STRASBOURG, |b| b.snapshot = Some(SnapshotMark { number: mark.number, ..mark })).unwrap();
    world.hear(&mut beats, ESCH, |b| b.snapshot = Some(mark)).unwrap();
    assert_eq!(beats.proof(&mark, &there, &world.state, &Plain).map(|beats| beats.len()), Some(2));
}

#[test]
fn a_rotated_key_beats_for_a_day_and_a_compromised_one_never() {
    let mut world = World::three();
    let old = world.keys[&id(KEHL)].clone();
    let key = new_key();
    let rotation = world.sign(KEHL, |a, s| a.key_rotation(s, &key, false));
    assert_eq!(world.outcome(&rotation), Outcome::Accepted);
    let replaced = world.now;
    let say = |world: &World, at| {
        let beat = Beat { time: at, ..world.beat_of(KEHL) };
        Beats::default().accept(&statements::beat(&beat, &old), &world.state, at, &Plain)
    };
    assert_eq!(say(&world, replaced + Millis::hours(23)), Ok(true));
    assert_eq!(say(&world, replaced + Millis::hours(24)), Err(Reason::BeatInvalid));
    world.keys.insert(id(KEHL), key);
    let (next, before) = (new_key(), world.keys[&id(KEHL)].clone());
    let rotation = world.sign(KEHL, |a, s| a.key_rotation(s, &next, true));
    assert_eq!(world.outcome(&rotation), Outcome::Accepted);
    let beat = statements::beat(&world.beat_of(KEHL), &before);
    assert_eq!(Beats::default().accept(&beat, &world.state, world.now, &Plain), Err(Reason::BeatInvalid));
}

#[test]
fn a_steward_that_contradicts_this_register_makes_it_no_fresher() {
    let mut world = World::three();
    let (agreed, made_up) = (world.state.number(), Digest([9; 32]));
    let mut beats = Beats::default();
    for name in [KEHL, ESCH] {
        world.hear(&mut beats, name, |_| {}).unwrap();
    }
    let first = world.now;
    beats.note_own(agreed, world.state.head());
    assert_eq!(beats.majority_beat(&world.state), Some(first));
    // What is here goes on otherwise than what the stewards sign. Here it is never behind them.
    let mut here = world.clone();
    here.act(STRASBOURG, |_, _| Bytes::new());
    here.act(STRASBOURG, |_, _| Bytes::new());
    beats.note_own(agreed + 1, here.state.head());
    beats.note_own(agreed + 2, here.state.head());
    world.now = first + Millis::minutes(3);
    world.hear(&mut beats, KEHL, |b| (b.number, b.head) = (agreed + 1, made_up)).unwrap();
    assert_eq!(beats.majority_beat(&here.state), None, "one of three stands behind it");
    assert_eq!(beats.outvoted(&here.state, 0), None, "one alone may be the liar");
    world.hear(&mut beats, ESCH, |b| (b.number, b.head) = (agreed + 2, made_up)).unwrap();
    assert_eq!(beats.outvoted(&here.state, 0), Some(agreed + 1), "two, each at its own number");
    assert_eq!(beats.outvoted(&here.state, agreed + 1), None, "what is certain is not taken back by who denies it");
    // Who signed two heads says nothing by either.
    assert_eq!(world.hear(&mut beats, ESCH, |b| b.number = agreed + 2), Ok(true));
    assert_eq!(beats.outvoted(&here.state, 0), None);
    // What was made up is gone: what they said stands against nothing any more.
    beats.forget_own_above(agreed);
    assert_eq!(beats.majority_beat(&world.state), Some(world.now));
}

#[test]
fn old_beats_push_no_newer_ones_out() {
    let mut world = World::three();
    let number = world.state.number();
    let mut beats = Beats::default();
    let began = world.now;
    // As many numbers as are remembered, and what was said before them.
    for n in 0..256 {
        world.now = world.now + Millis(1);
        assert_eq!(world.hear(&mut beats, KEHL, |b| b.number = number + 1_000 + n), Ok(true));
    }
    for n in 0..300 {
        let replayed = world.hear(&mut beats, KEHL, |b| (b.number, b.time) = (number + n, began));
        assert_eq!(replayed, Ok(false), "below all that is remembered");
    }
    world.now = began + Millis::minutes(10) + Millis(1);
    let replayed =
        world.hear(&mut beats, KEHL, |b| (b.number, b.time, b.head) = (number + 9_000, began, Digest([4; 32])));
    assert_eq!(replayed, Ok(false), "older than what makes a view fresh");
    // Unless it shows that somebody was told another history.
    beats.note_own(number + 9_000, Digest([5; 32]));
    let shown = world.hear(&mut beats, KEHL, |b| (b.number, b.time, b.head) = (number + 9_000, began, Digest([4; 32])));
    assert_eq!((shown, beats.forks().len()), (Ok(true), 1));
    // It took the place of the lowest.
    for n in [0, 1, 255] {
        beats.note_own(number + 1_000 + n, Digest([9; 32]));
    }
    assert_eq!(beats.forks().len(), 3, "what was said lately is still compared");
    // Above them, the lowest goes first.
    world.now = world.now + Millis(1);
    assert_eq!(world.hear(&mut beats, KEHL, |b| b.number = number + 2_000), Ok(true));
    beats.note_own(number + 1_002, Digest([9; 32]));
    assert_eq!(beats.forks().len(), 4);
}
