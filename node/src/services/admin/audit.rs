//! The ledger: leaves, and whether it is consistent with itself.

use std::sync::Arc;

use havenlink_proto::admin::v1 as admin;
use havenlink_proto::admin::v1::audit_service_server::AuditService;
use havenlink_proto::record::v1 as record;
use prost::Message;
use tonic::{Request, Response, Status};

use crate::domain::reason::Reason;
use crate::exchange;
use crate::services::{errors, page};
use crate::wire::fields;

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
        }))
    }
}
