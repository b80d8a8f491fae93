//! Lists that are filtered: each is read along an index that fits what is asked for, so that it costs what it shows, not
//! what is stored.
//!
//! Two are not: what was delivered, and what changed since an instant. Those rows are the mass, and each further index on
//! them is written with every delivery; they are read from the newest on until there are enough, within the time of a read.

use std::cmp::Reverse;

use sqlx::Row;

use super::db::{self, Args, Columns};
use super::{SqliteStore, rows, state, statements};
use crate::domain::ids::{AgreementId, AuthorityId};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::time::UnixMs;
use crate::rows::*;
use crate::unreadable::{Table, UnreadableRow};

/// So many kinds are read one by one; more are found sooner in the order of positions.
const FEW_KINDS: usize = 4;

impl SqliteStore {
    /// Deliveries, newest first.
    pub(super) async fn delivery_list(
        &self,
        filter: &DeliveryFilter,
        before: u64,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let recipient = filter.recipient.as_ref().map_or("", AuthorityId::as_str);
        let state = filter.state.map_or(0, |s| s as i32);
        let since = filter.since.unwrap_or(UnixMs(0));
        if (filter.record.is_none(), filter.state) == (true, Some(DeliveryState::Held)) {
            return self.held_deliveries(recipient, since, before, limit).await;
        }
        let (statement, state) = match (&filter.record, filter.state) {
            (Some(_), _) => (&statements::DELIVERY_LIST_RECORD, state),
            (None, Some(DeliveryState::Queued)) => (&statements::DELIVERY_LIST_OPEN, 0),
            (None, Some(state)) if state != DeliveryState::Delivered => {
                (&statements::DELIVERY_LIST_ENDED, state as i32)
            }
            (None, _) if !recipient.is_empty() => return self.deliveries_to(filter, before, limit).await,
            (None, _) => (&statements::DELIVERY_LIST, state),
        };
        let args = |limit| {
            let args = Args::new().with(before).with(recipient).with(state).with(limit);
            filter.record.iter().fold(args, |args, record| args.with(record)).with(since)
        };
        self.page(statement, limit, args, rows::delivery).await
    }

    /// Those that are held with their stream, and those that were deferred, each by itself.
    async fn held_deliveries(
        &self,
        recipient: &str,
        since: UnixMs,
        before: u64,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let mut found = Vec::new();
        for (statement, state) in
            [(&statements::DELIVERY_LIST_OPEN, 1), (&statements::DELIVERY_LIST_ENDED, DeliveryState::Held as i32)]
        {
            let args = |limit| Args::new().with(before).with(recipient).with(state).with(limit).with(since);
            found.extend(self.page(statement, limit, args, rows::delivery).await?);
        }
        found.sort_unstable_by_key(|row| Reverse(row.sequence));
        found.truncate(limit);
        Ok(found)
    }

    /// What was deferred, by stream, agreement and kind.
    pub(super) async fn deferred_items(&self) -> Result<Vec<DeferredItems>, sqlx::Error> {
        let found = db::all(&self.readers, &statements::DELIVERY_DEFERRED, Args::new()).await?;
        db::readable(&self.unreadable, &statements::DELIVERY_DEFERRED, &found, |row| {
            let (origin, recipient, class) = state::stream_name(row, 0)?;
            let agreement = row.blob(3)?;
            let agreement = match agreement.is_empty() {
                true => None,
                false => Some(row.value(3, AgreementId::from_slice(&agreement))?),
            };
            let (kind, items, oldest) = (rows::kind(row, 4)?, row.number(5)?, row.time(6)?);
            Ok(DeferredItems { origin, recipient, class, agreement, kind, items, oldest })
        })
    }

    /// Those of each stream to the recipient, put together.
    async fn deliveries_to(
        &self,
        filter: &DeliveryFilter,
        before: u64,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let recipient = filter.recipient.as_ref().map_or("", AuthorityId::as_str);
        let (state, since) = (filter.state.map_or(0, |s| s as i32), filter.since.unwrap_or(UnixMs(0)));
        let mut found = Vec::new();
        for stream in db::all(&self.readers, &statements::OUT_STREAM_TO, Args::new().with(recipient)).await? {
            let stream = stream.int(0)?;
            let args = |limit| Args::new().with(before).with(stream).with(state).with(limit).with(since);
            found.extend(self.page(&statements::DELIVERY_LIST_STREAM, limit, args, rows::delivery).await?);
        }
        found.sort_unstable_by_key(|row| Reverse(row.sequence));
        found.truncate(limit);
        Ok(found)
    }

