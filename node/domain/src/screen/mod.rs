//! The screen of free text: what can lead to somebody, in every language and every way of writing that is known.
//!
//! What lives here: finding the parts of a text that can lead to somebody, so that the text is refused with its spans; how to
//! say it instead; and words that speak of people as of offenders, which are only pointed at. What does not: judging names,
//! places or stories; a screen is a net, and people read what they publish.
//! Invariant: the time is linear in the text, whatever the text is: each scanner passes over it once and looks ahead by a
//! constant. It knows published forms and check digits; what is an amount, a date, a law or a file is let through.

mod amounts;
mod blame;
mod cards;
mod checks;
mod dates;
mod documents;
mod fold;
mod iban;
mod phones;
mod places;
mod plans;
mod plates;
mod runs;
mod said;
mod spoken;
mod streets;
#[cfg(test)]
mod tests;
mod tokens;
mod web;

use std::ops::Range;

pub use blame::{Blame, blames};

use super::closed::closed_enum;
use fold::Folded;
use tokens::Token;

closed_enum! {
    /// What a span looks like.
    pub enum Finding {
        Phone = 1 => "PHONE", Email = 2 => "EMAIL", Url = 3 => "URL", Iban = 4 => "IBAN", Handle = 5 => "HANDLE", Card = 6 => "CARD",
        Plate = 7 => "PLATE", Coordinates = 8 => "COORDINATES", Street = 9 => "STREET", Document = 10 => "DOCUMENT",
        BirthDate = 11 => "BIRTH_DATE",
    }
}

impl Finding {
    /// How to say it instead.
    pub const fn instead(self) -> &'static str {
        match self {
            Self::Phone => "leave the number out; say that there is one, and its country: \"a Romanian mobile number\"",
            Self::Email => "leave the address out; say that there is one: \"an address at a free mail service\"",
            Self::Url => "leave the address out; name the kind of site: the alert has a channel for it",
            Self::Iban => "leave the account out; say in which country it is: \"an account in another country\"",
            Self::Handle => "leave the name of the account out; say on what kind of service it is",
            Self::Card => "leave the number out; say that a card was used",
            Self::Plate => "leave the plate out; say what kind of vehicle it is, and of which country",
            Self::Coordinates | Self::Street => {
                "leave the place out; the record has a place by LAU or NUTS code, and nothing finer"
            }
            Self::Document => "leave the number out; say what kind of document it is, and of which country",
            Self::BirthDate => "leave the date out; say whether it is an adult or a child",
        }
    }
}

/// A part of a text that may identify somebody, in characters from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub kind: Finding,
    pub start: usize,
    /// Exclusive.
    pub end: usize,
}

/// Every part of the text that must not be shared, in order, without overlap.
pub fn screen(text: &str) -> Vec<Span> {
    let folded = fold::fold(text);
    let tokens = tokens::tokens(&folded);
    let mut taken = vec![false; folded.len()];
    let mut spans = Vec::new();
    for (kind, range) in found(&folded, &tokens) {
        // An account number is also a long run of digits: the more telling finding comes first.
        if range.is_empty() || taken[range.clone()].contains(&true) {
            continue;
        }
        taken[range.clone()].fill(true);
        spans.push(Span { kind, start: folded[range.start].start, end: folded[range.end - 1].end });
    }
    #[cfg(any(test, feature = "samples"))]
    spans.extend(stricter::spans(text));
    spans.sort_unstable_by_key(|s| s.start);
    spans
}

/// What is found, the more telling first.
fn found(folded: &[Folded], tokens: &[Token]) -> Vec<(Finding, Range<usize>)> {
    let at = |range: Range<usize>| match range.is_empty() {
        true => 0..0,
        false => tokens[range.start].at.start..tokens[range.end - 1].at.end,
    };
    let mut found: Vec<(Finding, Range<usize>)> =
        iban::ibans(folded).into_iter().map(|range| (Finding::Iban, range)).collect();
    found.extend(web::addresses(folded));
    found.extend(web::links(folded));
    found.extend(web::spelled(tokens));
    let calendar = dates::Calendar::of(tokens);
    let mut explained = vec![false; tokens.len()];
    let figures = calendar.dates.iter().chain(&calendar.hours).filter(|range| !phones::goes_on(tokens, range.start));
    figures.for_each(|range| explained[range.clone()].fill(true));
    let telling = [
        (Finding::Document, documents::zones(folded, tokens)),
        (Finding::BirthDate, calendar.births(tokens)),
        (Finding::Coordinates, places::coordinates(tokens)),
        (Finding::Card, cards::cards(tokens, &runs::runs(folded, tokens, &explained))),
    ];
    for (kind, ranges) in telling {
        ranges.iter().for_each(|range| explained[range.clone()].fill(true));
        found.extend(ranges.into_iter().map(|range| (kind, at(range))));
    }
    let documents = documents::documents(folded, tokens, &runs::runs(folded, tokens, &explained));
    documents.iter().for_each(|range| explained[range.clone()].fill(true));
    found.extend(documents.into_iter().map(|range| (Finding::Document, at(range))));
    amounts::explain(tokens, &runs::runs(folded, tokens, &explained), &mut explained);
    let phones = phones::phones(tokens, &runs::runs(folded, tokens, &explained));
    found.extend(phones.into_iter().map(|range| (Finding::Phone, at(range))));
    found.extend(spoken::numbers(tokens).into_iter().map(|(kind, range)| (kind, at(range))));
    found.extend(plates::plates(folded, tokens).into_iter().map(|range| (Finding::Plate, at(range))));
    found.extend(streets::streets(tokens, &explained).into_iter().map(|range| (Finding::Street, at(range))));
    found
}

/// The rules of tomorrow, for tests: words that the screen refuses too, on this thread, until the guard is dropped.
#[cfg(any(test, feature = "samples"))]
pub mod stricter {
    use std::cell::RefCell;

    use super::{Finding, Span};

    thread_local! {
        static WORDS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// As long as it lives the words are refused.
    pub struct Stricter(());

    /// Refuses texts with one of these words.
    pub fn also_refuse(words: &[&str]) -> Stricter {
        WORDS.with_borrow_mut(|all| all.extend(words.iter().map(|word| (*word).to_owned())));
        Stricter(())
    }

    impl Drop for Stricter {
        fn drop(&mut self) {
            WORDS.with_borrow_mut(Vec::clear);
        }
    }

    pub(super) fn spans(text: &str) -> Option<Span> {
        let refused = WORDS.with_borrow(|words| words.iter().any(|word| text.contains(word.as_str())));
        refused.then(|| Span { kind: Finding::Handle, start: 0, end: text.chars().count() })
    }
}
