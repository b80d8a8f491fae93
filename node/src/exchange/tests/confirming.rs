//! A restore brings back what was ended since: it is closed by the notices that parties hold, and what nobody ended waits for
//! the operator. Nothing passes meanwhile under it, and nothing under other agreements waits for it.

use std::sync::Arc;

use bytes::Bytes;

use super::world::*;
use crate::clock::Clock;
use crate::domain::agreement::{AgreementEndReason, AgreementState};
use crate::domain::ids::{AgreementId, Incarnation};
use crate::domain::reason::Reason;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::stream::EndsAnswer;
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::storage::Store;
use crate::storage::ops::{Put, Write};
use crate::storage::rows::AgreementRow;

/// As a restore leaves it: agreements as they were once, each unconfirmed, and a new incarnation.
async fn restored(world: &mut World, name: &str, rows: Vec<AgreementRow>, incarnation: u64) {
    let clock = world.clock.clone();
    let now: crate::storage::Now = Arc::new(move || clock.now());
    let store: Arc<dyn Store> = Arc::new(crate::storage::samples::fresh(Incarnation(incarnation), now).await);
    let puts = rows.into_iter().map(|row| Put::Agreement(AgreementRow { unconfirmed: true, ends: vec![], ..row }));
    store.write(Write { puts: puts.collect(), ..Write::default() }.into()).await.unwrap();
    world.start(name, incarnation, Some(store)).await;
}

async fn rows(world: &World, name: &str) -> Vec<AgreementRow> {
    world.node(name).store.agreements().await.unwrap()
}

async fn state(world: &World, name: &str, id: AgreementId) -> AgreementState {
    world.exchange(name).agreements.show_agreement(id).await.unwrap().state
}

async fn end(world: &World, name: &str, id: AgreementId) {
    world.exchange(name).agreements.end_agreement(&call(), id, AgreementEndReason::Replaced).await.unwrap();
    world.settle().await;
}

#[tokio::test]
async fn what_a_party_ended_is_closed_and_the_rest_waits_for_the_operator() {
    let mut world = World::new().await;
    let ended = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let stays = world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
    let before = rows(&world, STRASBOURG).await;
    end(&world, KEHL, ended).await;
    // Long ago, when no notice travels by itself any more.
    world.clock.advance(Millis::days(100));
    restored(&mut world, STRASBOURG, before, 2).await;
    assert_eq!(state(&world, STRASBOURG, ended).await, AgreementState::Unconfirmed);
    world.settle().await;
    assert_eq!(state(&world, STRASBOURG, ended).await, AgreementState::Ended);
    assert_eq!(state(&world, STRASBOURG, stays).await, AgreementState::Unconfirmed, "an answer never opens");
    let shown = world.exchange(STRASBOURG).agreements.show_agreement(stays).await.unwrap();
    assert!(matches!(&shown.answers[..], [(party, Some(said))] if *party == id(ESCH) && said.knows == Knows::ItsEnds));
    let strasbourg = &world.exchange(STRASBOURG).agreements;
    let refused = strasbourg.confirm_agreements(&call(), &[stays, ended]).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::AgreementEnded, "all of them or none");
    assert_eq!(state(&world, STRASBOURG, stays).await, AgreementState::Unconfirmed);
    strasbourg.confirm_agreements(&call(), &[stays]).await.unwrap();
    assert_eq!(state(&world, STRASBOURG, stays).await, AgreementState::InForce);
}

#[tokio::test]
async fn what_it_ended_itself_is_closed_by_its_own_word() {
    let mut world = World::new().await;
    let ended = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let before = rows(&world, STRASBOURG).await;
    end(&world, STRASBOURG, ended).await;
    assert_eq!(state(&world, KEHL, ended).await, AgreementState::Ended);
    restored(&mut world, STRASBOURG, before, 2).await;
    world.settle().await;
    let closed = world.exchange(STRASBOURG).agreements.show_agreement(ended).await.unwrap();
    assert_eq!((closed.state, closed.held.ended().unwrap().by.as_str()), (AgreementState::Ended, STRASBOURG));
}

