//! The outbox, the ledger, and how far the inbox has come.

use bytes::Bytes;

use crate::domain::ids::AuthorityId;
use crate::storage::rows::AuditHead;

use super::Exchange;
use super::error::Error;

pub use crate::storage::rows::{DeliveryFilter, DeliveryRow, DeliveryState, QueueCount};

impl Exchange {
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

    /// Encoded audit leaves from an index on, and the head of the log.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn audit_leaves(&self, from: u64, limit: usize) -> Result<(Vec<Bytes>, AuditHead), Error> {
        Ok((self.store().audit_leaves(from, limit).await?, self.store().audit_head().await?))
    }
}
