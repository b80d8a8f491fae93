//! Reads: a small pool of read-only connections, each read one statement (`lists` a few), bounded in rows and in time.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteRow;

use super::db::{self, Args, Columns, failed};
use super::offers::{offer_id, own_offer, partner_offer};
use super::writer::Command;
use super::{SqliteStore, agreements, rare, rows, state, statements};
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, AuthorityId, Digest, Incarnation, InvitationId, OfferId};
use crate::domain::person::CaseIndex;
use crate::domain::record::{RecordKey, RecordKind, StreamClass};
use crate::domain::stream::StreamId;
use crate::domain::time::UnixMs;
use crate::named::Named;
use crate::ops::{WriteOp, Written};
use crate::owed::{OwedCount, OwedRow, What};
use crate::rows::*;
use crate::unreadable::UnreadableRows;
use crate::{Error, Result, Store};

/// A reader holds the log back no longer than this (9.9).
const LONGEST_READ: Duration = Duration::from_secs(5);

/// The notice of nobody.
const NOTHING: &[u8] = &[];

pub(super) type Read<'a, T> = BoxFuture<'a, Result<T>>;

pub(super) fn bounded<'a, T>(
    read: impl Future<Output = std::result::Result<T, sqlx::Error>> + Send + 'a,
) -> Read<'a, T> {
    async move {
        match tokio::time::timeout(LONGEST_READ, read).await {
            Ok(result) => result.map_err(failed),
            Err(_) => Err(Error::Failed("a read took longer than five seconds".into())),
        }
    }
    .boxed()
}

/// Cursors count down from above everything.
fn below(before: Option<u64>) -> u64 {
    before.unwrap_or(i64::MAX as u64)
}

impl SqliteStore {
    /// All that a statement gives, without what does not read.
    pub(super) fn list<'a, T: Send + 'a>(
        &'a self,
        statement: &'static statements::SqlStatement,
        args: Args,
        row: impl Fn(&SqliteRow) -> std::result::Result<T, sqlx::Error> + Send + 'a,
    ) -> Read<'a, Vec<T>> {
        bounded(async move {
            let rows = db::all(&self.readers, statement, args).await?;
            db::readable(&self.unreadable, statement, &rows, row)
        })
    }

    /// The first of what a statement gives: as many as asked for, should there be as many that read. A page that is short is
    /// the last one, and a row that does not read never ends a list.
    pub(super) async fn page<T>(
        &self,
        statement: &'static statements::SqlStatement,
        limit: usize,
        args: impl Fn(u64) -> Args,
        row: impl Fn(&SqliteRow) -> std::result::Result<T, sqlx::Error>,
    ) -> std::result::Result<Vec<T>, sqlx::Error> {
        let mut asked = limit;
        loop {
            let rows = db::all(&self.readers, statement, args(asked as u64)).await?;
            let mut values = db::readable(&self.unreadable, statement, &rows, &row)?;
            if values.len() >= limit || rows.len() < asked {
                values.truncate(limit);
                return Ok(values);
            }
            asked = (asked + rows.len() - values.len()).max(asked * 2);
        }
    }

    /// At most one. One that does not read is noted, and what was asked for it is refused.
    pub(super) fn find<'a, T: Send + 'a>(
        &'a self,
        statement: &'static statements::SqlStatement,
        args: Args,
        row: impl Fn(&SqliteRow) -> std::result::Result<T, sqlx::Error> + Send + 'a,
    ) -> Read<'a, Option<T>> {
        bounded(async move {
            let Some(found) = db::one(&self.readers, statement, args).await? else { return Ok(None) };
            row(&found).map(Some).inspect_err(|error| _ = db::note(&self.unreadable, statement, &found, error))
        })
    }

    /// At most one. One that does not read is noted, and as good as not there.
    fn find_readable<'a, T: Send + 'a>(
        &'a self,
        statement: &'static statements::SqlStatement,
        args: Args,
        row: impl Fn(&SqliteRow) -> std::result::Result<T, sqlx::Error> + Send + 'a,
    ) -> Read<'a, Option<T>> {
        async move { Ok(self.list(statement, args, row).await?.pop()) }.boxed()
    }
}

pub(super) fn key_args(key: &RecordKey) -> Args {
    let mut args = Args::new();
    args.key(Some(key));
    args
}

