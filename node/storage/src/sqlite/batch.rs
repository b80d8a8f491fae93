//! One transaction's worth of operations: each is checked, then either adds its rows or says why not.
//!
//! An operation checks everything before it changes anything, so a refused one leaves nothing behind in the copy of the
//! state or in the collected rows. Frequent operations collect rows; rare ones write at once, after what was collected.

use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::db::{Args, Columns, readable};
use super::facts::{Facts, Published, key_of};
use super::rows::{DeliveryAt, InboxAt, Rows, Run};
use super::script::Script;
use super::state::{OutState, State, StreamName};
use super::statements;
use crate::domain::audit::AuditDraft;
use crate::domain::numbering::{InNumbers, Settlement, Under, expected};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::ops::*;
use crate::rows::*;
use crate::unreadable::UnreadableRows;

/// What an operation came to, short of a failure of the database.
pub(super) type Answer = Result<Written, Reason>;
pub(super) type Step = Result<Answer, sqlx::Error>;

/// A transaction under way.
pub(super) struct Batch<'a> {
    pub conn: &'a mut SqliteConnection,
    pub script: &'a mut Script,
    pub unreadable: &'a UnreadableRows,
    pub state: State,
    pub facts: Facts,
    pub rows: Rows<'a>,
    /// Drafts of the operations that were accepted.
    pub drafts: Vec<&'a AuditDraft>,
}

impl<'a> Batch<'a> {
    /// Applies one operation.
    pub async fn apply(&mut self, op: &'a WriteOp) -> Step {
        let (answer, audit): (Answer, &'a [AuditDraft]) = match op {
            WriteOp::Publish(op) => (self.publish(op), &op.audit),
            WriteOp::Queue(op) => (self.queue(op).await?, &op.audit),
            WriteOp::Settle(op) => (self.settle(op), &op.audit),
            WriteOp::Attempt(op) => (self.attempt(op).await?, &[]),
            WriteOp::Requeue(op) => (self.requeue(op).await?, &[]),
            WriteOp::NumberAgain(op) => (self.number_again(op).await?, &[]),
            WriteOp::QueueAgain(op) => (self.queue_again(op).await?, &[]),
            WriteOp::SetHeld(op) => (self.set_held(op).await?, &[]),
            WriteOp::Receive(op) => (self.receive(op).await?, &op.audit),
            WriteOp::CommitCursor { consumer, position } => (self.commit_cursor(consumer, *position).await?, &[]),
            WriteOp::Write(op) => (self.write(op).await?, &op.audit),
        };
        if matches!(answer, Ok(Written::Done | Written::Received { .. })) {
            self.drafts.extend(audit);
        }
        Ok(answer)
    }

    /// Adds what was collected to the script, so that what is pushed from now on comes after it.
    pub async fn flush(&mut self) -> Result<(), sqlx::Error> {
        self.rows.flush(self.script, self.conn).await
    }

    pub(super) async fn fetch(
        &mut self,
        query: &'static statements::SqlStatement,
        args: Args,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        self.script.fetch(self.conn, query, args).await
    }

    /// `Some`: the request is answered already.
    pub(super) fn seen(&self, request: Option<&RequestMark>) -> Option<Answer> {
        let mark = request?;
        let key = (mark.scope.clone(), mark.request_id.clone());
        if self.facts.unreadable_requests.contains(&key) {
            // It was answered, and nobody knows what: doing it again could be doing it twice.
            return Some(Err(Reason::StorageDamaged));
        }
        let (body, answer) = self.facts.requests.get(&key)?;
        Some(if *body == mark.body { Ok(Written::Again(answer.clone())) } else { Err(Reason::RequestIdReused) })
    }

    pub(super) fn remember(&mut self, request: Option<&'a RequestMark>) {
        if let Some(mark) = request {
            let key = (mark.scope.clone(), mark.request_id.clone());
            self.facts.requests.insert(key, (mark.body, mark.answer.clone()));
            self.rows.requests.push(mark);
        }
    }

