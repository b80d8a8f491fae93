//! Who may follow an event: sets of roles, each with why.
//!
//! What lives here: the sets. What does not: which event has which (`events`). Invariant: what is said about records of a kind
//! is followed by the roles that may read that kind, and by those that answer for what was shared; who runs the node follows
//! nothing that is about records or persons.

use crate::domain::audit::ActorRole;
use crate::domain::record::RecordKind;
use crate::domain::records::Verb;

/// Who may follow an event.
#[derive(Debug, PartialEq, Eq)]
pub struct Audience {
    pub roles: &'static [ActorRole],
    /// Beside these, each role that may read the kind of the records that it counts.
    pub by_kind: bool,
    /// Whether the log has it too.
    pub logged: bool,
}

impl Audience {
    const fn logged(roles: &'static [ActorRole]) -> Self {
        Self { roles, by_kind: false, logged: true }
    }

    const fn unlogged(roles: &'static [ActorRole]) -> Self {
        Self { logged: false, ..Self::logged(roles) }
    }

    /// Whether the role may follow it, where it counts records of this kind.
    pub fn has(&self, role: ActorRole, kind: Option<RecordKind>) -> bool {
        let reads = |kind: RecordKind| kind.open_to(Verb::Read, role).is_ok();
        self.roles.contains(&role) || self.by_kind && kind.is_some_and(reads)
    }

    /// Whether the role may follow any of it.
    pub fn is_open_to(&self, role: ActorRole) -> bool {
        self.has(role, None) || RecordKind::ALL.iter().any(|kind| self.has(role, Some(*kind)))
    }
}

/// The roles that have a door.
pub(super) const DOORS: &[ActorRole] = &[
    ActorRole::Operator,
    ActorRole::Coordinator,
    ActorRole::Publisher,
    ActorRole::Consumer,
    ActorRole::DataProtection,
    ActorRole::Inspection,
    ActorRole::Liaison,
];

/// Whether the node runs, and who takes part: as `GetStatus` and `ListMembers` tell it.
pub(super) const EVERYONE: Audience = Audience::logged(DOORS);

/// The process, its storage, the register, certificates, and whoever knocks.
pub(super) const OPERATOR: Audience = Audience::logged(&[ActorRole::Operator]);

/// Severe acts about a member: who does them, and who answers for what passes.
pub(super) const ANSWERABLE: Audience = Audience::logged(&[ActorRole::Operator, ActorRole::DataProtection]);

/// What cases depend on: mandates, and whether content about persons passes.
pub(super) const CASEWORK: Audience =
    Audience::logged(&[ActorRole::Operator, ActorRole::Coordinator, ActorRole::DataProtection]);

/// Decisions of the register that wait: who votes for the city, and who is asked what it thinks.
pub(super) const DECIDING: Audience = Audience::logged(&[ActorRole::Operator, ActorRole::Coordinator]);

/// Whether a partner is there: who sends to it.
pub(super) const SENDING: Audience =
    Audience::logged(&[ActorRole::Operator, ActorRole::Coordinator, ActorRole::Publisher, ActorRole::Inspection]);

/// Agreements, and what partners did not take: as `ListAgreements` and `ListDeliveries` tell it.
pub(super) const AGREED: Audience =
    Audience::logged(&[ActorRole::Operator, ActorRole::Coordinator, ActorRole::Publisher, ActorRole::DataProtection]);

/// Records of a kind: who reads it.
pub(super) const READERS: Audience = Audience { by_kind: true, ..Audience::unlogged(&[]) };

/// Records that pass between cities: who reads the kind, and who accounts for all of them.
pub(super) const ACCOUNTED: Audience = Audience { by_kind: true, ..PROTECTION };

/// What was read for a person.
pub(super) const PROTECTION: Audience = Audience::unlogged(&[ActorRole::DataProtection]);

/// What a person lets be shared, and what is erased: as `ShowAgreementsToShare` and `ListErasures` tell it.
pub(super) const PERSONS: Audience = Audience::unlogged(&[ActorRole::Coordinator, ActorRole::DataProtection]);

/// Places that are held: as `ListHolds` tells it.
pub(super) const PLACES: Audience = Audience::unlogged(&[ActorRole::Coordinator]);

/// Who looks at this city's places more often than one looks for a place: whose places they are, and who calls that city.
pub(super) const LOOKED_AT: Audience = Audience::logged(&[ActorRole::Operator, ActorRole::Coordinator]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::journal::Event;

    fn followed(role: ActorRole) -> Vec<Event> {
        Event::ALL.iter().copied().filter(|event| event.audience().is_open_to(role)).collect()
    }

    #[test]
    fn each_event_has_its_roles_and_each_role_its_events() {
        for event in Event::ALL {
            let followers = DOORS.iter().filter(|role| event.audience().is_open_to(**role)).count();
            assert!(followers > 0, "nobody may follow {}", event.name());
            let doors = event.audience().roles.iter().all(|role| DOORS.contains(role));
            assert!(doors, "{}: a role without a door", event.name());
        }
        let numbers = DOORS.iter().map(|role| followed(*role).len()).collect::<Vec<_>>();
        assert_eq!(numbers, [49, 34, 18, 11, 27, 13, 8], "by role: {DOORS:?}");
        assert!(followed(ActorRole::Peer).is_empty() && followed(ActorRole::Node).is_empty());
    }

    #[test]
    fn who_runs_the_node_follows_the_log_and_nothing_about_records_or_persons() {
        for event in Event::ALL {
            let audience = event.audience();
            assert_eq!(audience.is_open_to(ActorRole::Operator), audience.logged, "{}", event.name());
        }
    }

    #[test]
    fn records_of_a_kind_are_followed_by_who_reads_the_kind() {
        for (kind, role) in RecordKind::ALL.iter().flat_map(|kind| DOORS.iter().map(move |role| (*kind, *role))) {
            let reads = kind.open_to(Verb::Read, role).is_ok();
            assert_eq!(READERS.has(role, Some(kind)), reads, "{role} {kind}");
            let accounts = role == ActorRole::DataProtection;
            assert_eq!(ACCOUNTED.has(role, Some(kind)), reads || accounts, "{role} {kind}");
            assert!(!READERS.has(role, None), "{role}: of which kind is not known");
        }
    }
}
