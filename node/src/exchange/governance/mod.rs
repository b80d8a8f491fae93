//! Governing the register together: what this authority signs, what waits for whom.
//!
//! What lives here: from "suspend Kehl" to a signed statement and what came of it; the decisions that are open. What
//! does not: rules (`directory::rules` judges every statement, on every node), the six words (`exchange::join`).
//! Invariant: asking twice signs once. An equal decision that is open already is approved instead of asked for again,
//! and one that this authority approved already is only looked up.

mod acts;
mod admissions;
mod emergency;
mod recovery;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::clock::SharedClock;
use crate::directory::half_signed::HalfSigned;
use crate::directory::state::{Proposal, RegisterState};
use crate::directory::statements::Author;
use crate::directory::{self, Directory, Proposed};
use crate::domain::audit::{Actor, AuditAct, AuditDraft};
use crate::domain::directory::{DirectoryView, Member, Policy, Steward};
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::domain::time::UnixMs;
use crate::storage::Store;
use crate::storage::ops::WriteOp;
use crate::wire::keys::SigningKey;
use crate::wire::statement::Act;

pub use acts::{Governed, Wish};

/// What governing needs of the register: the directory is one, a test another.
pub trait Council: Send + Sync + 'static {
    /// The verified state.
    fn state(&self) -> RegisterState;
    /// The newest verified view.
    fn view(&self) -> Arc<DirectoryView>;
    /// Rises with every change.
    fn changes(&self) -> watch::Receiver<u64>;
    /// Orders a statement; answers with what `apply` said.
    fn propose(&self, signed: Bytes) -> BoxFuture<'_, Result<Proposed, directory::Error>>;
    /// Takes an emergency suspension into the overlay, at once and without a quorum; false: it was there.
    fn suspend_now(&self, signed: Bytes) -> BoxFuture<'_, Result<bool, directory::Error>>;
    /// Keeps a suspension of a steward until a second steward signs it, and tells the other stewards; false: it was there.
    ///
    /// # Errors
    /// Why it does not count.
    fn ask_second(&self, signed: &Bytes) -> Result<bool, directory::Error>;
    /// Suspensions of stewards that wait for a second signature.
    fn half_signed(&self) -> Vec<Arc<HalfSigned>>;
    /// Emergency suspensions of this authority that the overlay holds, or that wait for a second signature.
    fn emergencies(&self, of: &AuthorityId) -> Vec<StatementId>;
    /// Emergency suspensions that the overlay holds and nodes may still take, encoded `Signed`.
    fn overlay(&self) -> Vec<(StatementId, Bytes)>;
}

/// The directory, asked by this authority.
impl Council for Directory {
    fn state(&self) -> RegisterState {
        self.state()
    }

    fn view(&self) -> Arc<DirectoryView> {
        self.view()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes()
    }

    fn propose(&self, signed: Bytes) -> BoxFuture<'_, Result<Proposed, directory::Error>> {
        Box::pin(self.propose(signed))
    }

    fn suspend_now(&self, signed: Bytes) -> BoxFuture<'_, Result<bool, directory::Error>> {
        Box::pin(self.overlay_add(signed))
    }

    fn ask_second(&self, signed: &Bytes) -> Result<bool, directory::Error> {
        self.ask_second(signed)
    }

    fn half_signed(&self) -> Vec<Arc<HalfSigned>> {
        self.half_signed()
    }

    fn emergencies(&self, of: &AuthorityId) -> Vec<StatementId> {
        self.emergencies(of)
    }

    fn overlay(&self) -> Vec<(StatementId, Bytes)> {
        self.overlay()
    }
}

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

/// A decision that is open.
#[derive(Clone, Debug)]
pub struct Pending {
    pub proposal: StatementId,
    /// The act's name.
    pub act: &'static str,
    /// What is asked for: nobody approves what it has not seen.
    pub asked: Arc<Act>,
    /// What that would replace.
    pub present: Present,
    /// What it is about: an authority, "#stewards" or "#policy"; of a change of the stewards whom it adds or takes.
    pub subject: String,
    pub proposer: AuthorityId,
    pub approved_by: Vec<AuthorityId>,
    pub needed: usize,
    pub expires: UnixMs,
    /// This authority is a steward that has not voted.
    pub waits_for_us: bool,
}

/// What stands now where a decision would put something else.
#[derive(Clone, Debug)]
pub enum Present {
    Nothing,
    Member(Arc<Member>),
    Policy(Policy),
    Stewards(Arc<Vec<Steward>>),
}

/// Governing, as one authority. Clones share it.
#[derive(Clone)]
pub struct Governance(Arc<Inner>);

