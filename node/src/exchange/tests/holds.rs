//! Holds between nodes (9.11): a unit is set aside once, whoever asks, whatever is lost, and whenever a node is killed.

use super::faulty_store::{FaultyStore, Kill};
use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::audit::AuditAct;
use crate::domain::holds::{HoldCall, HoldState, HoldWord};
use crate::domain::ids::{HoldId, OfferId};
use crate::domain::light::Light;
use crate::domain::limits;
use crate::domain::place::{Place, PlaceScheme};
use crate::domain::reason::Reason;
use crate::domain::records::offer::{CapacityLevel, DisclosureLevel, OfferStatus, OwnOffer};
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::storage::named::Named;
use crate::storage::ops::{Put, Write};
use crate::storage::rows::{AskedHoldRow, SlotsRow};
use crate::wire::records::offer;

const OFFER: OfferId = OfferId([5; 16]);

/// An ordinary refuge of Strasbourg's.
fn shelter(world: &World, free: u32) -> OwnOffer {
    let shelter = offer::own_from_proto(sample::refuge(free), OFFER, &id(STRASBOURG), world.clock.now()).unwrap();
    OwnOffer { protected: false, area: Place::new(PlaceScheme::Nuts, "FRF11").unwrap(), ..shelter }
}

async fn stated(free: u32) -> World {
    let world = World::new().await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Count).await;
    world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
    world.exchange(STRASBOURG).capacity.set_offer(&call(), shelter(&world, free), None).await.unwrap();
    world.settle().await;
    world
}

async fn take(world: &World, who: &str) -> Result<AskedHoldRow, Error> {
    world.exchange(who).capacity.take_hold(&call(), OFFER, limits::HOLD_LEASE).await
}

async fn change(world: &World, who: &str, hold: HoldId, change: HoldChange) -> Result<AskedHoldRow, Error> {
    world.exchange(who).capacity.change_hold(&call(), hold, change).await
}

fn reason<T: std::fmt::Debug>(result: Result<T, Error>) -> Reason {
    result.unwrap_err().reason()
}

/// In minutes, rounded up: the clock of a world goes on while a test runs.
fn minutes(left: Option<Millis>) -> Option<i64> {
    left.map(|left| (left.0 + 59_999) / 60_000)
}

/// What Kehl sees.
async fn seen(world: &World) -> (Light, CapacityLevel) {
    world.settle().await;
    let board = world.exchange(KEHL).capacity.partner_offers(COORDINATOR).await.unwrap();
    (board[0].light, view(&board[0]).capacity.level)
}

/// Holders of what is held now.
async fn held(world: &World) -> Vec<String> {
    let given = world.exchange(STRASBOURG).capacity.given_holds().await.unwrap();
    let held = given.iter().filter(|given| given.hold.state == HoldState::Held);
    held.map(|given| given.hold.holder.to_string()).collect()
}

async fn acts(world: &World, name: &str) -> Vec<AuditAct> {
    let leaves = world.node(name).store.audit_leaves(0, 10_000).await.unwrap();
    let acts = leaves.iter().map(|leaf| crate::wire::audit::decode(leaf).unwrap().act);
    acts.filter(|act| act.name().starts_with("HOLD_")).collect()
}

#[tokio::test]
async fn a_unit_is_held_the_second_asker_is_refused_and_what_is_given_back_is_free() {
    let world = stated(1).await;
    assert_eq!(seen(&world).await, (Light::Few, CapacityLevel::Count(1)));
    let hold = take(&world, KEHL).await.unwrap();
    assert_eq!((hold.state, hold.extended), (Some(HoldState::Held), false));
    assert_eq!(seen(&world).await, (Light::Full, CapacityLevel::Count(0)), "a unit that is held is not counted");
    assert_eq!(reason(take(&world, ESCH).await), Reason::HoldNoneFree);
    assert_eq!(world.exchange(ESCH).capacity.asked_holds().await.unwrap(), [], "a refusal leaves nothing");

    world.clock.advance(Millis::minutes(60));
    let shown = world.exchange(KEHL).capacity.asked_holds().await.unwrap().remove(0);
    assert_eq!(minutes(shown.left), Some(30));
    assert!(change(&world, KEHL, hold.id, HoldChange::Extend).await.unwrap().extended);
    assert_eq!(reason(change(&world, KEHL, hold.id, HoldChange::Extend).await), Reason::HoldExtended);
    let shown = world.exchange(KEHL).capacity.asked_holds().await.unwrap().remove(0);
    assert_eq!(minutes(shown.left), Some(120));

    let released = change(&world, KEHL, hold.id, HoldChange::Release).await.unwrap();
    assert_eq!(released.state, Some(HoldState::Released));
    assert_eq!(seen(&world).await.1, CapacityLevel::Count(1));
    assert!(take(&world, ESCH).await.is_ok());
    assert_eq!(held(&world).await, [ESCH]);
    let [taken, extended, given_back] = [AuditAct::HoldTaken, AuditAct::HoldExtended, AuditAct::HoldReleased];
    assert_eq!(acts(&world, KEHL).await, [taken, extended, given_back]);
    assert_eq!(acts(&world, STRASBOURG).await, [taken, extended, given_back, taken]);
}

