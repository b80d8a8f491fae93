//! Best practices.

use bytes::Bytes;
use havenlink_proto::record::v1 as proto;
use prost::Message;

use super::{Codec, message};
use crate::domain::records::Kind;
use crate::domain::records::practice::{Practice, PracticeText};
use crate::fields::Source;
use crate::{Error, fields, handling};

impl Codec for Practice {
    type Message = proto::Practice;
    const TEXTS: &'static [&'static str] = &[
        // Screened by `domain::text::check_free_text`.
        "PracticeText.title",
        "PracticeText.problem",
        "PracticeText.measure",
        "PracticeText.evidence",
        // Language tags, and codes, checked for their form.
        "PracticeText.language",
        "Practice.resolution_paragraphs",
        "Practice.legal_prerequisites",
    ];

    fn encode(&self) -> Bytes {
        to_proto(self).encode_to_vec().into()
    }

    fn decode(bytes: &Bytes, source: Source) -> Result<Self, Error> {
        understood(message(bytes)?, source)
    }

    fn facet_of(_: &Bytes) -> Result<(), Error> {
        Ok(())
    }

    fn to_message(&self) -> proto::Practice {
        to_proto(self)
    }

    fn from_message(message: proto::Practice) -> Result<Self, Error> {
        from_proto(message)
    }
}

/// A practice as a message.
pub fn to_proto(practice: &Practice) -> proto::Practice {
    let text = |t: &PracticeText| proto::PracticeText {
        language: t.language.as_str().to_owned(),
        provenance: t.provenance.code(),
        title: t.title.clone(),
        problem: t.problem.clone(),
        measure: t.measure.clone(),
        evidence: t.evidence.clone(),
    };
    proto::Practice {
        version: practice.version,
        texts: practice.texts.iter().map(text).collect(),
        outcome: practice.outcome.code(),
        cost_band: fields::number_or_zero(practice.cost_band),
        audiences: fields::numbers(&practice.audiences),
        topics: fields::numbers(&practice.topics),
        resolution_paragraphs: practice.resolution_paragraphs.clone(),
        legal_prerequisites: practice.legal_prerequisites.clone(),
        place: practice.place.as_ref().map(handling::place_to_proto),
    }
}

/// A practice whose every field was understood and is within its limits.
///
/// # Errors
/// The first field that is not.
pub fn from_proto(practice: proto::Practice) -> Result<Practice, Error> {
    let practice = understood(practice, Source::Outside)?;
    practice.check()?;
    Ok(practice)
}

fn understood(practice: proto::Practice, source: Source) -> Result<Practice, Error> {
    let texts = practice.texts.into_iter().enumerate();
    let texts = texts.map(|(i, t)| text(t).map_err(|e| e.within(&format!("texts[{i}]"))));
    Ok(Practice {
        version: practice.version,
        texts: texts.collect::<Result<_, _>>()?,
        outcome: fields::closed_enum("outcome", practice.outcome)?,
        cost_band: fields::optional("cost_band", practice.cost_band)?,
        audiences: fields::closed_enums("audiences", &practice.audiences)?,
        topics: fields::closed_enums("topics", &practice.topics)?,
        resolution_paragraphs: practice.resolution_paragraphs,
        legal_prerequisites: practice.legal_prerequisites,
        place: match practice.place {
            Some(place) => Some(fields::place("place", Some(place), source)?),
            None => None,
        },
    })
}

fn text(text: proto::PracticeText) -> Result<PracticeText, Error> {
    Ok(PracticeText {
        language: fields::language("language", &text.language)?,
        provenance: fields::closed_enum("provenance", text.provenance)?,
        title: text.title,
        problem: text.problem,
        measure: text.measure,
        evidence: text.evidence,
    })
}
