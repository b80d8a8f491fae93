//! The register's state at one change number.
//!
//! What lives here: the state and how it is read; `apply` (the checks that every statement meets, numbering, heads),
//! proposals and their votes, evidence (the changes that a snapshot has to carry). What does not: the rules of each kind
//! of statement (`acts`), which look at the state and answer with `Effects`, and never change it themselves.
//! Invariant: maps are persistent and members are shared, so a clone and a view cost nothing; a rejected statement
//! changes the number, the head and the time of the newest entry, and nothing else.

mod apply;
mod effects;
mod genesis;
mod mandates;
mod proposal;
mod retime;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use imbl::{HashMap, OrdMap, OrdSet};

use super::overlay::Overlay;
use super::withdrawals::Withdrawals;
use crate::domain::authority::{KeyRecord, PublicKey};
use crate::domain::directory::{DirectoryView, Member, Policy, Position, Steward};
use crate::domain::ids::{AuthorityId, Digest, FederationId, KeyId, Pin, StatementId};
use crate::domain::register::Outcome;
use crate::domain::statement::Subject;
use crate::domain::time::UnixMs;

pub use apply::{KNOWN_RULES, entry_time_fits};
pub(super) use apply::{LogPosition, Mode};
pub(super) use effects::{Carried, Effects, OwnChange};
pub use mandates::Mandates;
pub use proposal::{Proposal, ProposalState, Vote};

/// One numbered change, as mirrors receive it and snapshots carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub number: u64,
    pub entry_time: UnixMs,
    /// The encoded `Signed`, byte for byte.
    pub signed: Bytes,
    pub outcome: Outcome,
}

/// What the register keeps about a member beside what the view shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberHistory {
    pub admitted_at: UnixMs,
    /// Emergency suspensions that the majority lifted.
    pub lifted: Arc<Vec<StatementId>>,
    /// Steward -> time of its last emergency suspension of this member.
    pub emergencies: Arc<BTreeMap<AuthorityId, UnixMs>>,
    /// Everything that was decided about it, by number.
    pub decided: Arc<Vec<Arc<Change>>>,
    /// The newest change that it made alone, unless a decision has replaced it.
    pub own: Option<Arc<Change>>,
}

/// What began the order that a number belongs to: the genesis statement, or a founding above it (9.15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Founding {
    /// 0: the genesis statement.
    pub founding: u64,
    /// Its own change number.
    pub at: u64,
    /// `None`: the genesis statement.
    pub by: Option<StatementId>,
}

/// The register at one change number.
#[derive(Clone)]
pub struct RegisterState {
    federation: FederationId,
    founding: Founding,
    number: u64,
    head: Digest,
    entry_time: UnixMs,
    policy: Arc<Policy>,
    policy_version: u64,
    policy_changes: Arc<Vec<Arc<Change>>>,
    stewards: Arc<Vec<Steward>>,
    /// Those before the last decision on the set.
    stewards_before: Arc<Vec<Steward>>,
    stewards_version: u64,
    stewards_changes: Arc<Vec<Arc<Change>>>,
    members: OrdMap<AuthorityId, Arc<Member>>,
    histories: OrdMap<AuthorityId, Arc<MemberHistory>>,
    /// `MemberHistory::admitted_at` of each, as the view has it.
    admitted: OrdMap<AuthorityId, UnixMs>,
    /// Pins of all entries, and whose they are.
    pins: HashMap<Pin, AuthorityId>,
    /// Every authority key that ever stood in an entry.
    keys: HashMap<KeyId, AuthorityId>,
    /// Every Raft id that an entry ever announced.
    raft_ids: OrdSet<u64>,
    /// Every Raft id that ever voted.
    voted: OrdSet<u64>,
    mandates: Mandates,
    proposals: OrdMap<StatementId, Arc<Proposal>>,
    /// Proposals by the instant at which they are forgotten.
    forget: OrdSet<(UnixMs, StatementId)>,
    /// Payloads that were accepted, with number and outcome.
    accepted: OrdMap<Digest, (u64, Outcome)>,
    /// The newest change of who proves what: the stewards, the rules, a key that was withdrawn. Read at that number only,
    /// so no snapshot carries it.
    turned_at: u64,
}

