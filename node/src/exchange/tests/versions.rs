//! Two versions beside each other: a node is sent no kind that it does not name, what waits is named, and goes when it does (9.3).

use std::collections::BTreeMap;

use super::world::*;
use crate::demo::sample;
use crate::domain::ids::RecordId;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;
use crate::domain::stream::{ItemBody, Understands};
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::wire::records::practice;

/// A version in which nobody had thought of practices yet.
fn without_practices() -> Understands {
    Understands::here(1, &[RecordKind::Practice])
}

async fn publish_practice(world: &World) -> RecordId {
    let content = practice::from_proto(sample::practice()).unwrap();
    let wished = wished(sharing(&[KEHL]), content);
    world.exchange(STRASBOURG).road.publish(&call(), wished).await.unwrap().record_id
}

/// Until what is deferred is looked at again.
async fn later(world: &World) {
    world.clock.advance(Millis::seconds(16));
    world.settle().await;
}

async fn greets(world: &World, name: &str) {
    assert!(world.exchange(name).upkeep.greet_pass().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_partner_does_not_name_waits_and_goes_when_it_does() {
    let mut world = World::with_agreements().await;
    world.start_as(KEHL, without_practices()).await;
    greets(&world, STRASBOURG).await;
    world.line.delivered.lock().unwrap().clear();
    let practice = publish_practice(&world).await;
    let alert = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    assert_eq!(world.inbox(KEHL).await.iter().map(|row| row.1).collect::<Vec<_>>(), [alert], "it keeps nothing back");
    let held = [(DeliveryState::Held, Some(Reason::KindNotNamed))];
    assert_eq!(world.delivery(STRASBOURG, practice).await, held);
    let sent = |world: &World| {
        let batches = world.line.delivered.lock().unwrap();
        batches.iter().flat_map(|batch| &batch.items).filter(|item| matches!(item.body, ItemBody::Envelope(_))).count()
    };
    assert_eq!(sent(&world), 1, "the practice itself never went out");
    let road = &world.exchange(STRASBOURG).road;
    let named = BTreeMap::from([(id(KEHL), BTreeMap::from([(RecordKind::Practice, 1)]))]);
    assert_eq!(road.not_named().await.unwrap(), named);

    let batches = world.line.delivered.lock().unwrap().len();
    for _ in 0..3 {
        later(&world).await;
    }
    assert_eq!(world.line.delivered.lock().unwrap().len(), batches, "and is not tried in vain");
    assert_eq!(world.delivery(STRASBOURG, practice).await, held);

    world.start_as(KEHL, Understands::here(1, &[])).await;
    // The node that keeps it starts again too: what Kehl names stands in its store.
    world.start_as(STRASBOURG, Understands::here(1, &[])).await;
    later(&world).await;
    assert_eq!(world.delivery(STRASBOURG, practice).await, held, "it has not said so yet");
    greets(&world, STRASBOURG).await;
    later(&world).await;
    assert_eq!(world.delivery(STRASBOURG, practice).await, [(DeliveryState::Delivered, None)]);
    assert!(world.exchange(STRASBOURG).road.not_named().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_came_before_the_partner_said_that_it_does_not_take_it_is_kept_too() {
    let mut world = World::with_agreements().await;
    // A stream greets before its first record, and not again.
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    world.start_as(KEHL, without_practices()).await;
    // Strasbourg still goes by Kehl's word of before.
    let practice = publish_practice(&world).await;
    let alert = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, practice).await, [(DeliveryState::Held, Some(Reason::KindNotNamed))]);
    assert_eq!(world.delivery(STRASBOURG, alert).await, [(DeliveryState::Delivered, None)]);
    world.start_as(KEHL, Understands::here(1, &[])).await;
    later(&world).await;
    assert_eq!(world.delivery(STRASBOURG, practice).await, [(DeliveryState::Delivered, None)]);
}

#[tokio::test]
async fn whoever_would_stop_following_under_other_rules_is_named() {
    let mut world = World::with_agreements().await;
    for name in [STRASBOURG, KEHL] {
        world.start_as(name, Understands::here(2, &[])).await;
    }
    let lacking = async |world: &World, version| match world.exchange(STRASBOURG).road.all_know_rules(version).await {
        Ok(()) => String::new(),
        Err(Error::Refused(refusal)) => {
            assert_eq!(refusal.reason, Reason::MembersLackRules);
            refusal.detail
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(lacking(&world, 1).await, "");
    assert_eq!(lacking(&world, 2).await, "lu-esch-sur-alzette knows version 1");
    world.start_as(ESCH, Understands::here(2, &[])).await;
    world.line.down.lock().unwrap().insert(id(ESCH));
    assert_eq!(lacking(&world, 2).await, "lu-esch-sur-alzette knows version 1", "its last word counts");
    world.line.down.lock().unwrap().clear();
    assert_eq!(lacking(&world, 2).await, "");
    world.line.down.lock().unwrap().insert(id(ESCH));
    assert_eq!(lacking(&world, 2).await, "");
    assert_eq!(lacking(&world, 3).await, "de-kehl knows version 2; lu-esch-sur-alzette knows version 2");
}
