//! Agreements: proposed, signed, in force on both sides, sent along, ended.

use super::faulty_store::FaultyStore;
use super::world::*;
use crate::clock::Clock;
use crate::domain::agreement::{AgreementEndReason, AgreementState};
use crate::domain::ids::AgreementId;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::stream::StreamId;
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::pass::PassKind;

async fn state(world: &World, name: &str, made: AgreementId) -> AgreementState {
    world.exchange(name).agreements.show_agreement(made).await.unwrap().state
}

#[tokio::test]
async fn a_proposal_is_signed_by_the_other_side_and_in_force_for_both() {
    let world = World::new().await;
    let agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light);
    let proposal = call();
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&proposal, agreement.clone()).await.unwrap();
    let again = world.exchange(STRASBOURG).agreements.propose_agreement(&proposal, agreement).await.unwrap();
    assert_eq!(made, again, "the same request makes one agreement");
    world.settle().await;
    assert_eq!(state(&world, KEHL, made).await, AgreementState::Proposed);
    let shown = world.exchange(KEHL).agreements.show_agreement(made).await.unwrap();
    assert_eq!(shown.signed_by, [id(STRASBOURG)]);
    assert!(
        shown.in_words.iter().any(|line| line.starts_with("de-kehl sees the capacity of fr-strasbourg as a light"))
    );
    let refused = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[KEHL]), sample_alert())).await;
    assert!(refused.is_err(), "a proposal allows nothing");
    assert_eq!(world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap(), AgreementState::InForce);
    world.settle().await;
    for side in [STRASBOURG, KEHL] {
        let held = world.exchange(side).agreements.show_agreement(made).await.unwrap();
        assert_eq!(held.state, AgreementState::InForce, "{side}");
        assert_eq!(held.signed_by.len(), 2, "{side}");
    }
    let unknown = world.exchange(ESCH).agreements.show_agreement(made).await.unwrap_err();
    assert_eq!(unknown.reason(), Reason::AgreementNotFound);
}

#[tokio::test]
async fn three_parties_are_in_force_when_the_last_one_has_signed() {
    let world = World::new().await;
    let mut agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light);
    let third = world.agreement(STRASBOURG, ESCH, DisclosureLevel::Band);
    agreement.parties.push(third.parties[1].clone());
    agreement.grants.extend(third.grants);
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
    world.settle().await;
    world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
    assert_eq!(state(&world, STRASBOURG, made).await, AgreementState::Proposed);
    world.exchange(ESCH).agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
    for side in [STRASBOURG, KEHL, ESCH] {
        assert_eq!(state(&world, side, made).await, AgreementState::InForce, "{side}");
    }
    // One leaves alone: the others go on.
    world.exchange(ESCH).agreements.end_agreement(&call(), made, AgreementEndReason::LegalChange).await.unwrap();
    world.settle().await;
    assert!(world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[ESCH]), sample_alert())).await.is_err());
    world.publish(STRASBOURG, &[KEHL]).await;
    // The second to leave ends it.
    world.exchange(KEHL).agreements.end_agreement(&call(), made, AgreementEndReason::LegalChange).await.unwrap();
    world.settle().await;
    for side in [STRASBOURG, KEHL, ESCH] {
        assert_eq!(state(&world, side, made).await, AgreementState::Ended, "{side}");
    }
}

#[tokio::test]
async fn what_can_be_proposed_can_be_sent_with_all_signatures() {
    // Grants take the more room the longer the names in them.
    let (vienna, warsaw) = ("at-a-long-name-of-an-authority", "pl-a-long-name-of-an-authority");
    let names = [STRASBOURG, KEHL, vienna, warsaw];
    let world = World::of(&names).await;
    let mut wished = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Band);
    let long = world.agreement(vienna, warsaw, DisclosureLevel::Band);
    wished.parties.extend(long.parties);
    // Grant by grant, each smaller than what the missing signatures take, until it is refused.
    let (grant, mut last) = (long.grants[0].clone(), None);
    wished.grants.clear();
    let refused = loop {
        let mut next = grant.clone();
        next.retention = Millis::days(100 + wished.grants.len() as i64);
        wished.grants.push(next);
        match world.exchange(STRASBOURG).agreements.propose_agreement(&call(), wished.clone()).await {
            Ok(made) => last = Some(made),
            Err(error) => break error.reason(),
        }
    };
    assert_eq!(refused, Reason::MessageTooLarge, "with {} grants", wished.grants.len());
    let largest = last.unwrap();
    world.settle().await;
    for signer in &names[1..] {
        world.exchange(signer).agreements.sign_agreement(&call(), largest).await.unwrap();
        world.settle().await;
    }
    for name in names {
        assert_eq!(state(&world, name, largest).await, AgreementState::InForce, "{name}");
    }
}

