//! When this node's Raft runs: while the register names it as a steward under its own Raft id.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::handle::{Directory, random};
use super::raft::{Node, Start};
use super::state::RegisterState;
use super::statements::Author;
use crate::domain::authority::{AuthorityEntry, Standing};
use crate::domain::ids::AuthorityId;
use crate::domain::time::UnixMs;

/// Between attempts to start an instance that failed to start.
const AGAIN: Duration = Duration::from_secs(5);
/// How long an instance that is no steward's any more stays, to see its removal through.
const LINGER: Duration = Duration::from_secs(30);
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

/// Starts and stops the instance as the register says.
pub async fn supervise(directory: Directory) {
    let mut changes = directory.changes();
    loop {
        let named = is_named(&directory.state(), &directory.0.authority, directory.0.raft_id);
        match (directory.node(), named) {
            (None, true) => {
                if let Err(error) = start(&directory).await {
                    tracing::error!(%error, "Raft does not start; this node goes on as a mirror");
                    tell(&directory, Some(error.to_string()));
                    sleep(AGAIN).await;
                    continue;
                }
                tell(&directory, None);
            }
            (Some(node), false) => {
                let mut standing = node.standing();
                let gone = standing.wait_for(|now| !now.voters.contains(&node.id()) && !now.leads);
                drop(tokio::time::timeout(LINGER, gone).await);
                if !is_named(&directory.state(), &directory.0.authority, directory.0.raft_id) {
                    tracing::info!("this node is no steward any more; it goes on as a mirror");
                    directory.0.node.store(None);
                    directory.0.node_changed.send_modify(|count| *count += 1);
                    node.shutdown().await;
                }
                continue;
            }
            (Some(node), true) => {
                let mut standing = node.standing();
                let stopped = async { standing.wait_for(|now| !now.running && now.term > 0).await.is_ok() };
                tokio::select! {
                    _ = changes.changed() => {}
                    _ = stopped, if !is_told(&directory) => {
                        let rules = directory.state().stopped();
                        let why = rules.map_or("the disk, or a fault".to_owned(), |rules| format!("rules version {rules}"));
                        tracing::error!(%why, "Raft has stopped; this node goes on as a mirror until it is restarted");
                        tell(&directory, Some(format!("Raft has stopped: {why}")));
                    }
                }
                continue;
            }
            (None, false) => {}
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn is_told(directory: &Directory) -> bool {
    directory.0.raft_error.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

async fn start(directory: &Directory) -> Result<(), super::Error> {
    let inner = &directory.0;
    let Some(dial) = inner.dial.get() else { return Ok(()) };
    let node = Node::start(Start {
        federation: inner.chain.view().federation,
        authority: inner.authority.clone(),
        raft_id: inner.raft_id,
        chain: Arc::clone(&inner.chain),
        dial: Arc::clone(dial),
        clock: Arc::clone(&inner.clock),
    })
    .await?;
    inner.node.store(Some(Arc::new(node)));
    inner.node_changed.send_modify(|count| *count += 1);
    tracing::info!(raft_id = inner.raft_id, "this node votes as a steward");
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
            let active = directory.view().standing(&directory.0.authority, directory.0.clock.now()) == Standing::Active;
            own.entry.raft_id != directory.0.raft_id && !hosted && active
        });
        if let Some(own) = stale {
            if let Err(error) = publish(&directory, &state, own.entry.clone()).await {
                tracing::info!(%error, "the new Raft id is not announced yet");
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
    let entry = AuthorityEntry { raft_id: inner.raft_id, ..entry };
    let proposed = directory.propose(author.entry(state, &entry)).await?;
    proposed.outcome.reason().map_or(Ok(()), |reason| Err(reason.into()))
}
