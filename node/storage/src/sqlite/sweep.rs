//! Forgetting what is past its time, a chunk per transaction, so that the writer is never long away.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::db::{Args, Columns, ErrorClass, all, classify, failed, find_many, one, readable, run, run_many};
use super::keys::KeyStore;
use super::{rows, statements};
use crate::domain::ids::{RecordId, ShareId};
use crate::domain::limits;
use crate::domain::person::CaseIndex;
use crate::domain::record::RecordKey;
use crate::domain::time::UnixMs;
use crate::unreadable::UnreadableRows;
use crate::{EndProcess, RECEIPT_LIFE, Result};

/// Rows of one table in one transaction.
const CHUNK: u64 = 500;

/// One chunk of each table; 0 when nothing was left to do. Salts die before their records (9.9).
///
/// # Errors
/// When the files cannot be written; nothing of the chunk is gone then, except salts. An I/O error ends the process (9.8).
pub(super) async fn chunk(
    conn: &mut SqliteConnection,
    keys: &Arc<KeyStore>,
    unreadable: &UnreadableRows,
    now: UnixMs,
    end_process: &EndProcess,
) -> Result<u64> {
    let past = now - limits::DEDUP_AFTER_EXPIRY;
    let received = all(&mut *conn, &statements::INBOX_PAST, limit(now)).await.map_err(failed)?;
    let hidden = all(&mut *conn, &statements::HIDDEN_INBOX_PAST, limit(now)).await.map_err(failed)?;
    let mut published = all(&mut *conn, &statements::PUBLICATION_PAST, limit(past)).await.map_err(failed)?;
    // What was said about a person ends with its time, at its origin as well (11.6); nobody is told that it did.
    published.extend(all(&mut *conn, &statements::PUBLICATION_PAST_ABOUT_PERSONS, limit(now)).await.map_err(failed)?);
    let (disclosed, erased) = past_accounts(conn, unreadable, now).await?;
    // One whose id does not read is past its time like the others.
    let ids =
        |statement, rows: &[SqliteRow]| readable(unreadable, statement, rows, |row| row.record_id(1)).map_err(failed);
    let mut records: Vec<RecordId> = ids(&statements::INBOX_PAST, &received)?;
    records.extend(ids(&statements::HIDDEN_INBOX_PAST, &hidden)?);
    records.extend(ids(&statements::PUBLICATION_PAST, &published)?);
    records.extend(disclosed.iter().map(|key| key.record_id).chain(erased.iter().copied()));
    let bind = |id: &RecordId, args: &mut Args| {
        args.push(id);
    };
    let slots = find_many(&mut *conn, &statements::SALT_FIND, &records, bind).await.map_err(failed)?;
    let slots = readable(unreadable, &statements::SALT_FIND, &slots, |row| row.number(1)).map_err(failed)?;
    keys.destroy(&slots).await?;
    let shares = past_shares(conn, keys, unreadable, now).await?;
    erase_past(keys, unreadable, [&received, &hidden, &published], now).await?;
    let swept = async {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
        run_many(conn, &statements::SALT_DELETE, &records, bind).await?;
        delete(conn, &statements::INBOX_DELETE, &received).await?;
        delete(conn, &statements::HIDDEN_INBOX_DELETE, &hidden).await?;
        delete(conn, &statements::PUBLICATION_DELETE, &published).await?;
        delete(conn, &statements::AGREEMENT_TO_SHARE_DELETE, &shares).await?;
        run_many(conn, &statements::DISCLOSURE_DELETE, &disclosed, |key, args| {
            args.key(Some(key));
        })
        .await?;
        // An expired item's number is still to be told as a SKIP; what it would have said is not kept for that.
        run(&mut *conn, &statements::DELIVERY_EXPIRE, limit(now)).await?;
        run(&mut *conn, &statements::DELIVERY_EXPIRE_DEFERRED, limit(now)).await?;
        let mut rows = (received.len() + hidden.len() + published.len() + shares.len()) as u64;
        rows += (disclosed.len() + erased.len()) as u64;
        for (statement, at) in [
            (&statements::REQUEST_SWEEP, now),
            (&statements::INVITATION_REQUEST_SWEEP, now),
            (&statements::TAKEN_SWEEP, now),
            (&statements::PARTNER_OFFER_SWEEP, now),
            (&statements::ASKED_HOLD_SWEEP, now),
            (&statements::OUTBOX_SWEEP, now),
            (&statements::DELIVERY_SWEEP, past),
            (&statements::RECEIPT_SWEEP, now - RECEIPT_LIFE),
        ] {
            rows += run(&mut *conn, statement, limit(at)).await?;
        }
        sqlx::query("COMMIT").execute(&mut *conn).await?;
        Ok(rows)
    };
    let swept: std::result::Result<u64, sqlx::Error> = swept.await;
    swept.map_err(|error| {
        if classify(&error) == ErrorClass::Io {
            end_process("a sweep reported an I/O error");
        }
        failed(error)
    })
}

