//! The register that cities own together: who takes part, with which keys and endpoints, decided by whom.
//!
//! What lives here: the register's state and the one function that changes it (`state`, `rules`), the signed statements
//! that ask for a change (`statements`), snapshots that anyone can verify from the genesis statement on (`snapshot`),
//! the suspension overlay (`overlay`) with the orders that wait for a second signature (`half_signed`), and the stewards' signs of life (`beats`). All of these are pure: time and
//! randomness come in as arguments, so the same input gives the same outcome on every node.
//! What does not: sockets to peers (`transport`), the node's own store, what members exchange (`exchange`).
//!
//! Invariants:
//! - Raft orders, signatures authorise. `apply` checks every signature and every rule itself: who orders can delay,
//!   never forge. A bad statement is an outcome, never an error; nothing that arrives can make `apply` fail.
//! - Every numbered change enters the head; two registers with one head are the same register (9.4).
//! - Deny wins: the overlay denies without a quorum, and `apply` never reads it.
//! - What a snapshot says was decided, it proves: its statements, replayed by the same rules, give its state.

use havenlink_domain as domain;
use havenlink_runtime::clock;
use havenlink_transport as transport;
use havenlink_wire as wire;

pub mod beats;
mod captured;
mod chain;
pub mod dial;
mod disk;
mod error;
mod forward;
mod gossip;
pub mod half_signed;
mod handle;
mod membership;
mod memo;
mod mirror;
pub mod overlay;
mod propose;
mod raft;
mod reach;
mod rules;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
mod serve;
mod served;
pub mod snapshot;
pub mod state;
pub mod statements;
mod steward;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use handle::{Directory, FILE, Opening, Proposed, RegisterStatus, Settings, forget_raft, raft_id};
pub use raft::Standing as RaftStanding;
#[doc(hidden)]
pub use raft::durability;
pub use reach::Reached;
pub use state::{Applied, Change, RegisterState};
