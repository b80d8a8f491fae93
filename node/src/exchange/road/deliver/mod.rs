//! Deliver: one stream's next batch, sent and settled (9.3).
//!
//! A pass greets if the incarnations are not known, takes what is queued, asks the one question again for each item,
//! sends one batch, checks the signed receipt and settles it. One batch is in flight per stream; the next one starts
//! where the receipt ended. A pass that is stopped after any line loses nothing: the same numbers go out again, and the
//! partner answers with the receipt that it gave.

mod prepare;
mod settle;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::authority::MemberStatus;
use crate::domain::delivery;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AgreementId, Incarnation, RecordId};
use crate::domain::limits;
use crate::domain::numbering::Under;
use crate::domain::person::share::ShareUse;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::stream::{Batch, StreamId};
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::context::Error;
use crate::storage::ops::{Attempt, WriteOp};
use crate::storage::rows::OutItem;

use super::Road;

/// When the stream has to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// At once: there may be more.
    Now,
    /// When something is queued: all that was has gone.
    Sent,
    /// When something is queued.
    Idle,
    /// After a pause, or when a retry is asked for.
    After(Duration),
}

/// What a stream's sender remembers between passes; all of it can be found again.
#[derive(Default)]
pub(super) struct Sender {
    /// Failed attempts in a row.
    failures: u32,
    /// Our and the partner's incarnation, once greeted.
    incarnations: Option<(Incarnation, Incarnation)>,
    /// `Outgoing::requeued` when the incarnations were read.
    known_at: u64,
    /// The partner said that an incarnation or a number does not fit: greet, whatever is stored.
    greet: bool,
    /// The agreement that the partner lacked and that was sent along.
    sent_along: Option<AgreementId>,
    /// The agreement that the partner still lacked after the longest wait: what is queued under it does not wait again.
    lacking: Option<AgreementId>,
    /// The number that makes room with the next batch, and why.
    defers: Option<(u64, Reason)>,
    /// Agreements that wait for confirmation at the partner: until when, by the monotonic clock, it is not asked again.
    unconfirmed_there: HashMap<AgreementId, Duration>,
}

/// One sender per stream: one run at a time.
#[derive(Default)]
pub(super) struct Outgoing {
    senders: Mutex<HashMap<StreamId, Arc<tokio::sync::Mutex<Sender>>>>,
    /// Rises when streams are queued again: what senders remember of incarnations is old then.
    requeued: AtomicU64,
}

impl Outgoing {
    /// Streams were queued again under other incarnations.
    pub(super) fn note_requeued(&self) {
        self.requeued.fetch_add(1, Ordering::AcqRel);
    }

    fn of(&self, id: &StreamId) -> Arc<tokio::sync::Mutex<Sender>> {
        let mut all = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(id.clone()).or_default().clone()
    }
}

/// How long a stream rests that may not be sent, unless it is woken: only a change elsewhere can help.
pub(super) const REST: Millis = Millis::seconds(60);

