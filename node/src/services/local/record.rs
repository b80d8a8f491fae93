//! Records of every kind: publish, list, get, answer, watch. A role has only the kinds that are its own (`RecordKind::open_to`), and sees what the gate
//! lets it read (`domain/policy.rs`).

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::content::Said;
use havenlink_proto::local::v1::record_service_server::RecordService;
use tonic::{Request, Response, Status};

use super::{delivery, key, kinds_of, refused};
use crate::domain::audit::ActorRole;
use crate::domain::policy::ReadPurpose;
use crate::domain::reason::Reason;
use crate::domain::record::Reference;
use crate::domain::records::{Content, RecordKind, Verb, wording};
use crate::exchange::{
    ConsumeRequest, Consumed, Error, Explanation, Folder, HeldAnswer, HeldRecord, Road, Unreadable, Wished,
};
use crate::services::actor::Codes;
use crate::services::call::{call, named};
use crate::services::{errors, layers, page};
use crate::wire::{self, envelope, fields, records, sharing};

/// The Record service.
#[derive(Clone)]
pub struct Records {
    pub road: Arc<Road>,
    pub codes: Codes,
}

type Answer<T> = Result<Response<T>, Status>;

/// Who looks on has no cursor of its own; nothing is ever committed under this name.
const WATCH: &str = "watch";

fn content(said: &Content) -> local::Content {
    local::Content { said: Some(records::to_said(said)) }
}

fn unreadable<T>(read: &Result<T, Unreadable>) -> String {
    read.as_ref().err().map(|unreadable| unreadable.reason.code().to_owned()).unwrap_or_default()
}

fn answer(given: &HeldAnswer) -> local::HeldAnswer {
    local::HeldAnswer {
        authority: given.authority().to_string(),
        record_id: fields::bytes_of(given.key.record_id.as_bytes()),
        content: given.answer.as_ref().ok().map(content),
        created_ms: given.created.0,
        unreadable: unreadable(&given.answer),
    }
}

fn held(held: &HeldRecord) -> local::HeldRecord {
    let said = held.said.as_ref().ok();
    local::HeldRecord {
        origin: held.key.origin.to_string(),
        record_id: fields::bytes_of(held.key.record_id.as_bytes()),
        kind: held.kind.code(),
        sharing: said.map(|said| sharing::to_proto(&said.sharing, &said.recipients)),
        content: said.map(|said| content(&said.content)),
        references: said
            .map(|said| said.references.iter().map(envelope::reference_to_proto).collect())
            .unwrap_or_default(),
        created_ms: held.created.map_or(0, |t| t.0),
        received_ms: held.received.map_or(0, |t| t.0),
        position: if held.received.is_some() { held.place } else { 0 },
        answers: held.answers.iter().map(answer).collect(),
        answers_left_out: i32::try_from(held.answers_left_out).unwrap_or(i32::MAX),
        deliveries: held.deliveries.iter().map(delivery).collect(),
        unreadable: unreadable(&held.said),
        superseded_by: held.later.as_ref().map(|later| {
            let reference = Reference { kind: later.how, target: later.by.clone() };
            envelope::reference_to_proto(&reference)
        }),
    }
}

fn explanation(explained: &Explanation) -> local::ExplainRecordResponse {
    let allowed = explained.answer.ok();
    let grant = allowed.and_then(|allowed| allowed.grant);
    local::ExplainRecordResponse {
        origin: explained.key.origin.to_string(),
        record_id: fields::bytes_of(explained.key.record_id.as_bytes()),
        kind: explained.kind.code(),
        authority: explained.authority.to_string(),
        allowed: allowed.is_some(),
        clause: allowed.map_or(0, |allowed| allowed.clause.code()),
        reason: explained.answer.err().map(|reason| reason.code().to_owned()).unwrap_or_default(),
        agreement_id: grant.map(|grant| fields::bytes_of(grant.agreement.as_bytes())).unwrap_or_default(),
        grant_number: grant.map_or(0, |grant| grant.number),
        level: allowed.and_then(|allowed| allowed.level).map_or(0, |level| level.code()),
        in_words: explained
            .answer
            .map_or_else(|reason| reason.row().what, |allowed| allowed.clause.in_words())
            .to_owned(),
    }
}

/// What a caller says.
fn said(given: Option<local::Content>, field: &str) -> Result<Said, Status> {
    given.and_then(|content| content.said).ok_or_else(|| errors::field(&wire::Error::missing(field)))
}

/// The record that a caller says, by today's rules.
fn parsed(said: Said, field: &str) -> Result<Content, Status> {
    records::from_said(said).map_err(|error| errors::field(&error.within(field)))
}

/// Words that were better others, for who writes them.
fn wordings(content: &Content) -> Vec<local::Wording> {
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let told = |wording: wording::Wording| local::Wording {
        field: format!("content.{}", wording.field),
        start: number(wording.start),
        end: number(wording.end),
        instead: wording.instead.to_owned(),
    };
    wording::wordings(content).into_iter().map(told).collect()
}

/// A record that was just received, for who looks on; `None`: it is gone again.
async fn shown(
    road: Arc<Road>,
    record: Result<Consumed, Error>,
    role: ActorRole,
) -> Option<Result<local::WatchRecordsResponse, Status>> {
    let found = match record {
        Ok(record) => road.get(role, record.key).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(found) => Some(Ok(local::WatchRecordsResponse { record: Some(held(&found)) })),
        Err(error) if error.reason() == Reason::NotFound => None,
        Err(error) => Some(Err(errors::exchange(&error))),
    }
}

