//! What runs beside an instance for as long as it lives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use openraft::async_runtime::WatchReceiver as _;
use openraft::errors::ClientWriteError;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::clock_guard::{ClockComparison, ClockGuard, may_order};
use super::leader_lease::LeaderLease;
use super::log_store::LogStore;
use super::node::{NotDone, RaftStatus, Waiting, foremost, not_leader};
use super::state_machine::StateMachine;
use super::types::{Answer, Command, LogId, Raft};
use crate::chain::Chain;
use crate::clock::SharedClock;
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::register::Applied;
use crate::domain::time::UnixMs;
use crate::members_clocks::MembersClocks;

/// Statements handed to Raft in one go.
const BATCH: usize = 256;
/// Log entries kept at most below a snapshot, for followers that are a little behind.
const SLACK: u64 = 1_024;
/// Between two attempts to let another one lead.
const HAND_OVER: Duration = Duration::from_secs(3);

pub(super) async fn watch_status(raft: Raft, id: u64, sender: watch::Sender<RaftStatus>) {
    let mut metrics = raft.server_metrics();
    loop {
        let status = {
            let now = metrics.borrow_watched();
            let membership = now.membership_config.membership();
            RaftStatus {
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
            let changed = *before != status;
            *before = status;
            changed
        });
        if metrics.changed().await.is_err() {
            sender
                .send_modify(|last| *last = RaftStatus { running: false, leads: false, leader: None, ..last.clone() });
            return;
        }
    }
}

/// What gives statements their place in the log.
pub(super) struct Ordering {
    pub raft: Raft,
    pub lease: Arc<LeaderLease>,
    pub raft_id: u64,
    pub authority: AuthorityId,
    pub log: LogStore,
    pub chain: Arc<Chain>,
    pub machine: StateMachine,
    pub members: Arc<MembersClocks>,
    pub clock: SharedClock,
}

/// Gives each statement its entry time and hands what waits to Raft together. There is one such task, so times rise.
pub(super) async fn submit_batches(ordering: Ordering, mut waiting: mpsc::Receiver<Waiting>) {
    let mut heard = ordering.chain.heard();
    let before = ordering.chain.beats();
    let mut clock_guard = ClockGuard::begin(before.iter().map(|(beat, _)| (&beat.steward, beat.time)));
    let (mut last, mut handed_over, mut members_first) = (UnixMs(i64::MIN), None::<Instant>, true);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let received = tokio::select! {
            received = waiting.recv_many(&mut batch, BATCH) => received,
            Ok(()) = heard.changed() => {
                let at = Instant::now();
                ordering.chain.beats().iter().for_each(|(beat, _)| clock_guard.hear(&beat.steward, beat.time, at));
                continue;
            }
        };
        if received == 0 {
            return;
        }
        if members_first {
            members_first = false;
            ordering.members.first_word().await;
        }
        while !batch.is_empty() {
            let (comparison, now) = ordering.compared(&clock_guard).await;
            let (agreed, newest) = ordering.times();
            let newest = newest.max(last);
            if !may_order(newest, agreed, now, comparison) {
                let why = match comparison {
                    ClockComparison::Unknown => NotDone::NoMajority,
                    _ => NotDone::ClockWrong,
                };
                if why == NotDone::ClockWrong {
                    havenlink_runtime::repeated!(error; moved_ms = newest.since(now).0, "this node's clock, or the newest entry's time, is wrong: nothing is ordered");
                }
                batch.drain(..).for_each(|(_, sender)| drop(sender.send(Err(why.clone()))));
                if comparison != ClockComparison::Fits && handed_over.is_none_or(|at| at.elapsed() > HAND_OVER) {
                    handed_over = Some(Instant::now());
                    ordering.hand_over().await;
                }
                break;
            }
            last = newest.max(now);
            // While the register lies ahead, each waits until the one before it is applied: a RETIME takes the time back.
            let ahead = newest.since(now) > limits::ENTRY_TIME_AHEAD;
            let together = batch.drain(..if ahead { 1 } else { batch.len() }).collect();
            let ordered = ordering.order(together, last).await;
            if ahead {
                drop(ordered.await);
                last = UnixMs(i64::MIN);
            }
        }
    }
}

