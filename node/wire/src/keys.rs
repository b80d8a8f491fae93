//! Signing keys: Ed25519 (RFC 8032), held where nothing can print them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::domain::authority::PublicKey;
use crate::domain::issued::AuthoritySigner;

/// An authority's private key. Has no Debug, Display or Serialize.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// A new key, as PKCS#8 to be stored.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Zeroizing<Vec<u8>>, aws_lc_rs::error::Unspecified> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// A stored key; `None` if the bytes are not one.
    pub fn from_pkcs8(bytes: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).ok()?;
        let mut spki = [0_u8; 44];
        spki[..12].copy_from_slice(&PublicKey::PREFIX);
        spki[12..].copy_from_slice(pair.public_key().as_ref());
        Some(Self { pair, public: PublicKey(spki) })
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// A 64-byte signature.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        let mut out = [0_u8; 64];
        out.copy_from_slice(signature.as_ref());
        out
    }
}

impl AuthoritySigner for SigningKey {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        self.sign(message)
    }
}

/// Whether the signature is the key's over the message.
pub fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key.raw()).verify(message, signature).is_ok()
}

/// Who checks signatures: the plain check, or one that remembers what it has checked.
pub trait Verify {
    /// Whether the signature is the key's over the message. The same question always has the same answer.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool;
}

/// The plain check.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Verify for Plain {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        verify(key, message, signature)
    }
}
