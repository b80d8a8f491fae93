//! Mandates: an authority's own matter, seen by all, and proved by snapshots.

use super::properties::restored;
use super::*;
use crate::domain::mandate::{Mandate, MandatedActivity};
use crate::domain::place::{Place, PlaceScheme};
use crate::domain::register::RemoveReason;
use crate::overlay::Overlay;

const TRENTO: &str = "it-trento-aid";

fn mandate(world: &World, days: i64) -> Mandate {
    Mandate {
        activities: vec![MandatedActivity::Outreach, MandatedActivity::LegalAid],
        territory: vec![Place::new(PlaceScheme::Nuts, "FRF11").unwrap()],
        valid_from: world.now,
        valid_until: world.now + Millis::days(days),
    }
}

/// Strasbourg, Kehl and Esch are stewards, Gent is a member, and Trento is a mandated organisation.
fn with_organisation() -> World {
    let mut world = World::three();
    world.admit(TRENTO, 0);
    let mut entry = world.state.member(&id(TRENTO)).unwrap().entry.clone();
    entry.kind = ParticipantKind::MandatedNgo;
    let opened = world.act(KEHL, |a, s| a.entry_change(s, &entry));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    world
}

fn issue(world: &mut World, by: &str, to: &str, days: i64) -> Outcome {
    let mandate = mandate(world, days);
    world.act(by, |a, s| a.issue_mandate(s, &id(to), &mandate)).outcome
}

fn is_live(world: &World, by: &str) -> bool {
    world.state.view(&Overlay::default(), None).live_mandate(&id(TRENTO), &id(by), world.now).is_some()
}

#[test]
fn an_authority_issues_and_ends_a_mandate_with_its_own_signature() {
    let mut world = with_organisation();
    assert_eq!(issue(&mut world, GENT, TRENTO, 30), Outcome::Accepted);
    assert!(is_live(&world, GENT) && !is_live(&world, KEHL), "each issuer's is its own");
    // The statement that was overtaken is stale; the next one takes the place of the first.
    let stale = mandate(&world, 60);
    let stale = world.sign(GENT, |a, s| a.issue_mandate(s, &id(TRENTO), &stale));
    assert_eq!(issue(&mut world, GENT, TRENTO, 90), Outcome::Accepted);
    assert_eq!(world.outcome(&stale), Outcome::StaleVersion);
    world.now = world.now + Millis::days(89);
    assert!(is_live(&world, GENT));
    world.now = world.now + Millis::days(2);
    assert!(!is_live(&world, GENT), "what merely lapses is judged in the view");

    assert_eq!(issue(&mut world, GENT, TRENTO, 30), Outcome::Accepted);
    assert_eq!(world.act(GENT, |a, s| a.revoke_mandate(s, &id(TRENTO))).outcome, Outcome::Accepted);
    assert!(!is_live(&world, GENT));
    assert_eq!(world.act(GENT, |a, s| a.revoke_mandate(s, &id(TRENTO))).outcome, Outcome::NotYours, "it has ended");
    assert_eq!(world.act(KEHL, |a, s| a.revoke_mandate(s, &id(TRENTO))).outcome, Outcome::NotYours, "none of Kehl's");
    assert_eq!(issue(&mut world, GENT, TRENTO, 30), Outcome::Accepted, "and again");
    assert!(is_live(&world, GENT));
}

#[test]
fn who_may_issue_to_whom() {
    let mut world = with_organisation();
    assert_eq!(issue(&mut world, GENT, KEHL, 30), Outcome::InvalidEntry, "Kehl is a city");
    assert_eq!(issue(&mut world, TRENTO, TRENTO, 30), Outcome::NotYours, "an organisation answers for no authority");
    assert_eq!(issue(&mut world, GENT, "xx-nobody", 30), Outcome::NoSuchSubject);
    let stranger = new_key();
    let forged = mandate(&world, 30);
    let forged = world.sign_with(&id(GENT), &stranger, |a, s| a.issue_mandate(s, &id(TRENTO), &forged));
    assert_eq!(world.outcome(&forged), Outcome::BadSignature);
    let endless = mandate(&world, 4_000);
    let endless = world.sign(GENT, |a, s| a.issue_mandate(s, &id(TRENTO), &endless));
    assert_eq!(world.outcome(&endless), Outcome::Malformed);

    // Suspended, Gent issues nothing, and what it issued does not count; it still ends what it issued.
    assert_eq!(issue(&mut world, GENT, TRENTO, 30), Outcome::Accepted);
    let suspended = world.emergency(KEHL, GENT);
    assert_eq!(world.outcome(&suspended), Outcome::Accepted);
    assert!(!is_live(&world, GENT));
    assert_eq!(issue(&mut world, GENT, TRENTO, 60), Outcome::Suspended);
    assert_eq!(world.act(GENT, |a, s| a.revoke_mandate(s, &id(TRENTO))).outcome, Outcome::Accepted);
}

#[test]
fn who_leaves_takes_no_mandate_back_in() {
    let mut world = with_organisation();
    assert_eq!(issue(&mut world, GENT, TRENTO, 300), Outcome::Accepted);
    let opened = world.act(KEHL, |a, s| a.remove(s, &id(GENT), RemoveReason::OwnRequest));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    world.admit(GENT, 44);
    assert!(!is_live(&world, GENT), "it was ended with the membership");
    assert_eq!(issue(&mut world, GENT, TRENTO, 300), Outcome::Accepted);
    assert!(is_live(&world, GENT));
}

#[test]
fn a_snapshot_proves_mandates_and_their_ends() {
    let mut world = with_organisation();
    let before = world.state.clone();
    for (by, days) in [(GENT, 30), (GENT, 60), (KEHL, 30), (ESCH, 30)] {
        assert_eq!(issue(&mut world, by, TRENTO, days), Outcome::Accepted);
    }
    assert_eq!(world.act(KEHL, |a, s| a.revoke_mandate(s, &id(TRENTO))).outcome, Outcome::Accepted);
    let mut again = restored(&world.state, Some(&before));
    assert_eq!(again.mandates().all(), world.state.mandates().all());
    // Both answer what comes next alike.
    let next = mandate(&world, 90);
    for by in [GENT, KEHL, ESCH] {
        let signed = world.sign(by, |a, s| a.issue_mandate(s, &id(TRENTO), &next));
        let applied = world.apply(&signed);
        assert_eq!(again.apply(world.now, &signed, &Plain), applied);
    }
    assert!(crate::snapshot::continues(&world.state, &again).is_ok());
    assert!(crate::snapshot::continues(&before, &world.state).is_ok());
}
