//! Agreements, offers, named values, the ledger, sweeping, many at once.

use super::*;
use crate::audit::Replay;
use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::ids::{AgreementId, FederationId, OfferId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::time::{Millis, UnixMs};
use crate::ops::*;
use crate::rows::*;
use crate::{Error, RECEIPT_LIFE, identity};

fn agreement(signed: &'static str, complete: bool, ends: Vec<AgreementEndRow>) -> PutAgreement {
    let agreement = AgreementRow { id: AgreementId([8; 32]), signed: signed.into(), complete, ends };
    PutAgreement { request: None, agreement, deliveries: Vec::new(), audit: Vec::new() }
}

pub(super) async fn agreements_do_not_become_less(store: &dyn Store) {
    let id = AgreementId([8; 32]);
    let first = PutAgreement {
        request: Some(mark("a", b"x", "proposed")),
        deliveries: vec![delivery_to(THERE, RecordKind::AgreementProposal, 1)],
        audit: vec![AuditDraft::by_node(AuditAct::AgreementProposed)],
        ..agreement("one signature", false, vec![])
    };
    assert_eq!(store.write(WriteOp::PutAgreement(first)).await.unwrap(), Written::Done);
    let open = store.open_streams().await.unwrap();
    assert_eq!(open.iter().map(|s| s.class).collect::<Vec<_>>(), [StreamClass::Control]);
    let again = PutAgreement { request: Some(mark("a", b"x", "other")), ..agreement("two signatures", true, vec![]) };
    let again = store.write(WriteOp::PutAgreement(again)).await.unwrap();
    assert_eq!(again, Written::Again("proposed".into()));
    assert!(!store.agreement(id).await.unwrap().unwrap().complete);

    store.write(WriteOp::PutAgreement(agreement("two signatures", true, vec![]))).await.unwrap();
    store.write(WriteOp::PutAgreement(agreement("a late copy with one", false, vec![]))).await.unwrap();
    let row = store.agreement(id).await.unwrap().unwrap();
    assert_eq!((&row.signed[..], row.complete), (&b"two signatures"[..], true));
    // What not everybody signed can be forgotten, with the ends of it; what all signed stays.
    let open = AgreementId([9; 32]);
    let end = AgreementEndRow { by: authority(THERE), at: NOW, reason: 2, notice: "there".into() };
    let mut proposal = agreement("one signature", false, vec![end]);
    proposal.agreement.id = open;
    store.write(WriteOp::PutAgreement(proposal)).await.unwrap();
    assert!(store.agreement(open).await.unwrap().is_some());
    store.write(WriteOp::ForgetProposals(vec![id, open])).await.unwrap();
    assert_eq!((store.agreement(open).await.unwrap(), store.agreements().await.unwrap().len()), (None, 1));
}

pub(super) async fn each_party_leaves_an_agreement_once(store: &dyn Store) {
    let end = |by: &str, at: i64, notice: &'static str| AgreementEndRow {
        by: authority(by),
        at: NOW + Millis(at),
        reason: 2,
        notice: notice.into(),
    };
    let put = async |ends| store.write(WriteOp::PutAgreement(agreement("all", true, ends))).await.unwrap();
    put(vec![end(THERE, 9, "there")]).await;
    // A change that was prepared before, or a second notice, takes no end back and changes none.
    put(vec![]).await;
    put(vec![end(HERE, 5, "here"), end(THERE, 7, "there, again")]).await;
    let other = AgreementRow { id: AgreementId([9; 32]), signed: "b".into(), complete: false, ends: vec![] };
    let effect = |row| Receive { effects: vec![Effect::PutAgreement(row)], ..receive(1, vec![]) };
    store.write(WriteOp::Receive(Box::new(effect(other.clone())))).await.unwrap();
    let row = AgreementRow {
        id: AgreementId([8; 32]),
        signed: "all".into(),
        complete: true,
        ends: vec![end(THERE, 9, "there"), end(HERE, 5, "here")],
    };
    assert_eq!(store.agreement(row.id).await.unwrap().as_ref(), Some(&row));
    assert_eq!(store.agreements().await.unwrap(), [row, other]);
}

