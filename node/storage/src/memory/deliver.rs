//! The outbox: queue, settle, attempt, queue again, hold.

use super::state::{Delivery, State, StreamName};
use super::write::Answer;
use crate::domain::ids::Incarnation;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::ops::*;
use crate::rows::*;

impl State {
    pub(super) fn queue(&mut self, op: &Queue, incarnation: Incarnation) -> Answer {
        if let Some(key) = &op.publication {
            let sequence = self.published.get(key).ok_or(Reason::NotFound)?;
            let row = self.publications.get_mut(sequence).ok_or(Reason::NotFound)?;
            if std::mem::replace(&mut row.dispatched, true) {
                return Ok(Written::Taken);
            }
        }
        op.items.iter().for_each(|item| self.put_delivery(item, incarnation));
        Ok(Written::Done)
    }

    pub(super) fn put_delivery(&mut self, item: &NewDelivery, incarnation: Incarnation) {
        let name = Self::stream_of(item);
        let stream = self.stream(&name, incarnation);
        let number = stream.row.next;
        stream.row.next += 1;
        self.delivery += 1;
        self.open.insert((name.clone(), number), self.delivery);
        let delivery = Delivery {
            stream: name,
            number,
            open: true,
            record_id: item.record_id,
            kind: item.permit.kind(),
            digest: item.digest,
            grant: item.permit.grant(),
            envelope: Some(item.envelope.clone()),
            skip: None,
            as_of: item.as_of,
            traceparent: item.traceparent.clone(),
            queued: item.queued,
            expires: item.expires,
            waiting_since: None,
            state: DeliveryState::Queued,
            attempts: 0,
            reason: None,
            finished: None,
        };
        self.deliveries.insert(self.delivery, delivery);
    }

    pub(super) fn settle(&mut self, op: &Settle) -> Answer {
        let name = (op.origin.clone(), op.recipient.clone(), op.class);
        let stream = self.streams.get_mut(&name).ok_or(Reason::StreamOutOfOrder)?;
        let row = &mut stream.row;
        let same =
            row.origin_incarnation == op.origin_incarnation && row.recipient_incarnation == op.recipient_incarnation;
        if !same || row.first_unsettled != op.first {
            return Ok(Written::StreamMoved { next: row.first_unsettled, receipt: None });
        }
        let count = op.results.len() as u64;
        if count > row.next - row.first_unsettled {
            return Err(Reason::StreamOutOfOrder);
        }
        row.first_unsettled += count;
        let attempts = std::mem::take(&mut stream.attempts) + 1;
        (stream.reason, stream.next_attempt) = (None, None);
        for (number, result) in (op.first..).zip(&op.results) {
            let Some(sequence) = self.open.remove(&(name.clone(), number)) else { continue };
            let Some(d) = self.deliveries.get_mut(&sequence) else { continue };
            let (state, reason) = settled(*result, d.skip);
            (d.open, d.state, d.reason) = (false, state, reason);
            d.attempts += attempts;
            d.finished = Some(op.now);
        }
        if count > 0 {
            self.receipts.push((name, op.first, op.receipt.clone(), op.now));
        }
        Ok(Written::Done)
    }

    pub(super) fn attempt(&mut self, op: &Attempt) -> Answer {
        let name = (op.origin.clone(), op.recipient.clone(), op.class);
        let Some(stream) = self.streams.get_mut(&name) else { return Ok(Written::Done) };
        if stream.row.first_unsettled != op.first || op.first == stream.row.next {
            return Ok(Written::Done);
        }
        stream.attempts += 1;
        stream.reason = Some(op.reason);
        stream.next_attempt = Some(op.next_attempt);
        let first = self.open.get(&(name, op.first)).and_then(|sequence| self.deliveries.get_mut(sequence));
        if let Some(d) = first {
            if op.asked_to_wait {
                d.waiting_since.get_or_insert(op.now);
            }
            if op.skip_first {
                d.skip.get_or_insert(op.reason);
            }
        }
        Ok(Written::Done)
    }

