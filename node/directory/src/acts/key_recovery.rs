//! KEY_RECOVERY: a lost key replaced by the majority, together with pins and endpoints. Nothing signed with any older key
//! verifies any more.

use bytes::Bytes;

use super::context::version;
use super::entry_change::entry_now;
use super::keys::replace;
use super::{Context, Effects, Rules, entry};
use crate::domain::audit::AuditAct;
use crate::domain::authority::{AuthorityEntry, PublicKey};
use crate::domain::directory::Member;
use crate::domain::ids::AuthorityId;
use crate::domain::register::Outcome;
use crate::domain::statement::{Act, Decision, KeyRecovery, SignedEntry, Subject};
use crate::state::{MemberHistory, OwnChange, RegisterState};
use crate::statements::Author;

impl Rules for KeyRecovery {
    fn is_about(&self, subject: &Subject) -> bool {
        subject.authority() == Some(&self.entry.entry.authority)
    }

    /// The key is what it is about.
    fn is_same(&self, other: &Act) -> bool {
        matches!(other, Act::KeyRecovery(other) if self.new_key == other.new_key)
    }

    fn replaces(&self, state: &RegisterState, subject: &Subject) -> Option<Act> {
        entry_now(state, subject)
    }

    fn noted_as(&self) -> AuditAct {
        AuditAct::KeyChanged
    }

    fn check_proposed(&self, context: &Context<'_>) -> Result<(), Outcome> {
        context.check_signed_entry(&self.entry)
    }

    fn carry(&self, context: &Context<'_>, _subject: &Subject, named: u64) -> Result<Effects, Outcome> {
        let entry = &self.entry.entry;
        let (member, history) = context.subject_member(&Subject::Authority(entry.authority.clone()))?;
        version(named, member.status_version)?;
        if self.entry.subject_version != named || entry.authority_key != self.new_key {
            return Err(Outcome::StaleVersion);
        }
        if !entry::same_identity(entry, &member.entry) {
            return Err(Outcome::NeedsApproval);
        }
        entry::check(context, entry, Some(member))?;
        let mut changed = Member::clone(member);
        changed.version += 1;
        changed.status_version += 1;
        replace(context, &mut changed, self.new_key, true);
        for key in changed.keys.iter_mut().filter(|key| key.key != self.new_key) {
            key.compromised = true;
        }
        changed.entry = entry.clone();
        Ok(Effects::member(changed, MemberHistory::clone(history), OwnChange::Archived))
    }
}

impl Author<'_> {
    /// The new entry that goes into a key recovery: signed by the new key, at the version of the member's status.
    pub fn recovery_entry(&self, state: &RegisterState, entry: &AuthorityEntry) -> SignedEntry {
        let version = state.version(&Subject::Authority(self.authority.clone()));
        self.application(&state.federation(), state.policy().rules_version, version, entry)
    }

    /// Proposes to replace a lost key; `entry` is what `recovery_entry` gave.
    pub fn key_recovery(
        &self,
        state: &RegisterState,
        target: &AuthorityId,
        new_key: &PublicKey,
        entry: SignedEntry,
    ) -> Bytes {
        self.propose(state, Decision::about(target.clone(), KeyRecovery { new_key: *new_key, entry }))
    }
}
