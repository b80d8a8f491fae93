//! Authority keys: rotation by their owner, recovery by decision.

use super::{Context, is_suspended, is_well_known, version};
use crate::domain::authority::{KeyRecord, PublicKey};
use crate::domain::directory::Member;
use crate::domain::register::Outcome;
use crate::state::{Effects, Own, Record};
use crate::wire::statement::{Application, Subject};

/// A key that may come into the register: neither known to the world, nor ever somebody's.
pub(super) fn check_new(context: &Context<'_>, key: &PublicKey) -> Result<(), Outcome> {
    if is_well_known(key) {
        return Err(Outcome::WellKnownKey);
    }
    if context.state.is_key_used(&key.id()) { Err(Outcome::DuplicateKey) } else { Ok(()) }
}

/// A new key, signed by the old and by the new one. Not while suspended: whoever holds the old key may not be its owner.
pub(super) fn rotate(context: &Context<'_>, new_key: PublicKey, compromised: bool) -> Result<Effects, Outcome> {
    let member = context.author()?;
    if context.subject != Subject::Authority(context.author.clone()) {
        return Err(Outcome::NotYours);
    }
    let both = [member.entry.authority_key, new_key];
    let signers = context
        .unverified
        .check(&context.state.federation(), |id| both.iter().find(|k| k.id() == *id).copied(), context.verify)
        .map_err(|_| Outcome::BadSignature)?;
    if !both.iter().all(|key| signers.contains(&key.id())) {
        return Err(Outcome::BadSignature);
    }
    context.entry_version(context.subject_version, member.version)?;
    if is_suspended(member, context.now) {
        return Err(Outcome::Suspended);
    }
    check_new(context, &new_key)?;
    let record = context.state.record(&context.author).map(|r| Record::clone(r)).ok_or(Outcome::UnknownAuthor)?;
    let mut changed = Member { version: context.subject_version + 1, ..Member::clone(member) };
    replace(context, &mut changed, new_key, compromised);
    Ok(Effects::member(changed, record, Own::Stays))
}

fn replace(context: &Context<'_>, member: &mut Member, new_key: PublicKey, compromised: bool) {
    if let Some(last) = member.keys.last_mut() {
        last.replaced_at = Some(context.now);
        last.compromised |= compromised;
    }
    member.keys.push(KeyRecord { key: new_key, replaced_at: None, compromised: false });
    member.entry.authority_key = new_key;
}

/// A lost key replaced by the majority, together with pins and endpoints: nothing signed with any older key verifies.
pub(super) fn recover(
    context: &Context<'_>,
    named: u64,
    new_key: &PublicKey,
    recovery: &Application,
) -> Result<Effects, Outcome> {
    let entry = &recovery.entry;
    let (member, record) = context.subject_member(&Subject::Authority(entry.authority.clone()))?;
    version(named, member.standing_version)?;
    if recovery.subject_version != named || entry.authority_key != *new_key {
        return Err(Outcome::StaleVersion);
    }
    if !super::entry::same_identity(entry, &member.entry) {
        return Err(Outcome::NeedsApproval);
    }
    super::entry::check(context, entry, Some(member))?;
    let mut changed = Member::clone(member);
    changed.version += 1;
    changed.standing_version += 1;
    replace(context, &mut changed, *new_key, true);
    for key in changed.keys.iter_mut().filter(|key| key.key != *new_key) {
        key.compromised = true;
    }
    changed.entry = entry.clone();
    Ok(Effects::member(changed, Record::clone(record), Own::Settled))
}
