//! Agreements with their ends: rows that belong together, and what becomes of one of which a part does not read.

use bytes::Bytes;
use sqlx::sqlite::SqliteRow;

use super::db::{self, Columns};
use super::statements;
use crate::domain::ids::AgreementId;
use crate::domain::reason::Reason;
use crate::rows::{AgreementEndRow, AgreementRow};
use crate::unreadable::{Table, UnreadableRow, UnreadableRows};

/// One row per party that left, one without a party if none did; rows of one agreement stand together. An agreement of which
/// an end does not read comes without its bytes: nobody can say that it is still in force.
pub(super) fn agreements(unreadable: &UnreadableRows, rows: &[SqliteRow]) -> Result<Vec<AgreementRow>, sqlx::Error> {
    let mut agreements: Vec<AgreementRow> = Vec::new();
    for row in rows {
        let id = match row.value(0, AgreementId::from_slice(&row.blob(0)?)) {
            Err(error) if db::note(unreadable, &statements::AGREEMENT_ALL, row, &error) => continue,
            id => id?,
        };
        if agreements.last().is_none_or(|last| last.id != id) {
            let (complete, unconfirmed) = (row.int(2)? != 0, row.int(8)? != 0);
            agreements.push(AgreementRow { id, signed: row.bytes(1)?, complete, ends: Vec::new(), unconfirmed });
        }
        let nobody_left = row.text(3).is_ok_and(|party| party.is_empty());
        let Some(agreement) = agreements.last_mut().filter(|_| !nobody_left) else { continue };
        match agreement_end(row) {
            Ok(end) => agreement.ends.push(end),
            Err(error) => {
                let column = if row.authority(3).is_err() { "party" } else { "reason" };
                let (table, reason) = (Table::AgreementEnd, Reason::StorageDamaged);
                let (id, field) = (row.int(7)?.to_string(), column.to_owned());
                unreadable.note(UnreadableRow { table, kind: None, id, reason, field });
                tracing::debug!(%error, "an agreement without one of its ends");
                agreement.signed = Bytes::new();
            }
        }
    }
    Ok(agreements)
}

fn agreement_end(row: &SqliteRow) -> Result<AgreementEndRow, sqlx::Error> {
    Ok(AgreementEndRow { by: row.authority(3)?, at: row.time(4)?, reason: row.code(5)?, notice: row.bytes(6)? })
}

/// Names ends of which nobody can say any more which agreement they ended; the partner still can, and refuses.
pub(super) fn note_orphans(unreadable: &UnreadableRows, rows: &[SqliteRow]) -> Result<(), sqlx::Error> {
    for row in rows {
        let (table, reason) = (Table::AgreementEnd, Reason::StorageDamaged);
        let (id, field) = (row.int(0)?.to_string(), "agreement".to_owned());
        unreadable.note(UnreadableRow { table, kind: None, id, reason, field });
    }
    Ok(())
}
