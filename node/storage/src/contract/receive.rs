//! The inbox.

use super::*;
use crate::Error;
use crate::domain::agreement::Usage;
use crate::domain::ids::{AgreementId, OfferId};
use crate::domain::policy::KeptRecord;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;
use crate::domain::time::{Millis, UnixMs};
use crate::ops::*;
use crate::rows::*;

pub(super) async fn a_batch_is_stored_once_and_in_order(store: &dyn Store) {
    assert_eq!(store.in_stream(in_stream(5)).await.unwrap(), None);
    assert_eq!(store_batch(store, 1, (1..=3).map(received).collect()).await, [1, 2, 3]);
    assert_eq!(store_batch(store, 4, vec![received(4)]).await, [4]);
    assert_eq!(store.inbox_position().await.unwrap(), 4);
    let held = store.in_stream(in_stream(5)).await.unwrap().unwrap();
    assert_eq!(held, InStream { next: 5, receipt: Some("receipt to 5".into()) });
    let row = store.inbox_record(key(THERE, 3)).await.unwrap().unwrap();
    let item = received(3);
    let kept = KeptRecord::received(item.kind, NOW + HOUR, item.keep_until, Usage::View, item.envelope);
    assert_eq!((row.position, row.record), (3, kept));
    assert_eq!((row.recipient, row.received), (authority(HERE), NOW));
    assert_eq!(store.inbox_record(key(ELSEWHERE, 3)).await.unwrap(), None, "another origin, another record");
    let taken = store.taken(vec![key(THERE, 9), key(THERE, 2), key(ELSEWHERE, 2)]).await.unwrap();
    assert_eq!(taken, [false, true, false]);
    // A batch whose every item was refused moves the stream too.
    let skipped = Receive { next: 8, ..receive(5, Vec::new()) };
    let answer = store.write(WriteOp::Receive(Box::new(skipped))).await.unwrap();
    assert_eq!(answer, Written::Received { positions: Vec::new(), newest: 4 });
    assert_eq!(store_batch(store, 8, vec![received(8)]).await, [5]);
}

pub(super) async fn a_stream_that_stands_elsewhere_says_where(store: &dyn Store) {
    let ahead = store.write(WriteOp::Receive(Box::new(receive(2, vec![received(1)])))).await.unwrap();
    assert_eq!(ahead, Written::StreamMoved { next: 1, receipt: None });
    store_batch(store, 1, vec![received(1), received(2)]).await;
    let size = store.audit_head().await.unwrap().size;
    let moved = Written::StreamMoved { next: 3, receipt: Some("receipt to 3".into()) };
    for first in [1, 2, 4] {
        let answer = store.write(WriteOp::Receive(Box::new(receive(first, vec![received(7)])))).await.unwrap();
        assert_eq!(answer, moved);
    }
    assert_eq!(store.audit_head().await.unwrap().size, size);
    assert_eq!(store.inbox_position().await.unwrap(), 2);
    // A new incarnation starts at 1; the old stream is forgotten.
    let anew = Receive { stream: in_stream(6), ..receive(1, vec![received(3)]) };
    let answer = store.write(WriteOp::Receive(Box::new(anew))).await.unwrap();
    assert_eq!(answer, Written::Received { positions: vec![3], newest: 3 });
    assert_eq!(store.in_stream(in_stream(5)).await.unwrap(), None);
    assert_eq!(store.in_stream(in_stream(6)).await.unwrap().unwrap().next, 2);
}

pub(super) async fn a_taken_key_stores_nothing_of_the_batch(store: &dyn Store) {
    store_batch(store, 1, vec![received(1)]).await;
    for items in [vec![received(2), received(1)], vec![received(2), received(2)]] {
        let answer = store.write(WriteOp::Receive(Box::new(receive(2, items)))).await.unwrap();
        assert_eq!(answer, Written::Taken);
    }
    assert_eq!(store.taken(vec![key(THERE, 2)]).await.unwrap(), [false]);
    assert_eq!(store.in_stream(in_stream(5)).await.unwrap().unwrap().next, 2);
    assert_eq!(store_batch(store, 2, vec![received(2)]).await, [2]);
}

