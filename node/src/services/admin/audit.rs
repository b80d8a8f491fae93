//! The ledger: leaves, whether it is consistent with itself, what others need to check it, and what it tells of processing.

use std::sync::Arc;

use havenlink_proto::admin::v1 as admin;
use havenlink_proto::admin::v1::audit_service_server::AuditService;
use havenlink_proto::record::v1 as record;
use prost::Message;
use tonic::{Request, Response, Status};

use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::exchange;
use crate::exchange::{Extent, Processed, ToProve};
use crate::services::{errors, page};
use crate::wire::{self, fields};

pub struct Audit {
    pub upkeep: Arc<exchange::Upkeep>,
}

#[tonic::async_trait]
impl AuditService for Audit {
    async fn list_leaves(
        &self,
        request: Request<admin::ListLeavesRequest>,
    ) -> Result<Response<admin::ListLeavesResponse>, Status> {
        let asked = request.into_inner();
        let size = page::size(asked.page_size)?;
        let from = match u64::try_from(asked.from) {
            Ok(from) => from,
            Err(_) => {
                let (_, head) = self.upkeep.audit_leaves(0, 0).await.map_err(|e| errors::exchange(&e))?;
                head.size.saturating_sub(asked.from.unsigned_abs())
            }
        };
        let (leaves, head) = self.upkeep.audit_leaves(from, size).await.map_err(|e| errors::exchange(&e))?;
        let leaves = leaves.into_iter().map(record::AuditLeaf::decode).collect::<Result<_, _>>();
        let leaves = leaves.map_err(|_| errors::refuse(Reason::AuditDamaged))?;
        Ok(Response::new(admin::ListLeavesResponse { leaves, size: head.size }))
    }

    async fn verify_audit(
        &self,
        _request: Request<admin::VerifyAuditRequest>,
    ) -> Result<Response<admin::VerifyAuditResponse>, Status> {
        let finding = self.upkeep.verify_audit().await.map_err(|e| errors::exchange(&e))?;
        let checkpoint = finding.head.checkpoint.and_then(|(_, signed)| record::Signed::decode(signed).ok());
        Ok(Response::new(admin::VerifyAuditResponse {
            consistent: finding.consistent,
            size: finding.head.size,
            root: fields::bytes_of(finding.head.root.as_bytes()),
            checkpoint,
            checkpoints: finding.checkpoints,
            contradicting_size: finding.contradicting.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1),
            first_bad_index: finding.first_bad.and_then(|i| i64::try_from(i).ok()).unwrap_or(-1),
            // Nobody cosigns yet: the log can show that it is consistent with itself, not that it was not rolled back.
            last_cosigned_ms: 0,
            missing_size: finding.missing.unwrap_or_default(),
            strays: finding.strays,
        }))
    }

    async fn export_audit(
        &self,
        request: Request<admin::ExportAuditRequest>,
    ) -> Result<Response<admin::ExportAuditResponse>, Status> {
        let asked = request.into_inner();
        let size = page::size(asked.page_size)?;
        let page = self.upkeep.ledger_page(asked.from, size).await.map_err(|e| errors::exchange(&e))?;
        let checkpoint = |(size, signed)| admin::StoredCheckpoint { size, signed };
        Ok(Response::new(admin::ExportAuditResponse {
            federation_id: fields::bytes_of(page.federation.as_bytes()),
            authority: page.authority.as_str().to_owned(),
            size: page.head.size,
            root: fields::bytes_of(page.head.root.as_bytes()),
            time_ms: page.head.time.0,
            strays: page.strays,
            covered: page.head.checkpoint.map_or(0, |(size, _)| size),
            leaves: page.leaves,
            checkpoints: page.checkpoints.into_iter().map(checkpoint).collect(),
        }))
    }

    async fn prove_audit(
        &self,
        request: Request<admin::ProveAuditRequest>,
    ) -> Result<Response<admin::ProveAuditResponse>, Status> {
        let what = match request.into_inner().what {
            Some(admin::prove_audit_request::What::Index(index)) => ToProve::Leaf(index),
            Some(admin::prove_audit_request::What::Since(size)) => ToProve::Growth(size),
            None => return Err(errors::field(&wire::Error::missing("what"))),
        };
        let proof = self.upkeep.prove(what).await.map_err(|e| errors::exchange(&e))?;
        let path = proof.path.iter().map(|root| fields::bytes_of(root.as_bytes())).collect();
        Ok(Response::new(admin::ProveAuditResponse { about: proof.about, checkpoint: proof.checkpoint, path }))
    }

    async fn report_processing(
        &self,
        request: Request<admin::ReportProcessingRequest>,
    ) -> Result<Response<admin::ReportProcessingResponse>, Status> {
        let asked = request.into_inner();
        let until = if asked.until_ms == 0 { UnixMs::NEVER } else { UnixMs(asked.until_ms) };
        let told = self.upkeep.processing(UnixMs(asked.since_ms), until).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(admin::ReportProcessingResponse {
            from: told.from,
            to: told.to,
            root: fields::bytes_of(told.root.as_bytes()),
            lines: told.lines.into_iter().map(line).collect(),
            unknown: told.unknown,
        }))
    }
}

fn line((what, extent): (Processed, Extent)) -> admin::ProcessingLine {
    admin::ProcessingLine {
        act: what.act.code(),
        counterparty: what.counterparty.map(|to| to.as_str().to_owned()).unwrap_or_default(),
        record_kind: fields::number_or_zero(what.kind),
        agreement_id: what.agreement.map(|id| fields::bytes_of(id.as_bytes())).unwrap_or_default(),
        purpose: fields::number_or_zero(what.purpose),
        times: extent.times,
        first_ms: extent.first.0,
        last_ms: extent.last.0,
        retention_ms: extent.retention.map_or(0, |span| span.0),
    }
}
