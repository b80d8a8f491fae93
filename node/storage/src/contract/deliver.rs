//! The outbox.

use bytes::Bytes;

use super::*;
use crate::Error;
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, Digest, Incarnation};
use crate::domain::limits;
use crate::domain::numbering::Under;
use crate::domain::policy::Permit;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::time::{Millis, UnixMs};
use crate::ops::*;
use crate::rows::*;

pub(super) async fn numbers_are_given_in_order_per_stream(store: &dyn Store) {
    let items = vec![
        delivery(1),
        delivery_to(ELSEWHERE, RecordKind::Alert, 1),
        delivery_to(THERE, RecordKind::AgreementEnd, 2),
        delivery(3),
    ];
    assert_eq!(store.write(queue(items)).await.unwrap(), Written::Done);
    queued(store, 4..=4).await;
    let content = batch(store).await;
    assert_eq!(
        content.iter().map(|i| (i.number, i.record_id)).collect::<Vec<_>>(),
        [(1, record(1)), (2, record(3)), (3, record(4)),]
    );
    let expected = delivery(4);
    let item = &content[2];
    assert_eq!(item.payload, OutPayload::Envelope(expected.envelope.clone()));
    assert_eq!((item.digest, item.agreement), (expected.digest, grant().map(|g| g.agreement)));
    assert_eq!(item.question, Some(expected.question), "what it is asked about again comes back as it was");
    assert_eq!((item.as_of, &item.traceparent), (expected.as_of, &expected.traceparent));
    assert_eq!((item.queued, item.expires, item.waiting_since), (NOW, NOW + HOUR, None));
    let control = store.out_batch(authority(HERE), authority(THERE), StreamClass::Control, 9, 1 << 20).await.unwrap();
    assert_eq!(control.iter().map(|i| (i.number, i.kind)).collect::<Vec<_>>(), [(1, RecordKind::AgreementEnd)]);
    assert_eq!(control[0].question.map(|question| question.facet), Some(None), "control says nothing to it");
    let here = stream(store).await;
    assert_eq!((here.first_unsettled, here.next), (1, 4));
    assert_eq!((here.origin_incarnation, here.recipient_incarnation), (store.incarnation(), Incarnation(0)));
    let open = store.open_streams().await.unwrap();
    assert_eq!(open.len(), 3);
    let counts = store.queue_counts().await.unwrap();
    let count = |queued| QueueCount { queued, ..QueueCount::default() };
    assert_eq!(counts, [(authority(THERE), count(4)), (authority(ELSEWHERE), count(1))]);
}

pub(super) async fn batches_keep_both_limits(store: &dyn Store) {
    let big = |n| {
        let envelope = Bytes::from(vec![n as u8; 1_000]);
        NewDelivery { digest: Digest::of(&envelope), envelope, ..delivery(n) }
    };
    store.write(queue((1..=300).map(big).collect())).await.unwrap();
    let limited = |items, bytes| store.out_batch(authority(HERE), authority(THERE), StreamClass::Content, items, bytes);
    assert_eq!(limited(7, 1 << 20).await.unwrap().len(), 7);
    assert_eq!(limited(256, 10_999).await.unwrap().len(), 10);
    assert_eq!(limited(256, 1).await.unwrap().len(), 1, "at least one");
    assert_eq!(limited(256, 1 << 20).await.unwrap().len(), 256);
    let nobody = store.out_batch(authority(HERE), authority(ELSEWHERE), StreamClass::Content, 9, 9).await.unwrap();
    assert_eq!(nobody, []);
}

