//! The one road of a record: publish → dispatch → deliver → receive → consume (9.2, 9.3), and incarnations (9.10), without
//! which no batch goes.
//!
//! What lives here: each use case of the road in a file of its own, reading as a table of contents; what is held of records
//! (`held`, `later`), who may have one and why (`explain`), and how the line to each partner stands. What does not: what only
//! one kind does when it arrives (`records`), how agreements change (`agreements`, which the road hands partners' control records to), passes over what is
//! owed (`upkeep`, which calls the road), and everything about one kind that has a part of its own (`capacity`, `practices`).
//!
//! Invariants: the one question is asked before a record is queued, again before each attempt, and again by the
//! receiver before it stores; nothing is acknowledged before it is durable; a number of a stream is settled once, by a
//! receipt that the partner signed.

mod again;
mod answer;
mod answered;
mod clocks;
mod consume;
mod deferred;
mod deliver;
mod dispatch;
mod ends;
mod explain;
mod greet;
mod held;
mod holds;
mod incarnation;
mod later;
mod lists;
mod publish;
mod question;
mod receive;
mod refer;
mod rules;
mod waits;
mod withdrawals;

use std::sync::Arc;

use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::records::RecordKind;
use crate::domain::time::UnixMs;
use crate::exchange::agreements::Agreements;
use crate::exchange::context::{Context, LinkState, Links, PeerLink, Table, Unreadable};
use crate::exchange::persons::Persons;
use crate::exchange::records::HeardOffers;
use crate::storage::Store;

pub use clocks::{ClockDifference, Whose};
pub use consume::{ConsumeRequest, Consumed};
pub use deferred::NotNamed;
pub use deliver::Pass;
pub use explain::{Allowed, Explanation};
pub use held::{Folder, HeldAnswer, HeldRecord, Said};
pub use later::Superseded;
pub use lists::{DeliveryFilter, DeliveryRow, DeliveryState, GivenUp, QueueCount};
pub(in crate::exchange) use publish::{Draft, new_publication, published_draft};
pub use publish::{Published, Wished};
pub use receive::Spent;
pub use refer::ToRefer;

/// The one road of a node.
pub struct Road {
    context: Arc<Context>,
    /// What partners' control records change.
    agreements: Arc<Agreements>,
    /// What persons let be shared, and what partners say of its withdrawal.
    persons: Arc<Persons>,
    link: Arc<dyn PeerLink>,
    links: Links,
    greetings: greet::Greetings,
    turns: again::Turns,
    incoming: receive::Incoming,
    work: receive::Work,
    outgoing: deliver::Outgoing,
    answered: answered::Answered,
    /// When partners' capacity statements came.
    heard: Arc<HeardOffers>,
    pulse: waits::Pulse,
    /// One dispatch pass at a time.
    dispatching: tokio::sync::Mutex<()>,
    /// One later word of this node at a time, from the look at what was said to its commit; whoever gives a record to somebody
    /// more holds it too.
    saying_later: tokio::sync::Mutex<()>,
    /// Held from the look at the agreements to the commit of what is published by them.
    publishing: tokio::sync::RwLock<()>,
}

impl Road {
    pub(super) fn new(
        context: Arc<Context>,
        (agreements, persons): (Arc<Agreements>, Arc<Persons>),
        link: Arc<dyn PeerLink>,
        heard: Arc<HeardOffers>,
    ) -> Self {
        Self {
            context,
            agreements,
            persons,
            link,
            links: Links::default(),
            greetings: greet::Greetings::default(),
            turns: again::Turns::default(),
            incoming: receive::Incoming::default(),
            work: receive::Work::default(),
            outgoing: deliver::Outgoing::default(),
            answered: answered::Answered::default(),
            heard,
            pulse: waits::Pulse::default(),
            dispatching: tokio::sync::Mutex::default(),
            saying_later: tokio::sync::Mutex::default(),
            publishing: tokio::sync::RwLock::default(),
        }
    }

    /// Whether a partner answered within the last 90 seconds, and no call failed since.
    pub fn is_connected(&self, partner: &AuthorityId) -> bool {
        self.links.state(partner).is_some_and(|state| state.is_connected(self.context.monotonic()))
    }

    /// How the line to a partner stood at the last call; `None`: never called since the start.
    pub fn link_state(&self, partner: &AuthorityId) -> Option<LinkState> {
        self.links.state(partner)
    }

    /// This process runs: called a few times a second, so that it is known afterwards when it did not.
    pub fn note_running(&self) {
        self.pulse.note(self.context.monotonic());
    }

    /// As a dispatch pass that does not end.
    #[cfg(test)]
    pub(in crate::exchange) async fn dispatching(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.dispatching.lock().await
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

    fn unreadable(
        &self,
        table: Table,
        kind: Option<RecordKind>,
        id: impl ToString,
        error: crate::wire::Error,
    ) -> Unreadable {
        self.context.unreadable(table, kind, id, error)
    }
}