    fn publish(&mut self, op: &'a Publish) -> Answer {
        if let Some(answer) = self.seen(op.request.as_ref()) {
            return answer;
        }
        if self.facts.published.contains_key(&key_of(&op.publication)) {
            return Ok(Written::Taken);
        }
        self.remember(op.request.as_ref());
        self.put_publication(&op.publication, op.made.is_none());
        op.made.iter().flatten().for_each(|item| self.put_delivery(item));
        Ok(Written::Done)
    }

    pub(super) fn put_publication(&mut self, new: &'a NewPublication, pending: bool) {
        self.state.publication += 1;
        let sequence = self.state.publication;
        self.facts.published.insert(key_of(new), Published { sequence, pending });
        if pending {
            self.rows.pending.push(sequence);
        }
        self.rows.publications.push((sequence, new));
    }

    async fn queue(&mut self, op: &'a Queue) -> Step {
        if let Some(key) = &op.publication {
            let Some(published) = self.facts.published.get_mut(key) else { return Ok(Err(Reason::NotFound)) };
            if !std::mem::replace(&mut published.pending, false) {
                return Ok(Ok(Written::Taken));
            }
            self.rows.dispatched.push(published.sequence);
        }
        op.items.iter().for_each(|item| self.put_delivery(item));
        self.owe(&op.owes).await?;
        Ok(Ok(Written::Done))
    }

    pub(super) fn put_delivery(&mut self, item: &'a NewDelivery) {
        let name = (item.permit.from().clone(), item.permit.to().clone(), item.permit.kind().class());
        let mut stream = self.state.out.get(&name).cloned().unwrap_or_else(|| {
            self.state.streams += 1;
            OutState::new(self.state.streams, self.state.incarnation)
        });
        let number = stream.numbers.give();
        let place = stream.place(number);
        self.state.delivery += 1;
        let sequence = self.state.delivery;
        self.rows.deliveries.push(DeliveryAt { sequence, stream: stream.id, place, item });
        self.put_stream(name, stream);
    }

    pub(super) fn put_stream(&mut self, name: StreamName, stream: OutState) {
        self.state.out.insert(name.clone(), stream.clone());
        self.rows.streams.insert(name, stream);
    }

    fn settle(&mut self, op: &'a Settle) -> Answer {
        let name = (op.origin.clone(), op.recipient.clone(), op.class);
        let mut stream = self.state.out.get(&name).cloned().ok_or(Reason::StreamOutOfOrder)?;
        let under = Under { origin: op.origin_incarnation, recipient: op.recipient_incarnation };
        let count = op.results.len() as u64;
        match stream.numbers.settle(under, op.first, count) {
            Settlement::Done => {}
            Settlement::TooMany => return Err(Reason::StreamOutOfOrder),
            Settlement::Elsewhere => {
                return Ok(Written::StreamMoved { next: stream.numbers.first_unsettled, receipt: None });
            }
        }
        let attempts = std::mem::take(&mut stream.attempts) + 1;
        (stream.reason, stream.next_attempt) = (None, None);
        for (place, result) in (stream.place(op.first)..).zip(&op.results) {
            let (state, reason) = settled(*result);
            match self.rows.runs.last_mut() {
                Some(run)
                    if run.stream == stream.id
                        && run.last + 1 == place
                        && (run.state, run.reason, run.attempts, run.finished) == (state, reason, attempts, op.now) =>
                {
                    run.last = place;
                }
                _ => self.rows.runs.push(Run {
                    stream: stream.id,
                    first: place,
                    last: place,
                    state,
                    reason,
                    attempts,
                    finished: op.now,
                }),
            }
        }
        if count > 0 {
            self.rows.receipts.push((stream.id, op));
        }
        self.put_stream(name, stream);
        Ok(Written::Done)
    }

