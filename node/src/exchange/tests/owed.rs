//! What is owed: killed between any two steps nothing is lost and nothing happens twice; what cannot be done is in
//! nobody's way; thousands of records are given in few commits.

use std::sync::Arc;

use super::faulty_store::{FaultyStore, Kill};
use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::agreement::{AgreementEndReason, AgreementState};
use crate::domain::ids::{AgreementId, OfferId, RecordId};
use crate::domain::publication::Publication;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::records::Content;
use crate::domain::records::offer::{DisclosureLevel, OfferStatus};
use crate::domain::stream::StreamId;
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::pass::PassKind;
use crate::storage::ops::{NewOwnOffer, NewPublication, Publish, Put, Write, WriteOp};
use crate::storage::owed::{Owed, OwedKey, Subject, What};
use crate::wire::records::{offer, practice};
use crate::wire::stored;

/// A node that can be killed.
async fn mortal(world: &mut World, name: &str) -> Arc<FaultyStore> {
    let store = FaultyStore::over(world.node(name).store.clone());
    world.start(name, 0, Some(store.clone())).await;
    store
}

/// Runs a story again and again, its node killed at one write later each time, before and after it is stored, until it
/// comes through; each time the node starts again on what is there, and all must be as if nothing had been. `steps`: the
/// writes that the story has at least.
async fn killed_between_any_two_steps<T>(
    steps: u64,
    prepare: impl AsyncFn(&World) -> T,
    act: impl AsyncFn(&World, &T),
    check: impl AsyncFn(&World, &T),
) {
    for kill in [Kill::Before, Kill::After] {
        for write in 1.. {
            let mut world = World::new().await;
            let store = mortal(&mut world, STRASBOURG).await;
            let told = prepare(&world).await;
            store.kill_at(write, kill);
            act(&world, &told).await;
            let died = store.died();
            world.start(STRASBOURG, 0, Some(store.inner.clone())).await;
            act(&world, &told).await;
            world.settle().await;
            world.settle().await;
            check(&world, &told).await;
            assert_eq!(world.exchange(STRASBOURG).upkeep.owed_counts().await.unwrap(), [], "{kill:?} write {write}");
            if !died {
                assert!(write > steps, "the story has {} writes", write - 1);
                break;
            }
        }
    }
}

/// A pass of Strasbourg's, which may be killed in it.
pub(super) async fn pass(world: &World, pass: PassKind) {
    while world.exchange(STRASBOURG).upkeep.run_pass(pass).await.is_ok_and(|passed| passed.more) {}
}

/// Records of a kind that Strasbourg made for a recipient, each with how often.
pub(super) async fn made_for(world: &World, recipient: &str, kind: RecordKind) -> Vec<RecordId> {
    let filter = DeliveryFilter { recipient: Some(id(recipient)), ..DeliveryFilter::default() };
    let rows = world.exchange(STRASBOURG).road.deliveries(filter, None, 10_000).await.unwrap();
    let mut made: Vec<_> = rows.into_iter().filter(|row| row.kind == kind).map(|row| row.record_id).collect();
    made.sort_unstable();
    made
}

/// How often the ledger of Strasbourg says that something went to a recipient.
async fn disclosed_to(world: &World, recipient: &str) -> usize {
    use havenlink_proto::record::v1::{AuditAct, AuditLeaf};
    let exchange = world.exchange(STRASBOURG);
    let size = exchange.upkeep.audit_leaves(0, 0).await.unwrap().1.size;
    let leaves = exchange.upkeep.audit_leaves(0, usize::try_from(size).unwrap()).await.unwrap().0;
    let leaves = leaves.into_iter().map(|leaf| <AuditLeaf as prost::Message>::decode(leaf).unwrap());
    leaves.filter(|leaf| leaf.act() == AuditAct::Disclosed && leaf.counterparty == recipient).count()
}

async fn publish_practice(world: &World) -> RecordId {
    let practice = practice::from_proto(sample::practice()).unwrap();
    world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[]), practice)).await.unwrap().record_id
}

