//! The acts of the register: one file for each says all that it decides.
//!
//! What lives here: for each act who may ask for it, what is checked, what it changes, how many stewards it takes, how
//! it is signed, what it puts in place of what, and what the ledger calls it. What does not: numbers, heads, and the
//! changing of the state (`state`); messages (`wire::acts`); the list itself (`domain::statement`).
//! Invariants: rules are functions of the state, the statement and the entry's time (no clock, no randomness, no order
//! of a hash map, no table that grows with a library); an act of the list that has no rules does not compile.

mod admit;
mod context;
mod emergency_suspend;
mod entry;
mod entry_change;
mod genesis;
mod key_recovery;
mod keys;
mod mandate;
mod own_entry;
mod policy;
mod propose;
mod refound;
mod remove;
mod restore;
mod retime;
mod rotate_key;
pub mod steward_set;
mod suspend;
mod votes;
mod well_known;

use super::state::{Effects, RegisterState};
use crate::domain::audit::AuditAct;
use crate::domain::directory::Steward;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::domain::statement::*;
use crate::domain::time::UnixMs;

pub use admit::Invited;
pub(super) use context::Context;
pub(super) use emergency_suspend::{steward_signers, time_fits as emergency_time_fits};
pub use entry::same_identity;
pub(super) use well_known::{is_well_known, is_well_known_pin};

/// The rule of a statement of its own.
trait Judge {
    /// What the statement changes, or the outcome that refuses it.
    fn judge(self, context: &Context<'_>) -> Result<Effects, Outcome>;
}

/// The rules of an act that several stewards decide.
pub trait Rules: Send + Sync {
    /// Whether this is what the act can change.
    fn is_about(&self, subject: &Subject) -> bool;

    /// Whether somebody who is no steward may propose it.
    fn may_be_proposed_by(&self, _author: &AuthorityId, _subject: &Subject) -> bool {
        false
    }

    /// The version of the subject that a proposal names.
    fn version(&self, state: &RegisterState, subject: &Subject) -> u64 {
        state.version(subject)
    }

    /// Whether an open proposal that named this version can still be carried out.
    fn still_fits(&self, state: &RegisterState, subject: &Subject, named: u64) -> bool {
        named == self.version(state, subject)
    }

    /// How many stewards have to approve.
    fn needed(&self, state: &RegisterState) -> usize {
        state.majority()
    }

    /// Whether the other one asks for the same about the same subject: it is approved instead of proposed anew.
    fn is_same(&self, other: &Act) -> bool;

    /// What stands now where this would put something else, as the act that would put it back.
    fn replaces(&self, _state: &RegisterState, _subject: &Subject) -> Option<Act> {
        None
    }

    /// Whom it is about, for lists and the ledger.
    fn concerns(&self, _state: &RegisterState, subject: &Subject) -> Option<AuthorityId> {
        subject.authority().cloned()
    }

    /// Who votes once it is carried out and does not now: its node catches up before anybody signs.
    fn newcomer(&self, _state: &RegisterState) -> Option<Steward> {
        None
    }

    /// What the ledger calls it.
    fn noted_as(&self) -> AuditAct;

    /// What a steward's own program refuses to sign, before it asks anybody. By default: what is about no member.
    ///
    /// # Errors
    /// The reason.
    fn check_before_signing(&self, state: &RegisterState, subject: &Subject) -> Result<(), Reason> {
        match subject.authority() {
            Some(authority) if state.member(authority).is_none() => Err(Reason::MemberUnknown),
            _ => Ok(()),
        }
    }

    /// What a steward's own program refuses to sign by its own clock.
    ///
    /// # Errors
    /// The reason.
    fn check_clock(&self, _now: UnixMs) -> Result<(), Reason> {
        Ok(())
    }

    /// What is judged once, when it is proposed.
    #[doc(hidden)]
    fn check_proposed(&self, _context: &Context<'_>) -> Result<(), Outcome> {
        Ok(())
    }

    /// What it changes, if it may be carried out now: judged when it is proposed and again when it is decided.
    #[doc(hidden)]
    fn carry(&self, context: &Context<'_>, subject: &Subject, named: u64) -> Result<Effects, Outcome>;
}

macro_rules! dispatch {
    (own { $($own:ident: $field:ident,)+ } decided { $($act:ident: $label:literal,)+ }) => {
        /// Judges a statement whose federation and rules version fit.
        pub(super) fn judge(context: &Context<'_>, body: StatementBody) -> Result<Effects, Outcome> {
            match body { $(StatementBody::$own(own) => own.judge(context)),+ }
        }

        /// The rules of an act.
        pub fn rules(act: &Act) -> &dyn Rules {
            match act { $(Act::$act(act) => act),+ }
        }
    };
}

crate::domain::acts!(dispatch);
