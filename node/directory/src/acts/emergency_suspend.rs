//! An emergency suspension: one steward suspends a member, two stewards suspend a steward, for the length that the policy
//! names. Each steward has one per target in seven days. The overlay acts on the same statement without a quorum.

use std::sync::Arc;

use havenlink_proto::directory::v1 as proto;

use super::context::version;
use super::suspend::suspended_until;
use super::{Context, Effects, Judge};
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::register::{Outcome, SuspendReason};
use crate::domain::statement::{EmergencySuspend, Subject};
use crate::domain::time::UnixMs;
use crate::state::{MemberHistory, RegisterState};
use crate::statements::Author;
use crate::wire::keys::Verify;
use crate::wire::signed::Unverified;
use crate::wire::statement::SignedStatement;

impl Judge for EmergencySuspend {
    fn judge(self, context: &Context<'_>) -> Result<Effects, Outcome> {
        context.author()?;
        context.steward()?;
        let signers = steward_signers(context.state, &context.author, context.unverified, context.verify)
            .ok_or(Outcome::BadSignature)?;
        let (member, history) = context.subject_member(&context.subject)?;
        if !time_fits(context.time, context.now) {
            return Err(Outcome::TimeOutOfBounds);
        }
        version(context.subject_version, member.status_version)?;
        let target = &member.entry.authority;
        if context.state.is_steward(target) && (signers.len() < 2 || signers.contains(target)) {
            return Err(Outcome::NeedsTwoSignatures);
        }
        let used = |steward| {
            history.emergencies.get(steward).is_some_and(|at| context.now.since(*at) < limits::EMERGENCY_AGAIN)
        };
        if signers.iter().any(used) {
            return Err(Outcome::EmergencyUsed);
        }
        let until = context.counted_from() + context.state.policy().emergency;
        let mut history = MemberHistory::clone(history);
        Arc::make_mut(&mut history.emergencies).extend(signers.into_iter().map(|steward| (steward, context.now)));
        Ok(suspended_until(member, history, Some(member.suspended_until.map_or(until, |before| before.max(until)))))
    }
}

/// Neither a statement kept for later, nor one from a clock far ahead (9.4).
pub(crate) fn time_fits(time: UnixMs, now: UnixMs) -> bool {
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
        .filter_map(|s| state.member(&s.authority).map(|m| (m, &s.authority)))
        .filter(|(m, _)| !m.keys.iter().any(|held| held.compromised && held.key == m.entry.authority_key))
        .map(|(m, authority)| (m.entry.authority_key, authority))
        .map(|(key, authority)| (key.id(), key, authority))
        .collect();
    let find = |id: &_| keys.iter().find(|(key_id, ..)| key_id == id);
    let ids = unverified.check(&state.federation(), |id| find(id).map(|(_, key, _)| *key), verify).ok()?;
    let signers: Vec<AuthorityId> = ids.iter().filter_map(|id| find(id).map(|(.., who)| (*who).clone())).collect();
    (signers.len() <= 2 && signers.contains(author)).then_some(signers)
}

impl Author<'_> {
    /// An emergency suspension. Of a steward it needs a second signature: `countersign`.
    pub fn suspend(&self, state: &RegisterState, target: &AuthorityId, reason: SuspendReason) -> SignedStatement {
        let subject = Subject::Authority(target.clone());
        let version = state.version(&subject);
        self.sign(state, subject, version, EmergencySuspend { reason })
    }
}
