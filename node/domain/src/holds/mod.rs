//! Holds: a unit of an ordinary offer, set aside for a partner for a while (9.11).
//!
//! What lives here: the slots of one offer and what an ask does to them at the owner (`slots`), and how long a holder may rely on
//! what it was given (`lease`). What does not: who may ask (`policy`), rows and wires. Invariants: a slot is one holder's at a
//! time, and is another's only a minute after the hold's end; a token is given once, rises, and only the newest of its slot is
//! heard; the end of a hold is the owner's to say, by its own clock, which never goes back; what the owner states of its
//! capacity ends no hold. A hold carries nothing about a person.

mod lease;
mod slots;
#[cfg(test)]
mod tests;

pub use lease::HeldLease;
pub use slots::{Ask, Room, Slots};

use crate::closed::closed_enum;
use crate::ids::{AuthorityId, HoldId, OfferId};
use crate::time::{Millis, UnixMs};

closed_enum! {
    /// What became of a hold, at its owner.
    pub enum HoldState { Held = 1 => "HELD", Arrived = 2 => "ARRIVED", Released = 3 => "RELEASED", Expired = 4 => "EXPIRED" }
}

impl HoldState {
    /// Whether nobody counts on it any more.
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Held)
    }
}

closed_enum! {
    /// What a holder asks of an owner.
    pub enum HoldAct { Take = 1 => "TAKE", Extend = 2 => "EXTEND", Release = 3 => "RELEASE", Arrive = 4 => "ARRIVE" }
}

/// The same, with what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldWord {
    /// A unit, for so long at most; by the same name again it is the same hold.
    Take {
        id: HoldId,
        lease: Millis,
    },
    /// Under this token, as all that follow.
    Extend(u64),
    Release(u64),
    Arrive(u64),
}

/// What is said to an owner of an offer, by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldCall {
    pub asker: AuthorityId,
    pub asked: AuthorityId,
    pub offer: OfferId,
    pub word: HoldWord,
}

/// A unit that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// As who asked named it: the same again is the same hold.
    pub id: HoldId,
    pub holder: AuthorityId,
    /// Which unit, from 0. Never leaves the node: it says how many are held beside it.
    pub slot: u32,
    /// The offer's next when it was given; fences every earlier holder of the slot.
    pub token: u64,
    pub taken: UnixMs,
    pub expires: UnixMs,
    pub extended: bool,
    pub state: HoldState,
    /// When it left HELD; as `taken` before.
    pub ended: UnixMs,
}

/// What the owner answers: the hold as it stands, and how much longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub token: u64,
    /// From the owner's answer on, by the owner's clock; 0 when it is not held any more.
    pub left: Millis,
    pub extended: bool,
    pub state: HoldState,
}