struct Inner {
    authority: AuthorityId,
    key: Box<dyn Fn() -> Arc<SigningKey> + Send + Sync>,
    council: Arc<dyn Council>,
    store: Arc<dyn Store>,
    clock: SharedClock,
}

impl Governance {
    /// `key` gives the authority's current signing key.
    pub fn new(
        authority: AuthorityId,
        key: impl Fn() -> Arc<SigningKey> + Send + Sync + 'static,
        council: Arc<dyn Council>,
        store: Arc<dyn Store>,
        clock: SharedClock,
    ) -> Self {
        Self(Arc::new(Inner { authority, key: Box::new(key), council, store, clock }))
    }

    /// The register as it stands.
    pub fn state(&self) -> RegisterState {
        self.0.council.state()
    }

    /// Decisions that are open: emergencies that wait for a second signature, then the register's, oldest first.
    pub fn pending(&self) -> Vec<Pending> {
        let (state, now) = (self.state(), self.0.clock.now());
        let mut open: Vec<_> = state.proposals().filter(|p| p.is_open(now) && acts::still_fits(&state, p)).collect();
        open.sort_by_key(|p| (p.opened_at, p.id));
        let open = open.into_iter().map(|p| self.describe(&state, p));
        self.waiting_emergencies(&state).chain(open).collect()
    }

    fn describe(&self, state: &RegisterState, proposal: &Proposal) -> Pending {
        let ours = &self.0.authority;
        let voted = proposal.approvals(state).chain(proposal.rejections(state)).any(|s| s == ours);
        Pending {
            proposal: proposal.id,
            act: proposal.act.name(),
            asked: proposal.act.clone(),
            present: acts::present(state, proposal),
            subject: acts::subject_of(state, proposal),
            proposer: proposal.author.clone(),
            approved_by: proposal.approvals(state).cloned().collect(),
            needed: proposal.needed(state),
            expires: proposal.expires_at,
            waits_for_us: state.is_steward(ours) && !voted,
        }
    }

    /// Signs with the authority's key; the statement names the state's versions.
    fn sign<T>(&self, build: impl FnOnce(&Author<'_>) -> T) -> Result<T, Error> {
        let mut nonce = [0; 16];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Error::Refused(Reason::Internal))?;
        let key = (self.0.key)();
        Ok(build(&Author { authority: &self.0.authority, key: &key, now: self.0.clock.now(), nonce }))
    }

    /// Orders what `build` signs, and builds it again when another change came first.
    async fn order(&self, build: impl Fn(&Author<'_>, &RegisterState) -> Option<Bytes>) -> Result<Proposed, Error> {
        let mut tries = 0;
        loop {
            let state = self.state();
            let signed = self.sign(|author| build(author, &state))?.ok_or(Reason::ProposalUnknown)?;
            let applied = self.0.council.propose(signed).await?;
            tries += 1;
            match applied.outcome.reason() {
                None => {
                    self.seen(&applied).await;
                    return Ok(applied);
                }
                Some(Reason::StaleVersion) if tries < 3 => self.seen(&applied).await,
                Some(reason) => return Err(reason.into()),
            }
        }
    }

    /// Waits, for a moment, until this node's own state has the change.
    async fn seen(&self, applied: &Proposed) {
        let number = applied.number;
        let mut changes = self.0.council.changes();
        let reached = async {
            while self.state().number() < number {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // Late is not wrong: the answer then shows the state before.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(3), reached).await;
    }

    async fn note(&self, act: AuditAct, actor: Actor, about: Option<&AuthorityId>) -> Result<(), Error> {
        let draft = AuditDraft { actor, counterparty: about.cloned(), ..AuditDraft::by_node(act) };
        self.0.store.write(WriteOp::Audit(vec![draft])).await?;
        Ok(())
    }

    /// What came of an applied statement about a proposal.
    fn governed(&self, applied: &Proposed, proposal: StatementId) -> Governed {
        let state = self.state();
        let found = state.proposal(&proposal);
        Governed {
            statement: proposal,
            outcome: applied.outcome,
            number: applied.number,
            approved_by: found.map(|p| p.approvals(&state).cloned().collect()).unwrap_or_default(),
            needed: found.map_or(0, |p| p.needed(&state)),
            overlay: false,
        }
    }

    /// How an open proposal stands that this authority approved before.
    fn looked_up(&self, state: &RegisterState, proposal: &Proposal) -> Governed {
        Governed {
            statement: proposal.id,
            outcome: Outcome::Pending,
            number: state.accepted(&proposal.id).map_or(0, |(number, _)| number),
            approved_by: proposal.approvals(state).cloned().collect(),
            needed: proposal.needed(state),
            overlay: false,
        }
    }
}