pub(super) async fn settling_moves_the_stream_once(store: &dyn Store) {
    queued(store, 1..=5).await;
    let two = [ItemResult::Stored, ItemResult::Stored];
    assert_eq!(store.write(WriteOp::Settle(settle(store, 1, &two))).await.unwrap(), Written::Done);
    let moved = Written::StreamMoved { next: 3, receipt: None };
    assert_eq!(store.write(WriteOp::Settle(settle(store, 1, &two))).await.unwrap(), moved);
    let other = Settle { recipient_incarnation: Incarnation(4), ..settle(store, 3, &two) };
    assert_eq!(store.write(WriteOp::Settle(other)).await.unwrap(), moved);
    let many = store.write(WriteOp::Settle(settle(store, 3, &[ItemResult::Stored; 4]))).await;
    assert!(matches!(many, Err(Error::Refused(Reason::StreamOutOfOrder))), "{many:?}");
    assert_eq!(store.write(WriteOp::Settle(settle(store, 3, &[]))).await.unwrap(), Written::Done);
    assert_eq!(batch(store).await.iter().map(|i| i.number).collect::<Vec<_>>(), [3, 4, 5]);
    let three = [ItemResult::Duplicate; 3];
    assert_eq!(store.write(WriteOp::Settle(settle(store, 3, &three))).await.unwrap(), Written::Done);
    assert_eq!(store.open_streams().await.unwrap(), []);
    assert_eq!(store.queue_counts().await.unwrap(), []);
    queued(store, 6..=6).await;
    assert_eq!(batch(store).await[0].number, 6);
}

pub(super) async fn each_result_becomes_its_state(store: &dyn Store) {
    queued(store, 1..=6).await;
    let skip = |first, reason| Attempt { skip_first: true, reason, ..attempt(store, first) };
    store.write(WriteOp::Attempt(skip(1, Reason::SkippedAfterWait))).await.unwrap();
    let results = [
        ItemResult::Skipped,
        ItemResult::Stored,
        ItemResult::Duplicate,
        ItemResult::Refused(Reason::AgreementEnded),
        ItemResult::Quarantined(Reason::EnvelopeMalformed),
    ];
    store.write(WriteOp::Settle(settle(store, 1, &results))).await.unwrap();
    store.write(WriteOp::Attempt(skip(6, Reason::EnvelopeExpired))).await.unwrap();
    store.write(WriteOp::Settle(settle(store, 6, &[ItemResult::Skipped]))).await.unwrap();
    let mut rows = store.deliveries(DeliveryFilter::default(), None, 9).await.unwrap();
    rows.reverse();
    let ended: Vec<_> = rows.iter().map(|r| (r.state, r.reason)).collect();
    assert_eq!(
        ended,
        [
            (DeliveryState::Skipped, Some(Reason::SkippedAfterWait)),
            (DeliveryState::Delivered, None),
            (DeliveryState::Delivered, None),
            (DeliveryState::Refused, Some(Reason::AgreementEnded)),
            (DeliveryState::Quarantined, Some(Reason::EnvelopeMalformed)),
            (DeliveryState::Expired, Some(Reason::EnvelopeExpired)),
        ]
    );
    assert!(rows.iter().all(|r| r.finished == Some(NOW) && r.attempts == 2 && r.next_attempt.is_none()));
}

fn attempt(store: &dyn Store, first: u64) -> Attempt {
    Attempt {
        origin: authority(HERE),
        recipient: authority(THERE),
        class: StreamClass::Content,
        under: Under { origin: store.incarnation(), recipient: Incarnation(0) },
        first,
        reason: Reason::PeerUnreachable,
        next_attempt: NOW + Millis::seconds(2),
        asked_to_wait: false,
        skip_first: false,
        now: NOW,
    }
}

