//! What RETIME does to the register: nothing in it lies beyond the new time, and every end lies no further behind it than
//! the span that it ends (9.4).
//!
//! Times that an authority stated about itself stay as they are: until when a pin or a mandate is valid is its own word.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdSet;

use super::{MemberHistory, Proposal, RegisterState};
use crate::domain::directory::Member;
use crate::domain::time::UnixMs;

impl RegisterState {
    /// Goes on from this time, which lies before that of the newest entry.
    pub(super) fn retime(&mut self, to: UnixMs) {
        self.entry_time = to;
        let emergency_end = to + self.policy.emergency;
        for member in self.members.clone().values().filter(|member| lies_beyond(member, to, emergency_end)) {
            let mut cut = Member::clone(member);
            cut.suspended_until = cut.suspended_until.map(|until| suspension(until, emergency_end));
            cut.removed_at = cut.removed_at.map(|at| at.min(to));
            cut.keys.iter_mut().for_each(|key| key.replaced_at = key.replaced_at.map(|at| at.min(to)));
            self.members.insert(cut.entry.authority.clone(), Arc::new(cut));
        }
        for (authority, history) in self.histories.clone() {
            if history.admitted_at > to || history.emergencies.values().any(|at| *at > to) {
                let emergencies: BTreeMap<_, _> =
                    history.emergencies.iter().map(|(who, at)| (who.clone(), (*at).min(to))).collect();
                let admitted_at = history.admitted_at.min(to);
                let cut =
                    MemberHistory { admitted_at, emergencies: Arc::new(emergencies), ..MemberHistory::clone(&history) };
                self.admitted.insert(authority.clone(), admitted_at);
                self.histories.insert(authority, Arc::new(cut));
            }
        }
        self.mandates.retime(to);
        for proposal in self.proposals.clone().values().filter(|proposal| is_later(proposal, to)) {
            let mut cut = Proposal::clone(proposal);
            let life = cut.expires_at.since(cut.opened_at);
            cut.opened_at = cut.opened_at.min(to);
            cut.expires_at = cut.expires_at.min(to + life);
            cut.votes.iter_mut().for_each(|vote| vote.at = vote.at.min(to));
            self.proposals.insert(cut.id, Arc::new(cut));
        }
        self.forget =
            self.proposals.values().map(|proposal| (proposal.forget_at(), proposal.id)).collect::<OrdSet<_>>();
    }
}

fn lies_beyond(member: &Member, to: UnixMs, emergency_end: UnixMs) -> bool {
    member.suspended_until.is_some_and(|until| suspension(until, emergency_end) != until)
        || member.removed_at.is_some_and(|at| at > to)
        || member.keys.iter().any(|key| key.replaced_at.is_some_and(|at| at > to))
}

/// One that lasts until restored has no end to cut.
fn suspension(until: UnixMs, emergency_end: UnixMs) -> UnixMs {
    if until == UnixMs::NEVER { until } else { until.min(emergency_end) }
}

fn is_later(proposal: &Proposal, to: UnixMs) -> bool {
    proposal.opened_at > to || proposal.votes.iter().any(|vote| vote.at > to)
}
