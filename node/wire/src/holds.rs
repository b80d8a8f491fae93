//! Holds: the slots of an offer as they are stored, and what a holder and an owner say to each other.

use bytes::Bytes;
use havenlink_proto::peer::v1 as peer;
use havenlink_proto::store::v1 as store;
use prost::Message;

use super::{Error, fields};
use crate::domain::holds::{Hold, HoldAct, HoldCall, HoldState, HoldWord, Lease, Slots};
use crate::domain::ids::{HoldId, OfferId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};

/// The slots of an offer, for the disk.
pub fn encode_slots(slots: &Slots) -> Bytes {
    let hold = |hold: &Hold| store::StoredHold {
        id: fields::bytes_of(hold.id.as_bytes()),
        holder: hold.holder.to_string(),
        slot: hold.slot,
        token: hold.token,
        taken_ms: hold.taken.0,
        expires_ms: hold.expires.0,
        extended: hold.extended,
        state: hold.state.code(),
        ended_ms: hold.ended.0,
    };
    let Slots { next_token, clock, holds } = slots;
    let holds = holds.iter().map(hold).collect();
    store::StoredSlots { next_token: *next_token, clock_ms: clock.0, holds }.encode_to_vec().into()
}

/// Stored slots.
///
/// # Errors
/// When the bytes do not have the form of them: nothing can be given then.
pub fn reload_slots(bytes: &Bytes) -> Result<Slots, Error> {
    let stored = store::StoredSlots::decode(bytes.clone())
        .map_err(|_| Error::new(Reason::DecodeFailed, "stored_slots", "its form"))?;
    let hold = |hold: &store::StoredHold| {
        Ok(Hold {
            id: fields::id("id", &hold.id, HoldId::from_slice)?,
            holder: fields::authority("holder", &hold.holder)?,
            slot: hold.slot,
            token: hold.token,
            taken: UnixMs(hold.taken_ms),
            expires: UnixMs(hold.expires_ms),
            extended: hold.extended,
            state: fields::closed_enum("state", hold.state)?,
            ended: UnixMs(hold.ended_ms),
        })
    };
    let holds: Vec<Hold> = stored.holds.iter().map(hold).collect::<Result<_, Error>>()?;
    if holds.iter().any(|hold| hold.token >= stored.next_token) {
        return Err(Error::invalid("next_token", "above every token that was given"));
    }
    Ok(Slots { next_token: stored.next_token, clock: UnixMs(stored.clock_ms), holds })
}

/// What is said to an owner, for the wire.
pub fn call_to_proto(call: &HoldCall) -> peer::HoldRequest {
    let (act, id, token, lease) = match call.word {
        HoldWord::Take { id, lease } => (HoldAct::Take, Some(id), 0, lease),
        HoldWord::Extend(token) => (HoldAct::Extend, None, token, Millis(0)),
        HoldWord::Release(token) => (HoldAct::Release, None, token, Millis(0)),
        HoldWord::Arrive(token) => (HoldAct::Arrive, None, token, Millis(0)),
    };
    peer::HoldRequest {
        asker: call.asker.to_string(),
        asked: call.asked.to_string(),
        offer_id: fields::bytes_of(call.offer.as_bytes()),
        act: act.code(),
        hold_id: id.map(|id| fields::bytes_of(id.as_bytes())).unwrap_or_default(),
        token,
        lease_ms: lease.0,
    }
}

/// A lease that is asked for: 0 is the longest.
///
/// # Errors
/// Less than a minute, or more than the longest.
pub fn lease(field: &str, ms: i64) -> Result<Millis, Error> {
    match ms {
        0 => Ok(limits::HOLD_LEASE),
        ms if (limits::HOLD_SHORTEST.0..=limits::HOLD_LEASE.0).contains(&ms) => Ok(Millis(ms)),
        _ => Err(Error::invalid(field, "1 to 90 minutes")),
    }
}

/// What a partner says to an owner, from the wire.
///
/// # Errors
/// The first field that does not fit its act.
pub fn call_from_proto(call: &peer::HoldRequest) -> Result<HoldCall, Error> {
    let act: HoldAct = fields::closed_enum("act", call.act)?;
    if (act == HoldAct::Take) != (call.token == 0) {
        return Err(Error::invalid("token", "of what was given; 0 for TAKE"));
    }
    if act != HoldAct::Take && (!call.hold_id.is_empty() || call.lease_ms != 0) {
        return Err(Error::invalid("hold_id", "with its lease for TAKE alone"));
    }
    let word = match act {
        HoldAct::Take => HoldWord::Take {
            id: fields::id("hold_id", &call.hold_id, HoldId::from_slice)?,
            lease: lease("lease_ms", call.lease_ms)?,
        },
        HoldAct::Extend => HoldWord::Extend(call.token),
        HoldAct::Release => HoldWord::Release(call.token),
        HoldAct::Arrive => HoldWord::Arrive(call.token),
    };
    Ok(HoldCall {
        asker: fields::authority("asker", &call.asker)?,
        asked: fields::authority("asked", &call.asked)?,
        offer: fields::id("offer_id", &call.offer_id, OfferId::from_slice)?,
        word,
    })
}

/// The owner's answer, for the wire.
pub fn lease_to_proto(lease: Lease) -> peer::HoldResponse {
    let Lease { token, left, extended, state } = lease;
    peer::HoldResponse { token, lease_ms: left.0, extended, state: state.code() }
}

/// The owner's answer, from the wire. More than an owner may give is what it may give.
///
/// # Errors
/// Without a token, or in a state that is not known.
pub fn lease_from_proto(answer: &peer::HoldResponse) -> Result<Lease, Error> {
    if answer.token == 0 {
        return Err(Error::missing("token"));
    }
    let state: HoldState = fields::closed_enum("state", answer.state)?;
    let left = Millis(answer.lease_ms.clamp(0, limits::HOLD_LONGEST.0));
    Ok(Lease { token: answer.token, left, extended: answer.extended, state })
}
