//! Mandates: issued and revoked by this authority, listed of all.

use havenlink_proto::admin::v1 as admin;
use havenlink_proto::admin::v1::mandate_service_server::MandateService;
use tonic::{Request, Response, Status};

use super::member::decision;
use crate::domain::ids::AuthorityId;
use crate::domain::mandate::IssuedMandate;
use crate::exchange::governance::Governance;
use crate::services::actor::Codes;
use crate::services::layers::Now;
use crate::services::{errors, page};
use crate::wire::{self, acts, fields};

/// The Mandate service.
pub struct Mandates {
    pub governance: Governance,
    pub codes: Codes,
    pub now: Now,
}

type Answer<T> = Result<Response<T>, Status>;

const LIST: &str = "mandates";

fn holder(text: &str) -> Result<AuthorityId, Status> {
    fields::authority("holder", text).map_err(|e| errors::field(&e))
}

#[tonic::async_trait]
impl MandateService for Mandates {
    async fn issue_mandate(&self, request: Request<admin::IssueMandateRequest>) -> Answer<admin::IssueMandateResponse> {
        let actor = self.codes.actor(&request)?;
        let asked = request.into_inner();
        let holder = holder(&asked.holder)?;
        let mandate = asked.mandate.ok_or_else(|| errors::field(&wire::Error::missing("mandate")))?;
        let mandate = acts::mandate::from_proto(mandate).map_err(|e| errors::field(&e.within("mandate")))?;
        let issued = self.governance.decisions.issue_mandate(&holder, mandate, actor).await;
        let decision = decision(issued.map_err(|e| errors::governing(&e))?);
        Ok(Response::new(admin::IssueMandateResponse { decision }))
    }

    async fn revoke_mandate(
        &self,
        request: Request<admin::RevokeMandateRequest>,
    ) -> Answer<admin::RevokeMandateResponse> {
        let actor = self.codes.actor(&request)?;
        let holder = holder(&request.get_ref().holder)?;
        let revoked = self.governance.decisions.revoke_mandate(&holder, actor).await;
        let decision = decision(revoked.map_err(|e| errors::governing(&e))?);
        Ok(Response::new(admin::RevokeMandateResponse { decision }))
    }

    async fn list_mandates(&self, request: Request<admin::ListMandatesRequest>) -> Answer<admin::ListMandatesResponse> {
        let asked = request.into_inner();
        let (size, after) = (page::size(asked.page_size)?, page::number(LIST, &asked.page_token)?.unwrap_or(0));
        let (view, now) = (self.governance.view(), (self.now)());
        let about = |issued: &IssuedMandate| {
            asked.authority.is_empty()
                || [&issued.holder, &issued.issuer].iter().any(|id| id.as_str() == asked.authority)
        };
        let skipped = usize::try_from(after).unwrap_or(usize::MAX);
        let rows: Vec<_> = view.mandates.values().filter(|issued| about(issued)).skip(skipped).take(size + 1).collect();
        let (mandates, more) = page::fill(&rows, size, |issued| admin::MandateSummary {
            holder: issued.holder.to_string(),
            issuer: issued.issuer.to_string(),
            version: issued.version,
            mandate: issued.mandate.as_ref().ok().map(acts::mandate::to_proto),
            ended_ms: issued.mandate.as_ref().err().map_or(0, |at| at.0),
            live: view.live_mandate(&issued.holder, &issued.issuer, now).is_some(),
        });
        let next = after + mandates.len() as u64;
        let next_page_token = if more { page::token(LIST, &next.to_be_bytes()) } else { String::new() };
        Ok(Response::new(admin::ListMandatesResponse { mandates, next_page_token }))
    }
}
