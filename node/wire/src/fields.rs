//! Fields that every message has: coded numbers, ids, instants. Each names itself when it is refused.

use bytes::Bytes;

use super::Error;
use crate::domain::closed::Closed;
use crate::domain::ids::AuthorityId;
use crate::domain::place::Place;
use crate::domain::reason::Reason;
use crate::domain::text::Language;
use crate::domain::time::{Millis, UnixMs};

/// Where bytes come from, and so by what they are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a partner or a caller: today's forms.
    Outside,
    /// From this node's own disk: it was judged when it was stored, by the rules of its day. Its form alone counts.
    OwnDisk,
}

/// Last instant that a message may name: the end of the year 9999.
const LAST_INSTANT: i64 = 253_402_300_799_999;

/// A required value of a closed list.
///
/// # Errors
/// `FIELD_MISSING` for 0, `VALUE_UNKNOWN` for a number that is not listed.
pub fn closed_enum<T: Closed>(field: &str, number: i32) -> Result<T, Error> {
    optional(field, number)?.ok_or_else(|| Error::new(Reason::FieldMissing, field, one_of::<T>()))
}

/// A value of a closed list that may be left out.
///
/// # Errors
/// `VALUE_UNKNOWN` for a number that is not listed.
pub fn optional<T: Closed>(field: &str, number: i32) -> Result<Option<T>, Error> {
    if number == 0 {
        return Ok(None);
    }
    let unknown = || Error::new(Reason::ValueUnknown, field, format!("number {number}; {}", one_of::<T>()));
    T::from_number(number).map(Some).ok_or_else(unknown)
}

/// A list of values of a closed list.
///
/// # Errors
/// As `coded`, naming the place in the list; `FIELD_TOO_LONG` for more items than the list has values.
pub fn closed_enums<T: Closed>(field: &str, numbers: &[i32]) -> Result<Vec<T>, Error> {
    if numbers.len() > T::VALUES.len() {
        return Err(Error::new(Reason::FieldTooLong, field, format!("at most {} items", T::VALUES.len())));
    }
    numbers.iter().enumerate().map(|(i, number)| closed_enum(&format!("{field}[{i}]"), *number)).collect()
}

fn one_of<T: Closed>() -> String {
    let labels: Vec<&str> = T::VALUES.iter().map(|v| v.label()).collect();
    format!("one of {}", labels.join(", "))
}

/// The numbers of a list.
pub fn numbers<T: Closed>(values: &[T]) -> Vec<i32> {
    values.iter().map(|v| v.number()).collect()
}

/// The number of an optional value: 0 for none.
pub fn number_or_zero<T: Closed>(value: Option<T>) -> i32 {
    value.map_or(0, Closed::number)
}

/// A required authority id.
///
/// # Errors
/// `FIELD_MISSING`, `FIELD_INVALID`.
pub fn authority(field: &str, text: &str) -> Result<AuthorityId, Error> {
    if text.is_empty() {
        return Err(Error::missing(field));
    }
    AuthorityId::parse(text).ok_or_else(|| Error::invalid(field, "<country>-<slug>, e.g. fr-strasbourg"))
}

/// A required id of fixed length, by its `from_slice`.
///
/// # Errors
/// `FIELD_MISSING`, `FIELD_INVALID`.
pub fn id<T>(field: &str, bytes: &[u8], from_slice: impl Fn(&[u8]) -> Option<T>) -> Result<T, Error> {
    if bytes.is_empty() {
        return Err(Error::missing(field));
    }
    from_slice(bytes).ok_or_else(|| Error::invalid(field, "an id of another length"))
}

/// A required instant.
///
/// # Errors
/// `FIELD_MISSING` for 0, `FIELD_INVALID` outside of 1970 to 9999.
pub fn instant(field: &str, ms: i64) -> Result<UnixMs, Error> {
    optional_instant(field, ms)?.ok_or_else(|| Error::missing(field))
}

/// An instant that may be left out as 0.
///
/// # Errors
/// `FIELD_INVALID` outside of 1970 to 9999.
pub fn optional_instant(field: &str, ms: i64) -> Result<Option<UnixMs>, Error> {
    match ms {
        0 => Ok(None),
        1..=LAST_INSTANT => Ok(Some(UnixMs(ms))),
        _ => Err(Error::invalid(field, "Unix milliseconds, before the year 10000")),
    }
}

/// A span that is not negative; 0 stays 0.
///
/// # Errors
/// `FIELD_INVALID` for a negative one.
pub fn span(field: &str, ms: i64) -> Result<Millis, Error> {
    if ms < 0 { Err(Error::invalid(field, "not negative")) } else { Ok(Millis(ms)) }
}

/// A language tag.
///
/// # Errors
/// `FIELD_MISSING`, `FIELD_INVALID`.
pub fn language(field: &str, text: &str) -> Result<Language, Error> {
    if text.is_empty() {
        return Err(Error::missing(field));
    }
    Language::parse(text).ok_or_else(|| Error::invalid(field, "a BCP 47 tag, e.g. fr or sr-Latn"))
}

/// A list of language tags.
///
/// # Errors
/// As `language`, naming the place in the list. How many there may be is the record's own check.
pub fn languages(field: &str, texts: &[String]) -> Result<Vec<Language>, Error> {
    texts.iter().enumerate().map(|(i, text)| language(&format!("{field}[{i}]"), text)).collect()
}

/// Tags back to text.
pub fn language_strings(languages: &[Language]) -> Vec<String> {
    languages.iter().map(|l| l.as_str().to_owned()).collect()
}

/// A required place.
///
/// # Errors
/// `FIELD_MISSING`, `FIELD_INVALID`, `VALUE_UNKNOWN`.
pub fn place(field: &str, place: Option<havenlink_proto::record::v1::Place>, source: Source) -> Result<Place, Error> {
    let place = place.ok_or_else(|| Error::missing(field))?;
    super::handling::place_from_proto(place, source).map_err(|e| e.within(field))
}

/// Bytes of an id.
pub fn bytes_of(id: &[u8]) -> Bytes {
    Bytes::copy_from_slice(id)
}
