//! Explain: may this authority have this record now, and by which clause (9.2, 9.13)? Local callers only.
//!
//! Nothing is decided here. Of an own record it is what dispatch asks, of a stored one what the read gate asks, by the same
//! functions; their yes carries the clause, their no is the reason. What a role may not read it does not find.

use crate::domain::audit::ActorRole;
use crate::domain::envelope::GrantRef;
use crate::domain::ids::AuthorityId;
use crate::domain::policy::{Clause, KeptRecord, ReadPurpose};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::records::{RecordKind, Verb};
use crate::exchange::context::Error;
use crate::storage::rows::{InboxRow, PublicationRow};

use super::Road;

/// The answer about one record and one authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub key: RecordKey,
    pub kind: RecordKind,
    /// Who would get to know it.
    pub authority: AuthorityId,
    pub answer: Result<Allowed, Reason>,
}

/// By what it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    pub clause: Clause,
    /// The grant that covers it, or under which it came; `None`: an own record that stays here.
    pub grant: Option<GrantRef>,
    /// How much of it is seen, of a kind that is shown by levels.
    pub level: Option<DisclosureLevel>,
}

impl Road {
    /// Explains about a record that this role may read. `authority`: one of this node's own asks for the caller itself.
    ///
    /// # Errors
    /// `NOT_FOUND` for what is not here, or not this role's to see.
    pub async fn explain(
        &self,
        role: ActorRole,
        key: &RecordKey,
        authority: Option<AuthorityId>,
    ) -> Result<Explanation, Error> {
        let (kind, authority, answer) = if self.context.keys().serves(&key.origin) {
            let row = self.store().publication(key.clone()).await?.ok_or(Reason::NotFound)?;
            let authority = authority.unwrap_or_else(|| row.authority.clone());
            (row.record.kind(), authority.clone(), self.explain_own(role, &row, &authority).await?)
        } else {
            let row = self.store().inbox_record(key.clone()).await?.ok_or(Reason::NotFound)?;
            let authority = authority.unwrap_or_else(|| row.recipient.clone());
            (row.record.kind(), authority.clone(), self.explain_received(role, &row, &authority).await?)
        };
        Ok(Explanation { key: key.clone(), kind, authority, answer })
    }

    async fn explain_own(
        &self,
        role: ActorRole,
        row: &PublicationRow,
        to: &AuthorityId,
    ) -> Result<Result<Allowed, Reason>, Error> {
        readable(&row.record, role)?;
        if self.context.keys().serves(to) {
            let shown = self.context.may_read(&row.record, role, ReadPurpose::Show);
            return Ok(shown.map(|reading| Allowed { clause: reading.clause(), grant: None, level: None }));
        }
        self.would_dispatch(row, to).await
    }

    async fn explain_received(
        &self,
        role: ActorRole,
        row: &InboxRow,
        to: &AuthorityId,
    ) -> Result<Result<Allowed, Reason>, Error> {
        readable(&row.record, role)?;
        if row.recipient != *to {
            return Ok(Err(Reason::NotForThisAuthority));
        }
        // A system asks about what it would be given.
        let purpose = if role == ActorRole::Consumer { ReadPurpose::Consume } else { ReadPurpose::Show };
        let reading = match self.context.may_read_received(row, role, purpose) {
            Ok(reading) => reading,
            Err(reason) => return Ok(Err(reason)),
        };
        if self.received_taken_back(vec![row.key.clone()]).await?.contains(&row.key) {
            return Ok(Err(Reason::RecordCancelled));
        }
        let (envelope, _) = self.context.opened_received(row, reading)?;
        Ok(Ok(Allowed { clause: reading.clause(), grant: envelope.grant, level: None }))
    }
}

/// What is not this role's to see is not found by it.
fn readable(record: &KeptRecord, role: ActorRole) -> Result<(), Reason> {
    record.kind().open_to(Verb::Read, role).map_err(|_| Reason::NotFound)
}
