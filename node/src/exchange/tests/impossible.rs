//! One owed item of each sort cannot be done: all others are, and operators see which, and why.

use bytes::Bytes;

use super::owed::{made_for, pass, record_of};
use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::agreement::{AgreementEndReason, AgreementState};
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, OfferId, StatementId};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::records::offer::{DisclosureLevel, OfferStatus};
use crate::domain::time::{Millis, UnixMs};
use crate::pass::PassKind;
use crate::storage::ops::{NewOwnOffer, NewPublication, Publish, Put, Write, WriteOp};
use crate::storage::owed::{Owed, OwedKey, Subject, What};
use crate::telemetry::metrics;
use crate::wire::records::offer;

/// A sort, with the pass that looks after it and items that nobody can do. A new sort has to be said here.
struct Impossible {
    what: What,
    /// `None`: governance looks after it, by itself (`app/tests/register_acts.rs`).
    pass: Option<PassKind>,
    keys: Vec<OwedKey>,
    reason: Option<Reason>,
}

fn impossible(what: What, ended: AgreementId) -> Impossible {
    let kehl = |subject| OwedKey::to(&id(KEHL), subject);
    let unknown = AgreementId([3; 32]);
    let (pass, keys, reason) = match what {
        What::SuspendedRecord => {
            let unreadable = RecordKey { origin: id(STRASBOURG), record_id: record_of(77) };
            (PassKind::SuspendedRecipients, vec![kehl(Subject::SuspendedRecord(unreadable))], Reason::StorageDamaged)
        }
        What::Backfill => {
            let key = kehl(Subject::Backfill(GrantRef { agreement: unknown, number: 0 }));
            (PassKind::Backfill, vec![key], Reason::AgreementNotFound)
        }
        What::Announcement => {
            // More than are looked at together.
            let agreement = |n: u32| {
                let mut agreement = [1; 32];
                agreement[..4].copy_from_slice(&n.to_be_bytes());
                AgreementId(agreement)
            };
            let keys = (0..300).map(|n| kehl(Subject::Announcement(agreement(n)))).collect();
            (PassKind::Announcements, keys, Reason::AgreementNotFound)
        }
        // An end that another node's authority has to tell.
        What::EndNotice => (PassKind::EndNotices, vec![kehl(Subject::EndNotice(ended, id(ESCH)))], Reason::WrongOrigin),
        What::PauseNotice => {
            let key = OwedKey::of(Subject::PauseNotice(OfferId([9; 16])));
            (PassKind::PauseNotices, vec![key], Reason::DecodeFailed)
        }
        // Nothing of it is here: it is erased all the same, and what is not owed any more is no failure.
        What::Erasure => return Impossible { what, pass: None, keys: Vec::new(), reason: None },
        What::EmergencyEntry => {
            let keys = vec![kehl(Subject::EmergencyEntry(StatementId([4; 32])))];
            return Impossible { what, pass: None, keys, reason: None };
        }
    };
    Impossible { what, pass: Some(pass), keys, reason: Some(reason) }
}

/// All of them, owed since longer than all else.
async fn owe_the_impossible(world: &World, ended: AgreementId) -> Vec<Impossible> {
    let store = &world.node(STRASBOURG).store;
    let publication = NewPublication {
        authority: id(STRASBOURG),
        record_id: record_of(77),
        kind: RecordKind::Alert,
        target: None,
        body: Bytes::from_static(b"\xff\xff no message"),
        created: world.clock.now(),
        expires: world.clock.now() + Millis::days(1),
    };
    let publish = Publish { request: None, publication, made: Some(Vec::new()), audit: Vec::new() };
    store.write(WriteOp::Publish(publish)).await.unwrap();
    let offer = NewOwnOffer { id: OfferId([9; 16]), body: b"\xff".as_slice().into(), version: 1, unconfirmed: true };
    store.write(Write::put(Put::OwnOffer(offer)).into()).await.unwrap();
    let all: Vec<_> = What::ALL.into_iter().map(|what| impossible(what, ended)).collect();
    let keys = all.iter().flat_map(|one| one.keys.iter().cloned());
    let owes = keys.map(|key| Owed { key, since: UnixMs(0), due: UnixMs(0) }).collect();
    store.write(Write { owes, ..Write::default() }.into()).await.unwrap();
    all
}

