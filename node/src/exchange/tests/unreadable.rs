//! Stored rows that cannot be read, and rows that today's rules would refuse: neither stops anything else.

use bytes::Bytes;
use futures_util::StreamExt;

use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::agreement::Usage;
use crate::domain::ids::{Digest, Incarnation, OfferId, RecordId};
use crate::domain::light::Light;
use crate::domain::policy::Permit;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, StreamClass};
use crate::domain::records::answer::Answer;
use crate::domain::screen::stricter;
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::storage::ops::{
    NewInbox, NewOwnOffer, NewPartnerOffer, NewPublication, Publish, Put, Receive, Write, WriteOp,
};
use crate::storage::rows::InStreamKey;
use crate::wire::records::{alert, offer, practice};

const DAMAGED: &[u8] = b"\xff\xff no message";

fn ids(held: &[HeldRecord]) -> Vec<RecordId> {
    held.iter().map(|held| held.key.record_id).collect()
}

/// The row with this id, as it is listed: unreadable, and everything else of the list with content.
fn only_unreadable(held: &[HeldRecord], id: RecordId) {
    assert!(held.len() > 1, "others are listed too");
    for held in held {
        let unreadable = held.said.as_ref().err().map(|unreadable| unreadable.reason);
        let expected = (held.key.record_id == id).then_some(Reason::DecodeFailed);
        assert!(unreadable == expected || (expected.is_some() && unreadable == Some(Reason::StorageDamaged)));
    }
}

#[tokio::test]
async fn with_astrict_screen_yesterdays_records_still_list_deliver_search_and_are_answered() {
    let world = World::with_agreements().await;
    let (strasbourg, kehl) = (world.exchange(STRASBOURG), world.exchange(KEHL));
    let practice = practice::from_proto(sample::practice()).unwrap();
    let delivered = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    strasbourg.road.publish(&call(), wished(sharing(&[]), practice.clone())).await.unwrap();
    world.settle().await;
    let pending = world.publish_and_die(STRASBOURG, &[KEHL]).await;
    let queued = world.publish(STRASBOURG, &[KEHL]).await.record_id;

    // From now on a word that stands in all of them is refused.
    let word = alert::from_proto(sample::advert_alert()).unwrap().summary[0].text.split(' ').next().unwrap().to_owned();
    let title = practice.texts[0].title.split(' ').next().unwrap().to_owned();
    let strict = stricter::also_refuse(&[&word, &title]);
    assert_eq!(alert::from_proto(sample::advert_alert()).unwrap_err().reason, Reason::PersonalDataInText);
    assert_eq!(practice::from_proto(sample::practice()).unwrap_err().reason, Reason::PersonalDataInText);

    // Dispatched and sent as they were acknowledged. The partner judges what comes in by its own rules of today.
    strasbourg.road.dispatch_pass().await.unwrap();
    drop(strict);
    world.settle().await;
    let _strict = stricter::also_refuse(&[&word, &title]);
    for record in [delivered, pending, queued] {
        assert_eq!(world.delivery(STRASBOURG, record).await, [(DeliveryState::Delivered, None)]);
    }
    for (exchange, folder) in [(kehl, Folder::Received), (strasbourg, Folder::Published)] {
        let held = exchange.road.list(COORDINATOR, RecordKind::Alert, folder, None, 10).await.unwrap();
        assert_eq!(held.len(), 3);
        assert!(held.iter().all(|held| held.said.is_ok()));
        let query = PracticeQuery { words: title.clone(), ..PracticeQuery::default() };
        assert_eq!(exchange.practices.search_practices(COORDINATOR, &query, None, 9).await.unwrap().len(), 1);
    }
    let key = RecordKey { origin: id(STRASBOURG), record_id: delivered };
    kehl.road.answer(&call(), key.clone(), Answer::Acknowledged.into()).await.unwrap();
    world.settle().await;
    assert_eq!(strasbourg.road.get(COORDINATOR, key).await.unwrap().answers.len(), 1);
    let reading = reader("c", 0, &[RecordKind::Alert], true);
    let read: Vec<_> = kehl.road.consume(reading).await.unwrap().collect().await;
    assert_eq!(read.len(), 3);
    assert!(read.into_iter().all(|record| record.unwrap().envelope.is_ok()));
    assert!(strasbourg.unreadable_rows().is_empty() && kehl.unreadable_rows().is_empty());
}

#[tokio::test]
async fn a_damaged_publication_is_named_and_everything_else_is_dispatched_listed_and_found() {
    let world = World::with_agreements().await;
    let strasbourg = world.exchange(STRASBOURG);
    let damaged = RecordId([9; 16]);
    for (kind, id) in [(RecordKind::Alert, damaged), (RecordKind::Practice, RecordId([8; 16]))] {
        let now = world.clock.now();
        let publication = NewPublication {
            authority: super::world::id(STRASBOURG),
            record_id: id,
            kind,
            target: None,
            body: Bytes::from_static(DAMAGED),
            created: now,
            expires: now + Millis::days(1),
        };
        let op = Publish { request: None, publication, made: None, audit: vec![] };
        strasbourg.context.store().write(WriteOp::Publish(op)).await.unwrap();
    }
    let behind = world.publish_and_die(STRASBOURG, &[KEHL]).await;
    let practice = practice::from_proto(sample::practice()).unwrap();
    strasbourg.road.publish(&call(), wished(sharing(&[]), practice)).await.unwrap();
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, behind).await, [(DeliveryState::Delivered, None)]);
    let held = strasbourg.road.list(COORDINATOR, RecordKind::Alert, Folder::Published, None, 10).await.unwrap();
    assert_eq!(ids(&held), [behind, damaged]);
    only_unreadable(&held, damaged);
    let found = strasbourg.practices.search_practices(COORDINATOR, &PracticeQuery::default(), None, 10).await.unwrap();
    assert_eq!(found.len(), 1);
    // Backfill for a new agreement steps over it too.
    world.agree(STRASBOURG, KEHL, crate::domain::records::offer::DisclosureLevel::Band).await;
    let met = strasbourg.unreadable_rows();
    assert_eq!(met.len(), 2, "each once, however often it is met: {met:?}");
    assert!(met.iter().all(|row| row.table == Table::Publication));
}

