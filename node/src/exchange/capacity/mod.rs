//! Capacity: own offers with their raw figures, and what partners show of theirs (9.11).
//!
//! What lives here: own offers, stated and confirmed (`own`), partners' offers as they told them last, with the light of each
//! (`board`), what partners that ask are shown (`showing`), a search over all of it, each partner asked (`finding`),
//! units that are set aside: given to partners (`giving`), asked for at them (`asking`), listed (`held`); and what partners are
//! told after a restore (`pause`). What does not: how a statement travels (`road`, which makes the
//! view of each partner at the level of its agreement), what the arrival of one changes (`records/offer.rs`), and how slots are
//! given (`domain/holds`). Invariants:
//! a statement is one transaction, the new row and the publication from which each partner gets its view; raw figures
//! never leave this node; a unit is given in one transaction, with the statement that does not count it any more.

mod asking;
mod board;
mod finding;
mod giving;
mod held;
mod own;
mod pause;
mod showing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::agreement::Usage;
use crate::domain::directory::DirectoryView;
use crate::domain::envelope::GrantRef;
use crate::domain::handling::Purpose;
use crate::domain::holds::HeldLease;
use crate::domain::ids::{AuthorityId, HoldId, OfferId};
use crate::domain::policy::{self, Permit, ShareQuestion, Shared, Side};
use crate::domain::reason::Reason;
use crate::domain::records::Facet;
use crate::domain::records::offer::{OfferFacet, OfferView};
use crate::domain::time::UnixMs;
use crate::exchange::context::Context;
use crate::exchange::records::HeardOffers;
use crate::exchange::road::Road;
use crate::storage::Store;

pub use asking::HoldChange;
pub use board::PartnerOffer;
pub use finding::BoardPart;
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
    /// What partners that asked were shown last, so that the ledger has what is new once.
    shown: Mutex<showing::ShownLast>,
    /// Offers that were found at partners which only answer: whose they are, and what they are. Not kept.
    found: Mutex<BTreeMap<(OfferId, AuthorityId), FoundAt>>,
}

/// An offer that a search found and no record tells of.
#[derive(Clone, Copy, Debug)]
struct FoundAt {
    facet: OfferFacet,
    protected: bool,
}

impl FoundAt {
    fn of(view: &OfferView) -> Self {
        let level = Some(view.capacity.disclosure_level());
        Self { facet: OfferFacet { service: view.service_kind, level }, protected: view.protected }
    }
}

impl Capacity {
    pub(super) fn new(context: Arc<Context>, road: Arc<Road>, heard: Arc<HeardOffers>) -> Self {
        Self {
            context,
            road,
            heard,
            giving: Default::default(),
            leases: Mutex::default(),
            asking: Mutex::default(),
            shown: Mutex::default(),
            found: Mutex::default(),
        }
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

/// May this offer be shown when it is asked for, and may units of it be held? Asked at both ends, by the agreements that each of
/// them has: whom an owner shows its offer, it may give a unit of it. `named`: the grant that an owner's answer names.
fn may_see(
    context: &Context,
    (owner, asker): (&AuthorityId, &AuthorityId),
    offer: OfferFacet,
    named: Option<GrantRef>,
) -> Result<Permit, Reason> {
    let (view, now) = (context.view(), context.now());
    policy::may_share(&ShareQuestion {
        from: owner,
        to: asker,
        facet: Facet::OfferView(offer),
        target: None,
        purpose: Purpose::Assistance,
        usage: Usage::Query,
        handling: own::sharing().handling,
        shared: Shared::Nothing,
        created: now,
        side: if named.is_some() { Side::Receiver } else { Side::Sender },
        grant: named,
        agreements: &context.agreements().load(),
        view: &view,
        now,
    })
}
