//! What holds for every authority key that comes into the register.

use super::{Context, is_well_known};
use crate::domain::authority::{KeyRecord, PublicKey};
use crate::domain::directory::Member;
use crate::domain::register::Outcome;

/// A key that may come into the register: neither known to the world, nor ever somebody's.
pub(super) fn check_new(context: &Context<'_>, key: &PublicKey) -> Result<(), Outcome> {
    if is_well_known(key) {
        return Err(Outcome::WellKnownKey);
    }
    if context.state.is_key_used(&key.id()) { Err(Outcome::DuplicateKey) } else { Ok(()) }
}

/// Puts a new key in the place of the current one.
pub(super) fn replace(context: &Context<'_>, member: &mut Member, new_key: PublicKey, compromised: bool) {
    if let Some(last) = member.keys.last_mut() {
        last.replaced_at = Some(context.counted_from());
        last.compromised |= compromised;
    }
    member.keys.push(KeyRecord { key: new_key, replaced_at: None, compromised: false });
    member.entry.authority_key = new_key;
}
