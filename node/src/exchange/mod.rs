//! The use cases of the one road: publish → dispatch → deliver → receive → consume (9.2, 9.3), and what makes the road
//! passable: agreements (9.7), incarnations (9.10). What only one kind of record needs stands in `records`, a file per kind.
//!
//! What lives here: each use case in a file of its own, reading as a table of contents; the passes that the workers
//! call; the line to partners (`link`, and `peer_client`, the only file that touches transport and generated clients).
//! What does not: loops and timers (`workers`), handlers (`services`), SQL (`storage`), decisions (`domain`).
//!
//! Invariants: the one question is asked before a record is queued, again before each attempt, and again by the
//! receiver before it stores; nothing is acknowledged before it is durable; a number of a stream is settled once, by a
//! receipt that the partner signed; publishing only records, every other step is a pass that finds its work in the
//! store, so the normal case and recovery are one path.
//!
//! Latency: at one record in flight no timer lies on the path, only wake-ups and three commits: publication with its
//! envelopes, inbox, settlement. Throughput: the dispatcher turns up to `limits::BATCH_ITEMS` publications into deliveries per
//! pass and signs them in parallel; a stream sends whatever was queued while its last batch was away.

mod agreements;
mod answer;
mod answered;
mod call;
mod consume;
mod deliver;
mod dispatch;
mod error;
pub mod governance;
mod greet;
mod held;
pub mod join;
mod keys;
mod later;
mod ledger;
mod link;
mod lists;
mod owed;
mod passes;
pub mod peer_client;
mod publish;
mod question;
mod receive;
mod records;
mod register;
mod standing;
#[cfg(test)]
mod tests;
mod unreadable;
mod upkeep;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use crate::clock::SharedClock;
use crate::domain::agreement::set::AgreementSet;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, PublicationId, RecordId};
use crate::domain::light::{Clocks, ReceiptClock};
use crate::domain::time::UnixMs;
use crate::storage::Store;
use crate::wakeup::Wakeups;

pub use agreements::AgreementSummary;
pub use call::Call;
pub use consume::{ConsumeRequest, Consumed};
pub use deliver::Pass;
pub use error::{Error, Refusal};
pub use held::{Folder, HeldAnswer, HeldRecord, Said};
pub use keys::Keys;
pub use later::Superseded;
pub use ledger::AuditFinding;
pub use link::{LinkError, LinkState, PeerLink};
pub use lists::{DeliveryFilter, DeliveryRow, DeliveryState, QueueCount};
pub use passes::{PassReport, Passed};
pub use publish::{Published, Wished};
pub use records::{FoundPractice, HeldOffer, PartnerOffer, PracticeCursor, PracticeQuery, Which};
pub use register::{Register, SharedView};
pub use unreadable::{Table, Unreadable, UnreadableRow};

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
}

/// The one road of a node. Clones share it.
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    register: Arc<dyn Register>,
    keys: Keys,
    clock: SharedClock,
    wakeups: Wakeups,
    link: Arc<dyn PeerLink>,
    links: link::Links,
    agreements: ArcSwap<AgreementSet>,
    greetings: greet::Greetings,
    incoming: receive::Incoming,
    outgoing: deliver::Outgoing,
    answered: answered::Answered,
    /// Stored rows that could not be read.
    unreadable: unreadable::Met,
    /// When partners' capacity statements came.
    heard: Mutex<ReceiptClock>,
    /// Authorities of this node that were suspended or removed when upkeep looked last.
    suspended_here: Mutex<BTreeSet<AuthorityId>>,
    /// One run of a pass at a time, and how each went.
    passes: passes::Passes,
    /// One dispatch pass at a time.
    dispatching: tokio::sync::Mutex<()>,
    /// One later word of this node at a time, from the look at what was said to its commit; whoever gives a record to somebody
    /// more holds it too.
    saying_later: tokio::sync::Mutex<()>,
    /// Held from the look at the agreements to the commit of what is published by them.
    publishing: tokio::sync::RwLock<()>,
    /// One change of agreements at a time.
    agreement_changes: Arc<tokio::sync::Mutex<()>>,
}

impl Exchange {
    /// Reads what is held and is ready; nothing runs until workers call the passes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(parts: Parts) -> Result<Self, Error> {
        let Parts { store, register, keys, clock, wakeups, link } = parts;
        let position = store.inbox_position().await?;
        let written = store.audit_head().await?.time;
        let heard = Mutex::new(ReceiptClock::new(written, clocks(&clock)));
        wakeups.advance_inbox(position);
        let exchange = Self(Arc::new(Inner {
            store,
            register,
            keys,
            clock,
            wakeups,
            link,
            links: link::Links::default(),
            agreements: ArcSwap::default(),
            greetings: greet::Greetings::default(),
            incoming: receive::Incoming::default(),
            outgoing: deliver::Outgoing::default(),
            answered: answered::Answered::default(),
            unreadable: unreadable::Met::default(),
            heard,
            suspended_here: Mutex::default(),
            passes: passes::Passes::default(),
            dispatching: tokio::sync::Mutex::default(),
            saying_later: tokio::sync::Mutex::default(),
            publishing: tokio::sync::RwLock::default(),
            agreement_changes: Arc::default(),
        }));
        exchange.reload_agreements().await?;
        Ok(exchange)
    }

    /// The wake-ups that this exchange gives.
    pub fn wakeups(&self) -> &Wakeups {
        &self.0.wakeups
    }

    /// The authority that this node serves first.
    pub fn authority(&self) -> &AuthorityId {
        self.0.keys.home()
    }

    /// This node's incarnation (9.10).
    pub fn incarnation(&self) -> crate::domain::ids::Incarnation {
        self.store().incarnation()
    }

    /// How the line to a partner stood at the last call; `None`: never called since the start.
    pub fn link_state(&self, partner: &AuthorityId) -> Option<LinkState> {
        self.0.links.state(partner)
    }

    /// Rises with every change of the register's view.
    pub fn register_changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.register.changes()
    }

    fn now(&self) -> UnixMs {
        self.0.clock.now()
    }

    fn view(&self) -> Arc<DirectoryView> {
        self.0.register.view()
    }

    fn store(&self) -> &dyn Store {
        self.0.store.as_ref()
    }
}

/// Both clocks, read now.
fn clocks(clock: &SharedClock) -> Clocks {
    let monotonic = clock.monotonic();
    Clocks { monotonic, wall: clock.now() }
}

/// A new record id: UUID version 7, so that rows of one time lie together.
fn new_record_id() -> RecordId {
    RecordId(uuid::Uuid::now_v7().into_bytes())
}

/// A new publication id: random, it tells recipients nothing.
fn new_publication_id() -> PublicationId {
    PublicationId(uuid::Uuid::new_v4().into_bytes())
}
