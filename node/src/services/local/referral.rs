//! Referrals, what was called back of them, and a person's own question.

use std::sync::Arc;

use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::referral_service_server::ReferralService;
use havenlink_proto::record::v1 as proto;
use tonic::{Request, Response, Status};

use super::agreement_to_share::case;
use crate::domain::ids::{AuthorityId, RecordId};
use crate::domain::records::referral::ReferralForm;
use crate::domain::time::UnixMs;
use crate::exchange::{DisclosureRow, DisclosureState, Holder, HolderState, LookedAt, Persons, Road, ToRefer};
use crate::services::actor::Codes;
use crate::services::call::{call, named};
use crate::services::errors;
use crate::services::layers::Now;
use crate::wire::records::referral::sought;
use crate::wire::{self, fields};

/// The Referral service.
pub struct Referrals {
    pub road: Arc<Road>,
    pub persons: Arc<Persons>,
    pub codes: Codes,
    pub now: Now,
}

type Answer<T> = Result<Response<T>, Status>;

fn state(state: DisclosureState) -> local::DisclosureState {
    match state {
        DisclosureState::Shared => local::DisclosureState::Shared,
        DisclosureState::Noticed => local::DisclosureState::Noticed,
        DisclosureState::Done => local::DisclosureState::Done,
        DisclosureState::Partial => local::DisclosureState::Partial,
        DisclosureState::Refused => local::DisclosureState::Refused,
    }
}

fn disclosure(row: &DisclosureRow, now: UnixMs) -> local::Disclosure {
    local::Disclosure {
        authority: row.key.origin.to_string(),
        record_id: fields::bytes_of(row.key.record_id.as_bytes()),
        recipient: row.recipient.to_string(),
        kind: row.kind.code(),
        scope: row.scope.code(),
        purpose: row.purpose.code(),
        shared_ms: row.shared_at.0,
        erase_by_ms: row.erase_by.0,
        state: state(row.state).into(),
        noticed_ms: row.noticed_at.0,
        due_by_ms: row.due_by.0,
        answered_ms: row.answered_at.0,
        overdue: row.state == DisclosureState::Noticed && row.due_by <= now,
        receipt: row.receipt.clone(),
    }
}

fn holder(holder: &Holder) -> local::Holder {
    let state = match holder.state {
        HolderState::Holds => local::HolderState::Holds,
        HolderState::Noticed => local::HolderState::Noticed,
        HolderState::Received => local::HolderState::Received,
        HolderState::Done => local::HolderState::Done,
        HolderState::Partial => local::HolderState::Partial,
        HolderState::Refused => local::HolderState::Refused,
    };
    local::Holder {
        authority: holder.authority.to_string(),
        state: state.into(),
        noticed_ms: holder.noticed_at.0,
        received_ms: holder.received_at.0,
        answered_ms: holder.answered_at.0,
        due_by_ms: holder.due_by.0,
        overdue: holder.overdue,
    }
}

/// Where something may be left that no node looks into.
const NOT_LOOKED_AT: [&str; 3] = [
    "backups of the database elsewhere: sealed, without the keys that are kept apart; copies of keys.db elsewhere hold keys",
    "free blocks and older versions of the disk, and of whatever copies it",
    "what people and other systems wrote down, printed or were told",
];

/// One record, as it is named.
fn named_record(origin: &str, record_id: &[u8]) -> Result<(Option<AuthorityId>, RecordId), Status> {
    let record_id = fields::id("record_id", record_id, RecordId::from_slice).map_err(|e| errors::field(&e))?;
    Ok((named("origin", origin)?, record_id))
}

