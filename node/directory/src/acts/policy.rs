//! POLICY: what a majority of stewards may change for all. Rules are raised, never lowered.

use bytes::Bytes;

use super::context::version;
use super::{Context, Effects, Rules};
use crate::domain::audit::AuditAct;
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::domain::statement::{Act, Policy, Subject};
use crate::state::{KNOWN_RULES, RegisterState};
use crate::statements::Author;

impl Rules for Policy {
    fn is_about(&self, subject: &Subject) -> bool {
        *subject == Subject::Policy
    }

    fn is_same(&self, other: &Act) -> bool {
        matches!(other, Act::Policy(other) if self == other)
    }

    fn replaces(&self, state: &RegisterState, _subject: &Subject) -> Option<Act> {
        Some(state.policy().clone().into())
    }

    fn noted_as(&self) -> AuditAct {
        AuditAct::PolicyChanged
    }

    /// A steward asks for no rules that its own program does not know: once they are in force, every node like it stops,
    /// and no vote takes them back.
    fn check_before_signing(&self, _state: &RegisterState, _subject: &Subject) -> Result<(), Reason> {
        if self.rules_version > KNOWN_RULES { Err(Reason::RulesTooOld) } else { Ok(()) }
    }

    fn carry(&self, context: &Context<'_>, _subject: &Subject, named: u64) -> Result<Effects, Outcome> {
        version(named, context.state.version(&Subject::Policy))?;
        if self.rules_version < context.state.policy().rules_version {
            return Err(Outcome::RulesVersion);
        }
        Ok(Effects { policy: Some(self.clone()), ..Effects::default() })
    }
}

impl Author<'_> {
    /// Proposes another policy.
    pub fn policy(&self, state: &RegisterState, policy: &Policy) -> Bytes {
        self.propose(state, policy.clone().into())
    }
}
