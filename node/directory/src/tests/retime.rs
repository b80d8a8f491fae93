//! RETIME: nothing in the register lies beyond the new time, entries go on from there, and a snapshot proves it.

use super::properties::restored;
use super::*;
use crate::acts::Rules;
use crate::domain::audit::AuditAct;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::statement::{Retime, Subject};

const AHEAD: Millis = Millis::days(3);

/// Three stewards whose clocks were ahead while a member was suspended, a key replaced and a decision opened.
fn ordered_ahead() -> (World, UnixMs, StatementId) {
    let mut world = World::three();
    let then = world.now;
    world.now = world.now + AHEAD;
    let emergency = world.emergency(STRASBOURG, GENT);
    assert_eq!(world.outcome(&emergency), Outcome::Accepted);
    let key = new_key();
    let rotation = world.sign(KEHL, |a, s| a.key_rotation(s, &key, false));
    assert_eq!(world.outcome(&rotation), Outcome::Accepted);
    world.keys.insert(id(KEHL), key);
    let opened = world.act(STRASBOURG, |a, s| a.lasting_suspend(s, &id(GENT), SuspendReason::OwnRequest));
    assert_eq!(opened.outcome, Outcome::Pending);
    (world, then, opened.statement)
}

fn retimed(world: &mut World, to: UnixMs) {
    let asked = world.act(STRASBOURG, |a, s| a.retime(s, to));
    assert_eq!(asked.outcome, Outcome::Pending, "one of three puts nothing right");
    assert!(world.state.entry_time() > to);
    assert_eq!(world.approve(ESCH, &asked.statement), Outcome::Accepted);
}

#[test]
fn what_lies_beyond_it_is_cut_and_the_register_goes_on_from_there() {
    let (mut world, then, open) = ordered_ahead();
    let policy_version = world.state.version(&Subject::Policy);
    retimed(&mut world, then);
    let state = &world.state;
    assert_eq!(state.entry_time(), then);
    assert_eq!(state.version(&Subject::Policy), policy_version, "no policy was changed");
    let gent = state.member(&id(GENT)).unwrap();
    assert_eq!(gent.suspended_until, Some(then + Policy::default().emergency));
    assert_eq!(state.history(&id(GENT)).unwrap().emergencies[&id(STRASBOURG)], then);
    assert_eq!(state.member(&id(KEHL)).unwrap().keys[0].replaced_at, Some(then));
    let proposal = state.proposal(&open).unwrap();
    assert_eq!((proposal.opened_at, proposal.expires_at), (then, then + Policy::default().proposal_life));
    assert!(proposal.votes.iter().all(|vote| vote.at <= then));

    let snapshot = restored(&world.state, None);
    assert_eq!((snapshot.head(), snapshot.entry_time()), (world.state.head(), then), "a snapshot proves all of it");
    world.now = then;
    assert_eq!(world.change_own(ESCH, |entry| entry.services = vec![2]), Outcome::Accepted);
    assert_eq!(world.state.entry_time(), then + Millis(1));
    let early = world.sign(ESCH, |a, s| a.suspend(s, &id(GENT), SuspendReason::OwnRequest)).signed;
    let before = world.state.clone().apply(then, &early, &Plain);
    assert_eq!(before.outcome, Outcome::TimeOutOfBounds, "no other entry runs backwards");
    restored(&world.state, Some(&snapshot));
}

#[test]
fn there_must_be_something_to_put_right_and_a_majority_does_it() {
    let mut world = World::three();
    let later = world.now + Millis::hours(1);
    assert_eq!(world.act(STRASBOURG, |a, s| a.retime(s, later)).outcome, Outcome::StaleVersion);
    let now = world.now;
    assert_eq!(world.act(GENT, |a, s| a.retime(s, now)).outcome, Outcome::NotASteward);
    // Of two that are asked for the second one finds nothing left to do.
    let (mut world, then, _) = ordered_ahead();
    let other = world.act(KEHL, |a, s| a.retime(s, then + Millis(1))).statement;
    retimed(&mut world, then);
    world.now = then;
    assert_eq!(world.approve(ESCH, &other), Outcome::StaleVersion);
}

#[test]
fn a_steward_signs_none_that_its_own_clock_contradicts() {
    let (world, then, _) = ordered_ahead();
    let retime = Retime { time: then };
    let rules: &dyn Rules = &retime;
    assert_eq!(rules.check_before_signing(&world.state, &Subject::Policy), Ok(()));
    assert_eq!(rules.check_clock(then), Ok(()));
    assert_eq!(rules.check_clock(then - limits::ENTRY_TIME_AHEAD - Millis(1)), Err(Reason::EntryTimeInvalid));
    assert_eq!(rules.check_clock(then + Millis::days(8)), Err(Reason::EntryTimeInvalid), "asked for long ago");
    let late = Retime { time: world.state.entry_time() };
    assert_eq!(late.check_before_signing(&world.state, &Subject::Policy), Err(Reason::RegisterNotAhead));
    assert_eq!(rules.noted_as(), AuditAct::PolicyChanged);
}

#[test]
fn ends_count_from_the_author_s_clock_where_the_register_is_ahead() {
    let mut world = World::three();
    let then = world.now;
    // A register an hour ahead, and authors whose clocks are right.
    world.now = then + Millis::hours(1);
    assert_eq!(world.change_own(ESCH, |entry| entry.services = vec![2]), Outcome::Accepted);
    let ahead = world.now;
    world.now = then;
    let emergency = world.emergency(STRASBOURG, GENT);
    let key = new_key();
    let rotation = world.sign(KEHL, |a, s| a.key_rotation(s, &key, false));
    world.now = ahead;
    assert_eq!(world.outcome(&emergency), Outcome::Accepted);
    assert_eq!(world.outcome(&rotation), Outcome::Accepted);
    let from = then + limits::ENTRY_TIME_AHEAD;
    let gent = world.state.member(&id(GENT)).unwrap();
    assert_eq!(gent.suspended_until, Some(from + Policy::default().emergency));
    assert_eq!(world.state.member(&id(KEHL)).unwrap().keys[0].replaced_at, Some(from));
}
