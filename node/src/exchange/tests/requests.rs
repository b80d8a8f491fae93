//! A request id makes a write happen once (9.3), whatever became of the answer and of the world meanwhile.

use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::ids::{Digest, OfferId};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::records::answer::Answer;
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::wire::records::offer;

/// What was answered, without where its deliveries stand by now.
fn said(answered: Result<Published, Error>) -> (crate::domain::ids::RecordId, Vec<crate::domain::ids::AuthorityId>) {
    let Published { record_id, recipients, .. } = answered.unwrap();
    (record_id, recipients)
}

#[tokio::test]
async fn a_repeated_call_says_where_its_deliveries_stand_by_now() {
    let world = World::with_agreements().await;
    let (call, strasbourg) = (call(), world.exchange(STRASBOURG));
    let publish = || strasbourg.road.publish(&call, wished(sharing(&[KEHL]), sample_alert()));
    world.line.down.lock().unwrap().insert(id(KEHL));
    assert_eq!(publish().await.unwrap().standing, [], "a first call queues");
    let standing = async || publish().await.unwrap().standing.iter().map(|row| row.state).collect::<Vec<_>>();
    assert_eq!(standing().await, [DeliveryState::Queued]);
    let agreed = strasbourg.agreements.list_agreements().await.unwrap();
    let with_kehl =
        agreed.iter().map(|a| a.summary.as_ref().unwrap()).find(|a| a.held.agreement.is_party(&id(KEHL))).unwrap();
    let why = crate::domain::agreement::AgreementEndReason::LegalChange;
    world.exchange(KEHL).agreements.end_agreement(&self::call(), with_kehl.held.id, why).await.unwrap();
    world.line.down.lock().unwrap().clear();
    world.settle().await;
    assert_eq!(standing().await, [DeliveryState::Refused]);
    let gave_up = strasbourg.road.given_up_since(world.clock.now() - Millis::days(7)).await.unwrap();
    assert_eq!((gave_up.refused, gave_up.skipped), (1, 0), "and the doctor counts it");
    assert_eq!(gave_up.newest.map(|row| row.recipient), Some(id(KEHL)));
}

#[tokio::test]
async fn a_request_id_gives_the_first_answer_again_and_refuses_another_body() {
    let world = World::with_agreements().await;
    let (call, strasbourg) = (call(), world.exchange(STRASBOURG));
    let publish =
        |call: Call| async move { strasbourg.road.publish(&call, wished(sharing(&[KEHL]), sample_alert())).await };
    let first = publish(call.clone()).await.unwrap();
    assert_eq!(said(publish(call.clone()).await), said(Ok(first)));
    let refused = publish(Call { body: Digest([1; 32]), ..call.clone() }).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::RequestIdReused);
    for bad in ["", "with space", &"x".repeat(65)] {
        assert!(publish(Call { request_id: bad.to_owned(), ..call.clone() }).await.is_err());
    }
    world.settle().await;
    assert_eq!(world.inbox(KEHL).await.len(), 1);
}

#[tokio::test]
async fn a_request_id_is_scoped_to_caller_and_method_and_kept_for_a_day() {
    let world = World::with_agreements().await;
    let (call, strasbourg) = (call(), world.exchange(STRASBOURG));
    let alert = |call: Call| async move {
        let published = strasbourg.road.publish(&call, wished(sharing(&[KEHL]), sample_alert())).await;
        published.unwrap().record_id
    };
    let first = alert(call.clone()).await;
    let other_caller = alert(Call { scope: "coordinator".to_owned(), ..call.clone() }).await;
    assert_ne!(first, other_caller);
    let refuge =
        offer::own_from_proto(sample::refuge(2), OfferId([5; 16]), &id(STRASBOURG), world.clock.now()).unwrap();
    let (set, _) = strasbourg.capacity.set_offer(&call, refuge, None).await.unwrap();
    assert_ne!(set.id.0, first.0, "the same request id of another method");
    world.clock.advance(Millis::hours(24) - Millis::minutes(1));
    strasbourg.upkeep.sweep_pass().await.unwrap();
    assert_eq!(alert(call.clone()).await, first);
    world.clock.advance(Millis::minutes(2));
    strasbourg.upkeep.sweep_pass().await.unwrap();
    assert_ne!(alert(call).await, first);
}

#[tokio::test]
async fn a_repeated_call_gets_its_first_answer_even_if_it_would_be_refused_by_now() {
    let world = World::with_agreements().await;
    let strasbourg = world.exchange(STRASBOURG);
    let (alert, offer_call, answer) = (call(), call(), call());
    let publish =
        |call: Call| async move { strasbourg.road.publish(&call, wished(sharing(&[KEHL]), sample_alert())).await };
    let first = publish(alert.clone()).await.unwrap();
    let refuge =
        || offer::own_from_proto(sample::refuge(2), OfferId([5; 16]), &id(STRASBOURG), world.clock.now()).unwrap();
    let (made, _) = strasbourg.capacity.set_offer(&call(), refuge(), None).await.unwrap();
    // With the version that was read: the first try makes it stale, and the second one is the first one.
    let (set, told) = strasbourg.capacity.set_offer(&offer_call, refuge(), Some(made.version)).await.unwrap();
    let (again, told_again) = strasbourg.capacity.set_offer(&offer_call, refuge(), Some(made.version)).await.unwrap();
    assert_eq!((again.version, told_again), (set.version, told));
    let stale = strasbourg.capacity.set_offer(&call(), refuge(), Some(made.version)).await.unwrap_err();
    assert_eq!(stale.reason(), Reason::EtagMismatch);
    world.settle().await;
    let target = RecordKey { origin: id(STRASBOURG), record_id: first.record_id };
    let kehl = world.exchange(KEHL);
    let answered = kehl.road.answer(&answer, target.clone(), Answer::Acknowledged.into()).await.unwrap();
    world.suspend(KEHL);
    assert_eq!(publish(call()).await.unwrap_err().reason(), Reason::MemberSuspended);
    assert_eq!(said(publish(alert.clone()).await), said(Ok(first)));
    let other_body = Call { body: Digest([1; 32]), ..alert };
    assert_eq!(publish(other_body).await.unwrap_err().reason(), Reason::RequestIdReused);
    assert_eq!(kehl.road.answer(&answer, target, Answer::Acknowledged.into()).await.unwrap(), answered);
}
