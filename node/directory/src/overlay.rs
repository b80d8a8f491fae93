//! The suspension overlay: deny wins, no quorum needed (9.4).
//!
//! A grow-only set of signed emergency suspensions, gossiped to everyone, never read by `apply`, never in log or
//! snapshot. It acts for as long as the policy says after it was first seen here, unless the register lists it as lifted.
//! Order of use: `judge`, make the entry durable, `judge` again, since others came in meanwhile, then `insert`: nothing acts
//! before it is stored.

use std::cmp::Reverse;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;

use super::acts;
use super::awaiting_countersignature::AwaitingCountersignature;
use super::state::RegisterState;
use crate::domain::ids::{AuthorityId, Digest, Hasher, StatementId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::register::SuspendReason;
use crate::domain::statement::{EmergencySuspend, Restore, StatementBody};
use crate::domain::time::UnixMs;
use crate::wire::keys::Verify;
use crate::wire::statement;

/// One suspension in the overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: StatementId,
    pub subject: AuthorityId,
    /// The stewards that signed it.
    pub stewards: Vec<AuthorityId>,
    /// The author's time.
    pub time: UnixMs,
    /// When this node saw it first.
    pub first_seen: UnixMs,
    /// The encoded `Signed`.
    pub signed: Bytes,
}

/// The set. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    entries: OrdMap<StatementId, Arc<Entry>>,
}

impl Overlay {
    /// Judges a statement; the caller makes the entry durable, then calls `insert`. `None`: it is in the set already.
    ///
    /// # Errors
    /// `NOT_A_STEWARD`, `NEEDS_TWO_SIGNATURES`, `EMERGENCY_USED`, `EMERGENCY_TIME_INVALID`, `SIGNATURE_INVALID` and what
    /// else makes it no emergency suspension of this federation.
    pub fn judge(
        &self,
        signed: &Bytes,
        state: &RegisterState,
        now: UnixMs,
        verify: &dyn Verify,
    ) -> Result<Option<Entry>, Reason> {
        let id = id_of(signed)?;
        if self.entries.contains_key(&id) {
            return Ok(None);
        }
        let Read { entry, .. } = read(signed, state, now, verify)?;
        let two = entry.stewards.len() == 2 && !entry.stewards.contains(&entry.subject);
        if state.is_steward(&entry.subject) && !two {
            return Err(Reason::NeedsTwoSignatures);
        }
        self.check_unused(&entry, state)?;
        Ok(Some(entry))
    }

    /// One use per steward and target in seven days, here and in the register: a statement that was never sent through
    /// the register counts as well.
    pub(super) fn check_unused(&self, entry: &Entry, state: &RegisterState) -> Result<(), Reason> {
        let history = state.history(&entry.subject).ok_or(Reason::MemberUnknown)?;
        let used = |steward| history.emergencies.get(steward).is_some_and(|at| near(*at, entry.time));
        let in_register = state.accepted(&entry.id).is_none() && entry.stewards.iter().any(used);
        if self.is_used(entry) || in_register { Err(Reason::EmergencyUsed) } else { Ok(()) }
    }

    /// Whether one of its stewards has used the target up here, by another statement.
    pub(super) fn is_used(&self, entry: &Entry) -> bool {
        self.entries.values().any(|other| {
            other.subject == entry.subject
                && near(other.time, entry.time)
                && other.stewards.iter().any(|steward| entry.stewards.contains(steward))
        })
    }

    /// Adds a judged entry, or one that was stored. The instant at which it was first seen never changes.
    pub fn insert(&mut self, entry: Entry) {
        if !self.entries.contains_key(&entry.id) {
            self.entries.insert(entry.id, Arc::new(entry));
        }
    }

