//! The node's certificate: made anew at two thirds of its life, published first, proved, then taken into use.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::clock::SharedClock;
use crate::domain::audit::Actor;
use crate::domain::authority::PinnedKey;
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::governance::Governance;
use crate::exchange::join::Inviter;
use crate::telemetry::metrics;
use crate::transport::NodeIdentity;

/// Life of a self-issued certificate.
pub const LIFE: Millis = Millis::days(90);
/// How long the old pin stands beside the new one.
const OVERLAP: Millis = Millis::hours(24);
/// Pins that an entry may have.
const PINS: usize = 4;
/// Partners learn the new pin within this time, mostly; then it is used.
const SPREAD: Duration = Duration::from_secs(60);
/// Between two looks at the certificate.
const LOOK: Duration = Duration::from_secs(3_600);

/// Applicants dial the pins of their invitation: while one may still ask, the certificate stays, as long as there is time.
const FOR_APPLICANTS: Millis = Millis::days(8);

/// Renews the certificate of one node. Clones are one: of two renewals, one waits for the other.
#[derive(Clone)]
pub struct Renewal {
    pub authority: AuthorityId,
    pub data_dir: PathBuf,
    pub identity: NodeIdentity,
    pub governance: Governance,
    pub clock: SharedClock,
    pub inviter: Inviter,
    pub renewing: Arc<Mutex<()>>,
}

impl Renewal {
    /// Looks at the certificate for as long as the node runs.
    pub async fn keep(self) {
        loop {
            self.look(SPREAD).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Renews if it is time; whether it did.
    pub async fn look(&self, spread: Duration) -> bool {
        let _one_at_a_time = self.renewing.lock().await;
        let certificate = self.identity.certificate();
        metrics::CERTIFICATE_EXPIRES.set([], certificate.not_after.0 / 1_000);
        let now = self.clock.now();
        let due =
            now >= certificate.renew_at() && (now + FOR_APPLICANTS >= certificate.not_after || !self.is_asked().await);
        if !due && !self.is_replaced(&certificate.pin) {
            return false;
        }
        metrics::PASSES.add(["renew"], 1);
        if let Err(reason) = self.replace(Actor::NODE, spread).await {
            metrics::PASSES_FAILED.add(["renew", reason.code()], 1);
            havenlink_runtime::repeated!(warn; reason = reason.code(), "the certificate was not renewed");
            return false;
        }
        true
    }

    /// Whether an applicant may still ask at the door.
    async fn is_asked(&self) -> bool {
        if let Err(error) = self.inviter.refresh_gate().await {
            havenlink_runtime::repeated!(warn; reason = error.reason().code(), "the invitations could not be read");
        }
        *self.inviter.gate().borrow()
    }

    /// Whether the register lists another pin that is to follow this one: a renewal was cut short after it was published, and
    /// this one lapses soon.
    fn is_replaced(&self, pin: &Pin) -> bool {
        let view = self.governance.view();
        let pins = view.member(&self.authority).map(|member| &member.entry.pins);
        pins.is_some_and(|pins| pins.iter().any(|p| p.pin == *pin && p.valid_until < UnixMs::NEVER))
    }

    /// Makes a new certificate, publishes its pin, waits for it to spread, and takes it into use. To its end: a caller that
    /// hangs up does not leave the new pin published and the old one in use.
    ///
    /// # Errors
    /// The reason of the step that failed; the old certificate stays in use, and the next look goes on from there.
    pub async fn renew(&self, actor: Actor, spread: Duration) -> Result<(Pin, UnixMs), Reason> {
        let renewal = self.clone();
        let renewed = tokio::spawn(async move {
            let _one_at_a_time = renewal.renewing.lock().await;
            renewal.replace(actor, spread).await
        });
        renewed.await.map_err(|_| Reason::Internal)?
    }

    async fn replace(&self, actor: Actor, spread: Duration) -> Result<(Pin, UnixMs), Reason> {
        let now = self.clock.now();
        let next = NodeIdentity::prepare(&self.data_dir, &self.authority, now, LIFE).map_err(|e| e.reason())?;
        self.publish(next.pin, now, actor).await?;
        tokio::time::sleep(spread).await;
        let view = self.governance.view();
        let pin = self.identity.promote(&self.data_dir, &self.authority, &view, self.clock.now());
        let pin = pin.map_err(|e| e.reason())?;
        tracing::info!(expires = %next.not_after, "a new certificate is in use");
        Ok((pin, next.not_after))
    }

    async fn publish(&self, pin: Pin, now: UnixMs, actor: Actor) -> Result<(), Reason> {
        let view = self.governance.view();
        let member = view.member(&self.authority).ok_or(Reason::NotJoined)?;
        if member.entry.pins.iter().any(|p| p.pin == pin) {
            return Ok(());
        }
        let mut entry = member.entry.clone();
        entry.pins.retain(|p| now < p.valid_until);
        for old in &mut entry.pins {
            old.valid_until = old.valid_until.min(now + OVERLAP);
        }
        entry.pins.sort_by_key(|p| p.valid_until);
        let excess = entry.pins.len().saturating_sub(PINS - 1);
        entry.pins.drain(..excess);
        entry.pins.push(PinnedKey { pin, valid_until: UnixMs::NEVER });
        self.governance.decisions.update_entry(entry, actor).await.map(drop).map_err(|e| e.reason())
    }
}
