//! A recipient's answer to a record.

use super::closed::closed_enum;
use super::fault::Fault;
use super::limits;
use super::text::{Text, check_texts};

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

    /// Whether everything in it is within its limits and forms.
    ///
    /// # Errors
    /// The first field that is not.
    pub fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Question(texts) if texts.is_empty() => Err(Fault::missing("question")),
            Self::Question(texts) => check_texts("question", texts, limits::SUMMARY_CHARS),
            Self::Acknowledged | Self::NotRelevant(_) => Ok(()),
        }
    }
}
