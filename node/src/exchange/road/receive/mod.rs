//! Receive: a batch from a partner, as a table of contents (9.3).
//!
//! Check the stream, open and verify every item (in parallel when there are many), judge each one in order, sign one
//! receipt, store everything in one transaction, acknowledge. An item that cannot be understood is quarantined and
//! never blocks what comes behind it; an item that has to wait ends the batch and is asked for again. A fault of this
//! node as a whole is an error of the call: nothing is consumed.

mod judge;
mod open;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::receipt::{ItemOutcome, Receipt};
use crate::domain::record::StreamClass;
use crate::domain::stream::{Batch, BatchAnswer, StreamId};
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::context::{Error, active, speaks_for};
use crate::exchange::records;
use crate::pass::PassKind;
use crate::storage;
use crate::storage::ops::{Receive, WriteOp, Written};
use crate::storage::rows::{InStream, InStreamKey};
use crate::wire::{peer, signed};

use super::{Road, answered};
use judge::Judged;
pub use work::Spent;
pub(super) use work::Work;

/// Where an incoming stream stands; `None`: look into the store.
type StreamPosition = Option<(InStreamKey, InStream)>;

/// One place per incoming stream; its lock is what "one batch in flight" means.
#[derive(Default)]
pub(super) struct Incoming(Mutex<HashMap<StreamId, Arc<tokio::sync::Mutex<StreamPosition>>>>);

impl Incoming {
    fn of(&self, id: &StreamId) -> Arc<tokio::sync::Mutex<StreamPosition>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(id.clone()).or_default().clone()
    }
}

/// A batch, and by what it is judged: one view and one instant for all of it.
struct Received {
    caller: AuthorityId,
    batch: Batch,
    view: Arc<DirectoryView>,
    now: UnixMs,
    /// How long it lay before it was looked at.
    waited: Millis,
}

impl Road {
    /// Takes a batch. `caller` is the authority of the connection. The answer is given after durable storage.
    ///
    /// # Errors
    /// A refusal of the call as a whole; nothing was consumed.
    pub async fn receive(self: &Arc<Self>, caller: &AuthorityId, batch: Batch) -> Result<BatchAnswer, Error> {
        let stood = self.pulse.stood(self.context.monotonic());
        let mut received =
            Received { caller: caller.clone(), batch, view: self.view(), now: self.now(), waited: stood };
        self.check_caller(&received)?;
        // By who may say it: nobody tells what another's clock shows.
        let Received { batch, now, .. } = &received;
        let late = self.links.heard_clock(&batch.stream.origin, batch.sender_time, *now);
        received.waited = stood.max(late);
        let key = self.check_stream(&received).await?;
        let lock = self.incoming.of(&received.batch.stream);
        let place = lock.try_lock_owned().map_err(|_| Reason::BatchInFlight)?;
        // A task of its own: a caller that hangs up stops neither the write nor what follows from it.
        let road = Arc::clone(self);
        let taken = tokio::spawn(async move { road.receive_next(received, key, place).await });
        taken.await.map_err(|_| Reason::Internal)?
    }

    async fn receive_next(
        &self,
        received: Received,
        key: InStreamKey,
        mut place: tokio::sync::OwnedMutexGuard<StreamPosition>,
    ) -> Result<BatchAnswer, Error> {
        let stream = self.stream_place(&mut place, &key).await?;
        if received.batch.first != stream.next {
            return self.again(&received, BatchAnswer { next: stream.next, receipt: stream.receipt, denies: false });
        }
        // Until the write is answered, what stands in memory is not known to be true.
        *place = None;
        let answer = self.take_batch(&received, &key).await?;
        if let Taken::Stored(answer) = &answer {
            *place = Some((key, InStream { next: answer.next, receipt: answer.receipt.clone() }));
        } else if let Taken::Waiting(_) = &answer {
            *place = Some((key, stream));
        }
        match answer {
            Taken::Stored(answer) | Taken::Waiting(answer) => Ok(answer),
            Taken::Moved(answer) => self.again(&received, answer),
        }
    }

    /// A receipt that was given before, and lost on the way. Its key may have been replaced, or withdrawn, since: then
    /// nobody takes it any more, and the sender could never go on.
    fn again(&self, Received { batch, view, .. }: &Received, answer: BatchAnswer) -> Result<BatchAnswer, Error> {
        let key = self.context.keys().of(&batch.stream.recipient).ok_or(Reason::WrongRecipient)?;
        let receipt = answer.receipt.map(|bytes| signed::sign_again(&bytes, &view.federation, &key));
        Ok(BatchAnswer { receipt: receipt.transpose()?, ..answer })
    }

    /// Who calls, for whom, to whom.
    fn check_caller(&self, received: &Received) -> Result<(), Error> {
        let Received { caller, batch, view, now, .. } = received;
        let StreamId { origin, recipient, .. } = &batch.stream;
        speaks_for(view, caller, origin)?;
        if !self.context.keys().serves(recipient) {
            return Err(Reason::WrongRecipient.into());
        }
        active(view, origin, *now).map_err(|reason| Error::about(origin, reason))?;
        active(view, recipient, *now).map_err(|reason| Error::about(recipient, reason))
    }

