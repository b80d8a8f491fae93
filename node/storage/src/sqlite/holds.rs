//! Rows of what is set aside: slots of own offers, and what was asked for at partners.

use sqlx::sqlite::SqliteRow;

use super::db::{Args, Columns};
use super::offers::offer_id;
use super::read::Read;
use super::{SqliteStore, statements};
use crate::Holds;
use crate::domain::holds::HoldState;
use crate::domain::ids::{HoldId, OfferId};
use crate::rows::{AskedHoldRow, SlotsRow};

impl Holds for SqliteStore {
    fn offer_slots(&self, offer: OfferId) -> Read<'_, Option<SlotsRow>> {
        self.find(&statements::OFFER_SLOTS_GET, Args::new().with(offer.0.as_slice()), slots)
    }

    fn all_offer_slots(&self) -> Read<'_, Vec<SlotsRow>> {
        self.list(&statements::OFFER_SLOTS_ALL, Args::new(), slots)
    }

    fn asked_hold(&self, id: HoldId) -> Read<'_, Option<AskedHoldRow>> {
        self.find(&statements::ASKED_HOLD_GET, Args::new().with(id.0.as_slice()), asked)
    }

    fn asked_holds(&self) -> Read<'_, Vec<AskedHoldRow>> {
        self.list(&statements::ASKED_HOLD_ALL, Args::new(), asked)
    }
}

fn slots(row: &SqliteRow) -> Result<SlotsRow, sqlx::Error> {
    Ok(SlotsRow { offer: offer_id(row, 0)?, version: row.number(1)?, body: row.bytes(2)? })
}

fn asked(row: &SqliteRow) -> Result<AskedHoldRow, sqlx::Error> {
    let state = match row.code(5)? {
        0 => None,
        code => Some(row.value(5, HoldState::from_code(code))?),
    };
    Ok(AskedHoldRow {
        id: row.value(0, HoldId::from_slice(&row.blob(0)?))?,
        ours: row.authority(1)?,
        owner: row.authority(2)?,
        offer: offer_id(row, 3)?,
        asked: row.time(4)?,
        state,
        token: row.number(6)?,
        extended: row.int(7)? != 0,
        keep_until: row.time(8)?,
    })
}

/// A row that is stored, in the place of one with the same key.
pub(super) fn put_slots(row: &SlotsRow) -> Args {
    Args::new().with(row.offer.0.as_slice()).with(row.version).with(&row.body)
}

/// Of a known one only what became of it changes.
pub(super) fn put_asked(row: &AskedHoldRow) -> Args {
    let args = Args::new().with(row.id.0.as_slice()).with(&row.ours).with(&row.owner).with(row.offer.0.as_slice());
    let args = args.with(row.asked).with(row.state.map_or(0, HoldState::code)).with(row.token);
    args.with(row.extended).with(row.keep_until)
}