#[tokio::test]
async fn a_suspended_party_keeps_the_complete_agreement_from_nobody() {
    let world = World::new().await;
    let mut whole = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Band);
    let third = world.agreement(STRASBOURG, ESCH, DisclosureLevel::Band);
    whole.parties.push(third.parties[1].clone());
    whole.grants.extend(third.grants);
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), whole).await.unwrap();
    world.settle().await;
    world.exchange(ESCH).agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
    world.suspend(ESCH);
    world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
    assert_eq!(state(&world, KEHL, made).await, AgreementState::InForce);
    assert_eq!(state(&world, ESCH, made).await, AgreementState::Proposed);
    world.restore(ESCH);
    world.settle().await;
    assert_eq!(state(&world, ESCH, made).await, AgreementState::InForce);
}

#[tokio::test]
async fn of_four_parties_two_leave_and_the_third_to_leave_ends_it() {
    let mut world = World::of(&[STRASBOURG, KEHL, ESCH, GOERLITZ]).await;
    let made = world.agree_all(&[STRASBOURG, KEHL, ESCH, GOERLITZ]).await;
    for (leaver, minute) in [(ESCH, 1), (GOERLITZ, 2)] {
        world.clock.advance(Millis::minutes(minute));
        world.exchange(leaver).agreements.end_agreement(&call(), made, AgreementEndReason::LegalChange).await.unwrap();
        world.settle().await;
    }
    // Also after a new start, from what each store holds: two have left, and two go on with each other and nobody else.
    for name in [STRASBOURG, KEHL, ESCH, GOERLITZ] {
        let store = world.node(name).store.clone();
        world.start(name, 0, Some(store)).await;
        let shown = world.exchange(name).agreements.show_agreement(made).await.unwrap();
        assert_eq!(shown.state, AgreementState::InForce, "{name}");
        assert_eq!(shown.held.ends.iter().map(|end| &end.by).collect::<Vec<_>>(), [&id(ESCH), &id(GOERLITZ)], "{name}");
        assert!(shown.held.ends[0].at < shown.held.ends[1].at && shown.notices.iter().all(|notice| !notice.is_empty()));
        let notice = understood(&shown.notices[1]);
        assert_eq!((notice.origin, notice.kind), (id(GOERLITZ), RecordKind::AgreementEnd), "{name}");
    }
    for (from, to) in [(STRASBOURG, KEHL), (KEHL, STRASBOURG)] {
        let published = world.publish(from, &[to]).await;
        world.settle().await;
        assert_eq!(world.delivery(from, published.record_id).await, [(DeliveryState::Delivered, None)], "{from}");
    }
    for (from, to) in [(STRASBOURG, ESCH), (ESCH, KEHL), (GOERLITZ, STRASBOURG), (ESCH, GOERLITZ)] {
        let refused = world.exchange(from).road.publish(&call(), wished(sharing(&[to]), sample_alert())).await;
        assert_eq!(refused.unwrap_err().reason(), Reason::AgreementEnded, "{from} to {to}");
    }
    world.exchange(KEHL).agreements.end_agreement(&call(), made, AgreementEndReason::NoLongerNeeded).await.unwrap();
    world.settle().await;
    for name in [STRASBOURG, KEHL, ESCH, GOERLITZ] {
        let shown = world.exchange(name).agreements.show_agreement(made).await.unwrap();
        assert_eq!(shown.state, AgreementState::Ended, "{name}");
        assert_eq!(shown.held.ended().map(|end| &end.by), Some(&id(KEHL)), "{name}");
    }
    let refused = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[KEHL]), sample_alert())).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::AgreementEnded);
}

