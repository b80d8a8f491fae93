//! What a store gives back: rows as values.
//!
//! Invariant: what a record says comes back as a `KeptRecord`, which opens with a `Reading` alone. The other bytes are what the
//! node itself signed or was signed to it (agreements, receipts, checkpoints), envelopes on their way out, which are
//! carried to the socket and not read, and what is sealed; `tests/layering` knows each of them.

use bytes::Bytes;

use crate::domain::envelope::{Envelope, GrantRef};
use crate::domain::handling::{Handling, Purpose};
use crate::domain::holds::HoldState;
use crate::domain::ids::{
    AgreementId, AuthorityId, Digest, HoldId, Incarnation, InvitationId, KeyId, OfferId, RecordId, ShareId,
};
use crate::domain::numbering::{OutNumbers, Under};
use crate::domain::person::CaseIndex;
use crate::domain::person::share::ShareScope;
use crate::domain::policy::KeptRecord;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, StreamClass};
use crate::domain::records::Facet;
use crate::domain::time::UnixMs;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicationRow {
    /// Rises with each publication; the page cursor.
    pub sequence: u64,
    pub authority: AuthorityId,
    pub record_id: RecordId,
    pub target: Option<RecordKey>,
    /// Encoded `StoredPublication`.
    pub record: KeptRecord,
    pub created: UnixMs,
    pub dispatched: bool,
}

impl PublicationRow {
    /// Which record it is.
    pub fn key(&self) -> RecordKey {
        RecordKey { origin: self.authority.clone(), record_id: self.record_id }
    }
}

/// What a partner last told of its incarnation (9.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerIncarnation {
    pub incarnation: Incarnation,
    /// The encoded signed `Hello` that told it; empty where it was not kept.
    pub hello: Bytes,
}

/// One outgoing stream (9.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutStream {
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub class: StreamClass,
    /// The incarnations that its numbers belong to; a recipient incarnation of 0: never greeted.
    pub origin_incarnation: Incarnation,
    pub recipient_incarnation: Incarnation,
    /// First number without an answer.
    pub first_unsettled: u64,
    /// Number that the next queued item gets.
    pub next: u64,
}

impl OutStream {
    /// Where it stands.
    pub fn numbers(&self) -> OutNumbers {
        let under = Under { origin: self.origin_incarnation, recipient: self.recipient_incarnation };
        OutNumbers { under, first_unsettled: self.first_unsettled, next: self.next }
    }
}

/// What one number of a stream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutPayload {
    /// Encoded `Signed`.
    Envelope(Bytes),
    Skip(Reason),
}

/// What the one question is asked by again, before each attempt: what the envelope says, in columns of its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub purpose: Purpose,
    pub handling: Handling,
    pub created: UnixMs,
    /// What the question needs to know of the content; `None` for control.
    pub facet: Option<Facet>,
    /// The grant that it was made under; `None` for control.
    pub grant: Option<GrantRef>,
    /// The key that signed the envelope.
    pub key: KeyId,
}