pub(super) async fn attempts_wait_and_skip(store: &dyn Store) {
    assert_eq!(
        store.write(WriteOp::Attempt(attempt(store, 1))).await.unwrap(),
        Written::Done,
        "no stream, nothing to do"
    );
    queued(store, 1..=2).await;
    store.write(WriteOp::Attempt(attempt(store, 1))).await.unwrap();
    store.write(WriteOp::Attempt(attempt(store, 2))).await.unwrap();
    let rows = store.deliveries(DeliveryFilter::default(), None, 9).await.unwrap();
    assert_eq!((rows[1].state, rows[1].attempts), (DeliveryState::Queued, 1));
    assert_eq!(rows[1].reason, Some(Reason::PeerUnreachable));
    assert_eq!(rows[1].next_attempt, Some(NOW + Millis::seconds(2)));
    assert_eq!(batch(store).await[0].waiting_since, None, "a partner that is away asks for nothing");

    let later = NOW + Millis::minutes(1);
    let waits = |now| Attempt { asked_to_wait: true, reason: Reason::AgreementUnknown, now, ..attempt(store, 1) };
    store.write(WriteOp::Attempt(waits(NOW))).await.unwrap();
    store.write(WriteOp::Attempt(waits(later))).await.unwrap();
    let items = batch(store).await;
    assert_eq!((items[0].waiting_since, items[1].waiting_since), (Some(NOW), None));
    let skip = Attempt { skip_first: true, reason: Reason::SkippedAfterWait, ..attempt(store, 1) };
    store.write(WriteOp::Attempt(skip)).await.unwrap();
    let items = batch(store).await;
    assert_eq!((items[0].number, &items[0].payload), (1, &OutPayload::Skip(Reason::SkippedAfterWait)));
    assert!(matches!(items[1].payload, OutPayload::Envelope(_)));
    store.write(WriteOp::Settle(settle(store, 1, &[ItemResult::Skipped]))).await.unwrap();
    let rows = store.deliveries(DeliveryFilter::default(), None, 9).await.unwrap();
    assert_eq!((rows[1].attempts, rows[0].attempts, rows[0].reason), (5, 0, None));
}

pub(super) async fn a_new_incarnation_queues_again_what_is_unexpired(store: &dyn Store) {
    let past = |n| NewDelivery { expires: NOW - Millis(1), ..delivery(n) };
    // 1 delivered, 2 refused, 3 delivered and past, 4 skipped, 5 open, 6 open and past, 7 a skip that was not sent.
    let items = vec![delivery(1), delivery(2), past(3), delivery(4), delivery(5), past(6), delivery(7)];
    store.write(queue(items)).await.unwrap();
    store.write(queue(vec![delivery_to(THERE, RecordKind::AgreementEnd, 8)])).await.unwrap();
    let results =
        [ItemResult::Stored, ItemResult::Refused(Reason::AgreementEnded), ItemResult::Stored, ItemResult::Skipped];
    store.write(WriteOp::Settle(settle(store, 1, &results))).await.unwrap();
    let two = WriteOp::Settle(settle(store, 5, &[ItemResult::Duplicate, ItemResult::Refused(Reason::EnvelopeExpired)]));
    store.write(two).await.unwrap();
    queued(store, 9..=10).await;
    let skip = Attempt { skip_first: true, reason: Reason::SkippedAfterWait, ..attempt(store, 7) };
    store.write(WriteOp::Attempt(skip)).await.unwrap();

    let requeue = Requeue {
        origin: authority(HERE),
        recipient: authority(THERE),
        origin_incarnation: Incarnation(1_000),
        recipient_incarnation: Incarnation(2_000),
        renumber: None,
        at_once: true,
        now: NOW,
    };
    assert_eq!(store.write(WriteOp::Requeue(requeue)).await.unwrap(), Written::Done);
    let again = batch(store).await;
    let numbered: Vec<_> = again.iter().map(|i| (i.number, i.record_id)).collect();
    assert_eq!(numbered, [(1, record(1)), (2, record(5)), (3, record(9)), (4, record(10))]);
    assert_eq!(again[0].payload, OutPayload::Envelope(delivery(1).envelope));
    let given: Vec<_> = again.iter().map(|item| item.given.is_some()).collect();
    assert_eq!(given, [true, true, false, false], "which of them the recipient had");
    // The same incarnations again change nothing: what was settled under them stays settled.
    let same = || Requeue {
        origin: authority(HERE),
        recipient: authority(THERE),
        origin_incarnation: Incarnation(1_000),
        recipient_incarnation: Incarnation(2_000),
        renumber: None,
        at_once: true,
        now: NOW,
    };
    assert_eq!(store.write(WriteOp::Requeue(same())).await.unwrap(), Written::Done);
    assert_eq!(batch(store).await, again);
    let control = store.out_batch(authority(HERE), authority(THERE), StreamClass::Control, 9, 1 << 20).await.unwrap();
    assert_eq!(control.iter().map(|i| (i.number, i.record_id)).collect::<Vec<_>>(), [(1, record(8))]);
    let row = stream(store).await;
    assert_eq!((row.first_unsettled, row.next), (1, 5));
    assert_eq!((row.origin_incarnation, row.recipient_incarnation), (Incarnation(1_000), Incarnation(2_000)));

    // An answer to the old stream changes nothing, one to the new stream does.
    let old = store.write(WriteOp::Settle(settle(store, 1, &[ItemResult::Stored]))).await.unwrap();
    assert_eq!(old, Written::StreamMoved { next: 1, receipt: None });
    let new = Settle {
        origin_incarnation: Incarnation(1_000),
        recipient_incarnation: Incarnation(2_000),
        ..settle(store, 1, &[ItemResult::Duplicate; 4])
    };
    assert_eq!(store.write(WriteOp::Settle(new)).await.unwrap(), Written::Done);
    queued(store, 11..=11).await;
    assert_eq!(batch(store).await[0].number, 5);
    let skipped = DeliveryFilter { record: Some(record(7)), ..DeliveryFilter::default() };
    let skipped = store.deliveries(skipped, None, 9).await.unwrap();
    assert_eq!((skipped[0].state, skipped[0].reason), (DeliveryState::Skipped, Some(Reason::SkippedAfterWait)));
}

