//! What was agreed, for who knows the case: how each stands, whether one opens a use, and one as it is exported.

use crate::domain::audit::{Actor, AuditAct, AuditDraft};
use crate::domain::handling::Purpose;
use crate::domain::ids::{AuthorityId, ShareId};
use crate::domain::person::share::{ShareScope, ShareUse, UseQuestion};
use crate::domain::person::{CaseReference, CaseScope};
use crate::domain::reason::Reason;
use crate::exchange::context::{Error, Table};
use crate::storage::ops::Write;
use crate::wire;

use super::export::{Exported, json_ld};
use super::{HeldShare, Persons};

impl Persons {
    /// What was agreed about a case, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn show(&self, case: CaseReference) -> Result<Vec<HeldShare>, Error> {
        let case = self.store().case_index(case).await?;
        self.of_case(case).await
    }

    /// May one record of this scope be shared with this recipient, for this purpose, now? Which agreement says so.
    ///
    /// # Errors
    /// `NO_AGREEMENT_TO_SHARE`, whatever it is that stands in the way (11.9); `ERASURE_OVERDUE` for a recipient that owes an answer.
    pub async fn check(
        &self,
        case: CaseReference,
        (scope, purpose): (ShareScope, Purpose),
        recipient: &AuthorityId,
    ) -> Result<(ShareId, ShareUse), Error> {
        let view = self.context.view();
        let host = view.member(recipient).and_then(|member| member.entry.hosted_by.as_ref());
        let (silent, now) = (self.is_silent(recipient).await?, self.context.closing_time());
        let question = UseQuestion { scope, purpose, recipient, host, silent, now };
        let held = self.show(case).await?;
        let opens = |held: &HeldShare| Some((held.id, self.known_to_stand(held)?.opens(&question).ok()?));
        let (id, share_use) = held.iter().find_map(opens).ok_or(Reason::NoAgreementToShare)?;
        share_use.check_silence().map_err(|reason| Error::about(recipient, reason))?;
        Ok((id, share_use))
    }

    /// One agreement to share as JSON-LD. The ledger says that it was read for a person.
    ///
    /// # Errors
    /// `NOT_FOUND`; when the ledger could not be written: then it is not given.
    pub async fn export(&self, actor: Actor, case: CaseReference, id: ShareId) -> Result<String, Error> {
        let held = self.show(case.clone()).await?.into_iter().find(|held| held.id == id).ok_or(Reason::NotFound)?;
        let HeldShare { authority, share, .. } = held;
        let share = share?;
        // By its origin's own pseudonym of the case: the reference is the caseworkers' and stays with them.
        let own = vec![authority.clone()];
        let subjects = self.store().subjects(case, CaseScope::Support, own, self.context.best_time()).await?;
        let lost = || self.context.unreadable(Table::AgreementToShare, None, id, wire::Error::missing("subject"));
        let subject = *subjects.first().ok_or_else(lost)?;
        let read = AuditDraft { actor, ..AuditDraft::by_node(AuditAct::ReadForPerson) };
        self.store().write(Write::audit(vec![read]).into()).await?;
        Ok(json_ld(&Exported { id, authority: &authority, subject, share: &share }))
    }
}
