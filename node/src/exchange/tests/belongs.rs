//! What belongs to a record is found by that record: no number of newer ones of its kind hides it.

use super::world::*;
use crate::demo::sample;
use crate::domain::ids::RecordId;
use crate::domain::record::{RecordKey, RecordKind, ReferenceKind};
use crate::domain::records::answer::Answer;
use crate::domain::records::practice::Practice;
use crate::exchange::*;
use crate::wire::records::practice;

/// One more than any list that is looked at as a whole.
const MANY: usize = 1_001;

async fn publish_practice(world: &World, from: &str, said: &Practice) -> RecordKey {
    let published = world.exchange(from).road.publish(&call(), wished(sharing(&[]), said.clone())).await.unwrap();
    RecordKey { origin: id(from), record_id: published.record_id }
}

async fn search(world: &World, node: &str) -> Vec<RecordKey> {
    let (query, mut from, mut found) = (PracticeQuery::default(), None, Vec::new());
    loop {
        let page = world.exchange(node).practices.search_practices(COORDINATOR, &query, from, 100).await.unwrap();
        from = page.last().map(|practice| practice.place);
        found.extend(page.into_iter().map(|practice| practice.key));
        if from.is_none() {
            return found;
        }
    }
}

/// What a city answered first is seen however often it answered other alerts since: else it would answer again.
#[tokio::test]
async fn no_number_of_own_answers_to_other_alerts_hides_what_this_node_answered() {
    let world = World::with_agreements().await;
    let first = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    let other = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    let of_kehl = world.publish(KEHL, &[STRASBOURG]).await.record_id;
    world.settle().await;
    let kehl = &world.exchange(KEHL).road;
    let key = |record_id: RecordId| RecordKey { origin: id(STRASBOURG), record_id };
    let answer = async |record| kehl.answer(&call(), key(record), Answer::Acknowledged.into()).await.unwrap();
    let given = answer(first).await;
    futures_util::future::join_all((0..MANY).map(|_| answer(other))).await;

    let answered = kehl.get(COORDINATOR, key(first)).await.unwrap();
    let answers: Vec<_> = answered.answers.iter().map(|answer| answer.key.record_id).collect();
    assert_eq!(answers, [given]);
    let listed = kehl.list(COORDINATOR, RecordKind::Alert, Folder::Received, None, 10).await.unwrap();
    let listed = listed.iter().find(|held| held.key.record_id == first).unwrap();
    assert_eq!(listed.answers.len(), 1, "nor is it open in the list");
    // Each answer is a delivery too: where an own alert of before them stands is still told.
    let own = kehl.get(COORDINATOR, RecordKey { origin: id(KEHL), record_id: of_kehl }).await.unwrap();
    assert_eq!(own.deliveries.iter().map(|row| row.state).collect::<Vec<_>>(), [DeliveryState::Delivered]);
    assert_eq!(world.delivery(KEHL, given).await.len(), 1);
}

/// A version that was replaced stays replaced, and an old practice is found, whatever was published after them.
#[tokio::test]
async fn no_number_of_newer_practices_brings_a_replaced_one_back_or_hides_an_old_one() {
    let world = World::with_agreements().await;
    let sample = practice::from_proto(sample::practice()).unwrap();
    let old = publish_practice(&world, STRASBOURG, &sample).await;
    let replaced = publish_practice(&world, STRASBOURG, &sample).await;
    let mut said = sample.clone();
    said.texts[0].title = "The same, as it is done today".to_owned();
    let update = world.exchange(STRASBOURG).road.update(&call(), replaced.clone(), said.into()).await.unwrap();
    let newest = RecordKey { origin: id(STRASBOURG), record_id: update.record_id };
    futures_util::future::join_all((0..MANY).map(|_| publish_practice(&world, STRASBOURG, &sample))).await;
    world.settle().await;

    for node in [STRASBOURG, KEHL] {
        let found = search(&world, node).await;
        assert_eq!(found.len(), MANY + 2, "{node}");
        assert!(found.contains(&old) && found.contains(&newest) && !found.contains(&replaced), "{node}");
        let held = world.exchange(node).road.get(COORDINATOR, replaced.clone()).await.unwrap();
        let later = held.later.map(|later| (later.how, later.by));
        assert_eq!(later, Some((ReferenceKind::Replaces, newest.clone())), "{node}");
    }
}
