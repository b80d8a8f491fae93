//! The slots of one offer at its owner: taken, extended once, released, arrived, expired; each act decided from what is stored.

use std::collections::BTreeSet;

use super::{Hold, HoldState, HoldWord, Lease};
use crate::ids::{AuthorityId, HoldId, Incarnation};
use crate::limits;
use crate::reason::Reason;
use crate::records::offer::{OfferStatus, OwnOffer};
use crate::time::{Millis, UnixMs};

/// All that is stored of an offer's holds. A change is stored before it is answered, whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// The next token; below it every one was given, or never will be.
    pub next_token: u64,
    /// The latest that the owner's clock showed at an act here: it does not go back behind it.
    pub clock: UnixMs,
    /// Those that are held, and those that ended less than 24 hours ago; in the order of their tokens.
    pub holds: Vec<Hold>,
}

/// What an offer has to give, as its owner states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Units that could be given now, holds not subtracted; 0 when it is full, paused, or not reported any more.
    pub units: u32,
    /// When the owner stated it. Who arrived before is counted in it.
    pub stated: UnixMs,
    /// Neither protected nor with an assessment before it.
    pub ordinary: bool,
    /// By the wall clock nothing is given before: what was given ahead of a restore may be unknown here until then.
    pub opens: UnixMs,
    /// No token is below it: the incarnation × 1,000.
    pub lowest_token: u64,
}

/// Who asks for a unit.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub id: HoldId,
    pub holder: &'a AuthorityId,
    /// At most `limits::HOLD_LEASE`.
    pub lease: Millis,
    /// The owner itself: no quota.
    pub own: bool,
}

impl Room {
    /// Of an own offer. `unconfirmed`: since a restore nobody has said that it is still true.
    pub fn of(offer: &OwnOffer, unconfirmed: bool, now: UnixMs, opens: UnixMs, incarnation: Incarnation) -> Self {
        let capacity = &offer.capacity;
        let told = !unconfirmed && now < capacity.stale_from();
        Self {
            units: if told { capacity.givable() } else { 0 },
            stated: capacity.as_of,
            ordinary: !offer.protected && capacity.status != OfferStatus::AssessmentNeeded,
            opens,
            lowest_token: incarnation.0.saturating_mul(limits::HOLD_TOKENS),
        }
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self { next_token: 1, clock: UnixMs(i64::MIN), holds: Vec::new() }
    }
}

impl Slots {
    /// The owner's clock here: the wall clock, but never behind what it has shown.
    pub fn now(&self, wall: UnixMs) -> UnixMs {
        self.clock.max(wall)
    }

    /// What time has done: holds that ended a minute ago are expired and their slots free, and what ended a day ago is forgotten.
    pub fn pass_time(&mut self, wall: UnixMs) -> UnixMs {
        let now = self.now(wall);
        self.clock = now;
        let over = |hold: &Hold| hold.state == HoldState::Held && hold.expires + limits::HOLD_MARGIN <= now;
        for hold in self.holds.iter_mut().filter(|hold| over(hold)) {
            (hold.state, hold.ended) = (HoldState::Expired, now);
        }
        self.holds.retain(|hold| hold.state == HoldState::Held || now < hold.ended + limits::HOLD_KEPT);
        now
    }

    /// When time does something here next; `None`: nothing is held.
    pub fn due(&self) -> Option<UnixMs> {
        let held = self.holds.iter().filter(|hold| hold.state == HoldState::Held);
        held.map(|hold| hold.expires + limits::HOLD_MARGIN).min()
    }

    /// Units that are not to be given: held ones, and those of who arrived since the owner stated what is free. A statement ends
    /// no hold.
    pub fn occupied(&self, stated: UnixMs) -> u32 {
        u32::try_from(self.occupying(stated).count()).unwrap_or(u32::MAX)
    }

