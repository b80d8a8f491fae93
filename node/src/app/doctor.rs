//! The doctor: looks at what may be wrong, says what that means, and names the command that helps.
//!
//! Whoever reads it runs a municipal network, not this program: a finding says what was seen and what it costs, a remedy
//! is a command or a call. What concerns the register and those who keep it stands in `register`, how it is ordered in `order`, clocks in
//! `clock`, backups in `backups`, this authority's entry and address in `address`.

mod address;
mod agreements;
mod backups;
mod clock;
mod order;
mod register;

use std::time::Duration;

use havenlink_proto::admin::v1::{Check, CheckResult};

use super::data_dir;
use super::given::Contacting;
use super::groups::{Groups, Standing};
use super::renewal::{Pair, Renewal};
use super::webhook::Webhook;
use crate::directory::Directory;
use crate::domain::audit::{Actor, ActorRole};
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::join::Inviter;
use crate::exchange::{DeliveryRow, DeliveryState, Exchange, GivenUp};
use crate::services::admin::configured::Configured;
use crate::services::admin::node::{Answering, NotDone, Upkeep};

/// The checks of one node, and what they look at.
pub struct Care {
    pub renewal: Renewal,
    pub directory: Directory,
    pub exchange: Exchange,
    pub inviter: Inviter,
    pub contacting: Contacting,
    /// What the configuration says of what the register lists.
    pub configured: Configured,
    /// Roles that have a socket.
    pub roles: Vec<ActorRole>,
    /// Who is told of new records, if anybody is.
    pub webhook: Option<Webhook>,
}

/// An operator does not wait a minute; partners that are a little late try again by themselves.
const SPREAD: Duration = Duration::from_secs(2);
/// A certificate that ends sooner should have been renewed by itself long ago.
const ENDING: Millis = Millis::days(14);
/// One that was brought is somebody's work to replace.
const BROUGHT_ENDING: Millis = Millis::days(30);
/// Free space below which new records are refused soon, and below which somebody should look, in MiB.
const DISK_FULL: u64 = 256;
const DISK_LOW: u64 = 2_048;
/// Records that wait before it is worth a look.
const WAITING: u64 = 1_000;
/// Leaves of the ledger up to which the doctor recomputes it; beyond, `audit verify` has the time.
const LEDGER: u64 = 200_000;

/// Days back in which deliveries that did not arrive are counted.
const GIVEN_UP_DAYS: i64 = 7;

#[tonic::async_trait]
impl Upkeep for Care {
    async fn renew(&self, actor: Actor) -> Result<(Pin, UnixMs), Reason> {
        self.renewal.renew(actor, SPREAD).await
    }

    async fn bring(&self, pair: Pair, actor: Actor) -> Result<(Pin, UnixMs), NotDone> {
        self.renewal.bring(pair, actor, SPREAD).await
    }

    async fn meet(&self, endpoint: &str) -> Result<Answering, NotDone> {
        self.contacting.meet(endpoint).await
    }

    async fn keep_contact(&self, endpoint: &str, authority: &AuthorityId) -> Result<u64, NotDone> {
        // To its end, whoever hangs up: the address is kept, and what it is good for is learnt.
        let (contacting, endpoint, authority) = (self.contacting.clone(), endpoint.to_owned(), authority.clone());
        let kept = tokio::spawn(async move { contacting.keep(&endpoint, &authority).await });
        kept.await.map_err(|_| Reason::Internal)?
    }

    async fn doctor(&self) -> Vec<Check> {
        let reached = self.reach_stewards();
        let (reached, partners, address, ledger) =
            tokio::join!(reached, self.partners(), self.address(), self.ledger());
        let mut checks = vec![
            self.membership(),
            self.certificate(),
            self.pin(),
            self.freshness(),
            self.forks(),
            self.consensus(&reached),
            self.votes(),
            self.snapshots(),
            self.stewards(&reached),
            address,
            self.entry(),
            self.rules(),
            self.clock(&reached),
            self.register_time(),
            self.disk(),
            self.decisions().await,
            self.backup(),
            self.recovery(),
            self.files(),
            self.sockets(),
            self.agreements(),
            self.offers().await,
            self.queue().await,
            self.given_up().await,
            ledger,
            // Last, after those that read.
            self.rows(),
            partners,
        ];
        checks.extend(self.webhook.as_ref().map(told));
        checks
    }
}

fn check(name: &str, result: CheckResult, finding: impl Into<String>, remedy: impl Into<String>) -> Check {
    Check { name: name.to_owned(), result: result.into(), finding: finding.into(), remedy: remedy.into() }
}

fn ok(name: &str, finding: impl Into<String>) -> Check {
    check(name, CheckResult::Ok, finding, "")
}

fn warning(name: &str, finding: impl Into<String>, remedy: impl Into<String>) -> Check {
    check(name, CheckResult::Warning, finding, remedy)
}

fn critical(name: &str, finding: impl Into<String>, remedy: impl Into<String>) -> Check {
    check(name, CheckResult::Critical, finding, remedy)
}

