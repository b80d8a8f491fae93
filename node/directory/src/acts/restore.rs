//! RESTORE: the end of a suspension, and of the emergency suspensions that the overlay holds: the register may not know
//! of them.

use std::sync::Arc;

use bytes::Bytes;

use super::context::{is_suspended, version};
use super::suspend::suspended_until;
use super::{Context, Effects, Rules};
use crate::domain::audit::AuditAct;
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::register::Outcome;
use crate::domain::statement::{Act, Decision, Restore, Subject};
use crate::state::{MemberHistory, RegisterState};
use crate::statements::Author;

impl Rules for Restore {
    fn is_about(&self, subject: &Subject) -> bool {
        subject.authority().is_some()
    }

    /// Whatever it lifts: what nodes hold in their overlays differs for a while.
    fn is_same(&self, other: &Act) -> bool {
        matches!(other, Act::Restore(_))
    }

    fn noted_as(&self) -> AuditAct {
        AuditAct::MemberRestored
    }

    fn carry(&self, context: &Context<'_>, subject: &Subject, named: u64) -> Result<Effects, Outcome> {
        let (member, history) = context.subject_member(subject)?;
        version(named, member.status_version)?;
        if self.lifts.is_empty() && !is_suspended(member, context.now) {
            return Err(Outcome::NotSuspended);
        }
        let mut history = MemberHistory::clone(history);
        let lifted = Arc::make_mut(&mut history.lifted);
        lifted.extend_from_slice(&self.lifts);
        lifted.sort_unstable();
        lifted.dedup();
        Ok(suspended_until(member, history, None))
    }
}

impl Author<'_> {
    /// Proposes to restore, and to lift the emergency suspensions named.
    pub fn restore(&self, state: &RegisterState, target: &AuthorityId, lifts: &[StatementId]) -> Bytes {
        self.propose(state, Decision::about(target.clone(), Restore { lifts: lifts.to_vec() }))
    }
}
