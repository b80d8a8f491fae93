//! Reads that join: what is open, in which order, and how far it got.

use std::collections::BTreeMap;

use super::state::{Delivery, State, StreamName};
use crate::domain::ids::AuthorityId;
use crate::rows::*;

impl State {
    pub(super) fn open_streams(&self) -> Vec<OutStream> {
        let open = self.streams.values().filter(|s| !s.held && s.row.first_unsettled < s.row.next);
        open.map(|s| s.row.clone()).collect()
    }

    pub(super) fn out_batch(&self, name: &StreamName, items: usize, bytes: usize) -> Vec<OutItem> {
        let Some(stream) = self.streams.get(name).filter(|s| !s.held) else { return Vec::new() };
        let mut batch: Vec<OutItem> = Vec::new();
        let mut size = 0;
        let from = (name.clone(), stream.row.first_unsettled);
        for (_, sequence) in self.open.range(from..=(name.clone(), u64::MAX)).take(items.max(1)) {
            let Some(item) = self.deliveries.get(sequence).and_then(out_item) else { break };
            size += if let OutPayload::Envelope(envelope) = &item.payload { envelope.len() } else { 0 };
            if size > bytes && !batch.is_empty() {
                break;
            }
            batch.push(item);
        }
        batch
    }

    pub(super) fn delivery_rows(&self, filter: &DeliveryFilter, before: Option<u64>, limit: usize) -> Vec<DeliveryRow> {
        let older = self.deliveries.range(..before.unwrap_or(u64::MAX)).rev();
        let rows = older.map(|(sequence, d)| self.delivery_row(*sequence, d));
        let wanted = rows.filter(|row| {
            filter.recipient.as_ref().is_none_or(|r| *r == row.recipient)
                && filter.state.is_none_or(|s| s == row.state)
                && filter.record.is_none_or(|r| r == row.record_id)
                && filter.since.is_none_or(|since| row.finished.unwrap_or(row.queued).max(row.queued) >= since)
        });
        wanted.take(limit).collect()
    }

    fn delivery_row(&self, sequence: u64, d: &Delivery) -> DeliveryRow {
        let stream = self.streams.get(&d.stream).filter(|_| d.open);
        let waits_in = stream.filter(|_| d.state == DeliveryState::Queued);
        DeliveryRow {
            sequence,
            origin: d.stream.0.clone(),
            recipient: d.stream.1.clone(),
            record_id: d.record_id,
            kind: d.kind,
            state: if waits_in.is_some_and(|s| s.held) { DeliveryState::Held } else { d.state },
            attempts: d.attempts + stream.map_or(0, |s| s.attempts),
            reason: waits_in.and_then(|s| s.reason).or(d.reason),
            queued: d.queued,
            finished: d.finished,
            next_attempt: waits_in.and_then(|s| s.next_attempt),
            agreement: d.grant.map(|grant| grant.agreement),
        }
    }

    pub(super) fn queue_counts(&self) -> Vec<(AuthorityId, QueueCount)> {
        let mut counts: BTreeMap<AuthorityId, QueueCount> = BTreeMap::new();
        for stream in self.streams.values() {
            let open = stream.row.next - stream.row.first_unsettled;
            if open > 0 {
                let count = counts.entry(stream.row.recipient.clone()).or_default();
                *(if stream.held { &mut count.held } else { &mut count.queued }) += open;
            }
        }
        counts.into_iter().collect()
    }
}

fn out_item(d: &Delivery) -> Option<OutItem> {
    let payload = match (d.skip, &d.envelope) {
        (Some(reason), _) => OutPayload::Skip(reason),
        (None, Some(envelope)) => OutPayload::Envelope(envelope.clone()),
        (None, None) => return None,
    };
    Some(OutItem {
        number: d.number,
        record_id: d.record_id,
        kind: d.kind,
        digest: d.digest,
        agreement: d.grant.map(|grant| grant.agreement),
        payload,
        as_of: d.as_of,
        traceparent: d.traceparent.clone(),
        queued: d.queued,
        expires: d.expires,
        waiting_since: d.waiting_since,
    })
}
