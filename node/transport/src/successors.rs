//! Which key followed which, as cross certificates told it: a key with two successors leads nowhere (9.6).
//!
//! Whoever stole a key that a partner still holds for the current one can say that another of its own followed it. The
//! owner's word and the thief's look alike; so once both were seen neither counts, until the register says which.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::authority::PublicKey;
use crate::domain::ids::AuthorityId;

/// Keys remembered per authority: beyond them nothing new is believed, so that a thief cannot fill the memory.
const MOST: usize = 64;

/// The memory of one node, from its start on. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Successors(Arc<Mutex<BTreeMap<AuthorityId, Seen>>>);

struct Seen {
    /// The key that the register listed then; what was seen under another one is forgotten.
    current: PublicKey,
    /// What followed each key; `None`: two did.
    after: BTreeMap<PublicKey, Option<PublicKey>>,
}

impl Successors {
    /// Notes that `next` follows `key`; whether it is the only one that does. `current`: the key that the register lists.
    pub(super) fn follows(
        &self,
        authority: &AuthorityId,
        current: &PublicKey,
        key: &PublicKey,
        next: &PublicKey,
    ) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Seen { current: *current, after: BTreeMap::new() };
        let seen = all.entry(authority.clone()).or_insert_with(fresh);
        if seen.current != *current {
            *seen = fresh();
        }
        let room = seen.after.len() < MOST;
        match seen.after.get_mut(key) {
            Some(known) if *known == Some(*next) => true,
            Some(known) => {
                if known.take().is_some() {
                    havenlink_runtime::repeated!(warn by authority.as_str(); %authority, "two keys claim to follow one of its keys: neither is believed");
                }
                false
            }
            None if room => seen.after.insert(*key, Some(*next)).is_none(),
            None => false,
        }
    }

    /// Whether a way of keys, oldest first, leads over one with two successors.
    pub(super) fn doubts(&self, authority: &AuthorityId, keys: &[PublicKey]) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = all.get(authority) else { return false };
        let way = keys.iter().zip(keys.iter().skip(1));
        let mut from_current = way.skip_while(|(key, _)| **key != seen.current);
        from_current.any(|(key, next)| seen.after.get(key).is_some_and(|known| *known != Some(*next)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_successors_neither_is_believed_until_the_register_lists_another_key() {
        let (kehl, key) = (AuthorityId::parse("de-kehl").unwrap(), |n| PublicKey([n; 44]));
        let seen = Successors::default();
        assert!(seen.follows(&kehl, &key(1), &key(1), &key(2)));
        assert!(seen.follows(&kehl, &key(1), &key(1), &key(2)), "said again");
        assert!(!seen.doubts(&kehl, &[key(1), key(2)]));
        assert!(!seen.follows(&kehl, &key(1), &key(1), &key(3)));
        assert!(!seen.follows(&kehl, &key(1), &key(1), &key(2)), "nor the first one any more");
        assert!(seen.doubts(&kehl, &[key(1), key(2)]));
        let esch = AuthorityId::parse("lu-esch").unwrap();
        assert!(seen.follows(&esch, &key(1), &key(1), &key(3)), "another authority's keys are its own");
        assert!(seen.follows(&kehl, &key(2), &key(2), &key(4)), "the register listed the second one");
        assert!(!seen.doubts(&kehl, &[key(1), key(2), key(4)]));
    }

    #[test]
    fn a_thief_cannot_fill_the_memory() {
        let (kehl, key) = (AuthorityId::parse("de-kehl").unwrap(), |n: u8| PublicKey([n; 44]));
        let seen = Successors::default();
        let believed = (1..200).filter(|n| seen.follows(&kehl, &key(1), &key(*n), &key(n + 1))).count();
        assert_eq!(believed, MOST);
    }
}
