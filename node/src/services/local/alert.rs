//! Alerts: publish, list, get, answer.

use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::alert_service_server::AlertService;
use tonic::{Request, Response, Status};

use super::{delivery, key};
use crate::domain::reason::Reason;
use crate::domain::records::{Content, RecordKind};
use crate::exchange::{Exchange, Folder, Held, Unreadable, Wished};
use crate::services::actor::Codes;
use crate::services::call::{call, named};
use crate::services::{errors, page};
use crate::wire::records::{alert, answer};
use crate::wire::{self, fields, sharing};

/// The Alert service.
pub struct Alerts {
    pub exchange: Exchange,
    pub codes: Codes,
}

type Answer<T> = Result<Response<T>, Status>;

const RECEIVED: &str = "alerts/received";
const PUBLISHED: &str = "alerts/published";

fn held(held: &Held) -> local::HeldAlert {
    let unreadable = |unreadable: &Unreadable| unreadable.reason.code().to_owned();
    let answers = held.answers.iter().map(|given| {
        let answer = given.answer.as_ref().ok();
        local::HeldAnswer {
            authority: given.authority().to_string(),
            answer: answer.and_then(|content| match content {
                Content::Answer(value) => Some(answer::to_proto(value)),
                Content::Alert(_) | Content::Practice(_) | Content::OfferView(_) => None,
            }),
            created_ms: given.created.0,
            unreadable: given.answer.as_ref().err().map(unreadable).unwrap_or_default(),
        }
    });
    let said = held.said.as_ref().ok();
    local::HeldAlert {
        origin: held.key.origin.to_string(),
        record_id: fields::bytes_of(held.key.record_id.as_bytes()),
        sharing: said.map(|said| sharing::to_proto(&said.sharing)),
        alert: said.and_then(|said| match &said.content {
            Content::Alert(value) => Some(alert::to_proto(value)),
            Content::Answer(_) | Content::Practice(_) | Content::OfferView(_) => None,
        }),
        created_ms: held.created.map_or(0, |t| t.0),
        received_ms: held.received.map_or(0, |t| t.0),
        position: if held.received.is_some() { held.place } else { 0 },
        answers: answers.collect(),
        answers_left_out: i32::try_from(held.answers_left_out).unwrap_or(i32::MAX),
        deliveries: held.deliveries.iter().map(delivery).collect(),
        unreadable: held.said.as_ref().err().map(unreadable).unwrap_or_default(),
    }
}

#[tonic::async_trait]
impl AlertService for Alerts {
    async fn publish_alert(&self, request: Request<local::PublishAlertRequest>) -> Answer<local::PublishAlertResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let asked = request.into_inner();
        let authority = named("authority", &asked.authority)?;
        let sharing = sharing::from_proto(asked.sharing).map_err(|e| errors::field(&e.within("sharing")))?;
        let alert = asked.alert.ok_or_else(|| errors::field(&wire::Error::missing("alert")))?;
        let alert = alert::from_proto(alert).map_err(|e| errors::field(&e.within("alert")))?;
        let wished = Wished { authority, sharing, content: alert.into() };
        let published = self.exchange.publish(&call, wished).await;
        let published = published.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::PublishAlertResponse {
            record_id: fields::bytes_of(published.record_id.as_bytes()),
            recipients: published.recipients.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn list_alerts(&self, request: Request<local::ListAlertsRequest>) -> Answer<local::ListAlertsResponse> {
        let asked = request.into_inner();
        let size = page::size(asked.page_size)?;
        let (list, folder) = match asked.r#box() {
            local::Box::Published => (PUBLISHED, Folder::Published),
            local::Box::Received | local::Box::Unspecified => (RECEIVED, Folder::Received),
        };
        let before = page::number(list, &asked.page_token)?;
        let alerts = self.exchange.list(RecordKind::Alert, folder, before, size + 1).await;
        let rows = alerts.map_err(|e| errors::exchange(&e))?;
        let (alerts, more) = page::fill(&rows, size, held);
        let last = alerts.len().checked_sub(1).filter(|_| more).map(|last| &rows[last]);
        let next_page_token = last.map(|a| page::token(list, &a.place.to_be_bytes())).unwrap_or_default();
        Ok(Response::new(local::ListAlertsResponse { alerts, next_page_token }))
    }

    async fn get_alert(&self, request: Request<local::GetAlertRequest>) -> Answer<local::GetAlertResponse> {
        let asked = request.into_inner();
        let found = self.exchange.get(key(&asked.origin, &asked.record_id)?).await.map_err(|e| errors::exchange(&e))?;
        if found.kind != RecordKind::Alert {
            return Err(errors::refuse(Reason::NotFound));
        }
        Ok(Response::new(local::GetAlertResponse { alert: Some(held(&found)) }))
    }

    async fn answer_alert(&self, request: Request<local::AnswerAlertRequest>) -> Answer<local::AnswerAlertResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let asked = request.into_inner();
        let target = key(&asked.origin, &asked.record_id)?;
        let answer = asked.answer.ok_or_else(|| errors::field(&wire::Error::missing("answer")))?;
        let answer = answer::from_proto(answer).map_err(|e| errors::field(&e.within("answer")))?;
        let id = self.exchange.answer(&call, target, answer.into()).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::AnswerAlertResponse { record_id: fields::bytes_of(id.as_bytes()) }))
    }
}
