//! Stored rows that do not have their form any more: damage, or what another version wrote.
//!
//! What lives here: the tables, and the list of those rows that were met since the start. What does not: what a list shows in
//! the place of one. Invariant: such a row is named, by its key and never by its content, counted once, and stops nothing else.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::ids::Digest;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;
use crate::telemetry::metrics;

macro_rules! tables {
    ($($name:ident $table:literal [$($key:literal),+];)+) => {
        /// Where a row stands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Table {
            $($name),+
        }

        impl Table {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// As it is called in the schema; of `keys.db` with its file.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $table),+
                }
            }

            /// The columns that name a row.
            pub const fn key(self) -> &'static [&'static str] {
                match self {
                    $(Self::$name => &[$($key),+]),+
                }
            }
        }
    };
}

tables! {
    Agreement "agreement" ["id"];
    AgreementEnd "agreement_end" ["arrival"];
    AgreementToShare "agreement_to_share" ["arrival"];
    AskedHold "asked_hold" ["id"];
    AuditCheckpoint "audit_checkpoint" ["size"];
    AuditLeaf "audit_leaf" ["place"];
    Delivery "delivery" ["sequence"];
    Disclosure "disclosure" ["authority", "record_id"];
    HiddenInbox "hidden_inbox" ["arrival"];
    InStream "in_stream" ["origin", "recipient", "class"];
    Inbox "inbox" ["position"];
    Invitation "invitation" ["id"];
    InvitationRequest "invitation_request" ["request"];
    KeySalt "keys.db salt" ["slot"];
    Meta "meta" ["name"];
    OfferSlots "offer_slots" ["offer"];
    OutStream "out_stream" ["id"];
    Outbox "outbox" ["sequence"];
    Owed "owed" ["what", "recipient", "subject"];
    OwnOffer "own_offer" ["id"];
    PartnerIncarnation "partner_incarnation" ["ours", "theirs"];
    PartnerOffer "partner_offer" ["origin", "id"];
    Publication "publication" ["sequence"];
    Reader "reader" ["consumer"];
    Receipt "receipt" ["id"];
    Request "request" ["scope", "request_id"];
    Salt "salt" ["record_id"];
    Taken "taken" ["origin", "record_id"];
    Undispatched "undispatched" ["sequence"];
    Withdrawal "withdrawal" ["origin", "record_id"];
    WithdrawalsAnswered "withdrawals_answered" ["ours", "partner"];
}

impl Table {
    /// The table that statements of this folder read.
    pub(crate) fn of_folder(folder: &str) -> Option<Self> {
        let name = match folder {
            "key_salt" => "keys.db salt",
            // What it gives are publications.
            "undispatched" => "publication",
            other => other,
        };
        Self::ALL.iter().copied().find(|table| table.name() == name)
    }
}

/// An unreadable row that was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRow {
    pub table: Table,
    /// `None` where the table has one kind only, or where it is the kind that does not read.
    pub kind: Option<RecordKind>,
    /// The id of what stands in it, hexadecimal, or the row's key in its table.
    pub id: String,
    /// `STORAGE_DAMAGED`, or how far reading came.
    pub reason: Reason,
    /// The column, or the path of the field in it, at fault; never its content.
    pub field: String,
}

/// Rows remembered by name; more are met and logged, and counted no further.
const REMEMBERED: usize = 10_000;
/// Longest part of a key that is shown as it stands.
const SHOWN: usize = 160;

/// Those met since the start, each once.
#[derive(Debug, Default)]
pub struct UnreadableRows(Mutex<BTreeMap<(Table, String), UnreadableRow>>);

impl UnreadableRows {
    /// Notes a row that could not be read, unless it was met before.
    pub fn note(&self, row: UnreadableRow) {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (row.table, row.id.clone());
        if met.len() >= REMEMBERED || met.contains_key(&key) {
            return;
        }
        metrics::UNREADABLE_ROWS.add([], 1);
        let (table, reason) = (row.table.name(), row.reason.code());
        tracing::error!(table, reason, field = %row.field, "a stored row cannot be read; the others are");
        met.insert(key, row);
    }

    /// All of them, by table.
    pub fn all(&self) -> Vec<UnreadableRow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// A text of a key as it may be shown: ids of ours have this form; of any other one its digest stands for it, for it can be
/// what a caller wrote.
pub(crate) fn shown(table: Table, text: &str) -> String {
    let ours = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'/');
    let plain = table != Table::Request && text.len() <= SHOWN && text.bytes().all(ours);
    if plain { text.to_owned() } else { format!("sha256:{}", &Digest::of(text.as_bytes()).to_hex()[..16]) }
}

/// Bytes of a key.
pub(crate) fn shown_bytes(bytes: &[u8]) -> String {
    bytes.iter().take(SHOWN / 2).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_counted_once_and_what_a_caller_wrote_is_not_shown() {
        let rows = UnreadableRows::default();
        let row = |id: &str, reason| UnreadableRow {
            table: Table::Inbox,
            kind: None,
            id: id.to_owned(),
            reason,
            field: "body".to_owned(),
        };
        rows.note(row("1", Reason::DecodeFailed));
        rows.note(row("1", Reason::StorageDamaged));
        rows.note(row("2", Reason::StorageDamaged));
        assert_eq!(rows.all(), [row("1", Reason::DecodeFailed), row("2", Reason::StorageDamaged)]);
        assert_eq!(shown(Table::Owed, "de-kehl/00ff"), "de-kehl/00ff");
        for (table, text) in [(Table::Request, "anna"), (Table::Owed, "Anna Muster"), (Table::Owed, "a@b.example")] {
            let shown = shown(table, text);
            assert!(shown.starts_with("sha256:") && shown.len() == 23, "{shown}");
        }
    }
}
