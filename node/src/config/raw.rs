//! From text to values that have a place: TOML with spans, or one written value of the environment.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::faults::{Fault, nearest};
use super::{KEYS, Key};

/// A value before it has a type.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    Text(String),
    Number(String),
    Switch(bool),
    List(Vec<Raw>),
    Map(BTreeMap<String, Raw>),
    /// As written in the environment or an argument: the key's type decides how it is read.
    Written(String),
    /// Dates and the like, which no key takes.
    Other(&'static str),
}

/// A value and where it was given.
#[derive(Clone, Debug)]
pub struct Given {
    pub place: String,
    pub raw: Raw,
}

/// Reads a file as far as it goes; each fault has its line.
pub fn from_file(name: &str, text: &str, given: &mut BTreeMap<&'static str, Given>, faults: &mut Vec<Fault>) {
    let line_of = |offset: usize| text.get(..offset).map_or(1, |before| before.matches('\n').count() + 1);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map_or(1, |span| line_of(span.start));
        faults.push(Fault::new(format!("{name}:{line}"), "syntax", error.message()));
    }
    let place = |offset: usize| format!("{name}:{}", line_of(offset));
    walk("", table.get_ref(), &place, given, faults);
}

fn walk(
    prefix: &str,
    table: &DeTable<'_>,
    place: &dyn Fn(usize) -> String,
    given: &mut BTreeMap<&'static str, Given>,
    faults: &mut Vec<Fault>,
) {
    for (key, value) in table {
        let dotted = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let at = place(key.span().start);
        if let Some(known) = KEYS.iter().find(|k| k.name == dotted) {
            given.insert(known.name, Given { place: at, raw: raw(value.get_ref()) });
            continue;
        }
        let outer = KEYS.iter().any(|k| k.name.strip_prefix(&dotted).is_some_and(|rest| rest.starts_with('.')));
        match value.get_ref() {
            DeValue::Table(inner) if outer => walk(&dotted, inner, place, given, faults),
            _ => faults.push(Fault::unknown(at, "key", &dotted, nearest(&dotted, KEYS.iter().map(name_of)))),
        }
    }
}

fn name_of(key: &Key) -> String {
    key.name.to_owned()
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Raw::Number(number.as_str().to_owned()),
        DeValue::Integer(_) => Raw::Other("a number that is not decimal"),
        DeValue::Float(number) => Raw::Number(number.as_str().to_owned()),
        DeValue::Boolean(on) => Raw::Switch(*on),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Table(table) => {
            Raw::Map(table.iter().map(|(k, v)| (k.get_ref().to_string(), raw(v.get_ref()))).collect())
        }
        DeValue::Datetime(_) => Raw::Other("a date"),
    }
}

/// One TOML value on its own: the form in which defaults are written.
///
/// # Errors
/// Which part of the text is no TOML value.
pub fn from_literal(text: &str) -> Result<Raw, String> {
    DeValue::parse(text).map(|value| raw(value.get_ref())).map_err(|e| e.message().to_owned())
}
