//! Rows that a batch has collected, and their way into the tables: many rows, few statements.

use std::collections::HashMap;

use bytes::Bytes;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::db::{Args, Columns};
use super::script::Script;
use super::state::{OutState, StreamName};
use super::statements;
use crate::domain::agreement::Usage;
use crate::domain::envelope::GrantRef;
use crate::domain::handling::{Handling, Pap, Purpose, Tlp};
use crate::domain::ids::{AgreementId, Digest, KeyId, RecordId, ShareId};
use crate::domain::limits;
use crate::domain::person::CaseIndex;
use crate::domain::person::share::ShareScope;
use crate::domain::policy::KeptRecord;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::records::Facet;
use crate::domain::time::UnixMs;
use crate::ops::*;
use crate::rows::*;

/// A delivery with its place in its stream.
pub(super) struct DeliveryAt<'a> {
    pub sequence: u64,
    pub stream: i64,
    pub place: u64,
    pub item: &'a NewDelivery,
}

/// Consecutive numbers that were answered alike.
pub(super) struct Run {
    pub stream: i64,
    /// Places.
    pub first: u64,
    pub last: u64,
    /// `None`: skipped; the item says why.
    pub state: Option<DeliveryState>,
    pub reason: Option<Reason>,
    pub attempts: u32,
    pub finished: UnixMs,
}

/// A received record with its position; 0: it waits.
pub(super) struct InboxAt<'a> {
    pub position: u64,
    pub item: &'a NewInbox,
    pub op: &'a Receive,
}

/// What was collected. `'a`: the operations it comes from.
#[derive(Default)]
pub(super) struct Rows<'a> {
    pub requests: Vec<&'a RequestMark>,
    pub publications: Vec<(u64, &'a NewPublication)>,
    /// Publications of this batch that wait for the dispatcher.
    pub pending: Vec<u64>,
    pub dispatched: Vec<u64>,
    pub streams: HashMap<StreamName, OutState>,
    pub deliveries: Vec<DeliveryAt<'a>>,
    pub runs: Vec<Run>,
    pub receipts: Vec<(i64, &'a Settle)>,
    pub inbox: Vec<InboxAt<'a>>,
    pub in_streams: HashMap<StreamName, &'a Receive>,
}

impl Rows<'_> {
    /// Adds everything to the script, parents before children.
    pub async fn flush(&mut self, script: &mut Script, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let streams: Vec<_> = self.streams.drain().collect();
        script
            .push_many(conn, &statements::OUT_STREAM_PUT, &streams, |(name, s), args| bind_stream(name, s, args))
            .await?;
        script
            .push_many(conn, &statements::REQUEST_INSERT, &std::mem::take(&mut self.requests), |m, args| {
                args.push(m.scope.as_str()).push(m.request_id.as_str()).push(m.body.0.as_slice());
                args.push(&m.answer).push(m.expires);
            })
            .await?;
        self.flush_publications(script, conn).await?;
        self.flush_deliveries(script, conn).await?;
        self.flush_settled(script, conn).await?;
        self.flush_received(script, conn).await
    }

    async fn flush_publications(
        &mut self,
        script: &mut Script,
        conn: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        let new = std::mem::take(&mut self.publications);
        script
            .push_many(conn, &statements::PUBLICATION_INSERT, &new, |(sequence, p), args| {
                args.push(*sequence).push(&p.authority).push(&p.record_id).push(p.kind.code()).key(p.target.as_ref());
                args.push(p.created).push(p.expires).push(&p.body);
            })
            .await?;
        let bind = |sequence: &u64, args: &mut Args| {
            args.push(*sequence);
        };
        script.push_many(conn, &statements::UNDISPATCHED_INSERT, &std::mem::take(&mut self.pending), bind).await?;
        script.push_many(conn, &statements::UNDISPATCHED_DELETE, &std::mem::take(&mut self.dispatched), bind).await
    }

    async fn flush_deliveries(&mut self, script: &mut Script, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let new = std::mem::take(&mut self.deliveries);
        script
            .push_many(conn, &statements::DELIVERY_INSERT, &new, |d, args| {
                let grant = d.item.permit.grant();
                args.push(d.sequence).push(d.stream).push(d.place).push(&d.item.record_id);
                args.push(d.item.permit.kind().code()).push(d.item.digest.0.as_slice());
                args.push(grant.as_ref().map_or([].as_slice(), |g| &g.agreement.0));
                args.push(grant.map_or(-1, |g| i64::from(g.number))).push(d.item.as_of.unwrap_or(UnixMs(0)));
                args.push(d.item.traceparent.as_str()).push(d.item.queued).push(d.item.expires);
                bind_question(&d.item.question, args);
            })
            .await?;
        script
            .push_many(conn, &statements::OUTBOX_INSERT, &new, |d, args| {
                args.push(d.sequence).push(d.item.expires).push(&d.item.envelope);
            })
            .await
    }

    async fn flush_settled(&mut self, script: &mut Script, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        for settled in std::mem::take(&mut self.runs) {
            let args = Args::new().with(settled.stream).with(settled.first).with(settled.last);
            match settled.state {
                Some(state) => {
                    let args = args.with(state as i32).with(settled.reason.map_or("", Reason::code));
                    let args = args.with(settled.attempts).with(settled.finished);
                    script.push(&statements::DELIVERY_SETTLE, args);
                }
                None => {
                    let args = args.with(settled.attempts).with(settled.finished);
                    script.push(&statements::DELIVERY_SETTLE_SKIPPED, args);
                }
            }
        }
        script
            .push_many(conn, &statements::RECEIPT_INSERT, &std::mem::take(&mut self.receipts), |(stream, op), args| {
                args.push(*stream).push(op.first).push(op.results.len() as u64).push(op.now).push(&op.receipt);
            })
            .await
    }

    async fn flush_received(&mut self, script: &mut Script, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let new = std::mem::take(&mut self.inbox);
        script
            .push_many(conn, &statements::TAKEN_INSERT, &new, |at, args| {
                let forget_at = at.item.expires + limits::DEDUP_AFTER_EXPIRY;
                args.key(Some(&at.item.key)).push(at.position).push(forget_at);
            })
            .await?;
        let (shown, hidden): (Vec<_>, Vec<_>) = new.into_iter().partition(|at| at.position > 0);
        script
            .push_many(conn, &statements::INBOX_INSERT, &shown, |at, args| {
                args.push(at.position);
                bind_received(at, args);
            })
            .await?;
        script.push_many(conn, &statements::HIDDEN_INBOX_INSERT, &hidden, bind_received).await?;
        let streams: Vec<_> = self.in_streams.drain().collect();
        script
            .push_many(conn, &statements::IN_STREAM_PUT, &streams, |((origin, recipient, class), op), args| {
                args.push(origin).push(recipient).push(class.code()).push(op.stream.origin_incarnation.0);
                args.push(op.stream.recipient_incarnation.0).push(op.next).push(&op.receipt);
            })
            .await
    }
}

