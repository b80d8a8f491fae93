//! Capacity: own offers with their raw figures, and what partners show of theirs (9.11).
//!
//! What lives here: own offers, stated and confirmed (`own`), the board of partners' offers with the light of each (`board`),
//! and what partners are told after a restore (`pause`). What does not: how a statement travels (`road`, which makes the
//! view of each partner at the level of its agreement), and what the arrival of one changes (`records/offer.rs`). Invariants:
//! a statement is one transaction, the new row and the publication from which each partner gets its view; raw figures
//! never leave this node.

mod board;
mod own;
mod pause;

use std::sync::Arc;

use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::time::UnixMs;
use crate::exchange::context::Context;
use crate::exchange::records::HeardOffers;
use crate::exchange::road::Road;
use crate::storage::Store;

pub use board::PartnerOffer;
pub use own::{HeldOffer, OffersStand, Which};

/// Capacity: own offers, and what partners show of theirs.
pub struct Capacity {
    context: Arc<Context>,
    road: Arc<Road>,
    /// When partners' statements came; the road notes it.
    heard: Arc<HeardOffers>,
}

impl Capacity {
    pub(super) fn new(context: Arc<Context>, road: Arc<Road>, heard: Arc<HeardOffers>) -> Self {
        Self { context, road, heard }
    }

    fn store(&self) -> &dyn Store {
        self.context.store()
    }

    fn view(&self) -> Arc<DirectoryView> {
        self.context.view()
    }

    fn now(&self) -> UnixMs {
        self.context.now()
    }

    /// The authority that this node serves first: whose offers are stated here, unless one names another.
    pub fn authority(&self) -> &AuthorityId {
        self.context.authority()
    }
}
