//! What can go wrong in the directory.

use std::io;

use crate::domain::reason::Reason;

/// A refusal or failure, with its reason of the catalogue.
#[derive(Debug, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Error {
    reason: Reason,
    /// What exactly, for a person; never content.
    detail: String,
    #[source]
    source: Option<io::Error>,
}

impl Error {
    /// A failure with what exactly happened.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), source: None }
    }

    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What exactly happened.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether the same may succeed later without a change.
    pub fn retryable(&self) -> bool {
        self.reason.retryable()
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::new(reason, reason.row().what)
    }
}

impl From<crate::wire::Error> for Error {
    fn from(error: crate::wire::Error) -> Self {
        Self::new(error.reason, format!("{} {}", error.field, error.detail))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let damaged = error.kind() == io::ErrorKind::InvalidData;
        let reason = if damaged { Reason::StorageDamaged } else { Reason::StorageFailed };
        Self { reason, detail: "the register's file directory.redb".to_owned(), source: Some(error) }
    }
}
