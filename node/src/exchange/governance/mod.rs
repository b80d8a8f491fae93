//! Governing the register together: what this authority signs, what waits for whom.
//!
//! What lives here: from a decision that an operator asks for to a signed statement and what came of it (`decisions`), the
//! decisions that are open (`pending`), emergencies. What does not: what an act means and how it is signed
//! (`directory::acts`), the six words (`exchange::join`).
//! Invariant: asking twice signs once. An equal decision that is open already is approved instead of asked for again,
//! and one that this authority approved already is only looked up.

mod admissions;
mod decisions;
mod emergency;
mod mandates;
mod pending;
mod recovery;
mod refounding;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::clock::SharedClock;
use crate::directory::{self, Directory};
use crate::domain::audit::Actor;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::Decided;
use crate::storage::Store;
use crate::wire::keys::SigningKey;

pub use decisions::{Decisions, RegisterPort, Retiming};
pub use pending::Pending;

/// Why a decision was not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule forbids it.
    #[error("{0}")]
    Refused(Reason),
    /// The register did not take it.
    #[error("the register did not take it")]
    Directory(#[from] directory::Error),
    /// A field does not have the required form.
    #[error("not what it should be")]
    Wire(#[from] crate::wire::Error),
    /// The ledger was not written.
    #[error("the store did not take it")]
    Store(#[from] crate::storage::Error),
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl Error {
    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Refused(reason) => *reason,
            Self::Directory(error) => error.reason(),
            Self::Wire(error) => error.reason(),
            Self::Store(error) => error.reason(),
        }
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        self.reason().retryable()
    }
}

/// Governing, as one authority: decisions through the register, and emergencies, which act before it. Clones share it.
#[derive(Clone)]
pub struct Governance {
    pub decisions: Decisions,
    /// Where emergencies act and wait for a second signature.
    directory: Directory,
    /// Held from the moment that an emergency's line in the ledger is owed until it is written.
    entering: Arc<tokio::sync::Mutex<()>>,
}

impl Governance {
    /// `key` gives the authority's current signing key.
    pub fn new(
        authority: AuthorityId,
        key: impl Fn() -> Arc<SigningKey> + Send + Sync + 'static,
        directory: Directory,
        store: Arc<dyn Store>,
        clock: SharedClock,
    ) -> Self {
        let register = Arc::new(directory.clone());
        Self::over(Decisions::new(authority, key, register, store, clock), directory)
    }

    /// The same, where something else than the directory orders.
    pub fn over(decisions: Decisions, directory: Directory) -> Self {
        Self { decisions, directory, entering: Arc::default() }
    }

    /// The newest verified view.
    pub fn view(&self) -> Arc<DirectoryView> {
        self.directory.view()
    }

    /// Emergency suspensions of an authority that a restore has to lift.
    pub fn emergencies(&self, of: &AuthorityId) -> Vec<StatementId> {
        self.directory.emergencies(of)
    }

    /// A new authority key. An old one that somebody else may have is withdrawn first: that is told to everyone and acts whether or
    /// not anything can be decided.
    ///
    /// # Errors
    /// What the rules answer.
    pub async fn rotate_key(&self, new_key: &SigningKey, compromised: bool, actor: Actor) -> Result<Decided, Error> {
        if compromised {
            let state = self.directory.state();
            let withdrawal = self.decisions.sign(|author| author.key_rotation(&state, new_key, true))?;
            self.directory.overlay_add(withdrawal).await?;
        }
        self.decisions.rotate_key(new_key, compromised, actor).await
    }

    /// Decisions that are open: emergencies that wait for a second signature, then the register's, oldest first.
    pub fn pending(&self) -> Vec<Pending> {
        let mut open = self.waiting_emergencies();
        open.extend(self.decisions.pending());
        open
    }

    /// Approves an open proposal of any act, or signs an emergency suspension of a steward as the second one.
    ///
    /// # Errors
    /// `PROPOSAL_UNKNOWN`, and what the rules answer.
    pub async fn approve(&self, proposal: &StatementId, actor: Actor) -> Result<Decided, Error> {
        let orders = self.directory.awaiting_countersignature();
        match orders.into_iter().find(|order| order.id == *proposal) {
            Some(order) => self.sign_second(&order, actor).await,
            None => self.decisions.approve(proposal, actor).await,
        }
    }
}
