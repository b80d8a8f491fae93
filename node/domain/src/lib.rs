//! What Havenlink is about, as pure values and pure decisions.
//!
//! What lives here: identifiers, time as data, limits, the catalogue of reasons, authorities, countries and the directory view,
//! agreements, handling, what protects the person (`person`), the kinds of record (`records`, a place for each), the light, the board, holds,
//! numbers and incarnations of streams, the step of a delivery, and the one question (`policy`).
//! What does not: bytes on a wire (`wire`), storage, sockets, clocks, randomness. Nothing here waits, and nothing here
//! can be different the second time.
//! Invariant: a value that exists is valid. Every constructor from outside checks, and unknown numbers fail closed.

pub mod actor;
pub mod agreement;
pub mod audit;
pub mod authority;
pub mod board;
pub mod closed;
pub mod country;
pub mod delivery;
pub mod directory;
pub mod envelope;
pub mod fault;
pub mod forms;
pub mod handling;
pub mod holds;
pub mod ids;
pub mod incarnation;
pub mod issued;
pub mod join;
pub mod light;
pub mod limits;
pub mod mandate;
pub mod numbering;
pub mod owed;
pub mod person;
pub mod pin_proof;
pub mod place;
pub mod policy;
pub mod publication;
pub mod reason;
pub mod receipt;
pub mod records;
pub mod register;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
pub mod screen;
pub mod sensitive;
pub mod sharing;
pub mod statement;
pub mod stream;
pub mod text;
pub mod time;
pub mod trace;

pub use agreement::set as agreement_set;
pub use records::record;
