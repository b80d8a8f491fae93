//! What persons let be shared: given, refused, confirmed, approved, withdrawn, shown, checked, exported.

use std::sync::Arc;

use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::agreement_to_share_service_server::AgreementToShareService;
use tonic::{Request, Response, Status};

use crate::domain::ids::ShareId;
use crate::domain::person::CaseReference;
use crate::domain::person::share::{AgreementToShare, Circumstances, ShareStanding};
use crate::exchange::{AskedToShare, HeldShare, Persons};
use crate::services::actor::Codes;
use crate::services::call::{call, named};
use crate::services::{errors, layers};
use crate::wire::{self, fields, share};

/// The AgreementToShare service.
pub struct AgreementsToShare {
    pub persons: Arc<Persons>,
    pub codes: Codes,
}

type Answer<T> = Result<Response<T>, Status>;

pub(super) fn case(text: &str) -> Result<CaseReference, Status> {
    CaseReference::parse("case_reference", text).map_err(|fault| errors::field(&fault.into()))
}

fn share_id(bytes: &[u8]) -> Result<ShareId, Status> {
    fields::id("share_id", bytes, ShareId::from_slice).map_err(|e| errors::field(&e))
}

fn asked(
    authority: &str,
    reference: &str,
    (terms, subject): (Option<local::ShareTerms>, Option<local::ShareSubject>),
) -> Result<AskedToShare, Status> {
    let terms = share::terms(terms).map_err(|e| if e.field == "terms" { e } else { e.within("terms") });
    Ok(AskedToShare {
        authority: named("authority", authority)?,
        case: case(reference)?,
        terms: terms.map_err(|e| errors::field(&e))?,
        subject: share::subject(subject).map_err(|e| errors::field(&e))?,
    })
}

fn circumstances(message: Option<local::ShareCircumstances>) -> Result<Option<Circumstances>, Status> {
    message.map(share::circumstances).transpose().map_err(|e| errors::field(&e))
}

fn standing(standing: Option<ShareStanding>) -> local::ShareStanding {
    match standing {
        None => local::ShareStanding::Unspecified,
        Some(ShareStanding::Requested) => local::ShareStanding::Requested,
        Some(ShareStanding::Given) => local::ShareStanding::Given,
        Some(ShareStanding::ToBeConfirmed) => local::ShareStanding::ToBeConfirmed,
        Some(ShareStanding::Restricted) => local::ShareStanding::Restricted,
        Some(ShareStanding::Expired) => local::ShareStanding::Expired,
        Some(ShareStanding::Ended(_)) => local::ShareStanding::Ended,
    }
}

fn held(held: &HeldShare) -> local::HeldAgreementToShare {
    let shown = local::HeldAgreementToShare {
        share_id: fields::bytes_of(held.id.as_bytes()),
        authority: held.authority.to_string(),
        standing: standing(held.standing).into(),
        ..Default::default()
    };
    match &held.share {
        Ok(AgreementToShare { terms, events, given, approved_by, used, .. }) => local::HeldAgreementToShare {
            terms: Some(share::shown_terms(terms)),
            decided_by: given.map_or(0, |given| given.decider.kind().code()),
            events: events.iter().map(share::shown_event).collect(),
            used: used.clone(),
            approved: approved_by.is_some(),
            ..shown
        },
        Err(unreadable) => local::HeldAgreementToShare { unreadable: unreadable.reason.code().to_owned(), ..shown },
    }
}

