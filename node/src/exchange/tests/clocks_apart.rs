//! A clock that is wrong is nothing that an item did: nothing is consumed, both sides say whose it is, and what waits goes on
//! once it is right. What needs time of its own makes room for what is behind it.

use super::world::*;
use crate::clock::Clock;
use crate::domain::agreement::AgreementEndReason;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::domain::stream::StreamId;
use crate::domain::time::Millis;
use crate::exchange::*;

fn content(from: &str, to: &str) -> StreamId {
    StreamId { origin: id(from), recipient: id(to), class: StreamClass::Content }
}

/// What the one says of the other's clock.
fn says(world: &World, name: &str, of: &str) -> String {
    world.exchange(name).road.clock_difference(&id(of)).map(|found| found.finding()).unwrap_or_default()
}

#[tokio::test]
async fn an_alert_to_a_node_whose_clock_is_behind_waits_and_both_say_whose_it_is() {
    let mut world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    world.start_with_clock(KEHL, Millis(-Millis::hours(1).0)).await;
    let published = world.publish(STRASBOURG, &[KEHL]).await;
    let stream = content(STRASBOURG, KEHL);
    let wakeup = world.exchange(STRASBOURG).wakeups().stream(&stream);
    for tried in 0..3 {
        let pass = world.exchange(STRASBOURG).road.deliver_pass(&stream).await;
        assert!(matches!(pass, Pass::After(pause) if !pause.is_zero()), "{pass:?}");
        // It was started anew, which is news; after that each try begins with a greeting, which ends no pause.
        let woken = tokio::time::timeout(std::time::Duration::ZERO, wakeup.retry()).await.is_ok();
        assert!(tried == 0 || !woken, "by its own question, at try {tried}");
    }
    let (state, reason) = world.delivery(STRASBOURG, published.record_id).await[0];
    assert_eq!((state, reason), (DeliveryState::Queued, Some(Reason::ClockDiffers)), "nothing is consumed");
    assert_eq!(world.inbox(KEHL).await.len(), 1);
    let (here, there) = (says(&world, STRASBOURG, KEHL), says(&world, KEHL, STRASBOURG));
    assert!(here.contains("de-kehl is 36") && here.contains("s behind this one"), "{here}");
    assert!(here.contains("this one is right, and that of de-kehl is wrong"), "{here}");
    assert!(there.contains("fr-strasbourg is 36") || there.contains("fr-strasbourg is 3599"), "{there}");
    assert!(there.contains("ahead of this one"), "{there}");
    // Where nobody has anything to say any more, what was heard is no finding of today.
    world.clock.advance(Millis::minutes(20));
    assert_eq!((says(&world, STRASBOURG, KEHL), says(&world, KEHL, STRASBOURG)), (String::new(), String::new()));
    // Not after the longest wait either.
    world.exchange(STRASBOURG).road.deliver_pass(&content(STRASBOURG, KEHL)).await;
    assert_eq!(world.delivery(STRASBOURG, published.record_id).await[0].0, DeliveryState::Queued);
    world.start_with_clock(KEHL, Millis(0)).await;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, published.record_id).await, [(DeliveryState::Delivered, None)]);
    assert_eq!(says(&world, STRASBOURG, KEHL), "");
}

#[tokio::test]
async fn a_node_whose_clock_is_far_ahead_refuses_nothing_for_its_age() {
    let mut world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    world.start_with_clock(KEHL, Millis::days(3_650)).await;
    let published = world.publish(STRASBOURG, &[KEHL]).await;
    world.exchange(STRASBOURG).road.deliver_pass(&content(STRASBOURG, KEHL)).await;
    let (state, reason) = world.delivery(STRASBOURG, published.record_id).await[0];
    assert_eq!((state, reason), (DeliveryState::Queued, Some(Reason::ClockDiffers)));
    world.start_with_clock(KEHL, Millis(0)).await;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, published.record_id).await, [(DeliveryState::Delivered, None)]);
}