/// Who got what about a person, for which nobody has to answer any more (11.16), unless its answer is open; and the records whose
/// words were erased, and whose salts are left.
async fn past_accounts(
    conn: &mut SqliteConnection,
    unreadable: &UnreadableRows,
    now: UnixMs,
) -> Result<(Vec<RecordKey>, Vec<RecordId>)> {
    let past = limit(now - limits::ACCOUNTABLE);
    let disclosed = all(&mut *conn, &statements::DISCLOSURE_PAST, past).await.map_err(failed)?;
    let disclosed = readable(unreadable, &statements::DISCLOSURE_PAST, &disclosed, |row| row.key(0)).map_err(failed)?;
    let erased = all(conn, &statements::SALT_ERASED, Args::new().with(CHUNK)).await.map_err(failed)?;
    let erased = readable(unreadable, &statements::SALT_ERASED, &erased, |row| row.record_id(0)).map_err(failed)?;
    Ok((disclosed, erased))
}

/// The keys of what is past its time and concerns a person: inbox, what waits there, publications.
async fn erase_past(
    keys: &Arc<KeyStore>,
    unreadable: &UnreadableRows,
    past: [&[SqliteRow]; 3],
    now: UnixMs,
) -> Result<()> {
    let from = [&statements::INBOX_PAST, &statements::HIDDEN_INBOX_PAST, &statements::PUBLICATION_PAST];
    let key = |row: &SqliteRow| {
        let key = RecordKey { origin: row.authority(2)?, record_id: row.record_id(1)? };
        Ok(rows::kind(row, 3)?.is_about_persons().then_some(key))
    };
    let mut about_persons = Vec::new();
    for (statement, rows) in from.into_iter().zip(past) {
        about_persons.extend(readable(unreadable, statement, rows, key).map_err(failed)?.into_iter().flatten());
    }
    if about_persons.is_empty() { Ok(()) } else { keys.erase_records(about_persons, now).await }
}

/// Agreements to share that are past their time. Their keys are gone when this answers; those of a case go with its last one (9.16).
async fn past_shares(
    conn: &mut SqliteConnection,
    keys: &Arc<KeyStore>,
    unreadable: &UnreadableRows,
    now: UnixMs,
) -> Result<Vec<SqliteRow>> {
    let shares = all(&mut *conn, &statements::AGREEMENT_TO_SHARE_PAST, limit(now)).await.map_err(failed)?;
    let sealed = |row: &SqliteRow| {
        let (id, origin) = (row.value(1, ShareId::from_slice(&row.blob(1)?))?, row.authority(2)?);
        let key = |withdrawn| RecordKey { origin: origin.clone(), record_id: id.sealed_as(withdrawn) };
        Ok([key(false), key(true)])
    };
    let sealed = readable(unreadable, &statements::AGREEMENT_TO_SHARE_PAST, &shares, sealed).map_err(failed)?;
    if !sealed.is_empty() {
        keys.erase_records(sealed.into_iter().flatten().collect(), now).await?;
    }
    let cases = |row: &SqliteRow| row.value(3, CaseIndex::from_slice(&row.blob(3)?));
    let cases: BTreeSet<CaseIndex> = readable(unreadable, &statements::AGREEMENT_TO_SHARE_PAST, &shares, cases)
        .map_err(failed)?
        .into_iter()
        .collect();
    for case in cases {
        let lasts = Args::new().with(case.as_bytes().as_slice()).with(now);
        let lasts = one(&mut *conn, &statements::AGREEMENT_TO_SHARE_CASE_LASTS, lasts).await.map_err(failed)?;
        if lasts.is_none() {
            keys.forget_case(case).await?;
        }
    }
    Ok(shares)
}

fn limit(at: UnixMs) -> Args {
    Args::new().with(at).with(CHUNK)
}

async fn delete(
    conn: &mut SqliteConnection,
    statement: &'static statements::SqlStatement,
    rows: &[SqliteRow],
) -> std::result::Result<(), sqlx::Error> {
    let ids: Vec<i64> = rows.iter().map(|row| row.int(0)).collect::<std::result::Result<_, _>>()?;
    run_many(conn, statement, &ids, |id, args| {
        args.push(*id);
    })
    .await
}
