//! Everything that must survive: publications, the outbox, the inbox, agreements, offers, cursors, the audit log.
//!
//! What lives here: the `Store` trait, its data (`ops`, `rows`, `owed`, `named`), SQLite. What does not: decisions. A store
//! refuses what its invariants forbid (a taken key, a moved stream) and knows nothing of policy, but a write that
//! discloses carries a `Permit`, and what a record says is given back shut (`KeptRecord`).
//! Invariants: a `write` that answered Ok survives kill −9 and power loss; each write is one transaction, whole or not
//! at all; the audit leaves of an act are in the transaction of the act, and so is what is owed from then on; a record has
//! one inbox position, for ever; data of a newer version is not opened, data of an older one is brought forward first.

use havenlink_domain as domain;
use havenlink_runtime::telemetry;
use havenlink_wire as wire;

pub mod audit;
pub mod backup;
mod disclosures;
mod holds;
pub mod identity;
pub mod named;
pub mod ops;
pub mod owed;
mod person_keys;
pub mod remains;
pub mod rows;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
pub mod sqlite;
pub mod unreadable;

pub use disclosures::Disclosures;
pub use holds::Holds;
pub use person_keys::PersonKeys;
pub use sqlite::keys;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, AuthorityId, Digest, Incarnation, InvitationId, OfferId};
use crate::domain::person::CaseIndex;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, StreamClass};
use crate::domain::stream::StreamId;
use crate::domain::time::{Millis, UnixMs};
use named::Named;
use ops::{WriteOp, Written};
use owed::{OwedCount, OwedRow, What};
use rows::*;
use unreadable::UnreadableRows;

/// A failure of a store. Refusals that belong to the protocol are values of `Written`, not errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule of the data forbids the write; nothing was stored.
    #[error("the store refused: {0}")]
    Refused(Reason),
    /// The whole batch's fate is unknown; repeat with the same request id.
    #[error("the outcome of the write is unknown")]
    OutcomeUnknown(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// No room left; nothing was stored.
    #[error("the disk is full")]
    Full,
    /// A stored row or file does not hold together.
    #[error("stored data is damaged: {0}")]
    Damaged(&'static str),
    /// Reading or opening failed.
    #[error("the store failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Refused(reason) => *reason,
            Self::OutcomeUnknown(_) => Reason::OutcomeUnknown,
            Self::Full => Reason::StorageFull,
            Self::Damaged(_) => Reason::StorageDamaged,
            Self::Failed(_) => Reason::StorageFailed,
        }
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        self.reason().retryable()
    }
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

/// Where a store takes the time of its audit leaves from: the node's clock, given by who builds the node.
pub type Now = Arc<dyn Fn() -> UnixMs + Send + Sync>;

/// Called, with why, when the process must end rather than go on (9.8). Tests give another one than `abort`.
pub type EndProcess = Arc<dyn Fn(&str) + Send + Sync>;

/// Partners' signed receipts are kept as long as the ledger is.
pub const RECEIPT_LIFE: Millis = Millis::days(2 * 365);

