//! What a person agreed to: whether it was given, and whether it opens one scope, purpose and recipient at one instant.

use super::clause::Clause;
use super::facts::*;
use super::rule::Rule;
use super::share::*;

/// The newest giving: when, by whom, how, and until when it has to be confirmed again.
struct Giving {
    at: At,
    decider: Decider,
    circumstances: Circumstances,
    reconfirm_by: At,
}

impl Rule {
    /// Whether this, said now, counts as given. `case` is all that was said about her before.
    pub fn is_given(
        &self,
        register: &[Authority],
        share: &Share,
        decider: Decider,
        how: Circumstances,
        case: &[Share],
        now: At,
    ) -> bool {
        let vital = matches!(decider, Decider::Vital { .. });
        let short = |scope: &ScopeTerms| scope.expires <= now + 72 * HOUR;
        self.terms_hold(register, share, now)
            && self.may_decide(share, decider, case)
            && (!vital || self.asks(Clause::VitalEnds, share.scopes.iter().all(short)))
            && (vital || self.is_free(how))
            && (vital || !provisional(how) || self.asks(Clause::HelpOnly, share.scopes.iter().all(|s| help(s.scope))))
    }

    /// Whether this, said now, counts as confirmed again.
    pub fn is_confirmed(&self, share: &Share, decider: Decider, how: Circumstances, until: At, now: At) -> bool {
        let over = share.scopes.iter().all(|scope| now >= scope.expires);
        given(share).is_some_and(|newest| !matches!(newest.decider, Decider::Vital { .. }))
            && !said_no(share)
            && !over
            && !matches!(decider, Decider::Vital { .. })
            && self.may_decide(share, decider, &[])
            && self.is_free(how)
            && self.asks(Clause::ConfirmedElsewhere, !provisional(how))
            && self.asks(Clause::LongestLife, until > now && until <= now + 365 * DAY)
    }

    /// Whether somebody may approve what was decided for vital interests.
    pub fn is_approved(&self, share: &Share, by: u8, officer: bool, now: At) -> bool {
        let Some(newest) = given(share) else { return false };
        let Decider::Vital { by: decided } = newest.decider else { return false };
        // What is approved already is open, and nobody decides anew.
        let closed = !approved(share) && now >= newest.at + 24 * HOUR;
        !said_no(share)
            && self.asks(Clause::SecondPerson, by != decided)
            && self.asks(Clause::OfficerAlone, officer || !closed)
            && now < newest.at + 72 * HOUR
            && (closed || now < newest.reconfirm_by && share.scopes.iter().any(|scope| now < scope.expires))
    }

    /// Whether she lets this be shared with this recipient now. `counted`: its use stands among those of before.
    pub fn opens(
        &self,
        node: &Node,
        share: &Share,
        asked: (Scope, Purpose, Who),
        counted: bool,
        now: At,
    ) -> Option<(At, At)> {
        let (scope, purpose, recipient) = asked;
        let alive = self.asks(Clause::Withdrawn, !said_no(share)) && self.still_given(share, scope, now);
        let terms = share.scopes.iter().find(|terms| terms.scope == scope);
        let terms = match terms {
            None if self.without == Some(Clause::ScopeNamed) => share.scopes.first(),
            other => other,
        }?;
        let shared = share.shared.iter().filter(|of| **of == terms.scope).count() as u32;
        let open = alive
            && self.asks(Clause::PurposeNamed, terms.purposes.contains(&purpose))
            && self.asks(Clause::ScopeEnds, now < terms.expires)
            && (counted || self.asks(Clause::UsesLeft, shared < terms.uses))
            && self.reaches(node, share, terms, recipient);
        let end = given(share).filter(|newest| matches!(newest.decider, Decider::Vital { .. }));
        let ends = end.map_or(terms.expires, |newest| terms.expires.min(newest.at + 72 * HOUR));
        open.then_some((ends, terms.erase_by))
    }

    fn reaches(&self, node: &Node, share: &Share, terms: &ScopeTerms, recipient: Who) -> bool {
        let to = node.register[recipient];
        let host = to.host.map(|host| node.register[host].country);
        let allowed = |country: &Country| terms.countries.contains(country);
        let excluded = |country: &Country| share.excluded_countries.contains(country);
        self.asks(Clause::RecipientNamed, terms.recipients.contains(&recipient))
            && self.asks(Clause::CountryNamed, allowed(&to.country))
            && self.asks(Clause::CountryOfHost, host.as_ref().is_none_or(allowed))
            && self.asks(Clause::ExcludedRecipient, !share.excluded.contains(&recipient))
            && self.asks(Clause::ExcludedHost, to.host.is_none_or(|host| !share.excluded.contains(&host)))
            && self.asks(Clause::ExcludedCountry, !excluded(&to.country) && !host.as_ref().is_some_and(excluded))
    }

