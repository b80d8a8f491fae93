//! How one record is shared: for what, on which basis, how it may be handled, until when.

use super::fault::{Fault, check_list};
use super::handling::{Handling, LawfulBasis, Purpose, RecordStatus, SpecialBasis, Tlp};
use super::ids::AuthorityId;
use super::limits;
use super::reason::Reason;
use super::records::Facet;
use super::time::{Millis, UnixMs};

/// Who gets a record, for what, and how it may be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    pub audience: Audience,
    pub purpose: Purpose,
    pub lawful_basis: LawfulBasis,
    pub special_basis: SpecialBasis,
    pub handling: Handling,
    pub status: RecordStatus,
    /// `None`: the kind's default.
    pub expires: Option<UnixMs>,
    /// `None`: the kind's default.
    pub review_by: Option<UnixMs>,
}

/// When a record ends and when somebody must look at it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    pub expires: UnixMs,
    pub review_by: UnixMs,
}

/// Who is meant to get a record. It is said; an empty list never means everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every partner whose agreement covers it; of a lasting kind, partners of later agreements too.
    AllPartners,
    /// These, and nobody else.
    Named(Recipients),
}

/// Authorities by name: one at least, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipients(Vec<AuthorityId>);

impl Recipients {
    /// Recipients by name.
    ///
    /// # Errors
    /// `FIELD_MISSING` for nobody, `FIELD_TOO_LONG` for too many, `FIELD_INVALID` for one who is named twice.
    pub fn new(names: Vec<AuthorityId>) -> Result<Self, Fault> {
        if names.is_empty() {
            return Err(Fault::new(Reason::FieldMissing, "recipients", "names of partners, or all_partners"));
        }
        check_list("recipients", &names, limits::RECIPIENTS)?;
        Ok(Self(names))
    }

    /// As they were stored: how many there may be was judged by the rules of their day. `None` for nobody: an empty list
    /// never means everybody.
    pub fn reload(names: Vec<AuthorityId>) -> Option<Self> {
        (!names.is_empty()).then_some(Self(names))
    }

    /// The names.
    pub fn names(&self) -> &[AuthorityId] {
        &self.0
    }
}

impl Audience {
    /// One authority and nobody else.
    pub fn one(name: AuthorityId) -> Self {
        Self::Named(Recipients(vec![name]))
    }

    /// Those who are named; empty for all partners.
    pub fn names(&self) -> &[AuthorityId] {
        match self {
            Self::AllPartners => &[],
            Self::Named(recipients) => recipients.names(),
        }
    }

    /// What may go to nobody but those who are named: what is TLP:RED, and what concerns a person.
    ///
    /// # Errors
    /// `AUDIENCE_NOT_NAMED`.
    pub fn check(&self, tlp: Tlp, facet: Facet) -> Result<(), Fault> {
        if *self == Self::AllPartners && (tlp == Tlp::Red || facet.concerns_person()) {
            return Err(Fault::new(Reason::AudienceNotNamed, "recipients", "each by name"));
        }
        Ok(())
    }
}

/// Whether a record is marked as strictly as it has to be.
///
/// # Errors
/// `FIELD_INVALID` with the marking that it needs.
pub fn check_marking(tlp: Tlp, facet: Facet) -> Result<(), Fault> {
    let lowest = facet.lowest_tlp();
    if tlp < lowest {
        return Err(Fault::invalid("handling.tlp", format!("{lowest} or stricter for this record")));
    }
    Ok(())
}

/// Whether a record that is shared under an agreement to share says on what it rests: it is never without a special category
/// (11.12), and never about nobody.
///
/// # Errors
/// `FIELD_MISSING` for the special basis, `FIELD_INVALID` for a basis that says that there is no person.
pub fn check_bases(lawful: LawfulBasis, special: SpecialBasis, facet: Facet) -> Result<(), Fault> {
    match (facet.scope(), lawful, special) {
        (None, _, _) => Ok(()),
        (Some(_), _, SpecialBasis::None) => Err(Fault::missing("special_basis")),
        (Some(_), LawfulBasis::NoPersonalData, _) => Err(Fault::invalid("lawful_basis", "one for personal data")),
        (Some(_), _, _) => Ok(()),
    }
}

