//! Best practices: what was tried, what it cost, whether it worked, including what did not.

use super::grant::Grant;
use super::offer::DisclosureLevel;
use super::record::ReferenceKind;
use super::{Access, Facts, Kind, RecordKind};
use crate::actor::ActorRole::{Consumer, Coordinator, Publisher};
use crate::closed::closed_enum;
#[cfg(any(test, feature = "samples"))]
use crate::closed::{List, list};
use crate::fault::{Fault, check_list};
use crate::handling::Tlp;
use crate::limits;
use crate::person::share::ShareScope;
use crate::place::Place;
use crate::reason::Reason;
use crate::text::{Language, TranslationProvenance, check_free_text};
use crate::time::{Millis, UnixMs};

closed_enum! {
    /// Resolution 196 §10.f: also what did not work.
    pub enum PracticeOutcome {
        Effective = 1 => "EFFECTIVE", Mixed = 2 => "MIXED", Ineffective = 3 => "INEFFECTIVE", Harmful = 4 => "HARMFUL",
        Unknown = 5 => "UNKNOWN",
    }
}

closed_enum! {
    /// Whom the measure addresses.
    pub enum PracticeAudience {
        PotentialVictims = 1 => "POTENTIAL_VICTIMS", Professionals = 2 => "PROFESSIONALS", GeneralPublic = 3 => "GENERAL_PUBLIC",
        Media = 4 => "MEDIA", ServiceUsersDemand = 5 => "SERVICE_USERS_DEMAND",
    }
}

closed_enum! {
    /// What it is about.
    pub enum PracticeTopic {
        Awareness = 1 => "AWARENESS", Training = 2 => "TRAINING", Outreach = 3 => "OUTREACH", Accommodation = 4 => "ACCOMMODATION",
        LanguageAndInterpretation = 5 => "LANGUAGE_AND_INTERPRETATION", LegalAid = 6 => "LEGAL_AID", Health = 7 => "HEALTH",
        Employment = 8 => "EMPLOYMENT", Children = 9 => "CHILDREN", Licensing = 10 => "LICENSING",
        Procurement = 11 => "PROCUREMENT", Inspection = 12 => "INSPECTION", Cooperation = 13 => "COOPERATION",
        DataProtection = 14 => "DATA_PROTECTION",
    }
}

closed_enum! {
    /// Euro, for the whole measure and year.
    pub enum CostBand {
        Under1k = 1 => "UNDER_1K", From1kTo10k = 2 => "1K_TO_10K", From10kTo100k = 3 => "10K_TO_100K", Over100k = 4 => "OVER_100K",
    }
}

/// The text fields in one language. Title and problem and measure are required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PracticeText {
    pub language: Language,
    pub provenance: TranslationProvenance,
    pub title: String,
    pub problem: String,
    pub measure: String,
    /// May be empty.
    pub evidence: String,
}

/// A practice, one version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Practice {
    /// Starts at 1.
    pub version: u32,
    pub texts: Vec<PracticeText>,
    pub outcome: PracticeOutcome,
    pub cost_band: Option<CostBand>,
    pub audiences: Vec<PracticeAudience>,
    pub topics: Vec<PracticeTopic>,
    /// `196:12.q`, `510:3.e`.
    pub resolution_paragraphs: Vec<String>,
    /// ISO 3166-1 codes of the countries whose law it presupposes.
    pub legal_prerequisites: Vec<String>,
    pub place: Option<Place>,
}

/// Paragraphs and countries named in one practice.
const NAMED: usize = 32;

impl Practice {
    fn check_fields(&self) -> Result<(), Fault> {
        if self.version == 0 {
            return Err(Fault::invalid("version", "1 or more"));
        }
        if self.texts.is_empty() {
            return Err(Fault::missing("texts"));
        }
        if self.texts.len() > limits::LANGUAGES {
            return Err(Fault::too_long("texts", limits::LANGUAGES, "languages"));
        }
        for (i, text) in self.texts.iter().enumerate() {
            if self.texts[..i].iter().any(|other| other.language == text.language) {
                return Err(Fault::invalid(format!("texts[{i}].language"), "one text per language"));
            }
            text.check().map_err(|f| f.within(&format!("texts[{i}]")))?;
        }
        let bytes = self.texts.iter().map(PracticeText::bytes).sum::<usize>();
        if bytes > limits::PRACTICE_TEXTS_BYTES {
            let detail = format!(
                "at most {} bytes over all languages, this has {bytes}: shorten the texts, or publish some languages in a practice of \
                 their own",
                limits::PRACTICE_TEXTS_BYTES
            );
            return Err(Fault::new(Reason::FieldTooLong, "texts", detail));
        }
        check_list("audiences", &self.audiences, PracticeAudience::ALL.len())?;
        if self.topics.is_empty() {
            return Err(Fault::missing("topics"));
        }
        check_list("topics", &self.topics, PracticeTopic::ALL.len())?;
        check_list("resolution_paragraphs", &self.resolution_paragraphs, NAMED)?;
        if let Some(i) = self.resolution_paragraphs.iter().position(|p| !is_paragraph(p)) {
            return Err(Fault::invalid(format!("resolution_paragraphs[{i}]"), "196:12.q or 510:3.e"));
        }
        check_list("legal_prerequisites", &self.legal_prerequisites, NAMED)?;
        let country = |c: &String| c.len() == 2 && c.bytes().all(|b| b.is_ascii_uppercase());
        if let Some(i) = self.legal_prerequisites.iter().position(|c| !country(c)) {
            return Err(Fault::invalid(format!("legal_prerequisites[{i}]"), "ISO 3166-1 alpha-2"));
        }
        Ok(())
    }
}

