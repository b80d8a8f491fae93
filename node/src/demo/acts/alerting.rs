//! An alert about an advert goes from Strasbourg to both partners, and Kehl answers. One from Esch to Kehl is refused.

use havenlink_proto::Said;
use havenlink_proto::local::v1::{
    AnswerRecordRequest, Folder, GetRecordRequest, ListRecordsRequest, PublishRecordRequest,
};
use havenlink_proto::record::v1::{Alert, Answer, AnswerKind, Purpose, RecordKind, Tlp};

use super::{reason_of, request_id, until};
use crate::demo::city::City;
use crate::demo::stage::Stage;
use crate::demo::{Cities, sample};

pub async fn play(stage: &mut Stage, cities: &mut Cities) -> anyhow::Result<()> {
    let Cities { strasbourg, kehl, esch } = cities;
    let step = stage.step("Strasbourg publishes an alert about an advert to Kehl and Esch");
    let published = strasbourg
        .publisher()
        .await?
        .publish_record(PublishRecordRequest {
            request_id: request_id(),
            sharing: Some(sample::sharing(&[kehl.id(), esch.id()], Purpose::Prevention, Tlp::Amber)),
            content: Some(sample::advert_alert().into()),
            ..Default::default()
        })
        .await?
        .into_inner();
    for city in [&*kehl, &*esch] {
        let held = received(city, strasbourg.id(), &published.record_id).await?;
        let text = held.summary.first().map(|t| t.text.clone()).unwrap_or_default();
        stage.saw(format!("{} holds it: {text}", city.sample.name.1));
    }
    stage.check(
        &step,
        published.recipients.len() == 2,
        "stored in Strasbourg, delivered, stored and acknowledged by both",
    );

    let step = stage.step("Kehl answers it");
    let answer = Answer { kind: AnswerKind::Acknowledged.into(), ..Default::default() };
    kehl.records()
        .await?
        .answer_record(AnswerRecordRequest {
            request_id: request_id(),
            origin: strasbourg.id().to_owned(),
            record_id: published.record_id.clone(),
            answer: Some(answer.into()),
        })
        .await?;
    let side = strasbourg.records().await?;
    let by = until("the answer has arrived", || {
        let (mut side, id, origin) = (side.clone(), published.record_id.clone(), strasbourg.id().to_owned());
        async move {
            let held = side.get_record(GetRecordRequest { origin, record_id: id }).await?.into_inner().record;
            Ok(held.and_then(|a| a.answers.into_iter().next()))
        }
    })
    .await?;
    stage.check(&step, by.authority == kehl.id(), format!("Strasbourg sees: ACKNOWLEDGED by {}", by.authority));

    let step = stage.step("Esch tries to send an alert to Kehl, without an agreement");
    let refused = esch
        .publisher()
        .await?
        .publish_record(PublishRecordRequest {
            request_id: request_id(),
            sharing: Some(sample::sharing(&[kehl.id()], Purpose::Prevention, Tlp::Green)),
            content: Some(sample::site_alert().into()),
            ..Default::default()
        })
        .await;
    match refused {
        Ok(_) => stage.check(&step, false, "it was accepted"),
        Err(status) => {
            let reason = reason_of(&status);
            stage.saw(status.message());
            stage.check(
                &step,
                reason == "AGREEMENT_NOT_IN_FORCE",
                format!("refused: {reason}; nothing was stored, nothing was sent"),
            );
        }
    }
    Ok(())
}

/// Waits until the city holds the alert.
pub async fn received(city: &City, origin: &str, record_id: &bytes::Bytes) -> anyhow::Result<Alert> {
    let side = city.records().await?;
    until("the alert has arrived", || {
        let (mut side, origin, record_id) = (side.clone(), origin.to_owned(), record_id.clone());
        async move {
            let (kind, folder) = (RecordKind::Alert.into(), Folder::Received.into());
            let page = ListRecordsRequest { kind, folder, page_size: 50, ..Default::default() };
            let held = side.list_records(page).await?.into_inner().records;
            let held = held.into_iter().find(|a| a.origin == origin && a.record_id == record_id);
            Ok(held.and_then(|held| Alert::said(held.content.as_ref()?).cloned()))
        }
    })
    .await
}
