//! Emergency suspensions of stewards that wait for a second steward's signature (9.4).
//!
//! One signature does nothing: the order stands here and nowhere else, in memory, is passed on among stewards, and acts
//! only as a statement with both signatures, through the overlay and the register. It ends when the target's status
//! has changed since it was signed, when it was lifted, or a day after it was signed. Whose node loses it asks again.
//! Each steward has one order per target here: who sends many pushes out only its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::overlay::{self, Overlay};
use super::state::RegisterState;
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::register::SuspendReason;
use crate::domain::statement::Subject;
use crate::domain::time::UnixMs;
use crate::wire::keys::Verify;

/// An order that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitingCountersignature {
    pub id: StatementId,
    /// The steward that asks.
    pub author: AuthorityId,
    /// The steward that is to be suspended.
    pub subject: AuthorityId,
    pub reason: SuspendReason,
    /// Version of the target's status that the author saw.
    pub version: u64,
    /// The author's time.
    pub time: UnixMs,
    /// The encoded `Signed`, with one signature.
    pub signed: Bytes,
}

impl AwaitingCountersignature {
    /// After this instant nobody takes it any more.
    pub fn expires(&self) -> UnixMs {
        self.time + limits::OVERLAY_AGE
    }

    fn waits(&self, state: &RegisterState, now: UnixMs) -> bool {
        let lifted = |r: &super::state::MemberHistory| r.lifted.binary_search(&self.id).is_ok();
        state.is_steward(&self.author)
            && state.is_steward(&self.subject)
            && state.version(&Subject::Authority(self.subject.clone())) == self.version
            && now <= self.expires()
            && state.history(&self.subject).is_some_and(|history| !lifted(history))
    }
}

/// The orders of all stewards. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct CountersignatureQueue {
    /// By author and target.
    orders: BTreeMap<(AuthorityId, AuthorityId), Arc<AwaitingCountersignature>>,
}

impl CountersignatureQueue {
    /// Takes in an order; whether it was new.
    ///
    /// # Errors
    /// What the overlay would refuse about it, but for the missing signature: `EMERGENCY_USED`, `SIGNATURE_INVALID`,
    /// `NOT_A_STEWARD`, `EMERGENCY_TIME_INVALID`, `STALE_VERSION`. `NEEDS_TWO_SIGNATURES` when the target signed it itself
    /// or it has another number than one, `STATEMENT_KIND_UNKNOWN` when the target is no steward: one signature suspends it.
    pub fn take(
        &mut self,
        signed: &Bytes,
        overlay: &Overlay,
        state: &RegisterState,
        now: UnixMs,
        verify: &dyn Verify,
    ) -> Result<bool, Reason> {
        if self.holds(signed) {
            return Ok(false);
        }
        let overlay::Read { entry, author, version, reason } = overlay::read(signed, state, now, verify)?;
        let overlay::Entry { id, subject, stewards, time, signed, .. } = entry.clone();
        if !state.is_steward(&subject) {
            return Err(Reason::StatementKindUnknown);
        }
        if author == subject || stewards.len() != 1 {
            return Err(Reason::NeedsTwoSignatures);
        }
        overlay.check_unused(&entry, state)?;
        let order = AwaitingCountersignature { id, author, subject, reason, version, time, signed };
        if !order.waits(state, now) {
            return Err(Reason::StaleVersion);
        }
        let key = (order.author.clone(), order.subject.clone());
        if self.orders.get(&key).is_some_and(|held| held.waits(state, now) && held.time >= order.time) {
            return Ok(false);
        }
        self.orders.insert(key, Arc::new(order));
        Ok(true)
    }

    /// Whether these very bytes are here.
    pub fn holds(&self, signed: &Bytes) -> bool {
        self.orders.values().any(|held| held.signed == *signed)
    }

    /// Orders that a second steward may still sign, by author and target.
    pub fn waiting<'a>(
        &'a self,
        state: &'a RegisterState,
        now: UnixMs,
    ) -> impl Iterator<Item = &'a Arc<AwaitingCountersignature>> {
        self.orders.values().filter(move |order| order.waits(state, now))
    }

    /// Forgets what nobody can sign any more.
    pub fn forget(&mut self, state: &RegisterState, now: UnixMs) {
        self.orders.retain(|_, order| order.waits(state, now));
    }
}
