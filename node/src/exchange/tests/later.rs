//! Updates, replacements and cancellations: whom they reach, and what is shown then.

use futures_util::StreamExt;

use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::agreement::AgreementEndReason;
use crate::domain::envelope::Envelope;
use crate::domain::ids::RecordId;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, Reference, ReferenceKind};
use crate::domain::records::Content;
use crate::domain::records::alert::{Alert, Severity};
use crate::domain::records::answer::Answer;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::wire::records::practice;

fn key(record_id: RecordId) -> RecordKey {
    RecordKey { origin: id(STRASBOURG), record_id }
}

fn more_severe() -> Content {
    Alert { severity: Severity::Extreme, ..sample_alert() }.into()
}

async fn listed(world: &World, name: &str, folder: Folder) -> Vec<RecordId> {
    let held = world.exchange(name).road.list(COORDINATOR, RecordKind::Alert, folder, None, 10).await.unwrap();
    held.into_iter().map(|held| held.key.record_id).collect()
}

async fn consumed(world: &World, name: &str) -> Vec<RecordId> {
    let consumer = uuid::Uuid::new_v4().to_string();
    let reading = reader(&consumer, 0, &[RecordKind::Alert], true);
    let read = world.exchange(name).road.consume(reading).await.unwrap();
    read.map(|record| record.unwrap().key.record_id).collect().await
}

#[tokio::test]
async fn an_update_reaches_those_that_hold_the_record_and_stands_in_its_place() {
    let world = World::with_agreements().await;
    let strasbourg = world.exchange(STRASBOURG);
    let first = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    let update = call();
    let second = strasbourg.road.update(&update, key(first), more_severe()).await.unwrap();
    assert_eq!(second.recipients, [id(KEHL)], "and not Esch, which an agreement covers as well");
    assert_eq!(
        strasbourg.road.update(&update, key(first), more_severe()).await.unwrap().record_id,
        second.record_id,
        "once"
    );
    world.settle().await;
    for (name, folder) in [(KEHL, Folder::Received), (STRASBOURG, Folder::Published)] {
        assert_eq!(listed(&world, name, folder).await, [second.record_id], "{name}");
        let old = world.exchange(name).road.get(COORDINATOR, key(first)).await.unwrap();
        let by = Superseded { how: ReferenceKind::Updates, by: key(second.record_id) };
        assert_eq!(old.later, Some(by), "who asks for it by its id is told of the newer word");
        let new = world.exchange(name).road.get(COORDINATOR, key(second.record_id)).await.unwrap();
        let said = new.said.unwrap();
        assert_eq!((said.target(ReferenceKind::Updates), &said.content), (Some(&key(first)), &more_severe()));
        let expires = old.said.unwrap().sharing.expires;
        assert_eq!(said.sharing.expires, expires, "an update does not prolong what it updates");
    }
    assert!(listed(&world, ESCH, Folder::Received).await.is_empty());
    // A reader of the inbox keeps its own copies: it is given both, in order.
    assert_eq!(consumed(&world, KEHL).await, [first, second.record_id]);
    // Only the newest word is updated, by its publisher, with its own kind.
    let refused = async |name: &str, target, content| {
        world.exchange(name).road.update(&call(), key(target), content).await.unwrap_err().reason()
    };
    assert_eq!(refused(STRASBOURG, first, sample_alert().into()).await, Reason::EtagMismatch);
    assert_eq!(refused(KEHL, second.record_id, sample_alert().into()).await, Reason::NotFound);
    let practice = practice::from_proto(sample::practice()).unwrap();
    assert_eq!(refused(STRASBOURG, second.record_id, practice.into()).await, Reason::KindNotSupported);
    world.exchange(KEHL).road.answer(&call(), key(second.record_id), Answer::Acknowledged.into()).await.unwrap();
    let third = strasbourg.road.update(&call(), key(second.record_id), sample_alert().into()).await.unwrap();
    world.settle().await;
    assert_eq!(listed(&world, KEHL, Folder::Received).await, [third.record_id]);
    world.clock.advance(Millis::days(91));
    assert_eq!(refused(STRASBOURG, third.record_id, more_severe()).await, Reason::EnvelopeExpired);
}

