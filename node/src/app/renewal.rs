//! The node's certificate: made anew at two thirds of its life, published first, proved, then taken into use.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

use crate::clock::SharedClock;
use crate::domain::audit::Actor;
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::issued::NodeName;
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::Keys;
use crate::exchange::governance::Governance;
use crate::exchange::join::Inviter;
use crate::services::admin::node::NotDone;
use crate::telemetry::journal::{Entry, Event};
use crate::telemetry::metrics;
pub use crate::transport::identity::Pair;
use crate::transport::{self, Issuing, NodeIdentity, crosses};

/// Life of a self-issued certificate.
pub const LIFE: Millis = Millis::days(90);
/// Pins that an entry may have.
const PINS: usize = 4;
/// Partners learn the new pin within this time, mostly; then it is used.
const SPREAD: Duration = Duration::from_secs(60);
/// Between two looks at the certificate; and while the register does not list it.
const LOOK: Duration = Duration::from_secs(3_600);
const AGAIN: Duration = Duration::from_secs(60);
/// How often the entry is changed anew when another change came first.
const TRIES: usize = 3;

/// Applicants dial the pins of their invitation: while one may still ask, the certificate stays, as long as there is time.
const FOR_APPLICANTS: Millis = Millis::days(8);

/// What does not fit, in words for whoever brought it.
fn not_done(error: transport::Error) -> NotDone {
    let about = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    NotDone { reason: error.reason(), about }
}

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
    pub keys: Keys,
    /// The authority's key was rotated: it vouches for the certificate from now on.
    pub rotated: Arc<Notify>,
}

impl Renewal {
    /// Looks at the certificate for as long as the node runs.
    pub async fn keep(self) {
        loop {
            self.look(SPREAD).await;
            let pin = self.identity.pin();
            let again = if self.is_unlisted(&pin, self.clock.now()) { AGAIN } else { LOOK };
            // That nothing happened meanwhile is the usual case.
            let _ = tokio::time::timeout(again, self.rotated.notified()).await;
        }
    }

    /// Has the authority's current key vouch for the certificate in use.
    pub(super) fn issue(&self) {
        let now = self.clock.now();
        if let Err(error) = self.with_key(|issuing| self.identity.issue(&self.data_dir, issuing, now)) {
            tracing::warn!(reason = error.reason().code(), "the authority's key does not vouch for the certificate");
        }
    }

