//! A member's status: how it stands, what waits for whom, what to do next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use havenlink_proto::admin::v1 as admin;

use super::node::StatusSource;
use super::{agreement, decision};
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;
use crate::domain::time::UnixMs;
use crate::exchange::governance::Governance;
use crate::exchange::join::Inviter;
use crate::exchange::{Exchange, NotNamed, OwedCount, PassReport, QueueCount, UnreadableRow};
use crate::services::layers::Now;
use crate::wire::fields;

/// How the register stands here, as the directory tells it.
#[derive(Clone, Debug, Default)]
pub struct RegisterNow {
    pub leads: bool,
    pub leader: Option<AuthorityId>,
    /// The newest beat of each steward.
    pub beats: Vec<BeatNow>,
    pub forks: Vec<ForkNow>,
    /// The rules version beyond what this program knows.
    pub stopped: Option<u32>,
    /// Its Raft is among the voters under its own id, and no change of voters is under way.
    pub votes: bool,
    /// It does not know its own entry yet.
    pub catching_up: bool,
}

/// A steward's newest sign of life.
#[derive(Clone, Debug)]
pub struct BeatNow {
    pub steward: AuthorityId,
    pub number: u64,
    pub head: Digest,
    pub at: UnixMs,
}

/// Two heads at one number.
#[derive(Clone, Debug)]
pub struct ForkNow {
    pub number: u64,
    pub sides: Vec<(Digest, Vec<AuthorityId>)>,
}

/// Where a member's status comes from.
pub struct MemberNode {
    pub authority: AuthorityId,
    pub register: Arc<dyn Fn() -> RegisterNow + Send + Sync>,
    pub governance: Governance,
    pub inviter: Inviter,
    pub exchange: Exchange,
    /// When the node certificate that is in use expires.
    pub certificate_expires: Arc<dyn Fn() -> UnixMs + Send + Sync>,
    pub peer_address: String,
    /// When the last backup was made, and the last sealed one.
    pub last_backup: Arc<dyn Fn() -> [Option<UnixMs>; 2] + Send + Sync>,
    pub now: Now,
}

/// Unreadable rows that are named; more are counted.
const SHOWN: usize = 100;

#[tonic::async_trait]
impl StatusSource for MemberNode {
    async fn status(&self) -> Result<admin::GetStatusResponse, Reason> {
        let (view, now, register) = (self.governance.view(), (self.now)(), (self.register)());
        let (state, reason) = self.state(&view, &register, now);
        let (_, ledger) = self.exchange.upkeep.audit_leaves(0, 0).await.map_err(|e| e.reason())?;
        let counts = self.exchange.road.queue_counts().await.map_err(|e| e.reason())?;
        let not_named = self.exchange.road.not_named().await.map_err(|e| e.reason())?;
        let unreadable = self.exchange.unreadable_rows();
        let [backup, sealed] = (self.last_backup)();
        let own = self.exchange.capacity.standing().await.map_err(|e| e.reason())?;
        let mut response = admin::GetStatusResponse {
            authority: self.authority.to_string(),
            state: state.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            federation_id: fields::bytes_of(view.federation.as_bytes()),
            steward: view.is_steward(&self.authority),
            leader: register.leads,
            register_number: view.number,
            register_head: fields::bytes_of(view.head.as_bytes()),
            authorities: u32::try_from(view.members.len()).unwrap_or(u32::MAX),
            stewards: stewards(&view, &register, now),
            fresh: view.is_fresh(now),
            forks: register.forks.iter().map(fork).collect(),
            partners: self.partners(&view, now, &counts, not_named),
            pending: self.pending().await?,
            certificate_expires_ms: (self.certificate_expires)().0,
            incarnation: self.exchange.incarnation().0,
            inbox_position: self.exchange.road.inbox_position().await.map_err(|e| e.reason())?,
            audit_size: ledger.size,
            last_backup_ms: backup.map_or(0, |at| at.0),
            last_sealed_backup_ms: sealed.map_or(0, |at| at.0),
            peer_address: self.peer_address.clone(),
            reason: reason.map(|r| r.code().to_owned()).unwrap_or_default(),
            votes: register.votes,
            passes: self.exchange.upkeep.pass_reports().iter().map(pass).collect(),
            owed: self.exchange.upkeep.owed_counts().await.map_err(|e| e.reason())?.iter().map(owed).collect(),
            unreadable: unreadable.iter().take(SHOWN).map(unreadable_row).collect(),
            unreadable_count: unreadable.len() as u64,
            own_offers: Some(admin::OwnOffers {
                all: own.all,
                stale: own.stale,
                stale_since_ms: own.since.map_or(0, |since| since.0),
            }),
            agreements_due: self.exchange.agreements.reminders().iter().map(agreement::reminder).collect(),
            next: Vec::new(),
        };
        response.next = next(&response, reason);
        Ok(response)
    }
}

