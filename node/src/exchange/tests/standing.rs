//! Suspended, restored, removed: what waits is held, released, closed.

use std::time::Duration;

use super::faulty_store::FaultyStore;
use super::world::*;
use crate::clock::Clock;
use crate::domain::agreement::AgreementState;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::stream::StreamId;
use crate::exchange::*;
use crate::pass::PassKind;

#[tokio::test]
async fn a_suspended_partners_outbox_is_held_and_released_on_restore() {
    let world = World::with_agreements().await;
    world.line.down.lock().unwrap().insert(id(KEHL));
    let waiting = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    world.suspend(KEHL);
    world.line.down.lock().unwrap().clear();
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, waiting.record_id).await[0].0, DeliveryState::Held);
    assert!(world.inbox(KEHL).await.is_empty());
    let refused = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[KEHL]), sample_alert())).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::MemberSuspended);
    world.restore(KEHL);
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, waiting.record_id).await, [(DeliveryState::Delivered, None)]);
    assert_eq!(world.inbox(KEHL).await.len(), 1);
}

#[tokio::test]
async fn nothing_passes_from_a_suspended_authority() {
    let world = World::with_agreements().await;
    world.publish(KEHL, &[STRASBOURG]).await;
    world.settle().await;
    let batch = world.line.delivered.lock().unwrap().last().cloned().unwrap();
    world.suspend(KEHL);
    let refused = world.exchange(STRASBOURG).road.receive(&id(KEHL), batch).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::MemberSuspended);
    let refused = world.exchange(KEHL).road.publish(&call(), wished(sharing(&[STRASBOURG]), sample_alert())).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::MemberSuspended);
}

#[tokio::test]
async fn a_removed_partners_outbox_is_closed() {
    let world = World::with_agreements().await;
    world.line.down.lock().unwrap().insert(id(KEHL));
    let waiting = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let now = world.clock.now();
    world.change_member(KEHL, |m| m.removed_at = Some(now));
    world.settle().await;
    let states = world.delivery(STRASBOURG, waiting.record_id).await;
    assert_eq!(states, [(DeliveryState::Closed, Some(Reason::MemberRemoved))]);
}

#[tokio::test]
async fn an_agreement_with_a_removed_member_is_shown_as_over() {
    let world = World::with_agreements().await;
    let shown = async |name: &str| {
        let all = world.exchange(name).agreements.list_agreements().await.unwrap();
        all.into_iter()
            .map(|a| a.summary.unwrap())
            .map(|a| (a.held.agreement.is_party(&id(KEHL)), a.state))
            .collect::<Vec<_>>()
    };
    let before = shown(STRASBOURG).await;
    assert!(before.iter().all(|(_, state)| *state == AgreementState::InForce) && before.len() > 1, "{before:?}");
    let now = world.clock.now();
    world.change_member(KEHL, |m| m.removed_at = Some(now));
    for (with_kehl, state) in shown(STRASBOURG).await {
        let expected = if with_kehl { AgreementState::Ended } else { AgreementState::InForce };
        assert_eq!(state, expected, "with Kehl: {with_kehl}");
    }
}

#[tokio::test]
async fn what_was_published_before_a_suspension_and_not_dispatched_is_made_on_restore() {
    let world = World::with_agreements().await;
    let record = world.publish_and_die(STRASBOURG, &[KEHL, ESCH]).await;
    world.suspend(KEHL);
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, record).await, [(DeliveryState::Delivered, None)], "Esch has it");
    world.restore(KEHL);
    world.settle().await;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, record).await, [(DeliveryState::Delivered, None); 2]);
    assert_eq!(world.inbox(KEHL).await.len(), 1);
}

#[tokio::test]
async fn what_was_queued_before_a_suspension_is_held_and_goes_on_restore() {
    let world = World::with_agreements().await;
    let published = world.publish(STRASBOURG, &[KEHL]).await;
    world.suspend(KEHL);
    world.settle().await;
    let held = (DeliveryState::Held, Some(Reason::MemberSuspended));
    assert_eq!(world.delivery(STRASBOURG, published.record_id).await, [held]);
    world.restore(KEHL);
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, published.record_id).await, [(DeliveryState::Delivered, None)]);
}

