//! What an operator wishes, as statements: emergency suspension, proposals of every act, approvals, own entry, keys.

use bytes::Bytes;

use super::{Error, Governance, Present};
use crate::directory::state::{KNOWN_RULES, Proposal, RegisterState};
use crate::directory::statements::Author;
use crate::domain::audit::{Actor, AuditAct};
use crate::domain::authority::AuthorityEntry;
use crate::domain::directory::{Policy, Steward};
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::{Outcome, RemoveReason, SuspendReason};
use crate::wire::statement::{Act, Subject};

/// A wish that a majority decides.
#[derive(Clone, Debug)]
pub enum Wish {
    /// A suspension that lasts until restored.
    Suspend(AuthorityId, SuspendReason),
    Restore(AuthorityId),
    Remove(AuthorityId, RemoveReason),
    Promote(AuthorityId),
    Demote(AuthorityId),
    /// The steward comes back under the Raft id that its entry announces now.
    Replace(AuthorityId),
    Policy(Policy),
    EntryChange(Box<AuthorityEntry>),
}

/// What a decision led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Governed {
    /// The proposal, or the statement itself where no proposal was needed.
    pub statement: StatementId,
    pub outcome: Outcome,
    pub number: u64,
    pub approved_by: Vec<AuthorityId>,
    pub needed: usize,
    /// In force here through the overlay, whatever the register says.
    pub overlay: bool,
}

/// The authority that a change of the stewards is about, or the subject as it stands.
pub(super) fn subject_of(state: &RegisterState, proposal: &Proposal) -> String {
    if let Act::StewardSet(wanted) = &*proposal.act {
        let now = state.stewards();
        let added = wanted.iter().find(|w| !now.contains(w));
        let taken = now.iter().find(|s| !wanted.contains(s));
        if let Some(steward) = added.or(taken) {
            return steward.authority.to_string();
        }
    }
    proposal.subject.as_str().to_owned()
}

impl Governance {
    /// Proposes what is wished, or approves the equal proposal that is open already.
    ///
    /// # Errors
    /// What the rules answer; `NO_LEADER` and the like when nobody orders now.
    pub async fn decide(&self, wish: Wish, actor: Actor) -> Result<Governed, Error> {
        let (state, now) = (self.state(), self.0.clock.now());
        let open = state.proposals().filter(|p| p.is_open(now) && still_fits(&state, p));
        let equal = open.into_iter().find(|p| self.is_equal(&state, p, &wish)).cloned();
        let governed = match equal {
            Some(open) => self.approve_open(&state, &open).await?,
            None => {
                self.check(&state, &wish)?;
                let applied = self.order(|author, state| self.build(author, state, &wish)).await?;
                self.governed(&applied, applied.statement)
            }
        };
        let (act, about) = wish.ledger();
        self.note(act, actor, about).await?;
        Ok(governed)
    }

    /// Approves an open proposal of any act, or signs an emergency suspension of a steward as the second one.
    ///
    /// # Errors
    /// `PROPOSAL_UNKNOWN`, and what the rules answer.
    pub async fn approve(&self, proposal: &StatementId, actor: Actor) -> Result<Governed, Error> {
        let state = self.state();
        if let Some(order) = self.0.council.half_signed().into_iter().find(|order| order.id == *proposal) {
            return self.sign_second(&state, &order, actor).await;
        }
        let open = state.proposal(proposal).cloned().ok_or(Reason::ProposalUnknown)?;
        let governed = self.approve_open(&state, &open).await?;
        let (act, about) = ledger_of(&open.act, open.subject.authority());
        self.note(act, actor, about).await?;
        Ok(governed)
    }

    async fn approve_open(&self, state: &RegisterState, open: &Proposal) -> Result<Governed, Error> {
        if let Act::Policy(policy) = &*open.act {
            rules_known(policy)?;
        }
        if open.is_open(self.0.clock.now()) && open.approvals(state).any(|s| *s == self.0.authority) {
            return Ok(self.looked_up(state, open));
        }
        let applied = self.order(|author, state| author.approve(state, &open.id)).await?;
        Ok(self.governed(&applied, open.id))
    }

