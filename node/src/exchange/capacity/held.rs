//! Who holds what: what was asked for here, with how much longer it lasts, and what partners hold of own offers.

use crate::domain::holds::{Hold, HoldState};
use crate::domain::ids::OfferId;
use crate::domain::reason::Reason;
use crate::domain::time::Millis;
use crate::exchange::context::Error;
use crate::storage::rows::AskedHoldRow;

use super::Capacity;

/// What was asked for at a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedHold {
    pub row: AskedHoldRow,
    /// What is left of it; `None`: the owner has to be asked, and does not answer.
    pub left: Option<Millis>,
}

/// What a partner holds of an own offer, or held until lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenHold {
    pub offer: OfferId,
    pub hold: Hold,
    /// By the owner's clock; 0 when it has ended.
    pub left: Millis,
}

impl Capacity {
    /// What was asked for here, oldest first. Of what this process has not asked for itself the owner is asked how much is left.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn asked_holds(&self) -> Result<Vec<AskedHold>, Error> {
        let rows = self.store().asked_holds().await?;
        let known = |row: &AskedHoldRow| self.leases().contains_key(&row.id);
        let asked = rows.iter().filter(|row| row.state == Some(HoldState::Held) && !known(row));
        let answers =
            futures_util::future::join_all(asked.map(|row| async move { (row.id, self.ask_again(row).await) })).await;
        let over = |row: &AskedHoldRow| {
            let fenced = |(id, answer): &(_, Result<_, Error>)| {
                *id == row.id && answer.as_ref().is_err_and(|error| error.reason() == Reason::HoldFenced)
            };
            answers.iter().any(fenced)
        };
        Ok(rows.into_iter().map(|row| self.shown(row, over)).collect())
    }

    fn shown(&self, row: AskedHoldRow, over: impl Fn(&AskedHoldRow) -> bool) -> AskedHold {
        if row.state != Some(HoldState::Held) {
            return AskedHold { left: row.state.map(|_| Millis(0)), row };
        }
        let lease = self.leases().get(&row.id).copied();
        let left = match lease {
            _ if over(&row) => Some(Millis(0)),
            Some(lease) => Some(lease.left(self.context.monotonic()).unwrap_or(Millis(0))),
            None => None,
        };
        // At zero it counts as gone here, whatever the owner's clock says.
        let state = if left == Some(Millis(0)) { Some(HoldState::Expired) } else { row.state };
        AskedHold { row: AskedHoldRow { state, ..row }, left }
    }

    /// One of them, as it was asked for just now.
    pub fn asked_just_now(&self, row: AskedHoldRow) -> AskedHold {
        self.shown(row, |_| false)
    }

    /// What partners hold of own offers, and what ended in the last 24 hours, by offer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn given_holds(&self) -> Result<Vec<GivenHold>, Error> {
        let mut given = Vec::new();
        for row in self.store().all_offer_slots().await? {
            let Ok(mut slots) = self.reload(&row) else { continue };
            let now = slots.pass_time(self.now());
            let shown = |hold: Hold| GivenHold { offer: row.offer, left: hold.lease(now).left, hold };
            given.extend(slots.holds.into_iter().map(shown));
        }
        Ok(given)
    }
}
