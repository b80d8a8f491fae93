//! Capacity: the owner's offer with its raw figures, and what a partner may see of it.
//!
//! Raw figures never leave the node: the only way from `Capacity` to a partner is `capacity_view`, which asks for the
//! disclosure level of the agreement and knows that a protected offer never shows a count.

use super::grant::{self, Grant};
use super::offer_checks as checks;
use super::{Access, Facts, Kind, RecordKind, plain_list};
use crate::actor::ActorRole::{Consumer, Coordinator};
use crate::closed::closed_enum;
#[cfg(any(test, feature = "samples"))]
use crate::closed::{List, list};
use crate::fault::{Fault, check_list};
use crate::handling::Tlp;
use crate::ids::{AuthorityId, OfferId};
use crate::limits;
use crate::person::share::ShareScope;
use crate::place::Place;
use crate::text::{Language, check_line};
use crate::time::{Millis, UnixMs};

closed_enum! {
    /// Resolutions 196 §11.c, §12.l-o and 510 §3.e-f.
    pub enum ServiceKind {
        WalkInShelter = 1 => "WALK_IN_SHELTER", LongTermRefuge = 2 => "LONG_TERM_REFUGE", Medical = 3 => "MEDICAL",
        Psychological = 4 => "PSYCHOLOGICAL", InformationPoint = 5 => "INFORMATION_POINT", Hotline24h = 6 => "HOTLINE_24H",
        LanguageTraining = 7 => "LANGUAGE_TRAINING", Education = 8 => "EDUCATION", LegalAid = 9 => "LEGAL_AID",
        TranslationInterpretation = 10 => "TRANSLATION_INTERPRETATION", LowThreshold = 11 => "LOW_THRESHOLD",
        MobileOutreach = 12 => "MOBILE_OUTREACH", ReportingPathway = 13 => "REPORTING_PATHWAY",
        CaseworkReintegration = 14 => "CASEWORK_REINTEGRATION", TrainingEmployment = 15 => "TRAINING_EMPLOYMENT",
        Microcredit = 16 => "MICROCREDIT", VoluntaryReturnSupport = 17 => "VOLUNTARY_RETURN_SUPPORT",
        GuardianshipChild = 18 => "GUARDIANSHIP_CHILD", TransportEscort = 19 => "TRANSPORT_ESCORT",
        PremisesOffered = 20 => "PREMISES_OFFERED",
    }
}

closed_enum! {
    /// What is counted.
    pub enum CapacityUnit {
        Bed = 1 => "BED", Room = 2 => "ROOM", FamilyUnit = 3 => "FAMILY_UNIT", Hour = 4 => "HOUR", Appointment = 5 => "APPOINTMENT",
        CaseSlot = 6 => "CASE_SLOT", InterpreterHour = 7 => "INTERPRETER_HOUR",
    }
}

closed_enum! {
    /// How the owner says that it stands.
    pub enum OfferStatus {
        Open = 1 => "OPEN", Full = 2 => "FULL", WaitingList = 3 => "WAITING_LIST", AssessmentNeeded = 4 => "ASSESSMENT_NEEDED",
        Paused = 5 => "PAUSED",
    }
}

closed_enum! {
    /// How much of a capacity a partner sees, from little to much; the order is the disclosure.
    pub enum DisclosureLevel { Light = 1 => "LIGHT", Band = 2 => "BAND", Count = 3 => "COUNT" }
}

closed_enum! {
    /// The owner's part of the light; the reader makes it worse by age and reachability. FEW is 1 or 2.
    pub enum AvailabilityClass { Some = 1 => "SOME", Few = 2 => "FEW", None = 3 => "NONE", Closed = 4 => "CLOSED" }
}

closed_enum! {
    /// A capacity in bands.
    pub enum CapacityBand { Zero = 1 => "ZERO", OneToTwo = 2 => "ONE_TO_TWO", ThreeToFive = 3 => "THREE_TO_FIVE", SixOrMore = 4 => "SIX_OR_MORE" }
}

/// Who can be received. Coded only; an empty list says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Eligibility {
    pub women: bool,
    pub men: bool,
    pub couples_and_families: bool,
    pub trans_and_non_binary: bool,
    pub children: bool,
    pub children_max_age: u32,
    pub teenage_sons: bool,
    pub unaccompanied_minors: bool,
    pub staff_languages: Vec<Language>,
    pub step_free: bool,
    pub pets: bool,
    /// Days; 0 says nothing.
    pub longest_stay_days: u32,
}

