//! A new authority key by its owner, signed by the old one and by the new one.

use bytes::Bytes;

use super::context::is_suspended;
use super::keys::{check_new, replace};
use super::{Context, Effects, Judge};
use crate::domain::directory::Member;
use crate::domain::register::Outcome;
use crate::domain::statement::{RotateKey, Subject};
use crate::state::{OwnChange, RegisterState};
use crate::statements::Author;
use crate::wire::keys::SigningKey;
use crate::wire::statement;

impl Judge for RotateKey {
    /// Not while suspended: whoever holds the old key may not be its owner.
    fn judge(self, context: &Context<'_>) -> Result<Effects, Outcome> {
        let member = context.author()?;
        if context.subject != Subject::Authority(context.author.clone()) {
            return Err(Outcome::NotYours);
        }
        let both = [member.entry.authority_key, self.new_key];
        let signers = context.signed_by(&both)?;
        if !both.iter().all(|key| signers.contains(&key.id())) {
            return Err(Outcome::BadSignature);
        }
        context.entry_version(context.subject_version, member.version)?;
        if is_suspended(member, context.now) {
            return Err(Outcome::Suspended);
        }
        check_new(context, &self.new_key)?;
        let history = context.own_history()?;
        let mut changed = Member { version: context.subject_version + 1, ..Member::clone(member) };
        replace(context, &mut changed, self.new_key, self.compromised);
        Ok(Effects::member(changed, history, OwnChange::Unchanged))
    }
}

impl Author<'_> {
    /// A new authority key, signed by the old one (the author's) and the new one.
    pub fn key_rotation(&self, state: &RegisterState, new_key: &SigningKey, compromised: bool) -> Bytes {
        let body = RotateKey { new_key: new_key.public(), compromised };
        let subject = Subject::Authority(self.authority.clone());
        let version = state.entry_version(self.authority);
        let statement = self.statement(state.federation(), state.policy().rules_version, subject, version, body);
        statement::sign(&statement, &[self.key, new_key]).signed
    }
}
