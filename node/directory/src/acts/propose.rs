//! A proposal opens a decision. Lives are judged by entry time; only stewards of now count.

use std::sync::Arc;

use super::context::is_suspended;
use super::votes::vote_of;
use super::{Context, Effects, Judge, rules};
use crate::domain::directory::Member;
use crate::domain::register::Outcome;
use crate::domain::statement::{Act, Propose};
use crate::state::{Proposal, ProposalState};

impl Judge for Propose {
    /// A proposing steward counts as the first approval.
    fn judge(self, context: &Context<'_>) -> Result<Effects, Outcome> {
        let author = context.signed_author()?;
        check_right(context, author, &self.act)?;
        let decided = rules(&self.act);
        if !decided.is_about(&context.subject) {
            return Err(Outcome::Malformed);
        }
        decided.check_proposed(context)?;
        let mut proposal = Proposal {
            id: context.id,
            author: context.author.clone(),
            subject: context.subject.clone(),
            subject_version: context.subject_version,
            act: Arc::clone(&self.act),
            opened_at: context.now,
            expires_at: context.now + context.state.policy().proposal_life,
            state: ProposalState::Open,
            votes: Vec::new(),
            changes: Vec::new(),
        };
        // What could not be carried out now is refused now, whoever would have to approve it.
        let effects = carried(context, &proposal)?;
        if context.state.is_steward(&context.author) {
            proposal.votes.push(vote_of(context, author, None));
        }
        Ok(settle(context, proposal, effects))
    }
}

/// Stewards propose anything; a member what its act lets it.
fn check_right(context: &Context<'_>, author: &Member, act: &Act) -> Result<(), Outcome> {
    if context.state.is_steward(&context.author) {
        return Ok(());
    }
    if !rules(act).may_be_proposed_by(&context.author, &context.subject) {
        return Err(Outcome::NotASteward);
    }
    if is_suspended(author, context.now) { Err(Outcome::Suspended) } else { Ok(()) }
}

/// What the decision changes, if it may be carried out now.
pub(super) fn carried(context: &Context<'_>, proposal: &Proposal) -> Result<Effects, Outcome> {
    rules(&proposal.act).carry(context, &proposal.subject, proposal.subject_version)
}

/// Carried out with enough approvals, rejected once they have become impossible, otherwise open.
pub(super) fn settle(context: &Context<'_>, mut proposal: Proposal, effects: Effects) -> Effects {
    let needed = proposal.needed(context.state);
    if proposal.approvals(context.state).count() >= needed {
        proposal.state = ProposalState::Carried;
        return Effects { proposal: Some(proposal), ..effects };
    }
    let against = proposal.rejections(context.state).count();
    let last = proposal.votes.iter().rev().find_map(|vote| vote.rejects);
    if let Some(reason) = last.filter(|_| against + needed > context.state.stewards().len()) {
        proposal.state = ProposalState::Rejected(reason);
    }
    Effects { proposal: Some(proposal), ..Effects::default() }
}