#[tokio::test]
async fn an_unconfirmed_agreement_holds_its_own_and_nothing_else() {
    let mut world = World::new().await;
    let waits = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let before = rows(&world, KEHL).await;
    let other = world.agree(STRASBOURG, KEHL, DisclosureLevel::Band).await;
    // Kehl was restored; the second agreement was made after the backup: its partner sends it again, and that opens nothing.
    restored(&mut world, KEHL, before, 2).await;
    world.exchange(KEHL).upkeep.greet_pass().await.unwrap();
    world.settle().await;
    assert_eq!(state(&world, KEHL, other).await, AgreementState::Unconfirmed);
    world.exchange(KEHL).agreements.confirm_agreements(&call(), &[other]).await.unwrap();
    // Under the first agreement, then under the second.
    let names = |agreement| {
        move |envelope: &mut crate::domain::envelope::Envelope| {
            envelope.grant = Some(crate::domain::envelope::GrantRef { agreement, number: 0 });
            envelope.body = crate::wire::records::encode(
                &crate::wire::records::practice::from_proto(crate::demo::sample::practice()).unwrap().into(),
            );
        }
    };
    for agreement in [waits, waits, other] {
        world.queue_practice(STRASBOURG, KEHL, names(agreement)).await;
    }
    world.settle().await;
    let states = async |world: &World| {
        let all = world.exchange(STRASBOURG).road.deliveries(DeliveryFilter::default(), None, 99).await.unwrap();
        let mut states: Vec<_> = all
            .iter()
            .filter(|row| row.kind == crate::domain::record::RecordKind::Practice)
            .map(|row| (row.sequence, row.state, row.reason))
            .collect();
        states.sort_unstable_by_key(|row| row.0);
        states.into_iter().map(|(_, state, reason)| (state, reason)).collect::<Vec<_>>()
    };
    let held = (DeliveryState::Held, Some(Reason::AgreementUnconfirmed));
    let delivered = (DeliveryState::Delivered, None);
    assert_eq!(states(&world).await, [held, held, delivered]);
    // Kehl's own words under it are held too: published, and refused to nobody.
    let published = world.exchange(KEHL).road.publish(&call(), wished(sharing(&[STRASBOURG]), sample_alert())).await;
    assert_eq!(published.unwrap().recipients, [id(STRASBOURG)]);
    world.exchange(KEHL).agreements.confirm_agreements(&call(), &[waits]).await.unwrap();
    world.clock.advance(Millis::minutes(2));
    world.settle().await;
    assert_eq!(states(&world).await, [delivered, delivered, delivered]);
    assert_eq!(world.inbox(STRASBOURG).await.len(), 1);
}

#[tokio::test]
async fn of_two_that_were_restored_each_says_so() {
    let mut world = World::new().await;
    let both = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let (here, there) = (rows(&world, STRASBOURG).await, rows(&world, KEHL).await);
    end(&world, KEHL, both).await;
    restored(&mut world, STRASBOURG, here, 2).await;
    restored(&mut world, KEHL, there, 2).await;
    world.settle().await;
    for (name, other) in [(STRASBOURG, KEHL), (KEHL, STRASBOURG)] {
        let shown = world.exchange(name).agreements.show_agreement(both).await.unwrap();
        assert_eq!(shown.state, AgreementState::Unconfirmed, "the notice is lost at both: people decide");
        let (party, said) = &shown.answers[0];
        assert_eq!((party.as_str(), said.unwrap().knows), (other, Knows::WaitsThereToo));
    }
    // One confirmation does not confirm for the other.
    world.exchange(KEHL).agreements.confirm_agreements(&call(), &[both]).await.unwrap();
    assert_eq!(state(&world, STRASBOURG, both).await, AgreementState::Unconfirmed);
}

#[tokio::test]
async fn only_the_word_of_who_left_closes_and_only_parties_are_told() {
    let mut world = World::new().await;
    let one = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let other = world.agree(STRASBOURG, KEHL, DisclosureLevel::Band).await;
    let before = rows(&world, STRASBOURG).await;
    end(&world, KEHL, other).await;
    let question =
        |asker, agreement| crate::domain::stream::EndsQuestion { asker: id(asker), asked: id(KEHL), agreement };
    let kehl = world.exchange(KEHL).agreements.clone();
    let told = kehl.ends_for(&id(STRASBOURG), question(STRASBOURG, other)).await.unwrap();
    assert_eq!((told.held, told.ends.len()), (true, 1));
    let stranger = kehl.ends_for(&id(ESCH), question(ESCH, other)).await.unwrap();
    assert_eq!(stranger, kehl.ends_for(&id(ESCH), question(ESCH, AgreementId([9; 32]))).await.unwrap(), "no oracle");
    let speaks_for_another = kehl.ends_for(&id(ESCH), question(STRASBOURG, other)).await;
    assert!(speaks_for_another.is_err());
    restored(&mut world, STRASBOURG, before, 2).await;
    let strasbourg = world.exchange(STRASBOURG).agreements.clone();
    // The end of another agreement, one that somebody else signed, and rubbish.
    let mut forged = told.ends[0].to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for ends in [told.ends.clone(), vec![Bytes::from(forged)], vec![Bytes::from_static(b"rubbish")]] {
        let answer = EndsAnswer { held: true, unconfirmed: false, ends };
        strasbourg.heard_ends(&question(STRASBOURG, one), Ok(answer)).await.unwrap();
        assert_eq!(state(&world, STRASBOURG, one).await, AgreementState::Unconfirmed);
    }
    strasbourg.heard_ends(&question(STRASBOURG, other), Ok(told)).await.unwrap();
    assert_eq!(state(&world, STRASBOURG, other).await, AgreementState::Ended);
}
