//! Bytes to values and back: proto ⇄ domain, sign and verify.
//!
//! What lives here: `Signed` and `Verified<T>`, one file per group of messages that turns prost types into domain
//! values and domain values into prost types, and one per kind of record (`records`). What does not: decisions, storage, sockets.
//! Invariant: what is parsed is what was verified. Signed bytes are kept as they came and never encoded again; unknown
//! numbers in handling, purpose, basis and state fail closed.

use havenlink_domain as domain;

pub mod acts;
pub mod agreed;
pub mod agreement;
pub mod audit;
pub mod beat;
pub mod before;
pub mod board;
pub mod checkpoint;
pub mod entry;
pub mod envelope;
pub mod fields;
pub mod handling;
pub mod holds;
pub mod invitation;
pub mod joining;
pub mod keys;
pub mod mailed;
pub mod member;
pub mod peer;
pub mod pin_proof;
pub mod receipt;
pub mod records;
pub mod recovery;
pub mod sealed;
pub mod share;
pub mod sharing;
pub mod signed;
pub mod statement;
pub mod stored;

use havenlink_proto::elements::Excess;

use crate::domain::fault::Fault;
use crate::domain::reason::Reason;

/// A message that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {field}")]
pub struct Error {
    /// The reason of the catalogue.
    pub reason: Reason,
    /// Path of the field, e.g. `alert.summary[0].text`; never its content.
    pub field: String,
    /// What is allowed: a limit, a list of values, or the spans refused. Never content.
    pub detail: String,
}

impl Error {
    /// A refusal of one field.
    pub fn new(reason: Reason, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason, field: field.into(), detail: detail.into() }
    }

    /// Bytes that are not decoded: `MESSAGE_TOO_LARGE` with the limit, or `DECODE_FAILED`.
    pub fn decoding(field: &str, excess: Excess) -> Self {
        match excess {
            Excess::Malformed => Self::new(Reason::DecodeFailed, field, ""),
            excess => Self::new(Reason::MessageTooLarge, field, excess.to_string()),
        }
    }

    /// A required field is missing.
    pub fn missing(field: impl Into<String>) -> Self {
        Self::new(Reason::FieldMissing, field, "")
    }

    /// A field does not have the required form; `detail` says which form.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Reason::FieldInvalid, field, detail)
    }

    /// A coded field carries an unknown number.
    pub fn unknown(field: impl Into<String>, number: i32) -> Self {
        Self::new(Reason::ValueUnknown, field, format!("number {number}"))
    }

    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        self.reason.retryable()
    }

    /// The same error one level further out.
    pub fn within(mut self, outer: &str) -> Self {
        self.field = if self.field.is_empty() { outer.to_owned() } else { format!("{outer}.{}", self.field) };
        self
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self { reason: fault.reason, field: fault.field, detail: fault.detail }
    }
}

#[cfg(test)]
mod tests;
