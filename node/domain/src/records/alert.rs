//! Alerts: what was seen, how sure, where; about adverts and sites, never about a person by name.

#[cfg(any(test, feature = "samples"))]
use super::SAMPLED;
use super::grant::{self, Grant};
use super::offer::DisclosureLevel;
use super::record::ReferenceKind;
use super::{Access, Facts, Kind, RecordKind, plain_list};
use crate::actor::ActorRole::{Consumer, Coordinator, Publisher};
use crate::closed::closed_enum;
#[cfg(any(test, feature = "samples"))]
use crate::closed::{List, list};
use crate::fault::{Fault, check_list};
use crate::forms::is_sector;
use crate::handling::Tlp;
use crate::limits;
use crate::person::share::ShareScope;
use crate::place::Place;
#[cfg(any(test, feature = "samples"))]
use crate::place::PlaceScheme;
use crate::text::{Language, Text, check_texts};
use crate::time::{Millis, UnixMs};

closed_enum! {
    /// What an alert is about.
    pub enum AlertKind {
        SuspiciousAdvertising = 1 => "SUSPICIOUS_ADVERTISING", LicenceAction = 2 => "LICENCE_ACTION",
        LicensingZoningConcern = 3 => "LICENSING_ZONING_CONCERN", ProcurementSupplyChain = 4 => "PROCUREMENT_SUPPLY_CHAIN",
        AtRiskSite = 5 => "AT_RISK_SITE", AtRiskSector = 6 => "AT_RISK_SECTOR",
    }
}

closed_enum! {
    /// CAP 1.2 urgency.
    pub enum Urgency { Immediate = 1 => "IMMEDIATE", Expected = 2 => "EXPECTED", Future = 3 => "FUTURE", Past = 4 => "PAST" }
}

closed_enum! {
    /// CAP 1.2 severity.
    pub enum Severity { Extreme = 1 => "EXTREME", Severe = 2 => "SEVERE", Moderate = 3 => "MODERATE", Minor = 4 => "MINOR" }
}

closed_enum! {
    /// CAP 1.2 certainty.
    pub enum Certainty { Observed = 1 => "OBSERVED", Likely = 2 => "LIKELY", Possible = 3 => "POSSIBLE", Unlikely = 4 => "UNLIKELY" }
}

closed_enum! {
    /// What the statement rests on; `ReportedByPerson` makes the record concern a person.
    pub enum AssertionBasis {
        Observed = 1 => "OBSERVED", Documented = 2 => "DOCUMENTED", ReportedByPerson = 3 => "REPORTED_BY_PERSON",
        Assessment = 4 => "ASSESSMENT",
    }
}

closed_enum! {
    /// HTCDS `vic_TypeOfExploitation`, and FORCED_CRIMINALITY.
    pub enum ExploitationForm {
        Sexual = 1 => "SEXUAL", Labour = 2 => "LABOUR", DomesticServitude = 3 => "DOMESTIC_SERVITUDE",
        ForcedMarriage = 4 => "FORCED_MARRIAGE", ForcedBegging = 5 => "FORCED_BEGGING", OrganRemoval = 6 => "ORGAN_REMOVAL",
        ForcedCriminality = 7 => "FORCED_CRIMINALITY", IllegalAdoption = 8 => "ILLEGAL_ADOPTION",
        ArmedConflict = 9 => "ARMED_CONFLICT", Other = 10 => "OTHER", Unknown = 11 => "UNKNOWN",
    }
}

closed_enum! {
    /// Where an advert was seen.
    pub enum AdvertChannel {
        Newspaper = 1 => "NEWSPAPER", Agency = 2 => "AGENCY", ClassifiedSite = 3 => "CLASSIFIED_SITE",
        SocialMedia = 4 => "SOCIAL_MEDIA", Messaging = 5 => "MESSAGING", Leaflet = 6 => "LEAFLET",
    }
}

closed_enum! {
    /// Barrier model: where in the process the concern lies.
    pub enum BarrierStep {
        Recruitment = 1 => "RECRUITMENT", EntryAndIdentity = 2 => "ENTRY_AND_IDENTITY", Housing = 3 => "HOUSING",
        Work = 4 => "WORK", Financial = 5 => "FINANCIAL",
    }
}