fn out_stream(row: &SqliteRow) -> std::result::Result<OutStream, sqlx::Error> {
    let (origin, recipient, class) = state::stream_name(row, 0)?;
    Ok(OutStream {
        origin,
        recipient,
        class,
        origin_incarnation: Incarnation(row.number(3)?),
        recipient_incarnation: Incarnation(row.number(4)?),
        first_unsettled: row.number(5)?,
        next: row.number(6)?,
    })
}

impl Store for SqliteStore {
    fn write(&self, op: WriteOp) -> BoxFuture<'_, Result<Written>> {
        async move {
            let op = self.sealed(op).await?;
            self.ask(|reply| Command::Write(Box::new(op), reply)).await?
        }
        .boxed()
    }

    fn request(&self, scope: String, request_id: String) -> Read<'_, Option<(Digest, Bytes)>> {
        let args = Args::new().with(scope.as_str()).with(request_id.as_str());
        self.find(&statements::REQUEST_FIND, args, |row| {
            Ok((row.value(2, Digest::from_slice(&row.blob(2)?))?, row.bytes(3)?))
        })
    }

    fn pending_publications(&self, limit: usize) -> Read<'_, Vec<PublicationRow>> {
        let args = |limit| Args::new().with(limit);
        self.own_records(bounded(self.page(&statements::UNDISPATCHED_LIST, limit, args, rows::publication)))
    }

    fn publication(&self, key: RecordKey) -> Read<'_, Option<PublicationRow>> {
        let found = self.find(&statements::PUBLICATION_GET, key_args(&key), rows::publication);
        async move { Ok(self.opened_publications(found.await?.into_iter().collect()).await?.pop()) }.boxed()
    }

    fn publications(&self, kind: RecordKind, before: Option<u64>, limit: usize) -> Read<'_, Vec<PublicationRow>> {
        let args = move |limit| Args::new().with(kind.code()).with(below(before)).with(limit);
        self.own_records(bounded(self.page(&statements::PUBLICATION_LIST, limit, args, rows::publication)))
    }

    fn publications_about(&self, target: RecordKey, by: AuthorityId, limit: usize) -> Read<'_, Vec<PublicationRow>> {
        let args = move |limit| key_args(&target).with(&by).with(limit);
        self.own_records(oldest_first(bounded(self.page(
            &statements::PUBLICATION_ABOUT,
            limit,
            args,
            rows::publication,
        ))))
    }

    fn open_streams(&self) -> Read<'_, Vec<OutStream>> {
        self.list(&statements::OUT_STREAM_OPEN, Args::new(), out_stream)
    }

    fn out_stream(
        &self,
        origin: AuthorityId,
        recipient: AuthorityId,
        class: StreamClass,
    ) -> Read<'_, Option<OutStream>> {
        let args = Args::new().with(&origin).with(&recipient).with(class.code());
        self.find_readable(&statements::OUT_STREAM_GET, args, out_stream)
    }

    fn out_batch(
        &self,
        origin: AuthorityId,
        recipient: AuthorityId,
        class: StreamClass,
        items: usize,
        bytes: usize,
    ) -> Read<'_, Vec<OutItem>> {
        async move {
            let items = bounded(self.out_items(&origin, &recipient, class, items.max(1), bytes)).await?;
            self.opened_items(&origin, items).await
        }
        .boxed()
    }

    fn deliveries(&self, filter: DeliveryFilter, before: Option<u64>, limit: usize) -> Read<'_, Vec<DeliveryRow>> {
        bounded(async move { self.delivery_list(&filter, below(before), limit).await })
    }

    fn sent_under(&self, record: RecordKey, recipient: AuthorityId) -> Read<'_, Vec<GrantRef>> {
        let args = Args::new().with(&record.record_id).with(&record.origin).with(&recipient);
        self.list(&statements::DELIVERY_SENT_UNDER, args, |row| {
            let agreement = row.value(0, AgreementId::from_slice(&row.blob(0)?))?;
            Ok(GrantRef { agreement, number: row.value(1, u32::try_from(row.int(1)?).ok())? })
        })
    }

    fn queue_counts(&self) -> Read<'_, Vec<(AuthorityId, QueueCount)>> {
        bounded(async move {
            let mut counts: Vec<(AuthorityId, QueueCount)> = Vec::new();
            let rows = db::all(&self.readers, &statements::OUT_STREAM_COUNTS, Args::new()).await?;
            let statement = &statements::OUT_STREAM_COUNTS;
            let read = |row: &SqliteRow| Ok((row.authority(0)?, row.int(1)?, row.number(2)?));
            for (recipient, held, open) in db::readable(&self.unreadable, statement, &rows, read)? {
                if counts.last().is_none_or(|(last, _)| *last != recipient) {
                    counts.push((recipient, QueueCount::default()));
                }
                if let Some((_, count)) = counts.last_mut() {
                    *(if held == 0 { &mut count.queued } else { &mut count.held }) += open;
                }
            }
            for waiting in self.deferred_items().await? {
                let place = counts.iter().position(|(recipient, _)| *recipient == waiting.recipient);
                let place = place.unwrap_or_else(|| {
                    counts.push((waiting.recipient, QueueCount::default()));
                    counts.len() - 1
                });
                counts[place].1.deferred += waiting.items;
            }
            Ok(counts)
        })
    }

    fn deferred(&self) -> Read<'_, Vec<DeferredItems>> {
        bounded(self.deferred_items())
    }

    fn streams_again(&self) -> Read<'_, Vec<StreamId>> {
        self.list(&statements::OUT_STREAM_AGAIN, Args::new(), |row| {
            let (origin, recipient, class) = super::state::stream_name(row, 0)?;
            Ok(StreamId { origin, recipient, class })
        })
    }

    fn in_stream(&self, key: InStreamKey) -> Read<'_, Option<InStream>> {
        let args = Args::new().with(&key.origin).with(&key.recipient).with(key.class.code());
        let args = args.with(key.origin_incarnation.0).with(key.recipient_incarnation.0);
        self.find_readable(&statements::IN_STREAM_GET, args, |row| {
            Ok(InStream { next: row.number(0)?, receipt: Some(row.bytes(1)?) })
        })
    }

    fn taken(&self, keys: Vec<RecordKey>) -> Read<'_, Vec<bool>> {
        bounded(async move {
            let mut conn = self.readers.acquire().await?;
            let found = db::find_many(&mut conn, &statements::TAKEN_FIND, &keys, |key, args| {
                args.key(Some(key));
            })
            .await?;
            // What is asked for is what it says: each of them reads.
            let found: std::collections::HashSet<RecordKey> =
                found.iter().map(|row| row.key(0)).collect::<std::result::Result<_, _>>()?;
            Ok(keys.iter().map(|key| found.contains(key)).collect())
        })
    }

    fn inbox_after(&self, position: u64, kinds: Vec<RecordKind>, limit: usize) -> Read<'_, Vec<InboxRow>> {
        self.received_records(bounded(self.inbox_list(position, kinds, limit)))
    }

    fn inbox_before(&self, kind: RecordKind, position: Option<u64>, limit: usize) -> Read<'_, Vec<InboxRow>> {
        let args = move |limit| Args::new().with(kind.code()).with(below(position)).with(limit);
        self.received_records(bounded(self.page(&statements::INBOX_BEFORE, limit, args, rows::inbox)))
    }

    fn inbox_record(&self, key: RecordKey) -> Read<'_, Option<InboxRow>> {
        let found = self.find(&statements::INBOX_GET, key_args(&key), rows::inbox);
        async move { Ok(self.opened_inbox(found.await?.into_iter().collect()).await?.pop()) }.boxed()
    }

    fn inbox_about(&self, target: RecordKey, by: AuthorityId, limit: usize) -> Read<'_, Vec<InboxRow>> {
        let args = move |limit| key_args(&target).with(&by).with(limit);
        self.received_records(oldest_first(bounded(self.page(&statements::INBOX_ABOUT, limit, args, rows::inbox))))
    }

    fn inbox_about_by_turns(&self, target: RecordKey, limit: usize) -> Read<'_, Vec<InboxRow>> {
        let args = move |limit| key_args(&target).with(limit);
        self.received_records(bounded(self.page(&statements::INBOX_ABOUT_BY_TURNS, limit, args, rows::inbox)))
    }

    fn inbox_about_any(&self, targets: Vec<RecordKey>) -> Read<'_, Vec<InboxRow>> {
        self.received_records(bounded(async move {
            let mut conn = self.readers.acquire().await?;
            let found = db::find_many(&mut conn, &statements::INBOX_ABOUT_ANY, &targets, |key, args| {
                args.key(Some(key));
            })
            .await?;
            db::readable(&self.unreadable, &statements::INBOX_ABOUT_ANY, &found, rows::inbox)
        }))
    }

    fn inbox_position(&self) -> Read<'_, u64> {
        bounded(async move {
            let row = db::one(&self.readers, &statements::HEAD_GET, Args::new()).await?;
            row.ok_or(sqlx::Error::RowNotFound)?.number(2)
        })
    }

    fn cursor(&self, consumer: String) -> Read<'_, u64> {
        bounded(async move {
            let args = Args::new().with(consumer.as_str());
            let Some(row) = db::one(&self.readers, &statements::READER_GET, args).await? else { return Ok(0) };
            row.number(0).inspect_err(|error| _ = db::note(&self.unreadable, &statements::READER_GET, &row, error))
        })
    }

    fn agreements(&self) -> Read<'_, Vec<AgreementRow>> {
        bounded(async move {
            let args = Args::new().with(NOTHING);
            let orphans = db::all(&self.readers, &statements::AGREEMENT_END_ORPHANS, Args::new()).await?;
            agreements::note_orphans(&self.unreadable, &orphans)?;
            agreements::agreements(&self.unreadable, &db::all(&self.readers, &statements::AGREEMENT_ALL, args).await?)
        })
    }

    fn agreement(&self, id: AgreementId) -> Read<'_, Option<AgreementRow>> {
        bounded(async move {
            let args = Args::new().with(NOTHING).with(id.0.as_slice());
            let rows = db::all(&self.readers, &statements::AGREEMENT_GET, args).await?;
            Ok(agreements::agreements(&self.unreadable, &rows)?.pop())
        })
    }

    fn own_offers(&self) -> Read<'_, Vec<OwnOfferRow>> {
        self.list(&statements::OWN_OFFER_ALL, Args::new(), own_offer)
    }

    fn own_offer(&self, id: OfferId) -> Read<'_, Option<OwnOfferRow>> {
        self.find(&statements::OWN_OFFER_GET, Args::new().with(id.0.as_slice()), own_offer)
    }

    fn partner_offers(&self) -> Read<'_, Vec<PartnerOfferRow>> {
        self.list(&statements::PARTNER_OFFER_ALL, Args::new(), partner_offer)
    }

    fn partner_offer_ids(&self, origin: AuthorityId) -> Read<'_, Vec<OfferId>> {
        self.list(&statements::PARTNER_OFFER_IDS, Args::new().with(&origin), |row| offer_id(row, 0))
    }

    fn shares_of(&self, case: CaseIndex) -> Read<'_, Vec<ShareRow>> {
        let case = Args::new().with(case.as_bytes().as_slice());
        self.list(&statements::AGREEMENT_TO_SHARE_OF_CASE, case, rows::share)
    }

    fn empty_log(&self) -> BoxFuture<'_, Result<bool>> {
        async move { self.ask(Command::Checkpoint).await? }.boxed()
    }

    fn audit_leaves(&self, from: u64, limit: usize) -> Read<'_, Vec<Bytes>> {
        self.list(&statements::AUDIT_LEAF_LIST, Args::new().with(from).with(limit as u64), |row| row.bytes(1))
    }

    fn audit_checkpoints(&self, after: u64, limit: usize) -> Read<'_, Vec<(u64, Bytes)>> {
        let args = Args::new().with(after).with(limit as u64);
        self.list(&statements::AUDIT_CHECKPOINT_LIST, args, |row| Ok((row.number(0)?, row.bytes(1)?)))
    }

    fn audit_head(&self) -> Read<'_, AuditHead> {
        bounded(async move {
            let head = db::one(&self.readers, &statements::HEAD_GET, Args::new()).await?;
            let head = head.ok_or(sqlx::Error::RowNotFound)?;
            let last = db::one(&self.readers, &statements::AUDIT_CHECKPOINT_LAST, Args::new()).await?;
            Ok(AuditHead {
                size: head.number(4)?,
                root: head.value(5, Digest::from_slice(&head.blob(5)?))?,
                time: head.time(7)?,
                checkpoint: db::readable(&self.unreadable, &statements::AUDIT_CHECKPOINT_LAST, &last, |row| {
                    Ok((row.number(0)?, row.bytes(1)?))
                })?
                .pop(),
            })
        })
    }

    fn audit_strays(&self) -> Read<'_, u64> {
        bounded(async move {
            let row = db::one(&self.readers, &statements::HEAD_STRAYS, Args::new()).await?;
            row.ok_or(sqlx::Error::RowNotFound)?.number(0)
        })
    }

    fn owed_recipients(&self, what: What, now: UnixMs) -> Read<'_, Vec<Option<AuthorityId>>> {
        let args = Args::new().with(what as i32).with(now);
        self.list(&statements::OWED_RECIPIENTS, args, |row| rare::recipient_or_none(row, 0))
    }

    fn owed(&self, what: What, recipient: Option<AuthorityId>, now: UnixMs, limit: usize) -> Read<'_, Vec<OwedRow>> {
        let recipient = recipient.as_ref().map_or("", AuthorityId::as_str);
        let recipient = recipient.to_owned();
        let args = move |limit| Args::new().with(what as i32).with(recipient.as_str()).with(now).with(limit);
        bounded(self.page(&statements::OWED_DUE, limit, args, rare::owed_row))
    }

    fn owed_counts(&self) -> Read<'_, Vec<OwedCount>> {
        self.list(&statements::OWED_COUNTS, Args::new(), |row| {
            Ok(OwedCount {
                what: row.value(0, What::from_code(row.code(0)?))?,
                rows: row.number(1)?,
                postponed: row.number(2)?,
                oldest: row.time(3)?,
                reason: row.reason(4)?,
            })
        })
    }

    fn invitations(&self) -> Read<'_, Vec<(InvitationId, Bytes)>> {
        self.list(&statements::INVITATION_ALL, Args::new(), |row| {
            Ok((row.value(0, InvitationId::from_slice(&row.blob(0)?))?, row.bytes(1)?))
        })
    }

    fn invitation(&self, id: InvitationId) -> Read<'_, Option<Bytes>> {
        self.find(&statements::INVITATION_GET, Args::new().with(id.0.as_slice()), |row| row.bytes(0))
    }

    fn invitation_request(&self, request: Digest) -> Read<'_, Option<InvitationRequestRow>> {
        self.find(&statements::INVITATION_REQUEST_GET, Args::new().with(request.0.as_slice()), |row| {
            Ok(InvitationRequestRow {
                body: row.value(0, Digest::from_slice(&row.blob(0)?))?,
                invitation: row.value(1, InvitationId::from_slice(&row.blob(1)?))?,
                expires: row.time(2)?,
            })
        })
    }

    fn partner_incarnation(&self, ours: AuthorityId, theirs: AuthorityId) -> Read<'_, Option<PartnerIncarnation>> {
        let args = Args::new().with(&ours).with(&theirs);
        self.find_readable(&statements::PARTNER_INCARNATION_GET, args, |row| {
            Ok(PartnerIncarnation { incarnation: Incarnation(row.number(0)?), hello: row.bytes(1)? })
        })
    }

    fn meta(&self, name: Named) -> Read<'_, Option<Bytes>> {
        self.find(&statements::META_GET, Args::new().with(name.name()), |row| row.bytes(0))
    }

    fn incarnation(&self) -> Incarnation {
        Incarnation(self.incarnation.load(Ordering::Acquire))
    }

    fn unreadable(&self) -> &UnreadableRows {
        &self.unreadable
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            self.readers.close().await;
            self.ask(Command::Close).await.ok();
            self.keys.close().await;
        }
        .boxed()
    }

    fn back_up_keys(&self, now: UnixMs) -> Read<'_, ()> {
        self.keys.back_up(now).boxed()
    }

    fn sweep(&self, now: UnixMs) -> Read<'_, u64> {
        async move {
            let mut swept = 0;
            loop {
                let rows = self.ask(|reply| Command::Sweep(now, reply)).await??;
                swept += rows;
                if rows == 0 {
                    break;
                }
            }
            self.keys.back_up(now).await?;
            self.ask(Command::Checkpoint).await??;
            Ok(swept)
        }
        .boxed()
    }
}

/// Of more rows than are asked for the newest are read; they are given in the order in which they came.
fn oldest_first<'a, T: Send + 'a>(rows: Read<'a, Vec<T>>) -> Read<'a, Vec<T>> {
    Box::pin(async move {
        let mut rows = rows.await?;
        rows.reverse();
        Ok(rows)
    })
}
