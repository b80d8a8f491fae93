//! The board over nodes (9.11): at once what is known, then what each partner answers; nobody waits for who is silent.

use futures_util::StreamExt;

use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::agreement::{Agreement, Usage};
use crate::domain::audit::AuditAct;
use crate::domain::board::{BoardSource, CapacityQuestion, Found, Nearness, ReceivedGroup, Wanted};
use crate::domain::ids::OfferId;
use crate::domain::light::{Light, LightReason};
use crate::domain::limits;
use crate::domain::place::{Place, PlaceScheme};
use crate::domain::reason::Reason;
use crate::domain::records::offer::{CapacityLevel, DisclosureLevel, OwnOffer, ServiceKind};
use crate::domain::time::Millis;
use crate::exchange::*;
use crate::storage::ops::{Put, Write};
use crate::storage::rows::SlotsRow;
use crate::wire::records::offer;

const OFFER: OfferId = OfferId([5; 16]);
const REFUGE: OfferId = OfferId([6; 16]);

fn shelter(world: &World, free: u32) -> OwnOffer {
    let shelter = offer::own_from_proto(sample::refuge(free), OFFER, &id(STRASBOURG), world.clock.now()).unwrap();
    OwnOffer { protected: false, area: Place::new(PlaceScheme::Nuts, "FRF11").unwrap(), ..shelter }
}

/// Strasbourg's ordinary shelter and its protected refuge, seen by Kehl as counts and by Esch as bands.
async fn stated() -> World {
    let world = World::new().await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Count).await;
    world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
    let refuge = offer::own_from_proto(sample::refuge(4), REFUGE, &id(STRASBOURG), world.clock.now()).unwrap();
    for own in [shelter(&world, 3), refuge] {
        world.exchange(STRASBOURG).capacity.set_offer(&call(), own, None).await.unwrap();
    }
    world.settle().await;
    world
}

async fn find(world: &World, who: &str, wanted: Wanted) -> Vec<BoardPart> {
    let capacity = world.exchange(who).capacity.clone();
    capacity.find(COORDINATOR, wanted, Millis(500)).await.unwrap().collect().await
}

/// What stands on the board in the end.
async fn board(world: &World, who: &str, wanted: Wanted) -> Vec<Found> {
    let mut rows: Vec<Found> = Vec::new();
    for part in find(world, who, wanted).await {
        rows.retain(|row| Some(&row.authority) != part.authority.as_ref());
        rows.extend(part.found);
    }
    rows.sort_by_cached_key(Found::rank);
    rows
}

fn short(rows: &[Found]) -> Vec<(OfferId, Light, CapacityLevel, BoardSource)> {
    rows.iter().map(|row| (row.view.id, row.light, row.view.capacity.level, row.source)).collect()
}

/// Lines of a node's ledger about questions for capacity.
async fn shown(world: &World, name: &str) -> usize {
    let leaves = world.node(name).store.audit_leaves(0, 10_000).await.unwrap();
    leaves.iter().filter(|leaf| crate::wire::audit::decode(leaf).unwrap().act == AuditAct::CapacityShown).count()
}

#[tokio::test]
async fn what_is_known_comes_first_and_each_partner_s_own_answer_takes_its_place() {
    let world = stated().await;
    let parts = find(&world, KEHL, Wanted::default()).await;
    assert_eq!(parts.len(), 2);
    assert_eq!((&parts[0].authority, &parts[0].asked), (&None, &vec![id(STRASBOURG)]));
    let known: Vec<_> = parts[0].found.iter().map(|row| (row.view.id, row.source)).collect();
    assert_eq!(known, [(OFFER, BoardSource::LastKnown), (REFUGE, BoardSource::LastKnown)]);
    assert_eq!((&parts[1].authority, parts[1].failed), (&Some(id(STRASBOURG)), None));
    let band = world.exchange(ESCH).capacity.partner_offers(COORDINATOR).await.unwrap();
    assert_eq!(
        short(&parts[1].found),
        [
            (OFFER, Light::Available, CapacityLevel::Count(3), BoardSource::Live),
            (REFUGE, Light::Available, view(&band[1]).capacity.level, BoardSource::Live),
        ],
        "counts by the agreement, and of a protected offer never more than a band"
    );
    let seen = board(&world, ESCH, Wanted::default()).await;
    assert!(seen.iter().all(|row| matches!(row.view.capacity.level, CapacityLevel::Band(_))));
    assert_eq!(board(&world, STRASBOURG, Wanted::default()).await.len(), 2, "one's own stand there too");
}

