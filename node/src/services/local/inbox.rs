//! The inbox: a city's own system reads from its cursor, and says what it has safely stored.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::inbox_service_server::InboxService;
use tonic::{Request, Response, Status};

use crate::domain::reason::Reason;
use crate::domain::record::{RecordKind, StreamClass};
use crate::exchange::{Consumed, Exchange, Reading};
use crate::services::errors;
use crate::wire::{self, envelope, fields};

/// The Inbox service.
pub struct Inbox {
    pub exchange: Exchange,
}

fn consumed(record: &Consumed) -> local::ConsumeResponse {
    local::ConsumeResponse {
        position: record.position,
        received_ms: record.received.0,
        envelope: record.envelope.as_ref().ok().map(envelope::to_proto),
        signed: record.signed.clone(),
        unreadable: record.envelope.as_ref().err().map(|e| e.reason.code().to_owned()).unwrap_or_default(),
    }
}

#[tonic::async_trait]
impl InboxService for Inbox {
    type ConsumeStream = Pin<Box<dyn Stream<Item = Result<local::ConsumeResponse, Status>> + Send>>;

    async fn consume(&self, request: Request<local::ConsumeRequest>) -> Result<Response<Self::ConsumeStream>, Status> {
        let asked = request.into_inner();
        // A consumer reads content; what nodes tell each other is not its matter.
        let content = |kind: &RecordKind| kind.class() == StreamClass::Content;
        let mut kinds: Vec<RecordKind> = fields::coded_list("kinds", &asked.kinds).map_err(|e| errors::field(&e))?;
        if let Some(i) = kinds.iter().position(|kind| !content(kind)) {
            let control = wire::Error::new(Reason::KindNotSupported, format!("kinds[{i}]"), "a kind of content");
            return Err(errors::field(&control));
        }
        if kinds.is_empty() {
            kinds = RecordKind::ALL.iter().copied().filter(content).collect();
        }
        let reading =
            Reading { consumer: asked.consumer, after: asked.after_position, kinds, until_empty: asked.until_empty };
        let records = self.exchange.consume(reading).await.map_err(|e| errors::exchange(&e))?;
        let records = records.map(|r| r.as_ref().map(consumed).map_err(errors::exchange));
        Ok(Response::new(Box::pin(records)))
    }

    async fn commit_cursor(
        &self,
        request: Request<local::CommitCursorRequest>,
    ) -> Result<Response<local::CommitCursorResponse>, Status> {
        let asked = request.into_inner();
        self.exchange.commit_cursor(asked.consumer, asked.position).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::CommitCursorResponse {}))
    }
}
