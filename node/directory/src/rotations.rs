//! A rotation of an authority's key, by its statement alone: signed by the key that goes and by the one that comes.
//!
//! It proves who speaks for an authority next, whether anybody has ordered it or not: what a withdrawal, and the founding that a
//! later key signs, are judged by. Pure; who asks knows the keys.

use bytes::Bytes;

use crate::domain::authority::PublicKey;
use crate::domain::ids::{AuthorityId, FederationId, KeyId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::statement::{RotateKey, StatementBody};
use crate::wire::keys::Verify;
use crate::wire::signed::Unverified;
use crate::wire::statement;

/// One whose signatures have not been looked at.
pub struct Opened {
    pub authority: AuthorityId,
    pub federation: FederationId,
    pub new_key: PublicKey,
    /// Somebody else may have the one that goes.
    pub compromised: bool,
    unverified: Unverified<havenlink_proto::directory::v1::Statement>,
}

/// Both keys have signed it.
#[derive(Clone, Debug)]
pub struct Rotated {
    pub authority: AuthorityId,
    pub old: KeyId,
    pub new: PublicKey,
}

/// Reads one; `None`: the statement is none.
///
/// # Errors
/// `MESSAGE_TOO_LARGE`, `STATEMENT_MALFORMED`.
pub fn open(signed: &Bytes) -> Result<Option<Opened>, Reason> {
    if signed.len() > limits::STATEMENT_BYTES {
        return Err(Reason::MessageTooLarge);
    }
    let (statement, unverified) = statement::open(signed.clone()).map_err(|_| Reason::StatementMalformed)?;
    let StatementBody::RotateKey(RotateKey { new_key, compromised }) = statement.body else { return Ok(None) };
    if statement.subject.authority() != Some(&statement.author) {
        return Err(Reason::StatementMalformed);
    }
    let (authority, federation) = (statement.author, statement.federation);
    Ok(Some(Opened { authority, federation, new_key, compromised, unverified }))
}

impl Opened {
    /// Whether the key that comes, and one that `known` gives, signed it, and nobody else.
    ///
    /// # Errors
    /// `SIGNATURE_INVALID`.
    pub fn check(&self, known: impl Fn(&KeyId) -> Option<PublicKey>, verify: &dyn Verify) -> Result<Rotated, Reason> {
        let new = self.new_key.id();
        let key_of = |id: &KeyId| known(id).or((new == *id).then_some(self.new_key));
        let signers = self.unverified.check(&self.federation, key_of, verify).map_err(|_| Reason::SignatureInvalid)?;
        match signers.as_slice() {
            [a, b] if *a == new || *b == new => {
                let old = if *a == new { *b } else { *a };
                Ok(Rotated { authority: self.authority.clone(), old, new: self.new_key })
            }
            _ => Err(Reason::SignatureInvalid),
        }
    }

    /// Of the keys that it is signed by, those beside the one that comes; nothing is verified.
    pub fn old_keys(&self) -> impl Iterator<Item = KeyId> + '_ {
        let new = self.new_key.id();
        self.unverified.key_ids().filter(move |id| *id != new)
    }
}
