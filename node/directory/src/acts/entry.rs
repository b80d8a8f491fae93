//! What holds for every entry, whoever changes it.

use super::{Context, is_well_known, is_well_known_pin, keys};
use crate::domain::authority::{AuthorityEntry, PinnedKey};
use crate::domain::directory::{Member, Steward};
use crate::domain::register::Outcome;
use crate::wire::pin_proof;

/// What stewards looked at when they admitted it.
pub fn same_identity(entry: &AuthorityEntry, before: &AuthorityEntry) -> bool {
    entry.kind == before.kind
        && entry.names == before.names
        && entry.identifiers == before.identifiers
        && entry.hosted_by == before.hosted_by
}

/// What an entry owes to all others. `holder`: the member as it is, if it is one.
pub(super) fn check(context: &Context<'_>, entry: &AuthorityEntry, holder: Option<&Member>) -> Result<(), Outcome> {
    let before = holder.map(|m| &m.entry);
    if before.is_none_or(|b| b.authority_key != entry.authority_key) {
        keys::check_new(context, &entry.authority_key)?;
    }
    if entry.pins.iter().any(|p| is_well_known_pin(&p.pin)) || is_well_known(&entry.authority_key) {
        return Err(Outcome::WellKnownKey);
    }
    if context.is_live() {
        let taken = |pin: &_| context.state.pin_holder(pin).is_some_and(|holder| *holder != entry.authority);
        if entry.pins.iter().any(|p| taken(&p.pin)) {
            return Err(Outcome::DuplicatePin);
        }
        let new_raft_id = entry.raft_id != 0 && before.is_none_or(|b| b.raft_id != entry.raft_id);
        // What was announced before a founding may come after it: the entry goes back to the id under which its steward votes.
        let names = |steward: &Steward| steward.authority == entry.authority && steward.raft_id == entry.raft_id;
        let votes = context.state.founding().by.is_some() && context.state.stewards().iter().any(names);
        if new_raft_id && !votes && context.state.is_raft_id_used(entry.raft_id) {
            return Err(Outcome::RaftIdReused);
        }
    }
    // What stands in the entry was proved when it came; the founder's first pin for a federation that had no id yet.
    let same = |p: &PinnedKey, old: &PinnedKey| p.pin == old.pin && p.proof == old.proof;
    let stood = |p: &_| before.is_some_and(|b| b.pins.iter().any(|old| same(p, old)));
    let federation = context.state.federation();
    if entry.pins.iter().any(|p| !stood(p) && !pin_proof::proves(p, &federation, &entry.authority)) {
        return Err(Outcome::PinUnproved);
    }
    if before.is_none_or(|b| b.hosted_by != entry.hosted_by) {
        check_host(context, entry)?;
    }
    Ok(())
}

/// A host has its own node, and whoever is hosted hosts nobody and is no steward.
fn check_host(context: &Context<'_>, entry: &AuthorityEntry) -> Result<(), Outcome> {
    let Some(host) = &entry.hosted_by else {
        return Ok(());
    };
    let hosts = |m: &Member| m.removed_at.is_none() && m.entry.hosted_by.is_none();
    if !context.state.member(host).is_some_and(|m| hosts(m)) {
        return Err(Outcome::InvalidEntry);
    }
    if context.state.is_steward(&entry.authority) {
        return Err(Outcome::StillASteward);
    }
    // Who was never a member hosts nobody: an admission does not look through all members.
    let is_hosted = |m: &Member| m.removed_at.is_none() && m.entry.hosted_by.as_ref() == Some(&entry.authority);
    let known = context.state.member(&entry.authority).is_some();
    if known && context.state.members().values().any(|m| is_hosted(m)) { Err(Outcome::InvalidEntry) } else { Ok(()) }
}
