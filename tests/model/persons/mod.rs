//! What may be shared about a person, said a second time: naively, from the page of the exact rules alone.
//!
//! What lives here: the facts that a node has (`facts`, `share`), what may leave, enter and be read by them (`rule`), what
//! a person let be shared (`agreed`), and the names of all clauses (`clause`). What does not: the product. Nothing of it is
//! imported; whoever wrote this had not opened it, and whoever changes it reads `proto/PROTOCOL.md`, not the code.
//! `tests/simulation/persons` plays random worlds and asks both.
//! Invariant: nothing is derived and kept. Each question walks through all facts again, each clause stands once, by its
//! name, and can be taken out (`Rule::without`): a clause whose absence nobody notices is not tested.

mod agreed;
mod clause;
mod facts;
mod rule;
mod share;

pub use clause::{CLAUSES, Clause};
pub use facts::*;
pub use rule::{Rule, latest, scope_of};
pub use share::*;
