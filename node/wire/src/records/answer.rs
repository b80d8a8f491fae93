//! Answers to records.

use bytes::Bytes;
use havenlink_proto::record::v1 as proto;
use prost::Message;

use super::{Codec, message};
use crate::domain::records::Kind;
use crate::domain::records::answer::{Answer, AnswerKind};
use crate::fields::Source;
use crate::{Error, fields, handling};

impl Codec for Answer {
    type Message = proto::Answer;
    /// What it says in words is a `Text`.
    const TEXTS: &'static [&'static str] = &[];

    fn encode(&self) -> Bytes {
        to_proto(self).encode_to_vec().into()
    }

    fn decode(bytes: &Bytes, _: Source) -> Result<Self, Error> {
        understood(message(bytes)?)
    }

    fn facet_of(_: &Bytes) -> Result<(), Error> {
        Ok(())
    }

    fn to_message(&self) -> proto::Answer {
        to_proto(self)
    }

    fn from_message(message: proto::Answer) -> Result<Self, Error> {
        from_proto(message)
    }
}

/// An answer as a message.
pub fn to_proto(answer: &Answer) -> proto::Answer {
    let (reason, question) = match answer {
        Answer::Acknowledged => (0, Vec::new()),
        Answer::NotRelevant(reason) => (reason.code(), Vec::new()),
        Answer::Question(texts) => (0, handling::texts_to_proto(texts)),
    };
    proto::Answer { kind: answer.kind().code(), not_relevant_reason: reason, question }
}

/// An answer that says one thing only.
///
/// # Errors
/// The first field that is missing, unknown, too long, or belongs to another kind of answer.
pub fn from_proto(answer: proto::Answer) -> Result<Answer, Error> {
    let answer = understood(answer)?;
    answer.check()?;
    Ok(answer)
}

fn understood(answer: proto::Answer) -> Result<Answer, Error> {
    let kind: AnswerKind = fields::closed_enum("kind", answer.kind)?;
    if kind != AnswerKind::NotRelevant && answer.not_relevant_reason != 0 {
        return Err(Error::invalid("not_relevant_reason", "for NOT_RELEVANT only"));
    }
    if kind != AnswerKind::Question && !answer.question.is_empty() {
        return Err(Error::invalid("question", "for QUESTION only"));
    }
    Ok(match kind {
        AnswerKind::Acknowledged => Answer::Acknowledged,
        AnswerKind::NotRelevant => {
            Answer::NotRelevant(fields::closed_enum("not_relevant_reason", answer.not_relevant_reason)?)
        }
        AnswerKind::Question => Answer::Question(handling::texts_from_proto("question", answer.question)?),
    })
}
