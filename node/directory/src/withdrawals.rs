//! Keys that were withdrawn: deny wins, no quorum needed (9.4).
//!
//! Whoever holds a key may withdraw it, by the rotation away from it that is ordered as well (`RotateKey`, compromised): the statement
//! is its own proof, is told to everyone like an emergency suspension, and acts as soon as it is stored (`chain::denying`). A key
//! that is withdrawn proves no beat, snapshot, founding or certificate any more. The key that its only withdrawal names speaks for
//! the steward from then on, so that an order that has died can begin anew; two that name different ones, the owner's and a
//! thief's, make that neither. Never read by `apply`: what is ordered has one outcome everywhere. Grow-only, and bounded by the
//! keys that stand in the register.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::domain::authority::PublicKey;
use crate::domain::ids::KeyId;
use crate::rotations;

/// Statements that are kept of one key: a second one shows that two claim what comes after it.
const MOST: usize = 2;

/// The set: each key with the statements that withdrew it; an empty one was seen withdrawn on a line that is followed no more.
#[derive(Clone, Debug, Default)]
pub struct Withdrawals(BTreeMap<KeyId, Vec<Bytes>>);

impl Withdrawals {
    pub fn contains(&self, key: &KeyId) -> bool {
        self.0.contains_key(key)
    }

    /// Whether it says something new: of a key that was not withdrawn, or that another one comes after it.
    pub fn is_new(&self, key: &KeyId, signed: &Bytes) -> bool {
        let Some(known) = self.0.get(key) else { return true };
        let next = next(signed);
        known.len() < MOST && next.is_some() && known.iter().all(|known| self::next(known) != next)
    }

    /// Whether it was new.
    pub fn insert(&mut self, key: KeyId, signed: Bytes) -> bool {
        let new = self.is_new(&key, &signed);
        if new {
            self.0.entry(key).or_default().push(signed);
        }
        new
    }

    /// The name of the row for what is inserted next about a key; it begins with the key.
    pub fn next_row(&self, key: &KeyId) -> Vec<u8> {
        let place = self.0.get(key).map_or(0, Vec::len);
        key.as_bytes().iter().copied().chain((place > 0).then_some(1)).collect()
    }

    /// The key that comes after one that was withdrawn; `None` where nobody said, or two said different ones.
    pub fn successor(&self, key: &KeyId) -> Option<PublicKey> {
        match self.0.get(key)?.as_slice() {
            [only] => next(only),
            _ => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What withdrew keys, encoded `Signed`.
    pub fn stated(&self) -> impl Iterator<Item = (&KeyId, &Bytes)> {
        let all = self.0.iter().flat_map(|(key, statements)| statements.iter().map(move |signed| (key, signed)));
        all.filter(|(_, signed)| !signed.is_empty())
    }
}

fn next(signed: &Bytes) -> Option<PublicKey> {
    rotations::open(signed).ok().flatten().map(|opened| opened.new_key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{KEHL, World, new_key};

    #[test]
    fn one_key_comes_after_a_withdrawn_one_and_of_two_neither() {
        let mut world = World::three();
        let keys = [new_key(), new_key(), new_key()];
        let [owners, thiefs, third] = keys.each_ref().map(|key| world.sign(KEHL, |a, s| a.key_rotation(s, key, true)));
        let again = world.sign(KEHL, |a, s| a.key_rotation(s, &keys[0], true));
        let key = world.keys[&crate::samples::id(KEHL)].public().id();
        let mut known = Withdrawals::default();
        assert_eq!((known.successor(&key), known.next_row(&key)), (None, key.as_bytes().to_vec()));
        assert!(known.insert(key, owners.clone()) && !known.insert(key, owners));
        assert!(!known.insert(key, again), "another statement that says the same");
        assert_eq!(known.successor(&key), Some(keys[0].public()));
        let row = known.next_row(&key);
        assert!(row.starts_with(key.as_bytes()) && row.len() > key.as_bytes().len());
        assert!(known.insert(key, thiefs), "whoever is told of one is told of the other");
        assert_eq!(known.successor(&key), None);
        assert!(known.contains(&key) && !known.insert(key, third), "two are enough to know");
        assert_eq!(known.stated().count(), 2);
    }
}
