//! What is owed: written with what causes it, settled with what fulfils it, never in the way of another.

use super::*;
use crate::domain::ids::{AgreementId, OfferId};
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::ops::*;
use crate::owed::{Owed, OwedKey, Postponed, Subject, What};

fn record_for(to: &str, n: u32) -> OwedKey {
    OwedKey::to(&authority(to), Subject::SuspendedRecord(key(HERE, n)))
}

fn owed_at(key: OwedKey, since: UnixMs) -> Owed {
    Owed { key, since, due: since }
}

async fn owe(store: &dyn Store, owes: Vec<Owed>) {
    assert_eq!(store.write(Write { owes, ..Write::default() }.into()).await.unwrap(), Written::Done);
}

async fn due(store: &dyn Store, to: &str, now: UnixMs) -> Vec<OwedKey> {
    let rows = store.owed(What::SuspendedRecord, Some(authority(to)), now, 99).await.unwrap();
    rows.into_iter().map(|row| row.key).collect()
}

pub(super) async fn what_is_owed_is_listed_by_sort_and_recipient_oldest_first(store: &dyn Store) {
    let later = NOW + Millis(5);
    let mut owes: Vec<Owed> = (1..=70).map(|n| owed_at(record_for(THERE, n), later)).collect();
    owes.push(owed_at(record_for(THERE, 99), NOW));
    owes.push(owed_at(record_for(ELSEWHERE, 1), later));
    owes.push(owed_at(OwedKey::of(Subject::PauseNotice(OfferId([4; 16]))), NOW));
    owe(store, owes).await;
    // Owed twice is owed once, since the first time.
    owe(store, vec![owed_at(record_for(THERE, 99), later)]).await;
    let listed = due(store, THERE, later).await;
    assert_eq!((listed.len(), &listed[0], &listed[1]), (71, &record_for(THERE, 99), &record_for(THERE, 1)));
    assert_eq!(due(store, THERE, NOW).await, [record_for(THERE, 99)], "the rest is not due yet");
    let recipients = store.owed_recipients(What::SuspendedRecord, later).await.unwrap();
    assert_eq!(recipients, [Some(authority(THERE)), Some(authority(ELSEWHERE))]);
    assert_eq!(store.owed_recipients(What::PauseNotice, later).await.unwrap(), [None]);
    let few = store.owed(What::SuspendedRecord, Some(authority(THERE)), later, 3).await.unwrap();
    assert_eq!(few.len(), 3);
    let counts = store.owed_counts().await.unwrap();
    let counts: Vec<_> = counts.iter().map(|count| (count.what, count.rows, count.oldest)).collect();
    assert_eq!(counts, [(What::SuspendedRecord, 72, NOW), (What::PauseNotice, 1, NOW)]);
}

pub(super) async fn what_cannot_be_done_is_in_nobodys_way(store: &dyn Store) {
    owe(store, (1..=3).map(|n| owed_at(record_for(THERE, n), NOW)).collect()).await;
    let reason = Reason::AgreementEnded;
    let postponed = Postponed { key: record_for(THERE, 1), due: NOW + HOUR, reason };
    let write = Write { postpones: vec![postponed], ..Write::default() };
    store.write(write.into()).await.unwrap();
    assert_eq!(due(store, THERE, NOW).await, [record_for(THERE, 2), record_for(THERE, 3)]);
    let rows = store.owed(What::SuspendedRecord, Some(authority(THERE)), NOW + HOUR, 99).await.unwrap();
    assert_eq!((rows.len(), rows[0].attempts, rows[0].reason, rows[0].since), (3, 1, Some(reason), NOW));
    let count = &store.owed_counts().await.unwrap()[0];
    assert_eq!((count.rows, count.postponed, count.reason), (3, 1, Some(reason)));
}

