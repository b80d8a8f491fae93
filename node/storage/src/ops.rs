//! Write operations: data, no closure, no future. One variant is one transaction.
//!
//! The steps of the streams are bespoke, each with its rules; everything else is a `Write`, so that a new rare one is
//! nothing but its values.

mod write;

use bytes::Bytes;

use crate::domain::agreement::Usage;
use crate::domain::audit::AuditDraft;
use crate::domain::ids::{AgreementId, AuthorityId, Digest, Incarnation, RecordId};
use crate::domain::numbering::Under;
use crate::domain::policy::Permit;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, StreamClass};
use crate::domain::time::UnixMs;

use super::owed::Owed;
use super::rows::{InStreamKey, Question};

pub use crate::domain::receipt::ItemResult;
pub use write::{Delete, Expect, NewOwnOffer, NewPartnerOffer, NewShare, Put, Write};

/// A write. Answered by `Written` after the commit.
#[derive(Debug)]
pub enum WriteOp {
    /// A new own record, to be dispatched.
    Publish(Publish),
    /// The dispatcher's result: envelopes queued for their recipients.
    Queue(Queue),
    /// The answer of a partner to a batch.
    Settle(Settle),
    /// A failed attempt, for `delivery list`.
    Attempt(Attempt),
    /// A new incarnation on either side: the numbers begin anew, and what is unexpired gets new ones by `NumberAgain` (9.10).
    Requeue(Requeue),
    /// The next piece of what waits for a new number.
    NumberAgain(NumberAgain),
    /// Deferred items get new numbers.
    QueueAgain(QueueAgain),
    /// Unsettled items are held (suspended), released, or closed (removed).
    SetHeld(SetHeld),
    /// A batch received.
    Receive(Box<Receive>),
    /// A consumer's cursor; never goes back.
    CommitCursor { consumer: String, position: u64 },
    /// Everything that is not a step of a stream.
    Write(Box<Write>),
}

impl From<Write> for WriteOp {
    fn from(write: Write) -> Self {
        Self::Write(Box::new(write))
    }
}

impl WriteOp {
    /// What must go on when the disk is full. New content is refused first.
    pub fn is_essential(&self) -> bool {
        let control = |items: &[NewDelivery]| items.iter().all(|i| i.permit.kind().class() == StreamClass::Control);
        match self {
            Self::Publish(_) => false,
            Self::Queue(op) => control(&op.items),
            Self::Write(op) => op.publications.is_empty() && control(&op.deliveries),
            Self::Receive(op) => op.stream.class == StreamClass::Control,
            Self::Settle(_) | Self::Attempt(_) | Self::Requeue(_) => true,
            Self::NumberAgain(_) | Self::QueueAgain(_) | Self::SetHeld(_) | Self::CommitCursor { .. } => true,
        }
    }

    /// Bytes that an operation brings, near enough.
    pub fn bytes(&self) -> usize {
        256 + match self {
            Self::Publish(op) => {
                mark_bytes(&op.request)
                    + op.publication.body.len()
                    + delivery_bytes(op.made.as_deref().unwrap_or_default())
            }
            Self::Queue(op) => delivery_bytes(&op.items) + op.owes.len() * OWED_BYTES,
            Self::Settle(op) => op.receipt.len(),
            Self::Receive(op) => op.receipt.len() + op.items.iter().map(|i| i.envelope.len() + 256).sum::<usize>(),
            Self::Write(op) => op.bytes(),
            Self::Attempt(_) | Self::Requeue(_) | Self::NumberAgain(_) | Self::QueueAgain(_) => 0,
            Self::SetHeld(_) | Self::CommitCursor { .. } => 0,
        }
    }
}

/// A row of `owed`, near enough.
const OWED_BYTES: usize = 160;

fn mark_bytes(mark: &Option<RequestMark>) -> usize {
    mark.as_ref().map_or(0, |mark| mark.answer.len() + 128)
}

fn delivery_bytes(items: &[NewDelivery]) -> usize {
    items.iter().map(|item| item.envelope.len() + 256).sum()
}

/// What a write led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Stored.
    Done,
    /// So many items got a number.
    Numbered(u64),
    /// The request id was seen with the same body: the first answer, encoded.
    Again(Bytes),
    /// Received: the position of each stored item, in order; 0 for one that waits, hidden, for its target. `newest`: the
    /// inbox's newest position with it, which is that of the last record that had waited for one of these.
    Received { positions: Vec<u64>, newest: u64 },
    /// The stream stands elsewhere: the next number (of an outgoing one: the first unsettled), and the last receipt.
    StreamMoved { next: u64, receipt: Option<Bytes> },
    /// An item's dedup key is taken, the publication is dispatched already, or a row is another one than expected;
    /// nothing was stored.
    Taken,
}

impl Written {
    /// Items that got a number.
    pub const fn items(&self) -> u64 {
        if let Self::Numbered(items) = self { *items } else { 0 }
    }
}

/// Makes a write idempotent (9.3). The same id with another digest: `Refused(REQUEST_ID_REUSED)`.
#[derive(Clone, Debug)]
pub struct RequestMark {
    /// Role or peer, and method: the scope of the id.
    pub scope: String,
    pub request_id: String,
    pub body: Digest,
    /// The encoded answer that a repeated call gets.
    pub answer: Bytes,
    pub expires: UnixMs,
}

#[derive(Debug)]
pub struct Publish {
    pub request: Option<RequestMark>,
    pub publication: NewPublication,
    /// Deliveries that are queued in the same commit; `None`: the publication is pending until a `Queue` names it.
    pub made: Option<Vec<NewDelivery>>,
    pub audit: Vec<AuditDraft>,
}

