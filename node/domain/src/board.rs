//! The board: what a coordinator looks for, whether an offer may do for it, and in which order offers are looked at (9.11).
//!
//! Asked at the searching node alone, of what partners show anyway: no partner learns what somebody needs, and nobody is
//! found out by asking for one condition after another (11.12). What an offer does not say is not a no: it is listed as
//! unsaid, and the desk is asked.

use super::closed::closed_enum;
use super::envelope::GrantRef;
use super::ids::{AuthorityId, OfferId};
use super::light::{Light, LightReason};
use super::place::{Place, PlaceScheme};
use super::records::offer::{Eligibility, OfferView, ServiceKind};
use super::text::Language;
use super::time::Millis;

closed_enum! {
    /// Who has to be received.
    pub enum ReceivedGroup {
        Women = 1 => "WOMEN", Men = 2 => "MEN", CouplesAndFamilies = 3 => "COUPLES_AND_FAMILIES",
        TransAndNonBinary = 4 => "TRANS_AND_NON_BINARY", Children = 5 => "CHILDREN", TeenageSons = 6 => "TEENAGE_SONS",
        UnaccompaniedMinors = 7 => "UNACCOMPANIED_MINORS",
    }
}

closed_enum! {
    /// What was looked for and an offer does not say.
    pub enum Unsaid {
        Receives = 1 => "RECEIVES", ChildrenMaxAge = 2 => "CHILDREN_MAX_AGE", StaffLanguages = 3 => "STAFF_LANGUAGES",
        StepFree = 4 => "STEP_FREE", Pets = 5 => "PETS", LongestStay = 6 => "LONGEST_STAY",
    }
}

closed_enum! {
    /// How near an offer lies, by the codes of its area: of a protected one no finer than NUTS-2 (11.4).
    pub enum Nearness {
        SameArea = 1 => "SAME_AREA", SameRegion = 2 => "SAME_REGION", SameCountry = 3 => "SAME_COUNTRY",
        OtherCountry = 4 => "OTHER_COUNTRY",
        /// No place was named, or the two have no scheme in common.
        NotKnown = 5 => "NOT_KNOWN",
    }
}

/// What is looked for. Coded, about no person; a list that is empty and a condition that is not set ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// One of them.
    pub services: Vec<ServiceKind>,
    /// All of them.
    pub receives: Vec<ReceivedGroup>,
    /// Of the oldest child, in years.
    pub children_age: Option<u32>,
    /// One of them.
    pub languages: Vec<Language>,
    pub step_free: bool,
    pub pets: bool,
    /// For at least so many days.
    pub days: u32,
    /// One of them: ISO 3166-1 alpha-2, lower case.
    pub countries: Vec<String>,
    /// Where the person is.
    pub near: Option<Place>,
}

impl Wanted {
    /// Whether an offer may do, and what it leaves unsaid. `None`: it says that it does not.
    pub fn fits(&self, view: &OfferView) -> Option<Vec<Unsaid>> {
        let kind = self.services.is_empty() || self.services.contains(&view.service_kind);
        let country = self.countries.is_empty() || {
            let lies_in = country(&view.area);
            self.countries.contains(&lies_in)
        };
        if !kind || !country {
            return None;
        }
        let says = &view.eligibility;
        let answers = [
            (Unsaid::Receives, self.received(says)),
            (Unsaid::ChildrenMaxAge, self.young_enough(says)),
            (Unsaid::StaffLanguages, self.spoken(says)),
            (Unsaid::StepFree, asked(self.step_free, says.step_free)),
            (Unsaid::Pets, asked(self.pets, says.pets)),
            (Unsaid::LongestStay, self.long_enough(says)),
        ];
        if answers.iter().any(|(_, answer)| *answer == Answer::No) {
            return None;
        }
        Some(answers.into_iter().filter(|(_, answer)| *answer == Answer::Unsaid).map(|(what, _)| what).collect())
    }

    /// How near it lies.
    pub fn nearness(&self, view: &OfferView) -> Nearness {
        self.near.as_ref().map_or(Nearness::NotKnown, |near| nearness(near, &view.area, view.protected))
    }

    fn received(&self, says: &Eligibility) -> Answer {
        let groups = groups_of(says);
        match self.receives.as_slice() {
            [] => Answer::Yes,
            _ if groups.is_empty() => Answer::Unsaid,
            wanted if wanted.iter().all(|group| groups.contains(group)) => Answer::Yes,
            _ => Answer::No,
        }
    }