    /// What a stream sends next. A number without a row, or with one that does not read, is among it as a skip.
    pub(super) async fn out_items(
        &self,
        origin: &AuthorityId,
        recipient: &AuthorityId,
        class: StreamClass,
        items: usize,
        bytes: usize,
    ) -> Result<Vec<OutItem>, sqlx::Error> {
        let args = Args::new().with(origin).with(recipient).with(class.code()).with(items as u64);
        let (mut batch, mut size) = (Vec::new(), 0);
        db::until(&self.readers, &statements::DELIVERY_BATCH, args, |row| {
            let (number, first) = (row.number(0)?, row.number(20)?);
            // Of a number without a row there is nothing left but that it was given out.
            let mut expected = batch.last().map_or(first, |last: &OutItem| last.number + 1);
            while expected < number && batch.len() < items {
                let (table, reason) = (Table::Delivery, Reason::StorageDamaged);
                let (id, field) = (format!("{origin}/{recipient}/{expected}"), "number".to_owned());
                self.unreadable.note(UnreadableRow { table, kind: None, id, reason, field });
                batch.push(rows::lost(expected));
                expected += 1;
            }
            if batch.len() >= items {
                return Ok(false);
            }
            // A left join: no envelope any more is NULL.
            let envelope: Option<Vec<u8>> = row.try_get_unchecked(11)?;
            let item = match rows::out_item(&row, envelope) {
                Err(error) if db::note(&self.unreadable, &statements::DELIVERY_BATCH, &row, &error) => {
                    rows::lost(number)
                }
                item => item?,
            };
            if item.question.is_none() && matches!(item.payload, OutPayload::Envelope(_)) {
                let unasked = row.value::<()>(13, None);
                unasked
                    .unwrap_or_else(|error| _ = db::note(&self.unreadable, &statements::DELIVERY_BATCH, &row, &error));
            }
            size += if let OutPayload::Envelope(envelope) = &item.payload { envelope.len() } else { 0 };
            let fits = size <= bytes || batch.is_empty();
            if fits {
                batch.push(item);
            }
            Ok(fits)
        })
        .await?;
        Ok(batch)
    }

    /// Received records after a position, in order. A reader of rare kinds does not pass through all others each time.
    pub(super) async fn inbox_list(
        &self,
        position: u64,
        mut kinds: Vec<RecordKind>,
        limit: usize,
    ) -> Result<Vec<InboxRow>, sqlx::Error> {
        kinds.sort_unstable_by_key(|kind| kind.code());
        kinds.dedup();
        if kinds.is_empty() || kinds.len() > FEW_KINDS {
            let kinds = kinds.iter().fold(0_i64, |bits, kind| bits | 1 << kind.code());
            let args = |limit| Args::new().with(position).with(kinds).with(limit);
            return self.page(&statements::INBOX_AFTER, limit, args, rows::inbox).await;
        }
        // Positions are given in the order of commits: up to here every kind is read as of one instant, so that no reader
        // passes over what was stored between two of these statements.
        let head = db::one(&self.readers, &statements::HEAD_GET, Args::new()).await?;
        let mut up_to = head.ok_or(sqlx::Error::RowNotFound)?.number(2)?;
        let mut found: Vec<InboxRow> = Vec::new();
        for kind in kinds {
            let args = |limit| Args::new().with(kind.code()).with(position).with(up_to).with(limit);
            let of_kind = self.page(&statements::INBOX_AFTER_KIND, limit, args, rows::inbox).await?;
            if let Some(last) = of_kind.last().filter(|_| of_kind.len() >= limit) {
                up_to = last.position;
            }
            found.extend(of_kind);
        }
        found.sort_unstable_by_key(|row| row.position);
        found.truncate(limit);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::super::statements::SqlStatement;
    use super::*;
    use crate::contract::*;

    /// How SQLite goes about a statement.
    async fn plan(conn: &mut sqlx::sqlite::SqliteConnection, statement: &SqlStatement) -> String {
        let text = format!("EXPLAIN QUERY PLAN {}", statement.text);
        let steps = sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(conn).await.unwrap();
        steps.iter().map(|step| step.get::<String, _>(3)).collect::<Vec<_>>().join("; ")
    }

    #[tokio::test]
    async fn what_grows_without_end_is_read_along_an_index() {
        let dir = tempfile::tempdir().unwrap();
        let _store = sqlite(dir.path()).await;
        let file = dir.path().join(super::super::STORE_FILE);
        let mut conn = schema::connect_writing(&file, &[]).await.unwrap();
        for (statement, index) in [
            (&statements::INBOX_AFTER_KIND, "inbox_kind (kind=? AND rowid>? AND rowid<?)"),
            (&statements::INBOX_BEFORE, "inbox_kind (kind=? AND rowid<?)"),
            (&statements::INBOX_PAST, "inbox_keep (keep_until<?)"),
            (&statements::HIDDEN_INBOX_PAST, "hidden_inbox_keep (keep_until<?)"),
            (&statements::PARTNER_OFFER_SWEEP, "partner_offer_keep (keep_until<?)"),
            (&statements::OUTBOX_SWEEP, "outbox_expires (expires<?)"),
            (&statements::DELIVERY_EXPIRE, "outbox_expires (expires<?)"),
            (&statements::DELIVERY_LIST_RECORD, "delivery_record (record_id=?"),
            (&statements::DELIVERY_LIST_STREAM, "delivery_stream (stream=? AND rowid<?)"),
            (&statements::DELIVERY_LIST_ENDED, "delivery_ended (state=? AND sequence<?)"),
        ] {
            let plan = plan(&mut conn, statement).await;
            let sorted = plan.contains("TEMP B-TREE");
            assert!(plan.contains(index) && !sorted && !plan.contains("SCAN "), "{}: {plan}", statement.file);
        }
        // What waits is sorted: it is no more than what waits.
        let open = plan(&mut conn, &statements::DELIVERY_LIST_OPEN).await;
        assert!(open.contains("delivery_open (stream=? AND number>?)"), "{open}");
    }
}
