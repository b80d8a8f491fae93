//! REMOVE: the end of a membership. A steward is demoted first.

use bytes::Bytes;

use super::context::version;
use super::{Context, Effects, Rules};
use crate::domain::audit::AuditAct;
use crate::domain::directory::Member;
use crate::domain::ids::AuthorityId;
use crate::domain::register::{Outcome, RemoveReason};
use crate::domain::statement::{Act, Decision, Remove, Subject};
use crate::state::{MemberHistory, OwnChange, RegisterState};
use crate::statements::Author;

impl Rules for Remove {
    fn is_about(&self, subject: &Subject) -> bool {
        subject.authority().is_some()
    }

    fn may_be_proposed_by(&self, author: &AuthorityId, subject: &Subject) -> bool {
        self.reason == RemoveReason::OwnRequest && subject.authority() == Some(author)
    }

    /// Whatever else happened to the member's status meanwhile does not make it stale.
    fn still_fits(&self, _state: &RegisterState, _subject: &Subject, _named: u64) -> bool {
        true
    }

    fn is_same(&self, other: &Act) -> bool {
        matches!(other, Act::Remove(other) if self == other)
    }

    fn noted_as(&self) -> AuditAct {
        AuditAct::MemberRemoved
    }

    fn check_proposed(&self, context: &Context<'_>) -> Result<(), Outcome> {
        let (member, _) = context.subject_member(&context.subject)?;
        version(context.subject_version, member.status_version)
    }

    fn carry(&self, context: &Context<'_>, subject: &Subject, _named: u64) -> Result<Effects, Outcome> {
        let (member, history) = context.subject_member(subject)?;
        if context.state.is_steward(&member.entry.authority) {
            return Err(Outcome::StillASteward);
        }
        let status_version = member.status_version + 1;
        let removed = Member { removed_at: Some(context.now), status_version, ..Member::clone(member) };
        Ok(Effects::member(removed, MemberHistory::clone(history), OwnChange::Unchanged))
    }
}

impl Author<'_> {
    /// Proposes to remove.
    pub fn remove(&self, state: &RegisterState, target: &AuthorityId, reason: RemoveReason) -> Bytes {
        self.propose(state, Decision::about(target.clone(), Remove { reason }))
    }
}
