//! The rules of each kind of statement.
//!
//! What lives here: one file per group (own entry, keys, standing, decisions, what decisions carry out). Each rule looks
//! at the state and answers with the effects of the statement or with the outcome that refuses it. What does not: numbers,
//! heads, and the changing of the state (`state`).
//! Invariant: rules are functions of the state, the statement and the entry's time. No clock, no randomness, no order of
//! a hash map, no table that grows with a library.

mod acts;
mod decision;
mod entry;
mod keys;
mod standing;
mod stewards;
mod well_known;

use std::sync::Arc;

use havenlink_proto::directory::v1 as proto;

use super::state::{Effects, Mode, Place, Record, RegisterState};
use crate::domain::directory::Member;
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::register::Outcome;
use crate::domain::time::UnixMs;
use crate::wire::keys::Verify;
use crate::wire::signed::Unverified;
use crate::wire::statement::{self, Body, Statement, Subject};

pub(super) use standing::{emergency_time_fits, steward_signers};
pub(super) use well_known::{is_well_known, is_well_known_pin};

/// A statement without its body, and what it is judged against.
pub(super) struct Context<'a> {
    pub state: &'a RegisterState,
    pub id: StatementId,
    pub author: AuthorityId,
    pub subject: Subject,
    pub subject_version: u64,
    /// The author's clock.
    pub time: UnixMs,
    /// The entry's time: what outcomes depend on.
    pub now: UnixMs,
    mode: Mode,
    unverified: &'a Unverified<proto::Statement>,
    verify: &'a dyn Verify,
}

impl<'a> Context<'a> {
    pub fn new(
        state: &'a RegisterState,
        place: Place,
        statement: Statement,
        unverified: &'a Unverified<proto::Statement>,
        verify: &'a dyn Verify,
    ) -> (Self, Body) {
        let Statement { author, subject, subject_version, time, body, .. } = statement;
        let id = statement::id(&unverified.payload_digest());
        let (now, mode) = (place.entry_time, place.mode);
        (Self { state, id, author, subject, subject_version, time, now, mode, unverified, verify }, body)
    }

    fn is_live(&self) -> bool {
        self.mode == Mode::Live
    }

    /// The author as a member that has not been removed.
    fn author(&self) -> Result<&'a Arc<Member>, Outcome> {
        let member = self.state.member(&self.author).ok_or(Outcome::UnknownAuthor)?;
        if member.removed_at.is_some() { Err(Outcome::Removed) } else { Ok(member) }
    }

    /// The author, who alone signed, with its current key.
    fn signed_author(&self) -> Result<&'a Arc<Member>, Outcome> {
        let member = self.author()?;
        let key = member.entry.authority_key;
        self.unverified
            .check(&self.state.federation(), |id| (key.id() == *id).then_some(key), self.verify)
            .map_err(|_| Outcome::BadSignature)?;
        Ok(member)
    }

    fn steward(&self) -> Result<(), Outcome> {
        if self.state.is_steward(&self.author) { Ok(()) } else { Err(Outcome::NotASteward) }
    }

    /// The authority that the statement is about, with what is kept about it; not a removed one.
    fn subject_member(&self, subject: &Subject) -> Result<(&'a Arc<Member>, &'a Arc<Record>), Outcome> {
        let authority = subject.authority().ok_or(Outcome::Malformed)?;
        let member = self.state.member(authority).ok_or(Outcome::NoSuchSubject)?;
        let record = self.state.record(authority).ok_or(Outcome::NoSuchSubject)?;
        if member.removed_at.is_some() { Err(Outcome::Removed) } else { Ok((member, record)) }
    }

    /// The version of an entry that is named must be the current one.
    fn entry_version(&self, named: u64, current: u64) -> Result<(), Outcome> {
        let fits = if self.is_live() { named == current } else { named >= current };
        // Far from overflow, whatever a hostile snapshot names.
        if fits && named < u64::MAX >> 1 { Ok(()) } else { Err(Outcome::StaleVersion) }
    }
}

/// Whether the register itself, at the instant, says SUSPENDED.
fn is_suspended(member: &Member, now: UnixMs) -> bool {
    member.suspended_until.is_some_and(|until| now < until)
}

/// A version that is named must be the current one.
fn version(named: u64, current: u64) -> Result<(), Outcome> {
    if named == current { Ok(()) } else { Err(Outcome::StaleVersion) }
}

/// Judges a statement whose federation and rules version fit.
pub(super) fn judge(context: &Context<'_>, body: Body) -> Result<Effects, Outcome> {
    match body {
        Body::Genesis { .. } => Err(Outcome::Malformed),
        Body::Entry(entry) => entry::own(context, entry),
        Body::Suspend(_) => standing::emergency(context),
        Body::Proposal(act) => decision::propose(context, act),
        Body::Approval(proposal) => decision::vote(context, &proposal, None),
        Body::Rejection(proposal, reason) => decision::vote(context, &proposal, Some(reason)),
        Body::Withdrawal(proposal) => decision::withdraw(context, &proposal),
        Body::KeyRotation { new_key, compromised } => keys::rotate(context, new_key, compromised),
    }
}
