//! What readers see changes when the commit has answered: no copy in memory runs ahead of the store, and none is lost between
//! the commit and its answer.

use std::sync::Arc;

use super::faulty_store::FaultyStore;
use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::agreement::{AgreementEndReason, AgreementState};
use crate::domain::ids::OfferId;
use crate::domain::light::Light;
use crate::domain::reason::Reason;
use crate::domain::records::offer::{AvailabilityClass, CapacityLevel, DisclosureLevel, OwnOffer};
use crate::domain::time::Millis;
use crate::storage::ops::{Put, WriteOp};
use crate::wire::records::offer;

/// The node goes on over a store that a test may stop at a commit.
async fn held_store(world: &mut World, name: &str) -> Arc<FaultyStore> {
    let store = FaultyStore::over(world.node(name).store.clone());
    world.start(name, 0, Some(store.clone())).await;
    store
}

fn refuge(world: &World, free: u32) -> OwnOffer {
    offer::own_from_proto(sample::refuge(free), OfferId([5; 16]), &id(STRASBOURG), world.clock.now()).unwrap()
}

/// Light, level and age as Kehl's board shows them.
async fn shown(world: &World) -> (Light, CapacityLevel, Option<Millis>) {
    let board = world.exchange(KEHL).capacity.partner_offers(COORDINATOR).await.unwrap();
    (board[0].light, view(&board[0]).capacity.level, board[0].age)
}

#[tokio::test]
async fn while_a_statement_is_stored_the_one_before_it_keeps_its_figures_and_its_age() {
    let mut world = World::with_agreements().await;
    let store = held_store(&mut world, KEHL).await;
    world.clock.stop();
    let strasbourg = &world.exchange(STRASBOURG).capacity;
    strasbourg.set_offer(&call(), refuge(&world, 2), None).await.unwrap();
    world.settle().await;
    world.clock.advance(Millis::minutes(20));
    let few = (Light::Few, CapacityLevel::Availability(AvailabilityClass::Few), Some(Millis::minutes(20)));
    assert_eq!(shown(&world).await, few);

    let held = store.hold(|op| matches!(op, WriteOp::Receive(_)));
    strasbourg.set_offer(&call(), refuge(&world, 9), None).await.unwrap();
    let many = (Light::Available, CapacityLevel::Availability(AvailabilityClass::Some), Some(Millis(0)));
    let reads = async {
        held.is_asked().await;
        assert_eq!(shown(&world).await, few, "before it is stored");
        held.store().await;
        assert_eq!(shown(&world).await, many, "stored, and nobody heard of it yet");
        held.answer();
    };
    tokio::join!(world.settle(), reads);
    assert_eq!(shown(&world).await, many);
}

#[tokio::test]
async fn an_agreement_is_in_force_and_ends_when_the_commit_has_answered() {
    let mut world = World::new().await;
    let store = held_store(&mut world, KEHL).await;
    let agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light);
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
    world.settle().await;
    let kehl = world.exchange(KEHL);
    let state = || kehl.agreements.set().get(&made).unwrap().state(world.clock.now());
    let changes =
        |op: &WriteOp| matches!(op, WriteOp::Write(op) if op.puts.iter().any(|put| matches!(put, Put::Agreement(_))));

    let held = store.hold(changes);
    let (signing, ending) = (call(), call());
    let sign = kehl.agreements.sign_agreement(&signing, made);
    let reads = async {
        held.is_asked().await;
        assert_eq!(state(), AgreementState::Proposed, "not signed yet");
        held.store().await;
        held.answer();
    };
    let (signed, ()) = tokio::join!(sign, reads);
    assert_eq!((signed.unwrap(), state()), (AgreementState::InForce, AgreementState::InForce));

    let held = store.hold(changes);
    let end = kehl.agreements.end_agreement(&ending, made, AgreementEndReason::Breach);
    let reads = async {
        held.is_asked().await;
        assert_eq!(state(), AgreementState::InForce, "it has not ended before that is stored");
        held.store().await;
        held.answer();
    };
    let (ended, ()) = tokio::join!(end, reads);
    ended.unwrap();
    assert_eq!(state(), AgreementState::Ended);
    let refused = kehl.road.publish(&call(), wished(sharing(&[STRASBOURG]), sample_alert())).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::AgreementEnded);
}
