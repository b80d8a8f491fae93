//! Makes the voters of Raft follow the stewards of the register: on the leader, one step at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::Error;
use super::handle::Directory;
use super::raft::{Node, RaftStatus};
use super::state::RegisterState;

/// Between looks at a step that waits for another node.
const LOOK: Duration = Duration::from_millis(200);
/// A new voter may lack this many entries when it becomes one.
const CAUGHT_UP: u64 = 256;
/// How long a steward that left may take to hear of it before its node is forgotten.
const LEAVING_TIME: Duration = Duration::from_secs(5);

/// What the leader does next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    /// This node leaves: a steward that stays leads the change.
    HandOver(u64),
    /// A steward that does not replicate yet.
    Learn(u64),
    /// The new ones have nearly the whole log: the set becomes the voters.
    Vote(BTreeSet<u64>),
    /// New stewards are catching up, or old ones have not heard yet that they are none.
    Wait,
    /// Nodes that are no stewards.
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
        let step = directory.0.chain.raft_state().map_or(Step::Nothing, |state| next(&state, &node, &now, patient));
        if matches!(step, Step::Vote(_) | Step::Learn(_) | Step::HandOver(_)) {
            settled = Instant::now();
        }
        let waits = match step {
            Step::Nothing => false,
            Step::Wait => true,
            step => {
                if let Err(error) = take(&directory, &node, step.clone()).await {
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

fn next(state: &RegisterState, node: &Arc<Node>, status: &RaftStatus, patient: bool) -> Step {
    let wanted: BTreeSet<u64> = state.stewards().iter().map(|steward| steward.raft_id).collect();
    if !status.leads {
        return Step::Nothing;
    }
    if let Some(new) = wanted.iter().find(|id| !status.nodes.contains_key(id)) {
        return Step::Learn(*new);
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
    let strangers: BTreeSet<u64> = status.nodes.keys().filter(|id| !wanted.contains(id)).copied().collect();
    if strangers.is_empty() {
        Step::Nothing
    } else if patient && !node.caught_up(&strangers, 0) {
        Step::Wait
    } else {
        Step::Forget(strangers)
    }
}

async fn take(directory: &Directory, node: &Node, step: Step) -> Result<(), Error> {
    match step {
        Step::Nothing | Step::Wait => Ok(()),
        Step::HandOver(to) => node.hand_over(to).await,
        Step::Learn(id) => {
            let state = directory.state();
            let steward = state.stewards().iter().find(|steward| steward.raft_id == id).cloned();
            match steward {
                Some(steward) => node.add_learner(id, &steward.authority).await,
                None => Ok(()),
            }
        }
        Step::Vote(ids) => node.set_voters(ids).await,
        Step::Forget(ids) => node.remove_learners(ids).await,
    }
}