#[tokio::test]
async fn what_the_partner_holds_is_a_duplicate_also_when_the_agreement_has_ended() {
    let world = World::new().await;
    let agreement = world.agree(STRASBOURG, KEHL, crate::domain::records::offer::DisclosureLevel::Light).await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.line.lose_answers.store(1, std::sync::atomic::Ordering::SeqCst);
    world.exchange(STRASBOURG).road.deliver_pass(&content(STRASBOURG, KEHL)).await;
    assert_eq!(world.inbox(KEHL).await.len(), 1, "it is there, and nobody heard of it");
    // The receipt is lost there too: the number comes again.
    let batch = world.line.delivered.lock().unwrap().last().cloned().unwrap();
    world
        .exchange(KEHL)
        .agreements
        .end_agreement(&call(), agreement, AgreementEndReason::NoLongerNeeded)
        .await
        .unwrap();
    let again = crate::domain::stream::Batch { first: 2, ..batch };
    let answer = world.exchange(KEHL).road.receive(&id(STRASBOURG), again).await.unwrap();
    let (view, now) = (world.view.load_full(), world.clock.now());
    let key_of = |authority: &_, key: &_| view.verifying_key(authority, key, now).copied();
    let receipt = crate::wire::peer::open_receipt(answer.receipt.unwrap(), &view.federation, &key_of).unwrap();
    assert_eq!(receipt.outcomes[0].verdict, crate::domain::receipt::Verdict::Duplicate);
}

#[tokio::test]
async fn an_item_that_needs_time_makes_room_and_goes_once_it_may() {
    let world = World::with_agreements().await;
    let ahead = world.clock.now() + Millis::minutes(40);
    world
        .queue_practice(STRASBOURG, KEHL, |envelope| {
            envelope.created = ahead;
            envelope.body = crate::wire::records::encode(
                &crate::wire::records::practice::from_proto(crate::demo::sample::practice()).unwrap().into(),
            );
        })
        .await;
    let behind = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let delivered = [(DeliveryState::Delivered, None)];
    assert_eq!(
        world.delivery(STRASBOURG, behind.record_id).await,
        delivered,
        "its own node knows, and it blocks nothing"
    );
    let held = DeliveryFilter { state: Some(DeliveryState::Held), ..DeliveryFilter::default() };
    let rows = world.exchange(STRASBOURG).road.deliveries(held.clone(), None, 9).await.unwrap();
    assert_eq!(rows[0].reason, Some(Reason::EnvelopeFromFuture), "and says why it waits");
    // Each further time it makes room at once.
    world.clock.advance(Millis::minutes(2));
    let next = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, next.record_id).await, [(DeliveryState::Delivered, None)]);
    world.clock.advance(Millis::minutes(36));
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, rows[0].record_id).await, [(DeliveryState::Delivered, None)]);
    assert!(world.exchange(STRASBOURG).road.deliveries(held, None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_grant_begins_and_ends_by_the_senders_clock_and_the_receivers_may_differ_by_less_than_five_minutes() {
    let mut world = World::new().await;
    let (apart, delivered) = (Millis::minutes(4), [(DeliveryState::Delivered, None)]);
    let mut agreement = world.agreement(STRASBOURG, KEHL, crate::domain::records::offer::DisclosureLevel::Band);
    let begins = world.clock.now() + Millis::minutes(60);
    let ends = begins + Millis::minutes(60);
    for grant in &mut agreement.grants {
        (grant.valid_from, grant.valid_until) = (begins, ends);
    }
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
    world.settle().await;
    world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
    let refused = async |world: &World| {
        let tried = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[KEHL]), sample_alert())).await;
        tried.unwrap_err().reason()
    };
    world.clock.advance(Millis::minutes(58));
    assert_eq!(refused(&world).await, Reason::AgreementNotInForce, "before it begins");
    world.start_with_clock(KEHL, Millis(-apart.0)).await;
    world.clock.advance(Millis::minutes(3));
    let first = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, first.record_id).await, delivered, "there it has not begun");
    world.start_with_clock(KEHL, apart).await;
    world.clock.advance(Millis::minutes(57));
    let last = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, last.record_id).await, delivered, "there it is over");
    let queued = world.publish(STRASBOURG, &[KEHL]).await;
    world.clock.advance(Millis::minutes(3));
    assert_eq!(refused(&world).await, Reason::AgreementNotInForce, "after its end");
    world.settle().await;
    let stopped = [(DeliveryState::Refused, Some(Reason::AgreementNotInForce))];
    assert_eq!(world.delivery(STRASBOURG, queued.record_id).await, stopped, "what waited then is not sent");
}
