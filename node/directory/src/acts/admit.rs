//! ADMIT: an applicant becomes a member, with the entry that it signed itself; as many stewards as the policy says.

use bytes::Bytes;

use super::context::Context;
use super::entry_change::entry_now;
use super::{Effects, Rules, entry};
use crate::domain::audit::AuditAct;
use crate::domain::authority::KeyRecord;
use crate::domain::directory::Member;
use crate::domain::ids::{AuthorityId, Digest, InvitationId};
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::domain::statement::{Act, Admit, Decision, SignedEntry, Subject};
use crate::state::{MemberHistory, OwnChange, RegisterState};
use crate::statements::Author;

/// What binds an admission to its invitation and to the six words.
#[derive(Clone, Debug)]
pub struct Invited {
    pub by: AuthorityId,
    pub invitation: Option<InvitationId>,
    pub words: Option<Digest>,
}

impl Rules for Admit {
    fn is_about(&self, subject: &Subject) -> bool {
        subject.authority() == Some(&self.application.entry.authority)
    }

    /// A member proposes whom it invited.
    fn may_be_proposed_by(&self, author: &AuthorityId, _subject: &Subject) -> bool {
        self.invited_by == *author
    }

    fn version(&self, state: &RegisterState, _subject: &Subject) -> u64 {
        state.entry_version(&self.application.entry.authority)
    }

    fn still_fits(&self, _state: &RegisterState, _subject: &Subject, _named: u64) -> bool {
        true
    }

    fn needed(&self, state: &RegisterState) -> usize {
        let policy = usize::try_from(state.policy().admission_approvals).unwrap_or(usize::MAX);
        policy.min(state.stewards().len())
    }

    fn is_same(&self, other: &Act) -> bool {
        matches!(other, Act::Admit(other) if self == other)
    }

    fn replaces(&self, state: &RegisterState, subject: &Subject) -> Option<Act> {
        entry_now(state, subject)
    }

    fn noted_as(&self) -> AuditAct {
        AuditAct::MemberApproved
    }

    /// An applicant is no member yet.
    fn check_before_signing(&self, _state: &RegisterState, _subject: &Subject) -> Result<(), Reason> {
        Ok(())
    }

    fn check_proposed(&self, context: &Context<'_>) -> Result<(), Outcome> {
        context.check_signed_entry(&self.application)
    }

    fn carry(&self, context: &Context<'_>, _subject: &Subject, named: u64) -> Result<Effects, Outcome> {
        let entry = &self.application.entry;
        let before = context.state.member(&entry.authority);
        if before.is_some_and(|member| member.removed_at.is_none()) {
            return Err(Outcome::AlreadyMember);
        }
        context.entry_version(named, before.map_or(0, |member| member.version))?;
        if self.application.subject_version != named {
            return Err(Outcome::StaleVersion);
        }
        if context.state.member(&self.invited_by).is_none_or(|inviter| inviter.removed_at.is_some()) {
            return Err(Outcome::NoSuchSubject);
        }
        entry::check(context, entry, None)?;
        let current = KeyRecord { key: entry.authority_key, replaced_at: None, compromised: false };
        let mut member = Member {
            entry: entry.clone(),
            version: named + 1,
            status_version: 1,
            keys: vec![current],
            suspended_until: None,
            removed_at: None,
        };
        let Some(before) = before else {
            return Ok(Effects::member(member, MemberHistory::new(context.now), OwnChange::Unchanged));
        };
        // It had left and comes back: with a new key, and with its history.
        let retired = |key: &KeyRecord| KeyRecord {
            replaced_at: Some(key.replaced_at.unwrap_or(context.now)),
            compromised: true,
            key: key.key,
        };
        member.keys = before.keys.iter().map(retired).chain([current]).collect();
        member.status_version = before.status_version + 1;
        let history = context.state.history(&entry.authority).ok_or(Outcome::NoSuchSubject)?;
        let history = MemberHistory { admitted_at: context.now, ..MemberHistory::clone(history) };
        Ok(Effects::member(member, history, OwnChange::Archived))
    }
}

impl Author<'_> {
    /// Proposes to admit an applicant.
    pub fn admit(
        &self,
        state: &RegisterState,
        applicant: &AuthorityId,
        application: SignedEntry,
        invited: &Invited,
    ) -> Bytes {
        let Invited { by, invitation, words } = invited.clone();
        let admit = Admit { application, invited_by: by, invitation, words };
        let version = state.entry_version(applicant);
        self.propose_at(state, version, Decision::about(applicant.clone(), admit))
    }
}
