//! What a use case answers when it does not do what was asked.

use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::{storage, wire};

use super::link::LinkError;
use super::unreadable::Unreadable;

/// A refusal or failure of a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule forbids it; nothing was changed.
    #[error("{0}")]
    Refused(Refusal),
    /// The store refused or failed.
    #[error("the store did not take it")]
    Store(#[from] storage::Error),
    /// The partner's node could not be asked.
    #[error("the partner's node could not be asked")]
    Link(#[from] LinkError),
}

/// Which rule, and about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason of the catalogue.
    pub reason: Reason,
    /// Path of the field at fault, if it is one.
    pub field: String,
    /// What is allowed; never content.
    pub detail: String,
    /// The authority that it is about, e.g. the recipient that may not get the record.
    pub authority: Option<AuthorityId>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.reason)?;
        if let Some(authority) = &self.authority {
            write!(f, " ({authority})")?;
        }
        if !self.field.is_empty() {
            write!(f, " at {}", self.field)?;
        }
        Ok(())
    }
}

impl Error {
    /// A refusal that names an authority.
    pub fn about(authority: &AuthorityId, reason: Reason) -> Self {
        Self::Refused(Refusal {
            reason,
            field: String::new(),
            detail: String::new(),
            authority: Some(authority.clone()),
        })
    }

    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Refused(refusal) => refusal.reason,
            Self::Store(error) => error.reason(),
            Self::Link(error) => error.reason,
        }
    }

    /// A row or file that is damaged is one row's trouble; a store that fails is everybody's.
    pub(in crate::exchange) fn concerns_one_row(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, storage::Error::Damaged(_) | storage::Error::Refused(_)),
            Self::Refused(_) | Self::Link(_) => true,
        }
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        self.reason().retryable()
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::Refused(Refusal { reason, field: String::new(), detail: String::new(), authority: None })
    }
}

impl From<Unreadable> for Error {
    fn from(row: Unreadable) -> Self {
        Self::Refused(Refusal { reason: row.reason, field: row.field, detail: String::new(), authority: None })
    }
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        Self::Refused(Refusal { reason: error.reason, field: error.field, detail: error.detail, authority: None })
    }
}
