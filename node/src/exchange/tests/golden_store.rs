//! The golden store: files that version 0.1.0 wrote, with a row in every table, read for ever.
//!
//! `HAVENLINK_GOLDEN=write` makes them where they are missing. They are never made again once a version is tagged; the
//! salts in them are drawn, so that two makings differ.

use std::path::{Path, PathBuf};

use super::furnished::{self, Seen};
use super::world::*;
use crate::domain::record::RecordKind;
use crate::domain::screen::stricter;
use crate::exchange::{DeliveryFilter, DeliveryState, Folder};
use crate::storage::backup;
use crate::storage::keys::{KEYS_FILE, NODE_KEY};
use crate::storage::sqlite::STORE_FILE;
use crate::wire::records::alert;

const FILES: [&str; 3] = [STORE_FILE, KEYS_FILE, NODE_KEY];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/compat/0.1.0/store")
}

async fn write() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = furnished::world(furnished::MADE_AT);
    furnished::start(&mut world, dir.path()).await;
    furnished::furnish(&world).await;
    furnished::close(&world).await;
    std::fs::create_dir_all(golden()).unwrap();
    for file in FILES {
        std::fs::copy(dir.path().join(STRASBOURG).join(file), golden().join(file)).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let world = opened(dir.path()).await;
    std::fs::write(golden().join("seen.txt"), text(&furnished::look(&world).await)).unwrap();
}

fn text(seen: &Seen) -> String {
    seen.iter().map(|(what, seen)| format!("{what}: {seen}\n")).collect()
}

/// Strasbourg on a copy of the golden store; the others begin anew.
async fn opened(dir: &Path) -> World {
    let home = dir.join(STRASBOURG);
    std::fs::create_dir_all(&home).unwrap();
    for file in FILES {
        std::fs::copy(golden().join(file), home.join(file)).unwrap();
    }
    let mut world = furnished::world(furnished::LATER);
    furnished::start(&mut world, dir).await;
    world
}

#[tokio::test]
async fn the_golden_store_gives_what_it_gave_and_its_queue_arrives() {
    if std::env::var_os("HAVENLINK_GOLDEN").is_some_and(|wanted| wanted == "write") && !golden().exists() {
        write().await;
    }
    let dir = tempfile::tempdir().unwrap();
    let world = opened(dir.path()).await;
    let seen = text(&furnished::look(&world).await);
    let expected = std::fs::read_to_string(golden().join("seen.txt")).unwrap();
    for (line, golden) in seen.lines().zip(expected.lines()) {
        assert_eq!(line, golden);
    }
    assert_eq!(seen.lines().count(), expected.lines().count());
    assert_eq!(world.exchange(STRASBOURG).unreadable_rows(), []);

    // With a screen of today that would refuse every alert of then: all of it is still listed, found and sent.
    let word = sample_alert().summary[0].text.split(' ').next().unwrap().to_owned();
    let strict = stricter::also_refuse(&[&word]);
    assert!(alert::from_proto(crate::demo::sample::advert_alert()).is_err());
    let exchange = world.exchange(STRASBOURG);
    let listed = exchange.road.list(COORDINATOR, RecordKind::Alert, Folder::Published, None, 100).await.unwrap();
    assert!(listed.len() > 2 && listed.iter().all(|held| held.said.is_ok()));
    exchange.road.dispatch_pass().await.unwrap();
    drop(strict);
    // Kehl has lost its own store, and with it the agreement; it gets that again first.
    let waited = DeliveryFilter { state: Some(DeliveryState::Queued), ..DeliveryFilter::default() };
    let waited = exchange.road.deliveries(waited, None, 100).await.unwrap();
    assert_eq!(waited.len(), 3, "two that were made, and one that was not");
    let states = furnished::go_on(&world).await;
    for row in waited {
        let became = states.iter().filter(|(record, _)| *record == row.record_id);
        assert!(became.clone().count() > 0 && became.clone().all(|(_, state)| *state == DeliveryState::Delivered));
    }
}

#[tokio::test]
async fn the_golden_store_is_a_backup_that_can_be_restored() {
    let place = tempfile::tempdir().unwrap();
    let (file, dir) = (place.path().join("golden.backup"), place.path().join("data"));
    std::fs::copy(golden().join(STORE_FILE), &file).unwrap();
    let report = backup::restore(&file, &dir, furnished::LATER).await.unwrap();
    assert!(report.to_size > 0 && report.from_size == report.to_size);
    let world = furnished::world(furnished::LATER);
    let store = world.open(&dir).await;
    assert_eq!(store.incarnation(), report.incarnation);
    assert!(store.own_offers().await.unwrap().iter().all(|offer| offer.unconfirmed));
    assert_eq!(store.unreadable().all(), []);
}
