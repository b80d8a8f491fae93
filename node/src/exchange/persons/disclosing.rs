//! What a person let be shared opens one record for one recipient, is counted, and is asked again before each attempt.

use crate::domain::handling::Purpose;
use crate::domain::ids::AuthorityId;
use crate::domain::person::share::{AgreementToShare, ShareScope, ShareUse, UseQuestion};
use crate::domain::person::{CaseIndex, CaseReference, CaseScope, SubjectRef};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::time::UnixMs;
use crate::exchange::context::Error;
use crate::storage::ops::{Expect, Put, Write};
use crate::storage::rows::{DisclosureRow, DisclosureState};

use super::{HeldShare, Persons};

/// Answers to withdrawals that are looked at for one that is overdue.
const OPEN: usize = 1_000;

/// One agreement to share that opens one record.
pub(in crate::exchange) struct Opening {
    held: HeldShare,
    share: AgreementToShare,
    case: CaseIndex,
    pub share_use: ShareUse,
    scope: ShareScope,
    purpose: Purpose,
}

/// One record that is being shared.
pub(in crate::exchange) struct Disclosing<'a> {
    pub key: RecordKey,
    pub kind: RecordKind,
    pub recipient: &'a AuthorityId,
    pub now: UnixMs,
    /// A question before the referral uses nothing up.
    pub counts: bool,
}

impl Persons {
    /// The right to say something about agreements to share; nobody else does until it is dropped.
    pub(in crate::exchange) async fn one_word(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.saying.lock().await
    }

    /// What opens a record of this scope for this recipient, now.
    ///
    /// # Errors
    /// `NO_AGREEMENT_TO_SHARE`, whatever it is that stands in the way (11.9).
    pub(in crate::exchange) async fn opening(
        &self,
        authority: &AuthorityId,
        case: CaseReference,
        (scope, purpose): (ShareScope, Purpose),
        recipient: &AuthorityId,
    ) -> Result<Opening, Error> {
        let now = self.context.closing_time();
        let case = self.store().case_index(case).await?;
        let (host, silent) = (self.host(recipient), self.is_silent(recipient).await?);
        let question = UseQuestion { scope, purpose, recipient, host: host.as_ref(), silent, now };
        let found = self.of_case(case).await?.into_iter().find_map(|held| {
            let share = self.known_to_stand(&held)?.clone();
            let share_use = share.opens(&question).ok().filter(|_| held.authority == *authority)?;
            Some(Opening { held, share, case, share_use, scope, purpose })
        });
        Ok(found.ok_or(Reason::NoAgreementToShare)?)
    }

    /// Whether it owes the answer to a withdrawal, past its time.
    pub(super) async fn is_silent(&self, recipient: &AuthorityId) -> Result<bool, Error> {
        let now = self.context.closing_time();
        let silent = |row: &DisclosureRow| row.recipient == *recipient && row.due_by <= now;
        Ok(self.store().disclosures_in(DisclosureState::Noticed, OPEN).await?.iter().any(silent))
    }

    /// How a partner knows a case (9.16).
    pub(in crate::exchange) async fn subject(
        &self,
        case: CaseReference,
        partner: &AuthorityId,
    ) -> Result<SubjectRef, Error> {
        let now = self.context.best_time();
        let subjects = self.store().subjects(case, CaseScope::Support, vec![partner.clone()], now).await?;
        subjects.first().copied().ok_or_else(|| Reason::StorageDamaged.into())
    }

    /// Adds to the transaction that shares a record: that it was shared, and the use that it takes.
    pub(in crate::exchange) async fn disclose(
        &self,
        write: &mut Write,
        mut opening: Opening,
        shared: &Disclosing<'_>,
    ) -> Result<(), Error> {
        let HeldShare { id, authority, version, .. } = &opening.held;
        if shared.counts {
            opening.share.spend(&opening.share_use);
            let (_, row) = self.row(*id, authority.clone(), (opening.case, *version), &opening.share).await?;
            write.expects.push(Expect::ShareVersion(*id, *version));
            write.puts.push(Put::Share(row));
        }
        write.puts.push(Put::Disclosure(DisclosureRow {
            key: shared.key.clone(),
            recipient: shared.recipient.clone(),
            kind: shared.kind,
            scope: opening.scope,
            purpose: opening.purpose,
            case: opening.case,
            share: *id,
            shared_at: shared.now,
            erase_by: opening.share_use.erase_by(),
            state: DisclosureState::Shared,
            counter: 0,
            noticed_at: UnixMs(0),
            due_by: UnixMs(0),
            answered_at: UnixMs(0),
            receipt: bytes::Bytes::new(),
        }));
        Ok(())
    }

    /// Whether what was agreed still opens a record that is on its way; `None`: it does not, whatever it is.
    pub(in crate::exchange) async fn still_opens(&self, key: &RecordKey) -> Result<Option<ShareUse>, Error> {
        let shared = self.store().disclosure(key.clone()).await?;
        let Some(row) = shared.filter(|row| row.state == DisclosureState::Shared) else { return Ok(None) };
        let (recipient, now) = (&row.recipient, self.context.closing_time());
        let (host, silent) = (self.host(recipient), self.is_silent(recipient).await?);
        let (scope, purpose) = (row.scope, row.purpose);
        let question = UseQuestion { scope, purpose, recipient, host: host.as_ref(), silent, now };
        let held = self.of_case(row.case).await?.into_iter().find(|held| held.id == row.share);
        Ok(held.and_then(|held| self.known_to_stand(&held)?.opens_again(&question).ok()))
    }

    /// One that can be read, unless a restore may have lost that it was withdrawn: until each recipient that it names has returned
    /// what it was told of withdrawals, or somebody has confirmed it since (9.10).
    pub(super) fn known_to_stand<'h>(&self, held: &'h HeldShare) -> Option<&'h AgreementToShare> {
        let share = held.share.as_ref().ok()?;
        let named = || share.terms.scopes.iter().flat_map(|scope| &scope.recipients);
        let knows = |partner: &AuthorityId| {
            let pair = (held.authority.clone(), partner.clone());
            self.context.keys().serves(partner) || self.context.answered().knows_all(&pair)
        };
        (!held.unconfirmed || named().all(knows)).then_some(share)
    }

    fn host(&self, recipient: &AuthorityId) -> Option<AuthorityId> {
        self.context.view().member(recipient).and_then(|member| member.entry.hosted_by.clone())
    }
}