    pub(super) fn requeue(&mut self, op: &Requeue) -> Answer {
        for class in [StreamClass::Content, StreamClass::Control] {
            let name = (op.origin.clone(), op.recipient.clone(), class);
            // The other class may have greeted already: numbers of these very incarnations stay as they are.
            let now = (op.origin_incarnation, op.recipient_incarnation);
            let other = |s: &super::state::Stream| (s.row.origin_incarnation, s.row.recipient_incarnation) != now;
            if self.streams.get(&name).is_some_and(other) {
                self.requeue_stream(&name, op);
            }
        }
        Ok(Written::Done)
    }

    fn requeue_stream(&mut self, name: &StreamName, op: &Requeue) {
        self.open.retain(|(stream, _), _| stream != name);
        let mut next = 1;
        for (sequence, d) in self.deliveries.iter_mut().filter(|(_, d)| d.stream == *name) {
            if d.open && (d.skip.is_some() || d.expires <= op.now) {
                let reason = d.skip.unwrap_or(Reason::EnvelopeExpired);
                let (state, reason) = settled(ItemResult::Skipped, Some(reason));
                (d.open, d.state, d.reason, d.finished) = (false, state, reason, Some(op.now));
            }
            let again = d.open || d.state == DeliveryState::Delivered;
            if again && d.expires > op.now && d.envelope.is_some() {
                (d.open, d.number, d.state, d.reason) = (true, next, DeliveryState::Queued, None);
                (d.finished, d.waiting_since) = (None, None);
                self.open.insert((name.clone(), next), *sequence);
                next += 1;
            }
        }
        if let Some(stream) = self.streams.get_mut(name) {
            let row = &mut stream.row;
            (row.origin_incarnation, row.recipient_incarnation) = (op.origin_incarnation, op.recipient_incarnation);
            (row.first_unsettled, row.next) = (1, next);
            (stream.attempts, stream.reason, stream.next_attempt) = (0, None, None);
        }
    }

    pub(super) fn set_held(&mut self, op: &SetHeld) -> Answer {
        let names: Vec<StreamName> = self.streams.keys().filter(|name| name.1 == op.recipient).cloned().collect();
        for name in names {
            let Some(stream) = self.streams.get_mut(&name) else { continue };
            stream.held = op.holding == Holding::Hold;
            stream.reason = stream.held.then_some(op.reason);
            stream.next_attempt = None;
            if op.holding == Holding::Close {
                stream.row.first_unsettled = stream.row.next;
                let tried = std::mem::take(&mut stream.attempts);
                self.open.retain(|(stream, _), _| *stream != name);
                for d in self.deliveries.values_mut().filter(|d| d.stream == name) {
                    d.envelope = None;
                    if std::mem::replace(&mut d.open, false) {
                        (d.state, d.reason, d.finished) = (DeliveryState::Closed, Some(op.reason), Some(op.now));
                        d.attempts += tried;
                    }
                }
            }
        }
        Ok(Written::Done)
    }
}

fn settled(result: ItemResult, skip: Option<Reason>) -> (DeliveryState, Option<Reason>) {
    match result {
        ItemResult::Stored | ItemResult::Duplicate => (DeliveryState::Delivered, None),
        ItemResult::Refused(Reason::EnvelopeExpired) => (DeliveryState::Expired, Some(Reason::EnvelopeExpired)),
        ItemResult::Refused(reason) => (DeliveryState::Refused, Some(reason)),
        ItemResult::Quarantined(reason) => (DeliveryState::Quarantined, Some(reason)),
        ItemResult::Skipped if skip == Some(Reason::EnvelopeExpired) => (DeliveryState::Expired, skip),
        ItemResult::Skipped => (DeliveryState::Skipped, skip),
    }
}