    async fn attempt(&mut self, op: &Attempt) -> Step {
        let name = (op.origin.clone(), op.recipient.clone(), op.class);
        let Some(mut stream) = self.state.out.get(&name).cloned() else { return Ok(Ok(Written::Done)) };
        let elsewhere = stream.numbers.under != op.under || stream.numbers.first_unsettled != op.first;
        if elsewhere || op.first == stream.numbers.next {
            return Ok(Ok(Written::Done));
        }
        stream.attempts += 1;
        stream.reason = Some(op.reason);
        stream.next_attempt = Some(op.next_attempt);
        let first = || Args::new().with(stream.id).with(stream.place(op.first));
        if op.asked_to_wait || op.skip_first {
            self.flush().await?;
        }
        if op.asked_to_wait {
            self.script.push(&statements::DELIVERY_WAIT, first().with(op.now));
        }
        if op.skip_first {
            self.script.push(&statements::DELIVERY_SKIP, first().with(op.reason.code()));
        }
        self.put_stream(name, stream);
        Ok(Ok(Written::Done))
    }

    async fn set_held(&mut self, op: &SetHeld) -> Step {
        self.flush().await?;
        let of_recipient = self.state.out.iter().filter(|(name, _)| name.1 == op.recipient);
        let streams: Vec<_> = of_recipient.map(|(name, stream)| (name.clone(), stream.clone())).collect();
        for (name, mut stream) in streams {
            stream.held = op.holding == Holding::Hold;
            stream.reason = stream.held.then_some(op.reason);
            stream.next_attempt = None;
            if op.holding == Holding::Close {
                // What was tried and never answered may have arrived: the rows keep the attempts.
                let tried = std::mem::take(&mut stream.attempts);
                let args = Args::new().with(stream.id).with(op.reason.code()).with(op.now).with(tried);
                self.script.push(&statements::DELIVERY_CLOSE, args);
                self.script.push(&statements::OUTBOX_CLOSE, Args::new().with(stream.id));
                stream.numbers.close();
                stream.again = None;
            }
            self.put_stream(name, stream);
        }
        Ok(Ok(Written::Done))
    }

    async fn receive(&mut self, op: &'a Receive) -> Step {
        let name = (op.stream.origin.clone(), op.stream.recipient.clone(), op.stream.class);
        let under = Under { origin: op.stream.origin_incarnation, recipient: op.stream.recipient_incarnation };
        let known = self.state.ins.get(&name);
        let next = expected(known, under);
        if op.first != next {
            let has_receipt = known.is_some_and(|known| known.under == under);
            self.flush().await?;
            let receipt = if has_receipt { self.last_receipt(&op.stream).await? } else { None };
            return Ok(Ok(Written::StreamMoved { next, receipt }));
        }
        let mut keys = std::collections::HashSet::with_capacity(op.items.len());
        if !op.items.iter().all(|item| !self.is_taken(&item.key) && keys.insert(&item.key)) {
            return Ok(Ok(Written::Taken));
        }
        let positions = op.items.iter().map(|item| self.put_inbox(item, op)).collect();
        for item in &op.items {
            if self.facts.taken.get(&item.key).is_some_and(|position| *position > 0) {
                self.reveal(&item.key).await?;
            }
        }
        self.shorten(op).await?;
        op.puts.iter().for_each(|put| self.put(put));
        for delete in &op.deletes {
            self.delete(delete).await?;
        }
        self.owe(&op.owes).await?;
        self.state.ins.insert(name.clone(), InNumbers { under, next: op.next });
        self.rows.in_streams.insert(name, op);
        Ok(Ok(Written::Received { positions, newest: self.state.position }))
    }

    /// Whether the key is known to be taken. Targets are among the facts too, and a target may be taken by nobody here.
    fn is_taken(&self, key: &RecordKey) -> bool {
        self.facts.taken.contains_key(key)
    }

    async fn last_receipt(&mut self, key: &InStreamKey) -> Result<Option<bytes::Bytes>, sqlx::Error> {
        let args = Args::new().with(&key.origin).with(&key.recipient).with(key.class.code());
        let args = args.with(key.origin_incarnation.0).with(key.recipient_incarnation.0);
        let rows = self.fetch(&statements::IN_STREAM_GET, args).await?;
        rows.first().map(|row| row.bytes(1)).transpose()
    }

