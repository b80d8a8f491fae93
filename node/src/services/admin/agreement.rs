//! Agreements (9.7): propose, sign, end, confirm, show, list.

use std::sync::Arc;

use bytes::Bytes;
use havenlink_proto::admin::v1 as admin;
use havenlink_proto::admin::v1::agreement_service_server::AgreementService;
use tonic::{Request, Response, Status};

use crate::domain::agreement::{AgreementEnd, AgreementEndReason, Difference, Reminder};
use crate::domain::ids::{AgreementId, AuthorityId};
use crate::exchange::{self, AgreementSummary, Knows, ListedAgreement, PartyAnswer};
use crate::services::actor::Codes;
use crate::services::call::call;
use crate::services::layers::Now;
use crate::services::{errors, page};
use crate::wire::{self, agreement, fields};

pub struct AgreementCalls {
    pub agreements: Arc<exchange::Agreements>,
    pub codes: Codes,
    pub now: Now,
}

type Answer<T> = Result<Response<T>, Status>;

const LIST: &str = "agreements";

fn id(bytes: &[u8]) -> Result<AgreementId, Status> {
    fields::id("agreement_id", bytes, AgreementId::from_slice).map_err(|e| errors::field(&e))
}

fn held(summary: &AgreementSummary) -> admin::HeldAgreement {
    let ended = summary.held.ended();
    admin::HeldAgreement {
        agreement_id: fields::bytes_of(summary.held.id.as_bytes()),
        agreement: Some(agreement::to_proto(&summary.held.agreement)),
        state: summary.state.code(),
        signed_by: summary.signed_by.iter().map(ToString::to_string).collect(),
        ended_by: ended.map(|end| end.by.to_string()).unwrap_or_default(),
        ended_ms: ended.map_or(0, |end| end.at.0),
        end_reason: ended.map_or(0, |end| end.reason.code()),
        in_words: summary.in_words.clone(),
        left: summary.held.ends.iter().zip(&summary.notices).map(left).collect(),
        unreadable: String::new(),
        answers: summary.answers.iter().map(answered).collect(),
    }
}

fn answered((party, answer): &(AuthorityId, Option<PartyAnswer>)) -> admin::PartyAnswer {
    let (knows, reason) = match answer.map(|answer| answer.knows) {
        None => (admin::PartyKnows::Unspecified, ""),
        Some(Knows::ItsEnds) => (admin::PartyKnows::NoEnd, ""),
        Some(Knows::WaitsThereToo) => (admin::PartyKnows::RestoredToo, ""),
        Some(Knows::NoAgreement) => (admin::PartyKnows::NoAgreement, ""),
        Some(Knows::Silent(reason)) => (admin::PartyKnows::Silent, reason.code()),
    };
    admin::PartyAnswer {
        authority: party.to_string(),
        knows: knows.into(),
        at_ms: answer.map_or(0, |answer| answer.at.0),
        reason: reason.to_owned(),
    }
}

fn listed(listed: &ListedAgreement) -> admin::HeldAgreement {
    match &listed.summary {
        Ok(summary) => held(summary),
        Err(unreadable) => admin::HeldAgreement {
            agreement_id: fields::bytes_of(listed.id.as_bytes()),
            unreadable: unreadable.reason.code().to_owned(),
            ..Default::default()
        },
    }
}

/// What comes due of an agreement.
pub fn reminder(reminder: &Reminder) -> admin::AgreementReminder {
    admin::AgreementReminder {
        agreement_id: fields::bytes_of(reminder.agreement.as_bytes()),
        due: reminder.due.code(),
        at_ms: reminder.at.0,
        about: reminder.about.iter().map(ToString::to_string).collect(),
    }
}

fn left((end, notice): (&AgreementEnd, &Bytes)) -> admin::PartyLeft {
    admin::PartyLeft {
        authority: end.by.to_string(),
        at_ms: end.at.0,
        reason: end.reason.code(),
        notice: notice.clone(),
    }
}