impl Kind for Practice {
    const KIND: RecordKind = RecordKind::Practice;
    const FACTS: Facts = Facts {
        review: Millis::days(365),
        lasting: true,
        answers: &[],
        later: &[ReferenceKind::Replaces, ReferenceKind::Cancels],
        access: Access {
            publish: &[Publisher, Coordinator],
            read: &[Publisher, Coordinator, Consumer],
            consume: &[Consumer],
            answer: &[],
        },
    };
    type Facet = ();

    fn check(&self) -> Result<(), Fault> {
        self.check_fields()
    }

    fn check_past(&self, _: UnixMs) -> Result<(), Fault> {
        Ok(())
    }

    fn life(&self) -> Millis {
        Millis::days(3 * 365)
    }

    fn facet(&self) {}

    fn facet_codes((): ()) -> [i32; 2] {
        [0, 0]
    }

    fn facet_from_codes(codes: [i32; 2]) -> Option<()> {
        (codes == [0, 0]).then_some(())
    }

    fn concerns_person((): ()) -> bool {
        false
    }

    fn scope(_: Self::Facet) -> Option<ShareScope> {
        None
    }

    fn is_answer((): ()) -> bool {
        false
    }

    fn lowest_tlp((): ()) -> Tlp {
        Tlp::Clear
    }

    fn covered_by(_: &Grant, (): ()) -> bool {
        true
    }

    fn check_grant(_: &Grant, _: bool) -> Result<(), Fault> {
        Ok(())
    }

    fn in_words(grant: &Grant) -> Option<String> {
        Some(format!("{} receives practices from {}", grant.to, grant.from))
    }

    fn prepare(&self, _: DisclosureLevel) -> Option<Self> {
        None
    }

    /// Which version of a practice with which outcome, and nothing of it.
    fn cancelled(&self) -> Self {
        Self {
            version: self.version,
            texts: Vec::new(),
            outcome: self.outcome,
            cost_band: None,
            audiences: Vec::new(),
            topics: Vec::new(),
            resolution_paragraphs: Vec::new(),
            legal_prerequisites: Vec::new(),
            place: None,
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
        vec![Self::sample()]
    }

    #[cfg(any(test, feature = "samples"))]
    fn closed_lists() -> Vec<List> {
        vec![
            list::<PracticeOutcome>(),
            list::<PracticeAudience>(),
            list::<PracticeTopic>(),
            list::<CostBand>(),
            list::<TranslationProvenance>(),
        ]
    }
}

#[cfg(any(test, feature = "samples"))]
impl Practice {
    /// One, in one language.
    pub fn sample() -> Self {
        Practice {
            version: 1,
            texts: vec![PracticeText {
                language: Language::parse("fr").expect("a sample is valid"),
                provenance: TranslationProvenance::Original,
                title: "Permanence mobile".into(),
                problem: "Peu de personnes viennent au guichet.".into(),
                measure: "Une équipe se rend sur les chantiers.".into(),
                evidence: String::new(),
            }],
            outcome: PracticeOutcome::Mixed,
            cost_band: Some(CostBand::From10kTo100k),
            audiences: vec![PracticeAudience::PotentialVictims],
            topics: vec![PracticeTopic::Outreach],
            resolution_paragraphs: vec!["510:3.e".into()],
            legal_prerequisites: vec!["FR".into()],
            place: None,
        }
    }
}

impl PracticeText {
    fn bytes(&self) -> usize {
        [&self.title, &self.problem, &self.measure, &self.evidence].map(String::len).iter().sum()
    }

    fn check(&self) -> Result<(), Fault> {
        check_free_text("title", &self.title, limits::PRACTICE_TITLE_CHARS)?;
        check_free_text("problem", &self.problem, limits::PRACTICE_TEXT_CHARS)?;
        check_free_text("measure", &self.measure, limits::PRACTICE_TEXT_CHARS)?;
        if self.evidence.is_empty() {
            return Ok(());
        }
        check_free_text("evidence", &self.evidence, limits::PRACTICE_TEXT_CHARS)
    }
}

/// Resolution, colon, paragraph and letters: `196:12.q`, `510:3.e`, `196:11.b.iii`.
pub fn is_paragraph(text: &str) -> bool {
    let Some((resolution, path)) = text.split_once(':') else { return false };
    let mut steps = path.split('.');
    matches!(resolution, "196" | "510")
        && steps.next().is_some_and(|n| (1..=2).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
        && steps.clone().count() <= 2
        && steps.all(|s| (1..=4).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_text_and_that_of_all_texts_agree() {
        let in_languages = |languages: &[&str], chars: usize| {
            let mut practice = Practice::sample();
            practice.texts = languages
                .iter()
                .map(|language| PracticeText {
                    language: Language::parse(language).expect("a tag"),
                    title: "Aushang".into(),
                    problem: "ä".repeat(chars),
                    measure: "ц".repeat(chars),
                    evidence: "x".repeat(chars),
                    provenance: TranslationProvenance::Original,
                })
                .collect();
            practice.check()
        };
        let eight = ["de", "fr", "ro", "bg", "uk", "ar", "fa", "en"];
        assert_eq!(in_languages(&["de", "fr"], limits::PRACTICE_TEXT_CHARS), Ok(()));
        assert_eq!(in_languages(&eight, 1_100), Ok(()));
        let fault = in_languages(&eight, 1_500).expect_err("too long");
        assert_eq!((fault.reason, fault.field.as_str()), (Reason::FieldTooLong, "texts"));
        assert!(fault.detail.contains("at most 45056 bytes over all languages, this has 60056"), "{}", fault.detail);
    }
}
