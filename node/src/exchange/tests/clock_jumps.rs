//! A clock that jumps: what is past its time by it is neither shown nor sent, and nothing is destroyed (9.3).

use super::world::*;
use crate::clock::Clock;
use crate::domain::directory::ConfirmedTime;
use crate::domain::ids::RecordId;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::time::Millis;
use crate::exchange::*;

const TEN_YEARS: Millis = Millis::days(3_653);

async fn is_shown(world: &World, record_id: RecordId) -> bool {
    let key = RecordKey { origin: id(STRASBOURG), record_id };
    world.exchange(KEHL).road.get(COORDINATOR, key).await.is_ok()
}

async fn propose(world: &World, at: &str) {
    let agreement = world.agreement(at, ESCH, DisclosureLevel::Light);
    world.exchange(at).agreements.propose_agreement(&call(), agreement).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_jumps_ten_years_hides_and_destroys_nothing() {
    let world = World::with_agreements().await;
    let here = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    propose(&world, STRASBOURG).await;
    world.settle().await;
    assert!(is_shown(&world, here).await);
    *world.line.fault.lock().unwrap() = Some(Reason::NodeStopping);
    let waiting = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    let proposals = async || world.exchange(STRASBOURG).agreements.list_agreements().await.unwrap().len();
    let before = proposals().await;

    world.clock.set(TEN_YEARS);
    *world.line.fault.lock().unwrap() = None;
    assert!(!is_shown(&world, here).await, "it is past its time by this clock");
    for name in [STRASBOURG, KEHL] {
        assert_eq!(world.exchange(name).upkeep.sweep_pass().await.unwrap(), 0, "{name} destroys nothing");
    }
    world.settle().await;
    let states = world.delivery(STRASBOURG, waiting).await;
    assert!(matches!(states[..], [(DeliveryState::Queued, _)]), "nor is it given up: {states:?}");

    world.clock.set(Millis(-TEN_YEARS.0));
    assert!(is_shown(&world, here).await, "all of it is there again");
    assert_eq!(proposals().await, before);
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, waiting).await, [(DeliveryState::Delivered, None)]);
    // By the time that stewards confirm, what is past its time goes.
    world.clock.advance(TEN_YEARS);
    assert!(world.exchange(KEHL).upkeep.sweep_pass().await.unwrap() > 0);
}

#[tokio::test]
async fn without_beats_of_a_majority_nothing_is_destroyed_by_date() {
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    world.change_view(|view| view.policy.freshness_limit = Millis::minutes(10));
    world.clock.advance(TEN_YEARS);
    assert_eq!(world.exchange(KEHL).upkeep.sweep_pass().await.unwrap(), 0);
    let (beat, heard) = (world.clock.now(), world.clock.monotonic());
    world.change_view(|view| view.confirmed = Some(ConfirmedTime { beat, heard }));
    assert!(world.exchange(KEHL).upkeep.sweep_pass().await.unwrap() > 0);
}

#[tokio::test]
async fn a_clock_that_was_set_back_shows_nothing_that_was_past_its_time() {
    let world = World::with_agreements().await;
    let here = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    world.clock.advance(TEN_YEARS);
    assert!(!is_shown(&world, here).await);
    world.clock.set(Millis(-TEN_YEARS.0));
    assert!(!is_shown(&world, here).await, "the stewards' beats know better");
    world.change_view(|view| view.confirmed = None);
    assert!(is_shown(&world, here).await);
    world.clock.set(TEN_YEARS);
    propose(&world, KEHL).await;
    world.exchange(KEHL).upkeep.checkpoint_pass().await.unwrap();
    world.clock.set(Millis(-TEN_YEARS.0));
    assert!(!is_shown(&world, here).await, "and without them the ledger does");
}
