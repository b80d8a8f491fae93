//! The inbox: a city's own system reads from its cursor, and says what it has safely stored.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::inbox_service_server::InboxService;
use tonic::{Request, Response, Status};

use super::kinds_of;

use crate::domain::policy::ReadPurpose;
use crate::domain::records::Verb;
use crate::exchange::{ConsumeRequest, Consumed, Road};
use crate::services::{errors, layers};
use crate::wire::{self, envelope};

/// The Inbox service.
pub struct Inbox {
    pub road: Arc<Road>,
}

/// Once: as its envelope, or as the bytes that its origin signed.
fn consumed(record: &Consumed, signed: bool) -> local::ConsumeResponse {
    let envelope = record.envelope.as_ref().ok().filter(|_| !signed);
    local::ConsumeResponse {
        position: record.position,
        received_ms: record.received.0,
        envelope: envelope.map(envelope::to_proto),
        signed: if signed { record.signed.clone() } else { Default::default() },
        unreadable: record.envelope.as_ref().err().map(|e| e.reason.code().to_owned()).unwrap_or_default(),
    }
}

#[tonic::async_trait]
impl InboxService for Inbox {
    type ConsumeStream = Pin<Box<dyn Stream<Item = Result<local::ConsumeResponse, Status>> + Send>>;

    async fn consume(&self, request: Request<local::ConsumeRequest>) -> Result<Response<Self::ConsumeStream>, Status> {
        let (role, _) = layers::local(&request)?;
        let asked = request.into_inner();
        if asked.all_kinds != asked.kinds.is_empty() {
            return Err(errors::field(&wire::Error::missing("kinds")));
        }
        let (kinds, signed) = (kinds_of(&asked.kinds, role, Verb::Consume)?, asked.signed);
        let reading = ConsumeRequest {
            role,
            purpose: ReadPurpose::Consume,
            consumer: asked.consumer,
            after: asked.after_position,
            kinds,
            until_empty: asked.until_empty,
        };
        let records = self.road.consume(reading).await.map_err(|e| errors::exchange(&e))?;
        let records = records.map(move |r| r.as_ref().map(|r| consumed(r, signed)).map_err(errors::exchange));
        Ok(Response::new(Box::pin(records)))
    }

    async fn commit_cursor(
        &self,
        request: Request<local::CommitCursorRequest>,
    ) -> Result<Response<local::CommitCursorResponse>, Status> {
        let asked = request.into_inner();
        self.road.commit_cursor(asked.consumer, asked.position).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::CommitCursorResponse {}))
    }
}