#[tonic::async_trait]
impl AgreementService for AgreementCalls {
    async fn propose_agreement(
        &self,
        request: Request<admin::ProposeAgreementRequest>,
    ) -> Answer<admin::ProposeAgreementResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let asked = request.into_inner().agreement.ok_or_else(|| errors::field(&wire::Error::missing("agreement")))?;
        // What the node fills in is not the caller's to leave out.
        let asked = havenlink_proto::record::v1::Agreement {
            federation_id: vec![0; 32].into(),
            nonce: vec![0; 16].into(),
            proposer: self.agreements.authority().to_string(),
            created_ms: (self.now)().0,
            ..asked
        };
        let agreement = agreement::from_proto(asked).map_err(|e| errors::field(&e.within("agreement")))?;
        let id = self.agreements.propose_agreement(&call, agreement).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(admin::ProposeAgreementResponse { agreement_id: fields::bytes_of(id.as_bytes()) }))
    }

    async fn sign_agreement(
        &self,
        request: Request<admin::SignAgreementRequest>,
    ) -> Answer<admin::SignAgreementResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let id = id(&request.get_ref().agreement_id)?;
        let state = self.agreements.sign_agreement(&call, id).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(admin::SignAgreementResponse { state: state.code() }))
    }

    async fn end_agreement(&self, request: Request<admin::EndAgreementRequest>) -> Answer<admin::EndAgreementResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let asked = request.get_ref();
        let reason =
            fields::closed_enum::<AgreementEndReason>("reason", asked.reason).map_err(|e| errors::field(&e))?;
        let ended = self.agreements.end_agreement(&call, id(&asked.agreement_id)?, reason).await;
        let ended = ended.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(admin::EndAgreementResponse { ended_ms: ended.0 }))
    }

    async fn confirm_agreements(
        &self,
        request: Request<admin::ConfirmAgreementsRequest>,
    ) -> Answer<admin::ConfirmAgreementsResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let ids = &request.get_ref().agreement_ids;
        if ids.is_empty() {
            return Err(errors::field(&wire::Error::missing("agreement_ids")));
        }
        let ids = ids.iter().map(|bytes| id(bytes)).collect::<Result<Vec<_>, _>>()?;
        self.agreements.confirm_agreements(&call, &ids).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(admin::ConfirmAgreementsResponse {}))
    }

    async fn show_agreement(
        &self,
        request: Request<admin::ShowAgreementRequest>,
    ) -> Answer<admin::ShowAgreementResponse> {
        let shown = self.agreements.show_agreement(id(&request.get_ref().agreement_id)?).await;
        let shown = shown.map_err(|e| errors::exchange(&e))?;
        let Difference { new, other_end, not_in_it } = shown.difference.clone();
        let difference = Some(admin::AgreementDifference { new, other_end, not_in_it });
        Ok(Response::new(admin::ShowAgreementResponse { agreement: Some(held(&shown)), difference }))
    }

    async fn list_agreements(
        &self,
        request: Request<admin::ListAgreementsRequest>,
    ) -> Answer<admin::ListAgreementsResponse> {
        let asked = request.into_inner();
        let (size, after) = (page::size(asked.page_size)?, page::cursor(LIST, &asked.page_token)?);
        let mut all = self.agreements.list_agreements().await.map_err(|e| errors::exchange(&e))?;
        all.sort_by_key(|a| a.id.0);
        let after = after.unwrap_or_default();
        let mut rest = all.iter().filter(|a| a.id.0.as_slice() > after.as_slice());
        let agreements: Vec<_> = rest.by_ref().take(size).collect();
        let next_page_token = match (rest.next(), agreements.last()) {
            (Some(_), Some(last)) => page::token(LIST, last.id.as_bytes()),
            _ => String::new(),
        };
        let agreements = agreements.into_iter().map(listed).collect();
        Ok(Response::new(admin::ListAgreementsResponse { agreements, next_page_token }))
    }
}