pub(super) async fn a_hidden_record_gets_its_position_when_its_target_comes(store: &dyn Store) {
    assert_eq!(store_batch(store, 1, vec![hidden(10, 2), received(1)]).await, [0, 1]);
    assert_eq!(store.taken(vec![key(THERE, 10)]).await.unwrap(), [true]);
    assert_eq!(store.inbox_record(key(THERE, 10)).await.unwrap(), None);
    assert_eq!(store.inbox_about(key(THERE, 2), authority(THERE), 9).await.unwrap(), []);
    // A reader that has read all so far sees the target, then what waited for it.
    let both = receive(3, vec![received(2), received(3)]);
    let answer = store.write(WriteOp::Receive(Box::new(both))).await.unwrap();
    assert_eq!(answer, Written::Received { positions: vec![2, 3], newest: 4 }, "with what had waited");
    let seen = store.inbox_after(1, Vec::new(), 9).await.unwrap();
    let seen: Vec<_> = seen.iter().map(|r| (r.position, r.key.record_id)).collect();
    assert_eq!(seen, [(2, record(2)), (3, record(3)), (4, record(10))]);
    assert_eq!(store.inbox_record(key(THERE, 10)).await.unwrap().unwrap().position, 4);
    let about = store.inbox_about(key(THERE, 2), authority(THERE), 9).await.unwrap();
    assert_eq!(about.iter().map(|r| r.position).collect::<Vec<_>>(), [4]);
    assert_eq!(about[0].target, Some(key(THERE, 2)));
    let any = store.inbox_about_any(vec![key(THERE, 3), key(THERE, 2), key(THERE, 1)]).await.unwrap();
    assert_eq!(any, about);
    // The target is here: hidden is ignored.
    assert_eq!(store_batch(store, 5, vec![hidden(11, 2), hidden(12, 11)]).await, [5, 6]);
    // Of more than are asked for the newest, and those in the order in which they came.
    for (most, positions) in [(1, vec![5]), (2, vec![4, 5])] {
        let about = store.inbox_about(key(THERE, 2), authority(THERE), most).await.unwrap();
        assert_eq!(about.iter().map(|r| r.position).collect::<Vec<_>>(), positions);
    }
    assert_eq!(store.inbox_about(key(THERE, 2), authority(ELSEWHERE), 9).await.unwrap(), []);
    let by_turns = store.inbox_about_by_turns(key(THERE, 2), 9).await.unwrap();
    assert_eq!(by_turns.iter().map(|r| r.position).collect::<Vec<_>>(), [5, 4], "of one origin: newest first");
}

pub(super) async fn waiting_records_are_shown_one_after_the_other(store: &dyn Store) {
    let items = vec![hidden(3, 2), hidden(2, 1), hidden(4, 2), hidden(5, 1), hidden(6, 99)];
    assert_eq!(store_batch(store, 1, items).await, [0; 5]);
    assert_eq!(store_batch(store, 6, vec![received(7), received(1)]).await, [1, 2]);
    let seen = store.inbox_after(0, Vec::new(), 99).await.unwrap();
    let seen: Vec<_> = seen.iter().map(|r| r.key.record_id).collect();
    assert_eq!(seen, [7, 1, 2, 3, 4, 5].map(record));
    // In one batch: first the one that waits, then its target.
    assert_eq!(store_batch(store, 8, vec![hidden(21, 20), received(20)]).await, [0, 7]);
    assert_eq!(store.inbox_record(key(THERE, 21)).await.unwrap().unwrap().position, 8);
}

fn row_of(new: NewPartnerOffer) -> PartnerOfferRow {
    let NewPartnerOffer { origin, id, view, version, age_at_sending_ms, received, keep_until } = new;
    let record = KeptRecord::received(RecordKind::OfferView, UnixMs::NEVER, keep_until, Usage::View, view);
    PartnerOfferRow { origin, id, record, version, age_at_sending_ms, received }
}