    fn young_enough(&self, says: &Eligibility) -> Answer {
        match self.children_age {
            None => Answer::Yes,
            // Children are not among those that it names.
            Some(_) if !says.children && !groups_of(says).is_empty() => Answer::No,
            Some(_) if says.children_max_age == 0 => Answer::Unsaid,
            Some(age) if age <= says.children_max_age => Answer::Yes,
            Some(_) => Answer::No,
        }
    }

    fn spoken(&self, says: &Eligibility) -> Answer {
        match (self.languages.as_slice(), says.staff_languages.as_slice()) {
            ([], _) => Answer::Yes,
            (_, []) => Answer::Unsaid,
            // `pt-BR` is spoken where `pt` is.
            (wanted, spoken) if wanted.iter().any(|w| spoken.iter().any(|s| s.primary() == w.primary())) => Answer::Yes,
            _ => Answer::No,
        }
    }

    fn long_enough(&self, says: &Eligibility) -> Answer {
        match says.longest_stay_days {
            _ if self.days == 0 => Answer::Yes,
            0 => Answer::Unsaid,
            days if self.days <= days => Answer::Yes,
            _ => Answer::No,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    Unsaid,
}

/// What can be said only with yes.
fn asked(wanted: bool, said: bool) -> Answer {
    if !wanted || said { Answer::Yes } else { Answer::Unsaid }
}

/// Whom an offer names.
fn groups_of(says: &Eligibility) -> Vec<ReceivedGroup> {
    let said = [
        (ReceivedGroup::Women, says.women),
        (ReceivedGroup::Men, says.men),
        (ReceivedGroup::CouplesAndFamilies, says.couples_and_families),
        (ReceivedGroup::TransAndNonBinary, says.trans_and_non_binary),
        (ReceivedGroup::Children, says.children),
        (ReceivedGroup::TeenageSons, says.teenage_sons),
        (ReceivedGroup::UnaccompaniedMinors, says.unaccompanied_minors),
    ];
    said.into_iter().filter(|(_, said)| *said).map(|(group, _)| group).collect()
}

/// The country of a place, as ISO 3166-1 has it; NUTS writes two of them otherwise.
fn country(place: &Place) -> String {
    let code = match place.scheme() {
        PlaceScheme::Gss => "gb".to_owned(),
        PlaceScheme::Nuts | PlaceScheme::Lau | PlaceScheme::Iso3166Part2 => {
            place.code().get(..2).unwrap_or_default().to_ascii_lowercase()
        }
    };
    match code.as_str() {
        "el" => "gr".to_owned(),
        "uk" => "gb".to_owned(),
        _ => code,
    }
}

fn nearness(near: &Place, area: &Place, protected: bool) -> Nearness {
    if country(near) != country(area) {
        return Nearness::OtherCountry;
    }
    let same = |level| match (near.nuts_at_most(level), area.nuts_at_most(level)) {
        (Some(a), Some(b)) => a == b && a.nuts_level() == Some(level),
        _ => false,
    };
    match () {
        () if !protected && same(3) => Nearness::SameArea,
        () if !protected
            && near.scheme() == area.scheme()
            && near.code() == area.code()
            && near.nuts_level().is_none() =>
        {
            Nearness::SameArea
        }
        () if same(2) => Nearness::SameRegion,
        () => Nearness::SameCountry,
    }
}

closed_enum! {
    /// Where a row of the board comes from.
    pub enum BoardSource {
        Own = 1 => "OWN",
        /// The owner's answer to this search: what is held is taken off.
        Live = 2 => "LIVE",
        /// What its owner told last.
        LastKnown = 3 => "LAST_KNOWN",
    }
}

/// A row of the board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub authority: AuthorityId,
    pub view: OfferView,
    pub light: Light,
    pub because: LightReason,
    /// Age of the statement; `None`: not known.
    pub age: Option<Millis>,
    pub source: BoardSource,
    pub nearness: Nearness,
    pub unsaid: Vec<Unsaid>,
}

impl Found {
    /// The order in which rows are looked at, the same each time: the light first, then what leaves least unsaid, lies nearest and
    /// was said last.
    pub fn rank(&self) -> impl Ord + use<> {
        let age = self.age.map_or(i64::MAX, |age| age.0);
        (self.light, self.unsaid.len(), self.nearness, age, self.authority.clone(), self.view.id)
    }

