//! Capacity: own offers with their raw figures, and what partners show of theirs (9.11).
//!
//! What lives here: own offers, stated and confirmed (`own`), the board of partners' offers with the light of each (`board`),
//! units that are set aside: given to partners (`giving`), asked for at them (`asking`), listed (`held`); and what partners are
//! told after a restore (`pause`). What does not: how a statement travels (`road`, which makes the
//! view of each partner at the level of its agreement), what the arrival of one changes (`records/offer.rs`), and how slots are
//! given (`domain/holds`). Invariants:
//! a statement is one transaction, the new row and the publication from which each partner gets its view; raw figures
//! never leave this node; a unit is given in one transaction, with the statement that does not count it any more.

mod asking;
mod board;
mod giving;
mod held;
mod own;
mod pause;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::agreement::Usage;
use crate::domain::directory::DirectoryView;
use crate::domain::handling::Purpose;
use crate::domain::holds::HeldLease;
use crate::domain::ids::{AuthorityId, HoldId};
use crate::domain::policy::{self, Permit, ShareQuestion, Shared, Side};
use crate::domain::reason::Reason;
use crate::domain::records::Content;
use crate::domain::time::UnixMs;
use crate::exchange::context::Context;
use crate::exchange::records::HeardOffers;
use crate::exchange::road::Road;
use crate::storage::Store;

pub use asking::HoldChange;
pub use board::PartnerOffer;
pub use held::{AskedHold, GivenHold};
pub use own::{HeldOffer, OffersStand, Which};

/// Capacity: own offers, and what partners show of theirs.
pub struct Capacity {
    context: Arc<Context>,
    road: Arc<Road>,
    /// When partners' statements came; the road notes it.
    heard: Arc<HeardOffers>,
    /// One act upon holds of own offers at a time, from the look at the slots to its commit.
    giving: tokio::sync::Mutex<()>,
    /// How long what was asked for since the start lasts, by a clock that nobody sets.
    leases: Mutex<BTreeMap<HoldId, HeldLease>>,
    /// Holds that a call asks for just now.
    asking: Mutex<BTreeSet<HoldId>>,
}

impl Capacity {
    pub(super) fn new(context: Arc<Context>, road: Arc<Road>, heard: Arc<HeardOffers>) -> Self {
        Self { context, road, heard, giving: Default::default(), leases: Mutex::default(), asking: Mutex::default() }
    }

    fn leases(&self) -> MutexGuard<'_, BTreeMap<HoldId, HeldLease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
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

/// May units of this offer be held? Asked at both ends, by the agreements that each of them has: whom an owner shows its offer, it
/// may give a unit of it.
fn may_hold(
    context: &Context,
    (owner, holder): (&AuthorityId, &AuthorityId),
    offer: &Content,
) -> Result<Permit, Reason> {
    let (view, now) = (context.view(), context.now());
    policy::may_share(&ShareQuestion {
        from: owner,
        to: holder,
        facet: offer.facet(),
        target: None,
        purpose: Purpose::Assistance,
        usage: Usage::View,
        handling: own::sharing().handling,
        shared: Shared::Nothing,
        created: now,
        side: Side::Sender,
        grant: None,
        agreements: &context.agreements().load(),
        view: &view,
        now,
    })
}