pub(super) async fn what_expires_while_it_waits_is_kept_as_a_number_alone(store: &dyn Store) {
    let lasting = |to: &str, n| NewDelivery { expires: NOW + HOUR + HOUR, ..delivery_to(to, RecordKind::Alert, n) };
    for to in [THERE, ELSEWHERE] {
        let short = |n| delivery_to(to, RecordKind::Alert, n);
        store.write(queue(vec![short(1), short(2), short(3), lasting(to, 4)])).await.unwrap();
    }
    let waited = Attempt { skip_first: true, reason: Reason::SkippedAfterWait, ..attempt(store, 1) };
    store.write(WriteOp::Attempt(waited)).await.unwrap();
    let greeted = |recipient_incarnation, now| Requeue {
        origin: authority(HERE),
        recipient: authority(ELSEWHERE),
        origin_incarnation: store.incarnation(),
        recipient_incarnation,
        renumber: None,
        at_once: true,
        now,
    };
    store.write(WriteOp::Requeue(greeted(Incarnation(1_000), NOW))).await.unwrap();
    let to = |to: &str| store.out_batch(authority(HERE), authority(to), StreamClass::Content, 9, 1 << 20);
    let before = to(THERE).await.unwrap();
    assert_eq!(store.sweep(NOW + HOUR - Millis(1)).await.unwrap(), 0);
    assert_eq!(store.sweep(NOW + HOUR).await.unwrap(), 6, "the envelopes");
    let again = Attempt { skip_first: true, reason: Reason::Internal, ..attempt(store, 1) };
    store.write(WriteOp::Attempt(again)).await.unwrap();

    // The stream stands where it stood, in order, and each item is what it was but for what it says.
    let left = to(THERE).await.unwrap();
    let payload = |i: usize| &left[i].payload;
    assert_eq!(payload(0), &OutPayload::Skip(Reason::SkippedAfterWait), "why it was given up first");
    assert_eq!((payload(1), payload(2)), (&OutPayload::Skip(Reason::EnvelopeExpired), payload(1)));
    assert_eq!(left[3], before[3]);
    let named = |items: &[OutItem]| items.iter().map(|i| (i.number, i.record_id, i.digest)).collect::<Vec<_>>();
    assert_eq!(named(&left), named(&before));

    // Who looks sees that it expired, also while the stream is held.
    let hold = |holding| SetHeld { recipient: authority(THERE), holding, reason: Reason::MemberSuspended, now: NOW };
    store.write(WriteOp::SetHeld(hold(Holding::Hold))).await.unwrap();
    let find = async |state, record| {
        let filter = DeliveryFilter { recipient: Some(authority(THERE)), state: Some(state), record, since: None };
        store.deliveries(filter, None, 9).await.unwrap()
    };
    let records = |rows: &[DeliveryRow]| rows.iter().map(|r| r.record_id).collect::<Vec<_>>();
    let expired = find(DeliveryState::Expired, None).await;
    assert_eq!(records(&expired), [record(3), record(2)]);
    for row in &expired {
        assert_eq!((row.reason, row.finished), (Some(Reason::EnvelopeExpired), Some(NOW + HOUR)));
        assert_eq!((row.attempts, row.next_attempt), (2, None), "those of its stream");
    }
    assert_eq!(records(&find(DeliveryState::Held, None).await), [record(4), record(1)]);
    store.write(WriteOp::SetHeld(hold(Holding::Release))).await.unwrap();
    assert_eq!(records(&find(DeliveryState::Queued, None).await), [record(4), record(1)]);
    assert_eq!(find(DeliveryState::Queued, Some(record(2))).await, []);
    assert_eq!(store.sent_under(key(HERE, 2), authority(THERE)).await.unwrap(), []);

    // A new incarnation of the partner is sent what has not expired.
    store.write(WriteOp::Requeue(greeted(Incarnation(2_000), NOW + HOUR))).await.unwrap();
    let anew: Vec<_> = to(ELSEWHERE).await.unwrap().iter().map(|i| (i.number, i.record_id)).collect();
    assert_eq!(anew, [(1, record(4))]);

    // Its number is settled as the receipt says: skipped, or stored by an earlier attempt whose answer was lost.
    let results = [ItemResult::Skipped, ItemResult::Skipped, ItemResult::Stored, ItemResult::Stored];
    store.write(WriteOp::Settle(Settle { now: NOW + HOUR, ..settle(store, 1, &results) })).await.unwrap();
    let mut rows = find(DeliveryState::Expired, None).await;
    rows.extend(find(DeliveryState::Skipped, None).await);
    assert_eq!(records(&rows), [record(2), record(1)]);
    assert_eq!(records(&find(DeliveryState::Delivered, None).await), [record(4), record(3)]);
    assert_eq!(store.open_streams().await.unwrap().len(), 1);
    // What was settled goes when its time is over.
    assert_eq!(store.sweep(NOW + HOUR + limits::DEDUP_AFTER_EXPIRY).await.unwrap(), 8, "six rows, two envelopes");
    assert_eq!(to(ELSEWHERE).await.unwrap()[0].payload, OutPayload::Skip(Reason::EnvelopeExpired));
}

