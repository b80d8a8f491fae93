//! The register that cities own together: who takes part, with which keys and endpoints, decided by whom.
//!
//! What lives here: the register's state and the one function that changes it (`state`), what each act does to it (`acts`)
//! and how it is signed (`statements`), snapshots that anyone can verify from the genesis statement on (`snapshot`),
//! the suspension overlay (`overlay`) with the orders that wait for a second signature (`awaiting_countersignature`), the
//! stewards' signs of life (`beats`), the keys that were withdrawn (`withdrawals`), and how the order begins anew once it has died (`refounding`). All of these are pure: time and
//! randomness come in as arguments, so the same input gives the same outcome on every node.
//! What does not: sockets to peers (`transport`), the node's own store, what members exchange (`exchange`).
//!
//! Invariants:
//! - Raft orders, signatures authorise. `apply` checks every signature and every rule itself: who orders can delay,
//!   never forge. A bad statement is an outcome, never an error; nothing that arrives can make `apply` fail.
//! - Every numbered change enters the head; two registers with one head are the same register (9.4).
//! - Deny wins: the overlay and withdrawn keys deny without a quorum, and `apply` never reads them.
//! - What a snapshot says was decided, it proves: its statements, replayed by the same rules, give its state.

use havenlink_domain as domain;
use havenlink_runtime::clock;
use havenlink_transport as transport;
use havenlink_wire as wire;

pub mod acts;
mod asking_members;
pub mod awaiting_countersignature;
pub mod beats;
mod chain;
mod clients;
pub mod dial;
mod disk;
mod error;
mod forward;
mod founding;
mod gossip;
mod handle;
mod members_clocks;
mod membership;
mod mirror;
mod newcomer;
pub mod overlay;
mod own_beats;
mod propose;
mod raft;
mod reach;
pub mod refounding;
mod rotations;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
mod serve;
mod served;
pub mod snapshot;
mod snapshot_handle;
mod sources;
pub mod state;
pub mod statements;
mod steward;
mod verified_signatures;
mod withdrawals;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use founding::{RefoundingPlan, RefoundingStatus};
pub use handle::{Directory, FILE, Opening, RegisterStatus, Settings, forget_raft, raft_id};
pub use raft::RaftStatus;
#[doc(hidden)]
pub use raft::durability;
pub use reach::Reached;
pub use refounding::WithoutProof;
pub use state::{Change, RegisterState};
