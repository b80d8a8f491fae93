//! The first screen of free text: phone, e-mail, address on the web, handle, account number (IBAN).
//!
//! What lives here: finding the parts of a text that can lead to somebody, so that the text is refused with its spans.
//! What does not: judging names, places or stories; a screen is a net, and people read what they publish.
//! Invariant: the time is linear in the text, whatever the text is: each scanner passes over it once and looks ahead by
//! a constant. When in doubt it refuses; dates, years and amounts of money are let through.

mod digits;
mod fold;
mod web;

use super::closed::closed_enum;

closed_enum! {
    /// What a span looks like.
    pub enum Finding { Phone = 1 => "PHONE", Email = 2 => "EMAIL", Url = 3 => "URL", Iban = 4 => "IBAN", Handle = 5 => "HANDLE" }
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
    let mut taken = vec![false; folded.len()];
    let mut spans = Vec::new();
    // An account number is also a long run of digits: the more telling finding comes first.
    let found = digits::ibans(&folded).into_iter().chain(web::addresses(&folded));
    for (kind, range) in found.chain(web::links(&folded)).chain(digits::phones(&folded)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<Finding> {
        screen(text).into_iter().map(|s| s.kind).collect()
    }

    #[test]
    fn what_leads_to_somebody_is_found() {
        for (text, kind) in [
            ("Rufen Sie an: +49 7851 88-1234", Finding::Phone),
            ("appelez le 03 88 00 00 00 le soir", Finding::Phone),
            ("06.12.34.56.78", Finding::Phone),
            ("call (0044) 20 7946 0958", Finding::Phone),
            ("٠٦١٢٣٤٥٦٧٨", Finding::Phone),
            ("０６１２３４５６７８", Finding::Phone),
            ("0\u{200b}6\u{200b}12345678", Finding::Phone),
            ("Tel0612345678", Finding::Phone),
            ("write to anna@city.example now", Finding::Email),
            ("anna [at] city [dot] example", Finding::Email),
            ("anna @ city.example", Finding::Email),
            ("see https://ads.example/1234", Finding::Url),
            ("see hxxps[:]//ads[.]example/1", Finding::Url),
            ("see www.ads.example", Finding::Url),
            ("see ads-here.com.", Finding::Url),
            ("t.me/joinus", Finding::Url),
            ("server 192.0.2.44 answers", Finding::Url),
            ("insta: @some_name", Finding::Handle),
            ("pay to DE89 3704 0044 0532 0130 00 today", Finding::Iban),
            ("fr1420041010050500013m02606", Finding::Iban),
        ] {
            assert_eq!(kinds(text), vec![kind], "{text}");
        }
    }

    #[test]
    fn what_belongs_in_a_summary_passes() {
        for text in [
            "Three adverts that look alike, from 2026-03-01 to 2026-03-15.",
            "Seit dem 12.03.2026 wurden 14 Anzeigen gesehen, 2024/2025 waren es 9.",
            "Le loyer demandé est de 1 200 000 EUR pour 2024, soit 3,5 % de plus.",
            "Resolution 196:12.q and 510:3.e; ilo11:4; NACE I56; EU27 countries in 2026",
            "67000 Strasbourg, NUTS FRF11, LAU FR_67482",
            "He or she may call the desk. It answers day and night, e.g. in Romanian.",
            "15 places/night, and/or 3 rooms (see annex 4)",
            "In 2024 100 adverts were counted.",
        ] {
            assert_eq!(screen(text), vec![], "{text}");
        }
    }

    #[test]
    fn an_account_number_needs_its_check_digits() {
        assert_eq!(kinds("LU28 0019 4006 4475 0000"), vec![Finding::Iban]);
        assert_ne!(kinds("LU29 0019 4006 4475 0000"), vec![Finding::Iban]);
    }

    /// Were anything quadratic in it, this would not end in the time of a test run.
    #[test]
    fn long_texts_of_any_shape_are_screened_in_linear_time() {
        for unit in ["a@", "1 ", "a.", "DE89 ", "://", "@", "(at)", "0", "x.y/", "[", "@ "] {
            screen(&unit.repeat((1 << 18) / unit.len()));
        }
    }

    proptest! {
        #[test]
        fn spans_lie_in_the_text_in_order_without_overlap(text in "\\PC{0,200}") {
            let length = text.chars().count();
            let mut last = 0;
            for span in screen(&text) {
                prop_assert!(span.start >= last && span.start < span.end && span.end <= length);
                last = span.end;
            }
        }

        #[test]
        fn a_phone_number_is_found_however_it_is_written(
            digits in "[1-9][0-9]{8,12}", gaps in proptest::collection::vec("[ ./-]?", 14), before in "[a-z ]{0,20}", after in "[a-z ]{0,20}",
        ) {
            let spaced: String = digits.chars().zip(&gaps).flat_map(|(d, g)| [d.to_string(), g.clone()]).collect();
            let text = format!("{before} +{spaced} {after}");
            prop_assert!(!screen(&text).is_empty(), "{}", text);
        }

        #[test]
        fn words_alone_pass(text in "[a-zäöüß]{1,12}( [a-zäöüß]{1,12}){0,20}") {
            prop_assert_eq!(screen(&text), vec![]);
        }
    }
}