pub(super) async fn offers_are_replaced_by_version(store: &dyn Store) {
    let id = OfferId([4; 16]);
    let put = |version, replaces, n| {
        let offer = OwnOfferRow { id, body: format!("v{version}").into(), version, unconfirmed: version == 1 };
        let publications = vec![NewPublication { kind: RecordKind::OfferView, ..publication(n) }];
        let replaces = vec![(id, replaces)];
        WriteOp::PutOffers(PutOffers { request: None, offers: vec![offer], replaces, publications, audit: Vec::new() })
    };
    assert_eq!(store.write(put(1, 0, 1)).await.unwrap(), Written::Done);
    assert!(store.own_offer(id).await.unwrap().unwrap().unconfirmed);
    let stale = store.write(put(2, 7, 2)).await;
    assert!(matches!(stale, Err(Error::Refused(Reason::EtagMismatch))), "{stale:?}");
    assert_eq!(store.write(put(2, 1, 1)).await.unwrap(), Written::Taken);
    assert_eq!(store.write(put(2, 1, 2)).await.unwrap(), Written::Done);
    let row = OwnOfferRow { id, body: "v2".into(), version: 2, unconfirmed: false };
    assert_eq!(store.own_offers().await.unwrap(), std::slice::from_ref(&row));
    assert_eq!(store.own_offer(id).await.unwrap(), Some(row));
    assert_eq!(store.pending_publications(9).await.unwrap().len(), 2);
    assert_eq!(store.own_offer(OfferId([5; 16])).await.unwrap(), None);
}

pub(super) async fn named_values_compare_and_swap(store: &dyn Store) {
    let put = |name: &str, value: Option<&'static str>, only_if: Option<Option<&'static str>>| {
        let (name, value) = (name.to_owned(), value.map(Into::into));
        let only_if = only_if.map(|expected| expected.map(Into::into));
        store.write(WriteOp::PutMeta(PutMeta { name, value, only_if, audit: Vec::new() }))
    };
    assert_eq!(put("invitation/1", Some("open"), Some(None)).await.unwrap(), Written::Done);
    assert_eq!(put("invitation/1", Some("again"), Some(None)).await.unwrap(), Written::Taken);
    assert_eq!(put("invitation/1", Some("used"), Some(Some("burnt"))).await.unwrap(), Written::Taken);
    // 64 at once use one token: exactly one does.
    let all = futures_util::future::join_all((0..64).map(|_| put("invitation/1", Some("used"), Some(Some("open")))));
    let done = all.await.into_iter().filter(|a| matches!(a, Ok(Written::Done))).count();
    assert_eq!(done, 1);
    put("invitation/2", Some("open"), None).await.unwrap();
    put("invitatiom", Some("x"), None).await.unwrap();
    put("invitation0", Some("x"), None).await.unwrap();
    let listed = store.metas("invitation/".to_owned()).await.unwrap();
    assert_eq!(listed, [("invitation/1".to_owned(), "used".into()), ("invitation/2".to_owned(), "open".into())]);
    put("invitation/1", None, None).await.unwrap();
    assert_eq!(store.meta("invitation/1".to_owned()).await.unwrap(), None);
    assert_eq!(store.meta("invitation/2".to_owned()).await.unwrap(), Some("open".into()));
}

pub(super) async fn a_store_is_one_authoritys_in_one_federation(store: &dyn Store) {
    let (here, federation) = (authority(HERE), FederationId([7; 32]));
    identity::claim(store, &here, &federation).await.unwrap();
    identity::claim(store, &here, &federation).await.unwrap();
    for (other, of) in [(authority(THERE), federation), (here.clone(), FederationId([8; 32]))] {
        let refused = identity::claim(store, &other, &of).await;
        assert!(matches!(refused, Err(Error::Damaged(_))), "{refused:?}");
    }
    identity::claim(store, &here, &federation).await.unwrap();
}

