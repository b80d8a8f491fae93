//! What an offer needs before it is of use to anybody, and what it may not show: a desk that answers, and an area that is fine
//! enough to plan a way and too coarse to find a refuge.

use super::offer::{PROTECTED_NUTS, ServiceKind};
use crate::fault::Fault;
use crate::forms::is_phone;
use crate::place::{Place, PlaceScheme};

/// Finest and usual NUTS level of an ordinary offer.
const ORDINARY_NUTS: usize = 3;

/// What comes to the person, or is spoken to from anywhere, serves an area; anything else is somewhere.
const fn serves_an_area(kind: ServiceKind) -> bool {
    matches!(
        kind,
        ServiceKind::InformationPoint
            | ServiceKind::Hotline24h
            | ServiceKind::TranslationInterpretation
            | ServiceKind::MobileOutreach
            | ServiceKind::ReportingPathway
            | ServiceKind::VoluntaryReturnSupport
            | ServiceKind::GuardianshipChild
            | ServiceKind::TransportEscort
    )
}

/// As its owner states it: NUTS level 3; 2 is enough for a protected one, whose partners see no more, and whatever it covers for
/// a service that serves an area.
///
/// # Errors
/// The field, and what is allowed.
pub fn own_area(kind: ServiceKind, area: &Place, protected: bool) -> Result<(), Fault> {
    match (area.scheme(), area.nuts_level()) {
        (PlaceScheme::Nuts, Some(level)) if protected => match level {
            PROTECTED_NUTS.. => Ok(()),
            _ => {
                Err(Fault::invalid("area", "NUTS level 2 for a protected offer, e.g. NUTS:FRF1; coarser helps nobody"))
            }
        },
        _ if protected => Err(Fault::invalid("area", "a protected offer shows a NUTS area of level 2, e.g. NUTS:FRF1")),
        (PlaceScheme::Nuts, Some(_)) | (PlaceScheme::Iso3166Part2, _) if serves_an_area(kind) => Ok(()),
        (PlaceScheme::Nuts, Some(ORDINARY_NUTS)) => Ok(()),
        _ if serves_an_area(kind) => Err(Fault::invalid("area", "a NUTS code, or a subdivision of ISO 3166-2")),
        _ => Err(Fault::invalid("area", "a NUTS code of level 3, e.g. NUTS:FRF11")),
    }
}

/// As a partner sees it: a municipality's code would find a refuge.
///
/// # Errors
/// The field, and what is allowed.
pub fn shown_area(area: &Place, protected: bool) -> Result<(), Fault> {
    match (area.scheme(), area.nuts_level()) {
        (PlaceScheme::Nuts, Some(level)) if !protected || level <= PROTECTED_NUTS => Ok(()),
        (PlaceScheme::Iso3166Part2, _) if !protected => Ok(()),
        _ if protected => Err(Fault::invalid("area", "a protected offer shows NUTS level 2 or coarser")),
        _ => Err(Fault::invalid("area", "a NUTS code, or a subdivision of ISO 3166-2")),
    }
}

/// A light that nobody can call sends a person to a closed door: the intake desk's number is needed.
///
/// # Errors
/// The field, and what is allowed.
pub fn phones(intake: &str, out_of_hours: &str) -> Result<(), Fault> {
    if intake.is_empty() {
        return Err(Fault::missing("intake_phone"));
    }
    for (field, phone) in [("intake_phone", intake), ("out_of_hours_phone", out_of_hours)] {
        if !phone.is_empty() && !is_phone(phone) {
            return Err(Fault::invalid(field, "E.164: + and 7 to 15 digits"));
        }
    }
    Ok(())
}
