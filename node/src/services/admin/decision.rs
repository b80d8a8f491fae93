//! Open decisions as the contract shows them: who is asked to agree to what, in place of what.

use havenlink_proto::admin::v1 as admin;

use crate::domain::statement::Act;
use crate::exchange::governance::Pending;
use crate::wire::{acts, entry, fields};

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
    let signed_entry = match &*open.asked {
        Act::Admit(admit) => Some(&admit.application),
        Act::KeyRecovery(recovery) => Some(&recovery.entry),
        _ => None,
    };
    admin::PendingDecision {
        proposed: Some(acts::to_proto(&open.asked)),
        replaced: open.replaces.as_ref().map(acts::to_proto),
        signed_entry: signed_entry.map(|signed| entry::to_proto(&signed.entry)),
        ..brief(open)
    }
}
