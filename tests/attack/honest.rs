//! Honest traffic: a city's own software publishes for a partner, so many times a second, whether earlier calls have ended or not.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::canaries::{alert_to, get};

/// Alerts a second.
pub const RATE: u32 = 40;
/// Between two questions of whoever watches the node, and how long an answer may take.
const WATCHED: Duration = Duration::from_millis(100);
const ALIVE: Duration = Duration::from_secs(2);

/// How long calls took, from when each was due.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// In order.
    sorted: Vec<Duration>,
    pub failed: usize,
}

impl Latencies {
    pub fn at(&self, share: f64) -> Duration {
        let last = self.sorted.len().saturating_sub(1);
        let place = (self.sorted.len() as f64 * share) as usize;
        self.sorted.get(place.min(last)).copied().unwrap_or_default()
    }
}

/// Publishes for as long as the span lasts.
///
/// # Errors
/// When a call panics.
pub async fn publish(
    publisher: RecordServiceClient<Channel>,
    to: &'static str,
    span: Duration,
) -> anyhow::Result<Latencies> {
    let (began, every) = (Instant::now(), Duration::from_secs(1) / RATE);
    let mut calls = JoinSet::new();
    let mut due = began;
    while due < began + span {
        tokio::time::sleep_until(due.into()).await;
        let (mut publisher, since) = (publisher.clone(), due);
        calls.spawn(async move { publisher.publish_record(alert_to(to)).await.map(|_| since.elapsed()) });
        due += every;
    }
    let mut latencies = Latencies::default();
    while let Some(call) = calls.join_next().await {
        match call? {
            Ok(took) => latencies.sorted.push(took),
            Err(_) => latencies.failed += 1,
        }
    }
    latencies.sorted.sort_unstable();
    Ok(latencies)
}

/// Asks whether the node is alive, for as long as the span lasts; how often it did not say so.
pub async fn watch(http: SocketAddr, span: Duration) -> usize {
    let (began, mut missed) = (Instant::now(), 0);
    while began.elapsed() < span {
        let answer = tokio::time::timeout(ALIVE, get(http, "/healthz")).await;
        if !matches!(&answer, Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200")) {
            missed += 1;
        }
        tokio::time::sleep(WATCHED).await;
    }
    missed
}
