//! Agreements, offers, named values, the ledger, sweeping, many at once.

use super::*;
use crate::audit::Replay;
use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::ids::{AgreementId, Digest, FederationId, Incarnation, InvitationId, OfferId};
use crate::domain::limits;
use crate::domain::policy::KeptRecord;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::time::{Millis, UnixMs};
use crate::named::Named;
use crate::ops::*;
use crate::owed::{Owed, OwedKey, Subject};
use crate::rows::*;
use crate::{Error, RECEIPT_LIFE, identity};

fn row(signed: &'static str, complete: bool, ends: Vec<AgreementEndRow>) -> AgreementRow {
    AgreementRow { id: AgreementId([8; 32]), signed: signed.into(), complete, ends, unconfirmed: false }
}

fn agreement(signed: &'static str, complete: bool, ends: Vec<AgreementEndRow>) -> Write {
    Write::put(Put::Agreement(row(signed, complete, ends)))
}

pub(super) async fn agreements_do_not_become_less(store: &dyn Store) {
    let id = AgreementId([8; 32]);
    let first = Write {
        request: Some(mark("a", b"x", "proposed")),
        deliveries: vec![delivery_to(THERE, RecordKind::AgreementProposal, 1)],
        audit: vec![AuditDraft::by_node(AuditAct::AgreementProposed)],
        ..agreement("one signature", false, vec![])
    };
    assert_eq!(store.write(first.into()).await.unwrap(), Written::Done);
    let open = store.open_streams().await.unwrap();
    assert_eq!(open.iter().map(|s| s.class).collect::<Vec<_>>(), [StreamClass::Control]);
    let again = Write { request: Some(mark("a", b"x", "other")), ..agreement("two signatures", true, vec![]) };
    let again = store.write(again.into()).await.unwrap();
    assert_eq!(again, Written::Again("proposed".into()));
    assert!(!store.agreement(id).await.unwrap().unwrap().complete);

    store.write(agreement("two signatures", true, vec![]).into()).await.unwrap();
    store.write(agreement("a late copy with one", false, vec![]).into()).await.unwrap();
    let held = store.agreement(id).await.unwrap().unwrap();
    assert_eq!((&held.signed[..], held.complete), (&b"two signatures"[..], true));
    // What not everybody signed can be forgotten, with the ends of it; what all signed stays.
    let open = AgreementId([9; 32]);
    let end = AgreementEndRow { by: authority(THERE), at: NOW, reason: 2, notice: "there".into() };
    let proposal = AgreementRow { id: open, ..row("one signature", false, vec![end]) };
    store.write(Write::put(Put::Agreement(proposal)).into()).await.unwrap();
    assert!(store.agreement(open).await.unwrap().is_some());
    let forget = Write { deletes: vec![Delete::Proposal(id), Delete::Proposal(open)], ..Write::default() };
    store.write(forget.into()).await.unwrap();
    assert_eq!((store.agreement(open).await.unwrap(), store.agreements().await.unwrap().len()), (None, 1));
}

pub(super) async fn whether_an_agreement_is_confirmed_is_as_it_is_put(store: &dyn Store) {
    for unconfirmed in [true, false, true] {
        let row = AgreementRow { unconfirmed, ..row("all", true, vec![]) };
        store.write(Write::put(Put::Agreement(row.clone())).into()).await.unwrap();
        assert_eq!(store.agreement(row.id).await.unwrap(), Some(row.clone()));
        assert_eq!(store.agreements().await.unwrap(), [row]);
    }
}

pub(super) async fn each_party_leaves_an_agreement_once(store: &dyn Store) {
    let end = |by: &str, at: i64, notice: &'static str| AgreementEndRow {
        by: authority(by),
        at: NOW + Millis(at),
        reason: 2,
        notice: notice.into(),
    };
    let put = async |ends| store.write(agreement("all", true, ends).into()).await.unwrap();
    put(vec![end(THERE, 9, "there")]).await;
    // A change that was prepared before, or a second notice, takes no end back and changes none.
    put(vec![]).await;
    put(vec![end(HERE, 5, "here"), end(THERE, 7, "there, again")]).await;
    let other = AgreementRow {
        id: AgreementId([9; 32]),
        signed: "b".into(),
        complete: false,
        ends: vec![],
        unconfirmed: false,
    };
    let effect = |row| Receive { puts: vec![Put::Agreement(row)], ..receive(1, vec![]) };
    store.write(WriteOp::Receive(Box::new(effect(other.clone())))).await.unwrap();
    let row = AgreementRow {
        id: AgreementId([8; 32]),
        signed: "all".into(),
        complete: true,
        ends: vec![end(THERE, 9, "there"), end(HERE, 5, "here")],
        unconfirmed: false,
    };
    assert_eq!(store.agreement(row.id).await.unwrap().as_ref(), Some(&row));
    assert_eq!(store.agreements().await.unwrap(), [row, other]);
}