/// A node's store. Each method is one whole transaction. Writes are grouped: many callers, one fsync (9.8).
/// Dropping the future of a write cancels nothing.
pub trait Store: PersonKeys + Disclosures + Holds + Send + Sync + 'static {
    /// Stores, durably, then answers.
    fn write(&self, op: WriteOp) -> BoxFuture<'_, Result<Written>>;

    /// What a request was answered: the digest of its body and the first answer; `None`: not seen, or forgotten.
    fn request(&self, scope: String, request_id: String) -> BoxFuture<'_, Result<Option<(Digest, bytes::Bytes)>>>;

    /// Publications that the dispatcher has not turned into deliveries yet, oldest first.
    fn pending_publications(&self, limit: usize) -> BoxFuture<'_, Result<Vec<PublicationRow>>>;
    /// One own publication.
    fn publication(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<PublicationRow>>>;
    /// Own publications of a kind, newest first, older than the cursor (`publication.sequence`).
    fn publications(
        &self,
        kind: RecordKind,
        before: Option<u64>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<PublicationRow>>>;

    /// The newest publications of one own authority that refer to the target, oldest first: what others say of it, however
    /// much, takes no place among them.
    fn publications_about(
        &self,
        target: RecordKey,
        by: AuthorityId,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<PublicationRow>>>;

    /// Outgoing streams with unsettled items, held ones left out.
    fn open_streams(&self) -> BoxFuture<'_, Result<Vec<OutStream>>>;
    /// One outgoing stream.
    fn out_stream(
        &self,
        origin: AuthorityId,
        recipient: AuthorityId,
        class: StreamClass,
    ) -> BoxFuture<'_, Result<Option<OutStream>>>;
    /// The next unsettled items of a stream, in order, from its first unsettled number, within both limits (at least one).
    /// None while the stream is held.
    fn out_batch(
        &self,
        origin: AuthorityId,
        recipient: AuthorityId,
        class: StreamClass,
        items: usize,
        bytes: usize,
    ) -> BoxFuture<'_, Result<Vec<OutItem>>>;
    /// Deliveries, newest first.
    fn deliveries(
        &self,
        filter: DeliveryFilter,
        before: Option<u64>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DeliveryRow>>>;
    /// Under which grants a record was made for a recipient, newest first; what was refused, skipped, closed or expired
    /// is left out.
    fn sent_under(&self, record: RecordKey, recipient: AuthorityId) -> BoxFuture<'_, Result<Vec<GrantRef>>>;
    /// What was deferred and waits to be queued again, by stream, agreement and kind.
    fn deferred(&self) -> BoxFuture<'_, Result<Vec<DeferredItems>>>;
    /// Streams in which something waits for a new number.
    fn streams_again(&self) -> BoxFuture<'_, Result<Vec<StreamId>>>;
    /// Unsettled, held and deferred counts per recipient.
    fn queue_counts(&self) -> BoxFuture<'_, Result<Vec<(AuthorityId, QueueCount)>>>;

    /// An incoming stream: next number and last receipt; `None` before its first batch.
    fn in_stream(&self, key: InStreamKey) -> BoxFuture<'_, Result<Option<InStream>>>;
    /// Which of the keys have been taken (dedup), in the order of the keys.
    fn taken(&self, keys: Vec<RecordKey>) -> BoxFuture<'_, Result<Vec<bool>>>;
    /// Received records after a position, in order; hidden ones are left out. Empty kinds: all.
    fn inbox_after(&self, position: u64, kinds: Vec<RecordKind>, limit: usize) -> BoxFuture<'_, Result<Vec<InboxRow>>>;
    /// Received records of a kind, newest first, below a position.
    fn inbox_before(
        &self,
        kind: RecordKind,
        position: Option<u64>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<InboxRow>>>;
    /// One received record.
    fn inbox_record(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<InboxRow>>>;
    /// The newest received records of one origin that refer to the target, oldest first.
    fn inbox_about(&self, target: RecordKey, by: AuthorityId, limit: usize) -> BoxFuture<'_, Result<Vec<InboxRow>>>;
    /// Received records that refer to the target: the newest of each origin, then the second of each, and so on.
    fn inbox_about_by_turns(&self, target: RecordKey, limit: usize) -> BoxFuture<'_, Result<Vec<InboxRow>>>;
    /// Received records that refer to any of the targets, in no order.
    fn inbox_about_any(&self, targets: Vec<RecordKey>) -> BoxFuture<'_, Result<Vec<InboxRow>>>;
    /// The highest inbox position.
    fn inbox_position(&self) -> BoxFuture<'_, Result<u64>>;
    /// A consumer's stored cursor; 0 if none.
    fn cursor(&self, consumer: String) -> BoxFuture<'_, Result<u64>>;

    /// All agreements held here.
    fn agreements(&self) -> BoxFuture<'_, Result<Vec<AgreementRow>>>;
    /// One agreement.
    fn agreement(&self, id: AgreementId) -> BoxFuture<'_, Result<Option<AgreementRow>>>;

    /// Own offers.
    fn own_offers(&self) -> BoxFuture<'_, Result<Vec<OwnOfferRow>>>;
    /// One own offer.
    fn own_offer(&self, id: OfferId) -> BoxFuture<'_, Result<Option<OwnOfferRow>>>;
    /// The latest view of each partner's offer.
    fn partner_offers(&self) -> BoxFuture<'_, Result<Vec<PartnerOfferRow>>>;
    /// The offers of one partner that are kept, whether or not their time is over.
    fn partner_offer_ids(&self, origin: AuthorityId) -> BoxFuture<'_, Result<Vec<OfferId>>>;

    /// What was agreed about a case, oldest first.
    fn shares_of(&self, case: CaseIndex) -> BoxFuture<'_, Result<Vec<ShareRow>>>;

    /// Audit leaves from an index on: encoded `AuditLeaf` messages.
    fn audit_leaves(&self, from: u64, limit: usize) -> BoxFuture<'_, Result<Vec<bytes::Bytes>>>;
    /// Signed checkpoints over more leaves than `after`, smallest first: size, and encoded `Signed`.
    fn audit_checkpoints(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<(u64, bytes::Bytes)>>>;
    /// Size, root and last checkpoint of the audit log.
    fn audit_head(&self) -> BoxFuture<'_, Result<AuditHead>>;
    /// How many leaves and checkpoints stand outside of the audit log, before its beginning or behind its end.
    fn audit_strays(&self) -> BoxFuture<'_, Result<u64>>;

    /// For whom something of a sort is due; `None`: for nobody in particular.
    fn owed_recipients(&self, what: What, now: UnixMs) -> BoxFuture<'_, Result<Vec<Option<AuthorityId>>>>;
    /// What of a sort is due for somebody, oldest first; also what was owed or postponed while the clock was ahead.
    fn owed(
        &self,
        what: What,
        recipient: Option<AuthorityId>,
        now: UnixMs,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<OwedRow>>>;
    /// How much of each sort is owed; a sort without a row is left out.
    fn owed_counts(&self) -> BoxFuture<'_, Result<Vec<OwedCount>>>;

    /// All invitations of this node, by id: encoded `Held`.
    fn invitations(&self) -> BoxFuture<'_, Result<Vec<(InvitationId, bytes::Bytes)>>>;
    /// One invitation.
    fn invitation(&self, id: InvitationId) -> BoxFuture<'_, Result<Option<bytes::Bytes>>>;
    /// What a request for an invitation led to.
    fn invitation_request(&self, request: Digest) -> BoxFuture<'_, Result<Option<InvitationRequestRow>>>;
    /// What a partner last told of its incarnation to an authority of this node.
    fn partner_incarnation(
        &self,
        ours: AuthorityId,
        theirs: AuthorityId,
    ) -> BoxFuture<'_, Result<Option<PartnerIncarnation>>>;

    /// A named value.
    fn meta(&self, name: Named) -> BoxFuture<'_, Result<Option<bytes::Bytes>>>;
    /// This node's incarnation; it rises while it runs when a partner shows that it had come further (9.10).
    fn incarnation(&self) -> Incarnation;
    /// The rows that could not be read: those that a read left out, and those of whose bytes a reader found the same.
    fn unreadable(&self) -> &UnreadableRows;
    /// Empties the log of the database into its file. False: a reader kept it back, and what was deleted may still be in it.
    fn empty_log(&self) -> BoxFuture<'_, Result<bool>>;
    /// Stops taking writes, finishes those taken, closes the files.
    fn close(&self) -> BoxFuture<'_, ()>;
    /// Removes what is past its time, and returns how many rows: request ids, requests for invitations, dedup keys (30 days after
    /// expiry), received records, agreements to share, partners' offers and what was asked for at them past their retention, envelopes past their expiry (what was not sent becomes a SKIP
    /// under its number, and shows EXPIRED), own records and settled deliveries 30 days later.
    fn sweep(&self, now: UnixMs) -> BoxFuture<'_, Result<u64>>;
    /// Looks after the backups of `keys.db`, as a sweep does as well: while nothing is swept, new keys are still backed up.
    fn back_up_keys(&self, now: UnixMs) -> BoxFuture<'_, Result<()>>;
}

#[cfg(test)]
mod contract;