pub(super) async fn effects_come_with_the_batch(store: &dyn Store) {
    let agreement =
        AgreementRow { id: AgreementId([1; 32]), signed: "s".into(), complete: true, ends: vec![], unconfirmed: true };
    let offer = |version, view: &'static str| NewPartnerOffer {
        origin: authority(THERE),
        id: OfferId([1; 16]),
        view: view.into(),
        version,
        age_at_sending_ms: (version == 2).then_some(40),
        received: NOW,
        keep_until: NOW + HOUR,
    };
    let with = |first, puts| Receive { puts, ..receive(first, vec![received(first as u32)]) };
    let puts = vec![Put::Agreement(agreement.clone()), Put::PartnerOffer(offer(2, "two"))];
    store.write(WriteOp::Receive(Box::new(with(1, puts)))).await.unwrap();
    assert_eq!(store.agreements().await.unwrap(), [agreement]);
    assert_eq!(store.partner_offers().await.unwrap(), [row_of(offer(2, "two"))]);
    // A lower version is ignored; a batch that stands elsewhere has no effect at all.
    store.write(WriteOp::Receive(Box::new(with(2, vec![Put::PartnerOffer(offer(1, "one"))])))).await.unwrap();
    store.write(WriteOp::Receive(Box::new(with(9, vec![Put::PartnerOffer(offer(9, "nine"))])))).await.unwrap();
    assert_eq!(store.partner_offers().await.unwrap(), [row_of(offer(2, "two"))]);
    store.write(WriteOp::Receive(Box::new(with(3, vec![Put::PartnerOffer(offer(3, "three"))])))).await.unwrap();
    assert_eq!(store.partner_offers().await.unwrap(), [row_of(offer(3, "three"))]);
}

pub(super) async fn a_partners_offer_goes_with_the_record_that_brought_it(store: &dyn Store) {
    let offer = |origin: &str, n, version, keep_until| NewPartnerOffer {
        origin: authority(origin),
        id: OfferId([n; 16]),
        view: "view".into(),
        version,
        age_at_sending_ms: None,
        received: NOW,
        keep_until,
    };
    let put = async |first, row| {
        let puts = vec![Put::PartnerOffer(row)];
        let op = Receive { puts, next: first + 1, ..receive(first, Vec::new()) };
        store.write(WriteOp::Receive(Box::new(op))).await.unwrap();
    };
    put(1, offer(THERE, 1, 1, NOW + HOUR)).await;
    put(2, offer(THERE, 2, 1, NOW + HOUR)).await;
    put(3, offer(ELSEWHERE, 3, 1, NOW + HOUR)).await;
    // A newer statement keeps it longer; one that is ignored keeps it no longer.
    put(4, offer(THERE, 2, 2, NOW + HOUR + HOUR)).await;
    put(5, offer(THERE, 2, 1, NOW + Millis::days(9))).await;
    let mut ids = store.partner_offer_ids(authority(THERE)).await.unwrap();
    ids.sort_unstable();
    assert_eq!(ids, [OfferId([1; 16]), OfferId([2; 16])]);
    assert_eq!(store.partner_offer_ids(authority(HERE)).await.unwrap(), []);
    assert_eq!(store.sweep(NOW + HOUR - Millis(1)).await.unwrap(), 0);
    assert_eq!(store.sweep(NOW + HOUR).await.unwrap(), 2);
    assert_eq!(store.partner_offers().await.unwrap(), [row_of(offer(THERE, 2, 2, NOW + HOUR + HOUR))]);
    assert_eq!(store.sweep(NOW + HOUR + HOUR).await.unwrap(), 1);
    assert_eq!(store.partner_offers().await.unwrap(), []);
}