    fn put_inbox(&mut self, item: &'a NewInbox, op: &'a Receive) -> u64 {
        let here = |target: &RecordKey| self.facts.taken.get(target).is_some_and(|position| *position > 0);
        let waits = item.target.as_ref().filter(|target| item.hidden && !here(target));
        let position = match waits {
            Some(target) => {
                self.state.awaited.insert(target.clone());
                0
            }
            None => {
                self.state.position += 1;
                self.state.position
            }
        };
        self.facts.taken.insert(item.key.clone(), position);
        self.rows.inbox.push(InboxAt { position, item, op });
        position
    }

    /// What was superseded is not kept longer than the word that says so, or it would come back when that is gone.
    async fn shorten(&mut self, op: &'a Receive) -> Result<(), sqlx::Error> {
        if op.items.iter().all(|item| item.supersedes.is_empty()) {
            return Ok(());
        }
        self.flush().await?;
        for item in &op.items {
            for earlier in &item.supersedes {
                let mut args = Args::new();
                args.key(Some(earlier)).push(item.keep_until);
                self.script.push(&statements::INBOX_SHORTEN, args);
            }
        }
        Ok(())
    }

    /// Shows what waited for this record, and what waited for that, in the order of arrival.
    async fn reveal(&mut self, target: &RecordKey) -> Result<(), sqlx::Error> {
        let mut ready = self.hidden_for(target).await?;
        while let Some((arrival, key)) = ready.pop() {
            self.state.position += 1;
            let position = self.state.position;
            self.script.push(&statements::HIDDEN_INBOX_SHOW, Args::new().with(arrival).with(position));
            self.script.push(&statements::HIDDEN_INBOX_DELETE, Args::new().with(arrival));
            self.script.push(&statements::INBOX_SHORTEN_TARGET, Args::new().with(position));
            let mut args = Args::new();
            args.key(Some(&key)).push(position);
            self.script.push(&statements::TAKEN_SHOW, args);
            ready.extend(self.hidden_for(&key).await?);
            self.facts.taken.insert(key, position);
        }
        Ok(())
    }

    /// Last first.
    async fn hidden_for(&mut self, target: &RecordKey) -> Result<Vec<(i64, RecordKey)>, sqlx::Error> {
        if self.state.awaited.remove(target).is_none() {
            return Ok(Vec::new());
        }
        self.flush().await?;
        let mut args = Args::new();
        args.key(Some(target));
        let rows = self.fetch(&statements::HIDDEN_INBOX_FOR_TARGET, args).await?;
        let statement = &statements::HIDDEN_INBOX_FOR_TARGET;
        readable(self.unreadable, statement, rows.iter().rev(), |row| Ok((row.int(0)?, row.key(1)?)))
    }

    async fn commit_cursor(&mut self, consumer: &str, position: u64) -> Step {
        if position > self.state.position {
            return Ok(Err(Reason::CursorAhead));
        }
        self.script.push(&statements::READER_PUT, Args::new().with(consumer).with(position));
        Ok(Ok(Written::Done))
    }
}

/// `None`: skipped; whether for its expiry, the item itself knows.
fn settled(result: ItemResult) -> (Option<DeliveryState>, Option<Reason>) {
    match result {
        ItemResult::Stored | ItemResult::Duplicate => (Some(DeliveryState::Delivered), None),
        ItemResult::Refused(Reason::EnvelopeExpired) => (Some(DeliveryState::Expired), Some(Reason::EnvelopeExpired)),
        ItemResult::Refused(reason) => (Some(DeliveryState::Refused), Some(reason)),
        ItemResult::Quarantined(reason) => (Some(DeliveryState::Quarantined), Some(reason)),
        ItemResult::Skipped => (None, None),
        ItemResult::Deferred(reason) => (Some(DeliveryState::Held), Some(reason)),
    }
}
