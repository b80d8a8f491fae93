//! A record as a store gives it back, and what opens it.
//!
//! Invariant: the bytes of a `KeptRecord` come out through a `Reading` alone, and only `may_read` makes one. So what is
//! stored cannot be read without the question: it does not compile.

use std::fmt;

use bytes::Bytes;

use crate::records::RecordKind;
use crate::records::grant::Usage;
use crate::time::UnixMs;

use super::clause::Clause;

/// The stored bytes of one record, with what its row says of it. Bytes that are only carried, from the queue to the socket,
/// are none: nobody reads them here.
///
/// ```compile_fail
/// # use havenlink_domain::{policy::KeptRecord, records::RecordKind, time::UnixMs};
/// let kept = KeptRecord::own(RecordKind::Alert, UnixMs::NEVER, bytes::Bytes::new());
/// let opened = &kept.bytes;
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeptRecord {
    kind: RecordKind,
    expires: UnixMs,
    /// Of a received one: when it leaves this store, by the retention of its grant or its expiry.
    keep_until: Option<UnixMs>,
    /// Of a received one: how far it may go here, by the grant under which it came.
    usage: Option<Usage>,
    bytes: Bytes,
}

impl KeptRecord {
    /// One of an authority of this node. It has no retention but its own end; `UnixMs::NEVER`: until it is said anew.
    pub const fn own(kind: RecordKind, expires: UnixMs, bytes: Bytes) -> Self {
        Self { kind, expires, keep_until: None, usage: None, bytes }
    }

    /// One that a partner sent, to be kept until `keep_until` (`sharing::keep_until`) and used no further than `usage`.
    pub const fn received(kind: RecordKind, expires: UnixMs, keep_until: UnixMs, usage: Usage, bytes: Bytes) -> Self {
        Self { kind, expires, keep_until: Some(keep_until), usage: Some(usage), bytes }
    }

    /// The same, its bytes unsealed: how a store gives back what it keeps sealed (9.9). `None`: nobody can any more.
    ///
    /// # Errors
    /// Those of what unseals.
    pub async fn unsealed<E>(
        &self,
        unseal: impl AsyncFnOnce(Bytes) -> Result<Option<Bytes>, E>,
    ) -> Result<Option<Self>, E> {
        let bytes = unseal(self.bytes.clone()).await?;
        Ok(bytes.map(|bytes| Self { bytes, ..self.clone() }))
    }

    /// Its kind.
    pub const fn kind(&self) -> RecordKind {
        self.kind
    }

    /// When what it says is over.
    pub const fn expires(&self) -> UnixMs {
        self.expires
    }

    /// When it leaves this store; `None` for an own one.
    pub const fn keep_until(&self) -> Option<UnixMs> {
        self.keep_until
    }

    /// How far it may go here; `None` for an own one.
    pub const fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// How many bytes are stored.
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether an authority of this node said it.
    pub const fn is_own(&self) -> bool {
        self.keep_until.is_none()
    }
}

impl fmt::Debug for KeptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, expires, keep_until, usage, bytes } = self;
        write!(f, "KeptRecord({kind}, expires {}, keep {keep_until:?}, {usage:?}, {} bytes)", expires.0, bytes.len())
    }
}

/// What a stored record is opened for. Each has its rule (`may_read`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPurpose {
    /// A local role sees it: list, get, watch, search, the board of offers.
    Show,
    /// A city's own system takes it from the stream of its inbox.
    Consume,
    /// A local role answers it: under which grant and handling it came.
    Answer,
    /// A local role says an own one anew, or takes it back.
    SayLater,
    /// The node makes an own one for those that may get it: dispatch, backfill, what is owed.
    Prepare,
    /// The node looks which word about a record is the newest. Of it only references are looked at, nobody is shown it, and
    /// what is found can only hide more: so its time does not close it.
    Order,
}

impl ReadPurpose {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Show, Self::Consume, Self::Answer, Self::SayLater, Self::Prepare, Self::Order];
}

/// Proof that `may_read` was asked about one stored record, and said yes: what opens it.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'r> {
    record: &'r KeptRecord,
    clause: Clause,
}

impl<'r> Reading<'r> {
    pub(super) const fn new(record: &'r KeptRecord, clause: Clause) -> Self {
        Self { record, clause }
    }

    /// The stored bytes.
    pub const fn bytes(&self) -> &'r Bytes {
        &self.record.bytes
    }

    /// The kind of the record.
    pub const fn kind(&self) -> RecordKind {
        self.record.kind
    }

    /// The rule that said yes.
    pub const fn clause(&self) -> Clause {
        self.clause
    }

    /// A reading that nobody was asked for: tests of formats only.
    #[cfg(any(test, feature = "samples"))]
    pub const fn unasked(record: &'r KeptRecord) -> Self {
        Self::new(record, Clause::NodeOrders)
    }
}
