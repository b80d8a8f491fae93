//! Withdrawals: an origin's notice that a record is to be erased, and its recipient's signed answer.

use super::{ControlKind, RecordKind};
use crate::closed::closed_enum;
use crate::ids::RecordId;
use crate::time::UnixMs;

closed_enum! {
    /// Why; the person gives no reason, and none of hers is told.
    pub enum WithdrawalReason {
        /// She, or who decides for her, withdrew what she had agreed to.
        Withdrawn = 1 => "WITHDRAWN",
        /// Its origin withdraws it for a reason of its own.
        OriginDecided = 2 => "ORIGIN_DECIDED",
    }
}

closed_enum! {
    /// What became of it at its recipient.
    pub enum ErasureOutcome {
        /// Its keys, its rows and its log are gone there, and none of its other systems took it from the node.
        Done = 1 => "DONE",
        /// Something is left, named by the gap.
        Partial = 2 => "PARTIAL",
        /// A duty in law to keep it, which ends; it is used for nothing else.
        Refused = 3 => "REFUSED",
    }
}

/// From an origin to the one recipient of a record: erase it. It passes to suspended and removed members as well (9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithdrawalNotice {
    /// The sender's record.
    pub record_id: RecordId,
    pub reason: WithdrawalReason,
    /// Counted from 1 for each origin and recipient: what orders notices, for no clock does (9.10).
    pub counter: u64,
    /// The answer is overdue from then on.
    pub due_by: UnixMs,
}

/// The answer, signed with the envelope that carries it.
///
/// What it proves: that this authority said so, then. What it does not: what its people wrote down, printed, or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasureReceipt {
    /// The record of whom this is sent to.
    pub record_id: RecordId,
    pub counter: u64,
    pub outcome: ErasureOutcome,
    pub at: UnixMs,
}

impl ControlKind for WithdrawalNotice {
    const KIND: RecordKind = RecordKind::WithdrawalNotice;
}

impl ControlKind for ErasureReceipt {
    const KIND: RecordKind = RecordKind::ErasureReceipt;
}
