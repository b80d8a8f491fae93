//! After a restore (9.7): an agreement may have been ended after the backup was made. It waits until each party was asked for
//! the ENDs that it knows, signed by whoever ended it, and this authority's operator has confirmed it.
//!
//! A partner's answer can close, never open: an END counts by its own signature, whoever brings it, and "I know no end" is
//! shown to the operator and nothing else. What the parties said is not stored: they are asked again after a start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::domain::agreement::{AgreementState, HeldAgreement};
use crate::domain::audit::AuditAct;
use crate::domain::ids::{AgreementId, AuthorityId};
use crate::domain::reason::Reason;
use crate::domain::stream::{EndsAnswer, EndsQuestion};
use crate::domain::time::UnixMs;
use crate::exchange::context::{Call, Error, active, speaks_for};
use crate::storage::ops::{Put, Write};
use crate::storage::rows::AgreementRow;
use crate::wire::sealed;

use super::incoming::written;
use super::{Agreements, draft, party_key, rows, shown};

/// What a party said about an agreement, besides the ENDs that it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartyAnswer {
    pub knows: Knows,
    pub at: UnixMs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knows {
    /// It holds the agreement, and sent every END that it knows.
    ItsEnds,
    /// The same, and it waits for confirmation there too: that node was restored itself.
    WaitsThereToo,
    /// It does not hold the agreement.
    NoAgreement,
    /// It did not answer.
    Silent(Reason),
}

/// By agreement and party.
#[derive(Default)]
pub(super) struct PartyAnswers(Mutex<BTreeMap<(AgreementId, AuthorityId), PartyAnswer>>);

impl PartyAnswers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(AgreementId, AuthorityId), PartyAnswer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agreements {
    /// Agreements that wait for confirmation.
    pub fn unconfirmed(&self) -> Vec<Arc<HeldAgreement>> {
        let (set, view, now) = (self.set(), self.view(), self.now());
        set.all().filter(|held| shown(held, &view, now) == AgreementState::Unconfirmed).cloned().collect()
    }

    /// The parties that are asked about an agreement: all that stay in it and are not of this node; and for whom.
    pub(in crate::exchange) fn to_be_asked(&self, held: &HeldAgreement) -> Vec<EndsQuestion> {
        let keys = self.context.keys();
        let parties = || held.agreement.parties.iter().map(|party| &party.authority);
        let Some(asker) = parties().find(|party| keys.serves(party)) else { return Vec::new() };
        let others = parties().filter(|party| !keys.serves(party) && held.left_at(party).is_none());
        let question =
            |asked: &AuthorityId| EndsQuestion { asker: asker.clone(), asked: asked.clone(), agreement: held.id };
        others.map(question).collect()
    }

    /// What each other party said, in the order of the parties.
    pub(super) fn answers_about(&self, held: &HeldAgreement) -> Vec<(AuthorityId, Option<PartyAnswer>)> {
        if shown(held, &self.view(), self.now()) != AgreementState::Unconfirmed {
            return Vec::new();
        }
        let heard = self.heard.lock();
        let answer = |asked: AuthorityId| {
            let answer = heard.get(&(held.id, asked.clone())).copied();
            (asked, answer)
        };
        self.to_be_asked(held).into_iter().map(|question| answer(question.asked)).collect()
    }

    /// When a party last said something about an agreement, but that it does not answer.
    pub(in crate::exchange) fn answered_at(&self, question: &EndsQuestion) -> Option<UnixMs> {
        let answer = self.heard.lock().get(&(question.agreement, question.asked.clone())).copied()?;
        (!matches!(answer.knows, Knows::Silent(_))).then_some(answer.at)
    }

