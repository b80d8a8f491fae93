//! The exchange of one node: parts with walls between them, over one store.
//!
//! | part | what it does | calls |
//! |---|---|---|
//! | `context` | what all stand on: store, register, keys, clock, wake-ups, the agreements in memory | nobody |
//! | `records` | what the arrival of each kind changes | `context` |
//! | `agreements` | agreements with partners (9.7) | `context` |
//! | `persons` | what persons let be shared (11) | `context` |
//! | `road` | publish → dispatch → deliver → receive → consume (9.2, 9.3) | `agreements`, `persons`, `records` |
//! | `capacity` | own offers, the board, pauses (9.11) | `road`, `records` |
//! | `practices` | the search in practices | `road` |
//! | `upkeep` | passes: what is owed, standing, sweeps, checkpoints, greetings | `capacity`, `road`, `persons`, `agreements` |
//!
//! What lives here: the handle that owns the parts; beside them joining (`join`), governing (`governance`), and `peer_client`,
//! the only file that touches transport and generated clients. What does not: loops and timers (`workers`), handlers
//! (`services`), SQL (`storage`), decisions (`domain`).
//!
//! Invariants: a part reaches another one through its methods, and only downwards in this table, so that locks are taken in one
//! order (decisions/022); what must lead upwards is a row of `owed`, or a wake-up. The one question is asked before a record
//! is queued, again before each attempt, and again by the receiver before it stores; publishing only records, every
//! other step is a pass that finds its work in the store, so the normal case and recovery are one path.
//!
//! Latency: at one record in flight no timer lies on the path, only wake-ups and three commits: publication with its
//! envelopes, inbox, settlement. Throughput: the dispatcher turns up to `limits::BATCH_ITEMS` publications into deliveries per
//! pass and signs them in parallel; a stream sends whatever was queued while its last batch was away.

mod agreements;
mod capacity;
mod context;
pub mod governance;
pub mod join;
pub mod peer_client;
mod persons;
mod practices;
mod records;
mod road;
#[cfg(test)]
mod tests;
mod upkeep;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::clock::SharedClock;
use crate::domain::agreement::set::AgreementSet;
use crate::domain::ids::{AuthorityId, Incarnation};
use crate::domain::stream::Understands;
use crate::storage::Store;
use crate::wakeup::Wakeups;
use context::{Context, KnownAgreements};
use records::HeardOffers;

pub use crate::storage::remains::LookedAt;
pub use crate::storage::rows::{DisclosureRow, DisclosureState};
pub use agreements::{AgreementSummary, Agreements, Knows, ListedAgreement, PartyAnswer};
pub use capacity::{
    AskedHold, BoardPart, Capacity, GivenHold, HeldOffer, HoldChange, OffersStand, PartnerOffer, Which,
};
pub use context::{Call, Error, Keys, LinkError, LinkState, Passed, PeerLink, Refusal, Register, SharedView};
pub use context::{Table, Unreadable, UnreadableRow};
pub use persons::{AskedToShare, HeldShare, Holder, HolderState, Persons};
pub use practices::{FoundPractice, PracticeCursor, PracticeQuery, PracticeSearch};
pub use road::ToRefer;
pub use road::{Allowed, Explanation, GivenUp};
pub use road::{ClockDifference, ConsumeRequest, NotNamed, QueueCount, Road, Said, Spent, Superseded, Whose, Wished};
pub use road::{Consumed, DeliveryFilter, DeliveryRow, DeliveryState, Folder, HeldAnswer, HeldRecord, Pass, Published};
pub use upkeep::{AuditFinding, PassReport, Upkeep};
pub use upkeep::{Extent, LedgerPage, Processed, Processing, Proof, ToProve};

pub use crate::storage::owed::{OwedCount, What};

/// What an exchange is built from.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub register: Arc<dyn Register>,
    /// The signing keys of the authorities of this node.
    pub keys: Keys,
    pub clock: SharedClock,
    pub wakeups: Wakeups,
    pub link: Arc<dyn PeerLink>,
    /// What this node takes, and can apply.
    pub understands: Understands,
}

/// The parts of a node's exchange; who needs one is given that one. Clones share them.
#[derive(Clone)]
pub struct Exchange {
    pub road: Arc<Road>,
    pub agreements: Arc<Agreements>,
    pub capacity: Arc<Capacity>,
    pub persons: Arc<Persons>,
    pub practices: Arc<PracticeSearch>,
    pub upkeep: Arc<Upkeep>,
    context: Arc<Context>,
}

impl Exchange {
    /// Reads what is held and is ready; nothing runs until workers call the passes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(parts: Parts) -> Result<Self, Error> {
        let Parts { store, register, keys, clock, wakeups, link, understands } = parts;
        let set: Arc<ArcSwap<AgreementSet>> = Arc::default();
        let agreements = KnownAgreements::of(&set);
        let context = Context::new(store, register, keys, (clock, wakeups), agreements, understands);
        let context = Arc::new(context);
        context.wakeups().advance_inbox(context.store().inbox_position().await?);
        let last_stored = context.store().audit_head().await?.time;
        context.note_stored(last_stored);
        context.answered().load(context.store().answered().await?, context.now());
        let heard = Arc::new(HeardOffers::new(last_stored, context.clocks()));
        let agreements = Arc::new(Agreements::open(context.clone(), set).await?);
        let persons = Arc::new(Persons::new(context.clone()));
        let controls = (agreements.clone(), persons.clone());
        let road = Arc::new(Road::new(context.clone(), controls, link, heard.clone()));
        let capacity = Arc::new(Capacity::new(context.clone(), road.clone(), heard));
        let practices = Arc::new(PracticeSearch::new(context.clone(), road.clone()));
        let upkeep = Arc::new(Upkeep::new(
            context.clone(),
            (agreements.clone(), persons.clone()),
            road.clone(),
            capacity.clone(),
        ));
        Ok(Self { road, agreements, capacity, persons, practices, upkeep, context })
    }

    /// The wake-ups that this exchange gives.
    pub fn wakeups(&self) -> &Wakeups {
        self.context.wakeups()
    }

    /// The authority that this node serves first.
    pub fn authority(&self) -> &AuthorityId {
        self.context.authority()
    }

    /// This node's incarnation (9.10).
    pub fn incarnation(&self) -> Incarnation {
        self.context.store().incarnation()
    }

    /// Unreadable rows met since the start, each once.
    pub fn unreadable_rows(&self) -> Vec<UnreadableRow> {
        self.context.unreadable_rows()
    }
}
