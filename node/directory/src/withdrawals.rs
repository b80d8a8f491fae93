//! Keys that were withdrawn: deny wins, no quorum needed (9.4).
//!
//! Whoever holds a key may withdraw it, by the rotation away from it that is ordered as well (`RotateKey`, compromised): the statement
//! is its own proof, is told to everyone like an emergency suspension, and acts as soon as it is stored (`chain::denying`). A key
//! that is withdrawn proves no beat, snapshot, founding or certificate any more. Never read by `apply`: what is ordered has one
//! outcome everywhere. Grow-only, and bounded by the keys that stand in the register.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::domain::ids::KeyId;

/// The set: each key with the statement that withdrew it; an empty one was seen withdrawn on a line that is followed no more.
#[derive(Clone, Debug, Default)]
pub struct Withdrawals(BTreeMap<KeyId, Bytes>);

impl Withdrawals {
    pub fn contains(&self, key: &KeyId) -> bool {
        self.0.contains_key(key)
    }

    /// Whether it was new.
    pub fn insert(&mut self, key: KeyId, signed: Bytes) -> bool {
        !self.contains(&key) && self.0.insert(key, signed).is_none()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that a statement withdrew, encoded `Signed`.
    pub fn stated(&self) -> impl Iterator<Item = (&KeyId, &Bytes)> {
        self.0.iter().filter(|(_, signed)| !signed.is_empty())
    }
}