fn by(name: &str, reason: Reason, result: CheckResult) -> Check {
    check(name, result, reason.row().what, reason.row().remedy)
}

/// Whether the authority's own software hears of new records.
fn told(webhook: &Webhook) -> Check {
    match webhook.failing() {
        None => ok("webhook", "your software is told of new records"),
        Some(failing) => warning(
            "webhook",
            format!("your software has not been told of new records since {}: {}", failing.since, failing.why),
            "see who answers at notify.webhook, and whether it takes what notify.secret signs; what was missed is told then",
        ),
    }
}

impl Care {
    fn now(&self) -> UnixMs {
        self.renewal.clock.now()
    }

    fn certificate(&self) -> Check {
        let ends = self.renewal.identity.certificate().not_after;
        match ends.since(self.now()) {
            left if left <= Millis(0) => critical(
                "certificate",
                format!("this node's certificate ended on {ends}: partners refuse it"),
                "havenctl node renew",
            ),
            _ if self.renewal.identity.is_anothers() => self.brought_certificate(ends),
            left if left < ENDING => warning(
                "certificate",
                format!("this node's certificate ends on {ends}, and was not renewed by itself"),
                "havenctl node renew",
            ),
            _ => ok("certificate", format!("valid until {ends}, renewed by itself")),
        }
    }

    /// One that the operator brought is the operator's to renew; shortly before it ends the node makes one of its own.
    fn brought_certificate(&self, ends: UnixMs) -> Check {
        let next =
            "havenctl node renew --certificate FILE --key FILE brings the next one; havenctl node renew makes one here";
        match ends.since(self.now()) {
            left if left < BROUGHT_ENDING => {
                warning("certificate", format!("the certificate that was brought ends on {ends}"), next)
            }
            _ => ok("certificate", format!("valid until {ends}; it was brought, and so is the next one")),
        }
    }

    fn pin(&self) -> Check {
        let pin = self.renewal.identity.pin();
        let view = self.directory.view();
        if view.authority_of_pin(&pin, self.now()) == Some(self.directory.authority()) {
            return ok("pin", "the register lists this node's certificate");
        }
        critical(
            "pin",
            "the register does not list this node's certificate: it follows and greets, and partners refuse its records",
            "havenctl node renew",
        )
    }

    fn disk(&self) -> Check {
        let place = self.renewal.data_dir.display();
        let Ok(space) = rustix::fs::statvfs(&self.renewal.data_dir) else {
            return check(
                "disk",
                CheckResult::Unknown,
                format!("{place} cannot be looked at: was its disk taken away?"),
                format!("ls -ld {place}; mount it again, then systemctl restart havenlink"),
            );
        };
        let free = space.f_bavail.saturating_mul(space.f_frsize) >> 20;
        let remedy = || format!("df -h {place} shows the disk: make room on it, or make it larger");
        match free {
            0..DISK_FULL => critical(
                "disk",
                format!("{free} MiB free: new records are refused soon; withdrawals and suspensions still work"),
                remedy(),
            ),
            DISK_FULL..DISK_LOW => warning("disk", format!("{free} MiB free"), remedy()),
            _ => ok("disk", format!("{free} MiB free")),
        }
    }

    fn files(&self) -> Check {
        match data_dir::key_open_to_others(&self.renewal.data_dir) {
            None => ok("key files", "only the node's user can read them"),
            Some(name) => critical(
                "key files",
                format!("other users of this machine can read {name}: who has it can act as this authority"),
                format!("chmod 600 {}", self.renewal.data_dir.join(name).display()),
            ),
        }
    }

    /// By the groups that there are now: the node takes them when it starts.
    fn sockets(&self) -> Check {
        let Standing { fine, finding, remedy } = Groups::of(&self.roles).standing();
        check("sockets", if fine { CheckResult::Ok } else { CheckResult::Warning }, finding, remedy)
    }

    /// Those that a restore left to confirm, then what comes due.
    fn agreements(&self) -> Check {
        let waiting = self.exchange.agreements.unconfirmed();
        if waiting.is_empty() {
            return agreements::due(&self.exchange.agreements.reminders(), self.now());
        }
        let mut partners: Vec<&str> = waiting
            .iter()
            .flat_map(|held| held.agreement.parties.iter().map(|party| party.authority.as_str()))
            .filter(|party| *party != self.exchange.authority().as_str())
            .collect();
        partners.sort_unstable();
        partners.dedup();
        warning(
            "agreements",
            format!(
                "{} of a restored backup wait for confirmation, with {}: nothing passes under them until then",
                waiting.len(),
                partners.join(", ")
            ),
            "havenctl agreement confirm",
        )
    }

    /// A light that nobody confirms goes out at every partner.
    async fn offers(&self) -> Check {
        let own = match self.exchange.capacity.standing().await {
            Ok(own) => own,
            Err(error) => return by("offers", error.reason(), CheckResult::Critical),
        };
        match own.since {
            None => ok("offers", format!("{} of this authority, none is out of date", own.all)),
            Some(since) => warning(
                "offers",
                format!("partners see {} of {} as not reported, the first since {since}", own.stale, own.all),
                "havenctl offer confirm --all-unchanged if they are as stated; havenctl offer list --own shows them",
            ),
        }
    }

