//! Agreements between authorities: parties, grants, dates, their life (9.7), their index and their words.
//!
//! What lives here: what all parties sign, how it stands at an instant, the immutable index of a node's agreements
//! (`set`), what comes due (`reminders`), what a grant means in plain sentences (`words`), and what changes with an agreement
//! (`difference`). What does not: the one question (`policy`), signatures
//! (`wire`). Invariant: an agreement that ended or lapsed is in force for nobody, whoever asks and however.

mod difference;
mod reminders;
pub mod set;
mod transfer;
mod words;

pub use crate::records::agreement::{AgreementEnd, AgreementEndReason};
pub use crate::records::grant::{Grant, Usage};
pub use difference::Difference;
pub use reminders::{AgreementDue, Reminder};
pub use set::{AgreedGrant, AgreementSet};
pub use transfer::{Transfer, TransferBasis};

use std::sync::Arc;

use crate::closed::closed_enum;
use crate::fault::{Fault, check_list};
use crate::handling::Purpose;
use crate::ids::{AgreementId, AuthorityId, FederationId};
use crate::limits;
use crate::record::{RecordKind, StreamClass};
use crate::records::alert::AlertKind;
use crate::records::grant::invalid;
use crate::records::offer::ServiceKind;
use crate::time::{Millis, UnixMs};

closed_enum! {
    /// A party's place on the corridor (Resolution 196 §12.e).
    pub enum CorridorRole { Origin = 1 => "ORIGIN", Transit = 2 => "TRANSIT", Destination = 3 => "DESTINATION" }
}

closed_enum! {
    /// Life of an agreement as a node sees it. DRAFT has no number on the wire: a draft is never sent.
    pub enum AgreementState { Proposed = 1 => "PROPOSED", InForce = 2 => "IN_FORCE", Ended = 3 => "ENDED", Expired = 4 => "EXPIRED", Unconfirmed = 5 => "UNCONFIRMED" }
}

/// A party, its places on the corridor, and on what data go to it from abroad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    pub authority: AuthorityId,
    pub corridor_roles: Vec<CorridorRole>,
    pub transfers: Vec<Transfer>,
}

/// What all parties sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    pub federation: FederationId,
    pub parties: Vec<Party>,
    pub grants: Vec<Grant>,
    pub created: UnixMs,
    pub review_by: UnixMs,
    /// Makes two agreements of the same content differ.
    pub nonce: [u8; 16],
    pub proposer: AuthorityId,
}

/// An agreement as a node holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldAgreement {
    /// SHA-256 of the payload that all parties sign.
    pub id: AgreementId,
    pub agreement: Arc<Agreement>,
    /// Every party's signature is stored here.
    pub complete: bool,
    /// Who left, in the order in which it became known.
    pub ends: Vec<AgreementEnd>,
    /// Since a restore nobody has said that it still holds: it may have been ended after the backup was made.
    pub unconfirmed: bool,
}

/// How a grant stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantState {
    /// Not all signatures are stored here.
    Incomplete,
    NotYet,
    InForce,
    /// It waits for confirmation since a restore: what is under it waits too.
    Unconfirmed,
    /// A party left.
    Ended,
    /// Past its dates.
    Expired,
}

/// Longest span of a grant: nothing is eternal.
const GRANT_LIFE: Millis = limits::RECORD_LIFE;

impl Agreement {
    /// Whether the authority is a party.
    pub fn is_party(&self, authority: &AuthorityId) -> bool {
        self.parties.iter().any(|p| p.authority == *authority)
    }

    /// The party that this authority is.
    pub fn party(&self, authority: &AuthorityId) -> Option<&Party> {
        self.parties.iter().find(|p| p.authority == *authority)
    }

    /// Whether it holds together: parties, directions, lists, dates.
    ///
    /// # Errors
    /// `AGREEMENT_INVALID` or a field reason, naming the field.
    pub fn check(&self) -> Result<(), Fault> {
        if self.parties.len() < 2 {
            return Err(invalid("parties", "two at least"));
        }
        let parties: Vec<&AuthorityId> = self.parties.iter().map(|p| &p.authority).collect();
        check_list("parties", &parties, limits::PARTIES)?;
        for (i, party) in self.parties.iter().enumerate() {
            let roles = check_list("corridor_roles", &party.corridor_roles, CorridorRole::ALL.len());
            let checked = roles.and_then(|()| party.check_transfers(self.created));
            checked.map_err(|f| f.within(&format!("parties[{i}]")))?;
        }
        if !self.is_party(&self.proposer) {
            return Err(invalid("proposer", "one of the parties"));
        }
        if self.grants.is_empty() {
            return Err(invalid("grants", "one at least"));
        }
        check_list("grants", &self.grants, limits::GRANTS)?;
        if self.review_by <= self.created || self.review_by > self.created + GRANT_LIFE {
            return Err(invalid("review_by_ms", "after created_ms, within five years"));
        }
        for (i, grant) in self.grants.iter().enumerate() {
            grant.check(self).map_err(|f| f.within(&format!("grants[{i}]")))?;
        }
        Ok(())
    }
}

