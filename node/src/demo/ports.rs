//! A port for a node that starts later.
//!
//! A port that the system hands out comes from the range of outgoing connections: between asking and starting, and at
//! each restart, another process's outgoing connection may sit on it. So it is taken from below that range.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::bail;

/// Below what Linux, the BSDs and macOS give to outgoing connections, above what well-known services use.
const RANGE: std::ops::Range<u16> = 17_000..32_000;

/// Handed out by this process: their nodes may not listen yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port on 127.0.0.1 that nothing listens on now, and that this process was not given before.
///
/// # Errors
/// When a thousand random ones are all taken.
pub fn free() -> anyhow::Result<u16> {
    for _ in 0..1_000 {
        let [a, b, ..] = *uuid::Uuid::new_v4().as_bytes();
        let port = RANGE.start + u16::from_be_bytes([a, b]) % (RANGE.end - RANGE.start);
        let fresh = GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port);
        if fresh && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on 127.0.0.1 between {} and {}", RANGE.start, RANGE.end)
}
