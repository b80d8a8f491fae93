//! Rows of offers, own and partners'.

use sqlx::sqlite::SqliteRow;

use super::db::Columns;
use crate::domain::agreement::Usage;
use crate::domain::ids::OfferId;
use crate::domain::policy::KeptRecord;
use crate::domain::record::RecordKind;
use crate::domain::time::UnixMs;
use crate::rows::{OwnOfferRow, PartnerOfferRow};

pub(crate) fn offer_id(row: &SqliteRow, column: usize) -> std::result::Result<OfferId, sqlx::Error> {
    row.value(column, OfferId::from_slice(&row.blob(column)?))
}

pub(super) fn own_offer(row: &SqliteRow) -> std::result::Result<OwnOfferRow, sqlx::Error> {
    let (version, unconfirmed) = (row.number(2)?, row.int(3)? != 0);
    let record = KeptRecord::own(RecordKind::OfferView, UnixMs::NEVER, row.bytes(1)?);
    Ok(OwnOfferRow { id: offer_id(row, 0)?, record, version, unconfirmed })
}

pub(super) fn partner_offer(row: &SqliteRow) -> std::result::Result<PartnerOfferRow, sqlx::Error> {
    let keep_until = row.time(5)?;
    Ok(PartnerOfferRow {
        origin: row.authority(0)?,
        id: offer_id(row, 1)?,
        version: row.number(2)?,
        age_at_sending_ms: Some(row.int(3)?).filter(|age| *age >= 0),
        received: row.time(4)?,
        // By retention or expiry, whichever is first: the table has no other date. The board is looked at: what a system may
        // take is in the inbox.
        record: KeptRecord::received(RecordKind::OfferView, UnixMs::NEVER, keep_until, Usage::View, row.bytes(6)?),
    })
}