impl Question {
    /// Of an envelope that this key signs.
    pub fn of(envelope: &Envelope, facet: Option<Facet>, key: KeyId) -> Self {
        let Envelope { purpose, handling, created, grant, .. } = *envelope;
        Self { purpose, handling, created, facet, grant, key }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutItem {
    pub number: u64,
    pub record_id: RecordId,
    pub kind: RecordKind,
    pub digest: Digest,
    pub agreement: Option<AgreementId>,
    /// `None`: its columns were never filled, or do not read; it is not sent.
    pub question: Option<Question>,
    pub payload: OutPayload,
    pub as_of: Option<UnixMs>,
    pub traceparent: String,
    pub queued: UnixMs,
    pub expires: UnixMs,
    /// When the first attempt that the partner asked to repeat was made.
    pub waiting_since: Option<UnixMs>,
    /// When the recipient acknowledged it, before it came back from a backup that does not have it.
    pub given: Option<UnixMs>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum DeliveryState {
    Queued = 1,
    Delivered = 2,
    Refused = 3,
    Quarantined = 4,
    Skipped = 5,
    Held = 6,
    Expired = 7,
    Closed = 8,
}

impl DeliveryState {
    /// The state with this number.
    pub const fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            1 => Self::Queued,
            2 => Self::Delivered,
            3 => Self::Refused,
            4 => Self::Quarantined,
            5 => Self::Skipped,
            6 => Self::Held,
            7 => Self::Expired,
            8 => Self::Closed,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Rises with each delivery; the page cursor.
    pub sequence: u64,
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub record_id: RecordId,
    pub kind: RecordKind,
    pub state: DeliveryState,
    /// Attempts that this item was part of; of an open one, those since its stream last moved.
    pub attempts: u32,
    pub reason: Option<Reason>,
    pub queued: UnixMs,
    /// When it was settled, or closed; of one that expired while it waited, when that was seen: its number is settled later.
    pub finished: Option<UnixMs>,
    pub next_attempt: Option<UnixMs>,
    /// The agreement that it went out under; none for control.
    pub agreement: Option<AgreementId>,
}

#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub recipient: Option<AuthorityId>,
    pub state: Option<DeliveryState>,
    pub record: Option<RecordId>,
    /// Queued or finished at this instant or later.
    pub since: Option<UnixMs>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCount {
    pub queued: u64,
    /// With their stream, while the recipient is suspended.
    pub held: u64,
    /// Each by itself, to be queued again.
    pub deferred: u64,
}

/// Deferred items of one stream and kind under one agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeferredItems {
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub class: StreamClass,
    /// `None`: control.
    pub agreement: Option<AgreementId>,
    pub kind: RecordKind,
    pub items: u64,
    /// When the oldest of them was deferred.
    pub oldest: UnixMs,
}

/// Names an incoming stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InStreamKey {
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub class: StreamClass,
    pub origin_incarnation: Incarnation,
    pub recipient_incarnation: Incarnation,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InStream {
    pub next: u64,
    /// Encoded signed receipt of the last batch.
    pub receipt: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    /// 1, 2, 3 … in the order of storing; one per record, for ever.
    pub position: u64,
    pub recipient: AuthorityId,
    pub key: RecordKey,
    /// Encoded `Signed` as it came.
    pub record: KeptRecord,
    pub target: Option<RecordKey>,
    pub received: UnixMs,
    pub traceparent: String,
}

/// An agreement as held here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementRow {
    pub id: AgreementId,
    /// Encoded `Signed`, with the signatures known here.
    pub signed: Bytes,
    /// All parties' signatures are stored here.
    pub complete: bool,
    /// Parties that left, each once, in the order in which it became known here.
    pub ends: Vec<AgreementEndRow>,
    /// Nobody has confirmed it since a restore.
    pub unconfirmed: bool,
}

/// One party left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementEndRow {
    pub by: AuthorityId,
    pub at: UnixMs,
    /// Number of havenlink.record.v1.AgreementEndReason.
    pub reason: i32,
    /// Encoded `Signed` with the envelope that says so; empty for a party of this node that could tell nobody.
    pub notice: Bytes,
}

impl AgreementRow {
    /// Adds those of parties that have not left yet: a party leaves once, and its first notice counts.
    pub fn add_ends(&mut self, ends: impl IntoIterator<Item = AgreementEndRow>) {
        for end in ends {
            if self.ends.iter().all(|held| held.by != end.by) {
                self.ends.push(end);
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnOfferRow {
    pub id: OfferId,
    /// Encoded `OwnOffer` with the raw figures. It stands until it is stated anew.
    pub record: KeptRecord,
    pub version: u64,
    /// Paused by a restore until confirmed.
    pub unconfirmed: bool,
}

/// An agreement to share as held here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareRow {
    pub id: ShareId,
    pub authority: AuthorityId,
    pub version: u64,
    /// Encoded `StoredShare`; `Store::open_sealed` opens it, as long as its key lives.
    pub sealed: Bytes,
    /// Nobody has changed it since a restore: it may have been withdrawn after the backup was made.
    pub unconfirmed: bool,
}

/// What became of a record that was shared about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum DisclosureState {
    Shared = 1,
    /// Its withdrawal was told, or is on its way.
    Noticed = 2,
    Done = 3,
    Partial = 4,
    /// Its recipient has a duty to keep it.
    Refused = 5,
}

impl DisclosureState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Shared, Self::Noticed, Self::Done, Self::Partial, Self::Refused];

