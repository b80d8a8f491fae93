//! Alerts: publish, list, get, answer.

use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::alert_service_server::AlertService;
use tonic::{Request, Response, Status};

use super::{delivery, key};
use crate::exchange::{Exchange, HeldAlert};
use crate::services::actor::Codes;
use crate::services::call::{call, named};
use crate::services::{errors, page};
use crate::wire::{self, alert, answer, fields, sharing};

/// The Alert service.
pub struct Alerts {
    pub exchange: Exchange,
    pub codes: Codes,
}

type Answer<T> = Result<Response<T>, Status>;

const RECEIVED: &str = "alerts/received";
const PUBLISHED: &str = "alerts/published";

fn held(alert_held: &HeldAlert) -> local::HeldAlert {
    let answers = alert_held.answers.iter().map(|given| local::HeldAnswer {
        authority: given.authority.to_string(),
        answer: Some(answer::to_proto(&given.answer)),
        created_ms: given.created.0,
    });
    local::HeldAlert {
        origin: alert_held.key.origin.to_string(),
        record_id: fields::bytes_of(alert_held.key.record_id.as_bytes()),
        sharing: Some(sharing::to_proto(&alert_held.sharing)),
        alert: Some(alert::to_proto(&alert_held.alert)),
        created_ms: alert_held.created.0,
        received_ms: alert_held.received.map_or(0, |t| t.0),
        position: if alert_held.received.is_some() { alert_held.place } else { 0 },
        answers: answers.collect(),
        answers_left_out: i32::try_from(alert_held.answers_left_out).unwrap_or(i32::MAX),
        deliveries: alert_held.deliveries.iter().map(delivery).collect(),
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
        let published = self.exchange.publish_alert(&call, authority, sharing, alert).await;
        let published = published.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::PublishAlertResponse {
            record_id: fields::bytes_of(published.record_id.as_bytes()),
            recipients: published.recipients.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn list_alerts(&self, request: Request<local::ListAlertsRequest>) -> Answer<local::ListAlertsResponse> {
        let asked = request.into_inner();
        let size = page::size(asked.page_size)?;
        let (list, alerts) = match asked.r#box() {
            local::Box::Published => {
                let before = page::number(PUBLISHED, &asked.page_token)?;
                (PUBLISHED, self.exchange.published_alerts(before, size + 1).await)
            }
            local::Box::Received | local::Box::Unspecified => {
                let before = page::number(RECEIVED, &asked.page_token)?;
                (RECEIVED, self.exchange.received_alerts(before, size + 1).await)
            }
        };
        let rows = alerts.map_err(|e| errors::exchange(&e))?;
        let (alerts, more) = page::fill(&rows, size, held);
        let last = alerts.len().checked_sub(1).filter(|_| more).map(|last| &rows[last]);
        let next_page_token = last.map(|a| page::token(list, &a.place.to_be_bytes())).unwrap_or_default();
        Ok(Response::new(local::ListAlertsResponse { alerts, next_page_token }))
    }

    async fn get_alert(&self, request: Request<local::GetAlertRequest>) -> Answer<local::GetAlertResponse> {
        let asked = request.into_inner();
        let found =
            self.exchange.alert(key(&asked.origin, &asked.record_id)?).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::GetAlertResponse { alert: Some(held(&found)) }))
    }

    async fn answer_alert(&self, request: Request<local::AnswerAlertRequest>) -> Answer<local::AnswerAlertResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let asked = request.into_inner();
        let target = key(&asked.origin, &asked.record_id)?;
        let answer = asked.answer.ok_or_else(|| errors::field(&wire::Error::missing("answer")))?;
        let answer = answer::from_proto(answer).map_err(|e| errors::field(&e.within("answer")))?;
        let id = self.exchange.answer_alert(&call, target, answer).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::AnswerAlertResponse { record_id: fields::bytes_of(id.as_bytes()) }))
    }
}
