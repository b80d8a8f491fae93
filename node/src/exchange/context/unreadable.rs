//! Stored rows that do not have their form any more: damage, or what another version wrote.
//!
//! Such a row is shown as such where it would be listed, counted, and stops nothing else: neither the list that it
//! stands in, nor a search, a pass or the start. The store keeps the list of those that were met.

use crate::domain::reason::Reason;
use crate::domain::records::RecordKind;
use crate::storage::Store;
use crate::wire;

pub use crate::storage::unreadable::{Table, UnreadableRow};

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

/// Notes a row whose bytes could not be read, and says why.
pub(in crate::exchange) fn note(
    store: &dyn Store,
    table: Table,
    kind: Option<RecordKind>,
    id: impl ToString,
    error: wire::Error,
) -> Unreadable {
    let (reason, field) = (error.reason, error.field.clone());
    store.unreadable().note(UnreadableRow { table, kind, id: id.to_string(), reason, field });
    error.into()
}
