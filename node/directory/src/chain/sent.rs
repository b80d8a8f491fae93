//! The newest snapshot as it is sent: encoded once for all who ask, and let go when nobody has for a while.

use std::sync::Arc;
use std::time::Duration;

use super::Chain;
use crate::domain::reason::Reason;
use crate::error::Error;
use crate::snapshot::Encoded;
use crate::snapshot_handle::SnapshotHandle;

/// How long an encoding that nobody asks for stays in memory.
const KEPT: Duration = Duration::from_secs(60);

/// An encoding, and when it was asked for last.
pub(super) struct Sent {
    encoded: Arc<Encoded>,
    asked: Duration,
}

impl Chain {
    /// The snapshot's encoding. Who goes away before it is made does not have it made again.
    ///
    /// # Errors
    /// `INTERNAL` when encoding panicked.
    pub async fn encoded(self: &Arc<Self>, handle: Arc<SnapshotHandle>) -> Result<Arc<Encoded>, Error> {
        let chain = Arc::clone(self);
        let made = tokio::spawn(async move {
            let mut sent = chain.sent.lock().await;
            let asked = chain.clock.monotonic();
            if let Some(sent) = sent.as_mut().filter(|sent| sent.encoded.mark == handle.mark) {
                sent.asked = asked;
                return Ok(Arc::clone(&sent.encoded));
            }
            // The old one goes before the new one is made: never two of them.
            *sent = None;
            let encoded = Arc::new(tokio::task::spawn_blocking(move || handle.encode()).await?);
            *sent = Some(Sent { encoded: Arc::clone(&encoded), asked });
            Ok::<_, tokio::task::JoinError>(encoded)
        });
        made.await.and_then(|made| made).map_err(|_| Error::from(Reason::Internal))
    }

    /// Lets an encoding go that nobody has asked for in a while.
    pub fn forget_encoded(&self) {
        if let Ok(mut sent) = self.sent.try_lock() {
            sent.take_if(|sent| self.clock.monotonic().saturating_sub(sent.asked) > KEPT);
        }
    }
}
