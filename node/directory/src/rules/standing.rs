//! Standing: emergency suspension, lasting suspension, restoring, removal.

use std::sync::Arc;

use havenlink_proto::directory::v1 as proto;

use super::{Context, is_suspended, version};
use crate::domain::directory::Member;
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::limits;
use crate::domain::register::Outcome;
use crate::domain::time::UnixMs;
use crate::state::{Effects, Own, Record, RegisterState};
use crate::wire::keys::Verify;
use crate::wire::signed::Unverified;
use crate::wire::statement::Subject;

/// One steward's emergency suspension; two stewards' of a steward. Each steward one per target in seven days.
pub(super) fn emergency(context: &Context<'_>) -> Result<Effects, Outcome> {
    context.author()?;
    context.steward()?;
    let signers = steward_signers(context.state, &context.author, context.unverified, context.verify)
        .ok_or(Outcome::BadSignature)?;
    let (member, record) = context.subject_member(&context.subject)?;
    if !emergency_time_fits(context.time, context.now) {
        return Err(Outcome::TimeOutOfBounds);
    }
    version(context.subject_version, member.standing_version)?;
    let target = &member.entry.authority;
    if context.state.is_steward(target) && (signers.len() < 2 || signers.contains(target)) {
        return Err(Outcome::NeedsTwoSignatures);
    }
    let used =
        |steward| record.emergencies.get(steward).is_some_and(|at| context.now.since(*at) < limits::EMERGENCY_AGAIN);
    if signers.iter().any(used) {
        return Err(Outcome::EmergencyUsed);
    }
    let until = context.now + context.state.policy().emergency;
    let mut record = Record::clone(record);
    Arc::make_mut(&mut record.emergencies).extend(signers.into_iter().map(|steward| (steward, context.now)));
    Ok(changed(member, record, Some(member.suspended_until.map_or(until, |before| before.max(until)))))
}

/// Neither a statement kept for later, nor one from a clock far ahead (9.4).
pub(crate) fn emergency_time_fits(time: UnixMs, now: UnixMs) -> bool {
    now.since(time) <= limits::OVERLAY_AGE && time.since(now) <= limits::OVERLAY_AHEAD
}

/// The one or two stewards that signed with their current keys, the author among them.
pub(crate) fn steward_signers(
    state: &RegisterState,
    author: &AuthorityId,
    unverified: &Unverified<proto::Statement>,
    verify: &dyn Verify,
) -> Option<Vec<AuthorityId>> {
    let keys: Vec<_> = state
        .stewards()
        .iter()
        .filter_map(|s| state.member(&s.authority).map(|m| (m.entry.authority_key, &s.authority)))
        .map(|(key, authority)| (key.id(), key, authority))
        .collect();
    let find = |id: &_| keys.iter().find(|(key_id, ..)| key_id == id);
    let ids = unverified.check(&state.federation(), |id| find(id).map(|(_, key, _)| *key), verify).ok()?;
    let signers: Vec<AuthorityId> = ids.iter().filter_map(|id| find(id).map(|(.., who)| (*who).clone())).collect();
    (signers.len() <= 2 && signers.contains(author)).then_some(signers)
}

fn changed(member: &Member, record: Record, suspended_until: Option<UnixMs>) -> Effects {
    let standing_version = member.standing_version + 1;
    Effects::member(Member { suspended_until, standing_version, ..Member::clone(member) }, record, Own::Stays)
}

/// A suspension that lasts. Whatever else happened to its standing meanwhile does not make it stale: otherwise one
/// steward's emergency suspension would delay the majority's.
pub(super) fn suspend(context: &Context<'_>, subject: &Subject) -> Result<Effects, Outcome> {
    let (member, record) = context.subject_member(subject)?;
    if member.suspended_until == Some(UnixMs::NEVER) {
        return Err(Outcome::Suspended);
    }
    Ok(changed(member, Record::clone(record), Some(UnixMs::NEVER)))
}

/// The end of a suspension, and of the emergency suspensions that the overlay holds: the register may not know of them.
pub(super) fn restore(
    context: &Context<'_>,
    subject: &Subject,
    named: u64,
    lifts: &[StatementId],
) -> Result<Effects, Outcome> {
    let (member, record) = context.subject_member(subject)?;
    version(named, member.standing_version)?;
    if lifts.is_empty() && !is_suspended(member, context.now) {
        return Err(Outcome::NotSuspended);
    }
    let mut record = Record::clone(record);
    let lifted = Arc::make_mut(&mut record.lifted);
    lifted.extend_from_slice(lifts);
    lifted.sort_unstable();
    lifted.dedup();
    Ok(changed(member, record, None))
}

/// The end of a membership. A steward is demoted first.
pub(super) fn remove(context: &Context<'_>, subject: &Subject) -> Result<Effects, Outcome> {
    let (member, record) = context.subject_member(subject)?;
    if context.state.is_steward(&member.entry.authority) {
        return Err(Outcome::StillASteward);
    }
    let standing_version = member.standing_version + 1;
    let removed = Member { removed_at: Some(context.now), standing_version, ..Member::clone(member) };
    Ok(Effects::member(removed, Record::clone(record), Own::Stays))
}