pub(super) async fn held_items_wait_and_closed_ones_end(store: &dyn Store) {
    queued(store, 1..=3).await;
    store.write(queue(vec![delivery_to(ELSEWHERE, RecordKind::Alert, 1)])).await.unwrap();
    store.write(WriteOp::Settle(settle(store, 1, &[ItemResult::Stored]))).await.unwrap();
    let set = |holding| {
        let recipient = authority(THERE);
        store.write(WriteOp::SetHeld(SetHeld { recipient, holding, reason: Reason::MemberSuspended, now: NOW }))
    };
    set(Holding::Hold).await.unwrap();
    queued(store, 4..=4).await;
    assert_eq!(batch(store).await, []);
    assert_eq!(store.open_streams().await.unwrap().len(), 1, "the other partner's");
    let count = QueueCount { held: 3, ..QueueCount::default() };
    assert!(store.queue_counts().await.unwrap().contains(&(authority(THERE), count)));
    let held = DeliveryFilter { state: Some(DeliveryState::Held), ..DeliveryFilter::default() };
    let rows = store.deliveries(held.clone(), None, 9).await.unwrap();
    assert_eq!(rows.iter().map(|r| r.record_id).collect::<Vec<_>>(), [record(4), record(3), record(2)]);
    assert!(rows.iter().all(|r| r.reason == Some(Reason::MemberSuspended) && r.state == DeliveryState::Held));

    set(Holding::Release).await.unwrap();
    assert_eq!(batch(store).await.iter().map(|i| i.number).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(store.deliveries(held, None, 9).await.unwrap(), []);

    set(Holding::Close).await.unwrap();
    assert_eq!(batch(store).await, []);
    let closed = DeliveryFilter { state: Some(DeliveryState::Closed), ..DeliveryFilter::default() };
    let rows = store.deliveries(closed, None, 9).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|r| r.finished == Some(NOW)));
    // Nothing comes back, not even what was delivered.
    let requeue = Requeue {
        origin: authority(HERE),
        recipient: authority(THERE),
        origin_incarnation: store.incarnation(),
        recipient_incarnation: Incarnation(2),
        renumber: None,
        at_once: true,
        now: NOW,
    };
    store.write(WriteOp::Requeue(requeue)).await.unwrap();
    assert_eq!(batch(store).await, []);
}

