//! When this node's Raft runs: while the register names it as a steward under its own Raft id, after that for as long as
//! Raft counts its vote, and before it while a leader brings it up to date.
//!
//! The register decides, Raft follows: between the two a quorum may need the one that goes. So its instance ends, and its
//! log and vote are forgotten, only once the voters have changed. An instance that broke down is started again from what
//! is on disk, as a restart of the node would.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::handle::{Directory, random};
use super::raft::{self, Node, Start};
use super::state::RegisterState;
use super::statements::Author;
use crate::domain::authority::{AuthorityEntry, MemberStatus};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use havenlink_runtime::telemetry::journal::{Entry, Event};

/// Between attempts to start an instance that failed to start, and before one that broke down is started again.
const AGAIN: Duration = Duration::from_secs(5);
/// Between attempts to announce a new Raft id, at least and at most: a refused one takes a number as well.
const ANNOUNCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));

/// The register names this node, under this id.
pub fn is_named(state: &RegisterState, authority: &AuthorityId, raft_id: u64) -> bool {
    state.stewards().iter().any(|steward| steward.authority == *authority && steward.raft_id == raft_id)
}

/// The id has voted and does so no more: a Raft id is never used twice.
pub fn is_spent(state: &RegisterState, authority: &AuthorityId, raft_id: u64) -> bool {
    state.has_voted(raft_id) && !is_named(state, authority, raft_id)
}

/// Starts and stops the instance as the register says, and starts one again that has broken down.
pub async fn supervise(directory: Directory) {
    let mut changes = directory.changes();
    let mut calls = directory.0.called.subscribe();
    // What was decided while this node was away, or a moment ago: Raft may still count its vote.
    let mut counts = raft::counts(directory.0.chain.disk(), directory.raft_id()).unwrap_or(true);
    loop {
        let Some(node) = directory.node() else {
            // What was signed under a founding was signed after Raft was left for good.
            let left = directory.0.chain.has_left();
            if left || !named(&directory) && !counts && !is_called(&directory) {
                counts &= !left;
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    Ok(()) = calls.changed() => {}
                }
            } else if let Err(error) = start(&directory).await {
                havenlink_runtime::repeated!(error; %error, "Raft does not start; this node goes on as a mirror");
                tell(&directory, Some(error.to_string()));
                sleep(AGAIN).await;
            } else {
                tell(&directory, None);
            }
            continue;
        };
        let mut status = node.status();
        let end = tokio::select! {
            biased;
            () = let_go(&directory, &node) => End::Left,
            end = seen_through(&directory, &node, changes.clone()) => end,
            _ = status.wait_for(|now| !now.running && now.term > 0) => End::Broken,
        };
        if !matches!(end, End::Left) {
            directory.0.node.store(None);
            directory.0.node_changed.send_modify(|count| *count += 1);
            node.shutdown().await;
        }
        match end {
            End::Left => counts = false,
            End::Out => {
                counts = false;
                directory.0.called.send_replace(None);
                Entry::of(Event::Mirrors).tell();
            }
            End::Broken => {
                let rules = directory.state().stopped();
                let why = rules.map_or("the disk, or a fault".to_owned(), |rules| format!("rules version {rules}"));
                havenlink_runtime::repeated!(error; %why, "Raft has stopped");
                tell(&directory, Some(format!("Raft has stopped: {why}")));
                // A fault may have been of the moment; rules that this program does not know stay unknown to it.
                if rules.is_some() {
                    return;
                }
                counts = true;
                sleep(AGAIN).await;
            }
        }
    }
}

/// Why an instance ends.
enum End {
    /// Raft does not count its vote any more.
    Out,
    /// It stopped by itself.
    Broken,
    /// The order that it belongs to has ended here.
    Left,
}