    /// The same of a partner that does not answer, so much later.
    pub fn silent(self, later: Millis) -> Self {
        let age = self.age.map(|age| Millis(age.0.saturating_add(later.0)));
        Self { light: Light::Unreachable, because: LightReason::Silence, age, ..self }
    }
}

/// What a partner is asked: which capacity there is, by its service alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityQuestion {
    pub asker: AuthorityId,
    /// The owner.
    pub asked: AuthorityId,
    /// Empty: all of them.
    pub services: Vec<ServiceKind>,
    /// The offers behind this one, by their ids; `None`: from the first.
    pub after: Option<OfferId>,
}

/// One of the owner's offers, as its agreement shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownOffer {
    pub view: OfferView,
    /// The owner's clock at answering less as-of; `None`: not reported.
    pub age: Option<Millis>,
    /// The grant under which it is shown.
    pub grant: GrantRef,
}

/// One page of an owner's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapacityAnswer {
    pub offers: Vec<ShownOffer>,
    /// There are more behind the last one.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;
    use crate::records::offer::{DisclosureLevel, OwnOffer};

    fn place(code: &str) -> Place {
        Place::new(PlaceScheme::Nuts, code).unwrap()
    }

    fn view(says: Eligibility) -> OfferView {
        let own = OwnOffer { eligibility: says, ..OwnOffer::sample(false) };
        OfferView { area: place("FRF11"), ..own.view(DisclosureLevel::Count, 1, 0) }
    }

    fn language(tag: &str) -> Language {
        Language::parse(tag).unwrap()
    }

    #[test]
    fn who_names_nobody_is_asked_and_who_names_others_is_left_out() {
        let wanted = Wanted { receives: vec![ReceivedGroup::Women, ReceivedGroup::Children], ..Wanted::default() };
        let says = |women, men, children| view(Eligibility { women, men, children, ..Eligibility::default() });
        assert_eq!(wanted.fits(&says(true, false, true)), Some(vec![]));
        assert_eq!(wanted.fits(&says(true, true, false)), None, "both have to be received");
        assert_eq!(wanted.fits(&says(false, false, false)), Some(vec![Unsaid::Receives]));
    }

    #[test]
    fn ages_languages_and_days_are_compared_and_silence_is_no_refusal() {
        let young = Wanted { children_age: Some(14), ..Wanted::default() };
        let children =
            |children_max_age| view(Eligibility { children: true, children_max_age, ..Eligibility::default() });
        assert_eq!(young.fits(&children(14)), Some(vec![]));
        assert_eq!(young.fits(&children(13)), None);
        assert_eq!(young.fits(&children(0)), Some(vec![Unsaid::ChildrenMaxAge]));
        assert_eq!(young.fits(&view(Eligibility { men: true, ..Eligibility::default() })), None);

        let speaks = Wanted { languages: vec![language("pt-BR"), language("ro")], ..Wanted::default() };
        let staff = |tags: &[&str]| {
            view(Eligibility { staff_languages: tags.iter().map(|t| language(t)).collect(), ..Eligibility::default() })
        };
        assert_eq!(speaks.fits(&staff(&["fr", "pt"])), Some(vec![]), "one of them, in whichever variety");
        assert_eq!(speaks.fits(&staff(&["fr"])), None);
        assert_eq!(speaks.fits(&staff(&[])), Some(vec![Unsaid::StaffLanguages]));

        let stays = Wanted { days: 30, step_free: true, ..Wanted::default() };
        let long =
            |longest_stay_days, step_free| view(Eligibility { longest_stay_days, step_free, ..Eligibility::default() });
        assert_eq!(stays.fits(&long(30, true)), Some(vec![]));
        assert_eq!(stays.fits(&long(29, true)), None);
        assert_eq!(stays.fits(&long(0, false)), Some(vec![Unsaid::StepFree, Unsaid::LongestStay]));
    }

    #[test]
    fn countries_are_those_of_iso_whatever_the_scheme_writes() {
        let lies = |area: Place, country: &str| {
            let wanted = Wanted { countries: vec![country.to_owned()], ..Wanted::default() };
            wanted.fits(&OfferView { area, ..view(Eligibility::default()) }).is_some()
        };
        assert!(lies(place("FRF11"), "fr") && !lies(place("FRF11"), "de"));
        assert!(lies(place("EL303"), "gr") && lies(place("UKI31"), "gb"));
        assert!(lies(Place::new(PlaceScheme::Gss, "E09000007").unwrap(), "gb"));
        assert!(lies(Place::new(PlaceScheme::Lau, "DE_08317057").unwrap(), "de"));
    }

    #[test]
    fn nearness_is_told_by_codes_and_of_a_protected_offer_never_finer_than_its_region() {
        let from = Wanted { near: Some(place("FRF11")), ..Wanted::default() };
        let lies = |code: &str, protected| {
            from.nearness(&OfferView { area: place(code), protected, ..view(Eligibility::default()) })
        };
        assert_eq!(lies("FRF11", false), Nearness::SameArea);
        assert_eq!(lies("FRF11", true), Nearness::SameRegion, "although its area says more than it may");
        assert_eq!(lies("FRF12", false), Nearness::SameRegion);
        assert_eq!(lies("FRF1", true), Nearness::SameRegion);
        assert_eq!(lies("FRF21", false), Nearness::SameCountry);
        assert_eq!(lies("FR", false), Nearness::SameCountry);
        assert_eq!(lies("DE134", false), Nearness::OtherCountry);
        assert_eq!(Wanted::default().nearness(&view(Eligibility::default())), Nearness::NotKnown);
        let commune = Wanted { near: Place::new(PlaceScheme::Lau, "FR_67482"), ..Wanted::default() };
        assert_eq!(commune.nearness(&view(Eligibility::default())), Nearness::SameCountry);
    }

    fn an_eligibility() -> impl Strategy<Value = Eligibility> {
        let tags = subsequence(vec!["fr", "de", "ro", "pt-BR"], 0..=4);
        (any::<[bool; 9]>(), 0_u32..=18, 0_u32..60, tags).prop_map(
            |(said, children_max_age, longest_stay_days, tags)| {
                let [
                    women,
                    men,
                    couples_and_families,
                    trans_and_non_binary,
                    children,
                    teenage_sons,
                    unaccompanied_minors,
                    step_free,
                    pets,
                ] = said;
                let staff_languages = tags.into_iter().map(language).collect();
                Eligibility {
                    women,
                    men,
                    couples_and_families,
                    trans_and_non_binary,
                    children,
                    children_max_age,
                    teenage_sons,
                    unaccompanied_minors,
                    staff_languages,
                    step_free,
                    pets,
                    longest_stay_days,
                }
            },
        )
    }

    fn what_is_wanted() -> impl Strategy<Value = Wanted> {
        let receives = subsequence(ReceivedGroup::ALL.to_vec(), 0..=3);
        let languages = subsequence(vec!["fr", "ro", "uk"], 0..=2);
        let age = proptest::option::of(0_u32..18);
        (receives, languages, age, any::<[bool; 2]>(), 0_u32..60, select(vec![0_u8, 1])).prop_map(
            |(receives, tags, children_age, [step_free, pets], days, _)| {
                let languages = tags.into_iter().map(language).collect();
                Wanted { receives, languages, children_age, step_free, pets, days, ..Wanted::default() }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// One condition more never finds an offer that was not found without it.
        #[test]
        fn each_condition_only_takes_away(wanted in what_is_wanted(), says in an_eligibility(), more in select(ReceivedGroup::ALL)) {
            let offer = view(says);
            let mut narrower = wanted.clone();
            narrower.receives.push(more);
            prop_assert!(narrower.fits(&offer).is_none() || wanted.fits(&offer).is_some());
            let older = Wanted { children_age: Some(wanted.children_age.unwrap_or(0) + 1), ..wanted.clone() };
            prop_assert!(older.fits(&offer).is_none() || wanted.fits(&offer).is_some());
        }

        /// Whoever says nothing at all is found by everybody, with everything that was asked listed as unsaid.
        #[test]
        fn who_says_nothing_is_never_left_out(wanted in what_is_wanted()) {
            let unsaid = wanted.fits(&view(Eligibility::default()));
            let asked = [
                (Unsaid::Receives, !wanted.receives.is_empty()),
                (Unsaid::ChildrenMaxAge, wanted.children_age.is_some()),
                (Unsaid::StaffLanguages, !wanted.languages.is_empty()),
                (Unsaid::StepFree, wanted.step_free),
                (Unsaid::Pets, wanted.pets),
                (Unsaid::LongestStay, wanted.days > 0),
            ];
            let expected: Vec<Unsaid> = asked.into_iter().filter(|(_, asked)| *asked).map(|(what, _)| what).collect();
            prop_assert_eq!(unsaid, Some(expected));
        }
    }
}