pub(super) async fn deliveries_are_found_by_recipient_state_and_record(store: &dyn Store) {
    queued(store, 1..=4).await;
    let elsewhere = (3..=6).map(|n| delivery_to(ELSEWHERE, RecordKind::Alert, n)).collect();
    store.write(queue(elsewhere)).await.unwrap();
    store.write(WriteOp::Settle(settle(store, 1, &[ItemResult::Stored; 3]))).await.unwrap();
    let find = |recipient: Option<&str>, state, n: Option<u32>| {
        let filter = DeliveryFilter { recipient: recipient.map(authority), state, record: n.map(record), since: None };
        store.deliveries(filter, None, 100)
    };
    assert_eq!(find(None, None, None).await.unwrap().len(), 8);
    assert_eq!(find(Some(THERE), None, None).await.unwrap().len(), 4);
    assert_eq!(find(None, Some(DeliveryState::Queued), None).await.unwrap().len(), 5);
    assert_eq!(find(Some(THERE), Some(DeliveryState::Queued), None).await.unwrap().len(), 1);
    assert_eq!(find(None, Some(DeliveryState::Delivered), None).await.unwrap().len(), 3);
    assert_eq!(find(None, None, Some(3)).await.unwrap().len(), 2);
    assert_eq!(find(None, Some(DeliveryState::Queued), Some(3)).await.unwrap().len(), 1);
    assert_eq!(find(Some(ELSEWHERE), Some(DeliveryState::Delivered), Some(3)).await.unwrap(), []);
    let first = store.deliveries(DeliveryFilter::default(), None, 3).await.unwrap();
    assert_eq!(first.iter().map(|r| r.sequence).collect::<Vec<_>>(), [8, 7, 6]);
    let second = store.deliveries(DeliveryFilter::default(), Some(6), 3).await.unwrap();
    assert_eq!(second.iter().map(|r| r.sequence).collect::<Vec<_>>(), [5, 4, 3]);
    let row = &first[0];
    assert_eq!((&row.origin, &row.recipient), (&authority(HERE), &authority(ELSEWHERE)));
    assert_eq!((row.kind, row.queued, row.finished), (RecordKind::Alert, NOW, None::<UnixMs>));
}

