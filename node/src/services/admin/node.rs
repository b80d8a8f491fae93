//! The node itself: what a reason means, how it stands, its certificate, its doctor.

use std::sync::Arc;

use havenlink_proto::admin::v1 as admin;
use havenlink_proto::admin::v1::node_service_server::NodeService;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use crate::domain::audit::Actor;
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::services::actor::Codes;
use crate::services::errors;
use crate::wire::{entry, fields};

/// How the node stands; a member's and an applicant's differ.
#[tonic::async_trait]
pub trait StatusSource: Send + Sync + 'static {
    async fn status(&self) -> Result<admin::GetStatusResponse, Reason>;
}

/// Who of the register answers at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answering {
    pub authority: AuthorityId,
    /// Of the certificate that it showed.
    pub pin: Pin,
    /// Its entry lists the pin; otherwise its authority's key issued the certificate.
    pub is_pinned: bool,
}

/// What was not done, and about what: a few words of ours, never content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDone {
    pub reason: Reason,
    pub about: String,
}

impl From<Reason> for NotDone {
    fn from(reason: Reason) -> Self {
        Self { reason, about: String::new() }
    }
}

impl From<NotDone> for Status {
    fn from(refused: NotDone) -> Self {
        errors::status(refused.reason, errors::RefusalDetails { about: refused.about, ..Default::default() })
    }
}

/// What the operator may have done to the node.
#[tonic::async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// A new certificate: made, published, proved, taken into use. Gives its pin and its end.
    async fn renew(&self, actor: Actor) -> Result<(Pin, UnixMs), Reason>;
    /// The same with key and certificate that the operator brings, PEM or DER.
    async fn bring(&self, pair: (Zeroizing<Vec<u8>>, Vec<u8>), actor: Actor) -> Result<(Pin, UnixMs), NotDone>;
    /// Who of the register answers at an address.
    async fn meet(&self, endpoint: &str) -> Result<Answering, NotDone>;
    /// Keeps the address for this authority, and follows the register from it. Gives the register's number then.
    async fn keep_contact(&self, endpoint: &str, authority: &AuthorityId) -> Result<u64, NotDone>;
    /// Looks at everything that may be wrong.
    async fn doctor(&self) -> Vec<admin::Check>;
}

pub struct Node {
    pub status: Arc<dyn StatusSource>,
    pub upkeep: Arc<dyn Upkeep>,
    pub codes: Codes,
}

#[tonic::async_trait]
impl NodeService for Node {
    async fn get_status(
        &self,
        _request: Request<admin::GetStatusRequest>,
    ) -> Result<Response<admin::GetStatusResponse>, Status> {
        self.status.status().await.map(Response::new).map_err(errors::refuse)
    }

    async fn explain_reason(
        &self,
        request: Request<admin::ExplainReasonRequest>,
    ) -> Result<Response<admin::ExplainReasonResponse>, Status> {
        Ok(Response::new(explain(&request.get_ref().code)))
    }

    async fn renew_certificate(
        &self,
        request: Request<admin::RenewCertificateRequest>,
    ) -> Result<Response<admin::RenewCertificateResponse>, Status> {
        let actor = self.codes.actor(&request)?;
        let asked = request.into_inner();
        let (key, certificate) = (Zeroizing::new(asked.key.to_vec()), asked.certificate.to_vec());
        let (pin, end) = match key.is_empty() && certificate.is_empty() {
            true => self.upkeep.renew(actor).await.map_err(errors::refuse)?,
            false => self.upkeep.bring((key, certificate), actor).await?,
        };
        let spki_sha256 = fields::bytes_of(pin.as_bytes());
        Ok(Response::new(admin::RenewCertificateResponse { spki_sha256, not_after_ms: end.0 }))
    }

    async fn meet_address(
        &self,
        request: Request<admin::MeetAddressRequest>,
    ) -> Result<Response<admin::MeetAddressResponse>, Status> {
        let endpoint = entry::endpoint(&request.get_ref().endpoint, "endpoint").map_err(|e| errors::field(&e))?;
        let met = self.upkeep.meet(endpoint).await?;
        Ok(Response::new(admin::MeetAddressResponse {
            authority: met.authority.to_string(),
            spki_sha256: fields::bytes_of(met.pin.as_bytes()),
            pinned: met.is_pinned,
        }))
    }

    async fn keep_contact(
        &self,
        request: Request<admin::KeepContactRequest>,
    ) -> Result<Response<admin::KeepContactResponse>, Status> {
        let asked = request.get_ref();
        let authority = entry::authority_id(&asked.authority, "authority").map_err(|e| errors::field(&e))?;
        let endpoint = entry::endpoint(&asked.endpoint, "endpoint").map_err(|e| errors::field(&e))?;
        let register_number = self.upkeep.keep_contact(endpoint, &authority).await?;
        Ok(Response::new(admin::KeepContactResponse { register_number }))
    }

    async fn run_doctor(
        &self,
        _request: Request<admin::RunDoctorRequest>,
    ) -> Result<Response<admin::RunDoctorResponse>, Status> {
        Ok(Response::new(admin::RunDoctorResponse { checks: self.upkeep.doctor().await }))
    }
}

/// The catalogue's row of a code; with an empty code all codes, with an unknown one the nearest.
pub fn explain(code: &str) -> admin::ExplainReasonResponse {
    let code = code.trim().to_ascii_uppercase().replace('-', "_");
    let Some(reason) = Reason::from_code(&code) else {
        return admin::ExplainReasonResponse { nearest: nearest(&code), ..Default::default() };
    };
    let row = reason.row();
    admin::ExplainReasonResponse {
        code: row.code.to_owned(),
        what: row.what.to_owned(),
        why: row.why.to_owned(),
        remedy: row.remedy.to_owned(),
        grpc_status: errors::code_name(errors::code(reason)).to_owned(),
        retryable: row.retryable,
        exit_code: row.status.exit_code(),
        anchor: format!("#{}", row.code.to_ascii_lowercase().replace('_', "-")),
        nearest: Vec::new(),
    }
}

fn nearest(code: &str) -> Vec<String> {
    if code.is_empty() {
        return Reason::ALL.iter().map(|r| r.code().to_owned()).collect();
    }
    let mut scored: Vec<(f64, &str)> = Reason::ALL
        .iter()
        .map(|r| (strsim::jaro_winkler(code, r.code()), r.code()))
        .filter(|(s, _)| *s > 0.7)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, code)| code.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_explained_and_a_wrong_one_guessed() {
        let known = explain("peer-pin-unknown");
        assert_eq!((known.code.as_str(), known.grpc_status.as_str()), ("PEER_PIN_UNKNOWN", "UNAUTHENTICATED"));
        assert!(!known.remedy.is_empty() && known.nearest.is_empty());
        assert!(explain("PEER_PIN_UNKOWN").nearest.contains(&"PEER_PIN_UNKNOWN".to_owned()));
        assert_eq!(explain("").nearest.len(), Reason::ALL.len());
    }
}
