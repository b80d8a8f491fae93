//! The receiver's signed answer to a batch: one outcome per item (9.3).

use super::closed::closed_enum;
use super::ids::{AuthorityId, Digest, FederationId, Incarnation};
use super::reason::Reason;
use super::record::StreamClass;
use super::time::UnixMs;

closed_enum! {
    /// The outcome of one item as a number.
    pub enum OutcomeKind {
        Stored = 1 => "STORED", Duplicate = 2 => "DUPLICATE", Refused = 3 => "REFUSED", Quarantined = 4 => "QUARANTINED",
        RetryLater = 5 => "RETRY_LATER", Skipped = 6 => "SKIPPED",
    }
}

/// The outcome of one item. All but `RetryLater` consume its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Stored,
    Duplicate,
    Refused(Reason),
    Quarantined(Reason),
    /// Ends the batch and does not consume the number.
    RetryLater(Reason),
    /// The sender skipped the number; why stands in the item.
    Skipped(Reason),
}

impl Verdict {
    /// Its name, for people and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stored => "STORED",
            Self::Duplicate => "DUPLICATE",
            Self::Refused(_) => "REFUSED",
            Self::Quarantined(_) => "QUARANTINED",
            Self::RetryLater(_) => "RETRY_LATER",
            Self::Skipped(_) => "SKIPPED",
        }
    }
}

/// One item's line of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemOutcome {
    /// SHA-256 of the encoded `Signed`; `None` for a skip.
    pub envelope: Option<Digest>,
    pub verdict: Verdict,
}

/// One signed receipt per batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub federation: FederationId,
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub origin_incarnation: Incarnation,
    pub recipient_incarnation: Incarnation,
    pub class: StreamClass,
    /// Number of the first item.
    pub first: u64,
    pub outcomes: Vec<ItemOutcome>,
    /// Register change number by which the recipient judged.
    pub register_number: u64,
    pub time: UnixMs,
}

impl Verdict {
    /// Its number on the wire.
    pub const fn kind(self) -> OutcomeKind {
        match self {
            Self::Stored => OutcomeKind::Stored,
            Self::Duplicate => OutcomeKind::Duplicate,
            Self::Refused(_) => OutcomeKind::Refused,
            Self::Quarantined(_) => OutcomeKind::Quarantined,
            Self::RetryLater(_) => OutcomeKind::RetryLater,
            Self::Skipped(_) => OutcomeKind::Skipped,
        }
    }

    /// Why, unless it was taken.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Stored | Self::Duplicate => None,
            Self::Refused(r) | Self::Quarantined(r) | Self::RetryLater(r) | Self::Skipped(r) => Some(r),
        }
    }

    /// Whether the item's number is used up.
    pub const fn consumes(self) -> bool {
        !matches!(self, Self::RetryLater(_))
    }
}

impl Receipt {
    /// The number after the last one consumed.
    pub fn next(&self) -> u64 {
        self.first + self.outcomes.iter().filter(|o| o.verdict.consumes()).count() as u64
    }
}
