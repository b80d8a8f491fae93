//! The doors: gRPC handlers for partners, for a city's own systems and people, and for operators.
//!
//! What lives here: the access table (one row per method), the layer that enforces it in one order, the one map from
//! reasons to statuses, and thin handlers: decode, call, encode. What does not: rules, storage, sockets.
//! Invariants: a method without a row cannot be called; a refused read at the peer door is always the same NOT_FOUND;
//! no status carries a text that a peer gave, nor a reason beyond the caller's role.

pub mod access;
pub mod actor;
pub mod admin;
mod call;
pub mod directory;
pub mod errors;
pub mod http;
pub mod join;
pub mod layers;
pub mod local;
pub mod page;
pub mod peer;
pub mod raft;
mod reflection;
pub mod routes;