#[tokio::test]
async fn its_time_is_over_for_the_holder_first_and_a_minute_later_for_the_owner() {
    let world = stated(1).await;
    let hold = take(&world, KEHL).await.unwrap();
    world.clock.advance(limits::HOLD_LEASE);
    let shown = world.exchange(KEHL).capacity.asked_holds().await.unwrap().remove(0);
    assert_eq!((shown.left, shown.row.state), (Some(Millis(0)), Some(HoldState::Expired)));
    assert_eq!(reason(change(&world, KEHL, hold.id, HoldChange::Arrive).await), Reason::HoldFenced);
    assert_eq!(seen(&world).await.1, CapacityLevel::Count(0), "not before a minute after its end");
    world.clock.advance(limits::HOLD_MARGIN);
    assert_eq!(seen(&world).await.1, CapacityLevel::Count(1), "a pass says so by itself");
    assert_eq!(acts(&world, STRASBOURG).await, [AuditAct::HoldTaken, AuditAct::HoldExpired]);
    assert!(take(&world, ESCH).await.is_ok());
}

#[tokio::test]
async fn who_arrived_is_in_it_until_the_owner_states_anew_what_is_free() {
    let world = stated(2).await;
    let hold = take(&world, KEHL).await.unwrap();
    let arrived = change(&world, KEHL, hold.id, HoldChange::Arrive).await.unwrap();
    assert_eq!(arrived.state, Some(HoldState::Arrived));
    world.clock.advance(Millis::hours(3));
    assert_eq!(seen(&world).await.1, CapacityLevel::Count(1), "however long ago");
    world.exchange(STRASBOURG).capacity.set_offer(&call(), shelter(&world, 1), None).await.unwrap();
    assert_eq!(seen(&world).await.1, CapacityLevel::Count(1), "counted by the statement itself");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_again_by_the_same_name() {
    let world = stated(3).await;
    world.line.lose_answers.store(1, std::sync::atomic::Ordering::SeqCst);
    let first = call();
    let lost = world.exchange(KEHL).capacity.take_hold(&first, OFFER, limits::HOLD_LEASE).await;
    assert_eq!(reason(lost), Reason::DeadlineExceeded);
    let noted = world.exchange(KEHL).capacity.asked_holds().await.unwrap();
    assert_eq!((noted.len(), noted[0].row.state, noted[0].left), (1, None, None), "it may be held: nobody knows");
    // The same call, and another one for the same offer.
    let again = world.exchange(KEHL).capacity.take_hold(&first, OFFER, limits::HOLD_LEASE).await.unwrap();
    assert_eq!((again.id, again.state), (noted[0].row.id, Some(HoldState::Held)));
    assert_eq!(held(&world).await, [KEHL]);
    // One that nobody asked for again is given back without having been heard of.
    world.line.lose_answers.store(1, std::sync::atomic::Ordering::SeqCst);
    assert!(take(&world, ESCH).await.is_err());
    let noted = world.exchange(ESCH).capacity.asked_holds().await.unwrap().remove(0);
    assert_eq!(held(&world).await, [KEHL, ESCH]);
    change(&world, ESCH, noted.row.id, HoldChange::Release).await.unwrap();
    assert_eq!(held(&world).await, [KEHL]);
    // A release whose answer was lost is one release.
    world.line.lose_answers.store(1, std::sync::atomic::Ordering::SeqCst);
    assert!(change(&world, KEHL, again.id, HoldChange::Release).await.is_err());
    assert!(change(&world, KEHL, again.id, HoldChange::Release).await.is_ok());
    assert_eq!(held(&world).await, [""; 0]);
}

#[tokio::test]
async fn the_same_call_after_a_refusal_asks_anew() {
    let world = stated(1).await;
    let first = take(&world, KEHL).await.unwrap();
    let same = call();
    let ask = async || world.exchange(ESCH).capacity.take_hold(&same, OFFER, limits::HOLD_LEASE).await;
    for _ in 0..2 {
        assert_eq!(reason(ask().await), Reason::HoldNoneFree, "and not that one of its own has ended");
    }
    change(&world, KEHL, first.id, HoldChange::Release).await.unwrap();
    let given = ask().await.unwrap();
    assert_eq!((ask().await.unwrap().id, held(&world).await), (given.id, vec![ESCH.to_owned()]), "and once only");
}

#[tokio::test]
async fn as_many_as_there_are_are_given_to_whoever_asks_at_once_each_a_hold_of_its_own() {
    let world = stated(5).await;
    let asks = (0..8).flat_map(|_| [take(&world, KEHL), take(&world, ESCH), take(&world, STRASBOURG)]);
    let answers = futures_util::future::join_all(asks).await;
    let given: Vec<u64> = answers.iter().flatten().map(|row| row.token).collect();
    assert_eq!(given.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "{given:?}");
    assert!(answers.into_iter().filter_map(Result::err).all(|error| error.reason() == Reason::HoldNoneFree));
    assert_eq!(held(&world).await.len(), 5);
}

#[tokio::test]
async fn both_sides_ask_whether_the_offer_may_be_seen_there() {
    let world = stated(2).await;
    let hold = take(&world, KEHL).await.unwrap();
    world.end_with(STRASBOURG, KEHL).await;
    let call_of = |asker: &str, word| HoldCall { asker: id(asker), asked: id(STRASBOURG), offer: OFFER, word };
    let word = HoldWord::Take { id: HoldId([1; 16]), lease: limits::HOLD_LEASE };
    let owner = &world.exchange(STRASBOURG).capacity;
    assert_eq!(
        reason(owner.hold_for(&id(KEHL), call_of(KEHL, word)).await),
        Reason::NotFound,
        "as if it did not exist"
    );
    let extended = owner.hold_for(&id(KEHL), call_of(KEHL, HoldWord::Extend(hold.token))).await;
    assert_eq!(reason(extended), Reason::NotFound);
    assert_eq!(reason(owner.hold_for(&id(KEHL), call_of(ESCH, word)).await), Reason::WrongOrigin);
    let unknown = HoldCall { offer: OfferId([9; 16]), ..call_of(ESCH, word) };
    assert_eq!(reason(owner.hold_for(&id(ESCH), unknown).await), Reason::NotFound);
    world.settle().await;
    assert_eq!(reason(take(&world, KEHL).await), Reason::AgreementEnded);
    // What was given is used or given back all the same: nobody is left on the way.
    assert!(change(&world, KEHL, hold.id, HoldChange::Arrive).await.is_ok());
    world.suspend(ESCH);
    assert_eq!(reason(owner.hold_for(&id(ESCH), call_of(ESCH, word)).await), Reason::MemberSuspended);
}

#[tokio::test]
async fn a_statement_ends_no_hold_and_one_that_promises_too_little_is_paused() {
    let world = stated(2).await;
    let first = take(&world, KEHL).await.unwrap();
    take(&world, ESCH).await.unwrap();
    let states = async |free| {
        world.exchange(STRASBOURG).capacity.set_offer(&call(), shelter(&world, free), None).await.unwrap();
        seen(&world).await.0
    };
    assert_eq!(states(1).await, Light::ClosedUntil, "more is held than is free");
    assert_eq!(held(&world).await, [KEHL, ESCH]);
    assert_eq!(states(2).await, Light::Full);
    change(&world, KEHL, first.id, HoldChange::Release).await.unwrap();
    assert_eq!(seen(&world).await, (Light::Few, CapacityLevel::Count(1)));
}

#[tokio::test]
async fn what_is_protected_or_waits_for_somebody_to_assess_is_never_held() {
    let world = stated(2).await;
    let area = Place::new(PlaceScheme::Nuts, "FRF1").unwrap();
    let protected = OwnOffer { protected: true, area, ..shelter(&world, 2) };
    world.exchange(STRASBOURG).capacity.set_offer(&call(), protected, None).await.unwrap();
    let word = HoldWord::Take { id: HoldId([1; 16]), lease: limits::HOLD_LEASE };
    let forged = HoldCall { asker: id(KEHL), asked: id(STRASBOURG), offer: OFFER, word };
    let owner = &world.exchange(STRASBOURG).capacity;
    assert_eq!(reason(owner.hold_for(&id(KEHL), forged).await), Reason::HoldNotOffered);
    world.settle().await;
    assert_eq!(reason(take(&world, KEHL).await), Reason::HoldNotOffered, "it is not even asked for");
    let mut assessed = shelter(&world, 2);
    assessed.capacity.status = OfferStatus::AssessmentNeeded;
    world.exchange(STRASBOURG).capacity.set_offer(&call(), assessed, None).await.unwrap();
    assert_eq!(reason(take(&world, KEHL).await), Reason::HoldNotOffered);
}

#[tokio::test]
async fn wherever_the_owner_is_killed_one_unit_is_held_once() {
    for kill in [Kill::Before, Kill::After] {
        let mut world = stated(1).await;
        let inner = world.node(STRASBOURG).store.clone();
        let store = FaultyStore::over(inner.clone());
        world.start(STRASBOURG, 0, Some(store.clone())).await;
        store.kill_at(1, kill);
        assert!(take(&world, KEHL).await.is_err());
        assert!(store.died());
        world.start(STRASBOURG, 0, Some(inner)).await;
        // Somebody else may be faster, if nothing was stored.
        let other = take(&world, ESCH).await;
        assert_eq!(other.is_ok(), kill == Kill::Before, "{kill:?}");
        let again = take(&world, KEHL).await;
        assert_eq!(again.is_ok(), kill == Kill::After, "{kill:?}");
        assert_eq!(held(&world).await.len(), 1);
    }
}

#[tokio::test]
async fn a_holder_that_starts_again_asks_how_much_is_left() {
    let mut world = stated(1).await;
    take(&world, KEHL).await.unwrap();
    world.clock.advance(Millis::minutes(20));
    let store = world.node(KEHL).store.clone();
    world.start(KEHL, 0, Some(store)).await;
    world.line.down.lock().unwrap().insert(id(STRASBOURG));
    let shown = async |world: &World| world.exchange(KEHL).capacity.asked_holds().await.unwrap()[0].left;
    assert_eq!(shown(&world).await, None, "nobody knows, and nothing is guessed by a clock that can be set");
    world.line.down.lock().unwrap().clear();
    assert_eq!(minutes(shown(&world).await), Some(70));
}

#[tokio::test]
async fn after_a_restore_nothing_is_held_until_what_may_be_unknown_has_ended() {
    let world = stated(1).await;
    let opens = world.clock.now() + limits::HOLD_LONGEST;
    let restored = Put::Named(Named::HoldsOpen, bytes::Bytes::copy_from_slice(&opens.0.to_be_bytes()));
    world.node(STRASBOURG).store.write(Write::put(restored).into()).await.unwrap();
    assert_eq!(reason(take(&world, KEHL).await), Reason::HoldAfterRestore);
    world.clock.advance(limits::HOLD_LONGEST);
    world.exchange(STRASBOURG).capacity.confirm_offers(&call(), Which::All).await.unwrap();
    assert!(take(&world, KEHL).await.unwrap().token >= limits::HOLD_TOKENS, "above all tokens of lives before");
}

#[tokio::test]
async fn of_slots_that_do_not_read_nothing_is_given() {
    let world = stated(1).await;
    let damaged = SlotsRow { offer: OFFER, version: 1, body: bytes::Bytes::from_static(b"\xff") };
    world.node(STRASBOURG).store.write(Write::put(Put::Slots(damaged)).into()).await.unwrap();
    assert!(take(&world, KEHL).await.is_err());
    assert_eq!(held(&world).await, [""; 0]);
    let named = world.exchange(STRASBOURG).unreadable_rows();
    assert_eq!(named.iter().map(|row| row.table).collect::<Vec<_>>(), [Table::OfferSlots]);
}
