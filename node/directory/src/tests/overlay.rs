//! The overlay: who may suspend without a quorum, for how long, and what lifts it.

use super::*;
use crate::awaiting_countersignature::CountersignatureQueue;
use crate::domain::authority::MemberStatus;
use crate::domain::reason::Reason;
use crate::overlay::Overlay;

impl World {
    /// Judges and inserts, as a node does on gossip.
    fn gossip(&self, overlay: &mut Overlay, signed: &Bytes) -> Result<bool, Reason> {
        let entry = overlay.judge(signed, &self.state, self.now, &Plain)?;
        let new = entry.is_some();
        entry.into_iter().for_each(|entry| overlay.insert(entry));
        Ok(new)
    }

    fn status(&self, overlay: &Overlay, name: &str, at: UnixMs) -> MemberStatus {
        self.state.view(overlay, None).status(&id(name), at)
    }
}

#[test]
fn the_overlay_denies_without_the_register() {
    let mut world = World::three();
    let mut overlay = Overlay::default();
    let signed = world.emergency(KEHL, GENT);
    let number = world.state.number();
    assert_eq!(world.gossip(&mut overlay, &signed), Ok(true));
    assert_eq!(world.gossip(&mut overlay, &signed), Ok(false));
    assert_eq!((world.state.number(), world.is_suspended(GENT)), (number, false), "apply never reads it");
    let at = world.now;
    assert_eq!(world.status(&overlay, GENT, at), MemberStatus::Suspended);
    assert_eq!(
        world.status(&overlay, GENT, at + Millis::hours(24)),
        MemberStatus::Active,
        "24 h from when it was seen here"
    );
    assert_eq!(world.status(&overlay, KEHL, at), MemberStatus::Active);
    let shown =
        |world: &World, name: &str| crate::wire::member::to_proto(&world.state.view(&overlay, None), &id(name), at);
    let gent = shown(&world, GENT).unwrap();
    assert!(gent.denied_by_overlay && !gent.steward && gent.suspended_until_ms == 0);
    assert!(shown(&world, KEHL).unwrap().steward && shown(&world, "xx-nobody").is_none());
    assert_eq!(world.outcome(&signed), Outcome::Accepted, "and the same statement through the register");
    let gent = shown(&world, GENT).unwrap();
    assert!(!gent.denied_by_overlay && gent.suspended_until_ms == (world.now + Millis::hours(24)).0);
}

#[test]
fn old_predated_and_foreign_statements_are_refused() {
    let mut world = World::three();
    let mut overlay = Overlay::default();
    let signed = world.emergency(KEHL, GENT);
    let signed_at = world.now;
    for (at, expected) in [
        (signed_at + Millis::hours(24), Ok(true)),
        (signed_at + Millis::hours(24) + Millis(1), Err(Reason::EmergencyTimeInvalid)),
        (signed_at - Millis::minutes(10), Ok(true)),
        (signed_at - Millis::minutes(10) - Millis(1), Err(Reason::EmergencyTimeInvalid)),
    ] {
        world.now = at;
        assert_eq!(world.gossip(&mut Overlay::default(), &signed), expected);
    }
    world.now = signed_at;
    let by_member = world.emergency(GENT, KEHL);
    assert_eq!(world.gossip(&mut overlay, &by_member), Err(Reason::NotASteward));
    let unknown = world.emergency(KEHL, "xx-nobody");
    assert_eq!(world.gossip(&mut overlay, &unknown), Err(Reason::MemberUnknown));
    let restore = world.sign(KEHL, |a, s| a.restore(s, &id(GENT), &[StatementId([1; 32])]));
    assert_eq!(world.gossip(&mut overlay, &restore), Err(Reason::StatementKindUnknown), "a RESTORE is never gossiped");
    let mut other = World::three();
    let foreign = other.emergency(KEHL, GENT);
    assert_eq!(world.gossip(&mut overlay, &foreign), Err(Reason::WrongFederation));
    let stranger = new_key();
    let forged =
        world.sign_with(&id(KEHL), &stranger, |a, s| a.suspend(s, &id(GENT), SuspendReason::OwnRequest)).signed;
    assert_eq!(world.gossip(&mut overlay, &forged), Err(Reason::SignatureInvalid));
    assert_eq!(world.gossip(&mut overlay, &Bytes::from_static(b"x")), Err(Reason::StatementMalformed));
    assert_eq!(overlay.entries().count(), 0);
}

