//! An answer needs the grant under which its target was sent, as each side knows it from its own records (9.2).

use super::world::*;
use crate::clock::Clock;
use crate::domain::agreement::AgreementEndReason;
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, RecordId};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, Reference, ReferenceKind};
use crate::domain::records::Facet;
use crate::domain::records::answer::Answer;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::storage::ops::{NewDelivery, Queue, WriteOp};
use crate::storage::rows::Question;

/// Kehl's answer to the record, claiming this grant, queued as a dishonest node would queue it. What became of it.
async fn claim(world: &World, target: &RecordKey, grant: GrantRef) -> (DeliveryState, Option<Reason>) {
    let mut envelope = world.envelope(KEHL, STRASBOURG);
    envelope.kind = RecordKind::Answer;
    envelope.grant = Some(grant);
    envelope.references = vec![Reference { kind: ReferenceKind::Answers, target: target.clone() }];
    envelope.body = crate::wire::records::encode(&Answer::Acknowledged.into());
    let sealed = crate::wire::sealed::seal(&envelope, &world.node(KEHL).key);
    // Its own node does not ask again either: the store is written to behind its back, under another kind's permit.
    let permit = crate::domain::policy::Permit::unasked(KEHL, STRASBOURG, RecordKind::Answer, Some(grant));
    let item = NewDelivery {
        permit,
        record_id: envelope.record_id,
        question: Question::of(&envelope, Some(Facet::Answer(())), world.node(KEHL).key.public().id()),
        envelope: sealed.bytes,
        digest: sealed.digest,
        as_of: None,
        traceparent: String::new(),
        queued: world.clock.now(),
        expires: envelope.expires,
    };
    let queue = Queue { items: vec![item], ..Queue::default() };
    world.node(KEHL).store.write(WriteOp::Queue(queue)).await.unwrap();
    world.settle().await;
    world.delivery(KEHL, envelope.record_id).await[0]
}

fn key(record_id: RecordId) -> RecordKey {
    RecordKey { origin: id(STRASBOURG), record_id }
}

/// The grant of the agreement that goes from Strasbourg to Kehl.
fn forward(world: &World, agreement: AgreementId) -> GrantRef {
    let agreements = world.exchange(STRASBOURG).agreements.set();
    let (from, to) = (id(STRASBOURG), id(KEHL));
    agreements.grants(&from, &to).find(|held| held.reference.agreement == agreement).unwrap().reference
}

async fn answers(world: &World, record: RecordId) -> usize {
    world.exchange(STRASBOURG).road.get(COORDINATOR, key(record)).await.unwrap().answers.len()
}

#[tokio::test]
async fn an_answer_under_another_grant_than_its_targets_is_refused_by_the_receiver() {
    let world = World::new().await;
    let first = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let sent = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    let second = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let refused = claim(&world, &key(sent), forward(&world, second)).await;
    assert_eq!(refused, (DeliveryState::Refused, Some(Reason::AgreementNotInForce)));
    // Under the right one it passes, and so does a second answer: each stands for itself.
    for n in 1..=2 {
        let stored = claim(&world, &key(sent), forward(&world, first)).await;
        assert_eq!((stored, answers(&world, sent).await), ((DeliveryState::Delivered, None), n));
    }
}

#[tokio::test]
async fn only_what_was_sent_to_an_authority_is_answered_by_it() {
    let world = World::with_agreements().await;
    let for_esch = world.publish(STRASBOURG, &[ESCH]).await.record_id;
    world.settle().await;
    let agreements = world.exchange(STRASBOURG).agreements.set();
    let grant = agreements.grants(&id(STRASBOURG), &id(KEHL)).next().unwrap().reference;
    for target in [key(for_esch), key(RecordId([3; 16]))] {
        let refused = claim(&world, &target, grant).await;
        assert_eq!(refused, (DeliveryState::Refused, Some(Reason::TargetUnknown)));
    }
}

#[tokio::test]
async fn when_the_agreement_of_the_target_has_ended_it_is_not_answered_under_the_next_one() {
    let world = World::new().await;
    let first = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let before = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    let second = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    world.exchange(STRASBOURG).agreements.end_agreement(&call(), first, AgreementEndReason::Replaced).await.unwrap();
    world.settle().await;
    let kehl = world.exchange(KEHL);
    let refused = kehl.road.answer(&call(), key(before), Answer::Acknowledged.into()).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::AgreementEnded, "by the node that would answer");
    for (grant, reason) in [(first, Reason::AgreementEnded), (second, Reason::AgreementNotInForce)] {
        let grant = GrantRef { agreement: grant, ..forward(&world, second) };
        let (state, why) = claim(&world, &key(before), grant).await;
        assert_eq!((state, why), (DeliveryState::Refused, Some(reason)), "and by the one that would get it");
    }
    assert_eq!(answers(&world, before).await, 0);
    // What comes under the new one is answered under the new one, after a new start of both nodes too.
    let after = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    kehl.road.answer(&call(), key(after), Answer::Acknowledged.into()).await.unwrap();
    world.clock.advance(Millis::minutes(1));
    kehl.road.answer(&call(), key(after), Answer::Acknowledged.into()).await.unwrap();
    world.settle().await;
    assert_eq!(answers(&world, after).await, 2);
}
