//! Havenlink: one small node for one authority of a federation against trafficking in human beings.
//!
//! One register (`directory`), one question (`domain::policy`), one road (`exchange`), one ledger (`domain::audit`).
//! The rooms and who may enter which stand in ARCHITECTURE.md; a test reads the imports and holds them to it.

pub mod app;
pub mod clock;
pub mod config;
pub mod demo;
pub mod directory;
pub mod domain;
pub mod exchange;
pub mod services;
pub mod storage;
pub mod telemetry;
pub mod transport;
pub mod wakeup;
pub mod wire;
pub mod workers;
