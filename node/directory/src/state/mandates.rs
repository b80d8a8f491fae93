//! Mandates in the register: of each issuer and holder the newest, with the change that a snapshot proves it by.

use std::sync::Arc;

use imbl::OrdMap;

use super::Change;
use crate::domain::ids::AuthorityId;
use crate::domain::mandate::IssuedMandate;
use crate::domain::time::UnixMs;

/// By holder and issuer.
type ByPair = OrdMap<(AuthorityId, AuthorityId), Arc<IssuedMandate>>;

/// All mandates. Cheap to clone.
#[derive(Clone, Default)]
pub struct Mandates {
    current: ByPair,
    /// By holder, then by issuer.
    changes: OrdMap<AuthorityId, OrdMap<AuthorityId, Arc<Change>>>,
}

impl Mandates {
    /// All of them, ended ones too.
    pub fn all(&self) -> &ByPair {
        &self.current
    }

    /// One issuer's for one holder.
    pub fn get(&self, holder: &AuthorityId, issuer: &AuthorityId) -> Option<&Arc<IssuedMandate>> {
        self.current.get(&(holder.clone(), issuer.clone()))
    }

    /// The version that a statement about it has to name; 0: there never was one.
    pub fn version(&self, holder: &AuthorityId, issuer: &AuthorityId) -> u64 {
        self.get(holder, issuer).map_or(0, |issued| issued.version)
    }

    pub(super) fn put(&mut self, issued: IssuedMandate, change: &Arc<Change>) {
        let (holder, issuer) = (issued.holder.clone(), issued.issuer.clone());
        self.changes.entry(holder.clone()).or_default().insert(issuer.clone(), Arc::clone(change));
        self.current.insert((holder, issuer), Arc::new(issued));
    }

    /// Who leaves takes no mandate back in when it is admitted again.
    pub(super) fn end_of(&mut self, authority: &AuthorityId, at: UnixMs) {
        let of = |(holder, issuer): &&(AuthorityId, AuthorityId)| holder == authority || issuer == authority;
        let ended: Vec<_> = self.current.keys().filter(of).cloned().collect();
        for pair in ended {
            if let Some(issued) = self.current.get_mut(&pair).filter(|issued| issued.mandate.is_ok()) {
                Arc::make_mut(issued).mandate = Err(at);
            }
        }
    }

    /// Nothing ended after the instant.
    pub(super) fn retime(&mut self, to: UnixMs) {
        for issued in self.current.clone().values().filter(|issued| issued.mandate.as_ref().is_err_and(|at| *at > to)) {
            let cut = IssuedMandate { mandate: Err(to), ..IssuedMandate::clone(issued) };
            self.current.insert((cut.holder.clone(), cut.issuer.clone()), Arc::new(cut));
        }
    }

    /// What proves the mandates of a holder, by issuer.
    pub(crate) fn changes_about(&self, holder: &AuthorityId) -> impl Iterator<Item = &Arc<Change>> {
        self.changes.get(holder).into_iter().flat_map(|by_issuer| by_issuer.values())
    }

    /// Whether nothing that was known has gone back.
    pub(crate) fn continues(&self, known: &Self) -> bool {
        known
            .current
            .iter()
            .all(|(pair, before)| self.current.get(pair).is_some_and(|now| now.version >= before.version))
    }
}