pub(super) async fn deliveries_are_listed_page_by_page_and_since_an_instant(store: &dyn Store) {
    // 1 to 4 content and 5 control for one partner, 6 for the other, 7 content again.
    queued(store, 1..=4).await;
    store.write(queue(vec![delivery_to(THERE, RecordKind::AgreementEnd, 5)])).await.unwrap();
    store.write(queue(vec![delivery_to(ELSEWHERE, RecordKind::Alert, 6), delivery(7)])).await.unwrap();
    let results = [ItemResult::Stored, ItemResult::Refused(Reason::AgreementEnded), ItemResult::Stored];
    store.write(WriteOp::Settle(Settle { now: NOW + HOUR, ..settle(store, 1, &results) })).await.unwrap();
    let list = async |filter: &DeliveryFilter, before, limit| {
        let rows = store.deliveries(filter.clone(), before, limit).await.unwrap();
        rows.iter().map(|row| row.sequence).collect::<Vec<_>>()
    };
    let to = |recipient: &str| DeliveryFilter { recipient: Some(authority(recipient)), ..DeliveryFilter::default() };
    assert_eq!(list(&to(THERE), None, 3).await, [7, 5, 4]);
    assert_eq!(list(&to(THERE), Some(4), 3).await, [3, 2, 1]);
    assert_eq!(list(&to(ELSEWHERE), Some(6), 3).await, [0; 0]);
    assert_eq!(list(&to(HERE), None, 3).await, [0; 0]);
    let in_state = |state, filter| DeliveryFilter { state: Some(state), ..filter };
    assert_eq!(list(&in_state(DeliveryState::Refused, DeliveryFilter::default()), None, 9).await, [2]);
    assert_eq!(list(&in_state(DeliveryState::Refused, to(ELSEWHERE)), None, 9).await, [0; 0]);
    assert_eq!(list(&in_state(DeliveryState::Delivered, to(THERE)), None, 9).await, [3, 1]);
    assert_eq!(list(&in_state(DeliveryState::Queued, to(THERE)), Some(7), 9).await, [5, 4]);
    // Queued or finished since.
    let since = |filter| DeliveryFilter { since: Some(NOW + HOUR), ..filter };
    assert_eq!(list(&since(DeliveryFilter::default()), None, 9).await, [3, 2, 1]);
    assert_eq!(list(&since(to(THERE)), Some(3), 9).await, [2, 1]);
    assert_eq!(list(&since(in_state(DeliveryState::Refused, to(THERE))), None, 9).await, [2]);
    assert_eq!(list(&since(in_state(DeliveryState::Queued, to(THERE))), None, 9).await, [0; 0]);
    let all = DeliveryFilter { since: Some(NOW), ..DeliveryFilter::default() };
    assert_eq!(list(&all, None, 9).await.len(), 7);
}

pub(super) async fn a_record_knows_the_grants_under_which_it_was_sent(store: &dyn Store) {
    let grant = |n: u8, number| GrantRef { agreement: AgreementId([n; 32]), number };
    let under = |n: u32, to: &str, grant| {
        let permit = Permit::unasked(HERE, to, RecordKind::Alert, Some(grant));
        NewDelivery { permit, ..delivery(n) }
    };
    let items = vec![
        under(1, THERE, grant(3, 0)),
        under(1, THERE, grant(4, 2)),
        under(1, ELSEWHERE, grant(5, 1)),
        under(2, THERE, grant(3, 1)),
        NewDelivery { permit: Permit::unasked(HERE, THERE, RecordKind::AgreementEnd, None), ..delivery(3) },
    ];
    store.write(queue(items)).await.unwrap();
    let sent = async |origin: &str, n, to: &str| store.sent_under(key(origin, n), authority(to)).await.unwrap();
    assert_eq!(sent(HERE, 1, THERE).await, [grant(4, 2), grant(3, 0)]);
    assert_eq!(sent(HERE, 1, ELSEWHERE).await, [grant(5, 1)]);
    assert_eq!(sent(THERE, 1, THERE).await, [], "another origin, another record");
    assert_eq!(sent(HERE, 3, THERE).await, [], "control has no grant");
    let results = [ItemResult::Stored, ItemResult::Refused(Reason::AgreementEnded), ItemResult::Duplicate];
    store.write(WriteOp::Settle(settle(store, 1, &results))).await.unwrap();
    assert_eq!(sent(HERE, 1, THERE).await, [grant(3, 0)], "what was refused was not sent");
    assert_eq!(sent(HERE, 2, THERE).await, [grant(3, 1)]);
}