#[tokio::test]
async fn who_could_not_be_told_that_a_party_left_is_told_as_soon_as_it_may() {
    let world = World::new().await;
    let made = world.agree_all(&[STRASBOURG, KEHL, ESCH]).await;
    world.suspend(ESCH);
    world.exchange(KEHL).agreements.end_agreement(&call(), made, AgreementEndReason::Breach).await.unwrap();
    world.settle().await;
    let left = async |name| world.exchange(name).agreements.show_agreement(made).await.unwrap().held.ends.len();
    assert_eq!((left(STRASBOURG).await, left(ESCH).await), (1, 0));
    world.restore(ESCH);
    world.settle().await;
    assert_eq!(left(ESCH).await, 1);
    assert_eq!(world.exchange(KEHL).upkeep.owed_counts().await.unwrap(), []);
}

#[tokio::test]
async fn a_member_has_so_many_proposals_at_another_and_no_more() {
    use crate::domain::limits::OPEN_PROPOSALS;
    let world = World::new().await;
    let propose = async || {
        let agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light);
        let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await;
        made.unwrap()
    };
    let mut made = Vec::new();
    for _ in 0..OPEN_PROPOSALS + 5 {
        made.push(propose().await);
    }
    world.settle().await;
    let held = async || world.exchange(KEHL).agreements.list_agreements().await.unwrap().len();
    assert_eq!(held().await, OPEN_PROPOSALS, "also when they come in one batch");
    let filter = DeliveryFilter { recipient: Some(id(KEHL)), ..DeliveryFilter::default() };
    let refused = async || {
        let rows = world.exchange(STRASBOURG).road.deliveries(filter.clone(), None, 200).await.unwrap();
        let refused = rows.into_iter().filter(|row| row.state == DeliveryState::Refused);
        refused.map(|row| row.reason).collect::<Vec<_>>()
    };
    assert_eq!(refused().await, vec![Some(Reason::TooManyProposals); 5]);
    // One that is signed gives its place back, and others' proposals have places of their own.
    world.exchange(KEHL).agreements.sign_agreement(&call(), made[0]).await.unwrap();
    world.settle().await;
    propose().await;
    world.agree(ESCH, KEHL, DisclosureLevel::Light).await;
    world.settle().await;
    assert_eq!((held().await, refused().await.len()), (OPEN_PROPOSALS + 2, 5));
    // What nobody signs in time is forgotten on both sides, and what is in force is not.
    world.clock.advance(crate::domain::limits::PROPOSAL_LIFE);
    assert!(world.exchange(KEHL).upkeep.sweep_pass().await.unwrap() >= OPEN_PROPOSALS as u64);
    assert_eq!(held().await, 2);
    assert_eq!(state(&world, KEHL, made[0]).await, AgreementState::InForce);
}

#[tokio::test]
async fn a_notice_that_overtakes_its_agreement_is_not_lost() {
    let mut world = World::new().await;
    let made = world.agree_all(&[STRASBOURG, KEHL, ESCH]).await;
    world.exchange(ESCH).agreements.end_agreement(&call(), made, AgreementEndReason::Breach).await.unwrap();
    world.settle().await;
    // Kehl starts from nothing, and Esch, who left, is the first to send again what it had sent.
    world.start(KEHL, 2, None).await;
    let control = StreamId { origin: id(ESCH), recipient: id(KEHL), class: StreamClass::Control };
    assert_eq!(world.exchange(ESCH).road.greet_partner(control.clone()).await, None);
    let strasbourg = StreamId { origin: id(STRASBOURG), ..control.clone() };
    for stream in [control, strasbourg] {
        let sender = world.exchange(stream.origin.as_str());
        while sender.road.deliver_pass(&stream).await == Pass::Now {}
    }
    world.settle().await;
    let shown = world.exchange(KEHL).agreements.show_agreement(made).await.unwrap();
    assert_eq!(shown.held.ends.iter().map(|end| &end.by).collect::<Vec<_>>(), [&id(ESCH)]);
}

