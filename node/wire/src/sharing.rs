//! Who gets a record, for what, and how it may be handled.

use havenlink_proto::local::v1 as local;

use super::{Error, fields, handling};
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::sharing::{Audience, Recipients, Sharing};

/// Sharing as a message, with the recipients that were found.
pub fn to_proto(sharing: &Sharing, recipients: &[AuthorityId]) -> local::Sharing {
    local::Sharing {
        all_partners: sharing.audience == Audience::AllPartners,
        recipients: recipients.iter().map(|r| r.as_str().to_owned()).collect(),
        purpose: sharing.purpose.code(),
        lawful_basis: sharing.lawful_basis.code(),
        special_basis: sharing.special_basis.code(),
        handling: Some(handling::to_proto(sharing.handling)),
        status: sharing.status.code(),
        expires_ms: sharing.expires.map_or(0, |t| t.0),
        review_by_ms: sharing.review_by.map_or(0, |t| t.0),
    }
}

/// Sharing whose every coded field was understood.
///
/// # Errors
/// The first field that is missing, unknown or too long.
pub fn from_proto(sharing: Option<local::Sharing>) -> Result<Sharing, Error> {
    let sharing = sharing.unwrap_or_default();
    Ok(Sharing {
        audience: audience(sharing.all_partners, &sharing.recipients)?,
        purpose: fields::closed_enum("purpose", sharing.purpose)?,
        lawful_basis: fields::closed_enum("lawful_basis", sharing.lawful_basis)?,
        special_basis: fields::closed_enum("special_basis", sharing.special_basis)?,
        handling: handling::from_proto(sharing.handling)?,
        status: fields::closed_enum("status", sharing.status)?,
        expires: fields::optional_instant("expires_ms", sharing.expires_ms)?,
        review_by: fields::optional_instant("review_by_ms", sharing.review_by_ms)?,
    })
}

/// All partners, said so, or names: one of the two.
fn audience(all_partners: bool, names: &[String]) -> Result<Audience, Error> {
    match (all_partners, names.is_empty()) {
        (true, true) => return Ok(Audience::AllPartners),
        (true, false) => return Err(Error::invalid("all_partners", "without names, or names without it")),
        (false, _) => {}
    }
    if names.len() > limits::RECIPIENTS {
        let detail = format!("at most {} recipients", limits::RECIPIENTS);
        return Err(Error::new(Reason::FieldTooLong, "recipients", detail));
    }
    let names = names.iter().enumerate();
    let names = names.map(|(i, text)| fields::authority(&format!("recipients[{i}]"), text));
    Ok(Audience::Named(Recipients::new(names.collect::<Result<_, _>>()?)?))
}
