//! The store for tests of what stands above it: the same answers as SQLite, gone with the process.
//!
//! What lives here: one state behind one lock. What does not: durability, groups of commits, files. Invariant: both
//! stores pass one contract suite (`storage::contract`); where they differ, SQLite is right.

mod deliver;
mod read;
mod receive;
mod state;
mod sweep;
mod write;

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::ops::{WriteOp, Written};
use super::rows::*;
use super::{Error, Now, Result, Store};
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, AuthorityId, Digest, Incarnation, OfferId};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, StreamClass};
use crate::domain::time::UnixMs;
use state::State;

/// A store in memory.
pub struct MemoryStore {
    incarnation: Incarnation,
    now: Now,
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store; `now` gives the audit leaves their time.
    pub fn new(incarnation: Incarnation, now: Now) -> Self {
        Self { incarnation, now, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T: Send + 'static>(&self, read: impl FnOnce(&State) -> T) -> BoxFuture<'_, Result<T>> {
        ready(Ok(read(&self.lock()))).boxed()
    }
}

impl Store for MemoryStore {
    fn write(&self, op: WriteOp) -> BoxFuture<'_, Result<Written>> {
        let mut state = self.lock();
        let answer = if state.closed {
            Err(Error::Refused(Reason::NodeStopping))
        } else {
            state.write(op, self.incarnation, (self.now)()).map_err(Error::Refused)
        };
        drop(state);
        // Even memory answers late once, so that callers do not come to rely on an answer at once.
        async move {
            tokio::task::yield_now().await;
            answer
        }
        .boxed()
    }

    fn request(&self, scope: String, request_id: String) -> BoxFuture<'_, Result<Option<(Digest, Bytes)>>> {
        self.read(move |s| s.requests.get(&(scope, request_id)).map(|mark| (mark.body, mark.answer.clone())))
    }

