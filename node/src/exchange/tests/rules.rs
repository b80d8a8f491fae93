//! Rules of 9.3 that hold between two nodes: what a fault costs, what waits hidden, what stays known.

use futures_util::StreamExt;

use super::world::*;
use crate::clock::Clock;
use crate::domain::authority::KeyRecord;
use crate::domain::directory::Member;
use crate::domain::envelope::Envelope;
use crate::domain::ids::RecordId;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, Reference, ReferenceKind, StreamClass};
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::stream::{Batch, BatchAnswer, BatchItem, ItemBody};
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::wire::keys::SigningKey;
use crate::wire::records::{self, practice};
use crate::wire::{peer, sealed};

/// The last content batch that was sent.
fn last_content(world: &World) -> Batch {
    let delivered = world.line.delivered.lock().unwrap();
    delivered.iter().rfind(|batch| batch.stream.class == StreamClass::Content).cloned().unwrap()
}

/// A practice of Strasbourg for Kehl, under the grant that its last batch came under.
fn sealed_practice(world: &World, record: u8, key: &SigningKey, change: impl FnOnce(&mut Envelope)) -> BatchItem {
    let mut envelope = world.envelope(STRASBOURG, KEHL);
    let agreements = world.exchange(STRASBOURG).agreements.set();
    envelope.grant = agreements.grants(&id(STRASBOURG), &id(KEHL)).next().map(|held| held.reference);
    envelope.record_id = RecordId([record; 16]);
    envelope.body = records::encode(&practice::from_proto(crate::demo::sample::practice()).unwrap().into());
    change(&mut envelope);
    let body = ItemBody::Envelope(sealed::seal(&envelope, key).bytes);
    BatchItem { body, as_of_age_ms: None, traceparent: String::new() }
}

async fn take(world: &World, first: u64, items: Vec<BatchItem>) -> Result<BatchAnswer, Error> {
    let batch = Batch { first, items, ..last_content(world) };
    world.exchange(KEHL).road.receive(&id(STRASBOURG), batch).await
}

async fn shown(world: &World) -> Vec<RecordId> {
    let rows = world.node(KEHL).store.inbox_after(0, vec![RecordKind::Practice], 100).await.unwrap();
    rows.into_iter().map(|row| row.key.record_id).collect()
}

async fn greeted() -> World {
    let world = World::new().await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    world
}

#[tokio::test]
async fn a_fault_of_the_receiver_as_a_whole_consumes_nothing_and_skips_nothing_however_long_it_lasts() {
    let world = World::with_agreements().await;
    for reason in [Reason::StorageFull, Reason::NodeStopping, Reason::RegisterNotFresh, Reason::BatchInFlight] {
        *world.line.fault.lock().unwrap() = Some(reason);
        let published = world.publish(STRASBOURG, &[KEHL]).await;
        for _ in 0..4 {
            world.settle().await;
            world.clock.advance(Millis::minutes(6));
        }
        let states = world.delivery(STRASBOURG, published.record_id).await;
        assert_eq!(states, [(DeliveryState::Queued, Some(reason))]);
        *world.line.fault.lock().unwrap() = None;
        world.settle().await;
        assert_eq!(world.delivery(STRASBOURG, published.record_id).await, [(DeliveryState::Delivered, None)]);
    }
}

#[tokio::test]
async fn while_the_register_is_behind_a_new_key_fails_the_call_and_takes_what_stands_before_it() {
    let world = greeted().await;
    let old = world.node(STRASBOURG).key.clone();
    let new = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    let beat = world.view.load().majority_beat;
    world.change_view(|view| view.majority_beat = None);
    let items = vec![sealed_practice(&world, 1, &old, |_| {}), sealed_practice(&world, 2, &new, |_| {})];
    let answer = take(&world, 2, items.clone()).await.unwrap();
    assert_eq!((answer.next, shown(&world).await), (3, vec![RecordId([1; 16])]));
    let refused = take(&world, 3, items[1..].to_vec()).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::RegisterNotFresh, "and nothing is consumed");
    // A key that was replaced or withdrawn is known to be: no register will make it good again.
    let listed = |m: &mut Member, key: &SigningKey| {
        m.keys.push(KeyRecord { key: key.public(), replaced_at: None, compromised: true });
    };
    let withdrawn = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    world.change_member(STRASBOURG, |m| listed(m, &withdrawn));
    let answer = take(&world, 3, vec![sealed_practice(&world, 3, &withdrawn, |_| {})]).await.unwrap();
    assert_eq!(answer.next, 4);
    // Fresh, and still without the key, which was published a moment ago: it is asked for again.
    world.change_view(|view| view.majority_beat = beat);
    assert_eq!(take(&world, 4, items[1..].to_vec()).await.unwrap().next, 4);
    world.change_member(STRASBOURG, |m| {
        m.keys.push(KeyRecord { key: new.public(), replaced_at: None, compromised: false });
    });
    assert_eq!(take(&world, 4, items[1..].to_vec()).await.unwrap().next, 5);
    assert_eq!(shown(&world).await, [RecordId([1; 16]), RecordId([2; 16])]);
}

