//! Holds there and back, and what is refused on the way.

use havenlink_proto::peer::v1 as peer;

use crate::Error;
use crate::domain::holds::{Hold, HoldCall, HoldState, HoldWord, Lease, Slots};
use crate::domain::ids::{HoldId, OfferId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::samples::{NOW, kehl, strasbourg};
use crate::domain::time::Millis;
use crate::holds;

fn slots() -> Slots {
    let hold = |token, state| Hold {
        id: HoldId([7; 16]),
        holder: kehl(),
        slot: 1,
        token,
        taken: NOW,
        expires: NOW + Millis::minutes(90),
        extended: token == 2,
        state,
        ended: NOW + Millis(9),
    };
    let holds = HoldState::ALL.iter().zip(1..).map(|(state, token)| hold(token, *state)).collect();
    Slots { next_token: 5, clock: NOW, holds }
}

fn call(word: HoldWord) -> HoldCall {
    HoldCall { asker: kehl(), asked: strasbourg(), offer: OfferId([4; 16]), word }
}

#[test]
fn slots_are_what_they_were_and_damaged_ones_give_nothing() {
    let bytes = holds::encode_slots(&slots());
    assert_eq!(holds::reload_slots(&bytes), Ok(slots()));
    let reused = Slots { next_token: 4, ..slots() };
    let refused = holds::reload_slots(&holds::encode_slots(&reused)).unwrap_err();
    assert_eq!(refused.field, "next_token");
    let refused = holds::reload_slots(&bytes::Bytes::from_static(b"\xff\xff")).unwrap_err();
    assert_eq!(refused.reason, Reason::DecodeFailed);
}

#[test]
fn calls_and_answers_are_what_they_were() {
    let take = HoldWord::Take { id: HoldId([7; 16]), lease: Millis::minutes(30) };
    for word in [take, HoldWord::Extend(7), HoldWord::Release(7), HoldWord::Arrive(u64::MAX)] {
        assert_eq!(holds::call_from_proto(&holds::call_to_proto(&call(word))), Ok(call(word)));
    }
    let lease = Lease { token: 9, left: Millis::minutes(80), extended: true, state: HoldState::Held };
    assert_eq!(holds::lease_from_proto(&holds::lease_to_proto(lease)), Ok(lease));
    // An owner that promises more than there is.
    let much = peer::HoldResponse { lease_ms: i64::MAX, ..holds::lease_to_proto(lease) };
    assert_eq!(holds::lease_from_proto(&much).unwrap().left, limits::HOLD_LONGEST);
    assert!(holds::lease_from_proto(&peer::HoldResponse { token: 0, ..much }).is_err());
    assert_eq!(holds::lease("lease_ms", 0), Ok(limits::HOLD_LEASE));
}

#[test]
fn what_does_not_fit_its_act_is_refused_by_its_field() {
    let take = holds::call_to_proto(&call(HoldWord::Take { id: HoldId([7; 16]), lease: limits::HOLD_LEASE }));
    let extend = holds::call_to_proto(&call(HoldWord::Extend(7)));
    let id = take.hold_id.clone();
    for (spoilt, field) in [
        (peer::HoldRequest { act: 9, ..take.clone() }, "act"),
        (peer::HoldRequest { token: 7, ..take.clone() }, "token"),
        (peer::HoldRequest { hold_id: id.slice(1..), ..take.clone() }, "hold_id"),
        (peer::HoldRequest { lease_ms: limits::HOLD_LEASE.0 + 1, ..take.clone() }, "lease_ms"),
        (peer::HoldRequest { lease_ms: 59_999, ..take.clone() }, "lease_ms"),
        (peer::HoldRequest { asker: "Kehl".into(), ..take.clone() }, "asker"),
        (peer::HoldRequest { asked: String::new(), ..take.clone() }, "asked"),
        (peer::HoldRequest { offer_id: bytes::Bytes::new(), ..take }, "offer_id"),
        (peer::HoldRequest { token: 0, ..extend.clone() }, "token"),
        (peer::HoldRequest { hold_id: id, ..extend }, "hold_id"),
    ] {
        let refused: Error = holds::call_from_proto(&spoilt).unwrap_err();
        assert_eq!(refused.field, field);
    }
}
