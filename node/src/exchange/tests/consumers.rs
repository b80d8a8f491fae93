//! A city's own system reads its inbox.

use std::time::Duration;

use futures_util::StreamExt;

use super::world::*;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;
use crate::exchange::*;

#[tokio::test]
async fn a_consumer_gets_each_position_once_resumes_and_sees_what_comes() {
    let world = World::with_agreements().await;
    for _ in 0..5 {
        world.publish(STRASBOURG, &[KEHL]).await;
    }
    world.settle().await;
    let kehl = world.exchange(KEHL);
    let reading = |after, until_empty| reader("case-system", after, &[RecordKind::Alert], until_empty);
    let positions = |records: Vec<Result<Consumed, Error>>| -> Vec<u64> {
        records.into_iter().map(|r| r.unwrap().position).collect()
    };
    let all = positions(kehl.road.consume(reading(0, true)).await.unwrap().collect().await);
    assert_eq!(all.len(), 5);
    kehl.road.commit_cursor("case-system".to_owned(), all[2]).await.unwrap();
    let rest = positions(kehl.road.consume(reading(0, true)).await.unwrap().collect().await);
    assert_eq!(rest, all[3..]);
    let mut live = Box::pin(kehl.road.consume(reading(all[4], false)).await.unwrap());
    let next = tokio::spawn(async move { live.next().await });
    let published = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let seen = tokio::time::timeout(Duration::from_secs(5), next).await.unwrap().unwrap().unwrap().unwrap();
    assert_eq!(seen.key.record_id, published.record_id);
    assert!(kehl.road.commit_cursor("case-system".to_owned(), 1_000).await.is_err());
    assert!(kehl.road.commit_cursor("Case System".to_owned(), 1).await.is_err());
}

#[tokio::test]
async fn a_reader_gets_the_kinds_it_named_and_no_position_that_was_never_given() {
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let kehl = world.exchange(KEHL);
    let reading = |after, kinds: &[RecordKind]| reader("case-system", after, kinds, true);
    let refused = async |reading| kehl.road.consume(reading).await.err().map(|error| error.reason());
    assert_eq!(refused(reading(0, &[])).await, Some(Reason::FieldMissing), "no kind is not every kind");
    let newest = kehl.road.inbox_position().await.unwrap();
    for after in [newest + 1, u64::MAX] {
        assert_eq!(refused(reading(after, &[RecordKind::Alert])).await, Some(Reason::CursorAhead));
    }
    assert_eq!(refused(reading(newest, &[RecordKind::Alert])).await, None);
    let alerts = kehl.road.consume(reading(0, &[RecordKind::Alert])).await.unwrap();
    let kinds: Vec<_> = alerts.map(|record| record.unwrap().kind).collect().await;
    assert_eq!(kinds, [RecordKind::Alert], "and no control record, of which there are some: {newest}");
    assert!(newest > 1);
}
