//! Waiting is for a condition, with a deadline; never for a time.

use std::fmt::Debug;
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

/// Tries again and again until it is done.
///
/// # Panics
/// When the deadline passes; the message names what was tried, and how it failed last.
pub async fn done<T, E, F, Fut>(what: &str, deadline: Duration, mut attempt: F) -> T
where
    E: Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let started = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    loop {
        tick.tick().await;
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(started.elapsed() < deadline, "tried for {deadline:?}: {what}: {error:?}"),
        }
    }
}
