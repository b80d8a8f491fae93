//! The node's certificate: made anew at two thirds of its life, published first, proved, then taken into use.

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::SharedClock;
use crate::domain::audit::Actor;
use crate::domain::authority::PinnedKey;
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::governance::Governance;
use crate::exchange::join::Admissions as _;
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

/// Renews the certificate of one node.
#[derive(Clone)]
pub struct Renewal {
    pub authority: AuthorityId,
    pub data_dir: PathBuf,
    pub identity: NodeIdentity,
    pub governance: Governance,
    pub clock: SharedClock,
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
        let certificate = self.identity.certificate();
        metrics::CERTIFICATE_EXPIRES.set([], certificate.not_after.0 / 1_000);
        if self.clock.now() < certificate.renew_at() {
            return false;
        }
        metrics::PASSES.add(["renew"], 1);
        if let Err(reason) = self.renew(Actor::NODE, spread).await {
            metrics::PASSES_FAILED.add(["renew", reason.code()], 1);
            tracing::warn!(reason = reason.code(), "the certificate was not renewed");
            return false;
        }
        true
    }

    /// Makes a new certificate, publishes its pin, waits for it to spread, and takes it into use.
    ///
    /// # Errors
    /// The reason of the step that failed; the old certificate stays in use, and the next try goes on from there.
    pub async fn renew(&self, actor: Actor, spread: Duration) -> Result<(Pin, UnixMs), Reason> {
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
        self.governance.update_entry(entry, actor).await.map(drop).map_err(|e| e.reason())
    }
}
