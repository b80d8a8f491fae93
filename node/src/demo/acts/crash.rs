//! Kehl's node is killed with SIGKILL in the middle of a thousand alerts, and restarted: none lost, none twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use havenlink_proto::admin::v1::GetStatusResponse;
use havenlink_proto::local::v1::{ConsumeRequest, ConsumeResponse, PublishRecordRequest};
use havenlink_proto::record::v1::{Purpose, RecordKind, Tlp};
use tokio::task::JoinSet;
use tonic::Streaming;

use super::request_id;
use crate::demo::city::{City, PATIENCE};
use crate::demo::stage::Stage;
use crate::demo::{Cities, sample};

const CALLERS: usize = 16;

pub async fn play(stage: &mut Stage, cities: &mut Cities, alerts: usize) -> anyhow::Result<()> {
    let Cities { strasbourg, kehl, .. } = cities;
    let step = stage
        .step(&format!("{alerts} alerts to Kehl; Kehl's node is killed with SIGKILL in the middle, and restarted"));
    let done = Arc::new(AtomicUsize::new(0));
    let mut callers = publish(strasbourg, kehl.id(), alerts, done.clone()).await?;
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(1));
    while done.load(Ordering::Relaxed) < alerts * 2 / 5 && !callers.is_empty() {
        tick.tick().await;
    }
    kehl.kill().await?;
    let killed = Instant::now();
    stage.saw(format!("killed after {} of {alerts} were published", done.load(Ordering::Relaxed)));
    kehl.start()?;
    kehl.ready().await?;
    stage.saw(format!("ready again after {} ms", killed.elapsed().as_millis()));
    let mut published = Vec::with_capacity(alerts);
    while let Some(ids) = callers.join_next().await {
        published.extend(ids??);
    }
    arrived(kehl, strasbourg.id(), &published).await?;
    // What the kill cut off may still come a second time: until Strasbourg has nothing left for Kehl.
    let settled = |s: &GetStatusResponse| s.partners.iter().any(|p| p.authority == kehl.id() && p.queued == 0);
    strasbourg.until("nothing waits for Kehl", settled).await?;
    let inbox = counted(kehl, strasbourg.id(), &published).await?;
    let lost = published.iter().filter(|id| !inbox.contains_key(*id)).count();
    let twice = published.iter().filter(|id| inbox.get(*id).is_some_and(|n| *n > 1)).count();
    stage.check(
        &step,
        lost == 0 && twice == 0 && published.len() == alerts,
        format!("{} published, {lost} lost, {twice} twice", published.len()),
    );
    Ok(())
}

async fn publish(
    city: &City,
    to: &'static str,
    alerts: usize,
    done: Arc<AtomicUsize>,
) -> anyhow::Result<JoinSet<anyhow::Result<Vec<Bytes>>>> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let mut side = city.publisher().await?;
        let done = done.clone();
        callers.spawn(async move {
            let mut ids = Vec::new();
            for _ in (caller..alerts).step_by(CALLERS) {
                let request = PublishRecordRequest {
                    request_id: request_id(),
                    sharing: Some(sample::sharing(&[to], Purpose::Prevention, Tlp::Green)),
                    content: Some(sample::advert_alert().into()),
                    ..Default::default()
                };
                ids.push(side.publish_record(request).await?.into_inner().record_id);
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(ids)
        });
    }
    Ok(callers)
}

async fn alerts_of(city: &City, until_empty: bool) -> anyhow::Result<Streaming<ConsumeResponse>> {
    let kinds = vec![RecordKind::Alert.into()];
    let request = ConsumeRequest { consumer: "demo".into(), kinds, until_empty, ..Default::default() };
    Ok(city.inbox().await?.consume(request).await?.into_inner())
}

/// Reads the inbox from its beginning until all are there.
async fn arrived(city: &City, origin: &str, published: &[Bytes]) -> anyhow::Result<()> {
    let mut stream = alerts_of(city, false).await?;
    let mut missing: HashSet<&Bytes> = published.iter().collect();
    while !missing.is_empty() {
        let next = tokio::time::timeout(PATIENCE, stream.message())
            .await
            .with_context(|| format!("{} alerts did not arrive", missing.len()))??;
        let Some(envelope) = next.and_then(|m| m.envelope) else { break };
        if envelope.origin == origin {
            missing.remove(&envelope.record_id);
        }
    }
    Ok(())
}

/// Reads the whole inbox; counts at how many positions each record stands.
async fn counted(city: &City, origin: &str, published: &[Bytes]) -> anyhow::Result<HashMap<Bytes, usize>> {
    let mut stream = alerts_of(city, true).await?;
    let asked: HashSet<&Bytes> = published.iter().collect();
    let mut counts = HashMap::new();
    while let Some(read) = stream.message().await? {
        if let Some(envelope) = read.envelope
            && envelope.origin == origin
            && asked.contains(&envelope.record_id)
        {
            *counts.entry(envelope.record_id).or_default() += 1;
        }
    }
    Ok(counts)
}