    fn pending_publications(&self, limit: usize) -> BoxFuture<'_, Result<Vec<PublicationRow>>> {
        self.read(|s| s.publications.values().filter(|p| !p.dispatched).take(limit).cloned().collect())
    }

    fn publication(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<PublicationRow>>> {
        self.read(|s| s.published.get(&key).and_then(|sequence| s.publications.get(sequence)).cloned())
    }

    fn publications(
        &self,
        kind: RecordKind,
        before: Option<u64>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<PublicationRow>>> {
        self.read(|s| {
            let older = s.publications.range(..before.unwrap_or(u64::MAX)).rev();
            older.map(|(_, p)| p).filter(|p| p.kind == kind).take(limit).cloned().collect()
        })
    }

    fn open_streams(&self) -> BoxFuture<'_, Result<Vec<OutStream>>> {
        self.read(State::open_streams)
    }

    fn out_stream(
        &self,
        origin: AuthorityId,
        recipient: AuthorityId,
        class: StreamClass,
    ) -> BoxFuture<'_, Result<Option<OutStream>>> {
        self.read(|s| s.streams.get(&(origin, recipient, class)).map(|stream| stream.row.clone()))
    }

    fn out_batch(
        &self,
        origin: AuthorityId,
        recipient: AuthorityId,
        class: StreamClass,
        items: usize,
        bytes: usize,
    ) -> BoxFuture<'_, Result<Vec<OutItem>>> {
        self.read(|s| s.out_batch(&(origin, recipient, class), items, bytes))
    }

    fn deliveries(
        &self,
        filter: DeliveryFilter,
        before: Option<u64>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DeliveryRow>>> {
        self.read(move |s| s.delivery_rows(&filter, before, limit))
    }

    fn sent_under(&self, record: RecordKey, recipient: AuthorityId) -> BoxFuture<'_, Result<Vec<GrantRef>>> {
        self.read(move |s| {
            let newest = s.deliveries.values().rev().filter(|d| d.record_id == record.record_id);
            let to = newest.filter(|d| d.stream.0 == record.origin && d.stream.1 == recipient);
            let sent = to.filter(|d| matches!(d.state, DeliveryState::Queued | DeliveryState::Delivered));
            sent.filter_map(|d| d.grant).collect()
        })
    }

    fn queue_counts(&self) -> BoxFuture<'_, Result<Vec<(AuthorityId, QueueCount)>>> {
        self.read(State::queue_counts)
    }

    fn in_stream(&self, key: InStreamKey) -> BoxFuture<'_, Result<Option<InStream>>> {
        self.read(|s| s.in_streams.get(&key).cloned())
    }

    fn taken(&self, keys: Vec<RecordKey>) -> BoxFuture<'_, Result<Vec<bool>>> {
        self.read(|s| keys.iter().map(|key| s.taken.contains_key(key)).collect())
    }

    fn inbox_after(&self, position: u64, kinds: Vec<RecordKind>, limit: usize) -> BoxFuture<'_, Result<Vec<InboxRow>>> {
        self.read(|s| {
            let newer = s.inbox.range(position.saturating_add(1)..).map(|(_, kept)| &kept.row);
            newer.filter(|row| kinds.is_empty() || kinds.contains(&row.kind)).take(limit).cloned().collect()
        })
    }

    fn inbox_before(
        &self,
        kind: RecordKind,
        position: Option<u64>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<InboxRow>>> {
        self.read(|s| {
            let older = s.inbox.range(..position.unwrap_or(u64::MAX)).rev().map(|(_, kept)| &kept.row);
            older.filter(|row| row.kind == kind).take(limit).cloned().collect()
        })
    }

    fn inbox_record(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<InboxRow>>> {
        self.read(|s| s.taken.get(&key).and_then(|t| s.inbox.get(&t.position)).map(|kept| kept.row.clone()))
    }

    fn inbox_about(&self, target: RecordKey, limit: usize) -> BoxFuture<'_, Result<Vec<InboxRow>>> {
        self.read(|s| {
            let rows = s.inbox.values().map(|kept| &kept.row);
            rows.filter(|row| row.target.as_ref() == Some(&target)).take(limit).cloned().collect()
        })
    }

    fn inbox_position(&self) -> BoxFuture<'_, Result<u64>> {
        self.read(|s| s.position)
    }

    fn cursor(&self, consumer: String) -> BoxFuture<'_, Result<u64>> {
        self.read(|s| s.cursors.get(&consumer).copied().unwrap_or(0))
    }

    fn agreements(&self) -> BoxFuture<'_, Result<Vec<AgreementRow>>> {
        self.read(|s| s.agreements.values().cloned().collect())
    }

    fn agreement(&self, id: AgreementId) -> BoxFuture<'_, Result<Option<AgreementRow>>> {
        self.read(move |s| s.agreements.get(&id).cloned())
    }

    fn own_offers(&self) -> BoxFuture<'_, Result<Vec<OwnOfferRow>>> {
        self.read(|s| s.own_offers.values().cloned().collect())
    }

    fn own_offer(&self, id: OfferId) -> BoxFuture<'_, Result<Option<OwnOfferRow>>> {
        self.read(move |s| s.own_offers.get(&id).cloned())
    }

    fn partner_offers(&self) -> BoxFuture<'_, Result<Vec<PartnerOfferRow>>> {
        self.read(|s| s.partner_offers.values().cloned().collect())
    }

    fn partner_offer_ids(&self, origin: AuthorityId) -> BoxFuture<'_, Result<Vec<OfferId>>> {
        self.read(|s| s.partner_offers.keys().filter(|(of, _)| *of == origin).map(|(_, id)| *id).collect())
    }

    fn audit_leaves(&self, from: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        self.read(move |s| s.leaves.iter().skip(from).take(limit).cloned().collect())
    }

    fn audit_checkpoints(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<(u64, Bytes)>>> {
        self.read(move |s| {
            let later = s.checkpoints.range(after.saturating_add(1)..).take(limit);
            later.map(|(size, signed)| (*size, signed.clone())).collect()
        })
    }

    fn audit_head(&self) -> BoxFuture<'_, Result<AuditHead>> {
        self.read(|s| AuditHead {
            size: s.ledger.frontier.size(),
            root: s.ledger.frontier.root(),
            time: s.ledger.time,
            checkpoint: s.checkpoints.last_key_value().map(|(size, signed)| (*size, signed.clone())),
        })
    }

    fn meta(&self, name: String) -> BoxFuture<'_, Result<Option<Bytes>>> {
        self.read(|s| s.metas.get(&name).cloned())
    }

    fn metas(&self, prefix: String) -> BoxFuture<'_, Result<Vec<(String, Bytes)>>> {
        self.read(|s| {
            let from = s.metas.range(prefix.clone()..);
            from.take_while(|(name, _)| name.starts_with(&prefix)).map(|(n, v)| (n.clone(), v.clone())).collect()
        })
    }

    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.lock().closed = true;
        ready(()).boxed()
    }

    fn sweep(&self, now: UnixMs) -> BoxFuture<'_, Result<u64>> {
        ready(Ok(self.lock().sweep(now))).boxed()
    }
}