/// Waits until somebody else ends the instance: the order begins anew.
async fn let_go(directory: &Directory, node: &Arc<Node>) {
    let mut nodes = directory.0.node_changed.subscribe();
    while directory.node().is_some_and(|now| Arc::ptr_eq(&now, node)) {
        if nodes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits until the register does not name this node and Raft has moved on without it: by its own newest membership, or,
/// where nobody tells it of that one, since it was gone or cut off, by a majority of stewards that decides for
/// `Settings::passed_by_after` while no leader says a word to this node. A leader speaks to everybody who counts.
async fn seen_through(directory: &Directory, node: &Node, mut changes: watch::Receiver<u64>) -> End {
    let limit = directory.0.settings.passed_by_after;
    let mut status = node.status();
    let mut passed_by: Option<Instant> = None;
    loop {
        if named(directory) {
            passed_by = None;
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            continue;
        }
        let now = status.borrow_and_update().clone();
        if !directory.state().has_voted(directory.raft_id()) && !now.leads {
            // It learns before it votes, for as long as a leader brings it up to date.
            if node.silence() >= limit * 2 {
                return End::Out;
            }
            tokio::select! {
                () = sleep(limit / 6) => {}
                Ok(()) = changes.changed() => {}
            }
            continue;
        }
        // None at all: openraft has not told yet what is stored, or nothing ever was.
        if !now.voters.is_empty() && !now.voters.contains(&node.id()) && !now.leads {
            return End::Out;
        }
        let quiet = passed_by.map_or(limit / 6, |since| since.elapsed());
        let spoken_to = now.leads || node.silence() <= quiet;
        if !spoken_to && directory.is_decided_elsewhere().await {
            let since = *passed_by.get_or_insert_with(Instant::now);
            if since.elapsed() >= limit && node.silence() > since.elapsed() {
                // It is known here alone, and has to be known after a restart.
                if let Err(error) = directory.0.chain.disk().write(raft::left()).await {
                    havenlink_runtime::repeated!(warn; %error, "that Raft went on without this node was not noted");
                }
                return End::Out;
            }
        } else {
            passed_by = None;
        }
        tokio::select! {
            () = sleep(limit / 6) => {}
            Ok(()) = status.changed() => {}
            Ok(()) = changes.changed() => {}
        }
    }
}

/// A steward's Raft has called this node lately, although none runs here.
fn is_called(directory: &Directory) -> bool {
    directory.0.called.borrow().is_some_and(|at| at.elapsed() < AGAIN)
}

fn named(directory: &Directory) -> bool {
    is_named(&directory.state(), &directory.0.authority, directory.raft_id())
}

async fn start(directory: &Directory) -> Result<(), super::Error> {
    let inner = &directory.0;
    let Some(dial) = inner.dial.get() else { return Err(Reason::NodeStarting.into()) };
    let _one = inner.refounding.lock().await;
    if inner.chain.has_left() {
        return Ok(());
    }
    let raft_id = directory.raft_id();
    // What an instance before this one has queued is to be on disk before this one reads it.
    inner.chain.disk().write(Vec::new()).await?;
    let node = Node::start(Start {
        federation: inner.chain.view().federation,
        authority: inner.authority.clone(),
        raft_id,
        chain: Arc::clone(&inner.chain),
        dial: Arc::clone(dial),
        clock: Arc::clone(&inner.clock),
    })
    .await?;
    inner.node.store(Some(Arc::new(node)));
    inner.node_changed.send_modify(|count| *count += 1);
    let event = if named(directory) { Event::Votes } else { Event::Learns };
    Entry { number: Some(raft_id), ..Entry::of(event) }.tell();
    Ok(())
}

fn tell(directory: &Directory, error: Option<String>) {
    *directory.0.raft_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
}

/// Publishes this enrolment's Raft id in the node's own entry, so that stewards can name it.
pub async fn announce(directory: Directory) {
    let mut changes = directory.changes();
    let mut pause = ANNOUNCE.0;
    loop {
        let state = directory.state();
        let own = state.member(&directory.0.authority).cloned();
        let stale = own.filter(|own| {
            let hosted = own.entry.hosted_by.is_some();
            let active =
                directory.view().status(&directory.0.authority, directory.0.clock.now()) == MemberStatus::Active;
            own.entry.raft_id != directory.raft_id() && !hosted && active
        });
        if let Some(own) = stale {
            if let Err(error) = publish(&directory, &state, own.entry.clone()).await {
                havenlink_runtime::repeated!(info; %error, "the new Raft id is not announced yet");
            }
            sleep(pause).await;
            pause = (pause * 2).min(ANNOUNCE.1);
        } else if changes.changed().await.is_err() {
            return;
        }
    }
}

async fn publish(directory: &Directory, state: &RegisterState, entry: AuthorityEntry) -> Result<(), super::Error> {
    let inner = &directory.0;
    let mut nonce = [0_u8; 16];
    nonce[..8].copy_from_slice(&random()?.to_be_bytes());
    nonce[8..].copy_from_slice(&random()?.to_be_bytes());
    let now: UnixMs = inner.clock.now();
    let author = Author { authority: &inner.authority, key: &inner.key.load(), now, nonce };
    let entry = AuthorityEntry { raft_id: directory.raft_id(), ..entry };
    let proposed = directory.propose(author.entry(state, &entry)).await?;
    proposed.outcome.reason().map_or(Ok(()), |reason| Err(reason.into()))
}
