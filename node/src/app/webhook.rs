//! Tells the authority's own software that records came, by an HTTP POST that carries no content (decisions/064).
//!
//! What leaves is the node's authority, that there is something new, how many since the last notice, and the inbox's position:
//! no kind, no id, no partner. Whoever wants more asks the node, with its role. Nothing waits for a notice: records that come
//! while one is tried are in the next one, and what was told last survives a restart.

mod post;
mod secret;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use post::NotTaken;
pub use secret::Secret;

use super::failure::CommandFailure;
use crate::clock::SharedClock;
use crate::config::{Config, WebhookUrl};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::telemetry::metrics;

/// The position that was told last; in the data directory.
const FILE: &str = "notified";
/// Between two tries when nobody takes a notice, at most.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// One notice.
struct Posting {
    /// The same in each try.
    id: uuid::Uuid,
    count: u64,
    position: u64,
}

impl Posting {
    fn body(&self, authority: &AuthorityId) -> String {
        let (count, position) = (self.count, self.position);
        let event = "records.new";
        serde_json::json!({ "authority": authority.as_str(), "event": event, "count": count, "position": position })
            .to_string()
    }
}

/// Since when nobody takes what is told, and why the last try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    pub since: UnixMs,
    pub why: NotTaken,
}

/// Where it is told, and how. Clones share what became of it.
#[derive(Clone)]
pub struct Webhook {
    authority: AuthorityId,
    url: WebhookUrl,
    secret: Arc<Secret>,
    roots: PathBuf,
    every: Duration,
    limit: Duration,
    clock: SharedClock,
    failing: Arc<Mutex<Option<Failing>>>,
}

impl Webhook {
    /// `None` when the configuration names nobody to tell.
    ///
    /// # Errors
    /// `CONFIG_INVALID` when the secret cannot be read, others can read it too, or it is none.
    pub fn of(config: &Config, clock: &SharedClock) -> Result<Option<Self>, CommandFailure> {
        let Some(url) = config.notify_webhook.as_option() else { return Ok(None) };
        let secret = Secret::read(&config.notify_secret).map_err(|why| {
            let failure = CommandFailure::new(Reason::ConfigInvalid).about(format!("notify.secret: {why}"));
            failure
                .remedy(format!("the secret of your software stands in {}, mode 0600", config.notify_secret.display()))
        })?;
        Ok(Some(Self {
            authority: config.authority.clone(),
            url: url.clone(),
            secret: Arc::new(secret),
            roots: config.notify_webhook_ca.clone(),
            every: config.notify_every.to_duration().max(Duration::from_millis(1)),
            limit: post::LIMIT,
            clock: clock.clone(),
            failing: Arc::default(),
        }))
    }

    /// Since when nobody takes them; `None`: the last one was taken, or there was none yet.
    pub fn failing(&self) -> Option<Failing> {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of what comes, at most once in `notify.every`. What came before the first start with a webhook is not told.
    pub async fn follow(self, mut inbox: watch::Receiver<u64>, data_dir: PathBuf) {
        let now = *inbox.borrow();
        // After a restore the inbox may stand before what was told.
        let mut told = told(&data_dir).map_or(now, |told| told.min(now));
        keep(&data_dir, told);
        let mut notice: Option<Posting> = None;
        let mut tries = 0;
        while inbox.wait_for(|position| *position > told).await.is_ok() {
            let position = *inbox.borrow();
            let next = notice.take().filter(|notice| notice.position == position);
            let next = next.unwrap_or_else(|| Posting { id: uuid::Uuid::new_v4(), count: position - told, position });
            match self.send(&next).await {
                Ok(()) => {
                    told = next.position;
                    keep(&data_dir, told);
                    tries = 0;
                }
                Err(()) => {
                    notice = Some(next);
                    tries += 1;
                }
            }
            tokio::time::sleep(pause(self.every, tries)).await;
        }
    }

    async fn send(&self, notice: &Posting) -> Result<(), ()> {
        let (id, body, now) = (notice.id.to_string(), notice.body(&self.authority), self.clock.now());
        let seconds = now.0.div_euclid(1_000);
        let signature = self.secret.signature(&id, seconds, &body);
        let headers = post::Headers { id, seconds, signature };
        let sent = post::post(&self.url, &self.roots, self.limit, &headers, body).await;
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match sent {
            Ok(()) => {
                metrics::WEBHOOK_TOLD.add([], 1);
                *failing = None;
                Ok(())
            }
            Err(why) => {
                metrics::WEBHOOK_FAILED.add([], 1);
                let since = failing.map_or(now, |failing| failing.since);
                *failing = Some(Failing { since, why });
                havenlink_runtime::repeated!(warn; cause = %why, "a notice of new records was not taken");
                Err(())
            }
        }
    }
}

/// After a notice that was taken, or after so many tries.
fn pause(every: Duration, tries: u32) -> Duration {
    let longer = every.saturating_mul(1 << tries.min(16));
    longer.min(LONGEST_PAUSE.max(every))
}

fn told(data_dir: &Path) -> Option<u64> {
    std::fs::read_to_string(data_dir.join(FILE)).ok()?.trim().parse().ok()
}

/// Not synced: what a power cut takes is told once more.
fn keep(data_dir: &Path, told: u64) {
    let fresh = data_dir.join(format!("{FILE}.new"));
    let kept = std::fs::write(&fresh, told.to_string()).and_then(|()| std::fs::rename(&fresh, data_dir.join(FILE)));
    if let Err(error) = kept {
        havenlink_runtime::repeated!(warn; cause = %error, "what was told last could not be kept");
    }
}
