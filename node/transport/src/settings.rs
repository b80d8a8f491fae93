//! The limits of this room as values, so that a test can make them small.

use std::time::Duration;

use crate::domain::limits;

/// What a stranger and a peer may take of this node before the first request.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Time for TCP connect, and again for the TLS handshake with the first bytes of HTTP.
    pub handshake: Duration,
    /// Handshakes that one address (IPv6: one /64) may have pending.
    pub pending_per_address: usize,
    /// Handshakes that may be pending from all addresses together.
    pub pending_total: usize,
    /// Connections that one peer may have open to us.
    pub connections_per_peer: usize,
    /// Connections open over `havenlink-join/1`, from all applicants together.
    pub join_connections: usize,
    /// A join connection is closed after this long, whatever it does.
    pub join_life: Duration,
    /// A join connection on which no call succeeded is closed after this long: idle strangers do not hold the door.
    pub join_proof: Duration,
    /// One on which a call succeeded is closed when none did for this long; `Watch` answers within 30 s.
    pub join_idle: Duration,
    /// From then on a join connection without a successful call makes room for a newcomer.
    pub join_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: limits::HANDSHAKE.to_duration(),
            pending_per_address: limits::PENDING_HANDSHAKES,
            pending_total: 1_024,
            connections_per_peer: limits::CONNECTIONS,
            join_connections: limits::JOIN_CONNECTIONS,
            join_life: Duration::from_secs(300),
            join_proof: Duration::from_secs(10),
            join_idle: Duration::from_secs(60),
            join_grace: Duration::from_secs(3),
        }
    }
}