    fn occupying(&self, stated: UnixMs) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(move |hold| match hold.state {
            HoldState::Held => true,
            HoldState::Arrived => stated <= hold.ended,
            HoldState::Released | HoldState::Expired => false,
        })
    }

    /// What a holder says, done. It comes after what the owner stated, whatever its wall clock shows meanwhile: who arrives now is not
    /// counted in a statement that is there.
    ///
    /// # Errors
    /// Those of the act.
    pub fn hear(
        &mut self,
        holder: &AuthorityId,
        own: bool,
        word: HoldWord,
        room: &Room,
        wall: UnixMs,
    ) -> Result<Lease, Reason> {
        self.clock = self.now(room.stated);
        match word {
            HoldWord::Take { id, lease } => self.take(&Ask { id, holder, lease, own }, room, wall),
            HoldWord::Extend(token) => self.extend(holder, token, wall),
            HoldWord::Release(token) => self.release(holder, token, wall),
            HoldWord::Arrive(token) => self.arrive(holder, token, wall),
        }
    }

    /// Gives a unit. The same ask again is answered with the same hold.
    ///
    /// # Errors
    /// `HOLD_FENCED` when that hold has ended, `HOLD_NOT_OFFERED`, `HOLD_AFTER_RESTORE`, `HOLD_QUOTA`, `HOLD_NONE_FREE`.
    pub fn take(&mut self, ask: &Ask<'_>, room: &Room, wall: UnixMs) -> Result<Lease, Reason> {
        let now = self.pass_time(wall);
        if let Some(known) = self.holds.iter().find(|hold| hold.id == ask.id && hold.holder == *ask.holder) {
            return if known.is_live(now) { Ok(known.lease(now)) } else { Err(Reason::HoldFenced) };
        }
        if !room.ordinary {
            return Err(Reason::HoldNotOffered);
        }
        if wall < room.opens {
            return Err(Reason::HoldAfterRestore);
        }
        if !ask.own && self.has_its_share(ask.holder) {
            return Err(Reason::HoldQuota);
        }
        if self.occupied(room.stated) >= room.units {
            return Err(Reason::HoldNoneFree);
        }
        let taken: BTreeSet<u32> = self.occupying(room.stated).map(|hold| hold.slot).collect();
        let slot = (0..).find(|slot| !taken.contains(slot)).unwrap_or(u32::MAX);
        let token = self.next_token.max(room.lowest_token);
        self.next_token = token + 1;
        let hold = Hold {
            id: ask.id,
            holder: ask.holder.clone(),
            slot,
            token,
            taken: now,
            expires: now + ask.lease.min(limits::HOLD_LEASE),
            extended: false,
            state: HoldState::Held,
            ended: now,
        };
        let lease = hold.lease(now);
        self.holds.push(hold);
        Ok(lease)
    }

    fn has_its_share(&self, holder: &AuthorityId) -> bool {
        let of_holder = || self.holds.iter().filter(|hold| hold.holder == *holder);
        of_holder().filter(|hold| hold.state == HoldState::Held).count() >= limits::HOLDS_OF_A_PARTNER
            || of_holder().count() >= limits::HOLDS_OF_A_PARTNER_A_DAY
    }

    /// Holds it once more for as long as the longest lease. Asked again, it is answered and not extended again.
    ///
    /// # Errors
    /// `HOLD_FENCED`.
    pub fn extend(&mut self, holder: &AuthorityId, token: u64, wall: UnixMs) -> Result<Lease, Reason> {
        let now = self.pass_time(wall);
        let hold = self.newest(holder, token).filter(|hold| hold.is_live(now)).ok_or(Reason::HoldFenced)?;
        if !hold.extended {
            (hold.extended, hold.expires) = (true, hold.expires + limits::HOLD_LEASE);
        }
        Ok(hold.lease(now))
    }

    /// Gives it back; its slot is free at once.
    ///
    /// # Errors
    /// `HOLD_FENCED`.
    pub fn release(&mut self, holder: &AuthorityId, token: u64, wall: UnixMs) -> Result<Lease, Reason> {
        self.end(holder, token, wall, HoldState::Released)
    }

    /// Somebody has arrived: the unit is in use until the owner states anew what is free.
    ///
    /// # Errors
    /// `HOLD_FENCED`.
    pub fn arrive(&mut self, holder: &AuthorityId, token: u64, wall: UnixMs) -> Result<Lease, Reason> {
        self.end(holder, token, wall, HoldState::Arrived)
    }

    /// The same word twice is one word.
    fn end(&mut self, holder: &AuthorityId, token: u64, wall: UnixMs, state: HoldState) -> Result<Lease, Reason> {
        let now = self.pass_time(wall);
        let hold = self.newest(holder, token).ok_or(Reason::HoldFenced)?;
        if hold.is_live(now) {
            (hold.state, hold.ended) = (state, now);
        }
        if hold.state == state { Ok(hold.lease(now)) } else { Err(Reason::HoldFenced) }
    }

    /// The hold of the slot that this token was given for. An earlier token of a slot speaks for nothing any more.
    fn newest(&mut self, holder: &AuthorityId, token: u64) -> Option<&mut Hold> {
        let slot = self.holds.iter().find(|hold| hold.token == token && hold.holder == *holder)?.slot;
        let newest = self.holds.iter_mut().rfind(|hold| hold.slot == slot)?;
        (newest.token == token).then_some(newest)
    }
}

impl Hold {
    /// Whether its holder may still rely on it, by the owner's clock.
    pub fn is_live(&self, now: UnixMs) -> bool {
        self.state == HoldState::Held && now < self.expires
    }

    /// As it is answered.
    pub fn lease(&self, now: UnixMs) -> Lease {
        let left = if self.is_live(now) { self.expires.since(now) } else { Millis(0) };
        Lease { token: self.token, left, extended: self.extended, state: self.state }
    }
}
