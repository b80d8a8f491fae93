//! Streams that begin anew (9.10).

use super::*;
use crate::domain::ids::Incarnation;
use crate::domain::numbering::Under;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::stream::StreamId;
use crate::domain::time::Millis;
use crate::ops::*;
use crate::rows::*;

const PARTNER: Incarnation = Incarnation(2_000);

fn begins_anew(store: &dyn Store, recipient_incarnation: Incarnation) -> WriteOp {
    let (origin, recipient) = (authority(HERE), authority(THERE));
    let origin_incarnation = store.incarnation();
    let (renumber, at_once, now) = (None, false, NOW);
    WriteOp::Requeue(Requeue { origin, recipient, origin_incarnation, recipient_incarnation, renumber, at_once, now })
}

async fn next_piece(store: &dyn Store, class: StreamClass) {
    let op = NumberAgain { origin: authority(HERE), recipient: authority(THERE), class, now: NOW };
    assert!(matches!(store.write(WriteOp::NumberAgain(op)).await.unwrap(), Written::Numbered(_)));
}

async fn numbered(store: &dyn Store) -> Vec<(u64, crate::domain::ids::RecordId)> {
    batch(store).await.iter().map(|item| (item.number, item.record_id)).collect()
}

fn waiting(class: StreamClass) -> StreamId {
    StreamId { origin: authority(HERE), recipient: authority(THERE), class }
}

pub(super) async fn a_stream_begins_anew_at_once_and_what_waits_follows_in_pieces(store: &dyn Store) {
    let all = QUEUE_AGAIN as u32 + 2;
    for first in (1..=all).step_by(200) {
        queued(store, first..=all.min(first + 199)).await;
    }
    store.write(queue(vec![delivery_to(THERE, RecordKind::AgreementEnd, 5_000)])).await.unwrap();
    store.write(WriteOp::Settle(settle(store, 1, &[ItemResult::Stored]))).await.unwrap();

    // At the first greeting the numbers stay: nobody has seen any other.
    let before = numbered(store).await;
    store.write(begins_anew(store, Incarnation(1_000))).await.unwrap();
    assert_eq!((numbered(store).await, store.streams_again().await.unwrap()), (before, vec![]));

    // The numbers are of the new incarnation at once, whatever waits; what is new goes out under the first of them.
    store.write(begins_anew(store, PARTNER)).await.unwrap();
    assert_eq!(store.streams_again().await.unwrap(), [waiting(StreamClass::Content), waiting(StreamClass::Control)]);
    assert_eq!((stream(store).await.recipient_incarnation, numbered(store).await), (PARTNER, vec![]));
    queued(store, 2_000..=2_000).await;
    assert_eq!(numbered(store).await, [(1, record(2_000))]);

    // Nothing that is in flight moves; what was delivered comes again too, in its old order.
    next_piece(store, StreamClass::Content).await;
    let first: Vec<_> = numbered(store).await;
    assert_eq!(first[..3], [(1, record(2_000)), (2, record(1)), (3, record(2))]);
    assert_eq!(stream(store).await.next, 2 + QUEUE_AGAIN as u64);
    let results = vec![ItemResult::Stored; 3];
    let settled = Settle { recipient_incarnation: PARTNER, ..settle(store, 1, &results) };
    assert_eq!(store.write(WriteOp::Settle(settled)).await.unwrap(), Written::Done);
    assert_eq!(numbered(store).await[0], (4, record(3)));

    next_piece(store, StreamClass::Content).await;
    next_piece(store, StreamClass::Control).await;
    assert_eq!((stream(store).await.first_unsettled, stream(store).await.next), (4, 2 + u64::from(all)));
    assert_eq!(store.streams_again().await.unwrap(), []);
    // A piece too many changes nothing.
    next_piece(store, StreamClass::Content).await;
    assert_eq!(stream(store).await.next, 2 + u64::from(all));
}

pub(super) async fn what_waits_for_its_turn_is_counted_closed_and_expires_as_all_else(store: &dyn Store) {
    queued(store, 1..=4).await;
    let skip = || Attempt {
        origin: authority(HERE),
        recipient: authority(THERE),
        class: StreamClass::Content,
        under: Under { origin: store.incarnation(), recipient: Incarnation(0) },
        first: 1,
        reason: Reason::SkippedAfterWait,
        next_attempt: NOW,
        asked_to_wait: false,
        skip_first: true,
        now: NOW,
    };
    store.write(WriteOp::Attempt(skip())).await.unwrap();
    store.write(begins_anew(store, Incarnation(1_000))).await.unwrap();
    // Twice before its turn: nothing is lost, nothing gets a number twice.
    store.write(begins_anew(store, PARTNER)).await.unwrap();
    store.write(begins_anew(store, Incarnation(3_000))).await.unwrap();
    let count = |queued| [(authority(THERE), QueueCount { queued, ..QueueCount::default() })];
    assert_eq!(store.queue_counts().await.unwrap(), count(4));
    let open = DeliveryFilter { state: Some(DeliveryState::Queued), ..DeliveryFilter::default() };
    assert_eq!(store.deliveries(open.clone(), None, 9).await.unwrap().len(), 4, "listed as what it is");

    next_piece(store, StreamClass::Content).await;
    let again = [(1, record(2)), (2, record(3)), (3, record(4))];
    assert_eq!(numbered(store).await, again);
    assert_eq!(store.queue_counts().await.unwrap(), count(3));
    // What was said of number 1 before is about another item.
    store.write(WriteOp::Attempt(skip())).await.unwrap();
    assert_eq!(numbered(store).await, again);
    assert!(matches!(batch(store).await[0].payload, OutPayload::Envelope(_)));

    // What expires before its turn ends there.
    store.write(begins_anew(store, Incarnation(4_000))).await.unwrap();
    assert_eq!(store.sweep(NOW + HOUR).await.unwrap(), 4, "the envelopes");
    next_piece(store, StreamClass::Content).await;
    assert_eq!(numbered(store).await, []);
    assert_eq!(store.deliveries(open, None, 9).await.unwrap(), []);

    // What is closed has no turn.
    store.write(queue(vec![NewDelivery { expires: NOW + HOUR + Millis(1), ..delivery(9) }])).await.unwrap();
    store.write(begins_anew(store, Incarnation(5_000))).await.unwrap();
    let recipient = authority(THERE);
    let close = SetHeld { recipient, holding: Holding::Close, reason: Reason::MemberRemoved, now: NOW };
    store.write(WriteOp::SetHeld(close)).await.unwrap();
    next_piece(store, StreamClass::Content).await;
    assert_eq!((numbered(store).await, store.streams_again().await.unwrap()), (vec![], vec![]));
}
