//! What records about persons say is sealed before the writer sees it, and opened after it was read (9.9).
//!
//! Each under a key of its own, made durable in `keys.db` before the row that needs it is written: publication and envelopes at
//! its origin, the inbox at its recipient. So the database, its log and every backup of it hold ciphertext, and destroying the key
//! takes the record out of all of them. A row whose key is no more is left out of every list, as if it were not there.

use bytes::Bytes;
use futures_util::FutureExt;
use zeroize::Zeroizing;

use super::SqliteStore;
use super::read::Read;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind};
use crate::ops::{NewDelivery, NewPublication, WriteOp};
use crate::rows::{InboxRow, OutItem, OutPayload, PublicationRow};
use crate::{Error, Result};

impl SqliteStore {
    /// The operation, with what concerns a person sealed.
    ///
    /// # Errors
    /// `RECORD_WITHDRAWN` for what was erased; when `keys.db` cannot be written: then nothing is stored.
    pub(super) async fn sealed(&self, mut op: WriteOp) -> Result<WriteOp> {
        match &mut op {
            WriteOp::Publish(op) => {
                self.seal_publication(&mut op.publication).await?;
                self.seal_deliveries(op.made.as_deref_mut().unwrap_or_default()).await?;
            }
            WriteOp::Queue(op) => self.seal_deliveries(&mut op.items).await?,
            WriteOp::Write(op) => {
                for publication in &mut op.publications {
                    self.seal_publication(publication).await?;
                }
                self.seal_deliveries(&mut op.deliveries).await?;
            }
            WriteOp::Receive(op) => {
                for item in op.items.iter_mut().filter(|item| item.kind.is_about_persons()) {
                    item.envelope = self.seal_for(item.key.clone(), &item.envelope).await?;
                }
            }
            WriteOp::Settle(_) | WriteOp::Attempt(_) | WriteOp::Requeue(_) | WriteOp::NumberAgain(_) => {}
            WriteOp::QueueAgain(_) | WriteOp::SetHeld(_) | WriteOp::CommitCursor { .. } => {}
        }
        Ok(op)
    }

    async fn seal_publication(&self, new: &mut NewPublication) -> Result<()> {
        if new.kind.is_about_persons() {
            let key = RecordKey { origin: new.authority.clone(), record_id: new.record_id };
            new.body = self.seal_for(key, &new.body).await?;
        }
        Ok(())
    }

    async fn seal_deliveries(&self, items: &mut [NewDelivery]) -> Result<()> {
        for item in items.iter_mut().filter(|item| item.permit.kind().is_about_persons()) {
            let key = RecordKey { origin: item.permit.from().clone(), record_id: item.record_id };
            item.envelope = self.seal_for(key, &item.envelope).await?;
        }
        Ok(())
    }

    async fn seal_for(&self, key: RecordKey, plain: &Bytes) -> Result<Bytes> {
        let sealed = self.keys.seal_record(key, Zeroizing::new(plain.to_vec())).await?;
        sealed.map(Bytes::from).ok_or(Error::Refused(Reason::RecordWithdrawn))
    }

    async fn plain(&self, key: RecordKey, sealed: Bytes) -> Result<Option<Bytes>> {
        let opened = self.keys.open_record(&key, sealed.to_vec()).await?;
        Ok(opened.map(|plain| Bytes::copy_from_slice(&plain)))
    }

    /// Own records, those about persons opened; those whose keys are no more are left out.
    pub(super) async fn opened_publications(&self, rows: Vec<PublicationRow>) -> Result<Vec<PublicationRow>> {
        if !rows.iter().any(|row| row.record.kind().is_about_persons()) {
            return Ok(rows);
        }
        let mut opened = Vec::with_capacity(rows.len());
        for PublicationRow { record, authority, record_id, .. } in rows.iter() {
            let key = RecordKey { origin: authority.clone(), record_id: *record_id };
            opened.push(self.opened_record(record, key).await?);
        }
        let with = |(row, record): (PublicationRow, Option<_>)| Some(PublicationRow { record: record?, ..row });
        Ok(rows.into_iter().zip(opened).filter_map(with).collect())
    }

    /// Received records, in the same way.
    pub(super) async fn opened_inbox(&self, rows: Vec<InboxRow>) -> Result<Vec<InboxRow>> {
        if !rows.iter().any(|row| row.record.kind().is_about_persons()) {
            return Ok(rows);
        }
        let mut opened = Vec::with_capacity(rows.len());
        for InboxRow { record, key, .. } in rows.iter() {
            opened.push(self.opened_record(record, key.clone()).await?);
        }
        let with = |(row, record): (InboxRow, Option<_>)| Some(InboxRow { record: record?, ..row });
        Ok(rows.into_iter().zip(opened).filter_map(with).collect())
    }

    async fn opened_record(
        &self,
        record: &crate::domain::policy::KeptRecord,
        key: RecordKey,
    ) -> Result<Option<crate::domain::policy::KeptRecord>> {
        if !record.kind().is_about_persons() {
            return Ok(Some(record.clone()));
        }
        record.unsealed(|sealed| self.plain(key, sealed)).await
    }

    pub(super) fn own_records<'a>(&'a self, rows: Read<'a, Vec<PublicationRow>>) -> Read<'a, Vec<PublicationRow>> {
        async move { self.opened_publications(rows.await?).await }.boxed()
    }

    pub(super) fn received_records<'a>(&'a self, rows: Read<'a, Vec<InboxRow>>) -> Read<'a, Vec<InboxRow>> {
        async move { self.opened_inbox(rows.await?).await }.boxed()
    }

    /// What is sent next; what was erased meanwhile travels as a SKIP.
    pub(super) async fn opened_items(&self, origin: &AuthorityId, mut items: Vec<OutItem>) -> Result<Vec<OutItem>> {
        for item in items.iter_mut().filter(|item| RecordKind::is_about_persons(item.kind)) {
            let OutPayload::Envelope(sealed) = &item.payload else { continue };
            let key = RecordKey { origin: origin.clone(), record_id: item.record_id };
            let opened = self.plain(key, sealed.clone()).await?;
            item.payload = opened.map_or(OutPayload::Skip(Reason::RecordWithdrawn), OutPayload::Envelope);
        }
        Ok(items)
    }
}
