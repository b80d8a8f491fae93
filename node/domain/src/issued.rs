//! What an authority's key issues: the certificates of its own node, and those that carry a rotation (9.6).

use std::fmt;

use super::authority::PublicKey;
use super::directory::DirectoryView;
use super::ids::{AuthorityId, FederationId};

/// Whose node a certificate is for: its one subject alternative name is `havenlink://<federation id>/<authority>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    pub federation: FederationId,
    pub authority: AuthorityId,
}

impl NodeName {
    /// Reads the name; `None` for any other URI.
    pub fn parse(uri: &str) -> Option<Self> {
        let (federation, authority) = uri.strip_prefix("havenlink://")?.split_once('/')?;
        let bytes = data_encoding::HEXLOWER.decode(federation.as_bytes()).ok()?;
        Some(Self { federation: FederationId::from_slice(&bytes)?, authority: AuthorityId::parse(authority)? })
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "havenlink://{}/{}", self.federation.to_hex(), self.authority)
    }
}

/// An authority's key, wherever it is held: it signs what its own certificates say.
pub trait AuthoritySigner: Send + Sync {
    /// The public half.
    fn public_key(&self) -> PublicKey;
    /// An Ed25519 signature (RFC 8032).
    fn sign_bytes(&self, message: &[u8]) -> [u8; 64];
}

/// What a handshake proved beside the pin: the keys by which an authority vouches for the certificate. Each signed the next
/// one when it was rotated; the last one issued the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    pub authority: AuthorityId,
    /// Oldest first; never empty.
    pub keys: Vec<PublicKey>,
}

impl DirectoryView {
    /// Whether the register still vouches: one of the keys is the authority's current one, and neither it nor any that
    /// follows was withdrawn. Asked for each request.
    pub fn vouches(&self, vouched: &Vouched) -> bool {
        let Some(member) = self.member(&vouched.authority).filter(|member| member.removed_at.is_none()) else {
            return false;
        };
        let withdrawn = |key: &PublicKey| member.keys.iter().any(|record| record.key == *key && record.compromised);
        let current = vouched.keys.iter().position(|key| *key == member.entry.authority_key);
        current.is_some_and(|at| !vouched.keys[at..].iter().any(withdrawn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_as_it_was_written_and_nothing_else_is_one() {
        let name = NodeName { federation: FederationId([7; 32]), authority: AuthorityId::parse("de-kehl").unwrap() };
        let text = name.to_string();
        assert_eq!(text, format!("havenlink://{}/de-kehl", "07".repeat(32)));
        assert_eq!(NodeName::parse(&text), Some(name));
        for other in [
            text.replace("havenlink", "https"),
            text.replace("de-kehl", ""),
            text.replace("de-kehl", "de-kehl/x"),
            text.replacen("07", "0", 1),
            text.to_uppercase(),
        ] {
            assert_eq!(NodeName::parse(&other), None, "{other}");
        }
    }
}
