//! The TLS edge: the only place that opens or accepts a socket to a peer (9.6, 9.13, 9.14).
//!
//! What lives here: the node's own certificate and its replacement, the verifiers, the accept loop, the registry of live
//! connections, the pool of outgoing channels and the addresses that an operator gave, budgets of peers and of strangers, the CA
//! that a city's own software trusts, the unix sockets of the local roles, and the one place
//! that turns a failed call into a reason. What does not: which call a peer may make (`services`), what a record means,
//! how the register comes to its view: the view is given in as `ViewSource`, and this room never asks for more.
//!
//! Invariants
//! - Who answers or calls is decided by an exact SPKI pin in a signed register entry. For what brings two nodes back
//!   together, and for nothing else, a certificate that the authority's current key issued is enough; which of the two it was
//!   stands in `PeerInfo`, and is asked again for each request. The TLS 1.3 handshake signature is verified with the provider:
//!   presenting a certificate is not holding its key.
//! - Every handshake runs the verifier: no tickets, no session storage, no early data, so nothing skips a suspension.
//! - Every connection, in or out, stands in `Connections` from before its first byte of HTTP until it is closed, and
//!   can be aborted there.
//! - Nothing that a stranger does ends the accept loop or takes another peer's place.
//! - Types that hold a private key have no `Debug`.

use havenlink_domain as domain;
use havenlink_runtime::clock;

pub mod budget;
pub mod certificate;
mod connection;
pub mod crosses;
pub mod debts;
mod dial;
pub mod error;
pub mod given;
mod http2;
pub mod identity;
mod identity_files;
pub mod issued;
mod known_addresses;
pub mod listener;
pub mod local_ca;
mod paced;
mod pending;
pub mod pool;
pub mod registry;
mod settings;
mod successors;
mod tls;
pub mod unix;
mod verify;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::directory::DirectoryView;

pub use budget::{Allowance, Budgets, Cost, RetryAfter, Strangers, StreamPlace};
pub use certificate::Certificate;
pub use connection::{Alpn, PeerInfo, PeerIo};
pub use error::{Diagnosis, Error, classify, diagnose};
pub use http2::{Deadline, PeerChannel, server_builder};
pub use identity::NodeIdentity;
pub use issued::Issuing;
pub use listener::{Incoming, JoinGate, Listener, ListenerParts, Refused, Serving, Stranger};
pub use pool::{JoinChannel, Lane, Pool};
pub use registry::{Connections, Counts, Direction};
pub use settings::Limits;
pub use tls::install_provider;
pub use unix::{LocalInfo, LocalListener};
pub use verify::PinUnknown;

/// The register's current view, swapped by whoever follows the register.
pub type ViewSource = Arc<ArcSwap<DirectoryView>>;

#[cfg(test)]
mod tests;
