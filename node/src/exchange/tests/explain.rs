//! Explain says what the road then does.

use super::world::*;
use crate::clock::Clock;
use crate::domain::agreement::{AgreementEndReason, Usage};
use crate::domain::audit::ActorRole;
use crate::domain::ids::RecordId;
use crate::domain::policy::Clause;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::time::Millis;
use crate::exchange::*;

const ROLE: ActorRole = ActorRole::Coordinator;

async fn asked(world: &World, at: &str, role: ActorRole, record: (&str, RecordId), to: Option<&str>) -> Explanation {
    let key = RecordKey { origin: id(record.0), record_id: record.1 };
    world.exchange(at).road.explain(role, &key, to.map(id)).await.unwrap()
}

#[tokio::test]
async fn what_is_told_of_an_own_record_is_what_the_road_does_with_the_next_one() {
    let world = World::new().await;
    let made = world.agree(STRASBOURG, KEHL, DisclosureLevel::Band).await;
    world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
    let published = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    let told = async |to: &str| asked(&world, STRASBOURG, ROLE, (STRASBOURG, published), Some(to)).await.answer;
    let done = async |to: &str| {
        let next = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[to]), sample_alert())).await;
        let next = match next {
            Err(error) => return Some(error.reason()),
            Ok(next) => next,
        };
        world.settle().await;
        match world.delivery(STRASBOURG, next.record_id).await.first() {
            Some((DeliveryState::Delivered, _)) => None,
            Some((_, reason)) => *reason,
            None => panic!("nothing was queued"),
        }
    };
    let allowed = told(KEHL).await.unwrap();
    assert_eq!((allowed.clause, allowed.grant.unwrap().agreement), (Clause::GrantInForce, made));
    assert_eq!(done(KEHL).await, None);
    let filter = DeliveryFilter { record: Some(published), ..DeliveryFilter::default() };
    let rows = world.exchange(STRASBOURG).road.deliveries(filter, None, 9).await.unwrap();
    assert_eq!(rows[0].agreement, Some(made), "it went under the agreement that was told");
    assert_eq!(told(ESCH).await, Err(Reason::NotForThisAuthority), "nothing but its audience stands in the way");
    assert_eq!(told(GOERLITZ).await.err(), Some(Reason::MemberUnknown));
    world.suspend(KEHL);
    let suspended = Some(Reason::MemberSuspended);
    assert_eq!((told(KEHL).await.err(), done(KEHL).await), (suspended, suspended));
    world.restore(KEHL);
    assert_eq!(told(KEHL).await, Ok(allowed));
    let end = AgreementEndReason::NoLongerNeeded;
    world.exchange(STRASBOURG).agreements.end_agreement(&call(), made, end).await.unwrap();
    assert_eq!(
        (told(KEHL).await.err(), done(KEHL).await),
        (Some(Reason::AgreementEnded), Some(Reason::AgreementEnded))
    );
    world.change_member(KEHL, |member| member.removed_at = Some(world.clock.now()));
    assert_eq!((told(KEHL).await.err(), done(KEHL).await), (Some(Reason::MemberRemoved), Some(Reason::MemberRemoved)));
    world.clock.advance(Millis::days(400));
    assert_eq!(told(ESCH).await, Err(Reason::EnvelopeExpired));
}

#[tokio::test]
async fn what_was_taken_back_is_for_nobody_here_and_there() {
    let world = World::new().await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let published = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    let key = RecordKey { origin: id(STRASBOURG), record_id: published };
    world.exchange(STRASBOURG).road.cancel(&call(), key).await.unwrap();
    let told = asked(&world, STRASBOURG, ROLE, (STRASBOURG, published), Some(KEHL)).await;
    assert_eq!(told.answer, Err(Reason::RecordCancelled));
    world.settle().await;
    let there = asked(&world, KEHL, ROLE, (STRASBOURG, published), None).await;
    assert_eq!(there.answer, Err(Reason::RecordCancelled));
}

#[tokio::test]
async fn a_received_record_is_explained_to_its_roles_and_goes_to_nobody_else() {
    let world = World::new().await;
    let mut agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Band);
    agreement.grants.iter_mut().for_each(|grant| grant.usage = Usage::View);
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
    world.settle().await;
    world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
    world.agree(KEHL, ESCH, DisclosureLevel::Band).await;
    world.settle().await;
    let record = (STRASBOURG, world.publish(STRASBOURG, &[KEHL]).await.record_id);
    world.settle().await;
    let shown = asked(&world, KEHL, ROLE, record, None).await;
    assert_eq!(shown.authority, id(KEHL));
    let allowed = shown.answer.unwrap();
    assert_eq!((allowed.clause, allowed.grant.unwrap().agreement), (Clause::RoleReads, made));
    let consumed = asked(&world, KEHL, ActorRole::Consumer, record, Some(KEHL)).await;
    assert_eq!(consumed.answer, Err(Reason::UseNotGranted));
    let onward = asked(&world, KEHL, ROLE, record, Some(ESCH)).await;
    assert_eq!(onward.answer, Err(Reason::NotForThisAuthority));
    let own = asked(&world, STRASBOURG, ROLE, record, None).await;
    assert_eq!(own.answer.unwrap(), Allowed { clause: Clause::RoleReads, grant: None, level: None });
    // Who does not read the kind does not find the record, and nobody finds one that is not there.
    let road = &world.exchange(KEHL).road;
    for (role, record_id) in [(ActorRole::Operator, record.1), (ROLE, RecordId([7; 16]))] {
        let key = RecordKey { origin: id(STRASBOURG), record_id };
        let refused = road.explain(role, &key, Some(id(KEHL))).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::NotFound, "{role}");
    }
}
