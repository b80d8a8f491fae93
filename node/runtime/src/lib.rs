//! What runs around every room: the one source of time, the wake-ups, what the node tells about itself.
//!
//! What lives here: `clock`, `wakeup`, `pass`, `telemetry`. What does not: decisions, storage, sockets.
//! Invariant: no room asks the machine for the time, or tells anything about itself, by another way.

pub mod clock;
pub mod pass;
pub mod telemetry;
pub mod wakeup;

use havenlink_domain as domain;
