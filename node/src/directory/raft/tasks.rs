//! What runs beside an instance for as long as it lives.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::ClientWriteError;
use tokio::sync::{Notify, mpsc, watch};

use super::log_store::LogStore;
use super::node::{NotDone, Standing, Waiting, not_leader};
use super::state_machine::StateMachine;
use super::types::{Answer, Command, LogId, Raft};
use crate::clock::SharedClock;
use crate::directory::chain::Chain;
use crate::directory::state::Applied;
use crate::domain::time::UnixMs;

/// Statements handed to Raft in one go.
const BATCH: usize = 256;
/// Log entries kept at most below a snapshot, for followers that are a little behind.
const SLACK: u64 = 1_024;

pub(super) async fn watch_standing(raft: Raft, id: u64, sender: watch::Sender<Standing>) {
    let mut metrics = raft.server_metrics();
    loop {
        let standing = {
            let now = metrics.borrow_watched();
            let membership = now.membership_config.membership();
            Standing {
                running: true,
                term: now.vote.leader_id().term,
                leader: now.current_leader,
                leads: now.current_leader == Some(id) && now.state.is_leader(),
                voters: membership.voter_ids().collect(),
                changing: membership.get_joint_config().len() > 1,
                nodes: membership.nodes().map(|(id, peer)| (*id, peer.authority.clone())).collect(),
            }
        };
        sender.send_if_modified(|before| {
            let changed = *before != standing;
            *before = standing;
            changed
        });
        if metrics.changed().await.is_err() {
            sender.send_modify(|last| *last = Standing { running: false, leads: false, leader: None, ..last.clone() });
            return;
        }
    }
}

/// Gives each statement its entry time and hands what waits to Raft together. There is one such task, so times rise.
pub(super) async fn submit_batches(
    raft: Raft,
    log: LogStore,
    clock: SharedClock,
    mut waiting: mpsc::Receiver<Waiting>,
) {
    let mut last = UnixMs(i64::MIN);
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let newest = log.last().and_then(|id| log.time_at(id));
        last = last.max(clock.now()).max(newest.unwrap_or(last));
        let (statements, senders): (Vec<Bytes>, Vec<_>) = batch.drain(..).unzip();
        let commands = statements.into_iter().map(|signed| Command { entry_time: last, signed });
        match raft.client_write_many(commands).await {
            Err(_) => senders.into_iter().for_each(|sender| drop(sender.send(Err(NotDone::Stopped)))),
            Ok(mut answers) => drop(tokio::spawn(async move {
                for sender in senders {
                    let answer = answers.next().await;
                    drop(sender.send(answer.map_or(Err(NotDone::Stopped), |answer| match answer {
                        Err(_) => Err(NotDone::Stopped),
                        Ok(Ok(written)) => applied(written.response),
                        Ok(Err(ClientWriteError::ForwardToLeader(to))) => Err(not_leader(&to)),
                        Ok(Err(_)) => Err(NotDone::Unknown),
                    })));
                }
            })),
        }
    }
}

fn applied(answer: Answer) -> Result<Applied, NotDone> {
    answer.0.ok_or(NotDone::Unknown)
}

pub(super) async fn take_snapshots(raft: Raft, due: Arc<Notify>) {
    loop {
        due.notified().await;
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

/// Purges the log below a snapshot that a majority of stewards has signed.
pub(super) async fn purge_proven(raft: Raft, machine: StateMachine, chain: Arc<Chain>) {
    let mut heard = chain.heard();
    let mut purged = 0;
    while heard.changed().await.is_ok() {
        let Some((meta, captured)) = machine.current() else { continue };
        let Some(index) = meta.last_log_id.as_ref().map(LogId::index) else { continue };
        let upto = index.saturating_sub(SLACK.min(captured.state.policy().snapshot_interval));
        if upto <= purged || chain.proof(&captured.mark).is_none() {
            continue;
        }
        if raft.trigger().purge_log(upto).await.is_err() {
            return;
        }
        purged = upto;
    }
}
