//! Makes the voters of Raft follow the stewards of the register: on the leader, one step at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::Error;
use super::handle::Directory;
use super::raft::{Node, RaftStatus};
use super::state::RegisterState;
use crate::domain::ids::AuthorityId;

/// Between looks at a step that waits for another node.
const LOOK: Duration = Duration::from_millis(200);
/// A new voter may lack this many entries when it becomes one.
pub(super) const CAUGHT_UP: u64 = 256;
/// How long a steward that left may take to hear of it before its node is forgotten.
const LEAVING_TIME: Duration = Duration::from_secs(5);

/// What the leader does next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    /// This node leaves: a steward that stays leads the change.
    HandOver(u64),
    /// A steward, or one that is to be one, that does not replicate yet.
    Learn(u64, AuthorityId),
    /// The new ones have nearly the whole log: the set becomes the voters.
    Vote(BTreeSet<u64>),
    /// New stewards are catching up, or old ones have not heard yet that they are none.
    Wait,
    /// Nodes that are no stewards, and are not to be.
    Forget(BTreeSet<u64>),
}

/// Runs for as long as the node does; acts only while it leads.
pub async fn follow_stewards(directory: Directory) {
    let mut changes = directory.changes();
    let mut nodes = directory.0.node_changed.subscribe();
    let mut settled = Instant::now();
    loop {
        let Some(node) = directory.node() else {
            if nodes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let mut status = node.status();
        let now = status.borrow_and_update().clone();
        changes.mark_unchanged();
        let patient = settled.elapsed() < LEAVING_TIME;
        let step = directory
            .0
            .chain
            .raft_state()
            .map_or(Step::Nothing, |state| next(&state, &directory.learners(&state), &node, &now, patient));
        if matches!(step, Step::Vote(_) | Step::Learn(..) | Step::HandOver(_)) {
            settled = Instant::now();
        }
        let waits = match step {
            Step::Nothing => false,
            Step::Wait => true,
            step => {
                if let Err(error) = take(&node, step).await {
                    havenlink_runtime::repeated!(warn; %error, "the voters do not follow the stewards yet");
                }
                true
            }
        };
        tokio::select! {
            () = sleep(LOOK), if waits => {}
            Ok(()) = status.changed() => {}
            Ok(()) = changes.changed() => {}
            Ok(()) = nodes.changed() => {}
            else => return,
        }
    }
}

fn next(
    state: &RegisterState,
    learners: &BTreeMap<u64, AuthorityId>,
    node: &Arc<Node>,
    status: &RaftStatus,
    patient: bool,
) -> Step {
    let wanted: BTreeSet<u64> = state.stewards().iter().map(|steward| steward.raft_id).collect();
    if !status.leads {
        return Step::Nothing;
    }
    let stewards = state.stewards().iter().map(|steward| (&steward.raft_id, &steward.authority));
    if let Some((new, authority)) = stewards.chain(learners).find(|(id, _)| !status.nodes.contains_key(id)) {
        return Step::Learn(*new, authority.clone());
    }
    if status.voters != wanted || status.changing {
        // Only of new ones. Whoever votes already may be down: that must not keep out those who were decided on.
        let new: BTreeSet<u64> = wanted.difference(&status.voters).copied().collect();
        if !node.caught_up(&new, CAUGHT_UP) {
            return Step::Wait;
        }
        if !wanted.contains(&node.id()) {
            let staying: BTreeSet<u64> = wanted.intersection(&status.voters).copied().collect();
            let heir = node.foremost(&staying).or_else(|| node.foremost(&wanted)).or(wanted.first().copied());
            return heir.map_or(Step::Nothing, Step::HandOver);
        }
        return Step::Vote(wanted);
    }
    let strangers: BTreeSet<u64> =
        status.nodes.keys().filter(|id| !wanted.contains(id) && !learners.contains_key(id)).copied().collect();
    if strangers.is_empty() {
        Step::Nothing
    } else if patient && !node.caught_up(&strangers, 0) {
        Step::Wait
    } else {
        Step::Forget(strangers)
    }
}

async fn take(node: &Node, step: Step) -> Result<(), Error> {
    match step {
        Step::Nothing | Step::Wait => Ok(()),
        Step::HandOver(to) => node.hand_over(to).await,
        Step::Learn(id, authority) => node.add_learner(id, &authority).await,
        Step::Vote(ids) => node.set_voters(ids).await,
        Step::Forget(ids) => node.remove_learners(ids).await,
    }
}