impl MemberNode {
    fn state(&self, view: &DirectoryView, register: &RegisterNow, now: UnixMs) -> (admin::NodeState, Option<Reason>) {
        match view.status(&self.authority, now) {
            MemberStatus::Removed => return (admin::NodeState::Removed, Some(Reason::MemberRemoved)),
            MemberStatus::Suspended => return (admin::NodeState::Suspended, Some(Reason::MemberSuspended)),
            MemberStatus::Unknown => return (admin::NodeState::Starting, Some(Reason::NodeStarting)),
            MemberStatus::Active => {}
        }
        if register.stopped.is_some() {
            return (admin::NodeState::RulesTooOld, Some(Reason::RulesTooOld));
        }
        if register.catching_up {
            return (admin::NodeState::Starting, Some(Reason::NodeStarting));
        }
        if !view.is_fresh(now) {
            return (admin::NodeState::NotFresh, Some(Reason::RegisterNotFresh));
        }
        (admin::NodeState::Ready, None)
    }

    /// Partners by agreement, and whoever something waits for.
    fn partners(
        &self,
        view: &DirectoryView,
        now: UnixMs,
        counts: &[(AuthorityId, QueueCount)],
        mut not_named: NotNamed,
    ) -> Vec<admin::PartnerStatus> {
        let counts: BTreeMap<_, _> = counts.iter().cloned().collect();
        let agreements = self.exchange.agreements.set();
        let partners: BTreeSet<AuthorityId> =
            agreements.partners(&self.authority, now).into_iter().chain(counts.keys().cloned()).collect();
        // A node that is suspended keeps its connections, for the register; nothing is exchanged over them.
        let exchanges = view.status(&self.authority, now) == MemberStatus::Active;
        let told = |id: AuthorityId| {
            let count = counts.get(&id).copied().unwrap_or_default();
            let line = self.exchange.road.link_state(&id);
            let failed = line.and_then(|l| l.failed);
            let link = match view.status(&id, now) {
                MemberStatus::Suspended => "suspended",
                MemberStatus::Removed => "removed",
                _ if failed.is_some() => "unreachable",
                _ if exchanges && self.exchange.road.is_connected(&id) => "connected",
                _ => "idle",
            };
            admin::PartnerStatus {
                link: link.to_owned(),
                since_ms: line.map_or(0, |l| l.since.0),
                queued: count.queued,
                held: count.held + count.deferred,
                reason: failed.map(|r| r.code().to_owned()).unwrap_or_default(),
                not_named: not_named.remove(&id).unwrap_or_default().into_iter().map(kind_waiting).collect(),
                answered_ms: line.and_then(|l| l.answered).map_or(0, |(at, _)| at.0),
                clock: self.exchange.road.clock_difference(&id).map(|found| found.finding()).unwrap_or_default(),
                authority: id.to_string(),
            }
        };
        partners.into_iter().filter(|id| *id != self.authority).map(told).collect()
    }

