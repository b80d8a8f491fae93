//! How the order begins anew once Raft has died for good (9.15): Raft may die, the register does not.
//!
//! What lives here: how far a line is proved (`base`), whether a founding counts (`judge`), which of those that are known a
//! node follows (`known`), what one waits for whose base lies ahead of a clock (`awaited`), and how one is made and signed (`make`). All of it is pure. What does not: rolling a register
//! back, leaving Raft, telling others (`chain`, `founding`).
//! Invariants: a founding counts by signatures alone, of a majority of the stewards at its base and of every later set that
//! is known; two that count under one number are neither followed; that they stand against each other is worked out from
//! what is known, and stored nowhere (`node/decisions/031-refounding-model.md`).

mod awaited;
mod base;
mod judge;
mod known;
mod make;

pub use crate::withdrawals::Withdrawals;
pub use awaited::Awaited;
pub use base::{Base, Said, WithoutProof, proved};
pub(crate) use judge::replayed;
pub use judge::{Judged, Known, LIFE, SetInForce, judge, judge_rival};
pub use known::{Foundings, Next};
pub use make::{Plan, Readable, add_signature, founder, leading, readable};

#[cfg(test)]
mod tests;
