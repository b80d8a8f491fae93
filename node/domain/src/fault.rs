//! What is wrong with a value from outside: which field, why, and what is allowed. Never the content itself.

use super::reason::Reason;

/// A refusal of one field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {field}")]
pub struct Fault {
    /// The reason of the catalogue.
    pub reason: Reason,
    /// Path of the field from the checked value on, e.g. `summary[0].text`.
    pub field: String,
    /// What is allowed: a limit, a form, or the spans refused.
    pub detail: String,
}

impl Fault {
    /// A refusal with its reason.
    pub fn new(reason: Reason, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason, field: field.into(), detail: detail.into() }
    }

    /// A required field is missing.
    pub fn missing(field: impl Into<String>) -> Self {
        Self::new(Reason::FieldMissing, field, "")
    }

    /// A field does not have the required form; `detail` says which form.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Reason::FieldInvalid, field, detail)
    }

    /// A field is longer than its limit.
    pub fn too_long(field: impl Into<String>, limit: usize, unit: &str) -> Self {
        Self::new(Reason::FieldTooLong, field, format!("at most {limit} {unit}"))
    }

    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        self.reason.retryable()
    }

    /// The same fault one level further out.
    pub fn within(mut self, outer: &str) -> Self {
        self.field = if self.field.is_empty() { outer.to_owned() } else { format!("{outer}.{}", self.field) };
        self
    }
}

/// Refuses a list that is longer than its limit or names something twice.
pub fn check_list<T: PartialEq>(field: &str, items: &[T], limit: usize) -> Result<(), Fault> {
    if items.len() > limit {
        return Err(Fault::too_long(field, limit, "items"));
    }
    match items.iter().enumerate().find(|(i, item)| items[..*i].contains(item)) {
        Some((i, _)) => Err(Fault::invalid(format!("{field}[{i}]"), "each value once")),
        None => Ok(()),
    }
}