closed_enum! {
    /// What sort of site it is.
    pub enum SiteType {
        Accommodation = 1 => "ACCOMMODATION", Agriculture = 2 => "AGRICULTURE", Construction = 3 => "CONSTRUCTION",
        FoodProcessing = 4 => "FOOD_PROCESSING", Hospitality = 5 => "HOSPITALITY", PersonalServices = 6 => "PERSONAL_SERVICES",
        TransportHub = 7 => "TRANSPORT_HUB", Workshop = 8 => "WORKSHOP", PrivateHousehold = 9 => "PRIVATE_HOUSEHOLD",
        Other = 10 => "OTHER",
    }
}

closed_enum! {
    /// What gives concern at a site.
    pub enum SiteConcern {
        Overcrowding = 1 => "OVERCROWDING", LivingAtWorkplace = 2 => "LIVING_AT_WORKPLACE",
        ExcessiveHours = 3 => "EXCESSIVE_HOURS", RestrictedMovement = 4 => "RESTRICTED_MOVEMENT",
        DocumentsWithheld = 5 => "DOCUMENTS_WITHHELD", UnpaidWages = 6 => "UNPAID_WAGES",
        UnsafeConditions = 7 => "UNSAFE_CONDITIONS", RapidTurnover = 8 => "RAPID_TURNOVER",
    }
}

/// Resolution 196 §12.q. There is no field for a phone, an address on the web, a handle, or a hash of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspiciousAdvertising {
    pub channel: AdvertChannel,
    /// The advert's own languages.
    pub advert_languages: Vec<Language>,
    pub first_seen: Option<UnixMs>,
    pub last_seen: Option<UnixMs>,
    /// How many adverts look alike, 1 to 10,000.
    pub adverts_seen: u32,
    /// ISCO-08 group, one to four digits.
    pub promised_occupation: Option<String>,
}

/// Resolution 510 §3.e: sites are profiled, persons never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtRiskSite {
    pub site_type: SiteType,
    pub barrier_step: BarrierStep,
    pub concerns: Vec<SiteConcern>,
    /// Workplaces or beds affected, at least: 1, 5, 20 or 100. `None`: not known.
    pub size_class: Option<u32>,
}

/// What each kind says beyond the common part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertDetails {
    SuspiciousAdvertising(SuspiciousAdvertising),
    AtRiskSite(AtRiskSite),
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub urgency: Urgency,
    pub severity: Severity,
    pub certainty: Certainty,
    /// Versioned registry strings, `ilo11:<n>` or `ilo2009:<dimension>.<n>`. They neither prove nor disprove.
    pub indicators: Vec<String>,
    pub exploitation_forms: Vec<ExploitationForm>,
    /// NACE Rev. 2 section and division, e.g. `I56`.
    pub sector: Option<String>,
    pub place: Place,
    pub assertion_basis: AssertionBasis,
    /// One text per language, screened.
    pub summary: Vec<Text>,
    pub details: AlertDetails,
}

/// Languages of one advert.
const ADVERT_LANGUAGES: usize = 8;
/// Adverts that look alike, at most.
const ADVERTS_SEEN: u32 = 10_000;
/// The lower bounds of the size classes.
const SIZE_CLASSES: [u32; 4] = [1, 5, 20, 100];

impl Alert {
    /// The kind follows from the details.
    pub fn kind(&self) -> AlertKind {
        match self.details {
            AlertDetails::SuspiciousAdvertising(_) => AlertKind::SuspiciousAdvertising,
            AlertDetails::AtRiskSite(_) => AlertKind::AtRiskSite,
        }
    }

    fn check_fields(&self) -> Result<(), Fault> {
        check_list("indicators", &self.indicators, limits::INDICATORS)?;
        if let Some(i) = self.indicators.iter().position(|code| !is_indicator(code)) {
            return Err(Fault::invalid(format!("indicators[{i}]"), "ilo11:<n> or ilo2009:<dimension>.<n>"));
        }
        check_list("exploitation_forms", &self.exploitation_forms, ExploitationForm::ALL.len())?;
        if self.sector.as_ref().is_some_and(|code| !is_sector(code)) {
            return Err(Fault::invalid("sector", "NACE section, or section and division, e.g. I56"));
        }
        check_texts("summary", &self.summary, limits::SUMMARY_CHARS)?;
        match &self.details {
            AlertDetails::SuspiciousAdvertising(advert) => {
                advert.check().map_err(|f| f.within("suspicious_advertising"))
            }
            AlertDetails::AtRiskSite(site) => site.check().map_err(|f| f.within("at_risk_site")),
        }
    }
}