pub(super) async fn the_ledger_fits_its_root(store: &dyn Store) {
    let empty = store.audit_head().await.unwrap();
    assert_eq!((empty.size, empty.time), (0, UnixMs(0)));
    for n in 1..=20 {
        store.write(publish(n)).await.unwrap();
    }
    store_batch(store, 1, (1..=20).map(received).collect()).await;
    let drafts = vec![act(AuditAct::ReadForPerson, 3), AuditDraft::by_node(AuditAct::PolicyChanged)];
    store.write(WriteOp::Audit(drafts)).await.unwrap();
    let head = store.audit_head().await.unwrap();
    assert_eq!((head.size, head.time, head.checkpoint), (42, NOW, None));
    let mut replay = Replay::default();
    while replay.frontier().size() < head.size {
        for leaf in store.audit_leaves(replay.frontier().size(), 7).await.unwrap() {
            replay.push(&leaf);
        }
    }
    assert_eq!((replay.first_bad(), replay.frontier().root()), (None, head.root));
    // One salt for a record: its leaves carry one commitment, and another record's another.
    let leaves = store.audit_leaves(0, 99).await.unwrap();
    let commitment = |place: usize| commitment(&leaves[place]);
    assert_eq!(commitment(2), commitment(40));
    assert_ne!(commitment(2), commitment(3));
    assert!(commitment(41).is_empty());
    for (size, signed) in [(40, "older"), (42, "newest"), (41, "between")] {
        store.write(WriteOp::PutCheckpoint { size, signed: signed.into() }).await.unwrap();
    }
    assert_eq!(store.audit_head().await.unwrap().checkpoint, Some((42, "newest".into())));
    let sizes = async |after, limit| {
        store.audit_checkpoints(after, limit).await.unwrap().into_iter().map(|(size, _)| size).collect::<Vec<_>>()
    };
    assert_eq!((sizes(0, 2).await, sizes(41, 9).await), (vec![40, 41], vec![42]));
}

pub(super) async fn a_sweep_forgets_what_is_past(store: &dyn Store) {
    let request = Some(mark("a", b"x", "first"));
    let publish = |n| Publish { request: request.clone(), publication: publication(n), made: None, audit: Vec::new() };
    store.write(WriteOp::Publish(publish(1))).await.unwrap();
    let dispatched = Queue { publication: Some(key(HERE, 1)), items: vec![delivery(1)], audit: Vec::new() };
    store.write(WriteOp::Queue(dispatched)).await.unwrap();
    queued(store, 2..=2).await;
    store.write(WriteOp::Settle(settle(store, 1, &[ItemResult::Stored]))).await.unwrap();
    store_batch(store, 1, vec![received(1), hidden(2, 99)]).await;
    assert_eq!(store.sweep(NOW).await.unwrap(), 0);

    // Past expiry: both envelopes and what waited in vain; the open one's number stays, it must still be skipped.
    assert_eq!(store.sweep(NOW + HOUR).await.unwrap(), 3);
    assert_eq!(batch(store).await.len(), 1);
    assert_eq!(store.taken(vec![key(THERE, 2)]).await.unwrap(), [true], "not even then may it come again");
    // A day: the request id. Two days: the received record has had its time.
    assert_eq!(store.sweep(NOW + Millis::hours(24)).await.unwrap(), 1);
    assert_eq!(store.write(WriteOp::Publish(publish(3))).await.unwrap(), Written::Done);
    assert_eq!(store.sweep(NOW + Millis::days(2)).await.unwrap(), 2);
    assert_eq!(store.inbox_record(key(THERE, 1)).await.unwrap(), None);
    assert_eq!(store.inbox_position().await.unwrap(), 1);
    // Thirty days later: dedup keys, the settled delivery, the dispatched publication.
    let later = NOW + HOUR + limits::DEDUP_AFTER_EXPIRY;
    assert_eq!(store.sweep(later).await.unwrap(), 4);
    assert_eq!(store.taken(vec![key(THERE, 1)]).await.unwrap(), [false]);
    assert_eq!(store.publication(key(HERE, 1)).await.unwrap(), None);
    assert!(store.publication(key(HERE, 3)).await.unwrap().is_some(), "it waits to be dispatched");
    assert_eq!(store.deliveries(DeliveryFilter::default(), None, 9).await.unwrap().len(), 1);
    assert_eq!(store.sweep(NOW + RECEIPT_LIFE).await.unwrap(), 1);
    // Positions are never used again.
    assert_eq!(store_batch(store, 3, vec![received(3)]).await, [2]);
}

