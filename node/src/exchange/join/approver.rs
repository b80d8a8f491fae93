//! The approver: compares the typed words with the transcript, then proposes; further stewards sign what it pinned.

use super::Error;
use super::admissions::{Admission, JoinStep};
use super::inviter::{Inviter, Step};
use crate::domain::audit::{Actor, AuditAct, AuditDraft};
use crate::domain::ids::{AuthorityId, InvitationId, StatementId};
use crate::domain::join::invitation::{Compared, Received};
use crate::domain::join::{Application, ApplicationState, HeldInvitation, Words};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::register::{Decided, RejectionReason};
use crate::domain::time::UnixMs;
use crate::telemetry::journal::{Entry, Event};

/// An application that waits here for the words. It does not carry them.
#[derive(Clone, Debug)]
pub struct PendingApplication {
    pub invitation: InvitationId,
    pub application: Application,
    pub received: UnixMs,
    pub failed_words: u32,
}

impl Inviter {
    /// Applications that hold an invitation of this node and wait for the words, oldest first. One whose words were
    /// compared is a proposal of the register, and is listed there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn applications(&self) -> Result<Vec<PendingApplication>, Error> {
        let view = self.0.register.view();
        let mut waiting: Vec<PendingApplication> = self
            .all()
            .await?
            .into_iter()
            .filter_map(|held| {
                let received = held.received()?;
                let open = received.state == ApplicationState::NeedsApproval
                    && received.proposal.is_none()
                    && !self.lapsed(received)
                    && view.member(&received.application.authority).is_none_or(|m| m.removed_at.is_some());
                open.then(|| PendingApplication {
                    invitation: held.invitation.id,
                    application: received.application.clone(),
                    received: received.received,
                    failed_words: received.failed_words,
                })
            })
            .collect();
        waiting.sort_by_key(|w| w.received);
        Ok(waiting)
    }

    /// Approves an applicant. The steward whose invitation it holds types the six words, and a proposal that pins the
    /// transcript is made; every other steward, without words, signs that proposal.
    ///
    /// # Errors
    /// `WORDS_NEEDED`, `WORDS_DIFFER`, `WORDS_FAILED` at the third failure; `FIELD_INVALID` for text that is not six
    /// words of the list, which does not count as a failure; `APPLICATION_UNKNOWN`; what the register answers.
    pub async fn approve(&self, authority: &AuthorityId, words: &str, actor: Actor) -> Result<Decided, Error> {
        let _deciding = self.0.deciding.lock().await;
        let Some(held) = self.application_of(authority).await? else {
            let admission = self.only_open(authority)?.ok_or(Reason::ApplicationUnknown)?;
            return self.sign(authority, admission.proposal).await;
        };
        let received = held.received().ok_or(Reason::ApplicationUnknown)?.clone();
        let proposed = self.admission_of(&received).filter(|a| a.open);
        let pinned = proposed.filter(|a| a.words_digest == received.words_digest);
        if let (Some(admission), true) = (&pinned, words.trim().is_empty()) {
            return self.sign(authority, admission.proposal).await;
        }
        // The applicant was told that it is over, and waits no more.
        if pinned.is_none() && self.lapsed(&received) {
            return Err(Reason::ApplicationExpired.into());
        }
        if words.trim().is_empty() {
            return Err(Reason::WordsNeeded.into());
        }
        let typed = Words::parse(words).map_err(|not| crate::wire::Error::invalid("words", not.to_string()))?;
        let compared = self.compare(&held.invitation.id, &typed, actor).await;
        if let Err(error) = &compared
            && error.reason() == Reason::WordsDiffer
        {
            let (role, reason) = (Some(actor.role), Some(Reason::WordsDiffer));
            Entry { role, reason, ..Entry::about(Event::WordsWrong, authority) }.tell();
            return Err(Error::Words { left: limits::WRONG_WORDS.saturating_sub(received.failed_words + 1) });
        }
        compared?;
        if let Some(admission) = pinned {
            return self.sign(authority, admission.proposal).await;
        }
        let step = JoinStep::Admit {
            authority: authority.clone(),
            application: received.application.signed.clone(),
            invited_by: self.0.authority.clone(),
            invitation: held.invitation.id,
            words_digest: received.words_digest,
        };
        let decision = self.0.register.decide(step).await?;
        self.note(
            &held.invitation.id,
            |r| r.proposal = Some(decision.applied.statement),
            AuditAct::MemberApproved,
            actor,
        )
        .await?;
        Ok(decision)
    }

    /// Rejects an applicant; the reason reaches it.
    ///
    /// # Errors
    /// `APPLICATION_UNKNOWN` when nothing waits; what the register answers.
    pub async fn reject(
        &self,
        authority: &AuthorityId,
        reason: RejectionReason,
        actor: Actor,
    ) -> Result<Option<Decided>, Error> {
        let held = self.application_of(authority).await?;
        let proposed = match held.as_ref().and_then(HeldInvitation::received) {
            Some(received) => self.admission_of(received).filter(|a| a.open),
            None => self.only_open(authority)?,
        };
        let decision = match &proposed {
            Some(a) => {
                let step = JoinStep::Reject { authority: authority.clone(), proposal: a.proposal, reason };
                Some(self.0.register.decide(step).await?)
            }
            None => None,
        };
        let Some(held) = held else {
            return if decision.is_some() { Ok(decision) } else { Err(Reason::ApplicationUnknown.into()) };
        };
        let reject = |r: &mut Received| {
            r.state = ApplicationState::Rejected;
            r.rejection = Some(reason);
        };
        self.note(&held.invitation.id, reject, AuditAct::MemberRejected, actor).await?;
        Ok(decision)
    }

    /// The one admission of this authority that is open. By name alone it cannot be told which of several is meant.
    fn only_open(&self, authority: &AuthorityId) -> Result<Option<Admission>, Error> {
        let mut open = self.0.register.admissions(authority).into_iter().filter(|admission| admission.open);
        match (open.next(), open.next()) {
            (_, Some(_)) => Err(Reason::SeveralApplications.into()),
            (one, None) => Ok(one),
        }
    }

    /// Nobody compared its words in time.
    fn lapsed(&self, received: &Received) -> bool {
        received.received + limits::APPLICATION_LIFE <= self.0.clock.now()
    }

    async fn sign(&self, authority: &AuthorityId, proposal: StatementId) -> Result<Decided, Error> {
        self.0.register.decide(JoinStep::Approve { authority: authority.clone(), proposal }).await
    }

    /// The newest application of this authority that waits here, or was closed by wrong words.
    async fn application_of(&self, authority: &AuthorityId) -> Result<Option<HeldInvitation>, Error> {
        let mut found: Vec<HeldInvitation> = self
            .all()
            .await?
            .into_iter()
            .filter(|held| {
                held.received().is_some_and(|r| {
                    r.application.authority == *authority
                        && (r.state == ApplicationState::NeedsApproval
                            || r.rejection == Some(RejectionReason::WordsDiffer))
                })
            })
            .collect();
        found.sort_by_key(|held| held.received().map(|r| r.received));
        Ok(found.pop())
    }

    async fn compare(&self, id: &InvitationId, typed: &Words, actor: Actor) -> Result<(), Error> {
        self.step(id, |held| match held.compare(typed) {
            Ok(Compared::Equal) => Step::unchanged(Ok(())),
            Ok(Compared::Different(after, reason)) => {
                let audit = AuditDraft {
                    actor,
                    counterparty: Some(held.invitation.intended_for.clone()),
                    reason: Some(reason),
                    ..AuditDraft::by_node(AuditAct::MemberRejected)
                };
                let audit = if reason == Reason::WordsFailed { vec![audit] } else { Vec::new() };
                Step { store: Some(*after), audit, answer: Err(reason) }
            }
            Err(reason) => Step::unchanged(Err(reason)),
        })
        .await
    }

    /// Stores what was decided about an application, with its line in the ledger.
    async fn note(
        &self,
        id: &InvitationId,
        change: impl Fn(&mut Received),
        act: AuditAct,
        actor: Actor,
    ) -> Result<(), Error> {
        self.step(id, |held| {
            let Some(received) = held.received() else { return Step::unchanged(Err(Reason::ApplicationUnknown)) };
            let mut after = received.clone();
            change(&mut after);
            let counterparty = Some(held.invitation.intended_for.clone());
            let audit = AuditDraft { actor, counterparty, ..AuditDraft::by_node(act) };
            Step { store: Some(held.with_application(after)), audit: vec![audit], answer: Ok(()) }
        })
        .await
    }
}