#[test]
fn a_steward_takes_two_and_each_has_one_use_in_seven_days() {
    let mut world = World::three();
    let mut overlay = Overlay::default();
    let lone = world.emergency(KEHL, ESCH);
    assert_eq!(world.gossip(&mut overlay, &lone), Err(Reason::NeedsTwoSignatures));
    let two = world.second(&lone, STRASBOURG);
    assert_eq!(world.gossip(&mut overlay, &two), Ok(true));
    assert_eq!(world.status(&overlay, ESCH, world.now), MemberStatus::Suspended);
    // A use that was only gossiped is a use.
    let first = world.emergency(KEHL, GENT);
    assert_eq!(world.gossip(&mut overlay, &first), Ok(true));
    world.now = world.now + Millis::days(6);
    let second = world.emergency(KEHL, GENT);
    assert_eq!(world.gossip(&mut overlay, &second), Err(Reason::EmergencyUsed));
    // And so is one that only the register saw.
    let in_register = world.emergency(ESCH, GENT);
    assert_eq!(world.outcome(&in_register), Outcome::Accepted);
    let more = world.emergency(ESCH, GENT);
    assert_eq!(world.gossip(&mut overlay, &more), Err(Reason::EmergencyUsed));
    assert_eq!(world.gossip(&mut overlay, &in_register), Ok(true), "the same statement on both ways is one use");
    world.now = world.now + Millis::days(1) + Millis(2);
    let later = world.emergency(KEHL, GENT);
    assert_eq!(world.gossip(&mut overlay, &later), Ok(true));
}

#[test]
fn what_the_register_lifts_denies_no_more_also_when_it_comes_later() {
    let mut world = World::three();
    let mut overlay = Overlay::default();
    let signed = world.emergency(KEHL, GENT);
    world.gossip(&mut overlay, &signed).unwrap();
    let suspended = *overlay.entries().map(|e| &e.id).next().unwrap();
    let opened = world.act(STRASBOURG, |a, s| a.restore(s, &id(GENT), &[suspended]));
    assert_eq!(world.status(&overlay, GENT, world.now), MemberStatus::Suspended);
    assert_eq!(world.decide(opened), Outcome::Accepted);
    assert_eq!(world.status(&overlay, GENT, world.now), MemberStatus::Active);
    let mut late = Overlay::default();
    assert_eq!(world.gossip(&mut late, &signed), Ok(true));
    assert_eq!(world.status(&late, GENT, world.now), MemberStatus::Active);
}

#[test]
fn equal_sets_have_equal_digests_and_old_entries_are_forgotten() {
    let mut world = World::three();
    let (mut one, mut two) = (Overlay::default(), Overlay::default());
    let (a, b) = (world.emergency(KEHL, GENT), world.emergency(ESCH, GENT));
    for (overlay, order) in [(&mut one, [&a, &b]), (&mut two, [&b, &a])] {
        order.into_iter().for_each(|signed| assert_eq!(world.gossip(overlay, signed), Ok(true)));
    }
    assert_eq!(one.digest(world.now), two.digest(world.now));
    assert_ne!(one.digest(world.now), Overlay::default().digest(world.now));
    let later = world.now + Millis::hours(25);
    assert_eq!(one.digest(later), Overlay::default().digest(later), "nobody would take them any more");
    assert!(one.forget(world.now + Millis::days(7)).is_empty());
    assert_eq!(one.forget(world.now + Millis::days(7) + Millis(1)).len(), 2);
    assert_eq!(one.entries().count(), 0);
    // A stored entry keeps the instant at which it was first seen.
    let mut again = two.clone();
    let mut moved = crate::overlay::Entry::clone(two.entries().next().unwrap());
    moved.first_seen = later;
    again.insert(moved);
    assert_eq!(again.denied(&world.state), two.denied(&world.state));
}

