//! What an accepted statement does to the state. Rules only describe it; here it is done.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};

use super::proposal::{Proposal, ProposalState};
use super::{Change, Founding, MemberHistory, RegisterState};
use crate::domain::authority::KeyRecord;
use crate::domain::directory::{Member, Policy, Steward};
use crate::domain::ids::{Digest, StatementId};
use crate::domain::mandate::IssuedMandate;
use crate::domain::register::Outcome;
use crate::domain::time::UnixMs;

/// The newest change that a member made alone, after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnChange {
    /// It is this one.
    Supersedes,
    /// It stays what it was.
    Unchanged,
    /// A decision replaced all of the entry at a named version: nothing of it is left.
    Cleared,
    /// It belongs to the history that a snapshot has to carry.
    Archived,
}

/// A member after the change.
pub struct MemberChange {
    pub member: Member,
    pub history: MemberHistory,
    pub own: OwnChange,
}

/// What a snapshot carries that its statements alone do not give: what replaced changes left behind.
#[derive(Default)]
pub(crate) struct Carried {
    pub raft_ids: OrdSet<u64>,
    pub accepted: OrdMap<Digest, (u64, Outcome)>,
}

/// All that an accepted statement changes.
#[derive(Default)]
pub struct Effects {
    pub member: Option<MemberChange>,
    pub stewards: Option<Vec<Steward>>,
    pub policy: Option<Policy>,
    pub proposal: Option<Proposal>,
    pub mandate: Option<IssuedMandate>,
    /// The time that the register goes on from.
    pub retime: Option<UnixMs>,
    /// The order begins anew, under the newest version of the stewards that the founders knew.
    pub founding: Option<(u64, u64)>,
}

impl Effects {
    /// Of one member.
    pub fn member(member: Member, history: MemberHistory, own: OwnChange) -> Self {
        Self { member: Some(MemberChange { member, history, own }), ..Self::default() }
    }

    /// Accepted, unless a decision goes on waiting for votes.
    pub fn outcome(&self) -> Outcome {
        match &self.proposal {
            Some(proposal) if proposal.state == ProposalState::Open => Outcome::Pending,
            _ => Outcome::Accepted,
        }
    }
}

impl MemberHistory {
    /// Of a member that is admitted at the instant.
    pub(crate) fn new(admitted_at: UnixMs) -> Self {
        Self {
            admitted_at,
            lifted: Arc::default(),
            emergencies: Arc::new(BTreeMap::new()),
            decided: Arc::default(),
            own: None,
        }
    }
}

/// Adds changes to a history by number; what is there already stays once.
fn extend(history: &mut Arc<Vec<Arc<Change>>>, more: impl IntoIterator<Item = Arc<Change>>) {
    let history = Arc::make_mut(history);
    history.extend(more);
    history.sort_by_key(|change| change.number);
    history.dedup_by_key(|change| change.number);
}

impl RegisterState {
    /// Does what the rules described, for the change that has been numbered.
    pub(super) fn commit(&mut self, effects: Effects, statement: Digest, change: &Arc<Change>) {
        let mut decided = vec![Arc::clone(change)];
        if self.turns(&effects) {
            self.turned_at = change.number;
        }
        if let Some(mut proposal) = effects.proposal {
            proposal.changes.push(Arc::clone(change));
            if proposal.state == ProposalState::Carried {
                decided.clone_from(&proposal.changes);
            }
            self.put_proposal(proposal, change.entry_time);
        }
        if let Some(mandate) = effects.mandate {
            self.mandates.put(mandate, change);
        }
        if let Some(policy) = effects.policy {
            self.policy = Arc::new(policy);
            self.policy_version += 1;
            extend(&mut self.policy_changes, decided.iter().cloned());
        }
        if let Some(time) = effects.retime {
            extend(&mut self.policy_changes, decided.iter().cloned());
            self.retime(time);
        }
        if let Some((founding, set_version)) = effects.founding {
            self.founding = Founding { founding, at: change.number, by: Some(StatementId(statement.0)) };
            self.stewards_version = self.stewards_version.max(set_version);
            self.announce(effects.stewards.as_deref().unwrap_or_default());
        }
        if let Some(stewards) = effects.stewards {
            self.voted.extend(stewards.iter().map(|s| s.raft_id));
            self.stewards_before = std::mem::replace(&mut self.stewards, Arc::new(stewards));
            self.stewards_version += 1;
            extend(&mut self.stewards_changes, decided.iter().cloned());
        }
        if let Some(MemberChange { member, mut history, own }) = effects.member {
            match own {
                OwnChange::Supersedes => history.own = Some(Arc::clone(change)),
                OwnChange::Unchanged => extend(&mut history.decided, decided),
                OwnChange::Cleared => {
                    history.own = None;
                    extend(&mut history.decided, decided);
                }
                OwnChange::Archived => {
                    decided.extend(history.own.take());
                    extend(&mut history.decided, decided);
                }
            }
            if member.removed_at.is_some() {
                self.mandates.end_of(&member.entry.authority, change.entry_time);
            }
            self.put_member(Arc::new(member), history);
        }
        self.accepted.insert(statement, (change.number, change.outcome));
    }

