//! The outbox, and how far the inbox has come.

use crate::domain::ids::AuthorityId;
use crate::exchange::context::Error;

use super::Road;

pub use crate::storage::rows::{DeliveryFilter, DeliveryRow, DeliveryState, QueueCount};

impl Road {
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
