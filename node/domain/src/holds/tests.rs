use super::*;
use crate::ids::Incarnation;
use crate::limits;
use crate::reason::Reason;
use crate::records::offer::{OfferStatus, OwnOffer};
use crate::samples::{NOW, esch, kehl, own_offer, strasbourg};

fn room(units: u32) -> Room {
    Room { units, stated: NOW - Millis::minutes(5), ordinary: true, opens: UnixMs(i64::MIN), lowest_token: 0 }
}

fn ask(n: u8, holder: &AuthorityId) -> Ask<'_> {
    Ask { id: HoldId([n; 16]), holder, lease: limits::HOLD_LEASE, own: false }
}

#[test]
fn a_unit_is_given_once_and_the_next_asker_is_told_that_none_is_free() {
    let mut slots = Slots::default();
    let lease = slots.take(&ask(1, &kehl()), &room(1), NOW).unwrap();
    assert_eq!(lease, Lease { token: 1, left: limits::HOLD_LEASE, extended: false, state: HoldState::Held });
    assert_eq!(
        slots.take(&ask(1, &esch()), &room(1), NOW),
        Err(Reason::HoldNoneFree),
        "another's ask of the same name"
    );
    assert_eq!(slots.take(&ask(2, &kehl()), &room(1), NOW), Err(Reason::HoldNoneFree));
    slots.release(&kehl(), 1, NOW).unwrap();
    assert_eq!(slots.take(&ask(2, &esch()), &room(1), NOW).unwrap().token, 2, "a token is given once");
    assert_eq!(slots.holds.iter().map(|hold| hold.slot).collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn the_same_ask_is_the_same_hold_with_what_is_left_of_it() {
    let mut slots = Slots::default();
    let kehl = kehl();
    slots.take(&ask(1, &kehl), &room(3), NOW).unwrap();
    let again = slots.take(&ask(1, &kehl), &room(3), NOW + Millis::minutes(30)).unwrap();
    assert_eq!((again.token, again.left), (1, Millis::minutes(60)));
    assert_eq!(slots.holds.len(), 1);
    slots.release(&kehl, 1, NOW).unwrap();
    assert_eq!(slots.take(&ask(1, &kehl), &room(3), NOW), Err(Reason::HoldFenced), "it has ended");
}

#[test]
fn it_is_extended_once_and_asked_again_it_is_not_extended_again() {
    let mut slots = Slots::default();
    let kehl = kehl();
    slots.take(&Ask { lease: Millis::minutes(10), ..ask(1, &kehl) }, &room(1), NOW).unwrap();
    let at = NOW + Millis::minutes(4);
    for _ in 0..2 {
        let lease = slots.extend(&kehl, 1, at).unwrap();
        assert_eq!((lease.left, lease.extended), (Millis::minutes(96), true));
    }
    assert_eq!(slots.extend(&esch(), 1, at), Err(Reason::HoldFenced), "another's");
    assert_eq!(slots.extend(&kehl, 2, at), Err(Reason::HoldFenced), "no such token");
}

#[test]
fn its_end_is_the_owners_and_its_slot_is_free_a_minute_later() {
    let mut slots = Slots::default();
    let kehl = kehl();
    slots.take(&ask(1, &kehl), &room(1), NOW).unwrap();
    let end = NOW + limits::HOLD_LEASE;
    assert_eq!(slots.due(), Some(end + limits::HOLD_MARGIN));
    for refused in [slots.extend(&kehl, 1, end), slots.arrive(&kehl, 1, end), slots.release(&kehl, 1, end)] {
        assert_eq!(refused, Err(Reason::HoldFenced));
    }
    let before = end + limits::HOLD_MARGIN - Millis(1);
    assert_eq!(slots.take(&ask(2, &esch()), &room(1), before), Err(Reason::HoldNoneFree));
    assert_eq!(slots.take(&ask(2, &esch()), &room(1), end + limits::HOLD_MARGIN).unwrap().token, 2);
    assert_eq!(slots.holds[0].state, HoldState::Expired);
    // The wall clock goes back: the owner's does not.
    assert_eq!(slots.now(NOW), end + limits::HOLD_MARGIN);
    assert_eq!(slots.extend(&kehl, 1, NOW), Err(Reason::HoldFenced));
}

#[test]
fn a_word_that_comes_late_does_not_touch_who_has_the_slot_now() {
    let mut slots = Slots::default();
    let kehl = kehl();
    slots.take(&ask(1, &kehl), &room(1), NOW).unwrap();
    slots.release(&kehl, 1, NOW).unwrap();
    slots.take(&ask(2, &kehl), &room(1), NOW).unwrap();
    assert_eq!(slots.release(&kehl, 1, NOW), Err(Reason::HoldFenced), "an older token of its slot");
    assert_eq!(slots.arrive(&kehl, 1, NOW), Err(Reason::HoldFenced));
    assert!(slots.holds[1].is_live(NOW));
    assert!(slots.release(&kehl, 2, NOW).is_ok() && slots.release(&kehl, 2, NOW).is_ok(), "one word, said twice");
    assert_eq!(slots.arrive(&kehl, 2, NOW), Err(Reason::HoldFenced), "it was given back");
}

#[test]
fn a_statement_ends_no_hold_and_counts_who_has_arrived() {
    let mut slots = Slots::default();
    let kehl = kehl();
    slots.take(&ask(1, &kehl), &room(2), NOW).unwrap();
    slots.take(&ask(2, &kehl), &room(2), NOW).unwrap();
    slots.arrive(&kehl, 1, NOW).unwrap();
    assert_eq!(slots.occupied(NOW - Millis(1)), 2);
    // Stated after the arrival: the one who arrived is counted in it, the one who is held for is not.
    let later = Room { stated: NOW + Millis(1), ..room(1) };
    assert_eq!(slots.occupied(later.stated), 1);
    assert_eq!(slots.take(&ask(3, &esch()), &later, NOW + Millis(2)), Err(Reason::HoldNoneFree));
    assert_eq!(slots.take(&ask(3, &esch()), &Room { units: 0, ..later }, NOW), Err(Reason::HoldNoneFree));
    assert_eq!(slots.take(&ask(3, &esch()), &Room { units: 2, ..later }, NOW).unwrap().token, 3);
}

#[test]
fn a_partner_holds_so_many_of_an_offer_and_the_owner_as_many_as_there_are() {
    let mut slots = Slots::default();
    let kehl = kehl();
    for n in 0..8 {
        slots.take(&ask(n, &kehl), &room(20), NOW).unwrap();
    }
    assert_eq!(slots.take(&ask(8, &kehl), &room(20), NOW), Err(Reason::HoldQuota));
    assert!(slots.take(&ask(8, &esch()), &room(20), NOW).is_ok(), "a quota of its own");
    for n in 9..18 {
        slots.take(&Ask { own: true, ..ask(n, &strasbourg()) }, &room(20), NOW).unwrap();
    }
    // One after the other it gets no more in a day than are remembered of it.
    let mut slots = Slots::default();
    for n in 0..64 {
        let token = slots.take(&ask(n, &kehl), &room(1), NOW).unwrap().token;
        slots.release(&kehl, token, NOW).unwrap();
    }
    assert_eq!(slots.take(&ask(64, &kehl), &room(1), NOW), Err(Reason::HoldQuota));
    assert!(slots.take(&ask(64, &kehl), &room(1), NOW + limits::HOLD_KEPT).is_ok());
}

#[test]
fn after_a_restore_nothing_is_given_until_what_may_be_unknown_has_ended_and_tokens_begin_higher() {
    let mut slots = Slots::default();
    let kehl = kehl();
    slots.take(&ask(1, &kehl), &room(2), NOW).unwrap();
    let opens = NOW + limits::HOLD_LONGEST;
    let restored = Room { opens, lowest_token: 7_000, ..room(2) };
    assert_eq!(slots.take(&ask(2, &esch()), &restored, opens - Millis(1)), Err(Reason::HoldAfterRestore));
    assert_eq!(slots.take(&ask(2, &esch()), &restored, opens).unwrap().token, 7_000);
    assert_eq!(slots.next_token, 7_001);
}

#[test]
fn what_is_known_of_a_hold_is_forgotten_a_day_after_its_end() {
    let mut slots = Slots::default();
    let kehl = kehl();
    slots.take(&ask(1, &kehl), &room(1), NOW).unwrap();
    slots.arrive(&kehl, 1, NOW).unwrap();
    slots.pass_time(NOW + limits::HOLD_KEPT - Millis(1));
    assert_eq!(slots.holds.len(), 1);
    slots.pass_time(NOW + limits::HOLD_KEPT);
    assert_eq!((slots.holds.len(), slots.next_token), (0, 2));
    // Until then a statement from before the arrival counts for nothing: it is past its life.
    assert!(limits::CAPACITY_LIFE <= limits::HOLD_KEPT);
}

#[test]
fn only_what_is_stated_lately_and_needs_nobody_to_assess_has_room() {
    let of = |offer: &OwnOffer, unconfirmed| Room::of(offer, unconfirmed, NOW, NOW, Incarnation(9));
    let offer = own_offer(false);
    assert_eq!(of(&offer, false), Room { units: 4, stated: NOW, ordinary: true, opens: NOW, lowest_token: 9_000 });
    assert_eq!(of(&offer, true).units, 0, "nobody has confirmed it");
    assert!(!of(&own_offer(true), false).ordinary);
    let mut slots = Slots::default();
    assert_eq!(slots.take(&ask(1, &kehl()), &of(&own_offer(true), false), NOW), Err(Reason::HoldNotOffered));
    let with = |status| {
        let mut offer = own_offer(false);
        offer.capacity.status = status;
        of(&offer, false)
    };
    assert!(!with(OfferStatus::AssessmentNeeded).ordinary);
    for status in [OfferStatus::Full, OfferStatus::WaitingList, OfferStatus::Paused] {
        assert_eq!(with(status).units, 0);
    }
    let stale = offer.capacity.stale_from();
    assert_eq!(Room::of(&offer, false, stale - Millis(1), NOW, Incarnation(9)).units, 4);
    assert_eq!(Room::of(&offer, false, stale, NOW, Incarnation(9)).units, 0, "it shows as not reported");
}

#[test]
fn the_holder_counts_from_when_it_asked() {
    use std::time::Duration;
    let lease = HeldLease::new(Duration::from_secs(100), Millis::seconds(60));
    assert_eq!(lease.left(Duration::from_secs(100)), Some(Millis::seconds(60)));
    assert_eq!(lease.left(Duration::from_millis(159_999)), Some(Millis(1)));
    assert_eq!(lease.left(Duration::from_secs(160)), None);
    assert_eq!(lease.left(Duration::from_secs(99)), None, "a clock of another start");
}

/// The owner stated that a unit is free, its clock was set back by an hour, and somebody arrived.
#[test]
fn who_arrives_after_a_statement_is_not_counted_in_it_whatever_the_clock_says() {
    let (mut slots, kehl) = (Slots::default(), kehl());
    let room = room(1);
    let back = room.stated - Millis::hours(1);
    let mut hear = |word| slots.hear(&kehl, false, word, &room, back);
    let token = hear(HoldWord::Take { id: HoldId([1; 16]), lease: limits::HOLD_LEASE }).unwrap().token;
    hear(HoldWord::Arrive(token)).unwrap();
    let again = HoldWord::Take { id: HoldId([2; 16]), lease: limits::HOLD_LEASE };
    assert_eq!(hear(again), Err(Reason::HoldNoneFree));
}