impl Sharing {
    /// The dates of a record created now: what was asked for, or the life and review of its kind. Nothing is eternal.
    ///
    /// # Errors
    /// `FIELD_INVALID` for a date in the past or beyond the longest life.
    pub fn dates(&self, life: Millis, review: Millis, created: UnixMs) -> Result<Dates, Fault> {
        let expires = self.expires.unwrap_or(created + life);
        if expires <= created || expires > created + limits::RECORD_LIFE {
            return Err(Fault::invalid("expires_ms", "after now, within five years"));
        }
        let review_by = self.review_by.unwrap_or((created + review).min(expires));
        if review_by <= created || review_by > expires {
            return Err(Fault::invalid("review_by_ms", "after now, not after expires_ms"));
        }
        Ok(Dates { expires, review_by })
    }
}

/// When a received record leaves the receiver's store: its expiry, or the grant's retention, whichever is first.
pub fn keep_until(expires: UnixMs, received: UnixMs, retention: Option<Millis>) -> UnixMs {
    retention.map_or(expires, |span| expires.min(received + span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handling::Pap;
    use crate::records::Kind;
    use crate::records::alert::{Alert, AssertionBasis};
    use crate::samples::{NOW, alert, contents, kehl, site_alert, strasbourg};

    fn sharing() -> Sharing {
        Sharing {
            audience: Audience::AllPartners,
            purpose: Purpose::Prevention,
            lawful_basis: LawfulBasis::PublicTask,
            special_basis: SpecialBasis::None,
            handling: Handling { tlp: Tlp::Green, pap: Pap::Green },
            status: RecordStatus::Actual,
            expires: None,
            review_by: None,
        }
    }

    #[test]
    fn every_kind_ends_and_is_reviewed_before() {
        for content in contents() {
            let dates = sharing().dates(content.life(), content.facts().review, NOW).unwrap();
            assert!(NOW < dates.review_by && dates.review_by <= dates.expires);
            assert!(dates.expires <= NOW + limits::RECORD_LIFE);
        }
        let advert = sharing().dates(alert().life(), Alert::FACTS.review, NOW).unwrap();
        assert_eq!(advert.expires, NOW + Millis::days(90));
        let site = sharing().dates(site_alert().life(), Alert::FACTS.review, NOW).unwrap();
        assert_eq!(site.expires, NOW + Millis::days(180));
    }

    #[test]
    fn nothing_is_eternal_and_nothing_ends_before_it_begins() {
        let refused = |expires, review_by| {
            Sharing { expires, review_by, ..sharing() }
                .dates(Millis::days(90), Millis::days(30), NOW)
                .unwrap_err()
                .field
        };
        assert_eq!(refused(Some(NOW), None), "expires_ms");
        assert_eq!(refused(Some(UnixMs::NEVER), None), "expires_ms");
        assert_eq!(refused(Some(NOW + Millis(2)), Some(NOW + Millis(3))), "review_by_ms");
    }

    #[test]
    fn an_empty_list_is_nobody_and_never_everybody() {
        let refused = |names| Recipients::new(names).map(drop).map_err(|fault| (fault.reason, fault.field));
        assert_eq!(refused(vec![]), Err((Reason::FieldMissing, "recipients".into())));
        assert_eq!(refused(vec![kehl(), kehl()]), Err((Reason::FieldInvalid, "recipients[1]".into())));
        assert_eq!(refused(vec![kehl(), strasbourg()]), Ok(()));
    }

    #[test]
    fn what_is_red_or_concerns_a_person_is_for_named_recipients() {
        let about_a_person = Alert { assertion_basis: AssertionBasis::ReportedByPerson, ..alert() };
        let facet = |alert: &Alert| Facet::Alert(alert.facet());
        for (tlp, alert) in [(Tlp::Red, alert()), (Tlp::Green, about_a_person)] {
            let refused = Audience::AllPartners.check(tlp, facet(&alert)).unwrap_err();
            assert_eq!(refused.reason, Reason::AudienceNotNamed);
            assert_eq!(Audience::one(kehl()).check(tlp, facet(&alert)), Ok(()));
        }
        assert_eq!(Audience::AllPartners.check(Tlp::AmberStrict, facet(&alert())), Ok(()));
    }

    #[test]
    fn a_receiver_keeps_no_longer_than_the_grant_says() {
        assert_eq!(keep_until(UnixMs(50), UnixMs(10), Some(Millis(20))), UnixMs(30));
        assert_eq!(keep_until(UnixMs(50), UnixMs(10), Some(Millis(90))), UnixMs(50));
        assert_eq!(keep_until(UnixMs(50), UnixMs(10), None), UnixMs(50));
    }
}