/// The owner's raw figures (9.11). Never leave the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Units that the owner could give now, holds not subtracted.
    pub free: u32,
    pub baseline: u32,
    pub additional_24h: u32,
    pub additional_72h: u32,
    pub status: OfferStatus,
    pub paused_until: Option<UnixMs>,
    pub as_of: UnixMs,
    /// At most 24 h.
    pub time_to_live: Millis,
}

/// An own offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnOffer {
    pub id: OfferId,
    pub authority: AuthorityId,
    pub service_kind: ServiceKind,
    pub unit: CapacityUnit,
    pub eligibility: Eligibility,
    pub area: Place,
    /// A place whose residents must not be found: coarser area, never a count.
    pub protected: bool,
    /// E.164 of the professional desk; may be empty.
    pub intake_phone: String,
    pub out_of_hours_phone: String,
    pub capacity: Capacity,
    /// For the owner's own people; never leaves the node.
    pub own_label: String,
}

/// What a partner sees, at the level of its agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapacityLevel {
    Availability(AvailabilityClass),
    Band(CapacityBand),
    Count(u32),
}

/// What a partner sees of a capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityView {
    pub level: CapacityLevel,
    pub status: OfferStatus,
    pub paused_until: Option<UnixMs>,
    /// Life of the statement from its as-of.
    pub time_to_live: Millis,
}

/// What a partner sees of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferView {
    pub id: OfferId,
    pub service_kind: ServiceKind,
    pub unit: CapacityUnit,
    pub eligibility: Eligibility,
    pub area: Place,
    pub protected: bool,
    pub intake_phone: String,
    pub out_of_hours_phone: String,
    pub capacity: CapacityView,
    /// Rises with every change at the owner; a lower one is ignored.
    pub version: u64,
}

/// Finest NUTS level of a protected offer.
pub(super) const PROTECTED_NUTS: usize = 2;
/// Characters of the owner's label.
const OWN_LABEL_CHARS: usize = 80;
/// Units that an owner can state.
const UNITS: u32 = 10_000;

/// What a partner with this disclosure level sees; `held` units are already promised to others.
pub fn capacity_view(level: DisclosureLevel, protected: bool, capacity: &Capacity, held: u32) -> CapacityView {
    let level = if protected { level.min(DisclosureLevel::Band) } else { level };
    let free = capacity.givable().saturating_sub(held);
    let level = match level {
        DisclosureLevel::Light => CapacityLevel::Availability(match (capacity.status, free) {
            (OfferStatus::Paused, _) => AvailabilityClass::Closed,
            (_, 0) => AvailabilityClass::None,
            (_, 1..=2) => AvailabilityClass::Few,
            _ => AvailabilityClass::Some,
        }),
        DisclosureLevel::Band => CapacityLevel::Band(CapacityBand::of(free)),
        DisclosureLevel::Count => CapacityLevel::Count(free),
    };
    CapacityView {
        level,
        status: capacity.status,
        paused_until: capacity.paused_until,
        time_to_live: capacity.time_to_live,
    }
}

impl CapacityBand {
    /// The band of a number of units.
    pub const fn of(units: u32) -> Self {
        match units {
            0 => Self::Zero,
            1..=2 => Self::OneToTwo,
            3..=5 => Self::ThreeToFive,
            _ => Self::SixOrMore,
        }
    }
}

impl CapacityView {
    /// The level it was prepared at.
    pub const fn disclosure_level(&self) -> DisclosureLevel {
        match self.level {
            CapacityLevel::Availability(_) => DisclosureLevel::Light,
            CapacityLevel::Band(_) => DisclosureLevel::Band,
            CapacityLevel::Count(_) => DisclosureLevel::Count,
        }
    }

    /// Whether it holds together.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self) -> Result<(), Fault> {
        if self.time_to_live <= Millis(0) || self.time_to_live > limits::CAPACITY_LIFE {
            return Err(Fault::invalid("time_to_live_ms", "more than 0, at most 24 hours"));
        }
        if self.paused_until.is_some() && self.status != OfferStatus::Paused {
            return Err(Fault::invalid("paused_until_ms", "for PAUSED only"));
        }
        Ok(())
    }
}

