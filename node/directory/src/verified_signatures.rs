//! Signatures that this node has verified lately: what was checked at intake is not checked again at `apply`.
//!
//! Only a positive answer is remembered, under a digest of key, message and signature together, so a remembered answer
//! is the answer to exactly this question. Two generations bound it: what is asked for stays, the rest is forgotten.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::domain::authority::PublicKey;
use crate::domain::ids::{Digest, Hasher};
use crate::wire::keys::{self, Verify};

/// Signatures in one generation.
const GENERATION: usize = 8_192;

#[derive(Default)]
struct Generations {
    new: HashSet<Digest>,
    old: HashSet<Digest>,
}

/// The memory. Shared by intake and `apply` of one node.
#[derive(Default)]
pub struct VerifiedSignatures(Mutex<Generations>);

impl VerifiedSignatures {
    fn knows(&self, question: &Digest) -> bool {
        let generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.new.contains(question) || generations.old.contains(question)
    }

    fn remember(&self, question: Digest) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.new.len() >= GENERATION {
            generations.old = std::mem::take(&mut generations.new);
        }
        generations.new.insert(question);
    }
}

impl Verify for VerifiedSignatures {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let mut question = Hasher::new();
        question.update(&key.0);
        question.update(signature);
        question.update(message);
        let question = question.finish();
        if self.knows(&question) {
            return true;
        }
        let good = keys::verify(key, message, signature);
        if good {
            self.remember(question);
        }
        good
    }
}

/// Takes every signature for good: for what this node had verified before it wrote it to its own disk.
pub struct Stored;

impl Verify for Stored {
    fn verify(&self, _key: &PublicKey, _message: &[u8], _signature: &[u8]) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::keys::SigningKey;

    #[test]
    fn only_the_same_question_is_remembered() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        let verified = VerifiedSignatures::default();
        let signature = key.sign(b"message");
        assert!(verified.verify(&key.public(), b"message", &signature));
        assert!(verified.verify(&key.public(), b"message", &signature));
        assert!(!verified.verify(&key.public(), b"another", &signature));
        let mut forged = signature;
        forged[0] ^= 1;
        assert!(!verified.verify(&key.public(), b"message", &forged));
    }
}
