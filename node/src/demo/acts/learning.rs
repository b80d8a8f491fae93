//! A practice published in French is found in German, by its coded fields.

use havenlink_proto::local::v1::{PublishRecordRequest, SearchPracticesRequest};
use havenlink_proto::record::v1::{PracticeAudience, PracticeOutcome, PracticeTopic, Purpose, Tlp};

use super::{request_id, until};
use crate::demo::stage::Stage;
use crate::demo::{Cities, sample};

/// German labels of the coded fields that the search uses.
fn german(topic: PracticeTopic) -> &'static str {
    match topic {
        PracticeTopic::Outreach => "Aufsuchende Arbeit",
        PracticeTopic::LanguageAndInterpretation => "Sprache und Dolmetschen",
        _ => "Anderes Thema",
    }
}

pub async fn play(stage: &mut Stage, cities: &mut Cities) -> anyhow::Result<()> {
    let Cities { strasbourg, kehl, .. } = cities;
    let step = stage.step("Strasbourg publishes a practice, written in French only");
    let published = strasbourg
        .publisher()
        .await?
        .publish_record(PublishRecordRequest {
            request_id: request_id(),
            sharing: Some(sample::sharing(&[], Purpose::Learning, Tlp::Green)),
            content: Some(sample::practice().into()),
            ..Default::default()
        })
        .await?
        .into_inner();
    stage.check(&step, published.recipients.len() == 2, format!("shared with {}", published.recipients.join(", ")));

    let topic = PracticeTopic::Outreach;
    let step = stage.step(&format!("A coordinator in Kehl looks for „{}“ with outcome „Wirksam“", german(topic)));
    let side = kehl.practices().await?;
    let found = until("the practice is found", || {
        let mut side = side.clone();
        async move {
            let search = SearchPracticesRequest {
                topics: vec![topic.into()],
                audiences: vec![PracticeAudience::PotentialVictims.into()],
                outcomes: vec![PracticeOutcome::Effective.into()],
                ..Default::default()
            };
            Ok(side.search_practices(search).await?.into_inner().practices.into_iter().next())
        }
    })
    .await?;
    let practice = found.practice.unwrap_or_default();
    let title = practice.texts.first().map(|t| format!("{} [{}]", t.title, t.language)).unwrap_or_default();
    let labels: Vec<&str> = practice.topics().map(german).collect();
    stage.saw(format!("{title} — {} — Wirkung: wirksam", labels.join(", ")));
    stage.check(&step, found.record_id == published.record_id, format!("found by its codes, from {}", found.origin));
    Ok(())
}