#[tokio::test]
async fn what_is_held_is_not_shown_as_free_before_any_statement_has_come() {
    let world = stated().await;
    let capacity = &world.exchange(ESCH).capacity;
    for _ in 0..2 {
        capacity.take_hold(&call(), OFFER, limits::HOLD_LEASE).await.unwrap();
    }
    // Nothing was delivered since.
    let rows = board(&world, KEHL, Wanted { services: vec![ServiceKind::LongTermRefuge], ..Wanted::default() }).await;
    let shelter = rows.iter().find(|row| row.view.id == OFFER).unwrap();
    assert_eq!((shelter.light, shelter.view.capacity.level), (Light::Few, CapacityLevel::Count(1)));
    let own = board(&world, STRASBOURG, Wanted::default()).await;
    let shelter = own.iter().find(|row| row.view.id == OFFER).unwrap();
    assert_eq!((shelter.source, shelter.view.capacity.level), (BoardSource::Own, CapacityLevel::Count(1)));
    let listed = world.exchange(STRASBOURG).capacity.own_offers(COORDINATOR).await.unwrap();
    let free = |held: &HeldOffer| (held.offer.as_ref().unwrap().capacity.free, held.occupied);
    assert_eq!(
        listed.iter().find(|held| held.id == OFFER).map(free),
        Some((3, Some(2))),
        "as stated, and what is held"
    );
}

#[tokio::test]
async fn one_row_that_cannot_be_read_takes_no_other_from_the_board() {
    let world = stated().await;
    let damaged = SlotsRow { offer: OFFER, version: 1, body: vec![0xff; 9].into() };
    world.node(STRASBOURG).store.write(Write::put(Put::Slots(damaged)).into()).await.unwrap();
    let live = board(&world, KEHL, Wanted::default()).await;
    let ids = |rows: &[Found]| rows.iter().map(|row| row.view.id).collect::<Vec<_>>();
    assert_eq!(ids(&live), [REFUGE], "nobody knows what of the other one is free");
    assert_eq!(ids(&board(&world, STRASBOURG, Wanted::default()).await), [REFUGE]);
    let own = world.exchange(STRASBOURG).capacity.own_offers(COORDINATOR).await.unwrap();
    let held: Vec<_> = own.iter().map(|own| (own.id, own.occupied)).collect();
    assert_eq!(held, [(OFFER, None), (REFUGE, Some(0))]);
    let confirmed = world.exchange(STRASBOURG).capacity.confirm_offers(&call(), Which::All).await.unwrap();
    assert_eq!(confirmed, 1, "nor from a confirmation of all");
}

#[tokio::test]
async fn a_partner_hears_the_service_and_nothing_of_who_looks_for_it() {
    let world = stated().await;
    let wanted = Wanted {
        services: vec![ServiceKind::LongTermRefuge],
        receives: vec![ReceivedGroup::Women],
        children_age: Some(3),
        near: Place::new(PlaceScheme::Nuts, "FRF11"),
        ..Wanted::default()
    };
    let rows = board(&world, KEHL, wanted).await;
    let near: Vec<_> = rows.iter().map(|row| (row.view.id, row.nearness)).collect();
    assert_eq!(near, [(OFFER, Nearness::SameArea), (REFUGE, Nearness::SameRegion)]);
    let services = vec![ServiceKind::LongTermRefuge];
    let (asker, asked) = (id(KEHL), id(STRASBOURG));
    let question = CapacityQuestion { asker, asked, services, after: None };
    assert_eq!(*world.line.capacity_asked.lock().unwrap(), [question]);
}

#[tokio::test]
async fn who_is_silent_is_named_and_nobody_waits_for_it_longer_than_was_asked() {
    let world = stated().await;
    world.line.silent.lock().unwrap().insert(id(STRASBOURG));
    let began = std::time::Instant::now();
    let parts = find(&world, KEHL, Wanted::default()).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    assert_eq!(parts[1].failed, Some(Reason::DeadlineExceeded));
    let lights: Vec<_> = parts[1].found.iter().map(|row| (row.light, row.because)).collect();
    assert_eq!(lights, [(Light::Unreachable, LightReason::Silence); 2], "last known, and not as if it were there");
    world.line.silent.lock().unwrap().clear();
    world.line.down.lock().unwrap().insert(id(STRASBOURG));
    let parts = find(&world, KEHL, Wanted::default()).await;
    assert_eq!(parts[1].failed, Some(Reason::PeerUnreachable));
    assert!(parts[1].found.iter().all(|row| row.source == BoardSource::LastKnown && row.light == Light::Unreachable));
}

/// An agreement under which Strasbourg answers Kehl when it is asked, and sends nothing.
async fn only_answers(world: &World) -> Agreement {
    let mut agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Count);
    agreement.grants.iter_mut().for_each(|grant| grant.usage = Usage::Query);
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement.clone()).await.unwrap();
    world.settle().await;
    world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
    agreement
}

