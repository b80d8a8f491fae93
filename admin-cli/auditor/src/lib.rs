//! An exported ledger, verified by somebody who trusts nobody: with the authority's public keys, and nothing else.
//!
//! What lives here: the tree of RFC 6962 and its proofs (`tree`), the authority's keys and what they signed (`keys`, `signed`), the lines
//! of an export (`lines`), and what they amount to (`log`). What does not: any code of a node; the messages of the contract are all
//! that both have in common. Invariant: nothing that a line says is believed before the leaves, or a signature, say the same.

pub mod keys;
pub mod lines;
pub mod log;
pub mod proof;
pub mod signed;
pub mod tree;
