//! What was published for a recipient that is suspended now, or under an agreement that waits for confirmation: owed, and made
//! when that is over.
//!
//! Nothing can be queued for it, since nobody may share with it; and nothing that was acknowledged may be lost. So the
//! commit in which the publication counts as dispatched also writes down that the recipient is owed the record.

use crate::domain::audit::ActorRole;
use crate::domain::ids::AuthorityId;
use crate::domain::policy::ReadPurpose;
use crate::domain::record::{RecordKey, ReferenceKind};
use crate::domain::time::UnixMs;
use crate::exchange::context::Error;
use crate::storage::ops::{Queue, Write};
use crate::storage::owed::{Owed, OwedKey, Subject};
use crate::storage::rows::PublicationRow;
use crate::wire::stored;

use super::super::Road;
use super::prepare::Prepared;

/// The queue of a publication, with what its suspended recipients are owed.
pub(super) fn queue_and_owe(prepared: Prepared, now: UnixMs) -> Queue {
    let Prepared { mut queue, suspended, .. } = prepared;
    if let Some(record) = &queue.publication {
        let key = |to| OwedKey::to(to, Subject::SuspendedRecord(record.clone()));
        queue.owes = suspended.iter().map(|(to, _)| Owed::now(key(to), now)).collect();
    }
    queue
}

impl Road {
    /// The record for a recipient that is not suspended any more; nothing if it is past its time.
    pub(in crate::exchange) async fn record_for_restored(
        &self,
        record: &RecordKey,
        to: &AuthorityId,
    ) -> Result<Write, Error> {
        let Some(row) = self.store().publication(record.clone()).await? else { return Ok(Write::default()) };
        // Taken back before it was sent: neither the record nor its end is the recipient's matter.
        let _later = self.saying_later.lock().await;
        if self.own_taken_back(record).await? || self.ends_what_was_never_sent(&row, to).await? {
            return Ok(Write::default());
        }
        // What is for all may have come to it with a backfill: it is disclosed once.
        if !self.store().sent_under(record.clone(), to.clone()).await?.is_empty() {
            return Ok(Write::default());
        }
        let prepared = self.prepared_for(&self.preparer(), &row, to).await?;
        // One of the two is suspended again, or still; or the agreement is not confirmed yet.
        if let Some((_, reason)) = prepared.suspended.first() {
            return Err(Error::about(to, *reason));
        }
        Ok(Write { deliveries: prepared.queue.items, audit: prepared.queue.audit, ..Write::default() })
    }

    async fn ends_what_was_never_sent(&self, row: &PublicationRow, to: &AuthorityId) -> Result<bool, Error> {
        let Ok(reading) = self.context.may_read(&row.record, ActorRole::Node, ReadPurpose::Order) else {
            return Ok(false);
        };
        let Ok(publication) = stored::reload(reading) else { return Ok(false) };
        let ends = publication.references.iter().find(|reference| reference.kind == ReferenceKind::Cancels);
        let Some(ends) = ends else { return Ok(false) };
        Ok(self.store().sent_under(ends.target.clone(), to.clone()).await?.is_empty())
    }
}
