//! Joint inspections (resolution 510 §3.g): a proposal to authorities by name, and the acceptance of one that was asked.
//!
//! Sites and sectors are looked at, persons never: there is no field that could name one, a case or an alert, and no text.
//! An acceptance is an inspection record that answers one (decisions/025).

use super::alert::SiteType;
use super::grant::Grant;
use super::offer::DisclosureLevel;
use super::record::ReferenceKind;
use super::{Access, Facts, Kind, RecordKind};
use crate::actor::ActorRole::Inspection as Inspectors;
use crate::closed::closed_enum;
#[cfg(any(test, feature = "samples"))]
use crate::closed::{List, list};
use crate::fault::{Fault, check_list};
use crate::forms::is_sector;
use crate::handling::Tlp;
use crate::person::share::ShareScope;
use crate::place::Place;
use crate::time::{Millis, UnixMs};

closed_enum! {
    /// What the record says.
    pub enum InspectionState { Proposed = 1 => "PROPOSED", Accepted = 2 => "ACCEPTED" }
}

closed_enum! {
    /// Why a sector or a sort of site is to be looked at.
    pub enum InspectionReason {
        SectorAtRisk = 1 => "SECTOR_AT_RISK", SitesAtRisk = 2 => "SITES_AT_RISK", WorkingConditions = 3 => "WORKING_CONDITIONS",
        HousingConditions = 4 => "HOUSING_CONDITIONS", Licensing = 5 => "LICENSING", Procurement = 6 => "PROCUREMENT",
        FollowUp = 7 => "FOLLOW_UP",
    }
}

closed_enum! {
    /// What a participant does there. Immigration enforcement cannot take part: it has no number.
    pub enum InspectionPart {
        LabourInspection = 1 => "LABOUR_INSPECTION", HealthAndSafety = 2 => "HEALTH_AND_SAFETY",
        HousingInspection = 3 => "HOUSING_INSPECTION", Licensing = 4 => "LICENSING", SupportService = 5 => "SUPPORT_SERVICE",
        Interpretation = 6 => "INTERPRETATION", TradeUnion = 7 => "TRADE_UNION", ChildProtection = 8 => "CHILD_PROTECTION",
    }
}

/// An inspection, by its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspection {
    Proposed(JointInspection),
    /// What its author does there; which proposal it accepts stands in the envelope's references.
    Accepted(Vec<InspectionPart>),
}

/// What is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JointInspection {
    /// NACE Rev. 2 section and division, e.g. `I56`.
    pub sector: Option<String>,
    pub place: Place,
    /// None: any.
    pub site_types: Vec<SiteType>,
    /// First and last instant of the days that are proposed.
    pub not_before: UnixMs,
    pub not_after: UnixMs,
    pub reasons: Vec<InspectionReason>,
    /// What is sought.
    pub parts: Vec<InspectionPart>,
}

/// The longest window of days.
const WINDOW: Millis = Millis::days(92);

impl Inspection {
    /// What the record says.
    pub fn state(&self) -> InspectionState {
        match self {
            Self::Proposed(_) => InspectionState::Proposed,
            Self::Accepted(_) => InspectionState::Accepted,
        }
    }
}

impl Kind for Inspection {
    const KIND: RecordKind = RecordKind::Inspection;
    const FACTS: Facts = Facts {
        review: Millis::days(30),
        lasting: false,
        answers: &[RecordKind::Inspection],
        later: &[ReferenceKind::Updates, ReferenceKind::Cancels],
        access: Access { publish: &[Inspectors], read: &[Inspectors], consume: &[], answer: &[Inspectors] },
    };
    type Facet = InspectionState;

    fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Proposed(proposed) => proposed.check(),
            Self::Accepted(parts) => check_parts(parts),
        }
    }

    fn check_past(&self, _: UnixMs) -> Result<(), Fault> {
        Ok(())
    }

    /// Half a year, however soon it is meant to be: an acceptance has to find it.
    fn life(&self) -> Millis {
        Millis::days(180)
    }

    fn facet(&self) -> InspectionState {
        self.state()
    }

    fn facet_codes(facet: InspectionState) -> [i32; 2] {
        [facet.code(), 0]
    }

    fn facet_from_codes([state, nothing]: [i32; 2]) -> Option<InspectionState> {
        InspectionState::from_code(state).filter(|_| nothing == 0)
    }

    fn concerns_person(_: InspectionState) -> bool {
        false
    }

    fn scope(_: Self::Facet) -> Option<ShareScope> {
        None
    }

    fn is_answer(facet: InspectionState) -> bool {
        facet == InspectionState::Accepted
    }

    /// Until it is done, nobody hears of it who was not asked.
    fn lowest_tlp(_: InspectionState) -> Tlp {
        Tlp::Red
    }

    fn covered_by(_: &Grant, _: InspectionState) -> bool {
        true
    }

    fn check_grant(_: &Grant, _: bool) -> Result<(), Fault> {
        Ok(())
    }

    fn in_words(grant: &Grant) -> Option<String> {
        Some(format!("{} is asked by {} to inspect together", grant.to, grant.from))
    }

    fn prepare(&self, _: DisclosureLevel) -> Option<Self> {
        None
    }

    /// Where and when, which every proposal has.
    fn cancelled(&self) -> Self {
        match self {
            Self::Proposed(JointInspection { place, not_before, not_after, .. }) => Self::Proposed(JointInspection {
                sector: None,
                place: place.clone(),
                site_types: Vec::new(),
                not_before: *not_before,
                not_after: *not_after,
                reasons: Vec::new(),
                parts: Vec::new(),
            }),
            Self::Accepted(_) => Self::Accepted(Vec::new()),
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
        use super::SAMPLED;
        use super::alert::Alert;
        let proposed = JointInspection {
            sector: Some("I56".into()),
            place: Alert::sample().place,
            site_types: vec![SiteType::Hospitality],
            not_before: SAMPLED,
            not_after: SAMPLED + Millis::days(14),
            reasons: vec![InspectionReason::WorkingConditions],
            parts: vec![InspectionPart::LabourInspection, InspectionPart::SupportService],
        };
        vec![Self::Proposed(proposed), Self::Accepted(vec![InspectionPart::SupportService])]
    }

    #[cfg(any(test, feature = "samples"))]
    fn closed_lists() -> Vec<List> {
        vec![list::<InspectionState>(), list::<InspectionReason>(), list::<InspectionPart>()]
    }
}

impl JointInspection {
    fn check(&self) -> Result<(), Fault> {
        if self.sector.as_ref().is_some_and(|code| !is_sector(code)) {
            return Err(Fault::invalid("sector", "NACE section, or section and division, e.g. I56"));
        }
        check_list("site_types", &self.site_types, SiteType::ALL.len())?;
        if self.not_after <= self.not_before || self.not_after.since(self.not_before) > WINDOW {
            return Err(Fault::invalid("not_after_ms", "after not_before_ms, by 92 days at most"));
        }
        if self.reasons.is_empty() {
            return Err(Fault::missing("reasons"));
        }
        check_list("reasons", &self.reasons, InspectionReason::ALL.len())?;
        check_parts(&self.parts)
    }
}

fn check_parts(parts: &[InspectionPart]) -> Result<(), Fault> {
    if parts.is_empty() {
        return Err(Fault::missing("parts"));
    }
    check_list("parts", parts, InspectionPart::ALL.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{NOW, kehl};
    use crate::sharing::{Audience, check_marking};

    fn proposed(change: impl FnOnce(&mut JointInspection)) -> Inspection {
        let Some(Inspection::Proposed(mut one)) = Inspection::samples().into_iter().next() else { unreachable!() };
        change(&mut one);
        Inspection::Proposed(one)
    }

    #[test]
    fn a_proposal_says_where_when_why_and_what_is_sought() {
        let refused = |change: fn(&mut JointInspection)| proposed(change).check().unwrap_err().field;
        assert_eq!(refused(|one| one.sector = Some("56".into())), "sector");
        assert_eq!(refused(|one| one.not_after = one.not_before), "not_after_ms");
        assert_eq!(refused(|one| one.not_after = NOW + Millis::days(93)), "not_after_ms");
        assert_eq!(refused(|one| one.reasons.clear()), "reasons");
        assert_eq!(refused(|one| one.parts.clear()), "parts");
        assert_eq!(refused(|one| one.parts = vec![InspectionPart::Licensing; 2]), "parts[1]");
        assert_eq!(Inspection::Accepted(vec![]).check().unwrap_err().field, "parts");
    }

    #[test]
    fn it_is_red_and_for_those_who_are_named() {
        for one in Inspection::samples() {
            let facet = super::super::Facet::Inspection(one.facet());
            assert_eq!(check_marking(Tlp::AmberStrict, facet).unwrap_err().field, "handling.tlp");
            assert_eq!(check_marking(Tlp::Red, facet), Ok(()));
            assert!(Audience::AllPartners.check(Tlp::Red, facet).is_err());
            assert_eq!(Audience::one(kehl()).check(Tlp::Red, facet), Ok(()));
        }
    }
}