#[tokio::test]
async fn under_an_agreement_to_query_nothing_is_sent_and_what_is_found_can_be_held() {
    let world = World::new().await;
    only_answers(&world).await;
    let capacity = &world.exchange(STRASBOURG).capacity;
    capacity.set_offer(&call(), shelter(&world, 3), None).await.unwrap();
    world.settle().await;
    let kehl = &world.exchange(KEHL).capacity;
    assert_eq!(kehl.partner_offers(COORDINATOR).await.unwrap().len(), 0, "nothing is sent");
    let refused = kehl.take_hold(&call(), OFFER, limits::HOLD_LEASE).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::NotFound, "nobody has shown it yet");
    let rows = board(&world, KEHL, Wanted::default()).await;
    assert_eq!(short(&rows), [(OFFER, Light::Available, CapacityLevel::Count(3), BoardSource::Live)]);
    kehl.take_hold(&call(), OFFER, limits::HOLD_LEASE).await.unwrap();
    assert_eq!(board(&world, KEHL, Wanted::default()).await[0].view.capacity.level, CapacityLevel::Count(2));
}

#[tokio::test]
async fn without_an_agreement_a_question_is_answered_as_if_there_were_nothing() {
    let world = stated().await;
    let question = |asker: &str, asked: &str| CapacityQuestion {
        asker: id(asker),
        asked: id(asked),
        services: vec![],
        after: None,
    };
    let strasbourg = &world.exchange(STRASBOURG).capacity;
    let none = world.exchange(KEHL).capacity.capacity_for(&id(ESCH), question(ESCH, KEHL)).await.unwrap();
    assert_eq!((none.offers.len(), none.more), (0, false));
    let for_other = strasbourg.capacity_for(&id(ESCH), question(KEHL, STRASBOURG)).await.unwrap_err();
    assert!(for_other.reason() != Reason::NotFound && for_other.reason() != Reason::WrongRecipient, "{for_other:?}");
    let wrong = strasbourg.capacity_for(&id(KEHL), question(KEHL, ESCH)).await.unwrap_err();
    assert_eq!(wrong.reason(), Reason::WrongRecipient);
    world.suspend(KEHL);
    let suspended = strasbourg.capacity_for(&id(KEHL), question(KEHL, STRASBOURG)).await.unwrap_err();
    assert_eq!(suspended.reason(), Reason::MemberSuspended);
    assert_eq!(find(&world, KEHL, Wanted::default()).await[0].asked.len(), 0, "nor does it ask anybody");
}

#[tokio::test]
async fn a_partner_that_shows_more_than_it_agreed_to_is_not_shown() {
    let world = stated().await;
    *world.line.capacity.lock().unwrap() = Some(Box::new(|answer| {
        for shown in &mut answer.offers {
            shown.view.protected = false;
            shown.view.capacity.level = CapacityLevel::Count(9);
        }
    }));
    // A band is agreed upon.
    assert_eq!(short(&board(&world, ESCH, Wanted::default()).await), []);
    *world.line.capacity.lock().unwrap() = Some(Box::new(|answer| {
        for shown in &mut answer.offers {
            shown.grant.number += 7;
        }
    }));
    assert_eq!(short(&board(&world, KEHL, Wanted::default()).await), [], "under a grant that is none");
    *world.line.capacity.lock().unwrap() = Some(Box::new(|answer| {
        answer.offers.truncate(1);
        answer.more = true;
    }));
    assert_eq!(board(&world, KEHL, Wanted::default()).await.len(), 2, "page by page");
    *world.line.capacity.lock().unwrap() = Some(Box::new(|answer| {
        answer.offers = answer.offers.iter().take(1).cloned().cycle().take(1).collect();
        answer.offers.iter_mut().for_each(|shown| shown.view.id = OFFER);
        answer.more = true;
    }));
    assert_eq!(board(&world, KEHL, Wanted::default()).await.len(), 2, "one that never ends is asked no more");
}

#[tokio::test]
async fn the_ledger_has_once_what_was_shown() {
    let world = stated().await;
    for _ in 0..3 {
        board(&world, KEHL, Wanted::default()).await;
    }
    assert_eq!(shown(&world, STRASBOURG).await, 1);
    world.exchange(ESCH).capacity.take_hold(&call(), OFFER, limits::HOLD_LEASE).await.unwrap();
    board(&world, KEHL, Wanted::default()).await;
    assert_eq!(shown(&world, STRASBOURG).await, 2, "something new");
    assert_eq!(shown(&world, KEHL).await, 0);
}

#[tokio::test]
async fn an_old_statement_is_old_in_its_owner_s_answer_too() {
    let world = stated().await;
    world.clock.advance(Millis::hours(2));
    let lights = |rows: Vec<Found>| rows.iter().map(|row| (row.light, row.because)).collect::<Vec<_>>();
    let rows = board(&world, KEHL, Wanted::default()).await;
    assert_eq!(lights(rows), [(Light::CallFirst, LightReason::Age); 2]);
    let confirmed = world.exchange(STRASBOURG).capacity.confirm_offers(&call(), Which::All).await.unwrap();
    assert_eq!(confirmed, 2);
    // Nothing was delivered since.
    let rows = board(&world, KEHL, Wanted::default()).await;
    assert_eq!(lights(rows), [(Light::Available, LightReason::Capacity); 2]);
}
