//! Honest traffic: a city's own software publishes for a partner, so many times a second, whether earlier calls have ended or not.

use std::time::{Duration, Instant};

use havenlink::demo::city::City;
use havenlink_tests::road::alert_to;
use tokio::task::JoinSet;

/// Alerts a second.
const RATE: u32 = 40;

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
/// When the node cannot be reached at the beginning.
pub async fn publish(from: &City, to: &City, span: Duration) -> anyhow::Result<Latencies> {
    let (publisher, to) = (from.publisher().await?, to.id());
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