impl Grant {
    fn check(&self, agreement: &Agreement) -> Result<(), Fault> {
        for (field, party) in [("from", &self.from), ("to", &self.to)] {
            if !agreement.is_party(party) {
                return Err(invalid(field, "one of the parties"));
            }
        }
        if self.from == self.to {
            return Err(invalid("to", "another party than from"));
        }
        self.check_lists()?;
        if self.retention <= Millis(0) || self.retention > limits::RECORD_LIFE {
            return Err(invalid("retention_ms", "more than 0, at most five years"));
        }
        if self.valid_until <= self.valid_from || self.valid_until.since(self.valid_from) > GRANT_LIFE {
            return Err(invalid("valid_until_ms", "after valid_from_ms, within five years of it"));
        }
        Ok(())
    }

    fn check_lists(&self) -> Result<(), Fault> {
        check_list("record_kinds", &self.record_kinds, RecordKind::ALL.len())?;
        check_list("alert_kinds", &self.alert_kinds, AlertKind::ALL.len())?;
        check_list("service_kinds", &self.service_kinds, ServiceKind::ALL.len())?;
        check_list("purposes", &self.purposes, Purpose::ALL.len())?;
        if self.record_kinds.is_empty() {
            return Err(invalid("record_kinds", "one at least"));
        }
        if self.record_kinds.iter().any(|k| k.class() == StreamClass::Control) {
            return Err(invalid("record_kinds", "content only"));
        }
        if self.purposes.is_empty() {
            return Err(invalid("purposes", "one at least"));
        }
        RecordKind::check_grant(self)
    }
}

impl HeldAgreement {
    /// How the agreement as a whole stands.
    pub fn state(&self, now: UnixMs) -> AgreementState {
        if self.ended_at().is_some_and(|at| at <= now) {
            AgreementState::Ended
        } else if self.agreement.grants.iter().all(|g| g.valid_until <= now) {
            AgreementState::Expired
        } else if self.complete && self.unconfirmed {
            AgreementState::Unconfirmed
        } else if self.complete {
            AgreementState::InForce
        } else {
            AgreementState::Proposed
        }
    }

    /// When the party left, if it did: its earliest notice counts.
    pub fn left_at(&self, party: &AuthorityId) -> Option<UnixMs> {
        self.ends.iter().filter(|e| e.by == *party).map(|e| e.at).min()
    }

    /// When fewer than two parties were left.
    pub fn ended_at(&self) -> Option<UnixMs> {
        self.ended().map(|end| end.at)
    }

    /// Whose leaving left fewer than two parties: what ended it for all.
    pub fn ended(&self) -> Option<&AgreementEnd> {
        let parties = &self.agreement.parties;
        let first_of = |p: &Party| self.ends.iter().filter(|e| e.by == p.authority).min_by_key(|e| e.at);
        let mut left: Vec<&AgreementEnd> = parties.iter().filter_map(first_of).collect();
        left.sort_by_key(|end| end.at);
        left.get(parties.len().checked_sub(2)?).copied()
    }