#[tokio::test]
async fn content_under_an_agreement_that_is_not_there_yet_waits_and_the_agreement_is_sent_along() {
    let mut world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    // Kehl starts from nothing and knows no agreement; Strasbourg's first content finds that out.
    world.start(KEHL, 2, None).await;
    let waiting = world.publish(STRASBOURG, &[KEHL]).await;
    let strasbourg = world.exchange(STRASBOURG);
    strasbourg.road.dispatch_pass().await.unwrap();
    let content = StreamId { origin: id(STRASBOURG), recipient: id(KEHL), class: StreamClass::Content };
    let mut passes = Vec::new();
    for _ in 0..3 {
        passes.push(strasbourg.road.deliver_pass(&content).await);
    }
    assert!(passes.iter().any(|pass| matches!(pass, Pass::After(_))), "{passes:?}");
    let states = world.delivery(STRASBOURG, waiting.record_id).await;
    assert_eq!(states[0].0, DeliveryState::Queued);
    world.settle().await;
    // It is there again, by a partner's word: that opens nothing.
    let held = (DeliveryState::Held, Some(Reason::AgreementUnconfirmed));
    assert_eq!(world.delivery(STRASBOURG, waiting.record_id).await, [held]);
    world.confirm(KEHL).await;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, waiting.record_id).await, [(DeliveryState::Delivered, None)]);
}

#[tokio::test]
async fn an_agreement_that_never_arrives_is_skipped_after_fifteen_minutes() {
    let mut world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    world.start(KEHL, 2, None).await;
    // Nothing of control gets through.
    *world.line.tap.lock().unwrap() = Some(Box::new(|batch| {
        if batch.stream.class == StreamClass::Control {
            batch.origin_incarnation = crate::domain::ids::Incarnation(77);
        }
    }));
    let waiting = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, waiting.record_id).await[0].0, DeliveryState::Queued);
    world.clock.advance(Millis::minutes(16));
    world.settle().await;
    let states = world.delivery(STRASBOURG, waiting.record_id).await;
    assert_eq!(states, [(DeliveryState::Skipped, Some(Reason::SkippedAfterWait))]);
    // It is counted, and so is the alert of before, which was queued again; once something arrives there again both are history.
    let road = &world.exchange(STRASBOURG).road;
    let since = world.clock.now() - Millis::days(7);
    let gave_up = road.given_up_since(since).await.unwrap();
    assert_eq!((gave_up.refused, gave_up.skipped), (0, 2));
    assert_eq!(gave_up.newest.map(|row| row.recipient), Some(id(KEHL)));
    *world.line.tap.lock().unwrap() = None;
    world.settle().await;
    world.confirm(KEHL).await;
    world.settle().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let gave_up = road.given_up_since(since).await.unwrap();
    assert_eq!((gave_up.skipped, gave_up.newest.is_none()), (2, true));
    assert_eq!(
        road.given_up_since(world.clock.now() + Millis(1)).await.unwrap().skipped,
        0,
        "of before it says nothing"
    );
}

#[tokio::test]
async fn only_parties_sign_and_end_and_an_invalid_text_is_refused() {
    let world = World::new().await;
    let made = world.agree(STRASBOURG, KEHL, DisclosureLevel::Count).await;
    for reason in [
        world.exchange(ESCH).agreements.sign_agreement(&call(), made).await.unwrap_err().reason(),
        world
            .exchange(ESCH)
            .agreements
            .end_agreement(&call(), made, AgreementEndReason::Breach)
            .await
            .unwrap_err()
            .reason(),
    ] {
        assert_eq!(reason, Reason::AgreementNotFound);
    }
    let mut bad = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light);
    bad.grants[0].to = id(ESCH);
    let refused = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), bad).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::AgreementInvalid);
    let first = world.exchange(KEHL).agreements.end_agreement(&call(), made, AgreementEndReason::Breach).await.unwrap();
    world.clock.advance(Millis::minutes(1));
    let again = world.exchange(KEHL).agreements.end_agreement(&call(), made, AgreementEndReason::Breach).await.unwrap();
    assert_eq!(first, again, "an end stays where it was");
    assert!(first < world.clock.now());
}

#[tokio::test]
async fn the_dates_of_a_grant_stop_the_sender_at_once() {
    let world = World::with_agreements().await;
    world.clock.advance(Millis::days(366));
    let refused = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[KEHL]), sample_alert())).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::AgreementNotInForce);
    let listed = world.exchange(STRASBOURG).agreements.list_agreements().await.unwrap();
    assert!(listed.iter().all(|a| a.summary.as_ref().unwrap().state == AgreementState::Expired));
}

