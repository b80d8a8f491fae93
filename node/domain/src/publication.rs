//! A record that this node publishes, before it is prepared for each partner.

use super::alert::{Alert, AlertKind};
use super::answer::Answer;
use super::envelope::GrantRef;
use super::ids::AuthorityId;
use super::offer::OwnOffer;
use super::policy::ContentDetails;
use super::practice::Practice;
use super::record::{RecordKey, RecordKind};
use super::sharing::Sharing;
use super::time::UnixMs;

/// The record, with everything that its owner knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Alert(Alert),
    Practice(Practice),
    /// With the raw figures; a partner sees `OwnOffer::view` at its level, and nothing else.
    Offer {
        offer: OwnOffer,
        version: u64,
    },
    Answer {
        target: RecordKey,
        grant: GrantRef,
        answer: Answer,
    },
}

/// A publication as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub authority: AuthorityId,
    /// With the recipients as they were found when it was published.
    pub sharing: Sharing,
    /// It is for all whom agreements cover, those of later agreements too; otherwise for the named ones and nobody else.
    pub for_all_covered: bool,
    pub record: Record,
    pub created: UnixMs,
    /// W3C trace context of the publish; may be empty.
    pub traceparent: String,
}

impl Record {
    /// Its kind on the road.
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Alert(_) => RecordKind::Alert,
            Self::Practice(_) => RecordKind::Practice,
            Self::Offer { .. } => RecordKind::OfferView,
            Self::Answer { .. } => RecordKind::Answer,
        }
    }

    /// The kind of alert, for its default life.
    pub fn alert_kind(&self) -> Option<AlertKind> {
        if let Self::Alert(alert) = self { Some(alert.kind()) } else { None }
    }

    /// What the one question needs to know of it before it is prepared for a partner.
    pub fn details(&self) -> ContentDetails {
        match self {
            Self::Alert(alert) => ContentDetails::of_alert(alert),
            Self::Practice(_) => ContentDetails::Practice,
            Self::Offer { offer, .. } => ContentDetails::Offer { service: offer.service_kind, level: None },
            Self::Answer { grant, .. } => ContentDetails::Answer { target: *grant },
        }
    }
}
