//! Tells what became of items on their way: to whoever watches what partners answered, to metrics, to traces. A watcher
//! that is too slow learns that it was.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::Road;
use super::lists::{DeliveryRow, DeliveryState};
use crate::domain::receipt::{ItemOutcome, Verdict};
use crate::domain::stream::{Batch, StreamId};
use crate::domain::time::UnixMs;
use crate::storage::ops::ItemResult;
use crate::storage::rows::OutItem;
use crate::telemetry::{metrics, propagation};

/// Batches that a watcher may lag behind.
const LAG: usize = 1_024;

pub(super) struct Answered(broadcast::Sender<Arc<Vec<DeliveryRow>>>);

impl Default for Answered {
    fn default() -> Self {
        Self(broadcast::Sender::new(LAG))
    }
}

impl Road {
    /// The answers of each batch from now on.
    pub fn answered(&self) -> broadcast::Receiver<Arc<Vec<DeliveryRow>>> {
        self.answered.0.subscribe()
    }

    pub(super) fn tell_answered<'a>(
        &self,
        id: &StreamId,
        answers: impl Iterator<Item = (&'a OutItem, ItemResult)>,
        now: UnixMs,
    ) {
        let watched = self.answered.0.receiver_count() > 0;
        let mut rows = Vec::new();
        for (item, result) in answers {
            metrics::SENT.add([id.class.name(), label(result)], 1);
            propagation::mark("acknowledge", &item.traceparent, id.recipient.as_str());
            if watched {
                rows.push(row(id, item, result, now));
            }
        }
        if watched {
            // Nobody listening any more is no fault.
            let _ = self.answered.0.send(Arc::new(rows));
        }
    }
}

/// Counts what became of a partner's batch, and marks what was stored in the traces that its publisher began.
pub(super) fn tell_received(batch: &Batch, outcomes: &[ItemOutcome]) {
    for (item, outcome) in batch.items.iter().zip(outcomes) {
        metrics::RECEIVED.add([batch.stream.class.name(), outcome.verdict.label()], 1);
        if outcome.verdict == Verdict::Stored {
            propagation::mark("store", &item.traceparent, batch.stream.origin.as_str());
        }
    }
}

fn label(result: ItemResult) -> &'static str {
    match result {
        ItemResult::Stored => "STORED",
        ItemResult::Duplicate => "DUPLICATE",
        ItemResult::Refused(_) => "REFUSED",
        ItemResult::Quarantined(_) => "QUARANTINED",
        ItemResult::Skipped => "SKIPPED",
        ItemResult::Deferred(_) => "DEFERRED",
    }
}

fn row(id: &StreamId, item: &OutItem, result: ItemResult, now: UnixMs) -> DeliveryRow {
    let (state, reason) = match result {
        ItemResult::Stored | ItemResult::Duplicate => (DeliveryState::Delivered, None),
        ItemResult::Refused(reason) => (DeliveryState::Refused, Some(reason)),
        ItemResult::Quarantined(reason) => (DeliveryState::Quarantined, Some(reason)),
        ItemResult::Skipped => (DeliveryState::Skipped, None),
        ItemResult::Deferred(reason) => (DeliveryState::Held, Some(reason)),
    };
    DeliveryRow {
        sequence: 0,
        origin: id.origin.clone(),
        recipient: id.recipient.clone(),
        record_id: item.record_id,
        kind: item.kind,
        state,
        attempts: 1,
        reason,
        queued: item.queued,
        finished: Some(now),
        next_attempt: None,
        agreement: item.agreement,
    }
}
