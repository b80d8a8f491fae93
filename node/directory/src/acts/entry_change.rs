//! ENTRY_CHANGE: kind, names, identifiers or host of a member, with the rest of its entry; the key not. A majority
//! decides what stewards looked at when they admitted it.

use bytes::Bytes;

use super::{Context, Effects, Rules, entry};
use crate::domain::audit::AuditAct;
use crate::domain::authority::AuthorityEntry;
use crate::domain::directory::Member;
use crate::domain::ids::AuthorityId;
use crate::domain::register::Outcome;
use crate::domain::statement::{Act, Decision, EntryChange, Subject};
use crate::state::{MemberHistory, OwnChange, RegisterState};
use crate::statements::Author;

impl Rules for EntryChange {
    fn is_about(&self, subject: &Subject) -> bool {
        subject.authority() == Some(&self.entry.authority)
    }

    fn may_be_proposed_by(&self, author: &AuthorityId, subject: &Subject) -> bool {
        subject.authority() == Some(author)
    }

    fn version(&self, state: &RegisterState, _subject: &Subject) -> u64 {
        state.entry_version(&self.entry.authority)
    }

    fn is_same(&self, other: &Act) -> bool {
        matches!(other, Act::EntryChange(other) if self == other)
    }

    fn replaces(&self, state: &RegisterState, subject: &Subject) -> Option<Act> {
        entry_now(state, subject)
    }

    fn noted_as(&self) -> AuditAct {
        AuditAct::PolicyChanged
    }

    fn carry(&self, context: &Context<'_>, _subject: &Subject, named: u64) -> Result<Effects, Outcome> {
        let subject = Subject::Authority(self.entry.authority.clone());
        let (member, history) = context.subject_member(&subject)?;
        context.entry_version(named, member.version)?;
        if self.entry.authority_key != member.entry.authority_key {
            // A key is changed by its owner, or recovered: never as part of something else.
            return Err(Outcome::InvalidEntry);
        }
        entry::check(context, &self.entry, Some(member))?;
        let changed = Member { entry: self.entry.clone(), version: named + 1, ..Member::clone(member) };
        Ok(Effects::member(changed, MemberHistory::clone(history), OwnChange::Cleared))
    }
}

/// The entry that stands in the register now.
pub(super) fn entry_now(state: &RegisterState, subject: &Subject) -> Option<Act> {
    let member = state.member(subject.authority()?)?;
    Some(EntryChange { entry: member.entry.clone() }.into())
}

impl Author<'_> {
    /// Proposes another kind, names, identifiers or host: the whole new entry.
    pub fn entry_change(&self, state: &RegisterState, entry: &AuthorityEntry) -> Bytes {
        self.propose(state, Decision::about(entry.authority.clone(), EntryChange { entry: entry.clone() }))
    }
}