pub(super) async fn what_is_deferred_makes_room_and_is_queued_again(store: &dyn Store) {
    queued(store, 1..=3).await;
    let results = [ItemResult::Deferred(Reason::EnvelopeFromFuture), ItemResult::Stored];
    store.write(WriteOp::Settle(settle(store, 1, &results))).await.unwrap();
    let held = DeliveryFilter { state: Some(DeliveryState::Held), ..DeliveryFilter::default() };
    let rows = store.deliveries(held.clone(), None, 9).await.unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.record_id, row.state, row.reason)).collect();
    assert_eq!(shown, [(record(1), DeliveryState::Held, Some(Reason::EnvelopeFromFuture))]);
    assert_eq!(batch(store).await.len(), 1, "what was behind it goes on");
    assert_eq!(store.sent_under(key(HERE, 1), authority(THERE)).await.unwrap().len(), 1, "it still goes there");
    let waiting = store.deferred().await.unwrap();
    let agreement = grant().map(|grant| grant.agreement);
    let found: Vec<_> =
        waiting.iter().map(|w| (w.recipient.as_str(), w.agreement, w.kind, w.items, w.oldest)).collect();
    assert_eq!(found, [(THERE, agreement, RecordKind::Alert, 1, NOW)]);
    let counts = store.queue_counts().await.unwrap();
    assert_eq!(counts, [(authority(THERE), QueueCount { queued: 1, held: 0, deferred: 1 })]);
    let again = |agreement, deferred_by| QueueAgain {
        origin: authority(HERE),
        recipient: authority(THERE),
        class: StreamClass::Content,
        agreement,
        kind: RecordKind::Alert,
        deferred_by,
        now: NOW,
    };
    let practices = QueueAgain { kind: RecordKind::Practice, ..again(agreement, NOW) };
    for other in [again(None, NOW), again(agreement, NOW - Millis(1)), practices] {
        store.write(WriteOp::QueueAgain(other)).await.unwrap();
        assert_eq!(batch(store).await.len(), 1, "of this agreement and kind, and deferred by then");
    }
    store.write(WriteOp::QueueAgain(again(agreement, NOW))).await.unwrap();
    let numbers: Vec<_> = batch(store).await.iter().map(|item| (item.number, item.record_id)).collect();
    assert_eq!(numbers, [(3, record(3)), (4, record(1))], "under a new number, behind what is queued");
    assert_eq!(store.deferred().await.unwrap(), []);
    // Deferred again, it ends when its time is over, and not before.
    let both = [ItemResult::Stored, ItemResult::Deferred(Reason::KeyNotCurrent)];
    store.write(WriteOp::Settle(settle(store, 3, &both))).await.unwrap();
    store.sweep(NOW + HOUR - Millis(1)).await.unwrap();
    assert_eq!(store.deliveries(held.clone(), None, 9).await.unwrap().len(), 1);
    store.sweep(NOW + HOUR).await.unwrap();
    assert_eq!(store.deliveries(held, None, 9).await.unwrap(), []);
    let expired = DeliveryFilter { state: Some(DeliveryState::Expired), ..DeliveryFilter::default() };
    assert_eq!(store.deliveries(expired, None, 9).await.unwrap()[0].record_id, record(1));
}
