//! A recipient's answer to a record.

use super::grant::Grant;
use super::offer::DisclosureLevel;
use super::{Access, Facts, Kind, RecordKind};
use crate::actor::ActorRole::{Consumer, Coordinator, Publisher};
use crate::closed::closed_enum;
#[cfg(any(test, feature = "samples"))]
use crate::closed::{List, list};
use crate::fault::Fault;
use crate::handling::Tlp;
use crate::limits;
use crate::person::share::ShareScope;
use crate::text::{Text, check_texts};
use crate::time::{Millis, UnixMs};

closed_enum! {
    /// What the recipient says.
    pub enum AnswerKind { Acknowledged = 1 => "ACKNOWLEDGED", NotRelevant = 2 => "NOT_RELEVANT", Question = 3 => "QUESTION" }
}

closed_enum! {
    /// Why a record is not relevant to its recipient.
    pub enum NotRelevantReason {
        OutsideTerritory = 1 => "OUTSIDE_TERRITORY", AlreadyKnown = 2 => "ALREADY_KNOWN", NoCompetence = 3 => "NO_COMPETENCE",
        NotActionable = 4 => "NOT_ACTIONABLE",
    }
}

/// An answer; which record it answers stands in the envelope's references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Acknowledged,
    NotRelevant(NotRelevantReason),
    /// Screened like a summary.
    Question(Vec<Text>),
}

impl Answer {
    /// Its kind.
    pub fn kind(&self) -> AnswerKind {
        match self {
            Self::Acknowledged => AnswerKind::Acknowledged,
            Self::NotRelevant(_) => AnswerKind::NotRelevant,
            Self::Question(_) => AnswerKind::Question,
        }
    }
}

impl Kind for Answer {
    const KIND: RecordKind = RecordKind::Answer;
    const FACTS: Facts = Facts {
        review: Millis::days(180),
        lasting: false,
        answers: &[RecordKind::Alert],
        later: &[],
        access: Access { publish: &[], read: &[Publisher, Coordinator, Consumer], consume: &[Consumer], answer: &[] },
    };
    type Facet = ();

    fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Question(texts) if texts.is_empty() => Err(Fault::missing("question")),
            Self::Question(texts) => check_texts("question", texts, limits::SUMMARY_CHARS),
            Self::Acknowledged | Self::NotRelevant(_) => Ok(()),
        }
    }

    fn check_past(&self, _: UnixMs) -> Result<(), Fault> {
        Ok(())
    }

    fn life(&self) -> Millis {
        Millis::days(180)
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
        true
    }

    fn lowest_tlp((): ()) -> Tlp {
        Tlp::Clear
    }

    /// It goes back along the grant under which its target came, whatever kinds that grant is for (9.2).
    fn covered_by(_: &Grant, (): ()) -> bool {
        true
    }

    fn check_grant(_: &Grant, _: bool) -> Result<(), Fault> {
        Ok(())
    }

    /// Answers follow what they answer, and are not said again.
    fn in_words(_: &Grant) -> Option<String> {
        None
    }

    fn prepare(&self, _: DisclosureLevel) -> Option<Self> {
        None
    }

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
        let language = crate::text::Language::parse("de").expect("a sample is valid");
        let question = Text { language, text: "Seit wann?".into() };
        let reason = NotRelevantReason::AlreadyKnown;
        vec![Self::Acknowledged, Self::NotRelevant(reason), Self::Question(vec![question])]
    }

    #[cfg(any(test, feature = "samples"))]
    fn closed_lists() -> Vec<List> {
        vec![list::<AnswerKind>(), list::<NotRelevantReason>()]
    }
}