impl Capacity {
    /// Units that can be given now by what the status says: a full, paused or waiting-list offer gives none.
    pub const fn givable(&self) -> u32 {
        match self.status {
            OfferStatus::Open | OfferStatus::AssessmentNeeded => self.free,
            OfferStatus::Full | OfferStatus::WaitingList | OfferStatus::Paused => 0,
        }
    }

    fn check(&self) -> Result<(), Fault> {
        for (field, units) in [
            ("free", self.free),
            ("baseline", self.baseline),
            ("additional_24h", self.additional_24h),
            ("additional_72h", self.additional_72h),
        ] {
            if units > UNITS {
                return Err(Fault::invalid(field, "at most 10,000"));
            }
        }
        if self.free > self.baseline {
            return Err(Fault::invalid(
                "free",
                "at most the baseline: if there are more units now, state a higher baseline with it",
            ));
        }
        capacity_view(DisclosureLevel::Light, true, self, 0).check()
    }

    /// From when on partners show it as not reported, unless it is confirmed before: eight hours after it was said, or at the end
    /// of its life.
    pub fn stale_from(&self) -> UnixMs {
        self.as_of + self.time_to_live.min(limits::LIGHT_STALE)
    }
}

impl OwnOffer {
    /// What a partner with this disclosure level sees.
    pub fn view(&self, level: DisclosureLevel, version: u64, held: u32) -> OfferView {
        let coarse = if self.protected { self.area.nuts_at_most(PROTECTED_NUTS) } else { None };
        OfferView {
            id: self.id,
            service_kind: self.service_kind,
            unit: self.unit,
            eligibility: self.eligibility.clone(),
            area: coarse.unwrap_or_else(|| self.area.clone()),
            protected: self.protected,
            intake_phone: self.intake_phone.clone(),
            out_of_hours_phone: self.out_of_hours_phone.clone(),
            capacity: capacity_view(level, self.protected, &self.capacity, held),
            version,
        }
    }

    /// Whether everything in it is within its limits and forms.
    ///
    /// # Errors
    /// The first field that is not.
    pub fn check(&self) -> Result<(), Fault> {
        self.eligibility.check().map_err(|f| f.within("eligibility"))?;
        checks::own_area(self.service_kind, &self.area, self.protected)?;
        checks::phones(&self.intake_phone, &self.out_of_hours_phone)?;
        self.capacity.check().map_err(|f| f.within("capacity"))?;
        if self.own_label.is_empty() {
            return Ok(());
        }
        check_line("own_label", &self.own_label, OWN_LABEL_CHARS)
    }
}

impl OfferView {
    /// Whether everything in it is within its limits and forms, and it shows no more than its protection allows.
    ///
    /// # Errors
    /// The first field that is not.
    pub fn check(&self) -> Result<(), Fault> {
        self.eligibility.check().map_err(|f| f.within("eligibility"))?;
        checks::shown_area(&self.area, self.protected)?;
        checks::phones(&self.intake_phone, &self.out_of_hours_phone)?;
        self.capacity.check().map_err(|f| f.within("capacity"))?;
        if self.protected && self.capacity.disclosure_level() == DisclosureLevel::Count {
            return Err(Fault::invalid("capacity.count", "never for a protected offer"));
        }
        if self.version == 0 {
            return Err(Fault::missing("version"));
        }
        Ok(())
    }
}

/// An offer as a record, in one of its two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// As its owner publishes it, with the raw figures: on the owner's disk only.
    Own { offer: OwnOffer, version: u64 },
    /// As it travels: what a partner sees at the level of its agreement.
    View(OfferView),
}

/// What the one question needs to know of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferFacet {
    pub service: ServiceKind,
    /// The level the view was prepared at; `None` before it is prepared (the permit's grant then says which).
    pub level: Option<DisclosureLevel>,
}

impl Kind for Offer {
    const KIND: RecordKind = RecordKind::OfferView;
    const FACTS: Facts = Facts {
        review: Millis::days(180),
        lasting: true,
        answers: &[],
        // A later statement about the same offer has a higher version, and needs no reference.
        later: &[],
        access: Access { publish: &[], read: &[Coordinator], consume: &[Consumer], answer: &[] },
    };
    type Facet = OfferFacet;

    fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Own { offer, .. } => offer.check(),
            Self::View(view) => view.check(),
        }
    }

    fn check_past(&self, _: UnixMs) -> Result<(), Fault> {
        Ok(())
    }

    fn life(&self) -> Millis {
        limits::CAPACITY_LIFE
    }

    fn facet(&self) -> OfferFacet {
        match self {
            Self::Own { offer, .. } => OfferFacet { service: offer.service_kind, level: None },
            Self::View(view) => {
                OfferFacet { service: view.service_kind, level: Some(view.capacity.disclosure_level()) }
            }
        }
    }

    fn facet_codes(facet: OfferFacet) -> [i32; 2] {
        [facet.service.code(), facet.level.map_or(0, DisclosureLevel::code)]
    }

    fn facet_from_codes([service, level]: [i32; 2]) -> Option<OfferFacet> {
        let service = ServiceKind::from_code(service)?;
        let level = if level == 0 { None } else { Some(DisclosureLevel::from_code(level)?) };
        Some(OfferFacet { service, level })
    }

    fn concerns_person(_: OfferFacet) -> bool {
        false
    }

    fn scope(_: Self::Facet) -> Option<ShareScope> {
        None
    }

    fn is_answer(_: OfferFacet) -> bool {
        false
    }

    fn lowest_tlp(_: OfferFacet) -> Tlp {
        Tlp::Clear
    }

    fn covered_by(grant: &Grant, facet: OfferFacet) -> bool {
        grant.service_kinds.contains(&facet.service)
            && grant.disclosure_level.is_some_and(|granted| facet.level.is_none_or(|shown| shown <= granted))
    }

    fn check_grant(grant: &Grant, granted: bool) -> Result<(), Fault> {
        let named = granted || grant.record_kinds.contains(&RecordKind::Referral);
        if named == grant.service_kinds.is_empty() {
            return Err(grant::invalid("service_kinds", "given exactly when record_kinds has OFFER_VIEW or REFERRAL"));
        }
        if granted != grant.disclosure_level.is_some() {
            return Err(grant::invalid("disclosure_level", "given exactly when record_kinds has OFFER_VIEW"));
        }
        Ok(())
    }

    fn in_words(grant: &Grant) -> Option<String> {
        let level = match grant.disclosure_level {
            Some(DisclosureLevel::Light) => "as a light",
            Some(DisclosureLevel::Band) => "as bands",
            Some(DisclosureLevel::Count) => "as counts, protected offers as bands",
            None => "not at all",
        };
        let services = plain_list(&grant.service_kinds, |k| k.name());
        Some(format!("{} sees the capacity of {} {level}: {services}", grant.to, grant.from))
    }

    fn prepare(&self, level: DisclosureLevel) -> Option<Self> {
        match self {
            Self::Own { offer, version } => Some(Self::View(offer.view(level, *version, 0))),
            Self::View(_) => None,
        }
    }

    fn cancelled(&self) -> Self {
        self.clone()
    }

    fn subject(&self) -> Option<[u8; 16]> {
        Some(match self {
            Self::Own { offer, .. } => offer.id.0,
            Self::View(view) => view.id.0,
        })
    }

    fn as_of(&self) -> Option<UnixMs> {
        match self {
            Self::Own { offer, .. } => Some(offer.capacity.as_of),
            Self::View(_) => None,
        }
    }

    #[cfg(any(test, feature = "samples"))]
    fn samples() -> Vec<Self> {
        vec![
            Self::Own { offer: OwnOffer::sample(true), version: 3 },
            Self::View(OwnOffer::sample(false).view(DisclosureLevel::Count, 3, 0)),
            Self::View(OwnOffer::sample(true).view(DisclosureLevel::Light, 3, 0)),
        ]
    }

    #[cfg(any(test, feature = "samples"))]
    fn closed_lists() -> Vec<List> {
        vec![
            list::<ServiceKind>(),
            list::<CapacityUnit>(),
            list::<OfferStatus>(),
            list::<DisclosureLevel>(),
            list::<AvailabilityClass>(),
            list::<CapacityBand>(),
        ]
    }
}

impl Eligibility {
    fn check(&self) -> Result<(), Fault> {
        check_list("staff_languages", &self.staff_languages, limits::LANGUAGES)?;
        if self.children_max_age > 18 {
            return Err(Fault::invalid("children_max_age", "0 to 18"));
        }
        if self.longest_stay_days > 3_660 {
            return Err(Fault::invalid("longest_stay_days", "at most 3,660"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