/// Keeps an order, as a steward's node does.
fn keep(set: &mut CountersignatureQueue, world: &World, overlay: &Overlay, signed: &Bytes) -> Result<bool, Reason> {
    set.take(signed, overlay, &world.state, world.now, &Plain)
}

#[test]
fn an_order_about_a_steward_waits_for_a_second_signature_and_does_nothing_until_then() {
    let mut world = World::three();
    let (mut overlay, mut set) = (Overlay::default(), CountersignatureQueue::default());
    let lone = world.emergency(KEHL, ESCH);
    assert_eq!(keep(&mut set, &world, &overlay, &lone), Ok(true));
    assert_eq!(keep(&mut set, &world, &overlay, &lone), Ok(false));
    let order = set.waiting(&world.state, world.now).next().unwrap().clone();
    assert_eq!((order.author.as_str(), order.subject.as_str(), order.signed.clone()), (KEHL, ESCH, lone.clone()));
    assert_eq!(world.status(&overlay, ESCH, world.now), MemberStatus::Active);
    // A later order of the same steward takes the place of its first one; another steward's stands beside it.
    world.now = world.now + Millis(1);
    let (later, other) = (world.emergency(KEHL, ESCH), world.emergency(STRASBOURG, ESCH));
    assert_eq!(keep(&mut set, &world, &overlay, &later), Ok(true));
    assert_eq!(keep(&mut set, &world, &overlay, &lone), Ok(false), "an older one does not come back");
    assert_eq!(keep(&mut set, &world, &overlay, &other), Ok(true));
    assert_eq!(set.waiting(&world.state, world.now).count(), 2);
    // With a second signature it is an emergency suspension, under the same id.
    let two = world.second(&later, STRASBOURG);
    assert_eq!(world.gossip(&mut overlay, &two), Ok(true));
    assert_eq!(world.status(&overlay, ESCH, world.now), MemberStatus::Suspended);
    assert_eq!(world.outcome(&two), Outcome::Accepted);
    assert_eq!(set.waiting(&world.state, world.now).count(), 0, "what the status was when it was signed is gone");
    set.forget(&world.state, world.now);
    assert_eq!(keep(&mut set, &world, &overlay, &other), Err(Reason::EmergencyUsed), "it signed the other one");
}

#[test]
fn an_order_that_nobody_may_complete_is_not_kept() {
    let mut world = World::three();
    let (overlay, mut set) = (Overlay::default(), CountersignatureQueue::default());
    let lone = world.emergency(KEHL, ESCH);
    for (signed, expected) in [
        (world.second(&lone, STRASBOURG), Reason::NeedsTwoSignatures),
        (world.emergency(ESCH, ESCH), Reason::NeedsTwoSignatures),
        (world.emergency(KEHL, GENT), Reason::StatementKindUnknown),
        (world.emergency(GENT, KEHL), Reason::NotASteward),
        (Bytes::from_static(b"x"), Reason::StatementMalformed),
    ] {
        assert_eq!(keep(&mut set, &world, &overlay, &signed), Err(expected));
    }
    let stranger = new_key();
    let forged =
        world.sign_with(&id(KEHL), &stranger, |a, s| a.suspend(s, &id(ESCH), SuspendReason::OwnRequest)).signed;
    assert_eq!(keep(&mut set, &world, &overlay, &forged), Err(Reason::SignatureInvalid));
    // A day later nobody completes it, and a restore names it: then nobody completes it either.
    assert_eq!(keep(&mut set, &world, &overlay, &lone), Ok(true));
    assert_eq!(set.waiting(&world.state, world.now + Millis::hours(24) + Millis(1)).count(), 0);
    let order = set.waiting(&world.state, world.now).next().unwrap().id;
    let lift = world.act(STRASBOURG, |a, s| a.restore(s, &id(ESCH), &[order]));
    assert_eq!(world.decide(lift), Outcome::Accepted);
    assert_eq!(set.waiting(&world.state, world.now).count(), 0);
    assert_eq!(keep(&mut CountersignatureQueue::default(), &world, &overlay, &lone), Err(Reason::StaleVersion));
    let mut late = Overlay::default();
    assert_eq!(world.gossip(&mut late, &world.second(&lone, STRASBOURG)), Ok(true));
    assert_eq!(world.status(&late, ESCH, world.now), MemberStatus::Active, "completed all the same, it is lifted");
}