    /// The state with this number.
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i32 == code)
    }
}

/// A record about a person, at its origin, and its one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisclosureRow {
    pub key: RecordKey,
    pub recipient: AuthorityId,
    pub kind: RecordKind,
    pub scope: ShareScope,
    pub purpose: Purpose,
    pub case: CaseIndex,
    pub share: ShareId,
    pub shared_at: UnixMs,
    pub erase_by: UnixMs,
    pub state: DisclosureState,
    /// Of its notice; 0: none.
    pub counter: u64,
    pub noticed_at: UnixMs,
    pub due_by: UnixMs,
    pub answered_at: UnixMs,
    /// Encoded `Signed` with the envelope of the answer; empty: none.
    pub receipt: Bytes,
}

/// A partner's notice of withdrawal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawalRow {
    pub key: RecordKey,
    /// Which authority of this node had it.
    pub recipient: AuthorityId,
    pub counter: u64,
    pub received: UnixMs,
    pub due_by: UnixMs,
    /// When nothing of it was left here; `None`: not yet.
    pub done_at: Option<UnixMs>,
    /// Encoded `Signed` with the envelope of the notice; empty: it was not kept.
    pub notice: Bytes,
}

/// A partner that said what was withdrawn, since this node was made or last restored (9.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredRow {
    pub ours: AuthorityId,
    pub partner: AuthorityId,
    /// Until when the line to it is known to have stood.
    pub contact: UnixMs,
    /// It holds a withdrawal of ours of which nothing is known here any more.
    pub unknown: bool,
}

/// The slots of an own offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotsRow {
    pub offer: OfferId,
    /// Rises with every change.
    pub version: u64,
    /// Encoded `StoredSlots`.
    pub body: Bytes,
}

/// A unit of a partner's offer that was asked for here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedHoldRow {
    pub id: HoldId,
    /// Which authority of this node asked.
    pub ours: AuthorityId,
    pub owner: AuthorityId,
    pub offer: OfferId,
    pub asked: UnixMs,
    /// As the owner said last; `None`: it has not answered.
    pub state: Option<HoldState>,
    /// 0: the owner has not answered.
    pub token: u64,
    pub extended: bool,
    pub keep_until: UnixMs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerOfferRow {
    pub origin: AuthorityId,
    pub id: OfferId,
    /// Encoded `OfferView`; it leaves this store with the record that brought it.
    pub record: KeptRecord,
    /// A lower one than stored is ignored.
    pub version: u64,
    /// Age of the statement at the origin when it was sent; `None`: not reported.
    pub age_at_sending_ms: Option<i64>,
    pub received: UnixMs,
}

/// The audit log's size, root, time and newest checkpoint. A checkpoint and the leaf that says that it was signed are of one
/// commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    pub size: u64,
    /// RFC 6962 root hash.
    pub root: Digest,
    /// Time of the newest leaf; no earlier one stands before it.
    pub time: UnixMs,
    /// Encoded signed `AuditCheckpoint`, and the size it covers.
    pub checkpoint: Option<(u64, Bytes)>,
}

/// What a request for an invitation led to (9.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationRequestRow {
    /// Digest of the body that came with the request id.
    pub body: Digest,
    pub invitation: InvitationId,
    pub expires: UnixMs,
}