    /// How one of its grants stands for a sender at this instant.
    pub fn grant_state(&self, grant: &Grant, now: UnixMs) -> GrantState {
        let ends = [self.left_at(&grant.from), self.left_at(&grant.to), self.ended_at()];
        if ends.into_iter().flatten().any(|at| at <= now) {
            GrantState::Ended
        } else if !self.complete {
            GrantState::Incomplete
        } else if now >= grant.valid_until {
            GrantState::Expired
        } else if self.unconfirmed {
            GrantState::Unconfirmed
        } else if now < grant.valid_from {
            GrantState::NotYet
        } else {
            GrantState::InForce
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;
    use crate::samples::*;

    fn leave(held: &mut HeldAgreement, by: AuthorityId, at: UnixMs) {
        held.ends.push(AgreementEnd { agreement: held.id, by, at, reason: AgreementEndReason::NoLongerNeeded });
    }

    #[test]
    fn a_life_from_proposal_to_its_end() {
        let mut one = twinning();
        one.complete = false;
        assert_eq!(one.state(NOW), AgreementState::Proposed);
        one.complete = true;
        assert_eq!(one.state(NOW), AgreementState::InForce);
        assert_eq!(one.state(NOW + Millis::days(300)), AgreementState::Expired);
        leave(&mut one, kehl(), NOW);
        assert_eq!(one.state(NOW - Millis(1)), AgreementState::InForce);
        assert_eq!(one.state(NOW), AgreementState::Ended);
        assert_eq!(one.grant_state(&one.agreement.grants[0], NOW), GrantState::Ended);
    }

    #[test]
    fn unconfirmed_it_covers_nothing_its_partners_stay_and_an_end_closes_it() {
        let mut one = twinning();
        one.unconfirmed = true;
        assert_eq!(one.state(NOW), AgreementState::Unconfirmed);
        assert_eq!(one.grant_state(&one.agreement.grants[0], NOW), GrantState::Unconfirmed);
        let set = AgreementSet::new([one.clone()]);
        assert!(set.partners(&strasbourg(), NOW).into_iter().eq([kehl()]), "they are asked, and greeted");
        assert_eq!(one.state(NOW + Millis::days(300)), AgreementState::Expired);
        leave(&mut one, kehl(), NOW);
        assert_eq!(one.state(NOW), AgreementState::Ended);
        assert_eq!(one.grant_state(&one.agreement.grants[0], NOW), GrantState::Ended);
    }

    #[test]
    fn of_three_parties_one_leaves_alone_and_the_second_ends_it() {
        let (a, b, c) = (strasbourg(), kehl(), esch());
        let grants = vec![grant(a.clone(), b.clone()), grant(b.clone(), c.clone()), grant(c.clone(), a.clone())];
        let mut one = held(1, agreement_of(&[a.clone(), b.clone(), c.clone()], grants));
        leave(&mut one, c.clone(), NOW);
        assert_eq!(one.state(NOW), AgreementState::InForce);
        let states: Vec<_> = one.agreement.grants.iter().map(|g| one.grant_state(g, NOW)).collect();
        assert_eq!(states, [GrantState::InForce, GrantState::Ended, GrantState::Ended]);
        let set = AgreementSet::new([one.clone()]);
        assert!(set.partners(&a, NOW).into_iter().eq([b.clone()]));
        assert!(set.partners(&c, NOW).is_empty());
        leave(&mut one, b, NOW + Millis(5));
        assert_eq!(one.ended_at(), Some(NOW + Millis(5)));
        assert_eq!(one.ended().map(|end| &end.by), Some(&kehl()));
        assert_eq!(one.state(NOW + Millis(5)), AgreementState::Ended);
    }

    #[test]
    fn what_does_not_hold_together_is_refused_with_its_field() {
        type Spoil = fn(&mut Agreement);
        let spoilt: [(Spoil, &str); 14] = [
            (|a| a.parties.truncate(1), "parties"),
            (|a| a.parties[1] = a.parties[0].clone(), "parties[1]"),
            (|a| a.parties[1].authority = authority("ch-basel"), "parties[1].transfers"),
            (|a| a.parties[0].corridor_roles = vec![CorridorRole::Origin; 2], "parties[0].corridor_roles[1]"),
            (|a| a.proposer = esch(), "proposer"),
            (|a| a.grants.clear(), "grants"),
            (|a| a.review_by = a.created, "review_by_ms"),
            (|a| a.grants[1].to = esch(), "grants[1].to"),
            (|a| a.grants[0].to = a.grants[0].from.clone(), "grants[0].to"),
            (|a| a.grants[0].record_kinds = vec![RecordKind::AgreementEnd], "grants[0].record_kinds"),
            (|a| a.grants[0].alert_kinds.clear(), "grants[0].alert_kinds"),
            (|a| a.grants[0].disclosure_level = None, "grants[0].disclosure_level"),
            (|a| a.grants[0].retention = Millis(0), "grants[0].retention_ms"),
            (|a| a.grants[0].valid_until = a.grants[0].valid_from, "grants[0].valid_until_ms"),
        ];
        let whole = Arc::unwrap_or_clone(twinning().agreement);
        assert_eq!(whole.check(), Ok(()));
        for (spoil, field) in spoilt {
            let mut agreement = whole.clone();
            spoil(&mut agreement);
            let fault = agreement.check().unwrap_err();
            assert_eq!(fault.field, field, "{fault:?}");
            assert!(matches!(fault.reason, Reason::AgreementInvalid | Reason::FieldInvalid));
        }
    }

    #[test]
    fn the_words_say_what_is_granted() {
        let before = twinning().agreement;
        let words = before.grants[0].in_words();
        assert_eq!(words.len(), 3);
        assert!(
            words[2].starts_with("de-kehl sees the capacity of fr-strasbourg as bands: long term refuge"),
            "{}",
            words[2]
        );
    }

    #[test]
    fn lookups_find_a_direction_and_a_reference() {
        let set = AgreementSet::new([twinning()]);
        let found: Vec<_> = set.grants(&strasbourg(), &kehl()).map(|h| h.reference.number).collect();
        assert_eq!(found, [0]);
        assert_eq!(set.grants(&strasbourg(), &esch()).count(), 0);
        let reference = crate::envelope::GrantRef { agreement: twinning().id, number: 1 };
        assert_eq!(set.grant(&reference).unwrap().grant.to, strasbourg());
        assert_eq!(set.recipients_of(&strasbourg()).collect::<Vec<_>>(), [&kehl()]);
    }
}
