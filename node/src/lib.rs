//! Havenlink: one small node for one authority of a federation against trafficking in human beings.
//!
//! One register (`directory`), one question (`domain::policy`), one road (`exchange`), one ledger (`domain::audit`).
//! The rooms and who may enter which stand in ARCHITECTURE.md; a test reads the imports and holds them to it.

pub mod app;
pub mod config;
pub mod demo;
pub mod exchange;
pub mod services;
pub mod workers;

pub use havenlink_directory as directory;
pub use havenlink_domain as domain;
pub use havenlink_runtime::{clock, pass, telemetry, wakeup};
pub use havenlink_storage as storage;
pub use havenlink_transport as transport;
pub use havenlink_wire as wire;