    /// Changes this authority's own entry: alone where it may, otherwise as a proposal.
    ///
    /// # Errors
    /// What the rules answer.
    pub async fn update_entry(&self, entry: AuthorityEntry, actor: Actor) -> Result<Governed, Error> {
        let state = self.state();
        let now = state.member(&self.0.authority).ok_or(Reason::NotJoined)?;
        let alone = now.entry.kind == entry.kind
            && now.entry.names == entry.names
            && now.entry.identifiers == entry.identifiers
            && now.entry.hosted_by == entry.hosted_by;
        if !alone {
            return self.decide(Wish::EntryChange(Box::new(entry)), actor).await;
        }
        let applied = self.order(|author, state| Some(author.entry(state, &entry))).await?;
        self.note(AuditAct::PolicyChanged, actor, None).await?;
        Ok(self.governed(&applied, applied.statement))
    }

    /// A new authority key, signed by the old one and itself. The caller stored the new key before, and uses it after.
    ///
    /// # Errors
    /// What the rules answer.
    pub async fn rotate_key(
        &self,
        new_key: &crate::wire::keys::SigningKey,
        compromised: bool,
        actor: Actor,
    ) -> Result<Governed, Error> {
        let applied = self.order(|author, state| Some(author.key_rotation(state, new_key, compromised))).await?;
        self.note(AuditAct::KeyChanged, actor, None).await?;
        Ok(self.governed(&applied, applied.statement))
    }

    /// Proposes to replace the lost key of another authority by what its new node printed.
    ///
    /// # Errors
    /// `DECODE_FAILED` when the bytes are no entry, and what the rules answer.
    pub async fn recover_key(&self, target: &AuthorityId, entry: Bytes, actor: Actor) -> Result<Governed, Error> {
        let (statement, opened) = crate::wire::statement::open(entry)?;
        let crate::wire::statement::Body::Entry(named) = statement.body else {
            return Err(crate::wire::Error::invalid("entry", "an entry statement").into());
        };
        let (state, now) = (self.state(), self.0.clock.now());
        let key = named.authority_key;
        let is_equal = |p: &&std::sync::Arc<Proposal>| {
            p.subject.authority() == Some(target)
                && matches!(&*p.act, Act::KeyRecovery { new_key, .. } if *new_key == key)
        };
        let open = state.proposals().filter(|p| p.is_open(now) && still_fits(&state, p)).find(is_equal).cloned();
        let governed = match open {
            Some(open) => self.approve_open(&state, &open).await?,
            None => {
                let signed: havenlink_proto::record::v1::Signed = prost::Message::decode(opened.bytes.clone())
                    .map_err(|_| crate::wire::Error::new(Reason::DecodeFailed, "entry", ""))?;
                let applied =
                    self.order(|author, state| Some(author.key_recovery(state, target, &key, signed.clone()))).await?;
                self.governed(&applied, applied.statement)
            }
        };
        self.note(AuditAct::KeyChanged, actor, Some(target)).await?;
        Ok(governed)
    }

    fn check(&self, state: &RegisterState, wish: &Wish) -> Result<(), Error> {
        if !state.is_steward(&self.0.authority) && !matches!(wish, Wish::EntryChange(_)) {
            return Err(Reason::NotASteward.into());
        }
        match wish {
            Wish::Suspend(target, _) | Wish::Restore(target) | Wish::Remove(target, _) | Wish::Promote(target) => {
                state.member(target).ok_or(Reason::MemberUnknown)?;
            }
            Wish::Demote(target) | Wish::Replace(target) if !state.is_steward(target) => {
                return Err(Reason::NotASteward.into());
            }
            _ => {}
        }
        if let Wish::Policy(policy) = wish {
            rules_known(policy)?;
        }
        if let Wish::Promote(target) = wish {
            if state.is_steward(target) {
                return Err(Reason::AlreadyApproved.into());
            }
            if state.member(target).is_some_and(|m| m.entry.raft_id == 0) {
                return Err(Reason::EntryInvalid.into());
            }
        }
        Ok(())
    }

    fn build(&self, author: &Author<'_>, state: &RegisterState, wish: &Wish) -> Option<Bytes> {
        Some(match wish {
            Wish::Suspend(target, reason) => author.lasting_suspend(state, target, *reason),
            Wish::Restore(target) => author.restore(state, target, &self.0.council.emergencies(target)),
            Wish::Remove(target, reason) => author.remove(state, target, *reason),
            Wish::Policy(policy) => author.policy(state, policy),
            Wish::EntryChange(entry) => author.entry_change(state, entry),
            Wish::Promote(_) | Wish::Demote(_) | Wish::Replace(_) => {
                author.steward_set(state, &stewards_after(state, wish)?)
            }
        })
    }

