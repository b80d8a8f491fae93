//! The outbox, and how far the inbox has come.

use std::collections::BTreeSet;

use crate::domain::ids::AuthorityId;
use crate::domain::time::UnixMs;
use crate::exchange::context::Error;

use super::Road;

pub use crate::storage::rows::{DeliveryFilter, DeliveryRow, DeliveryState, QueueCount};

/// Deliveries that ended without arriving: how many, and the newest of a partner at which nothing arrived since.
#[derive(Clone, Debug)]
pub struct GivenUp {
    pub refused: usize,
    pub skipped: usize,
    pub newest: Option<DeliveryRow>,
}

/// Most rows of each sort that are counted.
const GIVEN_UP: usize = 1_000;

impl Road {
    /// What partners refused, or could not take in time, since an instant.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn given_up_since(&self, since: UnixMs) -> Result<GivenUp, Error> {
        let of = async |state| {
            let filter = DeliveryFilter { state: Some(state), since: Some(since), ..DeliveryFilter::default() };
            self.deliveries(filter, None, GIVEN_UP).await
        };
        let (mut rows, skipped) = (of(DeliveryState::Refused).await?, of(DeliveryState::Skipped).await?);
        let (refused, skips) = (rows.len(), skipped.len());
        rows.extend(skipped);
        rows.sort_by_key(|row| std::cmp::Reverse(row.finished));
        let mut looked_at = BTreeSet::new();
        for row in rows {
            if !looked_at.insert(row.recipient.clone()) {
                continue;
            }
            let recipient = Some(row.recipient.clone());
            let later =
                DeliveryFilter { recipient, state: Some(DeliveryState::Delivered), since: row.finished, record: None };
            if self.deliveries(later, None, 1).await?.is_empty() {
                return Ok(GivenUp { refused, skipped: skips, newest: Some(row) });
            }
        }
        Ok(GivenUp { refused, skipped: skips, newest: None })
    }

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn deliveries(
        &self,
        filter: DeliveryFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, Error> {
        Ok(self.store().deliveries(filter, before, limit).await?)
    }

    /// What waits, per recipient.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn queue_counts(&self) -> Result<Vec<(AuthorityId, QueueCount)>, Error> {
        Ok(self.store().queue_counts().await?)
    }

    /// The highest inbox position.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn inbox_position(&self) -> Result<u64, Error> {
        Ok(self.store().inbox_position().await?)
    }
}
