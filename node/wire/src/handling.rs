//! Handling, texts and places.

use havenlink_proto::record::v1 as proto;

use super::fields::Source;
use super::{Error, fields};
use crate::domain::handling::{Handling, Pap, Tlp};
use crate::domain::place::{Place, PlaceScheme};
use crate::domain::reason::Reason;
use crate::domain::text::Text;

/// TLP and PAP as numbers.
pub fn to_proto(handling: Handling) -> proto::Handling {
    proto::Handling { tlp: handling.tlp.code(), pap: handling.pap.code() }
}

/// Both are required, and an unknown number fails closed.
///
/// # Errors
/// `HANDLING_UNKNOWN`, naming the field.
pub fn from_proto(handling: Option<proto::Handling>) -> Result<Handling, Error> {
    let handling = handling.unwrap_or_default();
    let unknown = |field: &str, number: i32| Error::new(Reason::HandlingUnknown, field, format!("number {number}"));
    Ok(Handling {
        tlp: Tlp::from_code(handling.tlp).ok_or_else(|| unknown("handling.tlp", handling.tlp))?,
        pap: Pap::from_code(handling.pap).ok_or_else(|| unknown("handling.pap", handling.pap))?,
    })
}

/// A place.
pub fn place_to_proto(place: &Place) -> proto::Place {
    proto::Place { scheme: place.scheme().code(), code: place.code().to_owned() }
}

/// A place; from outside no finer than a municipality.
///
/// # Errors
/// `FIELD_MISSING`, `FIELD_INVALID`, `VALUE_UNKNOWN`.
pub fn place_from_proto(place: proto::Place, source: Source) -> Result<Place, Error> {
    let scheme: PlaceScheme = fields::closed_enum("scheme", place.scheme)?;
    if place.code.is_empty() {
        return Err(Error::missing("code"));
    }
    let form = match scheme {
        PlaceScheme::Nuts => "a NUTS code, e.g. FRF11",
        PlaceScheme::Lau => "country, underscore, LAU code, e.g. FR_67482",
        PlaceScheme::Iso3166Part2 => "an ISO 3166-2 code, e.g. LU-ES",
        PlaceScheme::Gss => "a GSS code of a local authority or coarser, e.g. E09000007",
    };
    let read = match source {
        Source::Outside => Place::new(scheme, &place.code),
        Source::OwnDisk => Place::reload(scheme, &place.code),
    };
    read.ok_or_else(|| Error::invalid("code", form))
}

/// Texts in several languages.
pub fn texts_to_proto(texts: &[Text]) -> Vec<proto::Text> {
    texts.iter().map(|t| proto::Text { language: t.language.as_str().to_owned(), text: t.text.clone() }).collect()
}

/// Texts whose language tags are well formed; number, lengths and the screen are the record's own check.
///
/// # Errors
/// `FIELD_MISSING`, `FIELD_INVALID`.
pub fn texts_from_proto(field: &str, texts: Vec<proto::Text>) -> Result<Vec<Text>, Error> {
    let text = |(i, t): (usize, proto::Text)| {
        let language = fields::language(&format!("{field}[{i}].language"), &t.language)?;
        Ok(Text { language, text: t.text })
    };
    texts.into_iter().enumerate().map(text).collect()
}