pub(super) async fn what_a_clock_that_was_ahead_put_off_is_due_once_it_is_right(store: &dyn Store) {
    let ahead = NOW + Millis::days(3_650);
    owe(store, vec![owed_at(record_for(THERE, 1), NOW), owed_at(record_for(THERE, 2), ahead)]).await;
    let agreed_for = Owed { key: record_for(THERE, 3), since: NOW, due: NOW + Millis::days(30) };
    owe(store, vec![agreed_for]).await;
    let postponed =
        Postponed { key: record_for(THERE, 1), due: ahead + Millis::minutes(15), reason: Reason::PeerUnreachable };
    store.write(Write { postpones: vec![postponed], ..Write::default() }.into()).await.unwrap();
    assert_eq!(due(store, THERE, NOW).await, [record_for(THERE, 1), record_for(THERE, 2)], "no wall clock is an order");
    assert_eq!(store.owed_recipients(What::SuspendedRecord, NOW).await.unwrap(), [Some(authority(THERE))]);
    assert_eq!(due(store, THERE, NOW + Millis::days(30)).await.len(), 3, "what was agreed for later comes later");
}

pub(super) async fn a_fulfilling_write_settles_in_its_transaction(store: &dyn Store) {
    owe(store, (1..=70).map(|n| owed_at(record_for(THERE, n), NOW)).collect()).await;
    let fulfil = |n, version| Write {
        expects: vec![Expect::Owed(record_for(THERE, n)), Expect::OfferVersion(OfferId([4; 16]), version)],
        deliveries: vec![delivery(n)],
        settles: vec![record_for(THERE, n)],
        ..Write::default()
    };
    assert!(store.write(fulfil(1, 9).into()).await.is_err(), "refused: it is still owed");
    assert_eq!((due(store, THERE, NOW).await.len(), store.open_streams().await.unwrap().len()), (70, 0));
    assert_eq!(store.write(fulfil(1, 0).into()).await.unwrap(), Written::Done);
    assert_eq!(store.write(fulfil(1, 0).into()).await.unwrap(), Written::Taken, "nothing is fulfilled twice");
    assert_eq!((due(store, THERE, NOW).await.len(), batch(store).await.len()), (69, 1));
    // Many at once, and what is not owed is no failure.
    let settles = (1..=70).map(|n| record_for(THERE, n)).collect();
    store.write(Write { settles, ..Write::default() }.into()).await.unwrap();
    assert_eq!(store.owed_counts().await.unwrap(), []);
}

pub(super) async fn the_dispatchers_and_a_received_batch_owe_too(store: &dyn Store) {
    store.write(publish(1)).await.unwrap();
    let dispatched = Queue {
        publication: Some(key(HERE, 1)),
        items: vec![delivery_to(ELSEWHERE, crate::domain::record::RecordKind::Alert, 1)],
        owes: vec![owed_at(record_for(THERE, 1), NOW)],
        audit: Vec::new(),
    };
    store.write(WriteOp::Queue(dispatched)).await.unwrap();
    assert_eq!(due(store, THERE, NOW).await, [record_for(THERE, 1)]);
    // One that was dispatched already owes nothing again.
    store.write(Write { settles: vec![record_for(THERE, 1)], ..Write::default() }.into()).await.unwrap();
    let again =
        Queue { publication: Some(key(HERE, 1)), owes: vec![owed_at(record_for(THERE, 1), NOW)], ..Queue::default() };
    assert_eq!(store.write(WriteOp::Queue(again)).await.unwrap(), Written::Taken);
    assert_eq!(due(store, THERE, NOW).await, []);
    let announcement = OwedKey::to(&authority(THERE), Subject::Announcement(AgreementId([8; 32])));
    let batch = Receive { owes: vec![owed_at(announcement.clone(), NOW)], ..receive(1, vec![received(1)]) };
    store.write(WriteOp::Receive(Box::new(batch))).await.unwrap();
    let owed = store.owed(What::Announcement, Some(authority(THERE)), NOW, 9).await.unwrap();
    assert_eq!(owed.into_iter().map(|row| row.key).collect::<Vec<_>>(), [announcement]);
}
