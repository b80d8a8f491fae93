//! Joining (9.5): the inviter's door, the approver's phone call, the applicant's patience.
//!
//! What lives here: `Inviter` (create, list, revoke; commit, reveal, watch, withdraw; approve, reject) over the store and
//! the register, and `Applicant` over a door and a state file. What does not: the rules (`domain::join`), tokens and
//! stored bytes (`wire::invitation`), handlers and the TLS door.
//! Invariants: every step of an invitation is one compare-and-swap of its stored value, so of any number of calls at
//! once exactly one makes it; the applicant stores what it will say before it says it; the words are never an output
//! on the approver's side.

mod admissions;
mod applicant;
mod approver;
mod invitation_idempotency;
mod inviter;
mod state_file;
#[cfg(test)]
mod tests;

use crate::domain::reason::Reason;
use crate::domain::time::Millis;
use crate::{storage, wire};

pub use admissions::{Admission, Admissions, JoinStep};
pub use applicant::{Applicant, JoinCallError, JoinClient, Joined};
pub use approver::PendingApplication;
pub use inviter::{Created, Inviter, Listed, Summary};

/// What a step of joining answers when it does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule forbids it.
    #[error("{0}")]
    Refused(Reason),
    /// The six words differ, and may be tried so often again.
    #[error("{left} of {} tries are left", crate::domain::limits::WRONG_WORDS)]
    Words { left: u32 },
    /// A field does not have the required form.
    #[error("not what it should be")]
    Wire(#[from] wire::Error),
    /// The store refused or failed.
    #[error("the store did not take it")]
    Store(#[from] storage::Error),
    /// The register did not take the decision.
    #[error("the register did not take it: {0}")]
    Register(Reason, #[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The applicant's clock differs from this node's by so much; below 0: it is behind.
    #[error("the applicant's clock is {} s {} the inviter's", .0.0.abs() / 1_000, if .0.0 < 0 { "behind" } else { "ahead of" })]
    Clock(Millis),
    /// The state file could not be read or written.
    #[error("the state file failed")]
    File(#[from] std::io::Error),
    /// The system gives no randomness.
    #[error("no randomness")]
    Random,
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl Error {
    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Refused(reason) | Self::Register(reason, _) => *reason,
            Self::Words { .. } => Reason::WordsDiffer,
            Self::Wire(error) => error.reason(),
            Self::Store(error) => error.reason(),
            Self::Clock(_) => Reason::ClockDiffers,
            Self::File(_) => Reason::StorageFailed,
            Self::Random => Reason::Internal,
        }
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        self.reason().retryable()
    }
}

/// Fresh random bytes.
fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0_u8; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}
