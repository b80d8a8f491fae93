//! The road, as a city's own systems see it: publish at one city, read at the other.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use havenlink::demo::acts::{reason_of, request_id, until};
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink_proto::local::v1::{ConsumeRequest, PublishRecordRequest};
use havenlink_proto::record::v1::{Purpose, Tlp};

/// A request that publishes the sample's advert to one authority.
pub fn alert_to(to: &str) -> PublishRecordRequest {
    PublishRecordRequest {
        request_id: request_id(),
        sharing: Some(sample::sharing(&[to], Purpose::Prevention, Tlp::Green)),
        content: Some(sample::advert_alert().into()),
        ..Default::default()
    }
}

/// Publishes one alert; its record id, or the reason of the refusal.
///
/// # Errors
/// When the node cannot be asked at all.
pub async fn publish(from: &City, to: &City) -> anyhow::Result<Result<Bytes, String>> {
    let answer = from.publisher().await?.publish_record(alert_to(to.id())).await;
    Ok(answer.map(|a| a.into_inner().record_id).map_err(|status| reason_of(&status)))
}

/// Waits until the record stands in the city's inbox.
///
/// # Errors
/// When it does not come in time.
pub async fn arrives(at: &City, record: &Bytes) -> anyhow::Result<()> {
    let request =
        ConsumeRequest { consumer: format!("story-{}", &request_id()[..8]), all_kinds: true, ..Default::default() };
    let mut stream = at.inbox().await?.consume(request).await?.into_inner();
    let found = async {
        while let Some(read) = stream.message().await? {
            if read.envelope.is_some_and(|envelope| envelope.record_id == *record) {
                return anyhow::Ok(());
            }
        }
        anyhow::bail!("the inbox of {} ended", at.id())
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.with_context(|| format!("not at {}", at.id()))?
}

/// An alert goes from one city's software into the other's inbox, as soon as nothing forbids it any more.
///
/// # Errors
/// When it does not pass in time.
pub async fn passes(from: &City, to: &City) -> anyhow::Result<()> {
    let record = until("an alert passes", || async { Ok(publish(from, to).await?.ok()) });
    arrives(to, &record.await?).await
}

/// Waits until publishing is refused, for this reason.
///
/// # Errors
/// When it is not refused in time, or for another reason.
pub async fn refused(from: &City, to: &City, reason: &str) -> anyhow::Result<()> {
    let given = until("publishing is refused", || async { Ok(publish(from, to).await?.err()) }).await?;
    anyhow::ensure!(given == reason, "refused with {given}, not with {reason}");
    Ok(())
}
