//! One loop per stream: its batches go one after the other, other streams beside it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::stream::StreamId;
use crate::exchange::{Pass, Road};
use crate::telemetry::metrics;
use crate::wakeup::{StreamWakeup, Wakeups};

/// A stream that was not woken looks again after this long.
const LOOK: std::time::Duration = std::time::Duration::from_secs(60);

/// Starts a loop for every stream with something to send, and for each that is announced later.
pub async fn run(road: Arc<Road>, wakeups: Wakeups, stopping: CancellationToken, tasks: TaskTracker) {
    match road.open_streams().await {
        Ok(open) => open.iter().for_each(|id| wakeups.wake_stream(id)),
        Err(error) => tracing::warn!(reason = error.reason().code(), "the streams could not be read at the start"),
    }
    loop {
        let opened = tokio::select! {
            () = stopping.cancelled() => return,
            opened = wakeups.opened() => opened,
        };
        for id in opened {
            drop(tasks.spawn(stream(road.clone(), wakeups.stream(&id), id, stopping.clone())));
        }
    }
}

async fn stream(road: Arc<Road>, wakeup: Arc<StreamWakeup>, id: StreamId, stopping: CancellationToken) {
    loop {
        metrics::PASSES.add(["deliver"], 1);
        // A batch that is on its way when the node stops is answered again after the start: the call may be cut.
        let pass = tokio::select! {
            () = stopping.cancelled() => return,
            pass = road.deliver_pass(&id) => pass,
        };
        match pass {
            Pass::Now => {}
            Pass::Idle | Pass::Sent => tokio::select! {
                () = stopping.cancelled() => return,
                () = wakeup.items() => {}
                () = tokio::time::sleep(LOOK) => {}
            },
            Pass::After(pause) => tokio::select! {
                () = stopping.cancelled() => return,
                () = wakeup.retry() => {}
                () = tokio::time::sleep(pause) => {}
            },
        }
    }
}
