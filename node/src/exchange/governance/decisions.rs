//! Decisions through the register: proposed, approved, or made alone where that is enough.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::Error;
use super::pending::fits;
use crate::clock::SharedClock;
use crate::directory::acts::{rules, same_identity};
use crate::directory::state::{Proposal, RegisterState};
use crate::directory::statements::Author;
use crate::directory::{self, Directory};
use crate::domain::audit::{Actor, AuditAct, AuditDraft};
use crate::domain::authority::AuthorityEntry;
use crate::domain::directory::Steward;
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::{Applied, Decided, Outcome};
use crate::domain::statement::{Decision, EntryChange, KeyRecovery, Retime};
use crate::domain::time::UnixMs;
use crate::storage::Store;
use crate::storage::ops::Write;
use crate::wire::acts::signed_entry;
use crate::wire::keys::SigningKey;

/// How long this node's own state may lag behind what was ordered.
const SEEN: Duration = Duration::from_secs(3);
/// Times a statement is built again because another change came first.
const TRIES: u32 = 3;

/// What deciding needs of the register: the directory is one, a test another.
pub trait RegisterPort: Send + Sync + 'static {
    /// The verified state.
    fn state(&self) -> RegisterState;
    /// Rises with every change.
    fn changes(&self) -> watch::Receiver<u64>;
    /// Orders a statement; answers with what `apply` said.
    fn propose(&self, signed: Bytes) -> BoxFuture<'_, Result<Applied, directory::Error>>;
    /// Waits until the node that is to vote has caught up.
    fn prepare(&self, newcomer: Steward) -> BoxFuture<'_, Result<(), directory::Error>>;
}

impl RegisterPort for Directory {
    fn state(&self) -> RegisterState {
        self.state()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes()
    }

    fn propose(&self, signed: Bytes) -> BoxFuture<'_, Result<Applied, directory::Error>> {
        Box::pin(self.propose(signed))
    }

    fn prepare(&self, newcomer: Steward) -> BoxFuture<'_, Result<(), directory::Error>> {
        Box::pin(async move { Directory::prepare(self, &newcomer).await })
    }
}

/// The register's time, from what to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retiming {
    /// The newest entry's.
    pub now: UnixMs,
    pub time: UnixMs,
}

/// Deciding, as one authority. Clones share it.
#[derive(Clone)]
pub struct Decisions(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub authority: AuthorityId,
    pub key: Box<dyn Fn() -> Arc<SigningKey> + Send + Sync>,
    register: Arc<dyn RegisterPort>,
    pub store: Arc<dyn Store>,
    pub clock: SharedClock,
}

impl Decisions {
    /// `key` gives the authority's current signing key.
    pub fn new(
        authority: AuthorityId,
        key: impl Fn() -> Arc<SigningKey> + Send + Sync + 'static,
        register: Arc<dyn RegisterPort>,
        store: Arc<dyn Store>,
        clock: SharedClock,
    ) -> Self {
        Self(Arc::new(Inner { authority, key: Box::new(key), register, store, clock }))
    }

    /// The register as it stands.
    pub fn state(&self) -> RegisterState {
        self.0.register.state()
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.0.register.changes()
    }

    /// Proposes what is asked for, or approves the equal proposal that is open already. `asked` says what that is in a state
    /// of the register: when another change comes first, it is asked again.
    ///
    /// # Errors
    /// What `asked` and the rules answer; `NO_LEADER` and the like when nobody orders now.
    pub async fn decide(
        &self,
        asked: impl Fn(&RegisterState) -> Result<Decision, Reason> + Send + Sync,
        actor: Actor,
    ) -> Result<Decided, Error> {
        let (state, now) = (self.state(), self.0.clock.now());
        let decision = asked(&state)?;
        let act = rules(&decision.act);
        let is_equal = |open: &&Arc<Proposal>| open.subject == decision.subject && act.is_same(&open.act);
        let equal = state.proposals().filter(|open| open.is_open(now) && fits(&state, open)).find(is_equal);
        let decided = match equal {
            Some(open) => self.approve_open(&state, open).await?,
            None => {
                let own = &self.0.authority;
                if !state.is_steward(own) && !act.may_be_proposed_by(own, &decision.subject) {
                    return Err(Reason::NotASteward.into());
                }
                act.check_before_signing(&state, &decision.subject)?;
                act.check_clock(now)?;
                self.prepared(act.newcomer(&state)).await?;
                let applied = self.order(|author, state| Ok(author.propose(state, asked(state)?))).await?;
                self.decided(applied, applied.statement)
            }
        };
        self.note(act.noted_as(), actor, act.concerns(&state, &decision.subject)).await?;
        Ok(decided)
    }

