//! An agreement that comes later: what is for all, and still current, reaches its partner too.

use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::audit::AuditAct;
use crate::domain::ids::{OfferId, RecordId};
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::records::offer::{CapacityBand, CapacityLevel, DisclosureLevel, ServiceKind};
use crate::domain::stream::StreamId;
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::wire::records::{offer, practice};

/// Content that Strasbourg made for the recipient, oldest first; all of it was delivered.
async fn sent_to(world: &World, recipient: &str) -> Vec<(RecordKind, RecordId)> {
    let filter = DeliveryFilter { recipient: Some(id(recipient)), ..DeliveryFilter::default() };
    let rows = world.exchange(STRASBOURG).road.deliveries(filter, None, 100).await.unwrap();
    let content = rows.iter().rev().filter(|row| row.kind.class() == StreamClass::Content);
    let content = content.inspect(|row| assert_eq!(row.state, DeliveryState::Delivered, "{row:?}"));
    content.map(|row| (row.kind, row.record_id)).collect()
}

async fn set_refuge(world: &World, free: u32) {
    let now = world.clock.now();
    let refuge = offer::own_from_proto(sample::refuge(free), OfferId([5; 16]), &id(STRASBOURG), now).unwrap();
    world.exchange(STRASBOURG).capacity.set_offer(&call(), refuge, None).await.unwrap();
    world.settle().await;
}

async fn publish_practice(world: &World) -> RecordId {
    let practice = practice::from_proto(sample::practice()).unwrap();
    let published = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[]), practice)).await.unwrap();
    world.settle().await;
    published.record_id
}

#[tokio::test]
async fn a_later_partner_gets_what_is_current_and_for_all_once() {
    let world = World::new().await;
    // Before anybody could get it.
    set_refuge(&world, 9).await;
    let practice = publish_practice(&world).await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    assert_eq!(
        sent_to(&world, KEHL).await.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        [RecordKind::OfferView, RecordKind::Practice]
    );
    world.clock.advance(Millis::minutes(5));
    set_refuge(&world, 2).await;
    let for_all = world.publish(STRASBOURG, &[]).await.record_id;
    let for_kehl = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    let mut short = sharing(&[]);
    short.expires = Some(world.clock.now() + Millis::minutes(10));
    let strasbourg = world.exchange(STRASBOURG);
    let gone = strasbourg.road.publish(&call(), wished(short, sample_alert())).await.unwrap().record_id;
    world.settle().await;
    world.clock.advance(Millis::minutes(11));
    let (to_kehl, leaves) = (sent_to(&world, KEHL).await, strasbourg.upkeep.audit_leaves(0, 0).await.unwrap().1.size);

    world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
    let esch = sent_to(&world, ESCH).await;
    let kinds: Vec<_> = esch.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [RecordKind::Practice, RecordKind::OfferView], "in order, the last offer only, no alert");
    let records: Vec<_> = esch.iter().map(|(_, record)| *record).collect();
    assert!(records.contains(&practice));
    assert!([for_all, for_kehl, gone].iter().all(|alert| !records.contains(alert)));
    let seen = world.exchange(ESCH).capacity.partner_offers(COORDINATOR).await.unwrap();
    assert_eq!(view(&seen[0]).capacity.level, CapacityLevel::Band(CapacityBand::OneToTwo));
    assert!(seen[0].age.is_some_and(|age| age >= Millis::minutes(11)), "as old as it is: {:?}", seen[0].age);
    // Disclosed twice, and nothing was refused that was never meant for Esch.
    let drafts = strasbourg.upkeep.audit_leaves(leaves, 100).await.unwrap().0;
    let acts = drafts.iter().map(|leaf| {
        use havenlink_proto::record::v1::AuditLeaf;
        <AuditLeaf as prost::Message>::decode(leaf.clone()).unwrap().act
    });
    let acts: Vec<_> = acts.collect();
    let count = |act: AuditAct| acts.iter().filter(|a| **a == act.code()).count();
    assert_eq!((count(AuditAct::Disclosed), count(AuditAct::Refused)), (2, 0));
    // A second agreement with the same partner, and upkeep, send nothing again.
    world.agree(ESCH, STRASBOURG, DisclosureLevel::Band).await;
    world.settle().await;
    assert_eq!((sent_to(&world, ESCH).await, sent_to(&world, KEHL).await), (esch, to_kehl));
}

#[tokio::test]
async fn a_grant_that_begins_later_is_backfilled_when_it_begins() {
    let world = World::new().await;
    set_refuge(&world, 2).await;
    publish_practice(&world).await;
    let mut agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light);
    for grant in &mut agreement.grants {
        grant.valid_from = world.clock.now() + Millis::hours(1);
        // No refuges: the offer is never Kehl's to see.
        grant.service_kinds.retain(|kind| *kind == ServiceKind::Medical);
    }
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
    world.settle().await;
    world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
    assert!(sent_to(&world, KEHL).await.is_empty());
    world.clock.advance(Millis::minutes(61));
    world.settle().await;
    assert_eq!(sent_to(&world, KEHL).await.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [RecordKind::Practice]);
}

#[tokio::test]
async fn what_is_not_dispatched_yet_goes_to_the_new_partner_once() {
    let world = World::new().await;
    let exchange = world.exchange(STRASBOURG);
    let now = world.clock.now();
    let refuge = offer::own_from_proto(sample::refuge(2), OfferId([5; 16]), &id(STRASBOURG), now).unwrap();
    assert!(exchange.capacity.set_offer(&call(), refuge, None).await.unwrap().1.is_empty());
    // No dispatch pass runs until the agreement is in force.
    let agreement = world.agreement(KEHL, STRASBOURG, DisclosureLevel::Light);
    let made = world.exchange(KEHL).agreements.propose_agreement(&call(), agreement).await.unwrap();
    let control = StreamId { origin: id(KEHL), recipient: id(STRASBOURG), class: StreamClass::Control };
    while world.exchange(KEHL).road.deliver_pass(&control).await == Pass::Now {}
    exchange.agreements.sign_agreement(&call(), made).await.unwrap();
    exchange.upkeep.run_pass(crate::pass::PassKind::Backfill).await.unwrap();
    let made = exchange.road.deliveries(DeliveryFilter::default(), None, 9).await.unwrap();
    assert!(made.iter().all(|row| row.kind.class() == StreamClass::Control), "the dispatcher has it: {made:?}");
    world.settle().await;
    assert_eq!(sent_to(&world, KEHL).await.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [RecordKind::OfferView]);
}