/// Purpose, handling, creation, what the content says to the question, key.
pub(super) fn bind_question(q: &Question, args: &mut Args) {
    let [facet, more] = q.facet.map_or([0, 0], Facet::codes);
    args.push(q.purpose.code()).push(q.handling.tlp.code()).push(q.handling.pap.code()).push(q.created);
    args.push(facet).push(more).push(q.key.0.as_slice());
}

/// Columns from the grant's number on; `None`: never filled, or not what this program writes.
fn question(
    row: &SqliteRow,
    kind: RecordKind,
    agreement: Option<AgreementId>,
) -> Result<Option<Question>, sqlx::Error> {
    let number = u32::try_from(row.int(12)?).ok();
    let codes = [row.code(17)?, row.code(18)?];
    let (purpose, tlp, pap) = (row.code(13)?, row.code(14)?, row.code(15)?);
    let (created, key) = (row.time(16)?, row.blob(19)?);
    let read = || {
        let content = kind.class() == StreamClass::Content;
        Some(Question {
            purpose: Purpose::from_code(purpose)?,
            handling: Handling { tlp: Tlp::from_code(tlp)?, pap: Pap::from_code(pap)? },
            created,
            facet: if content { Some(Facet::from_codes(kind, codes)?) } else { None },
            grant: agreement.zip(number).map(|(agreement, number)| GrantRef { agreement, number }),
            key: KeyId::from_slice(&key)?,
        })
    };
    Ok(read())
}

fn bind_stream((origin, recipient, class): &StreamName, s: &OutState, args: &mut Args) {
    args.push(s.id).push(origin).push(recipient).push(class.code());
    args.push(s.numbers.under.origin.0).push(s.numbers.under.recipient.0);
    args.push(s.numbers.first_unsettled).push(s.numbers.next);
    args.push(s.held).push(s.attempts).push(s.reason.map_or("", Reason::code));
    args.push(s.next_attempt.unwrap_or(UnixMs(0)));
    let (after, upto) = s.again.map_or((0, 0), |again| (again.after, again.upto));
    args.push(s.base).push(after).push(upto);
}

fn bind_received(at: &InboxAt<'_>, args: &mut Args) {
    args.push(&at.op.stream.recipient).key(Some(&at.item.key)).push(at.item.kind.code()).key(at.item.target.as_ref());
    args.push(at.item.digest.0.as_slice()).push(at.op.now).push(at.item.expires).push(at.item.keep_until);
    args.push(at.item.traceparent.as_str()).push(&at.item.envelope).push(at.item.usage.code());
}

pub(super) fn publication(row: &SqliteRow) -> Result<PublicationRow, sqlx::Error> {
    Ok(PublicationRow {
        sequence: row.number(0)?,
        authority: row.authority(1)?,
        record_id: row.record_id(2)?,
        target: row.key_or_none(4)?,
        created: row.time(6)?,
        record: KeptRecord::own(kind(row, 3)?, row.time(7)?, row.bytes(8)?),
        dispatched: row.int(9)? == 0,
    })
}

pub(super) fn kind(row: &SqliteRow, column: usize) -> Result<crate::domain::record::RecordKind, sqlx::Error> {
    row.value(column, crate::domain::record::RecordKind::from_code(row.code(column)?))
}