    /// Decisions of the register, and applications that wait for the words here.
    async fn pending(&self) -> Result<Vec<admin::PendingDecision>, Reason> {
        let mut pending: Vec<_> = self.governance.pending().iter().map(decision::brief).collect();
        let waiting = self.inviter.applications().await.map_err(|e| e.reason())?;
        pending.extend(waiting.iter().map(|w| admin::PendingDecision {
            act: "APPLICATION".to_owned(),
            subject: w.application.authority.to_string(),
            proposer: w.application.authority.to_string(),
            waits_for_us: true,
            ..Default::default()
        }));
        Ok(pending)
    }
}

fn kind_waiting((kind, records): (RecordKind, u64)) -> admin::KindWaiting {
    admin::KindWaiting { kind: kind.name().to_owned(), records }
}

fn stewards(view: &DirectoryView, register: &RegisterNow, now: UnixMs) -> Vec<admin::StewardBeat> {
    let told = |steward: &crate::domain::directory::Steward| {
        let beat = register.beats.iter().find(|b| b.steward == steward.authority);
        admin::StewardBeat {
            authority: steward.authority.to_string(),
            number: beat.map_or(0, |b| b.number),
            head: beat.map(|b| fields::bytes_of(b.head.as_bytes())).unwrap_or_default(),
            age_ms: beat.map_or(-1, |b| now.since(b.at).0.max(0)),
            leader: register.leader.as_ref() == Some(&steward.authority),
        }
    };
    view.stewards.iter().map(told).collect()
}

fn pass(report: &PassReport) -> admin::PassStatus {
    admin::PassStatus {
        pass: report.pass.name().to_owned(),
        at_ms: report.at.0,
        done: report.done,
        postponed: report.postponed,
        reason: report.reason.map(|r| r.code().to_owned()).unwrap_or_default(),
    }
}

fn owed(count: &OwedCount) -> admin::OwedStatus {
    admin::OwedStatus {
        what: count.what.name().to_owned(),
        count: count.rows,
        postponed: count.postponed,
        oldest_ms: count.oldest.0,
        reason: count.reason.map(|r| r.code().to_owned()).unwrap_or_default(),
    }
}

fn unreadable_row(row: &UnreadableRow) -> admin::UnreadableRow {
    admin::UnreadableRow {
        table: row.table.name().to_owned(),
        kind: row.kind.map(|kind| kind.name().to_owned()).unwrap_or_default(),
        id: row.id.clone(),
        reason: row.reason.code().to_owned(),
        field: row.field.clone(),
    }
}

fn fork(fork: &ForkNow) -> admin::Fork {
    let side = |(head, stewards): &(Digest, Vec<AuthorityId>)| admin::ForkSide {
        head: fields::bytes_of(head.as_bytes()),
        stewards: stewards.iter().map(ToString::to_string).collect(),
    };
    admin::Fork { number: fork.number, sides: fork.sides.iter().map(side).collect() }
}

/// At most two commands that help most.
fn next(status: &admin::GetStatusResponse, reason: Option<Reason>) -> Vec<String> {
    let mut next = Vec::new();
    if !status.forks.is_empty() {
        next.push("havenctl directory status".to_owned());
    }
    if let Some(waiting) = status.pending.iter().find(|p| p.waits_for_us) {
        let show = format!("havenctl member show {}", waiting.subject);
        next.push(if waiting.subject.starts_with('#') { "havenctl member list --pending".to_owned() } else { show });
    }
    // Which command gives a steward its vote back hangs on how many others have lost theirs: the doctor counts them.
    if (status.steward && !status.votes) || reason.is_some() {
        next.push("havenctl doctor".to_owned());
    }
    if status.partners.iter().any(|p| p.link == "unreachable") {
        next.push("havenctl delivery list".to_owned());
    }
    if status.own_offers.is_some_and(|own| own.stale > 0) {
        next.push("havenctl offer confirm --all-unchanged".to_owned());
    }
    next.truncate(2);
    next
}