    pub(super) fn with_key<T>(&self, issue: impl FnOnce(&Issuing<'_>) -> T) -> T {
        let key = self.keys.of(&self.authority).expect("the node's own key is never taken away");
        let name = NodeName { federation: self.governance.view().federation, authority: self.authority.clone() };
        let crosses = crosses::read(&self.data_dir, &key.public());
        issue(&Issuing { name: &name, key: key.as_ref(), crosses: &crosses })
    }

    /// Renews if it is time; whether it did.
    pub async fn look(&self, spread: Duration) -> bool {
        let _one_at_a_time = self.renewing.lock().await;
        self.issue();
        let certificate = self.identity.certificate();
        metrics::CERTIFICATE_EXPIRES.set([], certificate.not_after.0 / 1_000);
        let now = self.clock.now();
        let ending = now + FOR_APPLICANTS >= certificate.not_after;
        // The owner brings the next one of a certificate that it brought; one of our own is better than none.
        let may_wait = async || self.identity.is_anothers() || self.is_asked().await;
        let due = now >= certificate.renew_at() && (ending || !may_wait().await);
        let unlisted = self.is_unlisted(&certificate.pin, now);
        if !due && !unlisted && !self.is_prepared() {
            return false;
        }
        // Nobody is waited for who knows the one in use.
        let spread = if unlisted { Duration::ZERO } else { spread };
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
        self.inviter.gate().borrow().is_open()
    }

    /// Whether the register lists this authority, and not this pin of it: nothing but what an issued certificate opens works
    /// until it does. One that has ended is not listed, though it counts while nothing can be ordered: another is published as
    /// soon as something can.
    fn is_unlisted(&self, pin: &Pin, now: UnixMs) -> bool {
        let view = self.governance.view();
        let Some(member) = view.member(&self.authority) else { return false };
        !member.entry.pins.iter().any(|p| p.pin == *pin && now < p.valid_until)
    }

    /// Whether the register lists the pin that is to follow: a renewal was cut short after it was published.
    fn is_prepared(&self) -> bool {
        let view = self.governance.view();
        let next = NodeIdentity::prepared(&self.data_dir).ok().flatten();
        let listed = |next: &Pin| view.member(&self.authority)?.entry.pins.iter().find(|p| p.pin == *next).map(drop);
        next.is_some_and(|next| listed(&next).is_some())
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

    /// The same with a pair that its owner brings, a national PKI's, say: PEM or DER. Its pin is published like any other, and
    /// the authority's key issues a certificate for the same key beside it.
    ///
    /// # Errors
    /// `CERTIFICATE_INVALID` and what does not fit; else the reason of the step that failed. The one in use stays.
    pub async fn bring(&self, pair: Pair, actor: Actor, spread: Duration) -> Result<(Pin, UnixMs), NotDone> {
        let renewal = self.clone();
        let renewed = tokio::spawn(async move {
            let _one_at_a_time = renewal.renewing.lock().await;
            renewal.take(&pair, actor, spread).await
        });
        renewed.await.map_err(|_| Reason::Internal)?
    }

    /// Takes the pair of the data directory into use if its owner put another one there.
    ///
    /// # Errors
    /// As `bring`.
    pub async fn reread(&self, spread: Duration) -> Result<Option<Pin>, NotDone> {
        let _one_at_a_time = self.renewing.lock().await;
        match self.identity.put_there(&self.data_dir).map_err(not_done)? {
            None => Ok(None),
            Some(pair) => self.take(&pair, Actor::NODE, spread).await.map(|(pin, _)| Some(pin)),
        }
    }

    async fn take(&self, (key, certificate): &Pair, actor: Actor, spread: Duration) -> Result<(Pin, UnixMs), NotDone> {
        let now = self.clock.now();
        let next = NodeIdentity::bring(&self.data_dir, key, certificate, now).map_err(not_done)?;
        Ok(self.publish_and_use(next, now, actor, spread).await?)
    }

    async fn replace(&self, actor: Actor, spread: Duration) -> Result<(Pin, UnixMs), Reason> {
        // What is published goes out under the one in use: a clock that was wrong may have dated it.
        self.issue();
        let now = self.clock.now();
        let prepared = self.with_key(|issuing| NodeIdentity::prepare(&self.data_dir, issuing, now, LIFE));
        let next = prepared.map_err(|e| e.reason())?;
        self.publish_and_use(next, now, actor, spread).await
    }

    async fn publish_and_use(
        &self,
        next: NodeIdentity,
        now: UnixMs,
        actor: Actor,
        spread: Duration,
    ) -> Result<(Pin, UnixMs), Reason> {
        let expires = next.certificate().not_after;
        self.publish(&next, now, actor).await?;
        tokio::time::sleep(spread).await;
        let view = self.governance.view();
        let now = self.clock.now();
        let pin = self.with_key(|issuing| self.identity.promote(&self.data_dir, issuing, &view, now));
        let pin = pin.map_err(|e| e.reason())?;
        Entry { until: Some(expires), ..Entry::of(Event::CertificateRenewed) }.tell();
        Ok((pin, expires))
    }

    /// As often as another change of the entry comes first, which is seldom twice.
    async fn publish(&self, next: &NodeIdentity, now: UnixMs, actor: Actor) -> Result<(), Reason> {
        for _ in 1..TRIES {
            match self.publish_once(next, now, actor).await {
                Err(Reason::StaleVersion) => {}
                published => return published,
            }
        }
        self.publish_once(next, now, actor).await
    }

    /// A pin stands until its certificate ends, and so do those before it: a partner that was away knows one of them.
    async fn publish_once(&self, next: &NodeIdentity, now: UnixMs, actor: Actor) -> Result<(), Reason> {
        let view = self.governance.view();
        let member = view.member(&self.authority).ok_or(Reason::NotJoined)?;
        let next = next.pinned(&view.federation, &self.authority).map_err(|e| e.reason())?;
        if member.entry.pins.iter().any(|p| p.pin == next.pin && p.valid_until >= next.valid_until) {
            return Ok(());
        }
        let mut entry = member.entry.clone();
        // Of another certificate for the same key, which ends sooner.
        entry.pins.retain(|p| p.pin != next.pin);
        let used = self.identity.certificate();
        entry.pins.retain(|p| now < p.valid_until || p.pin == used.pin);
        // One that ended while nothing could be ordered was issued anew for the same key: its pin goes on as long.
        for old in entry.pins.iter_mut().filter(|p| p.pin == used.pin) {
            old.valid_until = used.not_after;
        }
        // Those that end first make room, and the one in use last.
        entry.pins.sort_by_key(|p| (p.pin == used.pin, p.valid_until));
        let excess = entry.pins.len().saturating_sub(PINS - 1);
        entry.pins.drain(..excess);
        entry.pins.push(next);
        let updated = self.governance.decisions.update_entry(entry, Some(member.version), actor).await;
        updated.map(drop).map_err(|e| e.reason())
    }
}
