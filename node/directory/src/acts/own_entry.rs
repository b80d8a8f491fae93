//! An authority's change of its own endpoints, pins, contacts, networks, services, place on the corridor and Raft id: its own
//! signature is enough. Sent before it is a member, the same statement is an application (`admit`).

use bytes::Bytes;

use super::entry::{check, same_identity};
use super::{Context, Effects, Judge};
use crate::domain::authority::AuthorityEntry;
use crate::domain::directory::Member;
use crate::domain::ids::FederationId;
use crate::domain::register::Outcome;
use crate::domain::statement::{OwnEntry, SignedEntry, Subject};
use crate::state::{OwnChange, RegisterState};
use crate::statements::Author;

impl Judge for OwnEntry {
    fn judge(self, context: &Context<'_>) -> Result<Effects, Outcome> {
        let entry = self.entry;
        let own = context.subject == Subject::Authority(context.author.clone()) && entry.authority == context.author;
        if !own {
            return Err(Outcome::NotYours);
        }
        if context.state.member(&context.author).is_none() {
            return Err(Outcome::NeedsApproval);
        }
        let member = context.signed_author()?;
        context.entry_version(context.subject_version, member.version)?;
        if entry.authority_key != member.entry.authority_key || !same_identity(&entry, &member.entry) {
            return Err(Outcome::NeedsApproval);
        }
        check(context, &entry, Some(member))?;
        let history = context.own_history()?;
        let changed = Member {
            entry,
            version: context.subject_version + 1,
            status_version: member.status_version,
            keys: member.keys.clone(),
            suspended_until: member.suspended_until,
            removed_at: None,
        };
        Ok(Effects::member(changed, history, OwnChange::Supersedes))
    }
}

impl Author<'_> {
    /// A change of the author's own entry.
    pub fn entry(&self, state: &RegisterState, entry: &AuthorityEntry) -> Bytes {
        let subject = Subject::Authority(self.authority.clone());
        let version = state.entry_version(self.authority);
        self.sign(state, subject, version, OwnEntry { entry: entry.clone() }).signed
    }

    /// An application: the applicant's own entry, signed by its own new key. `version`: 0, unless it was a member once.
    pub fn application(
        &self,
        federation: &FederationId,
        rules: u32,
        version: u64,
        entry: &AuthorityEntry,
    ) -> SignedEntry {
        let subject = Subject::Authority(self.authority.clone());
        let statement = self.statement(*federation, rules, subject, version, OwnEntry { entry: entry.clone() });
        SignedEntry {
            federation: *federation,
            rules_version: rules,
            subject_version: version,
            entry: entry.clone(),
            signed: self.signed(&statement).signed,
        }
    }
}
