//! The directory view: the register as this node has verified it, with the suspension overlay on top.
//!
//! One immutable value, swapped per applied batch; reads take no lock and never leave the process. Maps are persistent
//! (structure is shared between versions), so a swap costs what changed. What merely lapses (a suspension, a pin) is
//! judged here by the clock of the caller; what the register decided stands in `Member`.

use std::sync::Arc;
use std::time::Duration;

use imbl::{HashMap, OrdMap};

use super::authority::{AuthorityEntry, KeyRecord, MemberStatus, PinnedKey, PublicKey};
use super::ids::{AuthorityId, Digest, FederationId, KeyId, Pin};
use super::light::Clocks;
use super::limits;
use super::mandate::IssuedMandate;
use super::time::{Millis, UnixMs};

/// A member as the register holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub entry: AuthorityEntry,
    /// Rises with every accepted change of the entry.
    pub version: u64,
    /// Rises with every accepted change of the status: nobody escapes a suspension by changing its own entry.
    pub status_version: u64,
    /// Newest last; the last one is current.
    pub keys: Vec<KeyRecord>,
    /// Absolute; `NEVER`: until restored.
    pub suspended_until: Option<UnixMs>,
    pub removed_at: Option<UnixMs>,
}

/// A steward and the Raft id it votes under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steward {
    pub authority: AuthorityId,
    pub raft_id: u64,
}

/// A place in the register: the founding that began its order is compared first (9.4). 0 until the order began anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub founding: u64,
    pub number: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.founding == 0 { write!(f, "{}", self.number) } else { write!(f, "{}.{}", self.founding, self.number) }
    }
}

/// What a majority of stewards may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub rules_version: u32,
    pub admission_approvals: u32,
    pub emergency: Millis,
    pub freshness_limit: Millis,
    pub beat_interval: Millis,
    pub snapshot_interval: u64,
    pub proposal_life: Millis,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rules_version: 1,
            admission_approvals: 2,
            emergency: Millis::hours(24),
            freshness_limit: Millis::minutes(10),
            beat_interval: Millis::seconds(15),
            snapshot_interval: 4_096,
            proposal_life: Millis::days(7),
        }
    }
}

/// The register at one change number, plus what the overlay denies and how fresh the beats are.
#[derive(Clone, Debug)]
pub struct DirectoryView {
    pub federation: FederationId,
    /// The founding that the number belongs to.
    pub founding: u64,
    pub number: u64,
    pub head: Digest,
    pub policy: Policy,
    pub stewards: Arc<Vec<Steward>>,
    pub members: OrdMap<AuthorityId, Arc<Member>>,
    /// When each was admitted the last time: one that was removed may have come back.
    pub admitted: OrdMap<AuthorityId, UnixMs>,
    /// Whose entry lists the pin. A pin stands in one entry only.
    pub pins: HashMap<Pin, AuthorityId>,
    /// By holder and issuer, ended ones too.
    pub mandates: OrdMap<(AuthorityId, AuthorityId), Arc<IssuedMandate>>,
    /// Denied by the overlay until the instant.
    pub overlay: OrdMap<AuthorityId, UnixMs>,
    /// Time of the oldest beat of the newest majority of stewards' beats; `None`: never had a majority.
    pub majority_beat: Option<UnixMs>,
    /// After a long silence: how many members have still to have the same head before these beats make anything fresh.
    pub sources_missing: usize,
    /// The last of them that confirmed the time, and when it came here.
    pub confirmed: Option<ConfirmedTime>,
}

/// A time that a majority of stewards confirmed by its beats, and this node's monotonic clock when it heard so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfirmedTime {
    pub beat: UnixMs,
    pub heard: Duration,
}

/// Nothing is known of any register.
impl Default for DirectoryView {
    fn default() -> Self {
        Self {
            federation: FederationId([0; 32]),
            founding: 0,
            number: 0,
            head: Digest([0; 32]),
            policy: Policy::default(),
            stewards: Arc::default(),
            members: OrdMap::new(),
            admitted: OrdMap::new(),
            pins: HashMap::new(),
            mandates: OrdMap::new(),
            overlay: OrdMap::new(),
            majority_beat: None,
            sources_missing: 0,
            confirmed: None,
        }
    }
}

impl DirectoryView {
    /// Founding and number.
    pub fn position(&self) -> Position {
        Position { founding: self.founding, number: self.number }
    }

    /// The member, whatever its status.
    pub fn member(&self, authority: &AuthorityId) -> Option<&Arc<Member>> {
        self.members.get(authority)
    }

    /// Register and overlay together: deny wins, no quorum needed (9.4).
    pub fn status(&self, authority: &AuthorityId, now: UnixMs) -> MemberStatus {
        let Some(member) = self.members.get(authority) else {
            return MemberStatus::Unknown;
        };
        if member.removed_at.is_some() {
            return MemberStatus::Removed;
        }
        let by_register = member.suspended_until.is_some_and(|until| now < until);
        let by_overlay = self.overlay.get(authority).is_some_and(|until| now < *until);
        if by_register || by_overlay { MemberStatus::Suspended } else { MemberStatus::Active }
    }

    /// Whether a pin of this authority counts: until its end, and for at most 90 days more while nothing can be ordered, since
    /// then nobody can publish another one (9.6); a steward's for these 90 days in any case, since without it nothing may be
    /// ordered: beats that are fresh say that stewards hear each other, not that they decide. The certificate has to be valid
    /// always: one issued anew for the same key is.
    pub fn holds(&self, authority: &AuthorityId, pinned: &PinnedKey, now: UnixMs) -> bool {
        let lapses = || now < pinned.valid_until + limits::LAPSED_PIN;
        now < pinned.valid_until || (lapses() && (!self.is_fresh(now) || self.is_steward(authority)))
    }