#[tokio::test]
async fn an_update_that_changes_nothing_travels_nowhere() {
    let world = World::with_agreements().await;
    let first = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    let same = world.exchange(STRASBOURG).road.update(&call(), key(first), sample_alert().into()).await.unwrap();
    assert_eq!((same.record_id, same.recipients), (first, vec![]));
    world.settle().await;
    assert_eq!(consumed(&world, KEHL).await, [first]);
    assert_eq!(listed(&world, STRASBOURG, Folder::Published).await, [first]);
}

#[tokio::test]
async fn what_was_cancelled_is_listed_and_given_to_nobody_any_more() {
    let world = World::with_agreements().await;
    let strasbourg = world.exchange(STRASBOURG);
    let stays = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    let first = world.publish(STRASBOURG, &[KEHL, ESCH]).await.record_id;
    world.settle().await;
    let cancelled = strasbourg.road.cancel(&call(), key(first)).await.unwrap();
    assert_eq!(cancelled.recipients, [id(KEHL), id(ESCH)]);
    world.settle().await;
    assert_eq!(listed(&world, KEHL, Folder::Received).await, [stays]);
    assert_eq!(listed(&world, STRASBOURG, Folder::Published).await, [stays]);
    assert!(listed(&world, ESCH, Folder::Received).await.is_empty());
    // A reader that had it learns of the cancellation; one that comes later is not given it.
    assert_eq!(consumed(&world, KEHL).await, [stays, cancelled.record_id]);
    let word = world.exchange(KEHL).road.get(COORDINATOR, key(cancelled.record_id)).await.unwrap().said.unwrap();
    let Content::Alert(alert) = &word.content else { panic!("{word:?}") };
    assert!(alert.summary.is_empty() && alert.indicators.is_empty(), "what is taken back is not said again");
    let later = world.exchange(KEHL).road.get(COORDINATOR, key(first)).await.unwrap().later;
    assert_eq!(later.map(|later| later.how), Some(ReferenceKind::Cancels));
    let again = strasbourg.road.cancel(&call(), key(first)).await.unwrap_err();
    assert_eq!(again.reason(), Reason::EtagMismatch);
    let word_of_it = strasbourg.road.cancel(&call(), key(cancelled.record_id)).await.unwrap_err();
    assert_eq!(word_of_it.reason(), Reason::NotFound);
}

#[tokio::test]
async fn a_later_word_goes_only_where_it_still_may_and_waits_for_a_suspended_holder() {
    let world = World::new().await;
    let ends = world.agree(STRASBOURG, KEHL, DisclosureLevel::Band).await;
    world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
    let first = world.publish(STRASBOURG, &[KEHL, ESCH]).await.record_id;
    world.settle().await;
    world
        .exchange(STRASBOURG)
        .agreements
        .end_agreement(&call(), ends, AgreementEndReason::NoLongerNeeded)
        .await
        .unwrap();
    world.settle().await;
    world.suspend(ESCH);
    let update = world.exchange(STRASBOURG).road.update(&call(), key(first), more_severe()).await.unwrap();
    assert_eq!(update.recipients, [id(ESCH)]);
    world.settle().await;
    assert_eq!(listed(&world, ESCH, Folder::Received).await, [first]);
    world.restore(ESCH);
    world.settle().await;
    assert_eq!(listed(&world, ESCH, Folder::Received).await, [update.record_id]);
    assert_eq!(listed(&world, KEHL, Folder::Received).await, [first], "Kehl has it as it was");
}

#[tokio::test]
async fn a_new_version_of_a_practice_replaces_the_old_one_for_new_partners_too() {
    let world = World::new().await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Band).await;
    let strasbourg = world.exchange(STRASBOURG);
    let one = practice::from_proto(sample::practice()).unwrap();
    let mut two = one.clone();
    two.version += 1;
    let first = strasbourg.road.publish(&call(), wished(sharing(&[]), one.clone())).await.unwrap().record_id;
    let gone = strasbourg.road.publish(&call(), wished(sharing(&[]), one)).await.unwrap().record_id;
    world.settle().await;
    let second = strasbourg.road.update(&call(), key(first), two.clone().into()).await.unwrap();
    // Taken back in its second version, and so in its first.
    let newer = strasbourg.road.update(&call(), key(gone), two.clone().into()).await.unwrap();
    strasbourg.road.cancel(&call(), key(newer.record_id)).await.unwrap();
    world.settle().await;
    world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
    world.settle().await;
    for name in [STRASBOURG, KEHL, ESCH] {
        let found = world
            .exchange(name)
            .practices
            .search_practices(COORDINATOR, &PracticeQuery::default(), None, 10)
            .await
            .unwrap();
        let found: Vec<_> = found.into_iter().map(|found| (found.key.record_id, found.practice)).collect();
        assert_eq!(found, [(second.record_id, two.clone())], "{name}");
    }
    let sent = world.node(ESCH).store.inbox_after(0, vec![RecordKind::Practice], 10).await.unwrap();
    assert_eq!(sent.len(), 2, "both versions, and nothing of what was cancelled before Esch came");
}

