//! Open decisions as the contract shows them: who is asked to agree to what, in place of what.

use havenlink_proto::admin::v1 as admin;
use havenlink_proto::admin::v1::decision_content::Content;
use havenlink_proto::directory::v1 as directory;

use crate::domain::directory::Steward;
use crate::exchange::governance::{Pending, Present};
use crate::wire::statement::{self, Act};
use crate::wire::{entry, fields};

/// Who waits for whom, without what it is about: what is asked often stays short.
pub(super) fn brief(open: &Pending) -> admin::PendingDecision {
    admin::PendingDecision {
        proposal_id: fields::bytes_of(open.proposal.as_bytes()),
        act: open.act.to_owned(),
        subject: open.subject.clone(),
        proposer: open.proposer.to_string(),
        approved_by: open.approved_by.iter().map(ToString::to_string).collect(),
        needed: u32::try_from(open.needed).unwrap_or(u32::MAX),
        expires_ms: open.expires.0,
        waits_for_us: open.waits_for_us,
        ..Default::default()
    }
}

/// All that a steward has to see before it agrees.
pub(super) fn with_content(open: &Pending) -> admin::PendingDecision {
    let invited_by = match &*open.asked {
        Act::Admit(admit) => admit.invited_by.to_string(),
        _ => String::new(),
    };
    let told = |content| Some(admin::DecisionContent { content: Some(content) });
    admin::PendingDecision {
        proposed: told(proposed(&open.asked)),
        present: present(&open.present).and_then(told),
        invited_by,
        ..brief(open)
    }
}

fn proposed(asked: &Act) -> Content {
    match asked {
        Act::Admit(admit) => Content::Entry(entry::to_proto(&admit.application.entry)),
        Act::EntryChange(entry) => Content::Entry(entry::to_proto(entry)),
        Act::KeyRecovery { entry, .. } => Content::Entry(entry::to_proto(&entry.entry)),
        Act::Policy(policy) => Content::Policy(statement::policy_to_proto(policy)),
        Act::StewardSet(set) => stewards(set),
        Act::Suspend(reason) => Content::Suspend(directory::Suspend { reason: reason.code() }),
        Act::Remove(reason) => Content::Remove(directory::Remove { reason: reason.code() }),
        Act::Restore { lifts } => {
            let lifts = lifts.iter().map(|id| fields::bytes_of(id.as_bytes())).collect();
            Content::Restore(directory::Restore { lifts })
        }
    }
}

fn present(present: &Present) -> Option<Content> {
    match present {
        Present::Nothing => None,
        Present::Member(member) => Some(Content::Entry(entry::to_proto(&member.entry))),
        Present::Policy(policy) => Some(Content::Policy(statement::policy_to_proto(policy))),
        Present::Stewards(set) => Some(stewards(set)),
    }
}

fn stewards(set: &[Steward]) -> Content {
    Content::StewardSet(directory::StewardSet { stewards: statement::stewards_to_proto(set) })
}
