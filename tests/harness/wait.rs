//! Waiting is for a condition, with a deadline; never for a time.

use std::future::Future;
use std::time::{Duration, Instant};

/// Asks again and again until the condition gives a value.
///
/// # Panics
/// When the deadline passes; the message names what was waited for.
pub async fn eventually<T, F, Fut>(what: &str, deadline: Duration, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let started = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    loop {
        tick.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < deadline, "waited {deadline:?} for: {what}");
    }
}
