//! MANDATE: an authority lets an organisation act for it, within limits; its own signature is enough, and ends it as well.
//! A mandate is the issuer's matter, so no steward is asked; everybody sees it.

use bytes::Bytes;

use super::context::is_suspended;
use super::{Context, Effects, Judge};
use crate::domain::authority::ParticipantKind;
use crate::domain::ids::AuthorityId;
use crate::domain::mandate::{IssueMandate, IssuedMandate, Mandate, RevokeMandate};
use crate::domain::register::Outcome;
use crate::domain::statement::Subject;
use crate::state::RegisterState;
use crate::statements::Author;

/// Public bodies that answer for what is done in their name.
const ISSUERS: [ParticipantKind; 5] = [
    ParticipantKind::LocalAuthority,
    ParticipantKind::RegionalAuthority,
    ParticipantKind::RegionalContactPoint,
    ParticipantKind::CrossBorderBody,
    ParticipantKind::NationalContactPoint,
];

impl Judge for IssueMandate {
    fn judge(self, context: &Context<'_>) -> Result<Effects, Outcome> {
        let issuer = context.signed_author()?;
        let (holder, _) = context.subject_member(&context.subject)?;
        if is_suspended(issuer, context.now) {
            return Err(Outcome::Suspended);
        }
        if !ISSUERS.contains(&issuer.entry.kind) {
            return Err(Outcome::NotYours);
        }
        if holder.entry.kind != ParticipantKind::MandatedNgo {
            return Err(Outcome::InvalidEntry);
        }
        let holder = &holder.entry.authority;
        let version = context.state.mandates().version(holder, &context.author);
        context.entry_version(context.subject_version, version)?;
        Ok(changed(context, holder, Ok(self.mandate)))
    }
}

impl Judge for RevokeMandate {
    /// A suspended issuer too: what ends something is never kept from acting.
    fn judge(self, context: &Context<'_>) -> Result<Effects, Outcome> {
        context.signed_author()?;
        let (holder, _) = context.subject_member(&context.subject)?;
        let holder = &holder.entry.authority;
        let before = context.state.mandates().get(holder, &context.author);
        // A snapshot carries the end, and no more what it ended.
        if context.is_live() && before.is_none_or(|before| before.mandate.is_err()) {
            return Err(Outcome::NotYours);
        }
        context.entry_version(context.subject_version, before.map_or(0, |before| before.version))?;
        Ok(changed(context, holder, Err(context.now)))
    }
}

fn changed(
    context: &Context<'_>,
    holder: &AuthorityId,
    mandate: Result<Mandate, crate::domain::time::UnixMs>,
) -> Effects {
    let (holder, issuer) = (holder.clone(), context.author.clone());
    let version = context.subject_version + 1;
    let mandate = IssuedMandate { holder, issuer, version, statement: context.id, mandate };
    Effects { mandate: Some(mandate), ..Effects::default() }
}

impl Author<'_> {
    /// Issues a mandate, in place of the author's earlier one for this holder.
    pub fn issue_mandate(&self, state: &RegisterState, holder: &AuthorityId, mandate: &Mandate) -> Bytes {
        let version = state.mandates().version(holder, self.authority);
        self.sign(state, Subject::Authority(holder.clone()), version, IssueMandate { mandate: mandate.clone() }).signed
    }

    /// Ends the author's mandate for this holder.
    pub fn revoke_mandate(&self, state: &RegisterState, holder: &AuthorityId) -> Bytes {
        let version = state.mandates().version(holder, self.authority);
        self.sign(state, Subject::Authority(holder.clone()), version, RevokeMandate).signed
    }
}
