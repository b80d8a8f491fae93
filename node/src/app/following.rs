//! What a running member keeps in step with its register and its doors: counters, the join gate, readiness, the status.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::directory::Directory;
use crate::directory::beats::{Fork, Witness};
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::reason::Reason;
use crate::exchange::join::{Applicant, Inviter};
use crate::services::admin::status::{BeatNow, ForkNow, RegisterNow};
use crate::services::layers::Now;
use crate::telemetry::journal::{Entry, Event};
use crate::telemetry::metrics;
use crate::transport::listener::Refused;
use crate::transport::{Connections, JoinGate};

/// Followers that look through much look at a change at once, and then at those of a moment together: a busy register
/// would keep them busy with nothing that is new to them.
pub(super) const MOMENT: Duration = Duration::from_millis(100);

/// Carries what the listener turned away into the metrics and the journal.
pub(super) async fn count_refused(refused: Arc<Refused>) {
    let mut look = tokio::time::interval(Duration::from_secs(5));
    let mut told = [0_u64; 4];
    loop {
        look.tick().await;
        let now = [
            (&refused.handshakes, Reason::PeerTlsFailed),
            (&refused.slow, Reason::DeadlineExceeded),
            (&refused.pending, Reason::TooManyConnections),
            (&refused.connections, Reason::TooManyConnections),
        ];
        for ((counter, reason), told) in now.into_iter().zip(&mut told) {
            let count = counter.load(std::sync::atomic::Ordering::Relaxed);
            let new = count.saturating_sub(std::mem::replace(told, count));
            metrics::HANDSHAKES_FAILED.add([reason.code()], new);
            if new > 0 {
                Entry { reason: Some(reason), ..Entry::of(Event::Refused) }.count(new);
            }
        }
    }
}

/// Looks now, and after each change of the register, at those of a moment together; for as long as the node runs.
pub(super) async fn at_changes(directory: Directory, mut look: impl FnMut(&DirectoryView)) {
    let mut changes = directory.changes();
    loop {
        changes.mark_unchanged();
        look(&directory.view());
        tokio::time::sleep(MOMENT).await;
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Opens and closes the door for strangers with the invitations; expiry wakes nobody, so it is looked for.
pub(super) async fn follow_gate(inviter: Inviter, gate: JoinGate, connections: Connections) {
    let mut wanted = inviter.gate();
    let mut look = tokio::time::interval(Duration::from_secs(30));
    loop {
        let entrance = wanted.borrow_and_update().clone();
        // Who is inside already and may no longer come is shown out; the others lose a long poll, and ask again.
        let narrower = gate.set(entrance);
        if narrower {
            connections.abort_joins();
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            _ = look.tick() => {
                if let Err(error) = inviter.refresh_gate().await {
                    havenlink_runtime::repeated!(warn; reason = error.reason().code(), "the invitations could not be read");
                }
            }
        }
    }
}

/// Tells whether the node is ready, and keeps the register's numbers; ends an application once its register is here.
pub(super) async fn follow_readiness(
    directory: Directory,
    now: Now,
    connections: Connections,
    ready: watch::Sender<Option<Reason>>,
    health: HealthReporter,
    mut joined: Option<Applicant>,
) {
    let mut changes = directory.changes();
    let mut look = tokio::time::interval(Duration::from_secs(5));
    loop {
        let (view, status, at) = (directory.view(), directory.status(), now());
        let own = view.status(directory.authority(), at);
        let reason = match own {
            MemberStatus::Unknown => Some(Reason::NodeStarting),
            MemberStatus::Removed => Some(Reason::MemberRemoved),
            _ if status.stopped_by_rules.is_some() => Some(Reason::RulesTooOld),
            MemberStatus::Suspended => Some(Reason::MemberSuspended),
            MemberStatus::Active => None,
        };
        if own != MemberStatus::Unknown
            && let Some(applicant) = joined.take()
            && let Err(error) = applicant.finish()
        {
            tracing::warn!(reason = error.reason().code(), "the application's file could not be removed");
        }
        if ready.send_if_modified(|was| std::mem::replace(was, reason) != reason) {
            let event = if reason.is_none() { Event::NodeReady } else { Event::NodeNotReady };
            Entry { reason, ..Entry::of(event) }.tell();
            let serving = if reason.is_none() { ServingStatus::Serving } else { ServingStatus::NotServing };
            health.set_service_status("", serving).await;
        }
        metrics::REGISTER_NUMBER.set([], i64::try_from(view.number).unwrap_or(i64::MAX));
        metrics::REGISTER_AUTHORITIES.set([], i64::try_from(view.members.len()).unwrap_or(i64::MAX));
        metrics::REGISTER_FRESH.set([], i64::from(view.is_fresh(at)));
        metrics::REGISTER_LEADER.set([], i64::from(status.raft.as_ref().is_some_and(|r| r.leads)));
        metrics::FORKS.set([], i64::try_from(status.forks.len()).unwrap_or(i64::MAX));
        metrics::CONNECTIONS.set([], i64::try_from(connections.total()).unwrap_or(i64::MAX));
        // Once it is ready, nobody waits for the news.
        if reason.is_none() {
            tokio::time::sleep(MOMENT).await;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            _ = look.tick() => {}
        }
    }
}

/// The register, as the status tells it.
pub(super) fn register_now(directory: &Directory) -> RegisterNow {
    let status = directory.status();
    let witness = |w: &Witness| match w {
        Witness::Own => directory.authority().clone(),
        Witness::Steward(steward) => steward.clone(),
    };
    // A steward's own head stands there twice: as its register's, and in its beat.
    let side = |(head, behind): &(Digest, Vec<Witness>)| {
        let named: BTreeSet<AuthorityId> = behind.iter().map(witness).collect();
        (*head, named.into_iter().collect())
    };
    let sides = |fork: &Fork| ForkNow { number: fork.number, sides: fork.heads.iter().map(side).collect() };
    RegisterNow {
        leads: status.raft.as_ref().is_some_and(|r| r.leads),
        leader: status.leader,
        beats: directory
            .beats()
            .into_iter()
            .map(|b| BeatNow { steward: b.steward, number: b.number, head: b.head, at: b.time })
            .collect(),
        forks: status.forks.iter().map(sides).collect(),
        stopped: status.stopped_by_rules,
        votes: status.raft.as_ref().is_some_and(|raft| !raft.changing && raft.voters.contains(&status.raft_id)),
        catching_up: false,
    }
}
