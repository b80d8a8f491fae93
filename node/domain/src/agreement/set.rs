//! The agreements of a node, indexed by direction: an immutable value, swapped whole when one changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{AgreementState, Grant, HeldAgreement};
use crate::envelope::GrantRef;
use crate::ids::{AgreementId, AuthorityId};
use crate::time::UnixMs;

/// A grant in its agreement.
#[derive(Clone, Copy, Debug)]
pub struct AgreedGrant<'a> {
    pub reference: GrantRef,
    pub grant: &'a Grant,
    pub held: &'a HeldAgreement,
}

/// Grants of one sender: agreement and index, by recipient.
type ByRecipient = HashMap<AuthorityId, Vec<(Arc<HeldAgreement>, usize)>>;

/// All agreements held here. Lookups hash two short names; no lock, no allocation.
#[derive(Clone, Debug, Default)]
pub struct AgreementSet {
    by_id: BTreeMap<AgreementId, Arc<HeldAgreement>>,
    by_direction: HashMap<AuthorityId, ByRecipient>,
}

impl AgreementSet {
    /// Indexes the agreements; the last one of an id counts.
    pub fn new(agreements: impl IntoIterator<Item = HeldAgreement>) -> Self {
        let by_id: BTreeMap<_, _> = agreements.into_iter().map(|held| (held.id, Arc::new(held))).collect();
        let mut by_direction: HashMap<AuthorityId, ByRecipient> = HashMap::new();
        for held in by_id.values() {
            for (number, grant) in held.agreement.grants.iter().enumerate() {
                let to = by_direction.entry(grant.from.clone()).or_default().entry(grant.to.clone()).or_default();
                to.push((held.clone(), number));
            }
        }
        Self { by_id, by_direction }
    }

    /// One agreement.
    pub fn get(&self, id: &AgreementId) -> Option<&Arc<HeldAgreement>> {
        self.by_id.get(id)
    }

    /// All agreements, in the order of their ids.
    pub fn all(&self) -> impl Iterator<Item = &Arc<HeldAgreement>> {
        self.by_id.values()
    }

    /// One grant by its reference.
    pub fn grant(&self, reference: &GrantRef) -> Option<AgreedGrant<'_>> {
        let held = self.by_id.get(&reference.agreement)?;
        let grant = held.agreement.grants.get(usize::try_from(reference.number).ok()?)?;
        Some(AgreedGrant { reference: *reference, grant, held })
    }

    /// The grants of one direction, in a fixed order, whatever their state.
    pub fn grants(&self, from: &AuthorityId, to: &AuthorityId) -> impl Iterator<Item = AgreedGrant<'_>> {
        let found = self.by_direction.get(from).and_then(|by_to| by_to.get(to));
        found.into_iter().flatten().filter_map(|(held, number)| {
            let reference = GrantRef { agreement: held.id, number: u32::try_from(*number).ok()? };
            Some(AgreedGrant { reference, grant: held.agreement.grants.get(*number)?, held })
        })
    }

    /// The authorities to which this one has a grant, in force or not.
    pub fn recipients_of(&self, from: &AuthorityId) -> impl Iterator<Item = &AuthorityId> {
        self.by_direction.get(from).into_iter().flat_map(HashMap::keys)
    }

    /// The authorities with which this one has an agreement in force, or one that waits for confirmation.
    pub fn partners(&self, authority: &AuthorityId, now: UnixMs) -> BTreeSet<AuthorityId> {
        let in_force = |held: &&Arc<HeldAgreement>| {
            held.agreement.is_party(authority)
                && matches!(held.state(now), AgreementState::InForce | AgreementState::Unconfirmed)
                && held.left_at(authority).is_none_or(|at| now < at)
        };
        let parties = self.all().filter(in_force).flat_map(|held| {
            let staying = |party: &&AuthorityId| held.left_at(party).is_none_or(|at| now < at);
            held.agreement.parties.iter().map(|p| &p.authority).filter(staying)
        });
        parties.filter(|party| *party != authority).cloned().collect()
    }
}
