//! What protects the person whom a record is about, as pure values and pure decisions (9.16, 11).
//!
//! What lives here: the pseudonym by which one partner knows one case (`pseudonym`), and what the person let be shared (`share`).
//! What does not: keys at rest (`keys.db` is storage's), and the kinds about a person, which are places of their own
//! (`records`). Invariants: what leads back to a person (a case's reference, its key, its index) has no form in which it could be printed; a pseudonym is made for one partner, and no two partners can tell
//! that theirs are of one case.

mod pseudonym;
pub mod share;

pub use pseudonym::{CaseIndex, CaseKey, CaseReference, CaseScope, Epoch, IndexKey, SubjectRef};

#[cfg(test)]
mod tests;