impl Ordering {
    /// Hands statements to Raft under one time; the task ends when each of them is answered.
    async fn order(&self, together: Vec<Waiting>, entry_time: UnixMs) -> JoinHandle<()> {
        let (statements, senders): (Vec<Bytes>, Vec<_>) = together.into_iter().unzip();
        let commands = statements.into_iter().map(move |signed| Command { entry_time, signed });
        let answers = self.raft.client_write_many(commands).await;
        tokio::spawn(async move {
            let Ok(mut answers) = answers else {
                return senders.into_iter().for_each(|sender| drop(sender.send(Err(NotDone::Stopped))));
            };
            for sender in senders {
                let answer = answers.next().await;
                drop(sender.send(answer.map_or(Err(NotDone::Stopped), |answer| match answer {
                    Err(_) => Err(NotDone::Stopped),
                    Ok(Ok(written)) => applied(written.response),
                    Ok(Err(ClientWriteError::ForwardToLeader(to))) => Err(not_leader(&to)),
                    Ok(Err(_)) => Err(NotDone::Unknown),
                })));
            }
        })
    }

    /// The time of the newest change that is agreed on, and the one that the next entry may not fall behind: that of the log's
    /// end as well, while it is not applied. What is applied has said all that it had to say, a RETIME the opposite.
    fn times(&self) -> (UnixMs, UnixMs) {
        // Looked at first: the register that is read after it has all of it.
        let applied = self.machine.applied();
        let agreed = self.chain.raft_state().map_or(UnixMs(i64::MIN), |state| state.entry_time());
        let waits = self.log.last().filter(|last| applied.is_none_or(|applied| applied < *last));
        (agreed, waits.and_then(|last| self.log.time_at(last)).map_or(agreed, |time| time.max(agreed)))
    }

    /// What the others say of this node's clock, and what it showed. Who has not been heard enough is asked: a steward that
    /// does not answer takes no entry either.
    async fn compared(&self, clock_guard: &ClockGuard) -> (ClockComparison, UnixMs) {
        let now = self.clock.now();
        let comparison = self.compare(clock_guard, now);
        if comparison != ClockComparison::Unknown {
            return (comparison, now);
        }
        self.members.next_word().await;
        let now = self.clock.now();
        (self.compare(clock_guard, now), now)
    }

    fn compare(&self, clock_guard: &ClockGuard, now: UnixMs) -> ClockComparison {
        let monotonic = self.clock.monotonic();
        let stewards = self.chain.raft_state().map(|state| state.stewards().clone()).unwrap_or_default();
        if stewards.len() == 1 {
            return match self.members.contradict(now, monotonic) {
                Some(true) => ClockComparison::Differs,
                // Whether they agree with it, or too few of them say anything.
                Some(false) | None => ClockComparison::Fits,
            };
        }
        let others = stewards.iter().map(|steward| &steward.authority).filter(|other| **other != self.authority);
        clock_guard.compare(others, now, Instant::now(), |other| self.members.of_steward(other, monotonic))
    }

    /// A leader that cannot order lets another one lead: of the voters the one that has most of the log.
    async fn hand_over(&self) {
        let voters = self.raft.metrics().borrow_watched().membership_config.membership().voter_ids().collect();
        if let Some(heir) = foremost(&self.raft, self.raft_id, &voters) {
            havenlink_runtime::repeated!(warn; to = heir, "this node cannot order and lets another steward lead");
            self.lease.hands_over(heir);
            drop(self.raft.trigger().transfer_leader(heir).await);
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

/// Purges the log below a snapshot that a majority of the stewards in force there has signed: never below one that could
/// not be sent.
pub(super) async fn purge_proven(raft: Raft, machine: StateMachine, mut heard: watch::Receiver<u64>) {
    let mut purged = 0;
    while heard.changed().await.is_ok() {
        let Some((meta, handle)) = machine.current() else { continue };
        let Some(index) = meta.last_log_id.as_ref().map(LogId::index) else { continue };
        let upto = index.saturating_sub(SLACK.min(handle.state.policy().snapshot_interval));
        if upto <= purged || !machine.is_proven(&meta, &handle) {
            continue;
        }
        if raft.trigger().purge_log(upto).await.is_err() {
            return;
        }
        purged = upto;
    }
}