pub(super) async fn offers_are_replaced_by_version(store: &dyn Store) {
    let id = OfferId([4; 16]);
    let put = |version, replaces, n| {
        let offer = NewOwnOffer { id, body: format!("v{version}").into(), version, unconfirmed: version == 1 };
        let publications = vec![NewPublication { kind: RecordKind::OfferView, ..publication(n) }];
        let expects = vec![Expect::OfferVersion(id, replaces)];
        WriteOp::from(Write { expects, publications, ..Write::put(Put::OwnOffer(offer)) })
    };
    assert_eq!(store.write(put(1, 0, 1)).await.unwrap(), Written::Done);
    assert!(store.own_offer(id).await.unwrap().unwrap().unconfirmed);
    let stale = store.write(put(2, 7, 2)).await;
    assert!(matches!(stale, Err(Error::Refused(Reason::EtagMismatch))), "{stale:?}");
    assert_eq!(store.write(put(2, 1, 1)).await.unwrap(), Written::Taken);
    assert_eq!(store.write(put(2, 1, 2)).await.unwrap(), Written::Done);
    let record = KeptRecord::own(RecordKind::OfferView, UnixMs::NEVER, "v2".into());
    let row = OwnOfferRow { id, record, version: 2, unconfirmed: false };
    assert_eq!(store.own_offers().await.unwrap(), std::slice::from_ref(&row));
    assert_eq!(store.own_offer(id).await.unwrap(), Some(row));
    assert_eq!(store.pending_publications(9).await.unwrap().len(), 2);
    assert_eq!(store.own_offer(OfferId([5; 16])).await.unwrap(), None);
}

pub(super) async fn named_values_are_compared(store: &dyn Store) {
    let put = |value: &'static str, expected: Option<&'static str>| {
        let expects = vec![Expect::Named(Named::Federation, expected.map(Into::into))];
        store.write(Write { expects, ..Write::put(Put::Named(Named::Federation, value.into())) }.into())
    };
    assert_eq!(store.meta(Named::Federation).await.unwrap(), None);
    assert_eq!(put("one", None).await.unwrap(), Written::Done);
    assert_eq!(put("two", None).await.unwrap(), Written::Taken);
    assert_eq!(put("two", Some("other")).await.unwrap(), Written::Taken);
    assert_eq!(store.meta(Named::Federation).await.unwrap(), Some("one".into()));
    assert_eq!(put("two", Some("one")).await.unwrap(), Written::Done);
    assert_eq!(store.meta(Named::Federation).await.unwrap(), Some("two".into()));
}

pub(super) async fn invitations_compare_and_swap(store: &dyn Store) {
    let (one, two) = (InvitationId([1; 32]), InvitationId([2; 32]));
    let put = |id, value: &'static str, expected: Option<&'static str>| {
        let expects = vec![Expect::Invitation(id, expected.map(Into::into))];
        store.write(Write { expects, ..Write::put(Put::Invitation(id, value.into())) }.into())
    };
    assert_eq!(put(one, "open", None).await.unwrap(), Written::Done);
    assert_eq!(put(one, "again", None).await.unwrap(), Written::Taken);
    assert_eq!(put(one, "used", Some("burnt")).await.unwrap(), Written::Taken);
    // 64 at once use one token: exactly one does.
    let all = futures_util::future::join_all((0..64).map(|_| put(one, "used", Some("open"))));
    let done = all.await.into_iter().filter(|a| matches!(a, Ok(Written::Done))).count();
    assert_eq!(done, 1);
    put(two, "open", None).await.unwrap();
    assert_eq!(store.invitations().await.unwrap(), [(one, "used".into()), (two, "open".into())]);
    assert_eq!(store.invitation(one).await.unwrap(), Some("used".into()));
    assert_eq!(store.invitation(InvitationId([3; 32])).await.unwrap(), None);
}

pub(super) async fn what_a_request_made_is_forgotten_in_time(store: &dyn Store) {
    let request = Digest([5; 32]);
    let row = |n, expires| InvitationRequestRow { body: Digest([n; 32]), invitation: InvitationId([n; 32]), expires };
    for made in [row(1, NOW), row(2, NOW + HOUR)] {
        store.write(Write::put(Put::InvitationRequest(request, made)).into()).await.unwrap();
    }
    assert_eq!(store.sweep(NOW).await.unwrap(), 0, "the later one counts");
    assert_eq!(store.invitation_request(request).await.unwrap(), Some(row(2, NOW + HOUR)));
    assert_eq!(store.sweep(NOW + HOUR).await.unwrap(), 1);
    assert_eq!(store.invitation_request(request).await.unwrap(), None);
}

