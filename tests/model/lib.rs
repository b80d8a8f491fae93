//! Rules as models that nothing of the product is imported into: the one by which the order of a register is founded anew
//! (9.15), small enough to be walked through in full, and what may be shared about a person (`persons`), by its facts alone.
//!
//! What lives here, of the first: stewards, mirrors, forgotten old machines and a thief (`world`), what a machine takes for founded by
//! what it knows (`judge`), every step that may come next (`steps`), what a federation does to heal when everybody is
//! reached (`heal`), and what must hold after each step (`properties`). What does not: Raft itself, whose commit is one
//! step here, and the product's code. The product follows the rule that is checked here; decisions/031 tells what the
//! checker found and what it changed.
//! Invariant: each clause of the rule can be taken out (`Broken`), and then the checker finds what goes wrong. A clause
//! that can be taken out without harm does not belong into the rule.

mod heal;
mod judge;
pub mod persons;
mod properties;
mod steps;
#[cfg(test)]
mod tests;
mod world;

pub use steps::Step;
pub use world::{Bounds, Broken, Federation, Machine, Refounding, World};
