//! Units that are set aside (9.11): those of own offers, and those that were asked for at partners.

use futures_util::future::BoxFuture;

use crate::Result;
use crate::domain::ids::{HoldId, OfferId};
use crate::rows::{AskedHoldRow, SlotsRow};

/// The part of a store that knows who holds what. Each method is one whole transaction.
pub trait Holds: Send + Sync {
    /// The slots of an own offer; `None`: nobody has held anything of it yet. One that does not read is refused: who holds what
    /// is not known then, and nothing can be given.
    fn offer_slots(&self, offer: OfferId) -> BoxFuture<'_, Result<Option<SlotsRow>>>;
    /// The slots of all own offers of which something was held, by their ids.
    fn all_offer_slots(&self) -> BoxFuture<'_, Result<Vec<SlotsRow>>>;
    /// What was asked for here under this name.
    fn asked_hold(&self, id: HoldId) -> BoxFuture<'_, Result<Option<AskedHoldRow>>>;
    /// What was asked for here, oldest first.
    fn asked_holds(&self) -> BoxFuture<'_, Result<Vec<AskedHoldRow>>>;
}
