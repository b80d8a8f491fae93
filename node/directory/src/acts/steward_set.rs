//! STEWARD_SET: 1 to 7 stewards, changed by one at a time, each under a Raft id of its own that is never used twice.

use bytes::Bytes;

use super::context::{is_suspended, version};
use super::{Context, Effects, Rules};
use crate::domain::audit::AuditAct;
use crate::domain::directory::Steward;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::domain::statement::{Act, StewardSet, Subject};
use crate::state::RegisterState;
use crate::statements::Author;

const MOST: usize = 7;

impl Rules for StewardSet {
    fn is_about(&self, subject: &Subject) -> bool {
        *subject == Subject::Stewards
    }

    fn is_same(&self, other: &Act) -> bool {
        matches!(other, Act::StewardSet(other) if self == other)
    }

    fn replaces(&self, state: &RegisterState, _subject: &Subject) -> Option<Act> {
        Some(StewardSet { stewards: state.stewards().to_vec() }.into())
    }

    /// Whom it adds, or takes.
    fn concerns(&self, state: &RegisterState, _subject: &Subject) -> Option<AuthorityId> {
        let now = state.stewards();
        let added = self.stewards.iter().find(|wanted| !now.contains(wanted));
        let taken = now.iter().find(|steward| !self.stewards.contains(steward));
        added.or(taken).map(|steward| steward.authority.clone())
    }

    fn newcomer(&self, state: &RegisterState) -> Option<Steward> {
        self.stewards.iter().find(|steward| !state.stewards().contains(steward)).cloned()
    }

    /// A node whose Raft id is spent is not brought up to date: it takes another one when it starts again.
    fn check_before_signing(&self, state: &RegisterState, _subject: &Subject) -> Result<(), Reason> {
        let spent = self.newcomer(state).is_some_and(|newcomer| state.has_voted(newcomer.raft_id));
        if spent { Err(Reason::RaftIdReused) } else { Ok(()) }
    }

    fn noted_as(&self) -> AuditAct {
        AuditAct::StewardsChanged
    }

    /// One steward more, one less, or one under a new Raft id.
    fn carry(&self, context: &Context<'_>, _subject: &Subject, named: u64) -> Result<Effects, Outcome> {
        let state = context.state;
        version(named, state.version(&Subject::Stewards))?;
        let mut set = self.stewards.clone();
        set.sort_by(|a, b| a.authority.cmp(&b.authority));
        if set.is_empty() {
            return Err(Outcome::LastSteward);
        }
        let repeated = set.windows(2).any(|pair| pair[0].authority == pair[1].authority);
        if repeated || set.len() > MOST {
            return Err(Outcome::Malformed);
        }
        let before = state.stewards();
        let new: Vec<&Steward> = set.iter().filter(|s| !before.contains(s)).collect();
        let gone = before.iter().filter(|s| !set.contains(s)).count();
        match (new.as_slice(), gone) {
            ([], 1) => {}
            ([one], 0) => check_new(context, one)?,
            ([one], 1) if state.is_steward(&one.authority) => check_new(context, one)?,
            _ => return Err(Outcome::OneStewardAtATime),
        }
        Ok(Effects { stewards: Some(set), ..Effects::default() })
    }
}

/// An active member with a node of its own, whose entry announces the Raft id.
fn check_new(context: &Context<'_>, steward: &Steward) -> Result<(), Outcome> {
    let member = context.state.member(&steward.authority).ok_or(Outcome::NoSuchSubject)?;
    if member.removed_at.is_some() {
        return Err(Outcome::Removed);
    }
    if is_suspended(member, context.now) {
        return Err(Outcome::Suspended);
    }
    if context.state.has_voted(steward.raft_id) {
        return Err(Outcome::RaftIdReused);
    }
    let announced = !context.is_live() || steward.raft_id == member.entry.raft_id;
    if steward.raft_id == 0 || !announced || member.entry.hosted_by.is_some() {
        return Err(Outcome::InvalidEntry);
    }
    Ok(())
}

/// The set with one more steward.
///
/// # Errors
/// `MEMBER_UNKNOWN`, `ALREADY_APPROVED` for one that is a steward, `ENTRY_INVALID` for one that announces no Raft id.
pub fn promoted(state: &RegisterState, target: &AuthorityId) -> Result<StewardSet, Reason> {
    let member = state.member(target).ok_or(Reason::MemberUnknown)?;
    if state.is_steward(target) {
        return Err(Reason::AlreadyApproved);
    }
    if member.entry.raft_id == 0 {
        return Err(Reason::EntryInvalid);
    }
    Ok(set(state, target, Some(member.entry.raft_id)))
}

/// The set without one of its stewards.
///
/// # Errors
/// `NOT_A_STEWARD`.
pub fn demoted(state: &RegisterState, target: &AuthorityId) -> Result<StewardSet, Reason> {
    if state.is_steward(target) { Ok(set(state, target, None)) } else { Err(Reason::NotASteward) }
}

/// The set in which a steward stands under the Raft id that its entry announces now.
///
/// # Errors
/// `NOT_A_STEWARD`.
pub fn replaced(state: &RegisterState, target: &AuthorityId) -> Result<StewardSet, Reason> {
    let member = state.member(target).filter(|_| state.is_steward(target)).ok_or(Reason::NotASteward)?;
    Ok(set(state, target, Some(member.entry.raft_id)))
}

/// In the order of their ids.
fn set(state: &RegisterState, target: &AuthorityId, raft_id: Option<u64>) -> StewardSet {
    let mut stewards: Vec<Steward> = state.stewards().iter().filter(|s| s.authority != *target).cloned().collect();
    stewards.extend(raft_id.map(|raft_id| Steward { authority: target.clone(), raft_id }));
    stewards.sort_by(|a, b| a.authority.cmp(&b.authority));
    StewardSet { stewards }
}

impl Author<'_> {
    /// Proposes another set of stewards: one more, one less, or one under its new Raft id.
    pub fn steward_set(&self, state: &RegisterState, stewards: &[Steward]) -> Bytes {
        self.propose(state, StewardSet { stewards: stewards.to_vec() }.into())
    }
}
