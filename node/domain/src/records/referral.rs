//! Referrals: whether a partner's service takes on somebody who agreed to be referred, and what it answers.
//!
//! Every one concerns a person (9.2), and says the less for that: functional needs and never a diagnosis, ages in bands, the
//! desk's switchboard, a pseudonym that this one partner knows; no name, no date, no nationality and no text (11.12).

use super::grant::Grant;
use super::offer::{DisclosureLevel, ServiceKind};
use super::{Access, Facts, Kind, RecordKind, plain_list};
use crate::actor::ActorRole::Coordinator;
use crate::closed::closed_enum;
#[cfg(any(test, feature = "samples"))]
use crate::closed::{List, list};
use crate::fault::{Fault, check_list};
use crate::forms::is_phone;
use crate::handling::Tlp;
use crate::person::SubjectRef;
use crate::person::share::ShareScope;
use crate::text::Language;
use crate::time::{Millis, UnixMs};

closed_enum! {
    /// What the record says.
    pub enum ReferralForm {
        /// "Do you take such a case now?" It carries no pseudonym.
        Query = 1 => "QUERY",
        Asked = 2 => "ASKED", Accepted = 3 => "ACCEPTED", Declined = 4 => "DECLINED",
    }
}

closed_enum! {
    /// By when she needs it.
    pub enum ReferralUrgency {
        Tonight = 1 => "TONIGHT", WithinThreeDays = 2 => "WITHIN_THREE_DAYS", WithinTwoWeeks = 3 => "WITHIN_TWO_WEEKS",
        CanWait = 4 => "CAN_WAIT",
    }
}

closed_enum! {
    /// Who comes together.
    pub enum HouseholdShape {
        OneAdult = 1 => "ONE_ADULT", Couple = 2 => "COUPLE", AdultWithChildren = 3 => "ADULT_WITH_CHILDREN",
        CoupleWithChildren = 4 => "COUPLE_WITH_CHILDREN", UnaccompaniedChild = 5 => "UNACCOMPANIED_CHILD", Siblings = 6 => "SIBLINGS",
        OtherGroup = 7 => "OTHER_GROUP",
    }
}

closed_enum! {
    /// Of whom the case is about; no birth date.
    pub enum AgeBand {
        Under14 = 1 => "UNDER_14", From14To17 = 2 => "FROM_14_TO_17", From18To24 = 3 => "FROM_18_TO_24",
        From25To64 = 4 => "FROM_25_TO_64", From65 = 5 => "FROM_65", NotSaid = 6 => "NOT_SAID",
    }
}

closed_enum! {
    /// What a place or service has to be able to do; never why.
    pub enum FunctionalNeed {
        StepFree = 1 => "STEP_FREE", ColdStorage = 2 => "COLD_STORAGE", QuietRoom = 3 => "QUIET_ROOM",
        LargePrintOrBraille = 4 => "LARGE_PRINT_OR_BRAILLE", SignLanguage = 5 => "SIGN_LANGUAGE", WomenStaff = 6 => "WOMEN_STAFF",
        ChildCare = 7 => "CHILD_CARE", Pet = 8 => "PET", NightStaff = 9 => "NIGHT_STAFF",
    }
}

closed_enum! {
    /// Who said no.
    pub enum DeclinedBy { Provider = 1 => "PROVIDER", Person = 2 => "PERSON" }
}

closed_enum! {
    /// Why not.
    pub enum DeclineCode {
        NoPlace = 1 => "NO_PLACE", NotEligible = 2 => "NOT_ELIGIBLE", NoLanguage = 3 => "NO_LANGUAGE", NotSafeHere = 4 => "NOT_SAFE_HERE",
        ChoseOtherwise = 5 => "CHOSE_OTHERWISE",
    }
}

closed_enum! {
    /// What follows: a request never just ends (11.5).
    pub enum NextStep { AskLater = 1 => "ASK_LATER", AskOthers = 2 => "ASK_OTHERS", CallBack = 3 => "CALL_BACK", Nothing = 4 => "NOTHING" }
}

/// A referral, by its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Referral {
    Query(Sought),
    Asked(Asked),
    /// Which one it answers stands in the envelope's references.
    Accepted,
    Declined {
        by: DeclinedBy,
        code: DeclineCode,
        next: NextStep,
    },
}