/// What the one question needs to know of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertFacet {
    pub kind: AlertKind,
    pub basis: AssertionBasis,
}

impl Kind for Alert {
    const KIND: RecordKind = RecordKind::Alert;
    const FACTS: Facts = Facts {
        review: Millis::days(30),
        lasting: false,
        answers: &[],
        later: &[ReferenceKind::Updates, ReferenceKind::Cancels],
        access: Access {
            publish: &[Publisher, Coordinator],
            read: &[Publisher, Coordinator, Consumer],
            consume: &[Consumer],
            answer: &[Publisher, Coordinator],
        },
    };
    type Facet = AlertFacet;

    fn check(&self) -> Result<(), Fault> {
        self.check_fields()
    }

    fn check_past(&self, now: UnixMs) -> Result<(), Fault> {
        match &self.details {
            AlertDetails::SuspiciousAdvertising(advert) => {
                advert.check_past(now).map_err(|f| f.within("suspicious_advertising"))
            }
            AlertDetails::AtRiskSite(_) => Ok(()),
        }
    }

    fn life(&self) -> Millis {
        match self.kind() {
            AlertKind::SuspiciousAdvertising => Millis::days(90),
            AlertKind::AtRiskSite | AlertKind::AtRiskSector => Millis::days(180),
            AlertKind::LicenceAction | AlertKind::LicensingZoningConcern | AlertKind::ProcurementSupplyChain => {
                Millis::days(365)
            }
        }
    }

    fn facet(&self) -> AlertFacet {
        AlertFacet { kind: self.kind(), basis: self.assertion_basis }
    }

    fn facet_codes(facet: AlertFacet) -> [i32; 2] {
        [facet.kind.code(), facet.basis.code()]
    }

    fn facet_from_codes([kind, basis]: [i32; 2]) -> Option<AlertFacet> {
        Some(AlertFacet { kind: AlertKind::from_code(kind)?, basis: AssertionBasis::from_code(basis)? })
    }

    fn concerns_person(facet: AlertFacet) -> bool {
        facet.basis == AssertionBasis::ReportedByPerson
    }

    fn scope(_: Self::Facet) -> Option<ShareScope> {
        None
    }

    fn is_answer(_: AlertFacet) -> bool {
        false
    }

    fn lowest_tlp(_: AlertFacet) -> Tlp {
        Tlp::Clear
    }

    fn covered_by(grant: &Grant, facet: AlertFacet) -> bool {
        grant.alert_kinds.contains(&facet.kind)
    }

    fn check_grant(grant: &Grant, granted: bool) -> Result<(), Fault> {
        if granted == grant.alert_kinds.is_empty() {
            return Err(grant::invalid("alert_kinds", "given exactly when record_kinds has ALERT"));
        }
        Ok(())
    }

    fn in_words(grant: &Grant) -> Option<String> {
        let Grant { from, to, alert_kinds, .. } = grant;
        Some(format!("{to} receives alerts from {from} about {}", plain_list(alert_kinds, |k| k.name())))
    }

    fn prepare(&self, _: DisclosureLevel) -> Option<Self> {
        None
    }

    /// What every alert has, and which kind it is.
    fn cancelled(&self) -> Self {
        let details = match &self.details {
            AlertDetails::SuspiciousAdvertising(advert) => AlertDetails::SuspiciousAdvertising(SuspiciousAdvertising {
                channel: advert.channel,
                advert_languages: Vec::new(),
                first_seen: None,
                last_seen: None,
                adverts_seen: 1,
                promised_occupation: None,
            }),
            AlertDetails::AtRiskSite(site) => AlertDetails::AtRiskSite(AtRiskSite {
                site_type: site.site_type,
                barrier_step: site.barrier_step,
                concerns: Vec::new(),
                size_class: None,
            }),
        };
        Self {
            indicators: Vec::new(),
            exploitation_forms: Vec::new(),
            sector: None,
            summary: Vec::new(),
            details,
            ..self.clone()
        }
    }

    fn subject(&self) -> Option<[u8; 16]> {
        None
    }

    fn as_of(&self) -> Option<UnixMs> {
        None
    }

    #[cfg(any(test, feature = "samples"))]
    fn samples() -> Vec<Self> {
        vec![Self::sample(), Self::sample_site()]
    }

