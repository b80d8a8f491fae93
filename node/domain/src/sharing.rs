//! How one record is shared: for what, on which basis, how it may be handled, until when.

use super::fault::{Fault, check_list};
use super::handling::{Handling, LawfulBasis, Purpose, RecordStatus, SpecialBasis};
use super::ids::AuthorityId;
use super::limits;
use super::time::{Millis, UnixMs};

/// Who gets a record, for what, and how it may be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Empty: every partner whose agreement covers it.
    pub recipients: Vec<AuthorityId>,
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

impl Sharing {
    /// Whether it holds together by itself.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self) -> Result<(), Fault> {
        check_list("recipients", &self.recipients, limits::RECIPIENTS)
    }

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
    use crate::handling::{Pap, Tlp};
    use crate::records::Kind;
    use crate::records::alert::Alert;
    use crate::samples::{NOW, alert, contents, kehl, site_alert};

    fn sharing() -> Sharing {
        Sharing {
            recipients: vec![],
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
        let twice = Sharing { recipients: vec![kehl(), kehl()], ..sharing() };
        assert_eq!(twice.check().unwrap_err().field, "recipients[1]");
    }

    #[test]
    fn a_receiver_keeps_no_longer_than_the_grant_says() {
        assert_eq!(keep_until(UnixMs(50), UnixMs(10), Some(Millis(20))), UnixMs(30));
        assert_eq!(keep_until(UnixMs(50), UnixMs(10), Some(Millis(90))), UnixMs(50));
        assert_eq!(keep_until(UnixMs(50), UnixMs(10), None), UnixMs(50));
    }
}
