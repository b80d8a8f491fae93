//! What a text was refused for, in its own words: the node says where, the text is here.

use std::ops::Range;

use serde_json::{Value, json};

use crate::failure::Failure;

/// A part of a text that may identify somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub field: String,
    /// What it looks like, e.g. `PHONE`.
    pub kind: String,
    /// In characters from the start of the text.
    pub start: usize,
    /// Exclusive.
    pub end: usize,
    /// The words themselves, if the text is at hand.
    pub words: String,
    /// How to say it instead.
    pub instead: String,
}

impl Span {
    /// From what the node says of a field: `summary[0].text: PHONE 6..22: leave the number out`.
    fn told(fact: &str) -> Option<Self> {
        let (field, description) = fact.split_once(": ")?;
        let (span, instead) = description.split_once(": ")?;
        let (kind, range) = span.split_once(' ')?;
        let (start, end) = range.split_once("..")?;
        Some(Self {
            field: field.to_owned(),
            kind: kind.to_owned(),
            start: start.parse().ok()?,
            end: end.parse().ok()?,
            words: String::new(),
            instead: instead.to_owned(),
        })
    }

    /// What a person reads of it.
    fn facts(&self) -> [(String, String); 2] {
        let words = if self.words.is_empty() { String::new() } else { format!(" \"{}\"", self.words) };
        let place = format!("{}: {} {}..{}{words}", self.field, self.kind, self.start, self.end);
        [("field".into(), place), ("instead".into(), self.instead.clone())]
    }

    pub fn to_json(&self) -> Value {
        json!({
            "field": self.field, "kind": self.kind, "start": self.start, "end": self.end, "words": self.words, "instead": self.instead,
        })
    }
}

/// The failure with the words that were refused, and these; `said`: the request that was refused.
pub fn in_words(mut failure: Failure, said: impl FnOnce() -> Value) -> (Failure, Vec<Span>) {
    let mut spans = Vec::new();
    if failure.code != "PERSONAL_DATA_IN_TEXT" {
        return (failure, spans);
    }
    let said = said();
    let facts = std::mem::take(&mut failure.facts);
    for (name, fact) in facts {
        let Some(mut span) = Span::told(&fact).filter(|_| name == "field") else {
            failure.facts.push((name, fact));
            continue;
        };
        span.words = words(&said, &span.field, span.start..span.end);
        failure.facts.extend(span.facts());
        spans.push(span);
    }
    (failure, spans)
}

/// The words of a request between two characters of a field.
pub fn words(said: &Value, field: &str, range: Range<usize>) -> String {
    let text = at(said, field).and_then(Value::as_str).unwrap_or_default();
    text.chars().skip(range.start).take(range.end.saturating_sub(range.start)).collect()
}

/// The value at a path of the contract, e.g. `content.alert.summary[0].text`.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, step| {
        let (name, index) = step.split_once('[').map_or((step, None), |(name, index)| (name, Some(index)));
        let value = value.get(name)?;
        match index {
            Some(index) => value.get(index.trim_end_matches(']').parse::<usize>().ok()?),
            None => Some(value),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_text_is_shown_in_its_own_words() {
        let mut failure =
            Failure::usage("no", "").with("field", "content.alert.summary[1].text: PHONE 5..15: leave it out");
        failure.code = "PERSONAL_DATA_IN_TEXT".into();
        let said =
            json!({ "content": { "alert": { "summary": [{ "text": "eins" }, { "text": "Über 0612345678 da" }] } } });
        let (failure, spans) = in_words(failure, || said);
        assert_eq!(spans[0].words, "0612345678");
        assert_eq!(spans[0].to_json()["end"], 15);
        let text = failure.text(false);
        assert!(text.contains("  field      content.alert.summary[1].text: PHONE 5..15 \"0612345678\"\n"), "{text}");
        assert!(text.contains("  instead    leave it out\n"), "{text}");
    }

    #[test]
    fn what_is_no_span_stays_what_it_is() {
        for told in ["a: at most 5 items", "a: 6..22", "a: PHONE six..seven: x", "and 3 more"] {
            assert_eq!(Span::told(told), None, "{told}");
        }
        assert_eq!(at(&json!({ "a": [1] }), "a[3]"), None);
        assert_eq!(at(&json!({ "a": [1] }), "b.c"), None);
    }
}
