//! What a TLS key says about its own pin: whose it is, and in which federation. Without it anybody could publish anybody's (9.6).

use bytes::Bytes;

use super::ids::{AuthorityId, FederationId, Pin};

/// No TLS 1.3 handshake signature begins like this (RFC 8446, section 4.4.3), so neither can be read as the other.
const CONTEXT: &[u8] = b"havenlink/pin/v1";

/// The word of the key behind a pin. Empty where nobody asked for one: of clients of this node's own, say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PinProof {
    /// DER SubjectPublicKeyInfo, of which the pin is the SHA-256.
    pub spki: Bytes,
    /// That key's signature over `signed_bytes`.
    pub signature: Bytes,
}

/// `"havenlink/pin/v1" ‖ federation id ‖ authority ‖ pin`. In a genesis statement, which makes the id, that is 32 zero bytes.
pub fn signed_bytes(federation: &FederationId, authority: &AuthorityId, pin: &Pin) -> Vec<u8> {
    [CONTEXT, federation.as_bytes(), authority.as_str().as_bytes(), pin.as_bytes()].concat()
}