    /// Approves an open proposal of any act.
    ///
    /// # Errors
    /// `PROPOSAL_UNKNOWN`, and what the rules answer.
    pub async fn approve(&self, proposal: &StatementId, actor: Actor) -> Result<Decided, Error> {
        let state = self.state();
        let open = state.proposal(proposal).ok_or(Reason::ProposalUnknown)?;
        let act = rules(&open.act);
        let concerned = act.concerns(&state, &open.subject);
        let decided = self.approve_open(&state, open).await?;
        self.note(act.noted_as(), actor, concerned).await?;
        Ok(decided)
    }

    async fn approve_open(&self, state: &RegisterState, open: &Proposal) -> Result<Decided, Error> {
        rules(&open.act).check_before_signing(state, &open.subject)?;
        rules(&open.act).check_clock(self.0.clock.now())?;
        if open.is_open(self.0.clock.now()) && open.approvals(state).any(|s| *s == self.0.authority) {
            return Ok(looked_up(state, open));
        }
        self.prepared(rules(&open.act).newcomer(state)).await?;
        let vote =
            |author: &Author<'_>, state: &RegisterState| author.approve(state, &open.id).ok_or(Reason::ProposalUnknown);
        let applied = self.order(vote).await?;
        Ok(self.decided(applied, open.id))
    }

    /// What putting the register's time right would do: to this time, or to what this node's clock shows.
    ///
    /// # Errors
    /// `REGISTER_NOT_AHEAD` when there is nothing to put right.
    pub fn retiming(&self, time: Option<UnixMs>) -> Result<Retiming, Error> {
        let (now, time) = (self.state().entry_time(), time.unwrap_or_else(|| self.0.clock.now()));
        if time < now { Ok(Retiming { now, time }) } else { Err(Reason::RegisterNotAhead.into()) }
    }

    /// Puts the register's time right, after a clock that was ahead.
    ///
    /// # Errors
    /// `REGISTER_NOT_AHEAD`, `ENTRY_TIME_INVALID` for a time that is ahead of this clock, and what the rules answer.
    pub async fn retime(&self, plan: Retiming, actor: Actor) -> Result<Decided, Error> {
        let asked = |state: &RegisterState| {
            let ahead = plan.time < state.entry_time();
            if ahead { Ok(Retime { time: plan.time }.into()) } else { Err(Reason::RegisterNotAhead) }
        };
        self.decide(asked, actor).await
    }

    /// Whoever is to vote has caught up before this authority signs that it does.
    async fn prepared(&self, newcomer: Option<Steward>) -> Result<(), Error> {
        match newcomer {
            Some(newcomer) => Ok(self.0.register.prepare(newcomer).await?),
            None => Ok(()),
        }
    }

    /// Changes this authority's own entry: alone where it may, otherwise as a proposal. Its Raft id stays what it is now: the
    /// node announces that by itself, and a founding changes it at the version that the entry has. `read`: the version that was
    /// changed; `None`: whatever it is now is replaced.
    ///
    /// # Errors
    /// `STALE_VERSION` when another change has come since it was read, and what the rules answer.
    pub async fn update_entry(&self, entry: AuthorityEntry, read: Option<u64>, actor: Actor) -> Result<Decided, Error> {
        let enrolled = |state: &RegisterState| {
            let now = state.member(&self.0.authority).ok_or(Reason::NotJoined)?;
            match read {
                Some(read) if read != now.version => Err(Reason::StaleVersion),
                _ => Ok(AuthorityEntry { raft_id: now.entry.raft_id, ..entry.clone() }),
            }
        };
        let state = self.state();
        let now = state.member(&self.0.authority).ok_or(Reason::NotJoined)?;
        if !same_identity(&entry, &now.entry) {
            let change = |state: &RegisterState| {
                Ok(Decision::about(self.0.authority.clone(), EntryChange { entry: enrolled(state)? }))
            };
            return self.decide(change, actor).await;
        }
        let change = |author: &Author<'_>, state: &RegisterState| Ok(author.entry(state, &enrolled(state)?));
        self.act_alone(AuditAct::PolicyChanged, None, actor, change).await
    }

    /// A new authority key, signed by the old one and itself. The caller stored the new key before, and uses it after.
    ///
    /// # Errors
    /// What the rules answer.
    pub async fn rotate_key(&self, new_key: &SigningKey, compromised: bool, actor: Actor) -> Result<Decided, Error> {
        let rotation =
            |author: &Author<'_>, state: &RegisterState| Ok(author.key_rotation(state, new_key, compromised));
        self.act_alone(AuditAct::KeyChanged, None, actor, rotation).await
    }