    /// Whether from this change on others prove what is proven, or by other rules.
    fn turns(&self, effects: &Effects) -> bool {
        let withdraws = |changed: &MemberChange| {
            let before = self.members.get(&changed.member.entry.authority);
            let was = |key: &KeyRecord| before.is_some_and(|member| member.keys.contains(key));
            changed.member.keys.iter().any(|key| key.compromised && !was(key))
        };
        effects.stewards.is_some()
            || effects.policy.as_ref().is_some_and(|policy| policy.rules_version != self.policy.rules_version)
            || effects.member.as_ref().is_some_and(withdraws)
    }

    /// The end of a replay: position, and what the statements do not give. `None` if that contradicts them, or if a pin
    /// stands in two entries.
    pub(crate) fn resume(mut self, number: u64, head: Digest, entry_time: UnixMs, carried: Carried) -> Option<Self> {
        let fits = self.raft_ids.iter().all(|id| carried.raft_ids.contains(id))
            && self.accepted.iter().all(|(digest, outcome)| carried.accepted.get(digest) == Some(outcome))
            && carried.accepted.values().all(|(at, _)| *at <= number);
        if !fits {
            return None;
        }
        self.pins = HashMap::new();
        for member in self.members.values() {
            for pin in &member.entry.pins {
                if self.pins.insert(pin.pin, member.entry.authority.clone()).is_some() {
                    return None;
                }
            }
        }
        (self.raft_ids, self.accepted) = (carried.raft_ids, carried.accepted);
        (self.number, self.head, self.entry_time) = (number, head, entry_time);
        Some(self)
    }

    /// Founders said under which Raft id they vote: their entries announce it, at the version that they have.
    fn announce(&mut self, founders: &[Steward]) {
        for Steward { authority, raft_id } in founders {
            let known = self.members.get(authority).cloned().zip(self.histories.get(authority).cloned());
            let Some((member, history)) = known else { continue };
            let mut member = Member::clone(&member);
            member.entry.raft_id = *raft_id;
            self.put_member(Arc::new(member), MemberHistory::clone(&history));
        }
    }

    pub(super) fn put_member(&mut self, member: Arc<Member>, history: MemberHistory) {
        let authority = member.entry.authority.clone();
        if let Some(before) = self.members.get(&authority).cloned() {
            for pin in before.entry.pins.iter().filter(|pin| !member.entry.pins.contains(pin)) {
                if self.pins.get(&pin.pin) == Some(&authority) {
                    self.pins.remove(&pin.pin);
                }
            }
        }
        for pin in &member.entry.pins {
            if self.pins.get(&pin.pin) != Some(&authority) {
                self.pins.insert(pin.pin, authority.clone());
            }
        }
        let current = member.entry.authority_key.id();
        if !self.keys.contains_key(&current) {
            self.keys.insert(current, authority.clone());
        }
        if member.entry.raft_id != 0 && !self.raft_ids.contains(&member.entry.raft_id) {
            self.raft_ids.insert(member.entry.raft_id);
        }
        self.admitted.insert(authority.clone(), history.admitted_at);
        self.histories.insert(authority.clone(), Arc::new(history));
        self.members.insert(authority, member);
    }

    /// Opening one proposal is when old ones are forgotten: their number stays bounded by what is proposed in their life.
    fn put_proposal(&mut self, proposal: Proposal, now: UnixMs) {
        if self.proposals.contains_key(&proposal.id) {
            self.proposals.insert(proposal.id, Arc::new(proposal));
            return;
        }
        while let Some((at, id)) = self.forget.get_min().copied().filter(|(at, _)| *at <= now) {
            self.forget.remove(&(at, id));
            self.proposals.remove(&id);
        }
        self.forget.insert((proposal.forget_at(), proposal.id));
        self.proposals.insert(proposal.id, Arc::new(proposal));
    }
}