#[tokio::test]
async fn what_is_taken_back_in_a_later_version_is_taken_back() {
    let world = World::with_agreements().await;
    let strasbourg = world.exchange(STRASBOURG);
    let first = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    let second = strasbourg.road.update(&call(), key(first), more_severe()).await.unwrap().record_id;
    world.settle().await;
    let end = strasbourg.road.cancel(&call(), key(second)).await.unwrap().record_id;
    world.settle().await;
    assert_eq!(consumed(&world, KEHL).await, [end], "neither of the two is given to a reader that comes later");
    assert!(listed(&world, KEHL, Folder::Received).await.is_empty());
}

#[tokio::test]
async fn of_two_later_words_at_once_one_counts() {
    let world = World::with_agreements().await;
    let strasbourg = world.exchange(STRASBOURG);
    let first = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    let (update, cancel) = (call(), call());
    let said = tokio::join!(
        strasbourg.road.update(&update, key(first), more_severe()),
        strasbourg.road.cancel(&cancel, key(first))
    );
    let reasons = [said.0.err().map(|e| e.reason()), said.1.err().map(|e| e.reason())];
    assert_eq!(reasons.iter().flatten().collect::<Vec<_>>(), [&Reason::EtagMismatch]);
}

#[tokio::test]
async fn what_was_taken_back_while_a_recipient_was_suspended_never_reaches_it() {
    let world = World::with_agreements().await;
    world.suspend(ESCH);
    let first = world.publish(STRASBOURG, &[]).await;
    assert_eq!(first.recipients, [id(KEHL), id(ESCH)], "for all, Esch once it is restored");
    world.settle().await;
    world.exchange(STRASBOURG).road.cancel(&call(), key(first.record_id)).await.unwrap();
    world.settle().await;
    world.restore(ESCH);
    world.settle().await;
    assert!(consumed(&world, ESCH).await.is_empty());
}

#[tokio::test]
async fn an_update_that_changes_nothing_keeps_its_request_id() {
    let world = World::with_agreements().await;
    let strasbourg = world.exchange(STRASBOURG);
    let first = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    let same = call();
    let answer = strasbourg.road.update(&same, key(first), sample_alert().into()).await.unwrap();
    strasbourg.road.update(&call(), key(first), more_severe()).await.unwrap();
    assert_eq!(
        strasbourg.road.update(&same, key(first), sample_alert().into()).await.unwrap().record_id,
        answer.record_id
    );
}

/// Kehl was sent the first version, and not the second: the agreement had ended, and there is another one now.
async fn only_kehl_missed_the_second(world: &World) -> (RecordId, RecordId) {
    let strasbourg = world.exchange(STRASBOURG);
    let ends = world.agree(STRASBOURG, KEHL, DisclosureLevel::Band).await;
    world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
    let first = world.publish(STRASBOURG, &[KEHL, ESCH]).await.record_id;
    world.settle().await;
    strasbourg.agreements.end_agreement(&call(), ends, AgreementEndReason::NoLongerNeeded).await.unwrap();
    world.settle().await;
    let second = strasbourg.road.update(&call(), key(first), more_severe()).await.unwrap();
    assert_eq!(second.recipients, [id(ESCH)]);
    world.settle().await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Band).await;
    assert_eq!(listed(world, KEHL, Folder::Received).await, [first]);
    (first, second.record_id)
}

#[tokio::test]
async fn a_cancellation_reaches_who_holds_an_older_version_only() {
    let world = World::new().await;
    let (first, second) = only_kehl_missed_the_second(&world).await;
    let cancelled = world.exchange(STRASBOURG).road.cancel(&call(), key(second)).await.unwrap();
    assert_eq!(cancelled.recipients, [id(KEHL), id(ESCH)]);
    world.settle().await;
    for name in [KEHL, ESCH] {
        assert!(listed(&world, name, Folder::Received).await.is_empty(), "{name}");
        assert_eq!(consumed(&world, name).await, [cancelled.record_id], "{name}");
    }
    let later = world.exchange(KEHL).road.get(COORDINATOR, key(first)).await.unwrap().later;
    assert_eq!(later, Some(Superseded { how: ReferenceKind::Cancels, by: key(cancelled.record_id) }));
}

