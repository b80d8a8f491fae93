//! SUSPEND: a suspension that lasts until restored. Whatever else happened to the member's status meanwhile does not make
//! it stale: otherwise one steward's emergency suspension would delay the majority's.

use bytes::Bytes;

use super::context::version;
use super::{Context, Effects, Rules};
use crate::domain::audit::AuditAct;
use crate::domain::directory::Member;
use crate::domain::ids::AuthorityId;
use crate::domain::register::{Outcome, SuspendReason};
use crate::domain::statement::{Act, Decision, Subject, Suspend};
use crate::domain::time::UnixMs;
use crate::state::{MemberHistory, OwnChange, RegisterState};
use crate::statements::Author;

impl Rules for Suspend {
    fn is_about(&self, subject: &Subject) -> bool {
        subject.authority().is_some()
    }

    fn still_fits(&self, _state: &RegisterState, _subject: &Subject, _named: u64) -> bool {
        true
    }

    /// Whatever the reason: it suspends.
    fn is_same(&self, other: &Act) -> bool {
        matches!(other, Act::Suspend(_))
    }

    fn noted_as(&self) -> AuditAct {
        AuditAct::MemberSuspended
    }

    fn check_proposed(&self, context: &Context<'_>) -> Result<(), Outcome> {
        let (member, _) = context.subject_member(&context.subject)?;
        version(context.subject_version, member.status_version)
    }

    fn carry(&self, context: &Context<'_>, subject: &Subject, _named: u64) -> Result<Effects, Outcome> {
        let (member, history) = context.subject_member(subject)?;
        if member.suspended_until == Some(UnixMs::NEVER) {
            return Err(Outcome::Suspended);
        }
        Ok(suspended_until(member, MemberHistory::clone(history), Some(UnixMs::NEVER)))
    }
}

/// The member under another end of its suspension; `None`: it is not suspended any more.
pub(super) fn suspended_until(member: &Member, history: MemberHistory, until: Option<UnixMs>) -> Effects {
    let status_version = member.status_version + 1;
    let changed = Member { suspended_until: until, status_version, ..Member::clone(member) };
    Effects::member(changed, history, OwnChange::Unchanged)
}

impl Author<'_> {
    /// Proposes a suspension that lasts until restored.
    pub fn lasting_suspend(&self, state: &RegisterState, target: &AuthorityId, reason: SuspendReason) -> Bytes {
        self.propose(state, Decision::about(target.clone(), Suspend { reason }))
    }
}