    fn still_given(&self, share: &Share, scope: Scope, now: At) -> bool {
        let Some(newest) = given(share) else { return self.without == Some(Clause::Given) };
        if let Decider::Vital { .. } = newest.decider {
            return self.asks(Clause::VitalEnds, now < newest.at + 72 * HOUR)
                && self.asks(Clause::VitalApproved, approved(share) || now < newest.at + 24 * HOUR)
                && self.asks(Clause::Reconfirm, now < newest.reconfirm_by);
        }
        let unsure = provisional(newest.circumstances);
        // What was dictated under duress stays so: confirmed by somebody who is free it is still not hers.
        let duress = share.events.iter().any(|event| match event {
            Event::Given(_, _, how) | Event::Confirmed(_, _, how, _) => how.duress,
            Event::Approved(..) | Event::Refused | Event::Withdrawn => false,
        });
        self.asks(Clause::Duress, !duress)
            && (!unsure || self.asks(Clause::Two, now < newest.at + 48 * HOUR))
            && (!unsure || self.asks(Clause::HelpOnly, help(scope)))
            && self.asks(Clause::Reconfirm, now < newest.reconfirm_by)
    }

    fn terms_hold(&self, register: &[Authority], share: &Share, now: At) -> bool {
        // Who is named and excluded, or named and of no country that is, is not known to be meant: unknown is invalid.
        let meant = |scope: &ScopeTerms, who: Who| {
            let country = register[who].country;
            self.asks(Clause::CountryNamed, scope.countries.contains(&country))
                && self.asks(Clause::ExcludedRecipient, !share.excluded.contains(&who))
                && self.asks(Clause::ExcludedCountry, !share.excluded_countries.contains(&country))
        };
        let year = now + 365 * DAY;
        let scope_holds = |scope: &ScopeTerms| {
            !scope.purposes.is_empty()
                && !scope.recipients.is_empty()
                && !scope.countries.is_empty()
                && scope.recipients.iter().all(|who| meant(scope, *who))
                && scope.expires > now
                && self.asks(Clause::LongestLife, scope.expires <= year)
                && scope.erase_by >= scope.expires
                && self.asks(Clause::LongestKept, scope.erase_by <= scope.expires + 30 * DAY)
                && (1..=1_000).contains(&scope.uses)
        };
        !share.scopes.is_empty()
            && share.scopes.iter().all(scope_holds)
            && self.asks(Clause::SpecialBasis, share.special)
            && self.asks(Clause::ConsentOfAuthority, !share.consent)
            && share.reconfirm_by > now
            && self.asks(Clause::LongestLife, share.reconfirm_by <= year)
    }

    fn may_decide(&self, share: &Share, decider: Decider, case: &[Share]) -> bool {
        let adult = share.age == Age::Adult;
        let alone = share.minor.is_some_and(|minor| minor.unaccompanied);
        let who = match decider {
            Decider::Person => self.asks(Clause::WhoDecides, adult),
            Decider::ChildProtection => self.asks(Clause::WhoDecides, !adult),
            Decider::Guardian { independent, in_conflict } => {
                self.asks(Clause::WhoDecides, !adult)
                    && self.asks(Clause::Conflict, !in_conflict)
                    && self.asks(Clause::Independent, independent || !alone)
            }
            Decider::Vital { .. } => {
                let urgent = |scope: &ScopeTerms| matches!(scope.scope, Scope::Medical | Scope::Shelter);
                self.asks(Clause::VitalOverNo, !case.iter().any(said_no))
                    && self.asks(Clause::VitalScopes, share.scopes.iter().all(urgent))
            }
        };
        let child = share.minor.is_some_and(|minor| self.asks(Clause::BestInterests, minor.best_interests));
        let officers = share.minor.is_some_and(|minor| minor.both_officers);
        let beyond_help = share.scopes.iter().any(|scope| matches!(scope.scope, Scope::Match | Scope::Police));
        let as_child = !adult && child && (!beyond_help || self.asks(Clause::Officers, officers));
        who && (as_child || adult && share.minor.is_none())
    }

    fn is_free(&self, how: Circumstances) -> bool {
        self.asks(Clause::Exploiter, how.exploiter_excluded)
            && self.asks(Clause::Companion, how.interpreter != Interpreter::Companion)
            && self.asks(Clause::SomebodyInterpreted, !how.interpreted || how.interpreter != Interpreter::Nobody)
            && self.asks(Clause::CalledBack, how.place != AskedAt::Remote || how.called_back_alone)
    }
}

/// Whether its freedom is not sure: good for 48 h, for help alone.
fn provisional(how: Circumstances) -> bool {
    matches!(how.place, AskedAt::PolicePremises | AskedAt::Detention | AskedAt::Remote)
        || how.interpreter == Interpreter::Unknown
}

fn help(scope: Scope) -> bool {
    !matches!(scope, Scope::Match | Scope::Police)
}

/// No is the end of it: who agrees again agrees anew.
fn said_no(share: &Share) -> bool {
    share.events.iter().any(|event| matches!(event, Event::Refused | Event::Withdrawn))
}

fn approved(share: &Share) -> bool {
    share.events.iter().any(|event| matches!(event, Event::Approved(..)))
}

fn given(share: &Share) -> Option<Giving> {
    share.events.iter().rev().find_map(|event| match *event {
        Event::Given(at, decider, circumstances) => {
            Some(Giving { at, decider, circumstances, reconfirm_by: share.reconfirm_by })
        }
        Event::Confirmed(at, decider, circumstances, reconfirm_by) => {
            Some(Giving { at, decider, circumstances, reconfirm_by })
        }
        _ => None,
    })
}
