//! Alerts.

use bytes::Bytes;
use havenlink_proto::record::v1 as proto;
use prost::Message;
use proto::alert::Details;

use super::{Codec, message};
use crate::domain::reason::Reason;
use crate::domain::records::Kind;
use crate::domain::records::alert::{Alert, AlertDetails, AlertFacet, AlertKind, AtRiskSite, SuspiciousAdvertising};
use crate::fields::Source;
use crate::{Error, fields, handling};

impl Codec for Alert {
    type Message = proto::Alert;
    /// Language tags, and codes of registries, checked for their form.
    const TEXTS: &'static [&'static str] = &[
        "Alert.indicators",
        "Alert.sector",
        "SuspiciousAdvertising.advert_languages",
        "SuspiciousAdvertising.promised_occupation",
    ];

    fn encode(&self) -> Bytes {
        to_proto(self).encode_to_vec().into()
    }

    fn decode(bytes: &Bytes, source: Source) -> Result<Self, Error> {
        understood(message(bytes)?, source)
    }

    fn facet_of(bytes: &Bytes) -> Result<AlertFacet, Error> {
        let alert: proto::Alert = message(bytes)?;
        Ok(AlertFacet {
            kind: fields::closed_enum("kind", alert.kind)?,
            basis: fields::closed_enum("assertion_basis", alert.assertion_basis)?,
        })
    }

    fn to_message(&self) -> proto::Alert {
        to_proto(self)
    }

    fn from_message(message: proto::Alert) -> Result<Self, Error> {
        from_proto(message)
    }
}

/// An alert as a message.
pub fn to_proto(alert: &Alert) -> proto::Alert {
    proto::Alert {
        kind: alert.kind().code(),
        urgency: alert.urgency.code(),
        severity: alert.severity.code(),
        certainty: alert.certainty.code(),
        indicators: alert.indicators.clone(),
        exploitation_forms: fields::numbers(&alert.exploitation_forms),
        sector: alert.sector.clone().unwrap_or_default(),
        place: Some(handling::place_to_proto(&alert.place)),
        assertion_basis: alert.assertion_basis.code(),
        summary: handling::texts_to_proto(&alert.summary),
        details: Some(match &alert.details {
            AlertDetails::SuspiciousAdvertising(advert) => Details::SuspiciousAdvertising(advert_to_proto(advert)),
            AlertDetails::AtRiskSite(site) => Details::AtRiskSite(site_to_proto(site)),
        }),
    }
}

/// An alert whose every field was understood and is within its limits.
///
/// # Errors
/// The first field that is not; `KIND_NOT_SUPPORTED` for a kind without details of its own yet.
pub fn from_proto(alert: proto::Alert) -> Result<Alert, Error> {
    let alert = understood(alert, Source::Outside)?;
    alert.check()?;
    Ok(alert)
}

fn understood(alert: proto::Alert, source: Source) -> Result<Alert, Error> {
    let kind: AlertKind = fields::closed_enum("kind", alert.kind)?;
    if !matches!(kind, AlertKind::SuspiciousAdvertising | AlertKind::AtRiskSite) {
        return Err(Error::new(Reason::KindNotSupported, "kind", "SUSPICIOUS_ADVERTISING, AT_RISK_SITE"));
    }
    let details = details(kind, alert.details)?;
    Ok(Alert {
        urgency: fields::closed_enum("urgency", alert.urgency)?,
        severity: fields::closed_enum("severity", alert.severity)?,
        certainty: fields::closed_enum("certainty", alert.certainty)?,
        indicators: alert.indicators,
        exploitation_forms: fields::closed_enums("exploitation_forms", &alert.exploitation_forms)?,
        sector: Some(alert.sector).filter(|s| !s.is_empty()),
        place: fields::place("place", alert.place, source)?,
        assertion_basis: fields::closed_enum("assertion_basis", alert.assertion_basis)?,
        summary: handling::texts_from_proto("summary", alert.summary)?,
        details,
    })
}

fn details(kind: AlertKind, details: Option<Details>) -> Result<AlertDetails, Error> {
    match (kind, details) {
        (AlertKind::SuspiciousAdvertising, Some(Details::SuspiciousAdvertising(advert))) => {
            advert_from_proto(advert).map_err(|e| e.within("suspicious_advertising"))
        }
        (AlertKind::AtRiskSite, Some(Details::AtRiskSite(site))) => {
            site_from_proto(site).map_err(|e| e.within("at_risk_site"))
        }
        (_, None) => Err(Error::missing("details")),
        (_, Some(_)) => Err(Error::invalid("details", "those of the kind")),
    }
}

fn advert_to_proto(advert: &SuspiciousAdvertising) -> proto::SuspiciousAdvertising {
    proto::SuspiciousAdvertising {
        channel: advert.channel.code(),
        advert_languages: fields::language_strings(&advert.advert_languages),
        first_seen_ms: advert.first_seen.map_or(0, |t| t.0),
        last_seen_ms: advert.last_seen.map_or(0, |t| t.0),
        adverts_seen: advert.adverts_seen,
        promised_occupation: advert.promised_occupation.clone().unwrap_or_default(),
    }
}

fn advert_from_proto(advert: proto::SuspiciousAdvertising) -> Result<AlertDetails, Error> {
    Ok(AlertDetails::SuspiciousAdvertising(SuspiciousAdvertising {
        channel: fields::closed_enum("channel", advert.channel)?,
        advert_languages: fields::languages("advert_languages", &advert.advert_languages)?,
        first_seen: fields::optional_instant("first_seen_ms", advert.first_seen_ms)?,
        last_seen: fields::optional_instant("last_seen_ms", advert.last_seen_ms)?,
        adverts_seen: advert.adverts_seen,
        promised_occupation: Some(advert.promised_occupation).filter(|s| !s.is_empty()),
    }))
}

fn site_to_proto(site: &AtRiskSite) -> proto::AtRiskSite {
    proto::AtRiskSite {
        site_type: site.site_type.code(),
        barrier_step: site.barrier_step.code(),
        concerns: fields::numbers(&site.concerns),
        size_class: site.size_class.unwrap_or(0),
    }
}

fn site_from_proto(site: proto::AtRiskSite) -> Result<AlertDetails, Error> {
    Ok(AlertDetails::AtRiskSite(AtRiskSite {
        site_type: fields::closed_enum("site_type", site.site_type)?,
        barrier_step: fields::closed_enum("barrier_step", site.barrier_step)?,
        concerns: fields::closed_enums("concerns", &site.concerns)?,
        size_class: Some(site.size_class).filter(|n| *n != 0),
    }))
}