/// What is asked, without what only the node can make.
fn asked(referral: Option<proto::Referral>) -> Result<(proto::Referral, bool), wire::Error> {
    let referral = referral.ok_or_else(|| wire::Error::missing("referral"))?;
    let form: ReferralForm = fields::closed_enum("form", referral.form)?;
    let counts = match form {
        ReferralForm::Query => false,
        ReferralForm::Asked => true,
        ReferralForm::Accepted | ReferralForm::Declined => {
            return Err(wire::Error::invalid("form", "QUERY or ASKED; a referral is answered with RecordService"));
        }
    };
    if !referral.subject_ref.is_empty() {
        return Err(wire::Error::invalid("subject_ref", "left out: the node makes it"));
    }
    if !counts && !referral.callback_phone.is_empty() {
        return Err(wire::Error::invalid("callback_phone", "not in a query"));
    }
    Ok((referral, counts))
}

#[tonic::async_trait]
impl ReferralService for Referrals {
    async fn send_referral(&self, request: Request<local::SendReferralRequest>) -> Answer<local::SendReferralResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let message = request.into_inner();
        let field = |e: wire::Error| errors::field(&e);
        let within = |e: wire::Error| errors::field(&if e.field == "referral" { e } else { e.within("referral") });
        let (referral, counts) = asked(message.referral).map_err(within)?;
        let expires = Some(UnixMs(message.expires_ms)).filter(|at| at.0 != 0);
        let wished = ToRefer {
            authority: named("authority", &message.authority)?,
            recipient: fields::authority("recipient", &message.recipient).map_err(field)?,
            case: case(&message.case_reference)?,
            purpose: fields::closed_enum("purpose", message.purpose).map_err(field)?,
            status: fields::closed_enum("status", message.status).map_err(field)?,
            expires,
            sought: sought(&referral).map_err(within)?,
            callback_phone: counts.then_some(referral.callback_phone),
        };
        let sent = self.road.refer(&call, wished).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::SendReferralResponse { record_id: fields::bytes_of(sent.record_id.as_bytes()) }))
    }

    async fn list_erasures(&self, _: Request<local::ListErasuresRequest>) -> Answer<local::ListErasuresResponse> {
        let rows = self.persons.erasures().await.map_err(|e| errors::exchange(&e))?;
        let erasures = rows.iter().map(|row| disclosure(row, (self.now)())).collect();
        Ok(Response::new(local::ListErasuresResponse { erasures }))
    }

    async fn show_erasure(&self, request: Request<local::ShowErasureRequest>) -> Answer<local::ShowErasureResponse> {
        let asked = request.into_inner();
        let (origin, record_id) = named_record(&asked.origin, &asked.record_id)?;
        let holders = self.persons.holders(origin, record_id).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::ShowErasureResponse { holders: holders.iter().map(holder).collect() }))
    }

    async fn verify_erasure(
        &self,
        request: Request<local::VerifyErasureRequest>,
    ) -> Answer<local::VerifyErasureResponse> {
        let asked = request.into_inner();
        let (origin, record_id) = named_record(&asked.origin, &asked.record_id)?;
        let left = self.persons.remains(origin, record_id).await.map_err(|e| errors::exchange(&e))?;
        let looked = |of: LookedAt| local::LookedAt { file: of.file, bytes: of.bytes, found: of.found };
        Ok(Response::new(local::VerifyErasureResponse {
            erased: left.erased,
            rows: left.rows,
            files: left.files.into_iter().map(looked).collect(),
            not_looked_at: NOT_LOOKED_AT.map(str::to_owned).to_vec(),
        }))
    }

    async fn list_disclosures(
        &self,
        request: Request<local::ListDisclosuresRequest>,
    ) -> Answer<local::ListDisclosuresResponse> {
        let actor = self.codes.actor(&request)?;
        let case = case(&request.get_ref().case_reference)?;
        let rows = self.persons.disclosures(actor, case).await.map_err(|e| errors::exchange(&e))?;
        let disclosures = rows.iter().map(|row| disclosure(row, (self.now)())).collect();
        Ok(Response::new(local::ListDisclosuresResponse { disclosures }))
    }
}
