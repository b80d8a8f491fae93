//! What a member that lost its authority key needs to come back: made from the register, by any other member.

use super::{Decisions, Error};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::statement::Subject;
use crate::wire::recovery::{self, RecoveryContact, RecoveryTicket};

/// Members named in a ticket: stewards, and this node itself.
const CONTACTS: usize = 8;

impl Decisions {
    /// The ticket of an authority, as text.
    ///
    /// # Errors
    /// `MEMBER_UNKNOWN`, `MEMBER_REMOVED`: who was removed applies again.
    pub fn recovery_ticket(&self, target: &AuthorityId) -> Result<String, Error> {
        let state = self.state();
        let member = state.member(target).ok_or(Reason::MemberUnknown)?;
        if member.removed_at.is_some() {
            return Err(Reason::MemberRemoved.into());
        }
        let known = state.stewards().iter().map(|s| &s.authority).chain([&self.0.authority]);
        let mut named: Vec<&AuthorityId> = known.filter(|id| *id != target).collect();
        named.sort_unstable();
        named.dedup();
        let contact = |id: &AuthorityId| {
            let entry = &state.member(id)?.entry;
            Some(RecoveryContact {
                authority: id.clone(),
                endpoints: entry.endpoints.clone(),
                pins: entry.pins.iter().map(|p| p.pin).collect(),
                authority_key: entry.authority_key,
            })
        };
        let ticket = RecoveryTicket {
            genesis: state.genesis_signed().clone(),
            entry: member.entry.clone(),
            status_version: state.version(&Subject::Authority(target.clone())),
            rules_version: state.policy().rules_version,
            contacts: named.into_iter().take(CONTACTS).filter_map(contact).collect(),
        };
        Ok(recovery::text(&ticket))
    }
}
