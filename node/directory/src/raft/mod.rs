//! Consensus among stewards: everything that knows openraft.
//!
//! What lives here: the types and settings (`types`), the log (`log_store`), the state machine that drives the pure
//! register (`state_machine`), what is stored while no instance runs (`stored`), the calls to other stewards (`network`,
//! `snapshot`, `convert`), the checks before openraft sees a message (`message_guard`, `log_bounds`, `voters`) or an answer
//! (`answers`), whose word deposes a leader (`leader_lease`), whether this node's clock may order (`clock_guard`), and one running instance with its handlers (`node`,
//! `handlers`, `tasks`). What does not: who may be a steward and what a statement does (`state`), when to start an
//! instance (`steward`).
//! Invariant: no openraft name leaves this folder. Raft orders, signatures authorise: nothing that comes in here can
//! change the register but a statement that `apply` accepts.

mod answers;
mod clock_guard;
mod convert;
#[doc(hidden)]
pub mod durability;
mod handlers;
mod leader_lease;
mod log_bounds;
mod log_store;
mod message_guard;
mod network;
mod node;
mod snapshot;
mod state_machine;
mod stored;
mod tasks;
mod types;
mod voters;

#[cfg(test)]
mod tests;

pub use node::{Node, NotDone, RaftStatus, Start};
pub use stored::{counts, ended, forgotten, left, unapplied};