/// An own record before it is prepared for each partner.
#[derive(Debug, Clone)]
pub struct NewPublication {
    pub authority: AuthorityId,
    pub record_id: RecordId,
    pub kind: RecordKind,
    /// The record that it answers or updates, if any.
    pub target: Option<RecordKey>,
    /// Encoded `StoredPublication`.
    pub body: Bytes,
    pub created: UnixMs,
    pub expires: UnixMs,
}

#[derive(Debug, Default)]
pub struct Queue {
    /// The publication that is now dispatched; what is queued without one leaves it empty.
    pub publication: Option<RecordKey>,
    pub items: Vec<NewDelivery>,
    /// What its recipients get later.
    pub owes: Vec<Owed>,
    pub audit: Vec<AuditDraft>,
}

/// One envelope for one recipient. The store gives it the next number of its stream.
#[derive(Debug)]
pub struct NewDelivery {
    /// The answer of the one question; a delivery cannot be written without it.
    pub permit: Permit,
    pub record_id: RecordId,
    /// What it is asked about again before each attempt.
    pub question: Question,
    /// Encoded `Signed`, shared with the socket.
    pub envelope: Bytes,
    pub digest: Digest,
    /// The capacity statement's as-of, for an offer view.
    pub as_of: Option<UnixMs>,
    pub traceparent: String,
    pub queued: UnixMs,
    pub expires: UnixMs,
}

#[derive(Debug)]
pub struct Settle {
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub class: StreamClass,
    /// Incarnations of the batch; a stream that was queued again since is left alone.
    pub origin_incarnation: Incarnation,
    pub recipient_incarnation: Incarnation,
    pub first: u64,
    pub results: Vec<ItemResult>,
    /// Encoded signed receipt.
    pub receipt: Bytes,
    pub now: UnixMs,
    pub audit: Vec<AuditDraft>,
}

#[derive(Debug)]
pub struct Attempt {
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub class: StreamClass,
    /// Of the batch: a stream that began anew since has another item under this number.
    pub under: Under,
    pub first: u64,
    pub reason: Reason,
    pub next_attempt: UnixMs,
    /// The partner asked to repeat the first item (RETRY_LATER): its wait begins now, unless it has begun. A partner
    /// that does not answer at all asks for nothing: nothing is skipped for that before it expires.
    pub asked_to_wait: bool,
    /// The first item becomes SKIP(reason) under the same number: waited too long, or expired.
    pub skip_first: bool,
    pub now: UnixMs,
}

#[derive(Debug)]
pub struct Requeue {
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub origin_incarnation: Incarnation,
    pub recipient_incarnation: Incarnation,
    /// `None`: both classes from number 1, unless they are numbered under these incarnations already.
    pub renumber: Option<Renumber>,
    /// The first piece gets its numbers in the same commit; otherwise all waits for `NumberAgain`.
    pub at_once: bool,
    pub now: UnixMs,
}

/// The next `QUEUE_AGAIN` deliveries of a stream that wait for a new number.
#[derive(Debug)]
pub struct NumberAgain {
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub class: StreamClass,
    pub now: UnixMs,
}

/// One class alone, from this number on, whatever incarnations it is numbered under: a side has lost its row of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Renumber {
    pub class: StreamClass,
    /// What the partner expects.
    pub first: u64,
}

/// Deferred items of one stream and kind under one agreement go to the end of the stream, in the order in which they were queued first.
#[derive(Debug)]
pub struct QueueAgain {
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub class: StreamClass,
    /// `None`: control, which needs none.
    pub agreement: Option<AgreementId>,
    pub kind: RecordKind,
    /// Those that were deferred at this instant or before; at most `QUEUE_AGAIN` of them.
    pub deferred_by: UnixMs,
    pub now: UnixMs,
}

/// Rows that one commit numbers again.
pub const QUEUE_AGAIN: usize = 1_000;

/// What happens to a recipient's unsettled items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    Hold,
    Release,
    Close,
}

#[derive(Debug)]
pub struct SetHeld {
    pub recipient: AuthorityId,
    pub holding: Holding,
    pub reason: Reason,
    pub now: UnixMs,
}

#[derive(Debug)]
pub struct Receive {
    pub stream: InStreamKey,
    /// Number of the first item; the store answers `StreamMoved` unless it is the next one.
    pub first: u64,
    /// Next number after this batch.
    pub next: u64,
    pub items: Vec<NewInbox>,
    /// What the records change besides the inbox.
    pub puts: Vec<Put>,
    pub deletes: Vec<Delete>,
    pub owes: Vec<Owed>,
    /// Encoded signed receipt: commits with the batch.
    pub receipt: Bytes,
    pub now: UnixMs,
    pub audit: Vec<AuditDraft>,
}

/// A record to store; its dedup key must be free (`Taken` otherwise).
#[derive(Debug)]
pub struct NewInbox {
    /// The receiver's own answer to the one question.
    pub permit: Permit,
    pub key: RecordKey,
    pub kind: RecordKind,
    /// Encoded `Signed` as it came.
    pub envelope: Bytes,
    pub digest: Digest,
    /// The record that it refers to.
    pub target: Option<RecordKey>,
    /// Earlier versions that it updates, replaces or cancels: none of them is kept longer than this one.
    pub supersedes: Vec<RecordKey>,
    /// Waits for its target: no reader sees it, and it has no position, until a batch brings the target. Ignored when
    /// the target is here already.
    pub hidden: bool,
    pub expires: UnixMs,
    /// When it leaves this store, hidden or not: the grant's retention or its expiry, whichever is first.
    pub keep_until: UnixMs,
    /// How far it may go here: the grant's usage.
    pub usage: Usage,
    pub traceparent: String,
}