#[tokio::test]
async fn an_end_that_could_not_be_read_again_closes_with_the_next_pass() {
    let mut world = World::new().await;
    let store = FaultyStore::over(world.node(STRASBOURG).store.clone());
    world.start(STRASBOURG, 0, Some(store.clone())).await;
    let made = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let exchange = world.exchange(STRASBOURG);
    store.fail_once("agreements");
    let ended = exchange.agreements.end_agreement(&call(), made, AgreementEndReason::Breach).await;
    assert_eq!(ended.unwrap_err().reason(), Reason::OutcomeUnknown, "it is stored, and this node does not know");
    exchange.upkeep.run_pass(PassKind::HoldOrRelease).await.unwrap();
    let refused = exchange.road.publish(&call(), wished(sharing(&[KEHL]), sample_alert())).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::AgreementEnded);
    // The same at a party that is told of an end.
    let again = world.agree(KEHL, STRASBOURG, DisclosureLevel::Light).await;
    world.exchange(KEHL).agreements.end_agreement(&call(), again, AgreementEndReason::Breach).await.unwrap();
    store.fail_once("agreements");
    let control = StreamId { origin: id(KEHL), recipient: id(STRASBOURG), class: StreamClass::Control };
    assert_ne!(world.exchange(KEHL).road.deliver_pass(&control).await, Pass::Sent);
    exchange.upkeep.run_pass(PassKind::HoldOrRelease).await.unwrap();
    assert_eq!(exchange.agreements.set().get(&again).unwrap().state(world.clock.now()), AgreementState::Ended);
}

#[tokio::test]
async fn what_comes_due_is_told_to_both_parties_until_it_is_renewed_and_the_old_one_ended() {
    use crate::domain::agreement::AgreementDue::{Ends, Review};
    let world = World::new().await;
    let old = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let due = |name| world.exchange(name).agreements.reminders().into_iter().map(|r| r.due).collect::<Vec<_>>();
    assert_eq!(due(STRASBOURG), []);
    world.clock.advance(Millis::days(340));
    assert_eq!([STRASBOURG, KEHL, ESCH].map(due), [vec![Review, Ends], vec![Review, Ends], vec![]]);
    let again = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light);
    let new = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), again).await.unwrap();
    world.settle().await;
    let shown = world.exchange(KEHL).agreements.show_agreement(new).await.unwrap();
    let difference = (shown.difference.new.len(), shown.difference.not_in_it.len());
    assert_eq!(difference, (0, 0), "{:?}", shown.difference);
    assert!(shown.difference.other_end.iter().all(|said| said.contains(" instead of ")), "{:?}", shown.difference);
    assert_eq!(shown.difference.other_end, shown.in_words);
    assert_eq!(due(KEHL), [Review, Ends], "a proposal goes on with nothing");
    world.exchange(KEHL).agreements.sign_agreement(&call(), new).await.unwrap();
    world.settle().await;
    assert_eq!([STRASBOURG, KEHL].map(due), [vec![Review], vec![Review]]);
    world.exchange(KEHL).agreements.end_agreement(&call(), old, AgreementEndReason::Replaced).await.unwrap();
    world.settle().await;
    assert_eq!([STRASBOURG, KEHL].map(due), [vec![], vec![]]);
    world.publish(STRASBOURG, &[KEHL]).await;
}

#[tokio::test]
async fn a_refusal_says_that_a_proposal_waits_for_a_signature() {
    let world = World::new().await;
    let agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light);
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
    let refused = async |to: &str| {
        let alert = wished(sharing(&[to]), sample_alert());
        let refused = world.exchange(STRASBOURG).road.publish(&call(), alert).await.unwrap_err();
        let Error::Refused(refusal) = refused else { panic!("a refusal") };
        assert_eq!((refusal.reason, refusal.authority), (Reason::AgreementNotInForce, Some(id(to))));
        (refusal.field, refusal.detail)
    };
    let short: String = made.to_string().chars().take(12).collect();
    let waits = format!("the agreement {short} waits for a signature: havenctl agreement show {short} says whose");
    assert_eq!(refused(KEHL).await, ("sharing.recipients[0]".to_owned(), waits));
    assert_eq!(refused(ESCH).await, (String::new(), String::new()), "with Esch there is not even a proposal");
}