pub(super) fn inbox(row: &SqliteRow) -> Result<InboxRow, sqlx::Error> {
    let usage = row.value(12, Usage::from_code(row.code(12)?))?;
    Ok(InboxRow {
        position: row.number(0)?,
        recipient: row.authority(1)?,
        key: row.key(2)?,
        target: row.key_or_none(5)?,
        received: row.time(7)?,
        record: KeptRecord::received(kind(row, 4)?, row.time(8)?, row.time(9)?, usage, row.bytes(11)?),
        traceparent: row.text(10)?,
    })
}

pub(super) fn out_item(row: &SqliteRow, envelope: Option<Vec<u8>>) -> Result<OutItem, sqlx::Error> {
    let (agreement, kind) = (AgreementId::from_slice(&row.blob(4)?), kind(row, 2)?);
    let payload = match (row.reason(5)?, envelope) {
        (Some(reason), _) => OutPayload::Skip(reason),
        (None, Some(envelope)) => OutPayload::Envelope(Bytes::from(envelope)),
        (None, None) => return row.value(11, None),
    };
    Ok(OutItem {
        number: row.number(0)?,
        record_id: row.record_id(1)?,
        kind,
        digest: row.value(3, crate::domain::ids::Digest::from_slice(&row.blob(3)?))?,
        agreement,
        question: question(row, kind, agreement)?,
        payload,
        as_of: row.time_or_none(6)?,
        traceparent: row.text(7)?,
        queued: row.time(8)?,
        expires: row.time(9)?,
        waiting_since: row.time_or_none(10)?,
        given: row.time_or_none(22)?,
    })
}

/// A number whose row is not there any more, or does not read: it travels as a SKIP, so that those behind it go on.
pub(super) fn lost(number: u64) -> OutItem {
    OutItem {
        number,
        record_id: RecordId([0; 16]),
        kind: RecordKind::Alert,
        digest: Digest([0; 32]),
        agreement: None,
        question: None,
        payload: OutPayload::Skip(Reason::StorageDamaged),
        as_of: None,
        traceparent: String::new(),
        queued: UnixMs(0),
        expires: UnixMs::NEVER,
        waiting_since: None,
        given: None,
    }
}

pub(super) fn delivery(row: &SqliteRow) -> Result<DeliveryRow, sqlx::Error> {
    Ok(DeliveryRow {
        sequence: row.number(0)?,
        origin: row.authority(1)?,
        recipient: row.authority(2)?,
        record_id: row.record_id(3)?,
        kind: kind(row, 4)?,
        state: row.value(5, DeliveryState::from_code(row.code(5)?))?,
        attempts: row.value(6, u32::try_from(row.int(6)?).ok())?,
        reason: row.reason(7)?,
        queued: row.time(8)?,
        finished: row.time_or_none(9)?,
        next_attempt: row.time_or_none(10)?,
        agreement: crate::domain::ids::AgreementId::from_slice(&row.blob(11)?),
    })
}

pub(super) fn share(row: &SqliteRow) -> Result<ShareRow, sqlx::Error> {
    Ok(ShareRow {
        id: row.value(1, ShareId::from_slice(&row.blob(1)?))?,
        authority: row.authority(2)?,
        version: row.number(3)?,
        sealed: row.bytes(4)?,
        unconfirmed: row.int(5)? != 0,
    })
}

pub(super) fn disclosure(row: &SqliteRow) -> Result<DisclosureRow, sqlx::Error> {
    Ok(DisclosureRow {
        key: row.key(0)?,
        recipient: row.authority(2)?,
        kind: kind(row, 3)?,
        scope: row.value(4, ShareScope::from_code(row.code(4)?))?,
        purpose: row.value(5, Purpose::from_code(row.code(5)?))?,
        case: row.value(6, CaseIndex::from_slice(&row.blob(6)?))?,
        share: row.value(7, ShareId::from_slice(&row.blob(7)?))?,
        shared_at: row.time(8)?,
        erase_by: row.time(9)?,
        state: row.value(10, DisclosureState::from_code(row.code(10)?))?,
        counter: row.number(11)?,
        noticed_at: row.time(12)?,
        due_by: row.time(13)?,
        answered_at: row.time(14)?,
        receipt: row.bytes(15)?,
    })
}

pub(super) fn withdrawal(row: &SqliteRow) -> Result<WithdrawalRow, sqlx::Error> {
    Ok(WithdrawalRow {
        key: row.key(0)?,
        recipient: row.authority(2)?,
        counter: row.number(3)?,
        received: row.time(4)?,
        due_by: row.time(5)?,
        done_at: row.time_or_none(6)?,
        notice: row.bytes(7)?,
    })
}

pub(super) fn answered(row: &SqliteRow) -> Result<AnsweredRow, sqlx::Error> {
    let (ours, partner) = (row.authority(0)?, row.authority(1)?);
    Ok(AnsweredRow { ours, partner, contact: row.time(2)?, unknown: row.int(3)? != 0 })
}