#[tonic::async_trait]
impl AgreementToShareService for AgreementsToShare {
    async fn give_agreement_to_share(
        &self,
        request: Request<local::GiveAgreementToShareRequest>,
    ) -> Answer<local::GiveAgreementToShareResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let decider = share::decider(message.decider, call.actor).map_err(|e| errors::field(&e))?;
        let how = circumstances(message.circumstances)?;
        let asked = asked(&message.authority, &message.case_reference, (message.terms, message.subject))?;
        let id = self.persons.give(&call, asked, decider, how).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::GiveAgreementToShareResponse { share_id: fields::bytes_of(id.as_bytes()) }))
    }

    async fn refuse_agreement_to_share(
        &self,
        request: Request<local::RefuseAgreementToShareRequest>,
    ) -> Answer<local::RefuseAgreementToShareResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let asked = asked(&message.authority, &message.case_reference, (message.terms, message.subject))?;
        let id = self.persons.refuse(&call, asked).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::RefuseAgreementToShareResponse { share_id: fields::bytes_of(id.as_bytes()) }))
    }

    async fn confirm_agreement_to_share(
        &self,
        request: Request<local::ConfirmAgreementToShareRequest>,
    ) -> Answer<local::ConfirmAgreementToShareResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let which = (case(&message.case_reference)?, share_id(&message.share_id)?);
        let decider = share::decider(message.decider, call.actor).map_err(|e| errors::field(&e))?;
        let how = circumstances(message.circumstances)?
            .ok_or_else(|| errors::field(&wire::Error::missing("circumstances")))?;
        let by = fields::instant("reconfirm_by_ms", message.reconfirm_by_ms).map_err(|e| errors::field(&e))?;
        self.persons.confirm(&call, which, (decider, how), by).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::ConfirmAgreementToShareResponse {}))
    }

    async fn approve_agreement_to_share(
        &self,
        request: Request<local::ApproveAgreementToShareRequest>,
    ) -> Answer<local::ApproveAgreementToShareResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let (case, id) = (case(&message.case_reference)?, share_id(&message.share_id)?);
        self.persons.approve(&call, case, id).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::ApproveAgreementToShareResponse {}))
    }

    async fn withdraw_agreements_to_share(
        &self,
        request: Request<local::WithdrawAgreementsToShareRequest>,
    ) -> Answer<local::WithdrawAgreementsToShareResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let case = case(&request.get_ref().case_reference)?;
        let ids = self.persons.withdraw(&call, case).await.map_err(|e| errors::exchange(&e))?;
        let share_ids = ids.iter().map(|id| fields::bytes_of(id.as_bytes())).collect();
        Ok(Response::new(local::WithdrawAgreementsToShareResponse { share_ids }))
    }

    async fn show_agreements_to_share(
        &self,
        request: Request<local::ShowAgreementsToShareRequest>,
    ) -> Answer<local::ShowAgreementsToShareResponse> {
        layers::local(&request)?;
        let case = case(&request.get_ref().case_reference)?;
        let all = self.persons.show(case).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::ShowAgreementsToShareResponse { agreements: all.iter().map(held).collect() }))
    }

    async fn check_agreement_to_share(
        &self,
        request: Request<local::CheckAgreementToShareRequest>,
    ) -> Answer<local::CheckAgreementToShareResponse> {
        layers::local(&request)?;
        let message = request.into_inner();
        let read = || {
            let scope = fields::closed_enum("scope", message.scope)?;
            let purpose = fields::closed_enum("purpose", message.purpose)?;
            Ok::<_, wire::Error>(((scope, purpose), fields::authority("recipient", &message.recipient)?))
        };
        let (wanted, recipient) = read().map_err(|e| errors::field(&e))?;
        let case = case(&message.case_reference)?;
        let opened = self.persons.check(case, wanted, &recipient).await;
        let (id, opened) = opened.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::CheckAgreementToShareResponse {
            share_id: fields::bytes_of(id.as_bytes()),
            expires_ms: opened.expires().0,
            erase_by_ms: opened.erase_by().0,
        }))
    }

    async fn export_agreement_to_share(
        &self,
        request: Request<local::ExportAgreementToShareRequest>,
    ) -> Answer<local::ExportAgreementToShareResponse> {
        let actor = self.codes.actor(&request)?;
        let message = request.into_inner();
        let (case, id) = (case(&message.case_reference)?, share_id(&message.share_id)?);
        let json_ld = self.persons.export(actor, case, id).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::ExportAgreementToShareResponse { json_ld }))
    }
}
