//! Suspension in the register: emergency, lasting, restored.

use super::*;
use crate::domain::authority::MemberStatus;

#[test]
fn one_steward_suspends_a_member_for_a_day() {
    let mut world = World::three();
    let by_member = world.emergency(GENT, KEHL);
    assert_eq!(world.outcome(&by_member), Outcome::NotASteward);
    let signed = world.emergency(KEHL, GENT);
    assert_eq!(world.outcome(&signed), Outcome::Accepted);
    let at = world.now;
    let view = world.state.view(&Default::default(), None);
    assert_eq!(view.status(&id(GENT), at + Millis::hours(24) - Millis(1)), MemberStatus::Suspended);
    assert_eq!(view.status(&id(GENT), at + Millis::hours(24)), MemberStatus::Active, "it lapses by itself");
    let nobody = world.emergency(KEHL, "xx-nobody");
    assert_eq!(world.outcome(&nobody), Outcome::NoSuchSubject);
}

#[test]
fn each_steward_has_one_emergency_per_target_in_seven_days() {
    let mut world = World::three();
    let first = world.emergency(KEHL, GENT);
    assert_eq!(world.outcome(&first), Outcome::Accepted);
    let used_at = world.now;
    world.now = world.now + Millis::hours(25);
    let second = world.emergency(KEHL, GENT);
    assert_eq!(world.outcome(&second), Outcome::EmergencyUsed);
    let other_steward = world.emergency(ESCH, GENT);
    assert_eq!(world.outcome(&other_steward), Outcome::Accepted);
    world.now = used_at + Millis::days(7) - Millis(2);
    let early = world.emergency(KEHL, GENT);
    assert_eq!(world.outcome(&early), Outcome::EmergencyUsed);
    assert_eq!(world.outcome(&early), Outcome::Accepted, "a rejected one may come again, at another time");
}

#[test]
fn a_kept_or_predated_emergency_is_refused() {
    let mut world = World::three();
    let kept = world.emergency(KEHL, GENT);
    let mut late = world.clone();
    late.now = late.now + Millis::hours(24);
    assert_eq!(late.outcome(&kept), Outcome::TimeOutOfBounds);
    world.now = world.now + Millis(600_001);
    let ahead = world.emergency(KEHL, GENT);
    world.now = world.now - Millis(600_001 + 1);
    assert_eq!(world.outcome(&ahead), Outcome::TimeOutOfBounds);
}

#[test]
fn a_lone_suspension_of_a_steward_is_refused() {
    let mut world = World::three();
    let lone = world.emergency(KEHL, ESCH);
    assert_eq!(world.outcome(&lone), Outcome::NeedsTwoSignatures);
    let with_target = world.second(&lone, ESCH);
    assert_eq!(world.outcome(&with_target), Outcome::NeedsTwoSignatures, "the target is not one of the two");
    let with_member = world.second(&lone, GENT);
    assert_eq!(world.outcome(&with_member), Outcome::BadSignature, "a member is not a steward");
    let twice = world.second(&lone, KEHL);
    assert_eq!(world.outcome(&twice), Outcome::Malformed, "one key twice");
    let two = world.second(&lone, STRASBOURG);
    assert_eq!(world.outcome(&two), Outcome::Accepted);
    assert!(world.is_suspended(ESCH));
    // Both used theirs up.
    world.now = world.now + Millis::hours(30);
    let again = world.emergency(STRASBOURG, ESCH);
    let again = world.second(&again, KEHL);
    assert_eq!(world.outcome(&again), Outcome::EmergencyUsed);
}

#[test]
fn a_suspended_steward_still_votes() {
    let mut world = World::three();
    let lone = world.emergency(KEHL, ESCH);
    let two = world.second(&lone, STRASBOURG);
    assert_eq!(world.outcome(&two), Outcome::Accepted);
    let opened = world.propose_admission(GRAZ, 0);
    assert_eq!(world.approve(ESCH, &opened.statement), Outcome::Accepted);
    assert_eq!(world.change_own(ESCH, |e| e.endpoints = vec!["new.example:1".into()]), Outcome::Accepted);
    let key = new_key();
    let rotation = world.sign(ESCH, |a, s| a.key_rotation(s, &key, false));
    assert_eq!(world.outcome(&rotation), Outcome::Suspended, "who holds the key may be somebody else");
    let emergency = world.emergency(ESCH, GENT);
    assert_eq!(world.outcome(&emergency), Outcome::Accepted);
}

#[test]
fn what_a_bad_steward_suspends_alone_the_other_two_lift() {
    let mut world = World::three();
    let signed = world.emergency(KEHL, GENT);
    let suspended = world.apply(&signed);
    assert!(world.is_suspended(GENT));
    let opened = world.act(STRASBOURG, |a, s| a.restore(s, &id(GENT), &[suspended.statement]));
    assert_eq!(opened.outcome, Outcome::Pending);
    assert_eq!(world.approve(ESCH, &opened.statement), Outcome::Accepted);
    assert!(!world.is_suspended(GENT));
    assert_eq!(*world.state.history(&id(GENT)).unwrap().lifted, vec![suspended.statement]);
    // It cannot do it again, and replaying it does nothing.
    assert_eq!(world.apply(&signed).taken(), None);
    assert!(!world.is_suspended(GENT));
    let again = world.emergency(KEHL, GENT);
    assert_eq!(world.outcome(&again), Outcome::EmergencyUsed);
}

#[test]
fn restoring_needs_a_suspension_or_one_to_lift() {
    let mut world = World::three();
    assert_eq!(world.act(KEHL, |a, s| a.restore(s, &id(GENT), &[])).outcome, Outcome::NotSuspended);
    // A suspension that was only gossiped is unknown to the register, and lifted all the same.
    let gossiped = StatementId([9; 32]);
    let opened = world.act(KEHL, |a, s| a.restore(s, &id(GENT), &[gossiped, gossiped]));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    assert_eq!(world.state.history(&id(GENT)).unwrap().lifted.len(), 1);
}

#[test]
fn nobody_escapes_a_suspension_by_changing_its_entry() {
    let mut world = World::three();
    let signed = world.emergency(KEHL, GENT);
    let opened = world.act(STRASBOURG, |a, s| a.lasting_suspend(s, &id(GENT), SuspendReason::BreachOfRules));
    for n in 1..5 {
        assert_eq!(world.change_own(GENT, |e| e.services = vec![n]), Outcome::Accepted);
    }
    assert_eq!(world.outcome(&signed), Outcome::Accepted, "its version is the status's");
    assert_eq!(world.approve(ESCH, &opened.statement), Outcome::Accepted, "an emergency in between does not delay it");
    assert_eq!(world.state.member(&id(GENT)).unwrap().suspended_until, Some(UnixMs::NEVER));
    let more = world.act(KEHL, |a, s| a.lasting_suspend(s, &id(GENT), SuspendReason::BreachOfRules));
    assert_eq!(more.outcome, Outcome::Suspended);
    // A decision to restore that did not know of a later suspension is stale.
    let restore = world.act(KEHL, |a, s| a.restore(s, &id(GENT), &[]));
    let later = world.emergency(STRASBOURG, GENT);
    assert_eq!(world.outcome(&later), Outcome::Accepted);
    assert_eq!(world.approve(ESCH, &restore.statement), Outcome::StaleVersion);
    assert_eq!(world.state.member(&id(GENT)).unwrap().suspended_until, Some(UnixMs::NEVER), "never shortened");
}
