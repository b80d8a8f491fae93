//! Words in what a record says that were better others: told to who writes it, and no cause to refuse.

use super::Content;
use super::answer::Answer;
use crate::screen::blames;
use crate::text::Text;

/// Words that speak of people as of offenders, and what to say instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// Path of the field from the record on, e.g. `summary[0].text`.
    pub field: String,
    /// In characters from the start of the text.
    pub start: usize,
    /// Exclusive.
    pub end: usize,
    pub instead: &'static str,
}

/// The words of a record that were better others, field by field.
pub fn wordings(content: &Content) -> Vec<Wording> {
    match content {
        Content::Alert(alert) => of_texts("alert.summary", &alert.summary),
        Content::Answer(Answer::Question(texts)) => of_texts("answer.question", texts),
        Content::Practice(practice) => {
            let texts = practice.texts.iter().enumerate().flat_map(|(i, text)| {
                let fields = [
                    ("title", &text.title),
                    ("problem", &text.problem),
                    ("measure", &text.measure),
                    ("evidence", &text.evidence),
                ];
                fields.map(|(name, text)| (format!("practice.texts[{i}].{name}"), text))
            });
            texts.flat_map(|(field, text)| of_text(&field, text)).collect()
        }
        // Nothing is said in words here.
        Content::OfferView(_)
        | Content::Referral(_)
        | Content::Inspection(_)
        | Content::Answer(Answer::Acknowledged | Answer::NotRelevant(_)) => Vec::new(),
    }
}

fn of_texts(field: &str, texts: &[Text]) -> Vec<Wording> {
    texts.iter().enumerate().flat_map(|(i, text)| of_text(&format!("{field}[{i}].text"), &text.text)).collect()
}

fn of_text(field: &str, text: &str) -> Vec<Wording> {
    let wording =
        |b: crate::screen::Blame| Wording { field: field.to_owned(), start: b.start, end: b.end, instead: b.instead };
    blames(text).into_iter().map(wording).collect()
}
