//! Which voters Raft may have, by what the register decided. Pure.
//!
//! A membership says who votes under which number; the register says who is a steward under which. What comes in a log
//! entry is judged by the set in force at its place, what comes with a snapshot by the snapshot's own state. The names
//! beside the numbers pass the same test in both: whoever is called by another's number would be dialled in its place.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{Entry, Membership, Payload};
use crate::domain::directory::Steward;
use crate::domain::ids::AuthorityId;
use crate::state::RegisterState;

/// The membership that an entry carries.
pub fn membership_of(entry: &Entry) -> Option<Membership> {
    match &entry.payload {
        Payload::Membership(membership) => Some(membership.clone()),
        _ => None,
    }
}

fn ids(stewards: &[Steward]) -> BTreeSet<u64> {
    stewards.iter().map(|steward| steward.raft_id).collect()
}

/// Whether a membership may follow another one while these stewards are in force: the set itself, the joint step to it,
/// the end of a joint step already begun, or other learners beside the same voters.
pub fn follows(in_force: &RegisterState, earlier: Option<&Membership>, membership: &Membership) -> Result<(), String> {
    let set = ids(in_force.stewards());
    let configs = membership.get_joint_config();
    let same_voters = match earlier {
        None => configs.as_slice() == std::slice::from_ref(&set),
        Some(earlier) => {
            let before = earlier.get_joint_config();
            let last = before.last().cloned().unwrap_or_default();
            let joint = [last.clone(), set.clone()];
            *configs == *before
                || configs.as_slice() == std::slice::from_ref(&last)
                || (before.len() == 1 && configs.as_slice() == joint.as_slice())
                || (before.contains(&set) && configs.as_slice() == std::slice::from_ref(&set))
        }
    };
    if !same_voters {
        return Err(format!("voters {configs:?}, stewards {set:?}"));
    }
    named(in_force, membership)
}

/// Whether every number is called by the name that the register knows it by: stewards by their own, those that were
/// stewards until the last decision too, anybody else by a member's.
fn named(in_force: &RegisterState, membership: &Membership) -> Result<(), String> {
    let stewards = in_force.stewards_before().iter().chain(in_force.stewards().iter());
    let known: BTreeMap<u64, &AuthorityId> = stewards.map(|steward| (steward.raft_id, &steward.authority)).collect();
    for (id, peer) in membership.nodes() {
        let authority = AuthorityId::parse(&peer.authority);
        let member = authority.as_ref().is_some_and(|authority| in_force.member(authority).is_some());
        let right = known.get(id).is_none_or(|steward| Some(*steward) == authority.as_ref());
        if !member || !right {
            return Err(format!("Raft id {id} is not {peer}'s"));
        }
    }
    Ok(())
}

/// The membership of a snapshot is the set in force, or, unless Raft has followed the last decision here already, the one
/// before it or the step between the two. No majority signs it with the snapshot: the sender alone says it.
pub fn signed_in_time(state: &RegisterState, here: Option<&Membership>, membership: &Membership) -> Result<(), String> {
    let (set, before) = (ids(state.stewards()), ids(state.stewards_before()));
    let configs = membership.get_joint_config();
    let followed = here.is_some_and(|here| here.get_joint_config().as_slice() == std::slice::from_ref(&set));
    let decided = |config: &BTreeSet<u64>| *config == set || (!followed && !config.is_empty() && *config == before);
    if !matches!(configs.len(), 1 | 2) || !configs.iter().all(decided) {
        return Err(format!("voters {configs:?}, stewards {set:?}, before {before:?}"));
    }
    named(state, membership)
}