    /// All entries by id: what is stored.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    /// Entries that other nodes may still take: what is gossiped.
    pub fn to_gossip(&self, now: UnixMs) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values().filter(move |entry| acts::emergency_time_fits(entry.time, now))
    }

    /// Whom the overlay denies, until when; what the register lifted does not count.
    pub fn denied(&self, state: &RegisterState) -> OrdMap<AuthorityId, UnixMs> {
        let mut denied: OrdMap<AuthorityId, UnixMs> = OrdMap::new();
        for entry in self.entries.values() {
            let lifted = state.history(&entry.subject).is_none_or(|r| r.lifted.binary_search(&entry.id).is_ok());
            if lifted {
                continue;
            }
            let until = entry.first_seen + state.policy().emergency;
            if denied.get(&entry.subject).is_none_or(|before| *before < until) {
                denied.insert(entry.subject.clone(), until);
            }
        }
        denied
    }

    /// What a restore of an authority lifts, as many as one statement may name: first what acts here, then orders that `wait`
    /// for a second signature, then what may act elsewhere, then what is lifted already; of each the newest first.
    pub fn to_lift<'a>(
        &'a self,
        of: &'a AuthorityId,
        waiting: impl Iterator<Item = &'a Arc<AwaitingCountersignature>>,
        state: &RegisterState,
        now: UnixMs,
    ) -> Vec<StatementId> {
        let lifted =
            |id: &StatementId| state.history(of).is_some_and(|history| history.lifted.binary_search(id).is_ok());
        let acts = |entry: &Entry| now < entry.first_seen + state.policy().emergency;
        let rank = |entry: &Entry| match (lifted(&entry.id), acts(entry)) {
            (true, _) => 3,
            (false, true) => 0,
            (false, false) => 2,
        };
        let here = self.entries.values().filter(|entry| entry.subject == *of);
        let here = here.map(|entry| (rank(entry), Reverse(entry.time), entry.id));
        let waiting = waiting.filter(|order| order.subject == *of).map(|order| (1, Reverse(order.time), order.id));
        let mut all: Vec<_> = here.chain(waiting).collect();
        all.sort_unstable();
        all.into_iter().map(|(.., id)| id).take(Restore::MAX_LIFTS).collect()
    }

    /// SHA-256 over the ids that nodes may still pass on, ascending: equal sets, equal digests.
    pub fn digest(&self, now: UnixMs) -> Digest {
        let mut hasher = Hasher::new();
        for entry in self.to_gossip(now) {
            hasher.update(entry.id.as_bytes());
        }
        hasher.finish()
    }

    /// Forgets what can neither act nor count as a use any more; the ids to delete from the store.
    pub fn forget(&mut self, now: UnixMs) -> Vec<StatementId> {
        let kept = |entry: &Entry| {
            now.since(entry.time) <= limits::EMERGENCY_AGAIN || now.since(entry.first_seen) <= limits::EMERGENCY_AGAIN
        };
        let gone: Vec<StatementId> = self.entries.values().filter(|e| !kept(e)).map(|e| e.id).collect();
        for id in &gone {
            self.entries.remove(id);
        }
        gone
    }
}

/// Whether two uses are within the days in which one is allowed.
fn near(a: UnixMs, b: UnixMs) -> bool {
    a.since(b).max(b.since(a)) < limits::EMERGENCY_AGAIN
}

fn id_of(signed: &Bytes) -> Result<StatementId, Reason> {
    if signed.len() > limits::STATEMENT_BYTES {
        return Err(Reason::MessageTooLarge);
    }
    let (_, unverified) = statement::open(signed.clone()).map_err(|_| Reason::StatementMalformed)?;
    Ok(statement::id(&unverified.payload_digest()))
}

/// An emergency suspension that stewards signed, in time.
pub(super) struct Read {
    pub entry: Entry,
    pub author: AuthorityId,
    /// Version of the target's status that the author saw.
    pub version: u64,
    pub reason: SuspendReason,
}

/// Reads an emergency suspension of this federation; how many signatures it takes is asked elsewhere.
pub(super) fn read(signed: &Bytes, state: &RegisterState, now: UnixMs, verify: &dyn Verify) -> Result<Read, Reason> {
    let id = id_of(signed)?;
    let (statement, unverified) = statement::open(signed.clone()).map_err(|_| Reason::StatementMalformed)?;
    let (StatementBody::EmergencySuspend(EmergencySuspend { reason }), Some(subject)) =
        (&statement.body, statement.subject.authority())
    else {
        return Err(Reason::StatementKindUnknown);
    };
    if statement.federation != state.federation() {
        return Err(Reason::WrongFederation);
    }
    if !state.is_steward(&statement.author) {
        return Err(Reason::NotASteward);
    }
    let stewards =
        acts::steward_signers(state, &statement.author, &unverified, verify).ok_or(Reason::SignatureInvalid)?;
    if !acts::emergency_time_fits(statement.time, now) {
        return Err(Reason::EmergencyTimeInvalid);
    }
    let signed = Bytes::copy_from_slice(signed);
    let entry = Entry { id, subject: subject.clone(), stewards, time: statement.time, first_seen: now, signed };
    Ok(Read { entry, version: statement.subject_version, reason: *reason, author: statement.author })
}