    fn is_equal(&self, state: &RegisterState, open: &Proposal, wish: &Wish) -> bool {
        let about = |target: &AuthorityId| open.subject.authority() == Some(target);
        match (wish, &*open.act) {
            (Wish::Suspend(target, _), Act::Suspend(_)) => about(target),
            (Wish::Restore(target), Act::Restore { .. }) => about(target),
            (Wish::Remove(target, wished), Act::Remove(proposed)) => about(target) && wished == proposed,
            (Wish::Policy(wished), Act::Policy(proposed)) => wished == proposed,
            (Wish::EntryChange(wished), Act::EntryChange(proposed)) => **wished == *proposed,
            (Wish::Promote(_) | Wish::Demote(_) | Wish::Replace(_), Act::StewardSet(proposed)) => {
                open.subject == Subject::Stewards && stewards_after(state, wish).as_ref() == Some(proposed)
            }
            _ => false,
        }
    }
}

/// What the proposal would replace.
pub(super) fn present(state: &RegisterState, proposal: &Proposal) -> Present {
    match &*proposal.act {
        Act::Policy(_) => Present::Policy(state.policy().clone()),
        Act::StewardSet(_) => Present::Stewards(state.stewards().clone()),
        Act::Admit(_) | Act::EntryChange(_) | Act::KeyRecovery { .. } => {
            let member = proposal.subject.authority().and_then(|id| state.member(id));
            member.map_or(Present::Nothing, |member| Present::Member(member.clone()))
        }
        Act::Suspend(_) | Act::Restore { .. } | Act::Remove(_) => Present::Nothing,
    }
}

/// A steward asks for no rules that its own program does not know: once they are in force, every node like it stops, and
/// no vote takes them back.
fn rules_known(policy: &Policy) -> Result<(), Error> {
    if policy.rules_version > KNOWN_RULES { Err(Reason::RulesTooOld.into()) } else { Ok(()) }
}

/// Whether an open proposal can still be carried out: its subject has not changed since, where that matters (the rules
/// check the versions of a suspension and a removal once, when they are proposed). One that cannot is dead: nobody is
/// asked to approve it, and the same wish is proposed anew.
pub(super) fn still_fits(state: &RegisterState, open: &Proposal) -> bool {
    match (&*open.act, open.subject.authority()) {
        (Act::Suspend(_) | Act::Remove(_) | Act::Admit(_), _) => true,
        (Act::EntryChange(_), Some(authority)) => open.subject_version == state.entry_version(authority),
        _ => open.subject_version == state.version(&open.subject),
    }
}

/// The set of stewards that is wished, in the order of their ids; `None`: the member is gone.
fn stewards_after(state: &RegisterState, wish: &Wish) -> Option<Vec<Steward>> {
    let (Wish::Promote(target) | Wish::Demote(target) | Wish::Replace(target)) = wish else { return None };
    let mut set: Vec<Steward> = state.stewards().iter().filter(|s| s.authority != *target).cloned().collect();
    if !matches!(wish, Wish::Demote(_)) {
        set.push(Steward { authority: target.clone(), raft_id: state.member(target)?.entry.raft_id });
    }
    set.sort_by(|a, b| a.authority.cmp(&b.authority));
    Some(set)
}

impl Wish {
    fn ledger(&self) -> (AuditAct, Option<&AuthorityId>) {
        match self {
            Self::Suspend(target, _) => (AuditAct::MemberSuspended, Some(target)),
            Self::Restore(target) => (AuditAct::MemberRestored, Some(target)),
            Self::Remove(target, _) => (AuditAct::MemberRemoved, Some(target)),
            Self::Promote(target) | Self::Demote(target) | Self::Replace(target) => {
                (AuditAct::StewardsChanged, Some(target))
            }
            Self::Policy(_) | Self::EntryChange(_) => (AuditAct::PolicyChanged, None),
        }
    }
}

fn ledger_of<'a>(act: &Act, about: Option<&'a AuthorityId>) -> (AuditAct, Option<&'a AuthorityId>) {
    let act = match act {
        Act::Admit(_) => AuditAct::MemberApproved,
        Act::StewardSet(_) => AuditAct::StewardsChanged,
        Act::Suspend(_) => AuditAct::MemberSuspended,
        Act::Restore { .. } => AuditAct::MemberRestored,
        Act::Remove(_) => AuditAct::MemberRemoved,
        Act::Policy(_) | Act::EntryChange(_) => AuditAct::PolicyChanged,
        Act::KeyRecovery { .. } => AuditAct::KeyChanged,
    };
    (act, about)
}
