//! The node itself: what a reason means, how it stands, its certificate, its doctor.

use std::sync::Arc;

use havenlink_proto::admin::v1 as admin;
use havenlink_proto::admin::v1::node_service_server::NodeService;
use tonic::{Request, Response, Status};

use crate::domain::audit::Actor;
use crate::domain::ids::Pin;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::services::actor::Codes;
use crate::services::errors;
use crate::wire::fields;

/// How the node stands; a member's and an applicant's differ.
#[tonic::async_trait]
pub trait StatusSource: Send + Sync + 'static {
    async fn status(&self) -> Result<admin::GetStatusResponse, Reason>;
}

/// What the operator may have done to the node.
#[tonic::async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// A new certificate: made, published, proved, taken into use. Gives its pin and its end.
    async fn renew(&self, actor: Actor) -> Result<(Pin, UnixMs), Reason>;
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
        let (pin, end) = self.upkeep.renew(actor).await.map_err(errors::refuse)?;
        let spki_sha256 = fields::bytes_of(pin.as_bytes());
        Ok(Response::new(admin::RenewCertificateResponse { spki_sha256, not_after_ms: end.0 }))
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