impl RegisterState {
    /// SHA-256 of the genesis payload.
    pub fn federation(&self) -> FederationId {
        self.federation
    }

    /// Founding and change number.
    pub fn position(&self) -> Position {
        Position { founding: self.founding.founding, number: self.number }
    }

    /// What began the order that it stands in.
    pub fn founding(&self) -> Founding {
        self.founding
    }

    /// The newest change number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The head at this number.
    pub fn head(&self) -> Digest {
        self.head
    }

    /// Time of the newest numbered entry.
    pub fn entry_time(&self) -> UnixMs {
        self.entry_time
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The stewards, in the order of their ids.
    pub fn stewards(&self) -> &Arc<Vec<Steward>> {
        &self.stewards
    }

    /// Members beside one that have a node of their own.
    pub fn others<'a>(&'a self, own: &'a AuthorityId) -> Vec<&'a AuthorityId> {
        let there = |member: &Member| member.removed_at.is_none() && !member.entry.endpoints.is_empty();
        self.members.iter().filter(|(id, member)| *id != own && there(member)).map(|(id, _)| id).collect()
    }

    /// The version that a statement about the subject has to name for its status, or for the set or the policy.
    /// Of an authority: suspend, restore, remove, key recovery. 0: there is no such member.
    pub fn version(&self, subject: &Subject) -> u64 {
        match subject {
            Subject::Authority(id) => self.members.get(id).map_or(0, |m| m.status_version),
            Subject::Stewards => self.stewards_version,
            Subject::Policy => self.policy_version,
        }
    }

    /// The version that a statement about the authority's entry has to name: entry, entry change, key rotation, admission.
    pub fn entry_version(&self, authority: &AuthorityId) -> u64 {
        self.members.get(authority).map_or(0, |m| m.version)
    }

    /// The member, whatever its status.
    pub fn member(&self, authority: &AuthorityId) -> Option<&Arc<Member>> {
        self.members.get(authority)
    }

    /// In whose entry a key stands, or stood.
    pub fn stands(&self, key: &KeyId) -> Option<&Arc<Member>> {
        self.members.get(self.keys.get(key)?)
    }

    /// The same, in which these keys of stewards count as compromised, and replaced by those that come after them: to judge by,
    /// never to apply to.
    pub fn without_keys(&self, withdrawn: &Withdrawals) -> Self {
        let mut cut = self.clone();
        for steward in self.stewards.iter() {
            let Some(member) = self.members.get(&steward.authority) else { continue };
            if member.keys.iter().any(|held| !held.compromised && withdrawn.contains(&held.key.id())) {
                let mut member = Member::clone(member);
                member.keys.iter_mut().for_each(|held| held.compromised |= withdrawn.contains(&held.key.id()));
                let next = withdrawn.successor(&member.entry.authority_key.id());
                let free = |key: &PublicKey| !self.is_key_used(&key.id()) && !withdrawn.contains(&key.id());
                if let Some(key) = next.filter(free) {
                    member.keys.push(KeyRecord { key, replaced_at: None, compromised: false });
                    member.entry.authority_key = key;
                }
                cut.members.insert(steward.authority.clone(), Arc::new(member));
            }
        }
        cut
    }

    /// All members by id, removed ones too.
    pub fn members(&self) -> &OrdMap<AuthorityId, Arc<Member>> {
        &self.members
    }

    /// What is kept about a member beside its entry: suspensions used and lifted.
    pub fn history(&self, authority: &AuthorityId) -> Option<&Arc<MemberHistory>> {
        self.histories.get(authority)
    }

    /// What members let organisations do for them.
    pub fn mandates(&self) -> &Mandates {
        &self.mandates
    }

    /// Whether the authority votes.
    pub fn is_steward(&self, authority: &AuthorityId) -> bool {
        self.stewards.iter().any(|s| s.authority == *authority)
    }

    /// The stewards before the last decision on the set; nobody before the first one.
    pub(super) fn stewards_before(&self) -> &[Steward] {
        &self.stewards_before
    }

    /// More than half of the stewards.
    pub fn majority(&self) -> usize {
        self.stewards.len() / 2 + 1
    }

    /// Open and recent proposals, by id.
    pub fn proposals(&self) -> impl Iterator<Item = &Arc<Proposal>> {
        self.proposals.values()
    }

    /// One proposal.
    pub fn proposal(&self, id: &StatementId) -> Option<&Arc<Proposal>> {
        self.proposals.get(id)
    }

    /// Number and outcome under which a payload was accepted.
    pub fn accepted(&self, statement: &StatementId) -> Option<(u64, Outcome)> {
        self.accepted.get(&Digest(statement.0)).copied()
    }

    /// The genesis statement, as it was signed.
    pub fn genesis_signed(&self) -> &Bytes {
        &self.policy_changes[0].signed
    }

    /// What is kept about each member.
    pub(super) fn histories(&self) -> &OrdMap<AuthorityId, Arc<MemberHistory>> {
        &self.histories
    }

    /// The genesis statement, every decision on policy, and every RETIME.
    pub(super) fn policy_changes(&self) -> &[Arc<Change>] {
        &self.policy_changes
    }

    /// Every decision on the set of stewards.
    pub(super) fn stewards_changes(&self) -> &[Arc<Change>] {
        &self.stewards_changes
    }

    /// Every Raft id that an entry ever announced, ascending.
    pub(super) fn used_raft_ids(&self) -> impl Iterator<Item = u64> {
        self.raft_ids.iter().copied()
    }

    /// Accepted payloads by digest.
    pub(super) fn accepted_statements(&self) -> impl Iterator<Item = (&Digest, u64, Outcome)> {
        self.accepted.iter().map(|(digest, (number, outcome))| (digest, *number, *outcome))
    }

    /// Whose entry lists the pin.
    pub(super) fn pin_holder(&self, pin: &Pin) -> Option<&AuthorityId> {
        self.pins.get(pin)
    }

    /// Whether the key ever stood in an entry.
    pub(super) fn is_key_used(&self, key: &KeyId) -> bool {
        self.keys.contains_key(key)
    }

    /// Whether an entry ever announced the Raft id.
    pub(super) fn is_raft_id_used(&self, raft_id: u64) -> bool {
        self.raft_ids.contains(&raft_id)
    }

    /// Whether a steward ever voted under the Raft id.
    pub(super) fn has_voted(&self, raft_id: u64) -> bool {
        self.voted.contains(&raft_id)
    }

    /// Whether this is a place for a snapshot: its number is divisible by the policy's interval, and by more the larger the
    /// register is, so that snapshots cost no more than the changes between them; or at it the stewards, the rules or what
    /// is known of stolen keys changed, since from there on others prove what is proven. Equal states, equal answers.
    pub(super) fn is_snapshot_due(&self) -> bool {
        if self.turned_at == self.number && self.number > 0 {
            return true;
        }
        let interval = self.policy.snapshot_interval.max(1);
        let items = u64::try_from(self.members.len() + self.accepted.len()).unwrap_or(u64::MAX);
        let wider = (items / interval.saturating_mul(8)).next_power_of_two();
        self.number > 0 && self.number.is_multiple_of(interval.saturating_mul(wider))
    }

    /// The rules version that the majority raised beyond what this program knows; nothing is applied any more.
    pub fn stopped(&self) -> Option<u32> {
        (self.policy.rules_version > KNOWN_RULES).then_some(self.policy.rules_version)
    }

    /// The view of this state: what the overlay denies and how fresh the beats are come in.
    pub fn view(&self, overlay: &Overlay, majority_beat: Option<UnixMs>) -> DirectoryView {
        DirectoryView {
            federation: self.federation,
            founding: self.founding.founding,
            number: self.number,
            head: self.head,
            policy: Policy::clone(&self.policy),
            stewards: Arc::clone(&self.stewards),
            members: self.members.clone(),
            admitted: self.admitted.clone(),
            pins: self.pins.clone(),
            mandates: self.mandates.all().clone(),
            overlay: overlay.denied(self),
            majority_beat,
            sources_missing: 0,
            confirmed: None,
        }
    }
}

impl std::fmt::Debug for RegisterState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RegisterState(number {}, head {}, {} members)", self.position(), self.head, self.members.len())
    }
}
