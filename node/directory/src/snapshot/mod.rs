//! Snapshots that prove what they say.
//!
//! What lives here: the state as items in key order and their digest (`encode`), and `open`, which takes nothing on
//! trust but the federation id: it replays, by the rules of `apply`, the statements that each item carries, and the result
//! must have the digest of the header. What does not: sending, storing, when to take one.
//! Invariants: a state from a snapshot answers every later statement as the state that made it. An omission cannot be
//! seen from the inside (a suspension left out); it changes the digest, so a state is only handed out after the
//! question who vouches for the digest: a majority of stewards, or the caller itself.

mod encode;
mod open;

pub use encode::{Encoded, chunks, encode};
pub use open::{Unproven, continues, open};

use crate::domain::reason::Reason;

/// Why a snapshot is not installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("snapshot refused: {0}")]
pub struct Error(pub &'static str);

impl Error {
    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        Reason::SnapshotInvalid
    }
}