#[tokio::test]
async fn a_suspension_and_a_restore_lose_and_repeat_nothing() {
    let prepare = async |world: &World| {
        world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
        world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
        world.line.down.lock().unwrap().insert(id(KEHL));
        let mut records = vec![world.publish(STRASBOURG, &[KEHL]).await.record_id];
        world.suspend(KEHL);
        for _ in 0..2 {
            records.push(publish_practice(world).await);
        }
        records.push(world.publish(STRASBOURG, &[]).await.record_id);
        records.sort_unstable();
        records
    };
    let act = async |world: &World, _: &Vec<RecordId>| {
        pass(world, PassKind::HoldOrRelease).await;
        pass(world, PassKind::Dispatch).await;
        pass(world, PassKind::SuspendedRecipients).await;
        world.line.down.lock().unwrap().clear();
        world.restore(KEHL);
        pass(world, PassKind::SuspendedRecipients).await;
        pass(world, PassKind::HoldOrRelease).await;
    };
    let check = async |world: &World, records: &Vec<RecordId>| {
        let mut made = made_for(world, KEHL, RecordKind::Alert).await;
        made.extend(made_for(world, KEHL, RecordKind::Practice).await);
        made.sort_unstable();
        assert_eq!(made, *records, "each once");
        assert_eq!(disclosed_to(world, KEHL).await, records.len());
        let held = world.node(KEHL).store.inbox_after(0, vec![], 99).await.unwrap();
        let content = held.iter().filter(|row| row.record.kind().class() == StreamClass::Content).count();
        assert_eq!(content, records.len());
    };
    killed_between_any_two_steps(6, prepare, act, check).await;
}

#[tokio::test]
async fn the_end_of_an_agreement_is_told_once_to_each_party() {
    let prepare = async |world: &World| {
        let made = world.agree_all(&[STRASBOURG, KEHL, ESCH]).await;
        world.suspend(ESCH);
        (made, call())
    };
    let act = async |world: &World, (made, call): &(AgreementId, Call)| {
        let ended = world.exchange(STRASBOURG).agreements.end_agreement(call, *made, AgreementEndReason::Breach).await;
        pass(world, PassKind::EndNotices).await;
        world.restore(ESCH);
        if ended.is_ok() {
            pass(world, PassKind::EndNotices).await;
        } else {
            // Not answered: it is ended again once the node is back, and Esch is suspended until then.
            world.suspend(ESCH);
        }
    };
    let check = async |world: &World, (made, _): &(AgreementId, Call)| {
        for name in [STRASBOURG, KEHL, ESCH] {
            let shown = world.exchange(name).agreements.show_agreement(*made).await.unwrap();
            assert_eq!(shown.held.ends.iter().map(|end| &end.by).collect::<Vec<_>>(), [&id(STRASBOURG)], "{name}");
        }
        for name in [KEHL, ESCH] {
            assert_eq!(made_for(world, name, RecordKind::AgreementEnd).await.len(), 1, "{name}");
        }
    };
    killed_between_any_two_steps(2, prepare, act, check).await;
}

#[tokio::test]
async fn an_agreement_that_is_complete_is_announced_and_backfilled_once() {
    let prepare = async |world: &World| {
        let now = world.clock.now();
        let refuge = offer::own_from_proto(sample::refuge(2), OfferId([5; 16]), &id(STRASBOURG), now).unwrap();
        world.exchange(STRASBOURG).capacity.set_offer(&call(), refuge, None).await.unwrap();
        let practice = publish_practice(world).await;
        let agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light);
        let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
        world.settle().await;
        world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
        (made, practice)
    };
    let act = async |world: &World, _: &(AgreementId, RecordId)| {
        let control = StreamId { origin: id(KEHL), recipient: id(STRASBOURG), class: StreamClass::Control };
        while world.exchange(KEHL).road.deliver_pass(&control).await == Pass::Now {}
        pass(world, PassKind::Announcements).await;
        pass(world, PassKind::Backfill).await;
    };
    let check = async |world: &World, (made, practice): &(AgreementId, RecordId)| {
        let listed = world.exchange(KEHL).agreements.show_agreement(*made).await.unwrap();
        assert_eq!(listed.state, AgreementState::InForce);
        assert_eq!(made_for(world, KEHL, RecordKind::AgreementComplete).await.len(), 1);
        assert_eq!(made_for(world, KEHL, RecordKind::Practice).await, [*practice]);
        assert_eq!(made_for(world, KEHL, RecordKind::OfferView).await.len(), 1);
        assert_eq!(disclosed_to(world, KEHL).await, 2);
    };
    killed_between_any_two_steps(4, prepare, act, check).await;
}