#[tokio::test]
async fn damaged_inbox_and_offer_rows_are_named_and_everything_else_works() {
    let world = World::with_agreements().await;
    let (strasbourg, kehl) = (world.exchange(STRASBOURG), world.exchange(KEHL));
    let refuge =
        |n: u8| offer::own_from_proto(sample::refuge(4), OfferId([n; 16]), &id(STRASBOURG), world.clock.now()).unwrap();
    strasbourg.capacity.set_offer(&call(), refuge(1), None).await.unwrap();
    let good = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;

    let damaged = RecordId([9; 16]);
    let item = |kind, record_id| NewInbox {
        permit: Permit::unasked(STRASBOURG, KEHL, kind, None),
        key: RecordKey { origin: id(STRASBOURG), record_id },
        kind,
        envelope: Bytes::from_static(DAMAGED),
        digest: Digest([1; 32]),
        target: None,
        supersedes: vec![],
        hidden: false,
        expires: world.clock.now() + Millis::days(1),
        keep_until: world.clock.now() + Millis::days(1),
        usage: Usage::Store,
        traceparent: String::new(),
    };
    let stream = InStreamKey {
        origin: id(ESCH),
        recipient: id(KEHL),
        class: StreamClass::Content,
        origin_incarnation: Incarnation(1),
        recipient_incarnation: Incarnation(1),
    };
    let partner = world.node(KEHL).store.partner_offers().await.unwrap().remove(0);
    let view = Bytes::from_static(DAMAGED);
    let partner = NewPartnerOffer { id: OfferId([7; 16]), view, ..partner_offer_again(&partner) };
    let receive = Receive {
        stream,
        first: 1,
        next: 3,
        items: vec![item(RecordKind::Alert, damaged), item(RecordKind::Practice, RecordId([8; 16]))],
        puts: vec![Put::PartnerOffer(partner)],
        deletes: vec![],
        owes: vec![],
        receipt: Bytes::new(),
        now: world.clock.now(),
        audit: vec![],
    };
    kehl.context.store().write(WriteOp::Receive(Box::new(receive))).await.unwrap();
    let row = NewOwnOffer { id: OfferId([2; 16]), body: Bytes::from_static(DAMAGED), version: 1, unconfirmed: false };
    strasbourg.context.store().write(Write::put(Put::OwnOffer(row)).into()).await.unwrap();
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;

    let held = kehl.road.list(COORDINATOR, RecordKind::Alert, Folder::Received, None, 10).await.unwrap();
    assert_eq!(held.len(), 3);
    only_unreadable(&held, damaged);
    assert!(held.iter().any(|held| held.key.record_id == good));
    let single = kehl.road.get(COORDINATOR, RecordKey { origin: id(STRASBOURG), record_id: damaged }).await.unwrap();
    assert!(single.said.is_err() && single.received.is_some());
    assert!(
        kehl.practices.search_practices(COORDINATOR, &PracticeQuery::default(), None, 10).await.unwrap().is_empty()
    );
    let reading = reader("c", 0, &[RecordKind::Alert], true);
    let read: Vec<_> = kehl.road.consume(reading).await.unwrap().map(Result::unwrap).collect().await;
    let readable: Vec<bool> = read.iter().map(|record| record.envelope.is_ok()).collect();
    assert_eq!(readable, [true, false, true], "its position is given, and what comes behind it");

    let partners = kehl.capacity.partner_offers(COORDINATOR).await.unwrap();
    assert_eq!(partners.len(), 2);
    let unreadable = partners.iter().find(|offer| offer.view.is_err()).unwrap();
    assert_eq!((unreadable.id, unreadable.light), (OfferId([7; 16]), Light::NotReported));
    let own = strasbourg.capacity.own_offers(COORDINATOR).await.unwrap();
    assert_eq!(own.iter().filter(|held| held.offer.is_err()).count(), 1);
    assert_eq!(strasbourg.capacity.confirm_offers(&call(), Which::All).await.unwrap(), 1, "the one that can be read");
    let refused = strasbourg.capacity.confirm_offers(&call(), Which::These(&[OfferId([2; 16])])).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::DecodeFailed);
    let tables = |exchange: &Exchange| exchange.unreadable_rows().iter().map(|row| row.table).collect::<Vec<_>>();
    assert_eq!(tables(kehl), [Table::Inbox, Table::Inbox, Table::PartnerOffer]);
    assert_eq!(tables(strasbourg), [Table::OwnOffer]);
    // Stated anew it is whole again.
    let (mended, _) = strasbourg.capacity.set_offer(&call(), refuge(2), None).await.unwrap();
    assert!(mended.offer.is_ok());
}