#[tokio::test]
async fn what_waits_at_a_suspended_authority_goes_at_once_when_it_is_restored() {
    let world = World::with_agreements().await;
    let kehl = world.exchange(KEHL);
    world.line.down.lock().unwrap().insert(id(STRASBOURG));
    world.publish(KEHL, &[STRASBOURG]).await;
    while kehl.road.dispatch_pass().await.unwrap().more {}
    world.line.down.lock().unwrap().clear();
    world.suspend(KEHL);
    kehl.upkeep().await;
    let stream = kehl.road.open_streams().await.unwrap().into_iter().find(|s| s.recipient == id(STRASBOURG)).unwrap();
    assert_eq!(kehl.road.deliver_pass(&stream).await, Pass::After(Duration::from_secs(60)));
    world.restore(KEHL);
    kehl.upkeep().await;
    let woken = kehl.wakeups().stream(&stream);
    tokio::time::timeout(Duration::from_secs(5), woken.retry()).await.expect("the pause was broken");
    assert_eq!(kehl.road.deliver_pass(&stream).await, Pass::Sent);
    assert_eq!(world.inbox(STRASBOURG).await.len(), 1);
}

#[tokio::test]
async fn what_is_for_all_reaches_a_suspended_partner_on_restore() {
    let world = World::with_agreements().await;
    world.suspend(KEHL);
    let alert = world.publish(STRASBOURG, &[]).await;
    assert_eq!(alert.recipients, [id(KEHL), id(ESCH)], "the publisher is told of whom it is for");
    let practice = crate::wire::records::practice::from_proto(crate::demo::sample::practice()).unwrap();
    let practice = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[]), practice)).await.unwrap();
    world.settle().await;
    let delivered = (DeliveryState::Delivered, None);
    for record in [alert.record_id, practice.record_id] {
        assert_eq!(world.delivery(STRASBOURG, record).await, [delivered], "Esch has it, Kehl nothing");
    }
    world.restore(KEHL);
    world.settle().await;
    world.settle().await;
    for record in [alert.record_id, practice.record_id] {
        assert_eq!(world.delivery(STRASBOURG, record).await, [delivered; 2]);
    }
    assert_eq!(world.inbox(KEHL).await.len(), 1);
}

#[tokio::test]
async fn a_wake_up_that_the_store_kept_from_a_stream_is_given_by_the_next_pass() {
    let mut world = World::new().await;
    let store = FaultyStore::over(world.node(STRASBOURG).store.clone());
    world.start(STRASBOURG, 0, Some(store.clone())).await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let exchange = world.exchange(STRASBOURG).clone();
    let stream = StreamId { origin: id(STRASBOURG), recipient: id(KEHL), class: StreamClass::Content };
    let woken = exchange.wakeups().stream(&stream);
    let fails_then_runs = async || {
        store.fail_once("open_streams");
        assert!(exchange.upkeep.run_pass(PassKind::HoldOrRelease).await.is_err());
        exchange.upkeep.run_pass(PassKind::HoldOrRelease).await.unwrap();
    };
    let soon = Duration::from_secs(5);
    // Its recipient is restored.
    let published = world.publish(STRASBOURG, &[KEHL]).await;
    world.suspend(KEHL);
    exchange.upkeep().await;
    assert_eq!(world.delivery(STRASBOURG, published.record_id).await[0].0, DeliveryState::Held);
    woken.items().await;
    world.restore(KEHL);
    fails_then_runs().await;
    tokio::time::timeout(soon, woken.items()).await.expect("it looks again");
    // Its own authority is restored.
    world.suspend(STRASBOURG);
    exchange.upkeep().await;
    world.restore(STRASBOURG);
    fails_then_runs().await;
    tokio::time::timeout(soon, woken.retry()).await.expect("its pause is broken");
    assert_eq!(exchange.road.deliver_pass(&stream).await, Pass::Sent);
    assert_eq!(world.inbox(KEHL).await.len(), 1);
}
