//! One pass, again and again: at once while there is more, else when woken or when its timer ends.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::exchange::Error;
use crate::telemetry::metrics;

/// After a failure: doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A loop's name and its end.
pub struct Worker {
    pub name: &'static str,
    pub stopping: CancellationToken,
}

impl Worker {
    /// Runs passes until the stop; a pass that has begun is never cut short. A pass says whether there is more.
    pub async fn run<W, P>(self, timer: Duration, woken: impl Fn() -> W, pass: impl Fn() -> P)
    where
        W: Future<Output = ()>,
        P: Future<Output = Result<bool, Error>>,
    {
        let mut pause = FIRST_PAUSE;
        while !self.stopping.is_cancelled() {
            metrics::PASSES.add([self.name], 1);
            match pass().await {
                Ok(true) => pause = FIRST_PAUSE,
                Ok(false) => {
                    pause = FIRST_PAUSE;
                    self.wait(timer, woken()).await;
                }
                Err(error) => {
                    metrics::PASSES_FAILED.add([self.name, error.reason().code()], 1);
                    havenlink_runtime::repeated!(warn by self.name; worker = self.name, reason = error.reason().code(), "a pass failed");
                    self.wait(pause, std::future::pending()).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn wait(&self, longest: Duration, woken: impl Future<Output = ()>) {
        tokio::select! {
            () = self.stopping.cancelled() => {}
            () = tokio::time::sleep(longest) => {}
            () = woken => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::reason::Reason;

    #[tokio::test]
    async fn a_pass_is_repeated_while_there_is_more_and_after_a_failure() {
        let stopping = CancellationToken::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let (counted, stop) = (calls.clone(), stopping.clone());
        let pass = move || {
            let (call, stop) = (counted.fetch_add(1, Ordering::SeqCst), stop.clone());
            async move {
                match call {
                    0 | 1 => Ok(true),
                    2 => Err(Reason::StorageFailed.into()),
                    3 => Ok(false),
                    _ => {
                        stop.cancel();
                        Ok(false)
                    }
                }
            }
        };
        let worker = Worker { name: "dispatch", stopping };
        let woken = || std::future::ready(());
        tokio::time::timeout(Duration::from_secs(5), worker.run(Duration::from_secs(60), woken, pass)).await.unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 5);
    }
}
