//! Decisions: proposals, votes, withdrawals. Lives are judged by entry time; only stewards of now count.

use std::sync::Arc;

use super::acts::{self, Motion};
use super::{Context, is_suspended};
use crate::domain::directory::Member;
use crate::domain::ids::StatementId;
use crate::domain::register::{Outcome, RejectionReason, RemoveReason};
use crate::state::{Effects, Proposal, ProposalState, Vote};
use crate::wire::statement::{Act, Subject};

/// Opens a decision. A proposing steward counts as the first approval.
pub(super) fn propose(context: &Context<'_>, act: Arc<Act>) -> Result<Effects, Outcome> {
    let author = context.signed_author()?;
    check_right(context, author, &act)?;
    acts::check_proposed(context, &act)?;
    let mut proposal = Proposal {
        id: context.id,
        author: context.author.clone(),
        subject: context.subject.clone(),
        subject_version: context.subject_version,
        act,
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

/// Stewards propose anything; a member proposes whom it invited, and what concerns itself.
fn check_right(context: &Context<'_>, author: &Member, act: &Act) -> Result<(), Outcome> {
    if context.state.is_steward(&context.author) {
        return Ok(());
    }
    let own = context.subject == Subject::Authority(context.author.clone());
    match act {
        Act::Admit(admit) if admit.invited_by == context.author => {}
        Act::EntryChange(_) | Act::Remove(RemoveReason::OwnRequest) if own => {}
        _ => return Err(Outcome::NotASteward),
    }
    if is_suspended(author, context.now) { Err(Outcome::Suspended) } else { Ok(()) }
}

/// A steward's approval, or its vote against with a reason.
pub(super) fn vote(
    context: &Context<'_>,
    id: &StatementId,
    rejects: Option<RejectionReason>,
) -> Result<Effects, Outcome> {
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

/// An applicant takes its application back, or a proposer its proposal.
pub(super) fn withdraw(context: &Context<'_>, id: &StatementId) -> Result<Effects, Outcome> {
    let proposal = context.state.proposal(id).ok_or(Outcome::NoSuchProposal)?;
    match &*proposal.act {
        Act::Admit(admit) if admit.application.entry.authority == context.author => {
            let key = admit.application.entry.authority_key;
            context
                .unverified
                .check(&context.state.federation(), |id| (key.id() == *id).then_some(key), context.verify)
                .map_err(|_| Outcome::BadSignature)?;
        }
        _ => {
            context.signed_author()?;
            if proposal.author != context.author {
                return Err(Outcome::NotYours);
            }
        }
    }
    let mut proposal = open(context, id)?;
    proposal.state = ProposalState::Withdrawn;
    Ok(Effects { proposal: Some(proposal), ..Effects::default() })
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

fn vote_of(context: &Context<'_>, author: &Member, rejects: Option<RejectionReason>) -> Vote {
    Vote { steward: context.author.clone(), key: author.entry.authority_key.id(), at: context.now, rejects }
}

fn carried(context: &Context<'_>, proposal: &Proposal) -> Result<Effects, Outcome> {
    let motion = Motion { act: &proposal.act, subject: &proposal.subject, version: proposal.subject_version };
    acts::carry(context, &motion)
}

/// Carried out with enough approvals, rejected once they have become impossible, otherwise open.
fn settle(context: &Context<'_>, mut proposal: Proposal, effects: Effects) -> Effects {
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
