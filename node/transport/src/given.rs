//! Addresses that an operator gave for partners that moved while they were out of reach (9.6).
//!
//! What is dialled there proves itself like anything else, by a pin or by its authority's key: an address is only where to
//! look. It counts until the register lists another one than it did when it was given.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::domain::directory::{DirectoryView, Member};
use crate::domain::ids::AuthorityId;

/// One address, out of band.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// "host:port".
    pub endpoint: String,
    /// What the register listed then.
    pub instead_of: Vec<String>,
}

impl Given {
    fn counts_for(&self, member: &Member) -> bool {
        member.entry.endpoints == self.instead_of
    }
}

/// The addresses of one node's partners. Clones are one.
#[derive(Clone, Default)]
pub struct GivenContacts(Arc<ArcSwap<BTreeMap<AuthorityId, Given>>>);

impl GivenContacts {
    /// All of them.
    pub fn all(&self) -> Arc<BTreeMap<AuthorityId, Given>> {
        self.0.load_full()
    }

    /// These, and no others.
    pub fn set(&self, all: BTreeMap<AuthorityId, Given>) {
        self.0.store(Arc::new(all));
    }

    /// Those that still count by this view.
    pub fn current(&self, view: &DirectoryView) -> BTreeMap<AuthorityId, Given> {
        let counts = |authority: &AuthorityId, given: &Given| {
            view.member(authority).is_some_and(|member| member.removed_at.is_none() && given.counts_for(member))
        };
        self.all().iter().filter(|(a, g)| counts(a, g)).map(|(a, g)| (a.clone(), g.clone())).collect()
    }

    /// Where a member is dialled: at the address that was given first, then at those of its entry.
    pub(super) fn endpoints(&self, member: &Member) -> Vec<String> {
        let all = self.0.load();
        let given = all.get(&member.entry.authority).filter(|given| given.counts_for(member));
        let listed = member.entry.endpoints.iter();
        let listed = listed.filter(|endpoint| given.is_none_or(|given| given.endpoint != **endpoint));
        given.map(|given| given.endpoint.clone()).into_iter().chain(listed.cloned()).collect()
    }
}