pub(super) async fn a_salt_dies_with_its_record_and_a_refusal_begins_none(store: &dyn Store) {
    let last = async || {
        let size = store.audit_head().await.unwrap().size;
        commitment(&store.audit_leaves(size - 1, 1).await.unwrap()[0])
    };
    let refuse = async |n| {
        store.write(WriteOp::Audit(vec![act(AuditAct::Refused, n)])).await.unwrap();
        last().await
    };
    // Refused, and never stored: not even what names it salted. What is stored is named in a refusal too.
    assert!(refuse(1).await.is_empty());
    store_batch(store, 1, vec![NewInbox { keep_until: NOW + Millis::minutes(10), ..hidden(1, 99) }]).await;
    let stored = last().await;
    assert!(!stored.is_empty());
    assert_eq!(refuse(1).await, stored);
    // In one commit: refused first, stored under the same id.
    let both =
        Receive { audit: vec![act(AuditAct::Refused, 2), act(AuditAct::Received, 2)], ..receive(2, vec![received(2)]) };
    store.write(WriteOp::Receive(Box::new(both))).await.unwrap();
    let second = last().await;
    assert!(!second.is_empty());
    assert_eq!(refuse(2).await, second);

    // What waits goes with its retention, long before it expires; with it goes its salt, and no late line makes another.
    assert_eq!(store.sweep(NOW + Millis::minutes(10) - Millis(1)).await.unwrap(), 0);
    assert_eq!(store.sweep(NOW + Millis::minutes(10)).await.unwrap(), 1);
    assert_eq!(store.taken(vec![key(THERE, 1)]).await.unwrap(), [true], "not even then may it come again");
    assert!(refuse(1).await.is_empty());
    assert_eq!(store_batch(store, 3, vec![received(99)]).await, [2], "nothing waits any more");
    store.write(WriteOp::Audit(vec![act(AuditAct::ReadForPerson, 1)])).await.unwrap();
    assert!(last().await != stored);
    assert_eq!(refuse(2).await, second, "its neighbour's lives");
}

pub(super) async fn sixty_four_writers_at_once(store: &dyn Store) {
    let writer = |w: u32| async move {
        for n in 0..10 {
            let n = w * 10 + n;
            assert_eq!(store.write(publish(n)).await.unwrap(), Written::Done);
            let op = Queue { publication: Some(key(HERE, n)), items: vec![delivery(n)], audit: Vec::new() };
            assert_eq!(store.write(WriteOp::Queue(op)).await.unwrap(), Written::Done);
        }
    };
    futures_util::future::join_all((0..64).map(writer)).await;
    assert_eq!(store.pending_publications(9).await.unwrap(), []);
    assert_eq!(store.audit_head().await.unwrap().size, 640);
    let (mut first, mut seen) = (1, std::collections::HashSet::new());
    while first <= 640 {
        let items = batch(store).await;
        assert!(items.iter().zip(first..).all(|(item, number)| item.number == number && seen.insert(item.record_id)));
        let results = vec![ItemResult::Stored; items.len()];
        store.write(WriteOp::Settle(settle(store, first, &results))).await.unwrap();
        first += items.len() as u64;
    }
    assert_eq!(seen.len(), 640);
    assert_eq!(store.open_streams().await.unwrap(), []);
}

pub(super) async fn a_closed_store_takes_nothing(store: &dyn Store) {
    store.write(publish(1)).await.unwrap();
    store.close().await;
    let refused = store.write(publish(2)).await;
    assert!(matches!(refused, Err(Error::Refused(Reason::NodeStopping))), "{refused:?}");
}