/// What is sought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    pub service: ServiceKind,
    pub urgency: ReferralUrgency,
    pub household: HouseholdShape,
    pub age_band: AgeBand,
    pub needs: Vec<FunctionalNeed>,
    /// Those that she chose to be named.
    pub languages: Vec<Language>,
}

/// For one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How its recipient knows the case (9.16).
    pub subject: SubjectRef,
    pub sought: Sought,
    /// The desk's switchboard.
    pub callback_phone: String,
}

/// Languages of one referral.
const LANGUAGES: usize = 4;

impl Referral {
    /// What the record says.
    pub fn form(&self) -> ReferralForm {
        match self {
            Self::Query(_) => ReferralForm::Query,
            Self::Asked(_) => ReferralForm::Asked,
            Self::Accepted => ReferralForm::Accepted,
            Self::Declined { .. } => ReferralForm::Declined,
        }
    }

    /// What is sought, if it asks.
    pub fn sought(&self) -> Option<&Sought> {
        match self {
            Self::Query(sought) | Self::Asked(Asked { sought, .. }) => Some(sought),
            Self::Accepted | Self::Declined { .. } => None,
        }
    }
}

/// What a person has to agree to for a service to hear of her case.
pub const fn scope_of(service: ServiceKind) -> ShareScope {
    use ServiceKind as S;
    match service {
        S::WalkInShelter | S::LongTermRefuge | S::PremisesOffered | S::TransportEscort => ShareScope::ReferralShelter,
        S::Medical => ShareScope::ReferralMedical,
        S::Psychological => ShareScope::ReferralPsychological,
        S::LegalAid => ShareScope::ReferralLegal,
        S::InformationPoint
        | S::Hotline24h
        | S::LanguageTraining
        | S::Education
        | S::TranslationInterpretation
        | S::LowThreshold
        | S::MobileOutreach
        | S::ReportingPathway
        | S::CaseworkReintegration
        | S::TrainingEmployment
        | S::Microcredit
        | S::VoluntaryReturnSupport
        | S::GuardianshipChild => ShareScope::ReferralCasework,
    }
}

impl Sought {
    fn check(&self) -> Result<(), Fault> {
        check_list("needs", &self.needs, FunctionalNeed::ALL.len())?;
        check_list("languages", &self.languages, LANGUAGES)
    }
}

impl Kind for Referral {
    const KIND: RecordKind = RecordKind::Referral;
    const FACTS: Facts = Facts {
        review: Millis::days(14),
        lasting: false,
        answers: &[RecordKind::Referral],
        later: &[],
        // Made by a call of its own, which finds the agreement to share.
        access: Access { publish: &[], read: &[Coordinator], consume: &[], answer: &[Coordinator] },
    };
    /// Its form, and the service that it asks for.
    type Facet = (ReferralForm, Option<ServiceKind>);

    fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Query(sought) => sought.check(),
            Self::Asked(asked) => {
                if !is_phone(&asked.callback_phone) {
                    return Err(Fault::invalid(
                        "callback_phone",
                        "the desk's switchboard in E.164, e.g. +493023125014",
                    ));
                }
                asked.sought.check()
            }
            Self::Accepted | Self::Declined { .. } => Ok(()),
        }
    }

    fn check_past(&self, _: UnixMs) -> Result<(), Fault> {
        Ok(())
    }

    fn life(&self) -> Millis {
        Millis::days(30)
    }

    fn facet(&self) -> Self::Facet {
        (self.form(), self.sought().map(|sought| sought.service))
    }

    fn facet_codes((form, service): Self::Facet) -> [i32; 2] {
        [form.code(), service.map_or(0, ServiceKind::code)]
    }

    fn facet_from_codes([form, service]: [i32; 2]) -> Option<Self::Facet> {
        let form = ReferralForm::from_code(form)?;
        let asks = matches!(form, ReferralForm::Query | ReferralForm::Asked);
        match (asks, service) {
            (false, 0) => Some((form, None)),
            (true, code) => Some((form, Some(ServiceKind::from_code(code)?))),
            (false, _) => None,
        }
    }

    fn concerns_person(_: Self::Facet) -> bool {
        true
    }

    fn scope((_, service): Self::Facet) -> Option<ShareScope> {
        service.map(scope_of)
    }

    fn is_answer((form, _): Self::Facet) -> bool {
        matches!(form, ReferralForm::Accepted | ReferralForm::Declined)
    }

    /// Plain AMBER is refused for anything about a person.
    fn lowest_tlp(_: Self::Facet) -> Tlp {
        Tlp::AmberStrict
    }

    fn covered_by(grant: &Grant, (_, service): Self::Facet) -> bool {
        service.is_none_or(|service| grant.service_kinds.contains(&service))
    }

    /// The services that it may ask for stand with the offers' (`offer`).
    fn check_grant(_: &Grant, _: bool) -> Result<(), Fault> {
        Ok(())
    }

    fn in_words(grant: &Grant) -> Option<String> {
        let services = plain_list(&grant.service_kinds, |kind| kind.name());
        Some(format!("{} is asked by {} to take on persons who agreed to it: {services}", grant.to, grant.from))
    }

    fn prepare(&self, _: DisclosureLevel) -> Option<Self> {
        None
    }

    /// Nobody cancels one: it is withdrawn, and erased.
    fn cancelled(&self) -> Self {
        self.clone()
    }

    fn subject(&self) -> Option<[u8; 16]> {
        None
    }

    fn as_of(&self) -> Option<UnixMs> {
        None
    }

    #[cfg(any(test, feature = "samples"))]
    fn samples() -> Vec<Self> {
        let sought = Sought::sample();
        let subject = SubjectRef::from_slice(&[7; 16]).expect("16 bytes");
        let asked = Asked { subject, sought: sought.clone(), callback_phone: "+493023125014".into() };
        let declined =
            Self::Declined { by: DeclinedBy::Provider, code: DeclineCode::NoPlace, next: NextStep::AskLater };
        vec![Self::Asked(asked), Self::Query(sought), Self::Accepted, declined]
    }

    #[cfg(any(test, feature = "samples"))]
    fn closed_lists() -> Vec<List> {
        vec![
            list::<ReferralForm>(),
            list::<ReferralUrgency>(),
            list::<HouseholdShape>(),
            list::<AgeBand>(),
            list::<FunctionalNeed>(),
            list::<DeclinedBy>(),
            list::<DeclineCode>(),
            list::<NextStep>(),
        ]
    }
}

#[cfg(any(test, feature = "samples"))]
impl Sought {
    /// Legal aid for one adult.
    pub fn sample() -> Self {
        Self {
            service: ServiceKind::LegalAid,
            urgency: ReferralUrgency::WithinThreeDays,
            household: HouseholdShape::OneAdult,
            age_band: AgeBand::From25To64,
            needs: vec![FunctionalNeed::StepFree],
            languages: vec![Language::parse("ro").expect("a sample is valid")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_says_where_to_call_back_and_nothing_twice() {
        let Some(Referral::Asked(asked)) = Referral::samples().into_iter().next() else { unreachable!() };
        let refused = |change: fn(&mut Asked)| {
            let mut asked = asked.clone();
            change(&mut asked);
            Referral::Asked(asked).check().unwrap_err().field
        };
        assert_eq!(refused(|asked| asked.callback_phone.clear()), "callback_phone");
        assert_eq!(refused(|asked| asked.callback_phone = "ask for Jo".into()), "callback_phone");
        assert_eq!(refused(|asked| asked.sought.needs = vec![FunctionalNeed::Pet; 2]), "needs[1]");
        let languages = |asked: &mut Asked| asked.sought.languages = vec![Language::parse("ro").unwrap(); 2];
        assert_eq!(refused(languages), "languages[1]");
    }

    #[test]
    fn each_service_has_the_scope_that_a_person_agrees_to() {
        for service in ServiceKind::ALL {
            let facet = (ReferralForm::Asked, Some(*service));
            assert!(Referral::scope(facet).is_some_and(ShareScope::is_referral), "{}", service.name());
            assert_eq!(Referral::facet_from_codes(Referral::facet_codes(facet)), Some(facet));
        }
        assert_eq!(Referral::facet_from_codes([ReferralForm::Accepted.code(), 9]), None);
        assert_eq!(Referral::facet_from_codes([ReferralForm::Asked.code(), 0]), None);
        assert_eq!(Referral::scope((ReferralForm::Accepted, None)), None, "an answer follows what it answers");
    }
}
