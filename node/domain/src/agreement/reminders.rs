//! What of the agreements in force comes to its end, or to its review, soon.

use std::sync::Arc;

use super::{AgreementSet, AgreementState, Grant, HeldAgreement};
use crate::closed::closed_enum;
use crate::ids::{AgreementId, AuthorityId};
use crate::limits;
use crate::time::UnixMs;

closed_enum! {
    /// What comes due.
    pub enum AgreementDue {
        /// A grant ends, and no other agreement in force goes on with it.
        Ends = 1 => "ENDS",
        /// The parties wanted to look at it again.
        Review = 2 => "REVIEW",
        /// The basis for transfers to a party ends: what concerns a person stops towards it.
        TransferLapses = 3 => "TRANSFER_LAPSES",
    }
}

/// One thing to do about an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminder {
    pub agreement: AgreementId,
    pub due: AgreementDue,
    /// It may lie in the past: for a review that nobody held, or a basis that is gone.
    pub at: UnixMs,
    /// The other parties that have not left; of a transfer, who it goes to.
    pub about: Vec<AuthorityId>,
}

impl AgreementSet {
    /// What is due within `limits::AGREEMENT_REMINDER`, for the authorities of a node; what is due first, first.
    pub fn reminders(&self, ours: &[AuthorityId], now: UnixMs) -> Vec<Reminder> {
        let stays = |held: &HeldAgreement, party: &AuthorityId| {
            held.agreement.is_party(party) && held.left_at(party).is_none_or(|at| now < at)
        };
        let in_force = |held: &&Arc<HeldAgreement>| {
            held.state(now) == AgreementState::InForce && ours.iter().any(|party| stays(held, party))
        };
        let mut reminders: Vec<Reminder> = Vec::new();
        for held in self.all().filter(in_force) {
            let parties = held.agreement.parties.iter().map(|party| &party.authority);
            let others = parties.filter(|party| !ours.contains(party) && stays(held, party));
            let about: Vec<AuthorityId> = others.cloned().collect();
            let reminder =
                |due, at, about: &[AuthorityId]| Reminder { agreement: held.id, due, at, about: about.to_vec() };
            let ends = held.agreement.grants.iter().filter(|grant| {
                now < grant.valid_until && [&grant.from, &grant.to].iter().all(|party| stays(held, party))
            });
            let ends = ends.filter(|grant| !self.goes_on(held, grant, now)).map(|grant| grant.valid_until).min();
            let transfers = held.agreement.parties.iter().filter(|party| stays(held, &party.authority));
            let transfers = transfers
                .flat_map(|party| party.transfers.iter().map(|t| (t.until, std::slice::from_ref(&party.authority))));
            reminders.extend(ends.map(|at| reminder(AgreementDue::Ends, at, &about)));
            reminders.push(reminder(AgreementDue::Review, held.agreement.review_by, &about));
            reminders.extend(transfers.map(|(at, to)| reminder(AgreementDue::TransferLapses, at, to)));
        }
        reminders.retain(|reminder| reminder.at <= now + limits::AGREEMENT_REMINDER);
        reminders.sort_by_key(|reminder| (reminder.at, reminder.agreement, reminder.due));
        reminders
    }

    /// Whether another agreement in force grants the same for longer.
    fn goes_on(&self, held: &HeldAgreement, grant: &Grant, now: UnixMs) -> bool {
        self.grants(&grant.from, &grant.to).any(|other| {
            let dated =
                Grant { valid_from: other.grant.valid_from, valid_until: other.grant.valid_until, ..grant.clone() };
            other.held.id != held.id
                && other.held.state(now) == AgreementState::InForce
                && other.grant.valid_until > grant.valid_until
                && dated == *other.grant
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::{AgreementEnd, AgreementEndReason};
    use crate::samples::*;
    use crate::time::Millis;

    fn due(set: &AgreementSet, now: UnixMs) -> Vec<(AgreementDue, UnixMs)> {
        set.reminders(&[strasbourg()], now).into_iter().map(|reminder| (reminder.due, reminder.at)).collect()
    }

    #[test]
    fn an_end_and_a_review_are_told_a_month_before_and_only_to_parties_of_what_is_in_force() {
        let (mut one, ahead) = (twinning(), limits::AGREEMENT_REMINDER);
        Arc::make_mut(&mut one.agreement).review_by = NOW + Millis::days(250);
        let (end, review) = (one.agreement.grants[0].valid_until, one.agreement.review_by);
        let set = AgreementSet::new([one.clone()]);
        let first = end.min(review) - ahead;
        assert_eq!(due(&set, first - Millis(1)), []);
        let told = set.reminders(&[strasbourg()], first);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].about, [kehl()]);
        assert_eq!(set.reminders(&[esch()], first), []);
        let both = due(&set, end.max(review) - ahead);
        assert!(
            both.contains(&(AgreementDue::Ends, end)) && both.contains(&(AgreementDue::Review, review)),
            "{both:?}"
        );
        let mut left = one;
        left.ends.push(AgreementEnd { agreement: left.id, by: kehl(), at: first, reason: AgreementEndReason::Breach });
        assert_eq!(due(&AgreementSet::new([left]), first), []);
    }

    #[test]
    fn what_was_renewed_is_not_told_again_until_its_new_end() {
        let one = twinning();
        let end = one.agreement.grants[0].valid_until;
        let mut renewed = held(7, Arc::unwrap_or_clone(one.agreement.clone()));
        let agreement = Arc::make_mut(&mut renewed.agreement);
        agreement.grants.iter_mut().for_each(|grant| grant.valid_until = end + Millis::days(365));
        agreement.review_by = end + Millis::days(365);
        let ends = |set: &AgreementSet| due(set, end - Millis(1)).iter().any(|(due, _)| *due == AgreementDue::Ends);
        assert!(ends(&AgreementSet::new([one.clone()])));
        assert!(!ends(&AgreementSet::new([one.clone(), renewed.clone()])));
        renewed.complete = false;
        assert!(ends(&AgreementSet::new([one, renewed])), "a proposal goes on with nothing");
    }

    #[test]
    fn a_basis_that_lapses_names_whom_data_stop_going_to() {
        let mut one = twinning();
        let until = NOW + Millis::days(10);
        let country = crate::country::Country::parse("ch").unwrap();
        let (basis, document) = (crate::agreement::TransferBasis::Adequacy, crate::ids::Digest([1; 32]));
        let transfer = crate::agreement::Transfer { country, basis, until, document };
        Arc::make_mut(&mut one.agreement).parties[1].transfers.push(transfer);
        let set = AgreementSet::new([one]);
        for now in [NOW, until + Millis::days(1)] {
            let told = set.reminders(&[strasbourg()], now);
            let lapses = told.iter().find(|reminder| reminder.due == AgreementDue::TransferLapses).unwrap();
            assert_eq!((lapses.at, lapses.about.as_slice()), (until, [kehl()].as_slice()));
        }
    }
}
