//! The numbers that metrics show of what is here.

use crate::exchange::context::Error;
use crate::exchange::road::QueueCount;
use crate::storage::owed::What;
use crate::telemetry::metrics;

use super::Upkeep;

impl Upkeep {
    /// Sets each gauge.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn gauges_pass(&self) -> Result<(), Error> {
        let counts = self.road.queue_counts().await?;
        let sum = |of: fn(&QueueCount) -> u64| number(counts.iter().map(|(_, count)| of(count)).sum());
        metrics::QUEUED.set([], sum(|count| count.queued));
        metrics::HELD.set([], sum(|count| count.held + count.deferred));
        metrics::INBOX.set([], number(self.road.inbox_position().await?));
        metrics::AUDIT_SIZE.set([], number(self.store().audit_head().await?.size));
        let owed = self.owed_counts().await?;
        for what in What::ALL {
            let rows = owed.iter().find(|count| count.what == what).map_or(0, |count| count.rows);
            metrics::OWED.set([what.name()], number(rows));
        }
        Ok(())
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