#[tokio::test]
async fn a_kind_of_a_later_version_is_asked_for_again_and_keeps_nothing_else_back() {
    let world = greeted().await;
    let key = world.node(STRASBOURG).key.clone();
    let later = sealed_practice(&world, 1, &key, |envelope| envelope.kind = RecordKind::Placement);
    let answer = take(&world, 2, vec![later, sealed_practice(&world, 2, &key, |_| {})]).await.unwrap();
    assert_eq!(answer.next, 2, "nothing is consumed");
    let view = world.view.load_full();
    let key_of = |authority: &_, key: &_| view.verifying_key(authority, key, world.clock.now()).copied();
    let receipt = peer::open_receipt(answer.receipt.unwrap(), &view.federation, &key_of).unwrap();
    assert_eq!(receipt.outcomes.len(), 1);
    assert_eq!(receipt.outcomes[0].verdict, crate::domain::receipt::Verdict::RetryLater(Reason::KindNotNamed));
    let deferred = BatchItem { body: ItemBody::Skip(Reason::Deferred), as_of_age_ms: None, traceparent: String::new() };
    let practice = sealed_practice(&world, 2, &key, |_| {});
    assert_eq!(take(&world, 2, vec![deferred, practice]).await.unwrap().next, 4);
    assert_eq!(shown(&world).await, [RecordId([2; 16])]);
}

#[tokio::test]
async fn an_update_without_its_target_is_stored_and_hidden_until_the_target_comes() {
    let world = greeted().await;
    let key = world.node(STRASBOURG).key.clone();
    let about = |kind, record: u8| {
        let target = RecordKey { origin: id(STRASBOURG), record_id: RecordId([record; 16]) };
        move |envelope: &mut Envelope| envelope.references = vec![Reference { kind, target }]
    };
    let early = vec![
        sealed_practice(&world, 1, &key, about(ReferenceKind::Updates, 9)),
        sealed_practice(&world, 2, &key, about(ReferenceKind::Cancels, 1)),
        sealed_practice(&world, 3, &key, |envelope| {
            about(ReferenceKind::Replaces, 8)(envelope);
            envelope.expires = envelope.created + Millis::hours(1);
            envelope.review_by = envelope.expires;
        }),
    ];
    assert_eq!(take(&world, 2, early.clone()).await.unwrap().next, 5);
    assert!(shown(&world).await.is_empty());
    // Stored means known: the same under other numbers is a duplicate.
    assert_eq!(take(&world, 5, early).await.unwrap().next, 8);
    assert_eq!(take(&world, 8, vec![sealed_practice(&world, 9, &key, |_| {})]).await.unwrap().next, 9);
    assert_eq!(shown(&world).await, [9, 1, 2].map(|n| RecordId([n; 16])));
    // One whose target did not come in its time is never shown.
    world.clock.advance(Millis::minutes(61));
    world.exchange(KEHL).upkeep.sweep_pass().await.unwrap();
    assert_eq!(take(&world, 9, vec![sealed_practice(&world, 8, &key, |_| {})]).await.unwrap().next, 10);
    assert_eq!(shown(&world).await, [9, 1, 2, 8].map(|n| RecordId([n; 16])));
}

#[tokio::test]
async fn a_reader_is_not_given_what_was_taken_back_before_it_came() {
    let world = greeted().await;
    let key = world.node(STRASBOURG).key.clone();
    let target = RecordKey { origin: id(STRASBOURG), record_id: RecordId([255; 16]) };
    let cancels = vec![Reference { kind: ReferenceKind::Cancels, target }];
    let early = sealed_practice(&world, 0, &key, |envelope| envelope.references = cancels);
    assert_eq!(take(&world, 2, vec![early]).await.unwrap().next, 3);
    // Behind the alert of before these fill a reader's page; what waited for the last of them comes on the next one.
    let page = (1..=255).map(|n| sealed_practice(&world, n, &key, |_| {})).collect();
    assert_eq!(take(&world, 3, page).await.unwrap().next, 258);
    let kinds = vec![RecordKind::Alert, RecordKind::Practice];
    let reading = reader("case-system", 0, &kinds, true);
    let read = world.exchange(KEHL).road.consume(reading).await.unwrap();
    let read: Vec<_> = read.map(|record| record.unwrap().key.record_id).collect().await;
    let expected: Vec<_> = (1..255).chain([0]).map(|n| RecordId([n; 16])).collect();
    assert_eq!(read[1..], expected);
}

#[tokio::test]
async fn a_record_that_was_forgotten_for_its_retention_does_not_come_a_second_time() {
    let world = World::new().await;
    let mut agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light);
    agreement.grants.iter_mut().for_each(|grant| grant.retention = Millis::hours(1));
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
    world.settle().await;
    world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let batch = last_content(&world);
    world.clock.advance(Millis::minutes(61));
    world.exchange(KEHL).upkeep.sweep_pass().await.unwrap();
    assert!(world.inbox(KEHL).await.is_empty(), "kept no longer than agreed");
    let answer = take(&world, 2, batch.items.clone()).await.unwrap();
    assert_eq!(answer.next, 3);
    let view = world.view.load_full();
    let now = world.clock.now();
    let key_of = |a: &_, k: &_| view.verifying_key(a, k, now).copied();
    let receipt = peer::open_receipt(answer.receipt.unwrap(), &view.federation, &key_of).unwrap();
    assert_eq!(receipt.outcomes.len(), 1);
    assert_eq!(receipt.outcomes[0].verdict, crate::domain::receipt::Verdict::Duplicate);
    assert_eq!(receipt.register, view.position(), "one receipt, and by which register it was given");
    assert!(world.inbox(KEHL).await.is_empty());
}