    async fn queue(&self) -> Check {
        let counts = match self.exchange.road.queue_counts().await {
            Ok(counts) => counts,
            Err(error) => return by("outbox", error.reason(), CheckResult::Critical),
        };
        let waiting: u64 = counts.iter().map(|(_, c)| c.queued).sum();
        let held: u64 = counts.iter().map(|(_, c)| c.held + c.deferred).sum();
        let most = counts.iter().max_by_key(|(_, c)| c.queued);
        match most {
            Some((partner, count)) if waiting >= WAITING => warning(
                "outbox",
                format!("{waiting} records wait to be sent, {} of them for {partner}", count.queued),
                format!("havenctl delivery list --to {partner} tells why; nothing is lost until a record expires"),
            ),
            _ => ok("outbox", format!("{waiting} wait, {held} held")),
        }
    }

    /// Rows that were met since the start, by the checks before this one too.
    fn rows(&self) -> Check {
        let rows = self.exchange.unreadable_rows();
        let Some(first) = rows.first() else {
            return ok("stored rows", "every row that was read since the start has its form");
        };
        let mut tables: Vec<(&str, usize)> = Vec::new();
        for row in &rows {
            match tables.last_mut() {
                Some((table, count)) if *table == row.table.name() => *count += 1,
                _ => tables.push((row.table.name(), 1)),
            }
        }
        let tables: Vec<String> = tables.iter().map(|(table, count)| format!("{count} in {table}")).collect();
        warning(
            "stored rows",
            format!(
                "{} of the store cannot be read: {}; the first is {} {}; everything else works",
                if rows.len() == 1 { "a row".to_owned() } else { format!("{} rows", rows.len()) },
                tables.join(", "),
                first.table.name(),
                first.id,
            ),
            "havenctl status names them; look after the disk, and if you need them: havenlink restore BACKUP, one from before",
        )
    }

    /// What partners refused, or could not take in time. Once something newer arrived at a partner, it is history.
    async fn given_up(&self) -> Check {
        match self.exchange.road.given_up_since(self.now() - Millis::days(GIVEN_UP_DAYS)).await {
            Err(error) => by("deliveries", error.reason(), CheckResult::Critical),
            Ok(GivenUp { refused: 0, skipped: 0, .. }) => {
                ok("deliveries", format!("none was refused or skipped in {GIVEN_UP_DAYS} days"))
            }
            Ok(GivenUp { refused, skipped, newest: None }) => ok(
                "deliveries",
                format!("{refused} refused and {skipped} skipped in {GIVEN_UP_DAYS} days; later ones arrived"),
            ),
            Ok(GivenUp { refused, skipped, newest: Some(newest) }) => {
                let DeliveryRow { recipient, state, reason, .. } = newest;
                let state = if state == DeliveryState::Refused { "REFUSED" } else { "SKIPPED" };
                let because = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                warning(
                    "deliveries",
                    format!(
                        "{refused} refused and {skipped} skipped in {GIVEN_UP_DAYS} days; {recipient} got nothing since{because}"
                    ),
                    format!(
                        "havenctl delivery list --to {recipient} --state {state} tells what and why; publish again what is still true"
                    ),
                )
            }
        }
    }

    async fn ledger(&self) -> Check {
        let failed = |reason| by("ledger", reason, CheckResult::Critical);
        let size = match self.exchange.upkeep.audit_leaves(0, 0).await {
            Ok((_, head)) => head.size,
            Err(error) => return failed(error.reason()),
        };
        if size > LEDGER {
            return ok("ledger", format!("{size} leaves; havenctl audit verify recomputes them"));
        }
        match self.exchange.upkeep.verify_audit().await {
            Ok(finding) if finding.consistent => ok("ledger", format!("{size} leaves, consistent with each other")),
            Ok(_) => failed(Reason::AuditDamaged),
            Err(error) => failed(error.reason()),
        }
    }

    async fn partners(&self) -> Check {
        match self.exchange.upkeep.greet_pass().await {
            Err(error) => by("partners", error.reason(), CheckResult::Unknown),
            Ok(silent) if silent.is_empty() => ok("partners", "every partner answers"),
            Ok(silent) => {
                let answered = |id| self.exchange.road.link_state(id).and_then(|line| line.answered);
                let name = |id| match answered(id) {
                    Some((at, _)) => format!("{id} (which answered last at {at})"),
                    None => format!("{id} (which has not answered since this node started)"),
                };
                let names: Vec<String> = silent.iter().map(name).collect();
                let first = silent.first().map_or("AUTHORITY", |id| id.as_str());
                warning(
                    "partners",
                    format!("no answer from {}; what is for them waits", names.join(", ")),
                    format!("havenctl member show {first} names its desk: call it, its node may be down"),
                )
            }
        }
    }
}