pub(super) async fn a_partners_incarnation_is_kept_for_each_of_ours(store: &dyn Store) {
    let told = async |ours: &str| {
        let told = store.partner_incarnation(authority(ours), authority(THERE)).await.unwrap();
        told.map(|told| (told.incarnation, told.hello))
    };
    for (ours, number) in [(HERE, 1), (ELSEWHERE, 2), (HERE, 3)] {
        let (ours, theirs) = (authority(ours), authority(THERE));
        let told = PartnerIncarnation { incarnation: Incarnation(number), hello: format!("signed {number}").into() };
        let put = Put::PartnerIncarnation { ours, theirs, told };
        store.write(Write::put(put).into()).await.unwrap();
    }
    let kept = |number: u64| Some((Incarnation(number), format!("signed {number}").into()));
    assert_eq!((told(HERE).await, told(ELSEWHERE).await), (kept(3), kept(2)));
    assert_eq!(told(THERE).await, None);
}

pub(super) async fn the_own_incarnation_only_rises(store: &dyn Store) {
    let first = store.incarnation();
    let later = Incarnation(first.0 + 7);
    for (told, stands) in [(later, later), (first, later), (later, later)] {
        store.write(Write::put(Put::OwnIncarnation(told)).into()).await.unwrap();
        assert_eq!(store.incarnation(), stands);
    }
}

pub(super) async fn a_write_is_whole_or_not_at_all(store: &dyn Store) {
    let whole = |version, request: &str| Write {
        request: Some(mark(request, b"x", "answered")),
        expects: vec![Expect::OfferVersion(OfferId([4; 16]), version)],
        publications: vec![publication(1)],
        deliveries: vec![delivery(1)],
        owes: vec![Owed::now(OwedKey::of(Subject::PauseNotice(OfferId([4; 16]))), NOW)],
        audit: vec![act(AuditAct::Published, 1)],
        ..agreement("all", true, vec![])
    };
    let refused = store.write(whole(1, "a").into()).await;
    assert!(matches!(refused, Err(Error::Refused(Reason::EtagMismatch))), "{refused:?}");
    assert_eq!((store.agreements().await.unwrap().len(), store.audit_head().await.unwrap().size), (0, 0));
    assert_eq!((store.owed_counts().await.unwrap().len(), store.open_streams().await.unwrap().len()), (0, 0));
    assert_eq!(store.write(whole(0, "a").into()).await.unwrap(), Written::Done);
    assert_eq!(store.write(whole(7, "a").into()).await.unwrap(), Written::Again("answered".into()));
    assert_eq!(store.write(whole(0, "b").into()).await.unwrap(), Written::Taken, "the record is there already");
    assert_eq!((store.agreements().await.unwrap().len(), store.audit_head().await.unwrap().size), (1, 1));
    assert_eq!((batch(store).await.len(), store.owed_counts().await.unwrap()[0].rows), (1, 1));
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
    store.write(Write::audit(drafts).into()).await.unwrap();
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
        store.write(Write::put(Put::Checkpoint { size, signed: signed.into() }).into()).await.unwrap();
    }
    assert_eq!(store.audit_head().await.unwrap().checkpoint, Some((42, "newest".into())));
    let sizes = async |after, limit| {
        store.audit_checkpoints(after, limit).await.unwrap().into_iter().map(|(size, _)| size).collect::<Vec<_>>()
    };
    assert_eq!((sizes(0, 2).await, sizes(41, 9).await), (vec![40, 41], vec![42]));
    assert_eq!(store.audit_strays().await.unwrap(), 0);
    store.write(Write::put(Put::Checkpoint { size: 43, signed: "behind the end".into() }).into()).await.unwrap();
    assert_eq!(store.audit_strays().await.unwrap(), 1);
}

pub(super) async fn a_sweep_forgets_what_is_past(store: &dyn Store) {
    let request = Some(mark("a", b"x", "first"));
    let publish = |n| Publish { request: request.clone(), publication: publication(n), made: None, audit: Vec::new() };
    store.write(WriteOp::Publish(publish(1))).await.unwrap();
    let dispatched = Queue { publication: Some(key(HERE, 1)), items: vec![delivery(1)], ..Queue::default() };
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
        store.write(Write::audit(vec![act(AuditAct::Refused, n)]).into()).await.unwrap();
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
    store.write(Write::audit(vec![act(AuditAct::ReadForPerson, 1)]).into()).await.unwrap();
    assert!(last().await != stored);
    assert_eq!(refuse(2).await, second, "its neighbour's lives");
}

pub(super) async fn sixty_four_writers_at_once(store: &dyn Store) {
    let writer = |w: u32| async move {
        for n in 0..10 {
            let n = w * 10 + n;
            assert_eq!(store.write(publish(n)).await.unwrap(), Written::Done);
            let op = Queue { publication: Some(key(HERE, n)), items: vec![delivery(n)], ..Queue::default() };
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