#[tonic::async_trait]
impl RecordService for Records {
    async fn publish_record(
        &self,
        request: Request<local::PublishRecordRequest>,
    ) -> Answer<local::PublishRecordResponse> {
        let (role, _) = layers::local(&request)?;
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let asked = request.into_inner();
        let authority = named("authority", &asked.authority)?;
        let said = said(asked.content, "content")?;
        let kind = records::kind_of(&said);
        kind.open_to(Verb::Publish, role).map_err(|reason| refused(reason, "content", kind))?;
        let content = parsed(said, "content")?;
        let sharing = sharing::from_proto(asked.sharing).map_err(|e| errors::field(&e.within("sharing")))?;
        let wordings = wordings(&content);
        let published = self.road.publish(&call, Wished { authority, sharing, content }).await;
        let published = published.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::PublishRecordResponse {
            record_id: fields::bytes_of(published.record_id.as_bytes()),
            recipients: published.recipients.iter().map(ToString::to_string).collect(),
            standing: published.standing.iter().map(delivery).collect(),
            wordings,
        }))
    }

    async fn update_record(&self, request: Request<local::UpdateRecordRequest>) -> Answer<local::UpdateRecordResponse> {
        let (role, _) = layers::local(&request)?;
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let asked = request.into_inner();
        let target = key(&asked.origin, &asked.record_id)?;
        let said = said(asked.content, "content")?;
        let kind = records::kind_of(&said);
        kind.open_to(Verb::Publish, role).map_err(|reason| refused(reason, "content", kind))?;
        let content = parsed(said, "content")?;
        let wordings = wordings(&content);
        let updated = self.road.update(&call, target, content).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::UpdateRecordResponse {
            record_id: fields::bytes_of(updated.record_id.as_bytes()),
            recipients: updated.recipients.iter().map(ToString::to_string).collect(),
            wordings,
        }))
    }

    async fn cancel_record(&self, request: Request<local::CancelRecordRequest>) -> Answer<local::CancelRecordResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let asked = request.into_inner();
        let target = key(&asked.origin, &asked.record_id)?;
        let cancelled = self.road.cancel(&call, target).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::CancelRecordResponse {
            record_id: fields::bytes_of(cancelled.record_id.as_bytes()),
            recipients: cancelled.recipients.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn list_records(&self, request: Request<local::ListRecordsRequest>) -> Answer<local::ListRecordsResponse> {
        let (role, _) = layers::local(&request)?;
        let asked = request.into_inner();
        let size = page::size(asked.page_size)?;
        let kind: RecordKind = fields::closed_enum("kind", asked.kind).map_err(|e| errors::field(&e))?;
        kind.open_to(Verb::Read, role).map_err(|reason| refused(reason, "kind", kind))?;
        let folder = match asked.folder() {
            local::Folder::Published => Folder::Published,
            local::Folder::Received | local::Folder::Unspecified => Folder::Received,
        };
        let list = format!("records/{kind}/{folder:?}");
        let before = page::number(&list, &asked.page_token)?;
        let rows = self.road.list(role, kind, folder, before, size + 1).await.map_err(|e| errors::exchange(&e))?;
        let (records, more) = page::fill(&rows, size, held);
        let last = records.len().checked_sub(1).filter(|_| more).map(|last| &rows[last]);
        let next_page_token = last.map(|row| page::token(&list, &row.place.to_be_bytes())).unwrap_or_default();
        Ok(Response::new(local::ListRecordsResponse { records, next_page_token }))
    }

    async fn get_record(&self, request: Request<local::GetRecordRequest>) -> Answer<local::GetRecordResponse> {
        let (role, _) = layers::local(&request)?;
        let asked = request.into_inner();
        let key = key(&asked.origin, &asked.record_id)?;
        let found = self.road.get(role, key).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::GetRecordResponse { record: Some(held(&found)) }))
    }

    async fn explain_record(
        &self,
        request: Request<local::ExplainRecordRequest>,
    ) -> Answer<local::ExplainRecordResponse> {
        let (role, _) = layers::local(&request)?;
        let asked = request.into_inner();
        let (key, authority) = (key(&asked.origin, &asked.record_id)?, named("authority", &asked.authority)?);
        let explained = self.road.explain(role, &key, authority).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(explanation(&explained)))
    }

    async fn answer_record(&self, request: Request<local::AnswerRecordRequest>) -> Answer<local::AnswerRecordResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let asked = request.into_inner();
        let target = key(&asked.origin, &asked.record_id)?;
        let answer = parsed(said(asked.answer, "answer")?, "answer")?;
        let id = self.road.answer(&call, target, answer).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::AnswerRecordResponse { record_id: fields::bytes_of(id.as_bytes()) }))
    }

    type WatchRecordsStream = Pin<Box<dyn Stream<Item = Result<local::WatchRecordsResponse, Status>> + Send>>;

    async fn watch_records(&self, request: Request<local::WatchRecordsRequest>) -> Answer<Self::WatchRecordsStream> {
        let (role, _) = layers::local(&request)?;
        let kinds = kinds_of(&request.get_ref().kinds, role, Verb::Read)?;
        let after = self.road.inbox_position().await.map_err(|e| errors::exchange(&e))?;
        let (consumer, purpose) = (WATCH.to_owned(), ReadPurpose::Show);
        let reading = ConsumeRequest { role, purpose, consumer, after, kinds, until_empty: false };
        let records = self.road.consume(reading).await.map_err(|e| errors::exchange(&e))?;
        let road = self.road.clone();
        let shown = records.filter_map(move |record| shown(road.clone(), record, role));
        Ok(Response::new(Box::pin(shown)))
    }
}
