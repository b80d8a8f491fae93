//! Entries: what an authority changes alone, and what holds for every entry.

use super::{Context, is_well_known, is_well_known_pin};
use crate::domain::authority::AuthorityEntry;
use crate::domain::directory::Member;
use crate::domain::register::Outcome;
use crate::state::{Effects, Own, Record};
use crate::wire::statement::Subject;

/// An authority's change of its own endpoints, pins, contacts, networks, services and Raft id.
pub(super) fn own(context: &Context<'_>, entry: AuthorityEntry) -> Result<Effects, Outcome> {
    let own = context.subject == Subject::Authority(context.author.clone()) && entry.authority == context.author;
    if !own {
        return Err(Outcome::NotYours);
    }
    if context.state.member(&context.author).is_none() {
        return Err(Outcome::NeedsApproval);
    }
    let member = context.signed_author()?;
    context.entry_version(context.subject_version, member.version)?;
    if entry.authority_key != member.entry.authority_key || !same_identity(&entry, &member.entry) {
        return Err(Outcome::NeedsApproval);
    }
    check(context, &entry, Some(member))?;
    let record = context.state.record(&context.author).map(|r| Record::clone(r)).ok_or(Outcome::UnknownAuthor)?;
    let changed = Member {
        entry,
        version: context.subject_version + 1,
        standing_version: member.standing_version,
        keys: member.keys.clone(),
        suspended_until: member.suspended_until,
        removed_at: None,
    };
    Ok(Effects::member(changed, record, Own::This))
}

/// A decided change of an entry: kind, names, identifiers and host too, the key not.
pub(super) fn decided(context: &Context<'_>, named: u64, entry: &AuthorityEntry) -> Result<Effects, Outcome> {
    let subject = Subject::Authority(entry.authority.clone());
    let (member, record) = context.subject_member(&subject)?;
    context.entry_version(named, member.version)?;
    if entry.authority_key != member.entry.authority_key {
        // A key is changed by its owner, or recovered: never as part of something else.
        return Err(Outcome::InvalidEntry);
    }
    check(context, entry, Some(member))?;
    let changed = Member { entry: entry.clone(), version: named + 1, ..Member::clone(member) };
    Ok(Effects::member(changed, Record::clone(record), Own::Gone))
}

/// What stewards looked at when they admitted it.
pub(super) fn same_identity(entry: &AuthorityEntry, before: &AuthorityEntry) -> bool {
    entry.kind == before.kind
        && entry.names == before.names
        && entry.identifiers == before.identifiers
        && entry.hosted_by == before.hosted_by
}

/// What an entry owes to all others. `holder`: the member as it is, if it is one.
pub(super) fn check(context: &Context<'_>, entry: &AuthorityEntry, holder: Option<&Member>) -> Result<(), Outcome> {
    let before = holder.map(|m| &m.entry);
    if before.is_none_or(|b| b.authority_key != entry.authority_key) {
        super::keys::check_new(context, &entry.authority_key)?;
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
        if new_raft_id && context.state.is_raft_id_used(entry.raft_id) {
            return Err(Outcome::RaftIdReused);
        }
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