#[tokio::test]
async fn an_offer_that_a_restore_paused_is_told_once() {
    let prepare = async |world: &World| {
        world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
        let now = world.clock.now();
        let refuge = offer::own_from_proto(sample::refuge(2), OfferId([5; 16]), &id(STRASBOURG), now).unwrap();
        world.exchange(STRASBOURG).capacity.set_offer(&call(), refuge, None).await.unwrap();
        world.settle().await;
        // What a restore does to it.
        let store = &world.node(STRASBOURG).store;
        let row = store.own_offer(OfferId([5; 16])).await.unwrap().unwrap();
        let owes = vec![Owed::now(OwedKey::of(Subject::PauseNotice(row.id)), now)];
        let paused =
            Write { owes, ..Write::put(Put::OwnOffer(NewOwnOffer { unconfirmed: true, ..own_offer_again(&row) })) };
        store.write(paused.into()).await.unwrap();
        world.clock.advance(Millis::minutes(1));
    };
    let act = async |world: &World, (): &()| {
        pass(world, PassKind::PauseNotices).await;
        pass(world, PassKind::Dispatch).await;
    };
    let check = async |world: &World, (): &()| {
        let own = world.exchange(STRASBOURG).capacity.own_offers(COORDINATOR).await.unwrap();
        assert!(own[0].unconfirmed, "only somebody confirms it");
        assert_eq!(made_for(world, KEHL, RecordKind::OfferView).await.len(), 2, "as it was, and paused");
        let seen = world.exchange(KEHL).capacity.partner_offers(COORDINATOR).await.unwrap();
        assert_eq!(seen[0].view.as_ref().unwrap().capacity.status, OfferStatus::Paused);
    };
    killed_between_any_two_steps(2, prepare, act, check).await;
}

pub(super) fn record_of(n: u32) -> RecordId {
    let mut record = [0; 16];
    record[..4].copy_from_slice(&n.to_be_bytes());
    RecordId(record)
}

/// Pending publications, stored without their deliveries.
async fn store_publications(world: &World, publication: &Publication, count: u32) {
    let store = &world.node(STRASBOURG).store;
    let (body, now) = (stored::encode(publication), world.clock.now());
    let publish = |n| {
        let publication = NewPublication {
            authority: id(STRASBOURG),
            record_id: record_of(n),
            kind: publication.content.kind(),
            target: None,
            body: body.clone(),
            created: now,
            expires: now + Millis::days(1),
        };
        store.write(WriteOp::Publish(Publish { request: None, publication, made: None, audit: Vec::new() }))
    };
    let written = futures_util::future::join_all((0..count).map(publish)).await;
    assert!(written.iter().all(Result::is_ok));
}

fn publication_of(world: &World, content: impl Into<Content>, to: &[&str]) -> Publication {
    let content = content.into();
    let (sharing, now) = (sharing(to), world.clock.now());
    let sharing = crate::domain::sharing::Sharing { review_by: Some(now + Millis::days(1)), ..sharing };
    let traceparent = String::new();
    Publication {
        authority: id(STRASBOURG),
        sharing,
        recipients: to.iter().map(|to| id(to)).collect(),
        encoded: crate::wire::records::encode(&content),
        content,
        references: Vec::new(),
        under: None,
        created: now,
        traceparent,
    }
}

const MANY: u32 = 5_000;

