//! Decisions that are open: who is asked to agree to what, in place of what.

use std::sync::Arc;

use super::Decisions;
use crate::directory::acts::rules;
use crate::directory::state::{Proposal, RegisterState};
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::statement::Act;
use crate::domain::time::UnixMs;

/// A decision that is open.
#[derive(Clone, Debug)]
pub struct Pending {
    pub proposal: StatementId,
    /// The act's name.
    pub act: &'static str,
    /// What is asked for: nobody approves what it has not seen.
    pub asked: Arc<Act>,
    /// What stands now where that would put something else, as the act that would put it back.
    pub replaces: Option<Act>,
    /// Whom it concerns, otherwise what it is about: "#stewards" or "#policy".
    pub subject: String,
    pub proposer: AuthorityId,
    pub approved_by: Vec<AuthorityId>,
    pub needed: usize,
    pub expires: UnixMs,
    /// This authority is a steward that has not voted.
    pub waits_for_us: bool,
}

/// Whether an open proposal can still be carried out. One that cannot is dead: nobody is asked to approve it, and the same
/// decision is proposed anew.
pub(super) fn fits(state: &RegisterState, open: &Proposal) -> bool {
    rules(&open.act).still_fits(state, &open.subject, open.subject_version)
}

impl Decisions {
    /// Decisions of the register that are open, oldest first.
    pub fn pending(&self) -> Vec<Pending> {
        let (state, now) = (self.state(), self.0.clock.now());
        let mut open: Vec<_> = state.proposals().filter(|p| p.is_open(now) && fits(&state, p)).collect();
        open.sort_by_key(|p| (p.opened_at, p.id));
        open.into_iter().map(|p| self.describe(&state, p)).collect()
    }

    fn describe(&self, state: &RegisterState, proposal: &Proposal) -> Pending {
        let (act, ours) = (rules(&proposal.act), &self.0.authority);
        let voted = proposal.approvals(state).chain(proposal.rejections(state)).any(|s| s == ours);
        let concerned = act.concerns(state, &proposal.subject);
        Pending {
            proposal: proposal.id,
            act: proposal.act.name(),
            asked: Arc::clone(&proposal.act),
            replaces: act.replaces(state, &proposal.subject),
            subject: concerned.map_or_else(|| proposal.subject.as_str().to_owned(), |concerned| concerned.to_string()),
            proposer: proposal.author.clone(),
            approved_by: proposal.approvals(state).cloned().collect(),
            needed: proposal.needed(state),
            expires: proposal.expires_at,
            waits_for_us: state.is_steward(ours) && !voted,
        }
    }
}
