//! The road on SQLite: many at once, and a restore on either side.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::ids::{OfferId, RecordId};
use crate::domain::light::Light;
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::storage::backup;
use crate::wire::records::offer;

/// What a node's inbox shows, in order; each record once.
async fn shown(world: &World, name: &str) -> Vec<RecordId> {
    let inbox = world.inbox(name).await;
    let (positions, records): (BTreeSet<_>, BTreeSet<_>) = inbox.iter().copied().unzip();
    assert_eq!((positions.len(), records.len()), (inbox.len(), inbox.len()), "one position per record");
    inbox.into_iter().map(|(_, record)| record).collect()
}

/// The node is lost and comes back from its last backup, in a new folder.
async fn restore(world: &mut World, name: &str, from: &Path, to: &Path) {
    world.node(name).store.close().await;
    let clock = world.clock.clone();
    backup::restore(from, to, clock.now()).await.unwrap();
    let store = world.open(to).await;
    world.start(name, 0, Some(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_publishers_at_once_lose_nothing_and_see_nothing_twice() {
    let (world, _dir) = World::on_disk().await;
    let loops = world.start_loops();
    let exchange = world.exchange(STRASBOURG);
    let publishers = (0..32).map(|_| {
        let exchange = exchange.clone();
        tokio::spawn(async move {
            let mut records = Vec::new();
            for _ in 0..8 {
                let published = exchange.road.publish(&call(), wished(sharing(&[KEHL]), sample_alert())).await;
                records.push(published.unwrap().record_id);
            }
            records
        })
    });
    let mut published = BTreeSet::new();
    for publisher in publishers.collect::<Vec<_>>() {
        published.extend(publisher.await.unwrap());
    }
    let mut inbox = world.exchange(KEHL).wakeups().inbox();
    let arrived = async {
        while world.inbox(KEHL).await.len() < published.len() {
            inbox.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), arrived).await.expect("everything arrives");
    assert_eq!(shown(&world, KEHL).await.into_iter().collect::<BTreeSet<_>>(), published);
    loops.end().await;
}

#[tokio::test]
async fn a_restored_recipient_gets_again_what_it_had_acknowledged() {
    let (mut world, dir) = World::on_disk().await;
    let mut published = Vec::new();
    for round in 0..2 {
        for _ in 0..3 {
            published.push(world.publish(STRASBOURG, &[KEHL]).await.record_id);
        }
        world.settle().await;
        if round == 0 {
            back_up(&world, dir.path(), KEHL).await;
        }
    }
    assert_eq!(shown(&world, KEHL).await, published);
    world.clock.advance(Millis::minutes(1));
    restore(&mut world, KEHL, &dir.path().join("backup"), &dir.path().join("restored")).await;
    assert_eq!(shown(&world, KEHL).await, published[..3]);
    assert_eq!(world.exchange(KEHL).agreements.unconfirmed().len(), 1, "each agreement of a backup waits");
    world.confirm(KEHL).await;
    // The restored node tells its partners its new incarnation; nothing has to be published for it.
    world.exchange(KEHL).upkeep.greet_pass().await.unwrap();
    world.settle().await;
    assert_eq!(shown(&world, KEHL).await, published);
}

#[tokio::test]
async fn a_restored_sender_starts_its_numbers_again_and_nothing_is_shown_twice() {
    let (mut world, dir) = World::on_disk().await;
    let offer = offer::own_from_proto(sample::refuge(4), OfferId([5; 16]), &id(STRASBOURG), world.clock.now()).unwrap();
    world.exchange(STRASBOURG).capacity.set_offer(&call(), offer, None).await.unwrap();
    let first = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    back_up(&world, dir.path(), STRASBOURG).await;
    let second = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    world.clock.advance(Millis::minutes(1));
    restore(&mut world, STRASBOURG, &dir.path().join("backup"), &dir.path().join("restored")).await;
    world.confirm(STRASBOURG).await;
    world.exchange(STRASBOURG).upkeep.greet_pass().await.unwrap();
    let third = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    assert_eq!(shown(&world, KEHL).await, [first, second, third]);
    assert_eq!(world.delivery(STRASBOURG, third).await, [(DeliveryState::Delivered, None)]);
    // What the restored node offers may be old: it is paused, and partners see that, until somebody confirms it.
    let light = async || world.exchange(KEHL).capacity.partner_offers(COORDINATOR).await.unwrap()[0].light;
    assert!(world.exchange(STRASBOURG).capacity.own_offers(COORDINATOR).await.unwrap()[0].unconfirmed);
    assert_eq!(light().await, Light::ClosedUntil);
    assert_eq!(world.exchange(STRASBOURG).capacity.confirm_offers(&call(), Which::All).await.unwrap(), 1);
    world.settle().await;
    assert_eq!(light().await, Light::Available);
}

async fn back_up(world: &World, dir: &Path, name: &str) {
    let folder = dir.join("backup");
    std::fs::create_dir_all(&folder).unwrap();
    backup::backup(&dir.join(name), &folder, world.clock.now()).await.unwrap();
}
