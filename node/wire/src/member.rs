//! Members as the directory service shows them.

use havenlink_proto::directory::v1 as proto;

use super::entry;
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::time::UnixMs;

/// The member as this view has it at the instant; `None` if there is none.
pub fn to_proto(view: &DirectoryView, authority: &AuthorityId, now: UnixMs) -> Option<proto::Member> {
    let member = view.member(authority)?;
    let state = match view.status(authority, now) {
        MemberStatus::Active => proto::MemberState::Active,
        MemberStatus::Suspended => proto::MemberState::Suspended,
        MemberStatus::Removed => proto::MemberState::Removed,
        MemberStatus::Unknown => return None,
    };
    let by_register = member.suspended_until.filter(|until| now < *until);
    Some(proto::Member {
        entry: Some(entry::to_proto(&member.entry)),
        version: member.version,
        state: state as i32,
        steward: view.is_steward(authority),
        suspended_until_ms: by_register.map_or(0, |until| until.0),
        denied_by_overlay: by_register.is_none() && state == proto::MemberState::Suspended,
    })
}