pub(super) async fn readers_page_by_position_and_kind(store: &dyn Store) {
    let kinds = [RecordKind::Alert, RecordKind::Practice, RecordKind::WithdrawalCode];
    let items = (0..9).map(|n| NewInbox { kind: kinds[n as usize % 3], ..received(n) }).collect();
    store_batch(store, 1, items).await;
    let after = |position, kinds, limit| async move {
        let rows = store.inbox_after(position, kinds, limit).await.unwrap();
        rows.iter().map(|r| r.position).collect::<Vec<_>>()
    };
    assert_eq!(after(0, Vec::new(), 4).await, [1, 2, 3, 4]);
    assert_eq!(after(4, Vec::new(), 99).await, [5, 6, 7, 8, 9]);
    assert_eq!(after(1, vec![RecordKind::Alert], 99).await, [4, 7]);
    assert_eq!(after(0, vec![RecordKind::Practice, RecordKind::WithdrawalCode], 3).await, [2, 3, 5]);
    assert_eq!(after(3, vec![RecordKind::WithdrawalCode, RecordKind::Practice], 9).await, [5, 6, 8, 9]);
    assert_eq!(after(1, vec![RecordKind::Practice, RecordKind::Alert, RecordKind::Practice], 3).await, [2, 4, 5]);
    assert_eq!(after(9, vec![RecordKind::Practice], 9).await, [0; 0]);
    assert_eq!(after(2, RecordKind::ALL.to_vec(), 2).await, [3, 4]);
    let most = RecordKind::ALL.iter().copied().filter(|kind| *kind != RecordKind::Alert).collect();
    assert_eq!(after(0, most, 4).await, [2, 3, 5, 6]);
    let page = store.inbox_before(RecordKind::Practice, None, 2).await.unwrap();
    assert_eq!(page.iter().map(|r| r.position).collect::<Vec<_>>(), [8, 5]);
    let page = store.inbox_before(RecordKind::Practice, Some(5), 2).await.unwrap();
    assert_eq!(page.iter().map(|r| r.position).collect::<Vec<_>>(), [2]);
}

pub(super) async fn cursors_never_go_back(store: &dyn Store) {
    store_batch(store, 1, (1..=5).map(received).collect()).await;
    let commit = |position| store.write(WriteOp::CommitCursor { consumer: "case-system".to_owned(), position });
    assert_eq!(store.cursor("case-system".to_owned()).await.unwrap(), 0);
    commit(3).await.unwrap();
    commit(2).await.unwrap();
    assert_eq!(store.cursor("case-system".to_owned()).await.unwrap(), 3);
    let ahead = commit(6).await;
    assert!(matches!(ahead, Err(Error::Refused(Reason::CursorAhead))), "{ahead:?}");
    assert_eq!(store.cursor("case-system".to_owned()).await.unwrap(), 3);
    assert_eq!(store.cursor("another".to_owned()).await.unwrap(), 0);
}

pub(super) async fn what_is_superseded_is_kept_no_longer_than_the_word_that_says_so(store: &dyn Store) {
    let until = |hours| NOW + Millis::hours(hours);
    let later = |n: u32, earlier: &[u32], hours| NewInbox {
        target: Some(key(THERE, earlier[0])),
        supersedes: earlier.iter().map(|n| key(THERE, *n)).collect(),
        hidden: true,
        keep_until: until(hours),
        ..received(n)
    };
    let first = |n| NewInbox { keep_until: until(100), ..received(n) };
    store_batch(store, 1, vec![first(1), first(2), first(3)]).await;
    // A word about one that is here; another about two, the newest and the oldest; one that is kept longer shortens nothing.
    store_batch(store, 4, vec![later(4, &[1], 50), later(5, &[4, 1], 2), later(6, &[2], 200)]).await;
    // One that comes before what it is about.
    store_batch(store, 7, vec![later(7, &[8], 3)]).await;
    store_batch(store, 8, vec![first(8)]).await;
    let held = async || {
        let rows = store.inbox_after(0, vec![RecordKind::Alert], 20).await.unwrap();
        rows.into_iter().map(|row| row.key).collect::<std::collections::BTreeSet<_>>()
    };
    let keys = |numbers: &[u32]| numbers.iter().map(|n| key(THERE, *n)).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(held().await, keys(&[1, 2, 3, 4, 5, 6, 7, 8]));
    store.sweep(until(2)).await.unwrap();
    assert_eq!(held().await, keys(&[2, 3, 6, 7, 8]), "with the last word about it all of it is gone");
    store.sweep(until(3)).await.unwrap();
    assert_eq!(held().await, keys(&[2, 3, 6]));
    store.sweep(until(100)).await.unwrap();
    assert_eq!(held().await, keys(&[6]));
}