#[test]
fn a_restore_names_what_acts_first_and_no_more_than_a_statement_may() {
    let mut world = World::three();
    let mut overlay = Overlay::default();
    let signed = world.emergency(KEHL, GENT);
    world.gossip(&mut overlay, &signed).unwrap();
    let acting = crate::overlay::Entry::clone(overlay.entries().next().unwrap());
    // Whatever else came to be in the set: long over, with ids before and after.
    for n in 0..100_u8 {
        let (id, first_seen) = (StatementId([n.wrapping_mul(5); 32]), world.now - Millis::hours(25));
        overlay.insert(crate::overlay::Entry { id, first_seen, time: first_seen, ..acting.clone() });
    }
    let mut set = CountersignatureQueue::default();
    let lone = world.emergency(STRASBOURG, ESCH);
    keep(&mut set, &world, &overlay, &lone).unwrap();
    let lifts = overlay.to_lift(&id(GENT), set.waiting(&world.state, world.now), &world.state, world.now);
    assert_eq!((lifts.len(), lifts[0]), (64, acting.id));
    let opened = world.act(STRASBOURG, |a, s| a.restore(s, &id(GENT), &lifts));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    assert_eq!(world.status(&overlay, GENT, world.now), MemberStatus::Active);
    let again = overlay.to_lift(&id(GENT), set.waiting(&world.state, world.now), &world.state, world.now);
    assert!(again[..37].iter().all(|id| !lifts.contains(id)), "what is lifted already comes last");
    let of_esch = overlay.to_lift(&id(ESCH), set.waiting(&world.state, world.now), &world.state, world.now);
    assert_eq!(of_esch.len(), 1, "what waits is named as well");
}

#[tokio::test]
async fn a_steward_s_one_use_is_counted_once_however_many_it_sends_at_a_time() {
    let mut world = World::three();
    let dir = tempfile::tempdir().unwrap();
    let chain = lied_to::mirror(&dir, &world).await;
    chain.follow(lied_to::changes(&world)).unwrap();
    let orders: Vec<Bytes> = (0..100).map(|_| world.emergency(KEHL, GENT)).collect();
    let taken = futures_util::future::join_all(orders.iter().map(|signed| chain.accept_overlay(signed))).await;
    assert_eq!(taken.iter().filter(|taken| matches!(taken, Ok(true))).count(), 1);
    let refused = taken.iter().filter_map(|taken| taken.as_ref().err());
    assert_eq!(refused.filter(|error| error.reason() == Reason::EmergencyUsed).count(), 99);
    let lifted = chain.emergencies(&id(GENT));
    assert_eq!(lifted.len(), 1);
    let first = taken.iter().position(|taken| matches!(taken, Ok(true))).unwrap();
    assert!(!chain.accept_overlay(&orders[first]).await.unwrap(), "the same again is nothing new");
    chain.disk().close().await.unwrap();
    drop(chain);
    assert_eq!(lied_to::mirror(&dir, &world).await.emergencies(&id(GENT)), lifted, "also after a start");
}
