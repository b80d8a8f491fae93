//! What is said about a proposal: a steward's approval, its vote against, and the proposal's withdrawal.

use bytes::Bytes;

use super::propose::{carried, settle};
use super::{Context, Effects, Judge};
use crate::domain::directory::Member;
use crate::domain::ids::StatementId;
use crate::domain::register::{Outcome, RejectionReason};
use crate::domain::statement::{Act, Approve, Reject, StatementBody, Withdraw};
use crate::state::{Proposal, ProposalState, RegisterState, Vote};
use crate::statements::Author;

impl Judge for Approve {
    fn judge(self, context: &Context<'_>) -> Result<Effects, Outcome> {
        vote(context, &self.proposal, None)
    }
}

impl Judge for Reject {
    fn judge(self, context: &Context<'_>) -> Result<Effects, Outcome> {
        vote(context, &self.proposal, Some(self.reason))
    }
}

/// A steward's approval, or its vote against with a reason.
fn vote(context: &Context<'_>, id: &StatementId, rejects: Option<RejectionReason>) -> Result<Effects, Outcome> {
    let author = context.signed_author()?;
    let steward = context.state.is_steward(&context.author);
    let mut proposal = open(context, id)?;
    let closes_own = rejects.is_some() && proposal.author == context.author;
    if !steward && !closes_own {
        return Err(Outcome::NotASteward);
    }
    if let (true, Some(reason)) = (closes_own, rejects) {
        proposal.state = ProposalState::Rejected(reason);
        return Ok(Effects { proposal: Some(proposal), ..Effects::default() });
    }
    let sound = |vote: &Vote| !author.keys.iter().any(|key| key.key.id() == vote.key && key.compromised);
    if proposal.votes.iter().any(|vote| vote.steward == context.author && sound(vote)) {
        return Err(Outcome::AlreadyApproved);
    }
    proposal.votes.retain(|vote| vote.steward != context.author);
    proposal.votes.push(vote_of(context, author, rejects));
    let decides = rejects.is_none() && proposal.approvals(context.state).count() >= proposal.needed(context.state);
    let effects = if decides { carried(context, &proposal)? } else { Effects::default() };
    Ok(settle(context, proposal, effects))
}

impl Judge for Withdraw {
    /// By whoever proposed it; of an application by the applicant, which is no member.
    fn judge(self, context: &Context<'_>) -> Result<Effects, Outcome> {
        let proposal = context.state.proposal(&self.proposal).ok_or(Outcome::NoSuchProposal)?;
        match &*proposal.act {
            Act::Admit(admit) if admit.application.entry.authority == context.author => {
                context.signed_by(&[admit.application.entry.authority_key])?;
            }
            _ => {
                context.signed_author()?;
                if proposal.author != context.author {
                    return Err(Outcome::NotYours);
                }
            }
        }
        let mut proposal = open(context, &self.proposal)?;
        proposal.state = ProposalState::Withdrawn;
        Ok(Effects { proposal: Some(proposal), ..Effects::default() })
    }
}

/// The proposal that the statement names, if it is open and the author saw the same one.
fn open(context: &Context<'_>, id: &StatementId) -> Result<Proposal, Outcome> {
    let proposal = context.state.proposal(id).ok_or(Outcome::NoSuchProposal)?;
    if proposal.subject != context.subject || proposal.subject_version != context.subject_version {
        return Err(Outcome::StaleVersion);
    }
    if proposal.state != ProposalState::Open {
        return Err(Outcome::ProposalClosed);
    }
    if !proposal.is_open(context.now) {
        return Err(Outcome::ProposalExpired);
    }
    Ok(Proposal::clone(proposal))
}

pub(super) fn vote_of(context: &Context<'_>, author: &Member, rejects: Option<RejectionReason>) -> Vote {
    Vote { steward: context.author.clone(), key: author.entry.authority_key.id(), at: context.now, rejects }
}

impl Author<'_> {
    /// Approves; `None`: there is no such proposal.
    pub fn approve(&self, state: &RegisterState, proposal: &StatementId) -> Option<Bytes> {
        self.say_of(state, proposal, Approve { proposal: *proposal })
    }

    /// Votes against, or closes the author's own proposal; `None`: there is no such proposal.
    pub fn reject(&self, state: &RegisterState, proposal: &StatementId, reason: RejectionReason) -> Option<Bytes> {
        self.say_of(state, proposal, Reject { proposal: *proposal, reason })
    }

    /// Takes an application or a proposal back; `None`: there is no such proposal.
    pub fn withdraw(&self, state: &RegisterState, proposal: &StatementId) -> Option<Bytes> {
        self.say_of(state, proposal, Withdraw { proposal: *proposal })
    }

    /// A vote repeats what its proposal names.
    fn say_of(&self, state: &RegisterState, id: &StatementId, body: impl Into<StatementBody>) -> Option<Bytes> {
        let proposal = state.proposal(id)?;
        Some(self.sign(state, proposal.subject.clone(), proposal.subject_version, body).signed)
    }
}
