//! A stream between two authorities, what one batch of it carries, and what the partner answers (9.3, 9.10).

use std::collections::BTreeSet;

use bytes::Bytes;

use super::directory::Position;
use super::ids::{AgreementId, AuthorityId, FederationId, Incarnation};
use super::reason::Reason;
use super::record::{RecordKind, StreamClass};
use super::time::UnixMs;

/// One direction of one class between two authorities, whatever their incarnations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub class: StreamClass,
}

/// Tells an authority's incarnation; signed by its authority key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    pub federation: FederationId,
    pub authority: AuthorityId,
    pub incarnation: Incarnation,
    pub time: UnixMs,
    /// Whom it is told to.
    pub recipient: AuthorityId,
    /// Where its register stands.
    pub register: Position,
    pub understands: Understands,
}

/// What a node understands: it names it in its `Hello`, and is sent nothing else (9.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Understands {
    /// What it takes; a kind that is not among them waits at its partners.
    pub kinds: BTreeSet<RecordKind>,
    /// The newest version of the register's rules that it can apply.
    pub rules: u32,
}

impl Understands {
    /// What this version understands of itself, less the kinds that its operator does not take.
    pub fn here(rules: u32, not_taken: &[RecordKind]) -> Self {
        let taken = |kind: &&RecordKind| kind.is_built() && !not_taken.contains(kind);
        Self { kinds: RecordKind::ALL.iter().filter(taken).copied().collect(), rules }
    }
}

/// What one number of a stream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemBody {
    /// The encoded `Signed` with an envelope in it.
    Envelope(Bytes),
    /// The sender gave the item up under this number.
    Skip(Reason),
}

/// One number of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchItem {
    pub body: ItemBody,
    /// For an offer view: age of the statement at sending, ms; `None`: not reported.
    pub as_of_age_ms: Option<i64>,
    /// W3C trace context of the publish; empty when there is none.
    pub traceparent: String,
}

/// Items of a stream in order, from number `first` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub stream: StreamId,
    pub origin_incarnation: Incarnation,
    pub recipient_incarnation: Incarnation,
    pub first: u64,
    pub sender_time: UnixMs,
    pub items: Vec<BatchItem>,
}

/// The answer to `Deliver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchAnswer {
    /// The number that the recipient expects next.
    pub next: u64,
    /// Encoded signed receipt: of this batch, or of the last one when `first` < `next`.
    pub receipt: Option<Bytes>,
    /// Something in it was answered as what does not exist is. Known to who answers; it does not travel.
    pub denies: bool,
}

/// What a party of an agreement is asked after a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndsQuestion {
    /// The party that was restored.
    pub asker: AuthorityId,
    /// The party that is asked.
    pub asked: AuthorityId,
    pub agreement: AgreementId,
}

/// What it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndsAnswer {
    /// The asked holds the agreement, with all signatures.
    pub held: bool,
    /// It waits for confirmation there too.
    pub unconfirmed: bool,
    /// Encoded `Signed` with the envelope of each END that is known there; to be opened and verified.
    pub ends: Vec<Bytes>,
}

/// What a partner is asked about withdrawals (9.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawalsQuestion {
    pub asker: AuthorityId,
    pub asked: AuthorityId,
    /// The counter of the last notice of the asked that is known; 0: of none since a restore.
    pub known: u64,
    /// Those behind this counter.
    pub after: u64,
    /// The same of the asker's own notices, which the asked holds.
    pub held_after: u64,
    /// Encoded `Signed` with the envelope of each receipt that the asker brings along.
    pub receipts: Vec<Bytes>,
}

/// What it answers; to be opened and verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WithdrawalsAnswer {
    /// Encoded `Signed` with the envelope of each notice of the asked, by their counters.
    pub notices: Vec<Bytes>,
    /// The same of the asker's own.
    pub held: Vec<Bytes>,
    /// There are more of either.
    pub more: bool,
}

/// What `Greet` asks with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Encoded signed `Hello` of the caller.
    pub hello: Bytes,
    /// The authority that is called.
    pub recipient: AuthorityId,
    /// The called one's own signed `Hello`, as the caller holds it; empty: it holds none.
    pub held: Bytes,
}

/// The answer to `Greet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GreetAnswer {
    /// Encoded signed `Hello` of the called authority.
    pub hello: Bytes,
    pub next_content: u64,
    pub next_control: u64,
    /// The caller's own signed `Hello` of a later incarnation, as the called one holds it; empty: what it told was taken.
    pub held: Bytes,
}
