//! What is owed, in every sort: owed with the act that causes it, and gone with the act that fulfils it.
//!
//! A record that is dispatched is owed to one partner in turn, which counts as suspended; an agreement brings a row of each
//! other sort. What fulfils a row is an envelope whose record follows from the row, so that a check can tell a row that was
//! fulfilled from one that was lost.

use bytes::Bytes;
use havenlink::domain::audit::{AuditAct, AuditDraft};
use havenlink::domain::envelope::GrantRef;
use havenlink::domain::ids::{AgreementId, AuthorityId, Digest, OfferId, RecordId, StatementId};
use havenlink::domain::reason::Reason;
use havenlink::domain::record::RecordKey;
use havenlink::domain::time::Millis;
use havenlink::storage::ops::{Put, Write};
use havenlink::storage::owed::{Owed, OwedKey, OwedRow, Postponed, Subject, What};
use havenlink::storage::rows::AgreementRow;
use havenlink::storage::{Error, Store};

use crate::load::{self, filled};
use crate::parties::{HERE, PARTNERS, authority};
use crate::stage::{Stage, say};

/// Rows that are fulfilled in one transaction.
const TOGETHER: usize = 24;
/// One row of so many cannot be done, for as long as a run lasts.
const IMPOSSIBLE: u8 = 16;

/// The partner that counts as suspended when this record is dispatched.
pub fn suspended(record: &RecordId) -> AuthorityId {
    authority(PARTNERS[1 + usize::from(record.0[0]) % (PARTNERS.len() - 1)])
}

/// What a dispatched record owes to the partner that is suspended.
pub fn of_record(record: &RecordId) -> OwedKey {
    let key = RecordKey { origin: authority(HERE), record_id: *record };
    OwedKey::to(&suspended(record), Subject::SuspendedRecord(key))
}

/// What an agreement owes: a row of each sort that a dispatch does not owe.
pub fn of_agreement(id: AgreementId) -> Vec<OwedKey> {
    let to = |partner: usize, subject| OwedKey::to(&authority(PARTNERS[partner]), subject);
    let key = |what| match what {
        What::SuspendedRecord => None,
        What::Backfill => Some(to(0, Subject::Backfill(GrantRef { agreement: id, number: 1 }))),
        What::Announcement => Some(to(1, Subject::Announcement(id))),
        What::EndNotice => Some(to(2, Subject::EndNotice(id, authority(HERE)))),
        What::PauseNotice => Some(OwedKey::of(Subject::PauseNotice(OfferId(short(&id))))),
        What::EmergencyEntry => Some(to(3, Subject::EmergencyEntry(StatementId(id.0)))),
        What::Erasure => {
            let key = RecordKey { origin: authority(PARTNERS[3]), record_id: RecordId(short(&id)) };
            Some(OwedKey::of(Subject::Erasure(key)))
        }
    };
    What::ALL.into_iter().filter_map(key).collect()
}

fn short(id: &AgreementId) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&id.0[..16]);
    short
}

/// A row in one word.
pub fn name(key: &OwedKey) -> String {
    let recipient = key.recipient.as_ref().map_or("-", AuthorityId::as_str);
    format!("{}/{recipient}/{}", key.subject.what().name(), key.subject.text())
}

/// The record that fulfils a row, and whom it goes to.
pub fn fulfilment(key: &OwedKey) -> (RecordId, AuthorityId) {
    let to = key.recipient.clone().unwrap_or_else(|| authority(PARTNERS[0]));
    if let Subject::SuspendedRecord(record) = &key.subject {
        return (record.record_id, to);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(name(key).as_bytes()).0[..16]);
    (RecordId(id), to)
}

/// A new agreement, and what it owes. Its lines: `agree ID`, `owe ROW`.
pub async fn agree(stage: &Stage) -> Result<(), Error> {
    let id = AgreementId(Digest::of(uuid::Uuid::new_v4().as_bytes()).0);
    let row = AgreementRow { id, signed: signed(&id), complete: true, ends: Vec::new(), unconfirmed: false };
    let keys = of_agreement(id);
    let owes = keys.iter().map(|key| Owed::now(key.clone(), stage.now)).collect();
    let audit = vec![AuditDraft { agreement: Some(id), ..AuditDraft::by_node(AuditAct::AgreementInForce) }];
    stage.store.write(Write { owes, audit, ..Write::put(Put::Agreement(row)) }.into()).await?;
    say(&format!("agree {id}"));
    keys.iter().for_each(|key| say(&format!("owe {}", name(key))));
    Ok(())
}

/// Bytes that follow from the id.
pub fn signed(id: &AgreementId) -> Bytes {
    Bytes::copy_from_slice(&id.0)
}

/// Fulfils what is due of a sort, up to a few rows; one of some cannot be done and is postponed. Its lines: `fulfil ROW`,
/// `postpone ROW`. Answers how many rows there were.
pub async fn fulfil(stage: &Stage, what: What) -> Result<usize, Error> {
    let mut done = 0;
    for recipient in stage.store.owed_recipients(what, stage.now).await? {
        let rows = stage.store.owed(what, recipient, stage.now, TOGETHER).await?;
        let mut write = Write::default();
        for row in &rows {
            let key = row.key.clone();
            if impossible(row) {
                let due = stage.now + Millis::days(1);
                write.postpones.push(Postponed { key, due, reason: Reason::StorageDamaged });
                continue;
            }
            let (record, to) = fulfilment(&key);
            let permit = match what {
                What::SuspendedRecord => stage.parties.alert(&authority(HERE), &to),
                _ => stage.parties.withdrawal(&authority(HERE), &to),
            };
            // Partners are allowed by the parties made by hand.
            let Ok(permit) = permit else { continue };
            write.audit.push(load::disclosed(&record, &to));
            write.deliveries.push(load::delivery(stage, permit, record, filled(&record, 400)));
            write.settles.push(key);
        }
        stage.store.write(write.into()).await?;
        for row in &rows {
            let act = if impossible(row) { "postpone" } else { "fulfil" };
            say(&format!("{act} {}", name(&row.key)));
        }
        done += rows.len();
    }
    Ok(done)
}

fn impossible(row: &OwedRow) -> bool {
    fulfilment(&row.key).0.0[15].is_multiple_of(IMPOSSIBLE)
}

/// The line of a record that the partner which is suspended is owed.
pub fn say_owed(record: &RecordId) {
    say(&format!("owe {}", name(&of_record(record))));
}
