//! The signing keys of the authorities of this node.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::wire::keys::SigningKey;

/// One authority key per authority that this node serves. Clones share them; a rotation replaces one for all.
#[derive(Clone)]
pub struct Keys {
    home: AuthorityId,
    by_authority: Arc<ArcSwap<BTreeMap<AuthorityId, Arc<SigningKey>>>>,
}

impl Keys {
    /// The keys of a node that serves one authority.
    pub fn new(home: AuthorityId, key: Arc<SigningKey>) -> Self {
        let by_authority = Arc::new(ArcSwap::from_pointee(BTreeMap::from([(home.clone(), key)])));
        Self { home, by_authority }
    }

    /// Adds a hosted authority's key, or replaces a key after its rotation.
    pub fn set(&self, authority: &AuthorityId, key: &Arc<SigningKey>) {
        self.by_authority.rcu(|keys| {
            let mut keys = BTreeMap::clone(keys);
            keys.insert(authority.clone(), key.clone());
            keys
        });
    }

    /// The authority that this node serves first.
    pub fn home(&self) -> &AuthorityId {
        &self.home
    }

    /// The key of an authority of this node; `None` for every other authority.
    pub fn of(&self, authority: &AuthorityId) -> Option<Arc<SigningKey>> {
        self.by_authority.load().get(authority).cloned()
    }

    /// Whether the key of an authority of this node proves nothing any more: somebody else may have it.
    pub fn is_withdrawn(&self, authority: &AuthorityId, view: &DirectoryView) -> bool {
        let (Some(key), Some(member)) = (self.of(authority), view.member(authority)) else { return false };
        let key = key.public();
        member.keys.iter().any(|held| held.compromised && held.key == key)
    }

    /// Whether this node serves the authority.
    pub fn serves(&self, authority: &AuthorityId) -> bool {
        self.by_authority.load().contains_key(authority)
    }

    /// The authorities of this node.
    pub fn authorities(&self) -> Vec<AuthorityId> {
        self.by_authority.load().keys().cloned().collect()
    }
}
