//! Stored rows that do not have their form any more: damage, or what another version wrote.
//!
//! Such a row is shown as such where it would be listed, counted, and stops nothing else: neither the list that it
//! stands in, nor a search, a pass or the start.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::domain::reason::Reason;
use crate::domain::records::RecordKind;
use crate::telemetry::metrics;
use crate::wire;

/// Why a row cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// `STORAGE_DAMAGED`, or how far reading came.
    pub reason: Reason,
    /// Path of the field at fault; never its content.
    pub field: String,
}

impl From<wire::Error> for Unreadable {
    fn from(error: wire::Error) -> Self {
        Self { reason: error.reason, field: error.field }
    }
}

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Publication,
    Inbox,
    OwnOffer,
    PartnerOffer,
    Agreement,
}

/// An unreadable row that was met.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreadableRow {
    pub table: Table,
    /// `None` where the table has one kind only.
    pub kind: Option<RecordKind>,
    /// Hexadecimal id of the record, offer or agreement.
    pub id: String,
}

/// Rows remembered by name; more are met and logged, and counted no further.
const REMEMBERED: usize = 10_000;

/// Those met since the start, each once.
#[derive(Default)]
pub(super) struct Met(Mutex<BTreeSet<UnreadableRow>>);

impl Met {
    pub(super) fn rows(&self) -> Vec<UnreadableRow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Notes a row that could not be read, and says why.
    pub(super) fn note(&self, row: UnreadableRow, error: wire::Error) -> Unreadable {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if met.len() < REMEMBERED && met.insert(row) {
            metrics::UNREADABLE_ROWS.add([], 1);
            tracing::error!(reason = %error.reason, field = %error.field, "a stored row cannot be read; the others are");
        }
        error.into()
    }
}