#[tokio::test]
async fn an_update_reaches_who_holds_an_older_version_only() {
    let world = World::new().await;
    let (_, second) = only_kehl_missed_the_second(&world).await;
    let third = Alert { severity: Severity::Minor, ..sample_alert() };
    let third = world.exchange(STRASBOURG).road.update(&call(), key(second), third.into()).await.unwrap();
    assert_eq!(third.recipients, [id(KEHL), id(ESCH)]);
    world.settle().await;
    for name in [KEHL, ESCH] {
        assert_eq!(listed(&world, name, Folder::Received).await, [third.record_id], "{name}");
    }
    let end = world.exchange(STRASBOURG).road.cancel(&call(), key(third.record_id)).await.unwrap();
    world.settle().await;
    assert_eq!(consumed(&world, KEHL).await, [end.record_id], "nothing of it is left for who comes later");
}

#[tokio::test]
async fn a_version_that_was_overtaken_on_the_way_is_not_shown_again() {
    let world = World::with_agreements().await;
    let strasbourg = world.exchange(STRASBOURG);
    let practice = practice::from_proto(sample::practice()).unwrap();
    let first = strasbourg.road.publish(&call(), wished(sharing(&[KEHL]), practice.clone())).await.unwrap().record_id;
    world.settle().await;
    let (second, third) = (RecordId([2; 16]), RecordId([3; 16]));
    let replaces = |target| Reference { kind: ReferenceKind::Replaces, target: key(target) };
    for (record_id, references) in [(third, vec![replaces(second), replaces(first)]), (second, vec![replaces(first)])] {
        let body = crate::wire::records::encode(&practice.clone().into());
        let change = |envelope: &mut Envelope| {
            (envelope.record_id, envelope.references, envelope.body) = (record_id, references, body);
        };
        world.queue_practice(STRASBOURG, KEHL, change).await;
    }
    world.settle().await;
    let held =
        world.exchange(KEHL).road.list(COORDINATOR, RecordKind::Practice, Folder::Received, None, 10).await.unwrap();
    assert_eq!(held.into_iter().map(|held| held.key.record_id).collect::<Vec<_>>(), [third]);
    assert_eq!(
        world.delivery(STRASBOURG, second).await,
        [(DeliveryState::Delivered, None)],
        "and it is asked for no more"
    );
}

#[tokio::test]
async fn what_was_cancelled_does_not_come_back_when_the_cancellation_is_past_its_time() {
    let world = World::new().await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let first = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    // Another agreement, which shows more: what is said from now on comes under it, and is kept for a day.
    let mut short = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Band);
    short.grants.iter_mut().for_each(|grant| grant.retention = Millis::days(1));
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), short).await.unwrap();
    world.settle().await;
    world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
    world.exchange(STRASBOURG).road.cancel(&call(), key(first)).await.unwrap();
    world.settle().await;
    assert!(listed(&world, KEHL, Folder::Received).await.is_empty());
    world.clock.advance(Millis::days(2));
    while world.node(KEHL).store.sweep(world.clock.now()).await.unwrap() > 0 {}
    assert!(listed(&world, KEHL, Folder::Received).await.is_empty(), "it is gone with the word that took it back");
    assert!(consumed(&world, KEHL).await.is_empty());
}

#[tokio::test]
async fn the_cancellation_of_a_practice_repeats_nothing_of_it() {
    let world = World::with_agreements().await;
    let practice = practice::from_proto(sample::practice()).unwrap();
    let first = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[KEHL]), practice)).await.unwrap();
    world.settle().await;
    let cancelled = world.exchange(STRASBOURG).road.cancel(&call(), key(first.record_id)).await.unwrap();
    world.settle().await;
    let word = world.exchange(KEHL).road.get(COORDINATOR, key(cancelled.record_id)).await.unwrap().said.unwrap();
    let Content::Practice(practice) = &word.content else { panic!("{word:?}") };
    assert!(practice.texts.is_empty() && practice.topics.is_empty());
    let found = world
        .exchange(KEHL)
        .practices
        .search_practices(COORDINATOR, &PracticeQuery::default(), None, 10)
        .await
        .unwrap();
    assert!(found.is_empty());
}