    /// The authority whose entry lists the pin and in whose entry it still counts.
    pub fn authority_of_pin(&self, pin: &Pin, now: UnixMs) -> Option<&AuthorityId> {
        let authority = self.pins.get(pin)?;
        let member = self.members.get(authority)?;
        let listed = member.entry.pins.iter().any(|p| p.pin == *pin && self.holds(authority, p, now));
        listed.then_some(authority)
    }

    /// The authority whose node serves this one: itself, or its host (9.6).
    pub fn host_of<'a>(&'a self, authority: &'a AuthorityId) -> Option<&'a AuthorityId> {
        let member = self.members.get(authority)?;
        Some(member.entry.hosted_by.as_ref().unwrap_or(authority))
    }

    /// A key of the authority that may verify now: current, or replaced less than 24 h ago and not compromised (9.3).
    pub fn verifying_key(&self, authority: &AuthorityId, key_id: &KeyId, now: UnixMs) -> Option<&PublicKey> {
        let member = self.members.get(authority)?;
        member
            .keys
            .iter()
            .find(|k| {
                k.key.id() == *key_id
                    && !k.compromised
                    && k.replaced_at.is_none_or(|at| now.since(at) < limits::REPLACED_KEY)
            })
            .map(|k| &k.key)
    }

    /// A key of the authority that was not withdrawn, however long ago it was replaced: what it signed about itself then
    /// is still its own word (9.10).
    pub fn unwithdrawn_key(&self, authority: &AuthorityId, key_id: &KeyId) -> Option<&PublicKey> {
        let keys = &self.members.get(authority)?.keys;
        keys.iter().find(|k| k.key.id() == *key_id && !k.compromised).map(|k| &k.key)
    }

    /// Whether the authority votes in the register.
    pub fn is_steward(&self, authority: &AuthorityId) -> bool {
        self.stewards.iter().any(|s| s.authority == *authority)
    }

    /// More than half of the stewards.
    pub fn majority(&self) -> usize {
        self.stewards.len() / 2 + 1
    }

    /// The time by which things are destroyed: the last majority beat and what has passed since by a clock that nobody sets;
    /// `None` when that is longer ago than the policy's limit, and then nothing is destroyed by date (9.3).
    pub fn confirmed_time(&self, monotonic: Duration) -> Option<UnixMs> {
        let ConfirmedTime { beat, heard } = self.confirmed?;
        let passed = Millis(i64::try_from(monotonic.saturating_sub(heard).as_millis()).unwrap_or(i64::MAX));
        (passed <= self.policy.freshness_limit).then(|| beat + passed)
    }

    /// The time by which things are neither shown nor sent any more: the later of this clock's and the confirmed one; while
    /// none is confirmed, of this clock's and the last stored one (9.3).
    pub fn closing_time(&self, clocks: Clocks, last_stored: UnixMs) -> UnixMs {
        clocks.wall.max(self.confirmed_time(clocks.monotonic).unwrap_or(last_stored))
    }

    /// Whether beats of a majority of stewards are recent enough for content about a person, and not from a clock far
    /// ahead of ours; after a long silence, once members have the same head as well (9.4).
    pub fn is_fresh(&self, now: UnixMs) -> bool {
        self.sources_missing == 0 && self.is_confirmed_lately(now)
    }

    /// Whether a majority of stewards is heard, whatever else it takes to be fresh.
    pub fn is_confirmed_lately(&self, now: UnixMs) -> bool {
        self.majority_beat
            .is_some_and(|at| now.since(at) <= self.policy.freshness_limit && at.since(now) <= limits::BEAT_AHEAD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{NOW, kehl, member, view};

    #[test]
    fn a_lapsed_pin_counts_for_ninety_days_as_long_as_nothing_can_be_ordered() {
        let (pin, end) = (Pin([7; 32]), NOW);
        let mut view = view();
        let mut listing = member(kehl(), 2);
        listing.entry.pins = vec![PinnedKey { pin, valid_until: end, proof: Default::default() }];
        view.members.insert(kehl(), Arc::new(listing));
        view.pins.insert(pin, kehl());
        let counts = |view: &DirectoryView, now| view.authority_of_pin(&pin, now).is_some();
        let last = end + Millis::days(90) - Millis(1);
        view.majority_beat = None;
        assert!(counts(&view, end - Millis(1)) && counts(&view, end) && counts(&view, last));
        assert!(!counts(&view, end + Millis::days(90)), "ninety days, and no more");
        let limit = view.policy.freshness_limit;
        view.majority_beat = Some(end - limit);
        assert!(!counts(&view, end), "a majority was heard: another pin could be published");
        assert!(counts(&view, end + Millis(1)), "it has been silent for longer than the limit");
        view.majority_beat = Some(last);
        assert!(!counts(&view, last));

        // Two stewards that were both silent for that long hear each other again, and decide nothing without their pins.
        view.stewards = Arc::new(vec![Steward { authority: kehl(), raft_id: 7 }]);
        assert!(counts(&view, last), "a steward's");
        view.majority_beat = Some(end + Millis::days(90));
        assert!(!counts(&view, end + Millis::days(90)), "ninety days, and no more");
        view.majority_beat = Some(last);
        view.stewards = Arc::default();
        let mut endless = Member::clone(&view.members[&kehl()]);
        endless.entry.pins[0].valid_until = UnixMs::NEVER;
        view.members.insert(kehl(), Arc::new(endless));
        assert!(counts(&view, UnixMs(i64::MAX - 1)), "one without an end needs none of this");
    }
}