#[tokio::test]
async fn a_restored_partner_gets_five_thousand_records_in_few_commits() {
    let mut world = World::new().await;
    let store = mortal(&mut world, STRASBOURG).await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    world.suspend(KEHL);
    let alert = publication_of(&world, sample_alert(), &[KEHL]);
    store_publications(&world, &alert, MANY).await;
    let exchange = world.exchange(STRASBOURG);
    while exchange.road.dispatch_pass().await.unwrap().more {}
    assert_eq!(exchange.upkeep.owed_counts().await.unwrap()[0].rows, u64::from(MANY));
    world.restore(KEHL);
    // Whoever dispatches meanwhile is not waited for.
    let _dispatching = exchange.road.dispatching().await;
    let before = store.writes();
    pass(&world, PassKind::SuspendedRecipients).await;
    let commits = store.writes() - before;
    assert!(commits * 100 <= u64::from(MANY), "{commits} commits");
    assert_eq!(exchange.upkeep.owed_counts().await.unwrap(), []);
    assert_eq!(made_for(&world, KEHL, RecordKind::Alert).await, (0..MANY).map(record_of).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_new_partner_gets_five_thousand_records_in_few_commits() {
    let mut world = World::new().await;
    let store = mortal(&mut world, STRASBOURG).await;
    let practice = practice::from_proto(sample::practice()).unwrap();
    let practice = publication_of(&world, practice, &[]);
    store_publications(&world, &practice, MANY).await;
    let exchange = world.exchange(STRASBOURG);
    while exchange.road.dispatch_pass().await.unwrap().more {}
    let agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light);
    let made = exchange.agreements.propose_agreement(&call(), agreement).await.unwrap();
    let control = |from, to| StreamId { origin: id(from), recipient: id(to), class: StreamClass::Control };
    while exchange.road.deliver_pass(&control(STRASBOURG, KEHL)).await == Pass::Now {}
    world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
    while world.exchange(KEHL).road.deliver_pass(&control(KEHL, STRASBOURG)).await == Pass::Now {}
    let before = store.writes();
    pass(&world, PassKind::Backfill).await;
    let commits = store.writes() - before;
    assert!(commits * 100 <= u64::from(MANY), "{commits} commits");
    assert_eq!(made_for(&world, KEHL, RecordKind::Practice).await, (0..MANY).map(record_of).collect::<Vec<_>>());
    assert!(exchange.upkeep.owed_counts().await.unwrap().iter().all(|count| count.what != What::Backfill));
}

/// Whether a write brings something of this record.
fn brings(op: &WriteOp, record: RecordId) -> bool {
    let items = match op {
        WriteOp::Write(write) => &write.deliveries,
        WriteOp::Queue(queue) => &queue.items,
        _ => return false,
    };
    items.iter().any(|item| item.record_id == record)
}

#[tokio::test]
async fn a_record_that_the_store_refuses_keeps_no_other_one_from_a_new_partner() {
    let mut world = World::new().await;
    let store = mortal(&mut world, STRASBOURG).await;
    let practice = publication_of(&world, practice::from_proto(sample::practice()).unwrap(), &[]);
    let (count, refused) = (300, record_of(7));
    store_publications(&world, &practice, count).await;
    let exchange = world.exchange(STRASBOURG).clone();
    while exchange.road.dispatch_pass().await.unwrap().more {}
    store.refuse(move |op| brings(op, refused));
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let all_but_one: Vec<_> = (0..count).map(record_of).filter(|record| *record != refused).collect();
    assert_eq!(made_for(&world, KEHL, RecordKind::Practice).await, all_but_one);
    let owed = exchange.upkeep.owed_counts().await.unwrap();
    assert_eq!(owed.iter().map(|count| (count.what, count.postponed)).collect::<Vec<_>>(), [(What::Backfill, 1)]);
    // It is still owed, alone.
    store.refuse(|_| false);
    world.clock.advance(Millis::minutes(1));
    world.settle().await;
    assert_eq!(made_for(&world, KEHL, RecordKind::Practice).await, (0..count).map(record_of).collect::<Vec<_>>());
    assert_eq!(exchange.upkeep.owed_counts().await.unwrap(), []);
}

#[tokio::test]
async fn a_record_that_the_store_refuses_keeps_no_other_one_from_being_dispatched() {
    let mut world = World::new().await;
    let store = mortal(&mut world, STRASBOURG).await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let alert = publication_of(&world, sample_alert(), &[KEHL]);
    store_publications(&world, &alert, 300).await;
    store.refuse(|op| brings(op, record_of(7)));
    let exchange = world.exchange(STRASBOURG);
    while exchange.upkeep.run_pass(PassKind::Dispatch).await.unwrap().more {}
    assert_eq!(made_for(&world, KEHL, RecordKind::Alert).await.len(), 299);
    let report = exchange.upkeep.pass_reports().into_iter().find(|report| report.pass == PassKind::Dispatch).unwrap();
    assert_eq!((report.postponed, report.reason), (1, Some(Reason::StorageDamaged)), "and status says so");
    store.refuse(|_| false);
    exchange.upkeep.run_pass(PassKind::Dispatch).await.unwrap();
    assert_eq!(made_for(&world, KEHL, RecordKind::Alert).await.len(), 300);
}
