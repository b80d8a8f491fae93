//! The sentences of others, with their labels.

use std::path::PathBuf;

use serde_json::Value;

/// A class of what leads to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    Email,
    Url,
    Iban,
    Phone,
    Card,
    Document,
    Birth,
    Street,
}

pub struct Labelled {
    pub label: Label,
    pub start: usize,
    pub end: usize,
}

pub struct Sentence {
    pub text: String,
    pub spans: Vec<Labelled>,
}

impl Labelled {
    pub fn words(&self, text: &str) -> String {
        text.chars().skip(self.start).take(self.end - self.start).collect()
    }

    /// The text with other words here, and where these stand.
    pub fn replaced(&self, text: &str, words: &str) -> (String, usize, usize) {
        let before: String = text.chars().take(self.start).collect();
        let after: String = text.chars().skip(self.end).collect();
        (format!("{before}{words}{after}"), self.start, self.start + words.chars().count())
    }
}

/// A file of the data that is not ours; without it nothing is measured, and that is said.
fn read(name: &str) -> Option<Value> {
    let Some(folder) = std::env::var_os("HAVENLINK_REFERENCE_DATA") else {
        println!("skipped: screening: needs HAVENLINK_REFERENCE_DATA");
        return None;
    };
    let path = PathBuf::from(folder).join("screening").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: screening: {} is not there", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

pub fn labelled() -> Option<Vec<Sentence>> {
    Some(read("labelled_sentences_even.json")?.as_array().unwrap().iter().map(sentence).collect())
}

pub fn municipal() -> Option<Vec<String>> {
    let sentences = read("municipal_sentences.json")?;
    Some(sentences.as_array().unwrap().iter().map(|s| s["text"].as_str().unwrap().to_owned()).collect())
}

fn sentence(value: &Value) -> Sentence {
    let text = value["text"].as_str().unwrap().to_owned();
    let born = text.to_lowercase().contains("born on");
    let spans = value["spans"].as_array().unwrap().iter().filter_map(|span| {
        let at = |key: &str| usize::try_from(span[key].as_u64().unwrap()).unwrap();
        let label = match span["type"].as_str().unwrap() {
            "EMAIL_ADDRESS" => Label::Email,
            "DOMAIN_NAME" | "IP_ADDRESS" => Label::Url,
            "IBAN_CODE" => Label::Iban,
            "PHONE_NUMBER" => Label::Phone,
            "CREDIT_CARD" => Label::Card,
            "US_SSN" | "US_DRIVER_LICENSE" => Label::Document,
            "STREET_ADDRESS" => Label::Street,
            "DATE_TIME" if born => Label::Birth,
            _ => return None,
        };
        Some(Labelled { label, start: at("start"), end: at("end") })
    });
    Sentence { spans: spans.collect(), text }
}