    /// Orders what this authority's own signature is enough for, with its line in the ledger.
    pub(super) async fn act_alone(
        &self,
        noted_as: AuditAct,
        concerned: Option<AuthorityId>,
        actor: Actor,
        build: impl Fn(&Author<'_>, &RegisterState) -> Result<Bytes, Reason>,
    ) -> Result<Decided, Error> {
        let applied = self.order(build).await?;
        self.note(noted_as, actor, concerned).await?;
        Ok(self.decided(applied, applied.statement))
    }

    /// Proposes to replace the lost key of another authority by what its new node printed.
    ///
    /// # Errors
    /// `DECODE_FAILED` when the bytes are no entry, and what the rules answer.
    pub async fn recover_key(&self, target: &AuthorityId, entry: Bytes, actor: Actor) -> Result<Decided, Error> {
        let entry = signed_entry(entry, "entry")?;
        let recovery = |_: &RegisterState| {
            let recovery = KeyRecovery { new_key: entry.entry.authority_key, entry: entry.clone() };
            Ok(Decision::about(target.clone(), recovery))
        };
        self.decide(recovery, actor).await
    }

    /// Signs with the authority's key; the statement names the state's versions.
    pub(super) fn sign<T>(&self, build: impl FnOnce(&Author<'_>) -> T) -> Result<T, Error> {
        let mut nonce = [0; 16];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Error::Refused(Reason::Internal))?;
        let key = (self.0.key)();
        Ok(build(&Author { authority: &self.0.authority, key: &key, now: self.0.clock.now(), nonce }))
    }

    /// Orders what `build` signs, and builds it again when another change came first.
    pub(super) async fn order(
        &self,
        build: impl Fn(&Author<'_>, &RegisterState) -> Result<Bytes, Reason>,
    ) -> Result<Applied, Error> {
        let mut tries = 0;
        loop {
            let state = self.state();
            let signed = self.sign(|author| build(author, &state))??;
            let applied = self.propose(signed).await?;
            tries += 1;
            match applied.outcome.reason() {
                None => {
                    self.seen(&applied).await;
                    return Ok(applied);
                }
                Some(Reason::StaleVersion) if tries < TRIES => self.seen(&applied).await,
                Some(reason) => return Err(reason.into()),
            }
        }
    }

    pub(super) async fn propose(&self, signed: Bytes) -> Result<Applied, directory::Error> {
        self.0.register.propose(signed).await
    }

    /// Waits, for a moment, until this node's own state has the change. The number alone does not show it: where the order has
    /// begun anew, the line that this node still follows may have had that number long ago.
    pub(super) async fn seen(&self, applied: &Applied) {
        let mut changes = self.changes();
        let accepted = applied.outcome.is_accepted();
        let has_it = |state: RegisterState| {
            state.number() >= applied.number && (!accepted || state.accepted(&applied.statement).is_some())
        };
        let reached = async {
            while !has_it(self.state()) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // Late is not wrong: the answer then shows the state before.
        let _ = tokio::time::timeout(SEEN, reached).await;
    }

    /// One line in the ledger.
    pub(super) async fn note(&self, act: AuditAct, actor: Actor, concerned: Option<AuthorityId>) -> Result<(), Error> {
        let counterparty = concerned.filter(|concerned| *concerned != self.0.authority);
        let draft = AuditDraft { actor, counterparty, ..AuditDraft::by_node(act) };
        self.0.store.write(Write::audit(vec![draft]).into()).await?;
        Ok(())
    }

    /// What came of an applied statement about a proposal.
    pub(super) fn decided(&self, applied: Applied, proposal: StatementId) -> Decided {
        let state = self.state();
        let applied = Applied { statement: proposal, ..applied };
        match state.proposal(&proposal) {
            Some(proposal) => with_votes(&state, proposal, applied),
            None => Decided { applied, approved_by: Vec::new(), needed: 0, overlay: false },
        }
    }
}

/// How an open proposal stands that this authority approved before.
fn looked_up(state: &RegisterState, proposal: &Proposal) -> Decided {
    let number = state.accepted(&proposal.id).map_or(0, |(number, _)| number);
    let (statement, outcome) = (proposal.id, Outcome::Pending);
    with_votes(state, proposal, Applied { statement, outcome, number, is_new: false, head: None })
}

fn with_votes(state: &RegisterState, proposal: &Proposal, applied: Applied) -> Decided {
    let approved_by = proposal.approvals(state).cloned().collect();
    Decided { applied, approved_by, needed: proposal.needed(state), overlay: false }
}
