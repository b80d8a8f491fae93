//! How much of what leads to somebody the screen finds, and how much of what does not it refuses.
//!
//! What lives here: recall for each class over sentences that others wrote and labelled, with its misses; the same over other
//! ways of writing the same numbers; numbers of documents and birth dates in their published forms (`forms`); and how many
//! sentences without any of these are refused. What does not: a sentence of our own; none counts for either figure.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test target: a panic is a failed test, and it prints figures"
)]

mod data;
mod forms;
mod written;

use std::collections::BTreeMap;
use std::time::Instant;

use havenlink_domain::screen::{Finding, screen};

use data::{Label, Sentence};

/// What was found of one class.
#[derive(Default)]
struct Tally {
    all: usize,
    found: usize,
    misses: Vec<String>,
}

impl Tally {
    fn count(&mut self, found: bool, words: &str, sentence: &str) {
        self.all += 1;
        self.found += usize::from(found);
        if !found {
            self.misses.push(format!("{words:?} in {sentence:?}"));
        }
    }

    fn share(&self) -> f64 {
        self.found as f64 / self.all.max(1) as f64
    }

    fn print(&self, name: &str) {
        println!("{name:<34} {:>4} of {:>4}  {:>6.2} %", self.found, self.all, self.share() * 100.0);
        self.misses.iter().for_each(|miss| println!("    missed: {miss}"));
    }
}

/// Whether what was found covers most of these characters.
fn covered(sentence: &str, start: usize, end: usize) -> bool {
    let spans = screen(sentence);
    let inside = (start..end).filter(|i| spans.iter().any(|s| (s.start..s.end).contains(i))).count();
    inside * 10 >= (end - start) * 7
}

fn recall(sentences: &[Sentence]) -> BTreeMap<Label, Tally> {
    let mut tallies: BTreeMap<Label, Tally> = BTreeMap::new();
    for sentence in sentences {
        for span in &sentence.spans {
            // An address is many words: one of them is enough to refuse the text.
            let found = match span.label {
                Label::Street => screen(&sentence.text).iter().any(|s| s.start < span.end && s.end > span.start),
                _ => covered(&sentence.text, span.start, span.end),
            };
            tallies.entry(span.label).or_default().count(found, &span.words(&sentence.text), &sentence.text);
        }
    }
    tallies
}

#[test]
fn what_leads_to_somebody_is_found() {
    let Some(sentences) = data::labelled() else { return };
    let tallies = recall(&sentences);
    for (label, tally) in &tallies {
        tally.print(&format!("{label:?}"));
    }
    for (label, least) in [
        (Label::Email, 1.0),
        (Label::Iban, 1.0),
        (Label::Url, 1.0),
        (Label::Phone, 0.99),
        (Label::Card, 0.99),
        (Label::Document, 0.95),
        (Label::Birth, 0.95),
    ] {
        assert!(tallies[&label].all > 0 && tallies[&label].share() >= least, "{label:?}: {}", tallies[&label].share());
    }
}

#[test]
fn numbers_are_found_however_they_are_written() {
    let Some(sentences) = data::labelled() else { return };
    let mut weak = Vec::new();
    for (name, write) in written::WAYS {
        for label in [Label::Phone, Label::Card] {
            let mut tally = Tally::default();
            for sentence in &sentences {
                for span in sentence.spans.iter().filter(|span| span.label == label) {
                    let number = write(&span.words(&sentence.text));
                    let (text, start, end) = span.replaced(&sentence.text, &number);
                    tally.count(covered(&text, start, end), &number, &text);
                }
            }
            tally.print(&format!("{label:?}, {name}"));
            if tally.share() < 0.99 {
                weak.push(format!("{label:?}, {name}"));
            }
        }
    }
    assert_eq!(weak, [""; 0]);
}

#[test]
fn documents_and_birth_dates_are_found_in_their_published_forms() {
    let mut weak = Vec::new();
    for form in forms::all() {
        let mut tally = Tally::default();
        for (sentence, words) in &form.sentences {
            let at = sentence.find(words).unwrap();
            let start = sentence[..at].chars().count();
            tally.count(covered(sentence, start, start + words.chars().count()), words, sentence);
        }
        tally.misses.truncate(3);
        tally.print(form.name);
        if tally.share() < 0.95 {
            weak.push(form.name);
        }
    }
    assert_eq!(weak, [""; 0]);
}

#[test]
fn what_leads_to_nobody_is_let_through() {
    let (Some(labelled), Some(municipal)) = (data::labelled(), data::municipal()) else { return };
    let innocent: Vec<String> =
        labelled.into_iter().filter(|s| s.spans.is_empty()).map(|s| s.text).chain(municipal).collect();
    let mut refused = 0;
    // As it is; in small letters and in capitals; and with the blanks behind full stops forgotten.
    for write in [|t: &str| t.to_owned(), |t: &str| t.to_lowercase(), |t: &str| t.replace(". ", ".")] {
        for text in &innocent {
            let text = write(text);
            let spans = screen(&text);
            refused += usize::from(!spans.is_empty());
            for span in spans {
                let words: String = text.chars().skip(span.start).take(span.end - span.start).collect();
                println!("    refused: {} {words:?} in {text:?}", span.kind);
            }
        }
    }
    println!("refused without a cause: {refused} of {}", innocent.len() * 3);
    assert!(innocent.len() > 300 && refused * 100 <= innocent.len() * 3, "{refused} of {}", innocent.len() * 3);
}

/// Printed, not judged: a build that is not optimised says little about time.
#[test]
fn how_long_a_screening_takes() {
    let Some(sentences) = data::labelled() else { return };
    let all: String = sentences.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ");
    let text: String = all.chars().take(4_000).collect();
    let spans = screen(&text).len();
    let began = Instant::now();
    (0..20).for_each(|_| drop(screen(&text)));
    println!("4,000 characters, {spans} spans: {:?}", began.elapsed() / 20);
    assert!(spans > 0 && screen(&text).iter().all(|s| Finding::ALL.contains(&s.kind)));
}