    /// Answers a party that was restored: the signed ENDs that are known here. Whoever is no party is told what it would be told
    /// of an agreement that does not exist.
    ///
    /// # Errors
    /// When the connection may not speak for who asks, or the asked is not of this node.
    pub async fn ends_for(&self, caller: &AuthorityId, question: EndsQuestion) -> Result<EndsAnswer, Error> {
        let EndsQuestion { asker, asked, agreement } = question;
        let (view, now) = (self.view(), self.now());
        speaks_for(&view, caller, &asker)?;
        active(&view, &asker, now).map_err(|reason| Error::about(&asker, reason))?;
        if !self.context.keys().serves(&asked) {
            return Err(Reason::WrongRecipient.into());
        }
        let Some(row) = self.store().agreement(agreement).await?.filter(|row| row.complete) else {
            return Ok(EndsAnswer::default());
        };
        let held = rows::held(&row)?;
        if !held.agreement.is_party(&asker) || !held.agreement.is_party(&asked) {
            return Ok(EndsAnswer::default());
        }
        let mut ends = Vec::new();
        for (end, kept) in held.ends.iter().zip(&row.ends) {
            // Its own end is said anew, to this very party; of others' only what they signed is passed on.
            let own = self.context.keys().serves(&end.by);
            let said =
                if own { self.control(&view, now, &end.by, &asker, &row.id, &end.clone().into()).ok() } else { None };
            let notice = said.map_or_else(|| kept.notice.clone(), |item| item.envelope);
            ends.extend(Some(notice).filter(|notice| !notice.is_empty()));
        }
        Ok(EndsAnswer { held: true, unconfirmed: held.state(now) == AgreementState::Unconfirmed, ends })
    }

    /// Takes a party's answer: each END that verifies closes; everything else is kept for the operator.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::exchange) async fn heard_ends(
        self: &Arc<Self>,
        question: &EndsQuestion,
        answer: Result<EndsAnswer, Reason>,
    ) -> Result<(), Error> {
        let knows = match &answer {
            Err(reason) => Knows::Silent(*reason),
            Ok(EndsAnswer { held: false, .. }) => Knows::NoAgreement,
            Ok(EndsAnswer { unconfirmed: true, .. }) => Knows::WaitsThereToo,
            Ok(_) => Knows::ItsEnds,
        };
        let said = PartyAnswer { knows, at: self.now() };
        self.heard.lock().insert((question.agreement, question.asked.clone()), said);
        match answer {
            Ok(answer) if !answer.ends.is_empty() => self.close(question, &answer.ends).await,
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn close(self: &Arc<Self>, question: &EndsQuestion, ends: &[Bytes]) -> Result<(), Error> {
        let change = self.one_change().await;
        let view = self.view();
        let (mut row, mut audit) = (self.agreement_row(&question.agreement).await?, Vec::new());
        let held = rows::held(&row)?;
        for notice in ends {
            let opened = sealed::open_end(notice.clone(), &view.federation, &party_key(&view));
            match opened {
                Ok(end) if end.agreement == row.id && held.agreement.is_party(&end.by) => {
                    if row.ends.iter().all(|known| known.by != end.by) {
                        audit.push(written(AuditAct::AgreementEnded, &end.by, &row.id));
                        row = rows::with_notice(rows::with_end(row, &end), &end.by, notice.clone());
                    }
                }
                Ok(_) => {
                    let from = &question.asked;
                    havenlink_runtime::repeated!(warn by from.as_str(); authority = %from, agreement = %row.id, "an end of another agreement was sent");
                }
                Err(error) => {
                    let from = &question.asked;
                    havenlink_runtime::repeated!(warn by from.as_str(); authority = %from, agreement = %row.id, reason = %error.reason, "an end does not verify");
                }
            }
        }
        if !audit.is_empty() {
            let put = Write { puts: vec![Put::Agreement(row)], audit, ..Write::default() };
            self.put_agreement(put, change).await?;
        }
        Ok(())
    }

    /// The operator says that these still hold. Those that nobody has to confirm are left as they are.
    ///
    /// # Errors
    /// `AGREEMENT_NOT_FOUND`, `AGREEMENT_NOT_PARTY`, `AGREEMENT_ENDED`; none is confirmed then.
    pub async fn confirm_agreements(self: &Arc<Self>, call: &Call, ids: &[AgreementId]) -> Result<(), Error> {
        let change = self.one_change().await;
        let now = self.now();
        let mut put = Write { request: Some(call.mark("ConfirmAgreements", Bytes::new(), now)?), ..Write::default() };
        for id in ids {
            let row = self.agreement_row(id).await?;
            let held = rows::held(&row)?;
            self.our_parties(&held.agreement)?;
            match held.state(now) {
                AgreementState::Unconfirmed => {
                    put.puts.push(Put::Agreement(AgreementRow { unconfirmed: false, ..row }));
                    put.audit.push(draft(call, AuditAct::AgreementInForce, id));
                }
                AgreementState::InForce => {}
                AgreementState::Ended => return Err(Reason::AgreementEnded.into()),
                AgreementState::Proposed | AgreementState::Expired => return Err(Reason::AgreementNotInForce.into()),
            }
        }
        self.put_agreement(put, change).await?;
        Ok(())
    }
}