    /// Whether both sides speak of the same incarnations.
    async fn check_stream(&self, received: &Received) -> Result<InStreamKey, Error> {
        let Received { batch, now, .. } = received;
        let StreamId { origin, recipient, class } = &batch.stream;
        let skew = now.since(batch.sender_time).0.abs();
        if skew > limits::CLOCK_WARN.0 {
            havenlink_runtime::repeated!(warn by origin.as_str(); origin = %origin, skew_ms = skew, "a partner's clock differs");
        }
        let known = self.incarnation_of(recipient, origin).await?;
        let ours = self.store().incarnation();
        if known != Some(batch.origin_incarnation) || batch.recipient_incarnation != ours {
            return Err(Reason::IncarnationChanged.into());
        }
        Ok(InStreamKey {
            origin: origin.clone(),
            recipient: recipient.clone(),
            class: *class,
            origin_incarnation: batch.origin_incarnation,
            recipient_incarnation: ours,
        })
    }

    async fn stream_place(&self, place: &mut StreamPosition, key: &InStreamKey) -> Result<InStream, Error> {
        if let Some((known, stream)) = place
            && known == key
        {
            return Ok(stream.clone());
        }
        let stored = self.store().in_stream(key.clone()).await?;
        let stream = stored.unwrap_or(InStream { next: 1, receipt: None });
        *place = Some((key.clone(), stream.clone()));
        Ok(stream)
    }

    async fn take_batch(&self, received: &Received, key: &InStreamKey) -> Result<Taken, Error> {
        // Control changes agreements: one batch of it at a time, and never beside a change made here.
        let _agreements = match received.batch.stream.class {
            StreamClass::Control => Some(self.agreements.one_change().await),
            StreamClass::Content => None,
        };
        // A second round only if a call that was cut off stored the same records meanwhile.
        for _ in 0..2 {
            let opened = open::all(received, &self.work).await?;
            let judged = self.judge(received, opened).await?;
            let (next, receipt) = self.sign_receipt(received, &judged.outcomes)?;
            let denies = judged.outcomes.iter().any(|outcome| outcome.verdict.is_of_nothing());
            let answer = BatchAnswer { next, receipt: Some(receipt.clone()), denies };
            if next == received.batch.first {
                return Ok(Taken::Waiting(answer));
            }
            let (agreements, outcomes) = (judged.changes_agreements(), judged.outcomes.clone());
            if agreements {
                self.agreements.set_may_be_behind();
            }
            let (owes, opens) = (!judged.owes.is_empty(), judged.opens());
            let statements = records::statements_in(&judged.puts);
            let about_persons = judged.items.iter().any(|item| item.kind.is_about_persons());
            let bytes = judged.items.iter().map(|item| item.envelope.len()).sum();
            match self.store_batch(received, key, judged, next, receipt).await? {
                Written::StreamMoved { next, receipt } => {
                    return Ok(Taken::Moved(BatchAnswer { next, receipt, denies: false }));
                }
                Written::Taken => {}
                Written::Received { newest, .. } => {
                    self.work.stored(&received.caller, outcomes.len(), bytes);
                    self.heard.stored(&statements);
                    if let Some(row) = opens {
                        self.context.answered().heard(&received.view, row, received.now);
                    }
                    self.acknowledge(newest, agreements).await?;
                    if owes {
                        self.context.wakeups().wake_upkeep();
                    }
                    if about_persons {
                        // Of a partner that never said what was withdrawn nothing is shown yet.
                        self.context.wakeups().wake(PassKind::Withdrawals);
                    }
                    answered::tell_received(&received.batch, &outcomes);
                    return Ok(Taken::Stored(answer));
                }
                Written::Done | Written::Numbered(_) | Written::Again(_) => {
                    return Err(storage::Error::Damaged("incoming stream").into());
                }
            }
        }
        Err(Reason::BatchInFlight.into())
    }

    fn sign_receipt(&self, received: &Received, outcomes: &[ItemOutcome]) -> Result<(u64, bytes::Bytes), Error> {
        let Received { batch, view, now, .. } = received;
        let key = self.context.keys().of(&batch.stream.recipient).ok_or(Reason::WrongRecipient)?;
        let receipt = Receipt {
            federation: view.federation,
            origin: batch.stream.origin.clone(),
            recipient: batch.stream.recipient.clone(),
            origin_incarnation: batch.origin_incarnation,
            recipient_incarnation: batch.recipient_incarnation,
            class: batch.stream.class,
            first: batch.first,
            outcomes: outcomes.to_vec(),
            register: view.position(),
            time: *now,
        };
        Ok((receipt.next(), peer::sign_receipt(&receipt, &key)))
    }

    async fn store_batch(
        &self,
        received: &Received,
        key: &InStreamKey,
        judged: Judged,
        next: u64,
        receipt: bytes::Bytes,
    ) -> Result<Written, Error> {
        let op = Receive {
            stream: key.clone(),
            first: received.batch.first,
            next,
            items: judged.items,
            puts: judged.puts,
            deletes: judged.deletes,
            owes: judged.owes,
            receipt,
            now: received.now,
            audit: judged.audit,
        };
        Ok(self.store().write(WriteOp::Receive(Box::new(op))).await?)
    }

    /// After the commit: readers see what came, and agreements take effect.
    async fn acknowledge(&self, newest: u64, agreements: bool) -> Result<(), Error> {
        self.context.wakeups().advance_inbox(newest);
        if agreements {
            self.agreements.reload().await?;
            self.context.wakeups().wake_upkeep();
        }
        Ok(())
    }
}

/// How a batch was answered.
enum Taken {
    Stored(BatchAnswer),
    /// Its first item has to wait: nothing was consumed.
    Waiting(BatchAnswer),
    /// A call that was cut off had stored it: the stream stands elsewhere.
    Moved(BatchAnswer),
}