impl Road {
    /// Streams that have something to send: where the deliverer starts.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_streams(&self) -> Result<Vec<StreamId>, Error> {
        let open = self.store().open_streams().await?;
        let ids = open.into_iter().map(|s| StreamId { origin: s.origin, recipient: s.recipient, class: s.class });
        Ok(ids.collect())
    }

    /// Sends the stream's next batch and settles the answer.
    pub async fn deliver_pass(self: &Arc<Self>, id: &StreamId) -> Pass {
        let sender = self.outgoing.of(id);
        let mut sender = sender.lock().await;
        match self.send_next(id, &mut sender).await {
            Ok(pass) => pass,
            Err(error) => {
                let pause = self.failed(id, &mut sender, &error).await;
                if pause.0 <= 0 { Pass::Now } else { Pass::After(pause.to_duration()) }
            }
        }
    }

    async fn send_next(self: &Arc<Self>, id: &StreamId, sender: &mut Sender) -> Result<Pass, Error> {
        let view = self.view();
        if view.status(&id.recipient, self.now()) != MemberStatus::Active {
            // Upkeep holds or closes what waits, and wakes the stream when that changes.
            return Ok(Pass::Idle);
        }
        // Nobody takes it: it waits, and is signed with the key that comes after.
        if self.context.keys().is_withdrawn(&id.origin, &view) {
            return Err(Error::about(&id.origin, Reason::KeyNotCurrent));
        }
        let Some(incarnations) = self.meet(id, sender).await? else { return Ok(Pass::Idle) };
        let queued = self.take(id).await?;
        if queued.is_empty() {
            return Ok(Pass::Idle);
        }
        let understands = self.understood_by(id).await?;
        // After the meeting, which may have waited for a partner: what is sent is as old as it is now.
        let now = self.now();
        let shares = self.shares_of(id, &queued).await?;
        let looks = prepare::Looks { view: &view, understands: &understands, now, shares: &shares };
        let prepared = self.prepare(id, sender, &looks, queued);
        if prepared.items.is_empty() {
            let reason = prepared.waits.unwrap_or(Reason::Internal);
            return Err(Error::about(&id.recipient, reason));
        }
        let batch = Batch {
            stream: id.clone(),
            origin_incarnation: incarnations.0,
            recipient_incarnation: incarnations.1,
            first: prepared.items[0].item.number,
            sender_time: now,
            items: prepared.items.iter().map(|going| prepare::on_wire(going, now)).collect(),
        };
        let answer = self.send(id, batch).await?;
        self.settle(id, incarnations, sender, prepared, answer).await
    }

    /// Both incarnations, by a greeting if they are not known; `None`: there is nothing to send.
    async fn meet(&self, id: &StreamId, sender: &mut Sender) -> Result<Option<(Incarnation, Incarnation)>, Error> {
        let requeued = self.outgoing.requeued.load(Ordering::Acquire);
        if sender.incarnations.is_none() || sender.greet || sender.known_at != requeued {
            let Some(stream) = self.out_stream(id).await? else { return Ok(None) };
            if stream.first_unsettled >= stream.next {
                return Ok(None);
            }
            let first = stream.first_unsettled;
            let stream = self.greeted(stream, sender.greet).await?;
            sender.greet = false;
            let incarnations = Some((stream.origin_incarnation, stream.recipient_incarnation));
            if sender.incarnations != incarnations || stream.first_unsettled != first {
                // A number may be another item's now.
                sender.defers = None;
            }
            (sender.known_at, sender.incarnations) = (requeued, incarnations);
        }
        Ok(sender.incarnations)
    }

    /// What opens the items about persons, looked at now: no decision about one is kept (9.2).
    async fn shares_of(&self, id: &StreamId, items: &[OutItem]) -> Result<HashMap<RecordId, ShareUse>, Error> {
        let mut shares = HashMap::new();
        for item in items.iter().filter(|item| item.kind.is_about_persons()) {
            let key = RecordKey { origin: id.origin.clone(), record_id: item.record_id };
            shares.extend(self.persons.still_opens(&key).await?.map(|opened| (item.record_id, opened)));
        }
        Ok(shares)
    }

    async fn take(&self, id: &StreamId) -> Result<Vec<OutItem>, Error> {
        let (origin, recipient) = (id.origin.clone(), id.recipient.clone());
        Ok(self.store().out_batch(origin, recipient, id.class, limits::BATCH_ITEMS, limits::BATCH_BYTES).await?)
    }

    async fn send(self: &Arc<Self>, id: &StreamId, batch: Batch) -> Result<crate::domain::stream::BatchAnswer, Error> {
        let view = self.view();
        let host = view.host_of(&id.recipient).ok_or_else(|| Error::about(&id.recipient, Reason::MemberUnknown))?;
        // Two authorities of one node meet without a socket, and by the same rules.
        let answer = if self.context.keys().serves(&id.recipient) {
            let answer = self.receive(host, batch).await;
            // Nobody pays for what the node gives itself.
            self.take_spent(host);
            answer?
        } else {
            self.link.deliver(host.clone(), batch).await?
        };
        self.links.answered(&id.recipient, self.context.clocks());
        Ok(answer)
    }

    /// After an attempt that brought no receipt: nothing is consumed and nothing is skipped. Returns the pause.
    async fn failed(&self, id: &StreamId, sender: &mut Sender, error: &Error) -> Millis {
        let (now, reason) = (self.now(), error.reason());
        let asked = match error {
            Error::Link(link) => {
                self.links.failed(&id.recipient, link, self.context.clocks());
                link.retry_after.unwrap_or(Millis(0))
            }
            Error::Refused(_) | Error::Store(_) => Millis(0),
        };
        let sent = delivery::Sent { first: 0, count: 0, failures: sender.failures };
        let nothing = |_| delivery::Head { waiting_since: None, expires: UnixMs::NEVER };
        let step = delivery::step(sent, delivery::Heard::Failed(reason), nothing, now, jitter());
        let pause = self.pause(id, sender, step.next, now).max(asked);
        sender.failures = step.failures;
        // A greeting tells how the clocks stand to each other by now.
        sender.greet |= reason == Reason::ClockDiffers;
        tracing::debug!(recipient = %id.recipient, reason = %reason, failures = step.failures, "attempt failed");
        self.note(id, reason, now + pause).await;
        pause
    }

    /// Turns the pure step's answer into a pause.
    fn pause(&self, id: &StreamId, sender: &mut Sender, next: delivery::Next, now: UnixMs) -> Millis {
        match next {
            delivery::Next::Continue => Millis(0),
            delivery::Next::At(at) => at.since(now),
            delivery::Next::Greet => {
                sender.greet = true;
                if sender.failures == 0 { Millis(0) } else { delivery::backoff(sender.failures, jitter()) }
            }
            delivery::Next::Hold(_) => held_for(&self.view(), id, now, sender.failures, jitter()),
        }
    }

    /// Writes a failed attempt down, for `delivery list`.
    async fn note(&self, id: &StreamId, reason: Reason, next_attempt: UnixMs) {
        let Ok(Some(stream)) = self.out_stream(id).await else { return };
        if stream.first_unsettled < stream.next {
            let attempt = Attempt {
                reason,
                next_attempt,
                ..attempt(id, stream.numbers().under, stream.first_unsettled, self.now())
            };
            if let Err(error) = self.store().write(WriteOp::Attempt(attempt)).await {
                havenlink_runtime::repeated!(warn; reason = %error.reason(), "a failed attempt could not be written down");
            }
        }
    }
}

/// How long a stream rests that one of the two views forbids. Our own tells when that changes, and upkeep wakes the stream;
/// the partner's, when ours is ahead of it, only another attempt can ask.
fn held_for(view: &DirectoryView, id: &StreamId, now: UnixMs, failures: u32, jitter: f64) -> Millis {
    let open = |authority| view.status(authority, now) == MemberStatus::Active;
    if open(&id.origin) && open(&id.recipient) { delivery::backoff(failures, jitter) } else { REST }
}

/// An attempt about one number; fill in the rest with struct update syntax.
fn attempt(id: &StreamId, under: Under, first: u64, now: UnixMs) -> Attempt {
    Attempt {
        origin: id.origin.clone(),
        recipient: id.recipient.clone(),
        class: id.class,
        under,
        first,
        reason: Reason::Internal,
        next_attempt: now,
        asked_to_wait: false,
        skip_first: false,
        now,
    }
}

/// A number in [0, 1) that differs between nodes, so that they do not call a partner in step.
fn jitter() -> f64 {
    let random = u32::try_from(uuid::Uuid::new_v4().as_u128() & 0xffff).unwrap_or(0);
    f64::from(random) / 65_536.0
}