#[tokio::test]
async fn what_cannot_be_done_stops_nothing_behind_it() {
    let world = World::new().await;
    let live = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let ended = world.agree_all(&[STRASBOURG, KEHL, ESCH]).await;
    world.exchange(ESCH).agreements.end_agreement(&call(), ended, AgreementEndReason::Breach).await.unwrap();
    world.settle().await;
    world.suspend(KEHL);
    let exchange = world.exchange(STRASBOURG);
    let impossible = owe_the_impossible(&world, ended).await;
    // Of each sort something that can be done, once Kehl is back.
    let now = world.clock.now();
    let refuge = offer::own_from_proto(sample::refuge(2), OfferId([5; 16]), &id(STRASBOURG), now).unwrap();
    exchange.capacity.set_offer(&call(), refuge, None).await.unwrap();
    let row = world.node(STRASBOURG).store.own_offer(OfferId([5; 16])).await.unwrap().unwrap();
    let owes = vec![
        Owed::now(OwedKey::of(Subject::PauseNotice(row.id)), now),
        Owed::now(OwedKey::to(&id(KEHL), Subject::Announcement(live)), now),
        Owed::now(OwedKey::to(&id(KEHL), Subject::Backfill(GrantRef { agreement: live, number: 0 })), now),
    ];
    let paused =
        Write { owes, ..Write::put(Put::OwnOffer(NewOwnOffer { unconfirmed: true, ..own_offer_again(&row) })) };
    world.node(STRASBOURG).store.write(paused.into()).await.unwrap();
    let alert = world.publish(STRASBOURG, &[]).await.record_id;
    exchange.agreements.end_agreement(&call(), ended, AgreementEndReason::NoLongerNeeded).await.unwrap();
    world.settle().await;
    let announced = made_for(&world, KEHL, RecordKind::AgreementComplete).await.len();
    world.restore(KEHL);
    world.settle().await;
    world.settle().await;

    // What is owed still is what cannot be done, of each sort.
    let counts = exchange.upkeep.owed_counts().await.unwrap();
    for Impossible { what, pass, keys, reason } in impossible.iter().filter(|one| !one.keys.is_empty()) {
        let count = counts.iter().find(|count| count.what == *what).unwrap();
        let postponed = if pass.is_some() { keys.len() as u64 } else { 0 };
        assert_eq!((count.rows, count.postponed, count.reason), (keys.len() as u64, postponed, *reason), "{what:?}");
    }
    let shown = world.exchange(KEHL).agreements.show_agreement(ended).await.unwrap();
    assert_eq!(shown.state, AgreementState::Ended, "Kehl was told: {:?}", shown.held.ends);
    assert_eq!(made_for(&world, KEHL, RecordKind::Alert).await, [alert]);
    assert!(made_for(&world, KEHL, RecordKind::AgreementComplete).await.len() > announced);
    let seen = world.exchange(KEHL).capacity.partner_offers(COORDINATOR).await.unwrap();
    assert_eq!(seen[0].view.as_ref().unwrap().capacity.status, OfferStatus::Paused);
    said_by_each_pass(&world, &impossible).await;
}

/// Each looks at its own again, when it is due and it is woken; its last result says how many and why, and so does its metric.
async fn said_by_each_pass(world: &World, impossible: &[Impossible]) {
    let exchange = world.exchange(STRASBOURG);
    world.clock.advance(Millis::hours(1));
    exchange.wakeups().wake_upkeep();
    for Impossible { what, pass, keys, reason } in impossible {
        assert!(metrics::OWED_SORT.has(what.name()), "{what:?} has a gauge");
        let (Some(pass), Some(reason)) = (pass, reason) else { continue };
        let woken = exchange.wakeups().woken(*pass);
        tokio::time::timeout(std::time::Duration::from_secs(5), woken)
            .await
            .unwrap_or_else(|_| panic!("{what:?} is woken"));
        let labels = [pass.name(), reason.code()];
        let before = metrics::POSTPONED.value(labels);
        exchange.upkeep.run_pass(*pass).await.unwrap();
        let count = keys.len() as u64;
        assert!(metrics::POSTPONED.value(labels) >= before + i64::try_from(count).unwrap(), "{what:?}");
        let report = exchange.upkeep.pass_reports().into_iter().find(|report| report.pass == *pass).unwrap();
        assert_eq!((report.done, report.postponed, report.reason), (0, count, Some(*reason)), "{what:?}");
    }
    // The other passes say nothing.
    let own = |pass| impossible.iter().any(|one| one.pass == Some(pass));
    let others = exchange.upkeep.pass_reports().into_iter().filter(|report| !own(report.pass));
    assert_eq!(others.filter(|report| report.reason.is_some()).map(|report| report.pass).collect::<Vec<_>>(), []);
}

#[tokio::test]
async fn a_run_of_a_pass_has_its_limit_for_each_recipient() {
    let world = World::with_agreements().await;
    let agreement = |n: u32| {
        let mut agreement = [1; 32];
        agreement[..4].copy_from_slice(&n.to_be_bytes());
        AgreementId(agreement)
    };
    let owed = |to, count: u32| {
        let key = move |n| OwedKey::to(&id(to), Subject::Announcement(agreement(n)));
        (0..count).map(move |n| Owed { key: key(n), since: UnixMs(0), due: UnixMs(0) })
    };
    let owes = owed(KEHL, 3_000).chain(owed(ESCH, 10)).collect();
    world.node(STRASBOURG).store.write(Write { owes, ..Write::default() }.into()).await.unwrap();
    let exchange = world.exchange(STRASBOURG);
    let passed = exchange.upkeep.run_pass(PassKind::Announcements).await.unwrap();
    assert!(passed.more && passed.postponed < 3_000, "others have their turn: {passed:?}");
    let store = &world.node(STRASBOURG).store;
    let left = store.owed(What::Announcement, Some(id(ESCH)), world.clock.now(), 100).await.unwrap();
    assert_eq!(left, [], "and Esch had its own");
    pass(&world, PassKind::Announcements).await;
    assert_eq!(store.owed_recipients(What::Announcement, world.clock.now()).await.unwrap(), []);
}