    #[cfg(any(test, feature = "samples"))]
    fn closed_lists() -> Vec<List> {
        vec![
            list::<AlertKind>(),
            list::<Urgency>(),
            list::<Severity>(),
            list::<Certainty>(),
            list::<AssertionBasis>(),
            list::<ExploitationForm>(),
            list::<AdvertChannel>(),
            list::<BarrierStep>(),
            list::<SiteType>(),
            list::<SiteConcern>(),
        ]
    }
}

#[cfg(any(test, feature = "samples"))]
impl Alert {
    /// About an advert.
    pub fn sample() -> Self {
        Alert {
            urgency: Urgency::Expected,
            severity: Severity::Severe,
            certainty: Certainty::Likely,
            indicators: vec!["ilo11:2".into(), "ilo2009:1.4".into()],
            exploitation_forms: vec![ExploitationForm::Labour],
            sector: Some("I56".into()),
            place: Place::new(PlaceScheme::Lau, "FR_67482").expect("a sample is valid"),
            assertion_basis: AssertionBasis::Observed,
            summary: vec![
                Text {
                    language: Language::parse("fr").expect("a sample is valid"),
                    text: "Trois annonces semblables.".into(),
                },
                Text {
                    language: Language::parse("de").expect("a sample is valid"),
                    text: "Drei ähnliche Anzeigen.".into(),
                },
            ],
            details: AlertDetails::SuspiciousAdvertising(SuspiciousAdvertising {
                channel: AdvertChannel::ClassifiedSite,
                advert_languages: vec![Language::parse("ro").expect("a sample is valid")],
                first_seen: Some(SAMPLED - Millis::days(3)),
                last_seen: Some(SAMPLED),
                adverts_seen: 3,
                promised_occupation: Some("513".into()),
            }),
        }
    }

    /// About a site.
    pub fn sample_site() -> Self {
        let site = AtRiskSite {
            site_type: SiteType::Hospitality,
            barrier_step: BarrierStep::Work,
            concerns: vec![SiteConcern::ExcessiveHours],
            size_class: Some(5),
        };
        Alert { details: AlertDetails::AtRiskSite(site), ..Self::sample() }
    }
}

impl SuspiciousAdvertising {
    fn check(&self) -> Result<(), Fault> {
        check_list("advert_languages", &self.advert_languages, ADVERT_LANGUAGES)?;
        if self.adverts_seen == 0 || self.adverts_seen > ADVERTS_SEEN {
            return Err(Fault::invalid("adverts_seen", "1 to 10,000"));
        }
        if let (Some(first), Some(last)) = (self.first_seen, self.last_seen)
            && last < first
        {
            return Err(Fault::invalid("last_seen_ms", "not before first_seen_ms"));
        }
        let occupation = self.promised_occupation.as_deref().unwrap_or("0");
        if !(1..=4).contains(&occupation.len()) || !occupation.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Fault::invalid("promised_occupation", "ISCO-08 group, one to four digits"));
        }
        Ok(())
    }

    /// Nobody has seen what is still to come; clocks may differ as they may between nodes.
    fn check_past(&self, now: UnixMs) -> Result<(), Fault> {
        let seen = [("first_seen_ms", self.first_seen), ("last_seen_ms", self.last_seen)];
        match seen.into_iter().find(|(_, seen)| seen.is_some_and(|seen| seen > now + limits::CREATED_AHEAD)) {
            Some((field, _)) => Err(Fault::invalid(field, format!("nothing later than now, {now}"))),
            None => Ok(()),
        }
    }
}

impl AtRiskSite {
    fn check(&self) -> Result<(), Fault> {
        check_list("concerns", &self.concerns, SiteConcern::ALL.len())?;
        if self.size_class.is_some_and(|class| !SIZE_CLASSES.contains(&class)) {
            return Err(Fault::invalid("size_class", "1, 5, 20 or 100"));
        }
        Ok(())
    }
}

/// `ilo11:<1-11>` or `ilo2009:<dimension>.<n>`; the registry may grow, its form does not.
fn is_indicator(code: &str) -> bool {
    let number = |s: &str| (1..=3).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit()) && !s.starts_with('0');
    match code.split_once(':') {
        Some(("ilo11", n)) => number(n),
        Some(("ilo2009", rest)) => rest.split_once('.').is_some_and(|(dimension, n)| number(dimension) && number(n)),
        _ => false,
    }
}
