//! Decisions of several stewards: what is proposed, who voted, when it runs out.

use std::sync::Arc;

use super::{Change, RegisterState};
use crate::acts;
use crate::domain::ids::{AuthorityId, KeyId, StatementId};
use crate::domain::register::RejectionReason;
use crate::domain::statement::{Act, Subject};
use crate::domain::time::{Millis, UnixMs};

/// A closed or expired proposal can be looked up for this long after its end.
pub(super) const REMEMBERED: Millis = Millis::days(30);

/// Where a proposal stands. An open one may have expired: `Proposal::is_open` asks for the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalState {
    Open,
    Carried,
    Rejected(RejectionReason),
    Withdrawn,
}

/// One steward's vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    pub steward: AuthorityId,
    /// The key that signed it: a vote by a key that turns out to be compromised does not count.
    pub key: KeyId,
    /// Entry time.
    pub at: UnixMs,
    /// `None`: approves.
    pub rejects: Option<RejectionReason>,
}

/// A decision asked for.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub id: StatementId,
    pub author: AuthorityId,
    pub subject: Subject,
    pub subject_version: u64,
    pub act: Arc<Act>,
    pub opened_at: UnixMs,
    /// Absolute, by the policy at opening.
    pub expires_at: UnixMs,
    pub state: ProposalState,
    pub votes: Vec<Vote>,
    /// The proposal, its votes and what closed it, by number.
    pub changes: Vec<Arc<Change>>,
}

impl Proposal {
    /// Whether votes still count at the instant.
    pub fn is_open(&self, now: UnixMs) -> bool {
        self.state == ProposalState::Open && now < self.expires_at
    }

    /// Stewards that approved and whose approval counts now.
    pub fn approvals<'a>(&'a self, state: &'a RegisterState) -> impl Iterator<Item = &'a AuthorityId> {
        self.counted(state).filter(|v| v.rejects.is_none()).map(|v| &v.steward)
    }

    /// Stewards that voted against it.
    pub fn rejections<'a>(&'a self, state: &'a RegisterState) -> impl Iterator<Item = &'a AuthorityId> {
        self.counted(state).filter(|v| v.rejects.is_some()).map(|v| &v.steward)
    }

    /// Votes of those who are stewards now, by keys that are not known to be compromised.
    fn counted<'a>(&'a self, state: &'a RegisterState) -> impl Iterator<Item = &'a Vote> {
        self.votes.iter().filter(|vote| {
            let sound = |key: &crate::domain::authority::KeyRecord| key.key.id() == vote.key && !key.compromised;
            state.is_steward(&vote.steward) && state.member(&vote.steward).is_some_and(|m| m.keys.iter().any(sound))
        })
    }

    /// How many stewards have to approve.
    pub fn needed(&self, state: &RegisterState) -> usize {
        acts::rules(&self.act).needed(state)
    }

    /// When it is forgotten.
    pub(super) fn forget_at(&self) -> UnixMs {
        self.expires_at + REMEMBERED
    }
}
