//! Operations as the node's use cases make them, each acknowledged with its line.

use bytes::Bytes;
use havenlink::domain::agreement::Usage;
use havenlink::domain::audit::{AuditAct, AuditDraft};
use havenlink::domain::ids::{AuthorityId, Digest, Incarnation, RecordId};
use havenlink::domain::policy::Permit;
use havenlink::domain::record::{RecordKey, RecordKind, StreamClass};
use havenlink::domain::time::Millis;
use havenlink::storage::ops::*;
use havenlink::storage::owed::Owed;
use havenlink::storage::rows::InStreamKey;
use havenlink::storage::{Error, Store};

use crate::owed;
use crate::parties::{HERE, PARTNERS, authority};
use crate::stage::{Stage, say, uuid_of};

/// The incarnation of every sender; ours is the store's.
const THEIRS: Incarnation = Incarnation(7);

/// A new own record. Its line: `publish UUID`.
pub async fn publish(stage: &Stage, id: RecordId, bytes: usize) -> Result<(), Error> {
    let uuid = uuid_of(&id);
    let publication = NewPublication {
        authority: authority(HERE),
        record_id: id,
        kind: RecordKind::Alert,
        target: None,
        body: filled(&id, bytes),
        created: stage.now,
        expires: stage.now + Millis::days(90),
    };
    let request = RequestMark {
        scope: "publisher/PublishRecord".into(),
        request_id: uuid.to_string(),
        body: Digest::of(&publication.body),
        answer: Bytes::copy_from_slice(&id.0),
        expires: stage.now + Millis::hours(24),
    };
    let audit = vec![act(AuditAct::Published, &id)];
    stage.store.write(WriteOp::Publish(Publish { request: Some(request), publication, made: None, audit })).await?;
    say(&format!("publish {uuid}"));
    Ok(())
}

/// The record prepared for every partner but the one that is suspended, which is owed it. Its lines: `queue UUID/PARTNER`,
/// `owe ROW`.
pub async fn dispatch(stage: &Stage, id: RecordId, bytes: usize) -> Result<(), Error> {
    let (here, suspended) = (authority(HERE), owed::suspended(&id));
    let partners = PARTNERS.iter().map(|name| authority(name)).filter(|partner| *partner != suspended);
    let permits = partners.filter_map(|partner| stage.parties.alert(&here, &partner).ok());
    let key = RecordKey { origin: here.clone(), record_id: id };
    let owes = vec![Owed::now(owed::of_record(&id), stage.now)];
    queue(stage, Some(key), permits.collect(), owes, id, bytes).await?;
    owed::say_owed(&id);
    Ok(())
}

/// A withdrawal for every partner. Its lines: `queue UUID/PARTNER`.
pub async fn withdraw(stage: &Stage, id: RecordId) -> Result<(), Error> {
    let here = authority(HERE);
    let permits = PARTNERS.iter().filter_map(|p| stage.parties.withdrawal(&here, &authority(p)).ok());
    queue(stage, None, permits.collect(), Vec::new(), id, 400).await
}

async fn queue(
    stage: &Stage,
    publication: Option<RecordKey>,
    permits: Vec<Permit>,
    owes: Vec<Owed>,
    id: RecordId,
    bytes: usize,
) -> Result<(), Error> {
    let recipients: Vec<AuthorityId> = permits.iter().map(|p| p.to().clone()).collect();
    let audit = recipients.iter().map(|to| disclosed(&id, to)).collect();
    let items = permits.into_iter().map(|permit| delivery(stage, permit, id, filled(&id, bytes))).collect();
    stage.store.write(WriteOp::Queue(Queue { publication, items, owes, audit })).await?;
    for recipient in recipients {
        say(&format!("queue {}/{recipient}", uuid_of(&id)));
    }
    Ok(())
}

/// The ledger's line of a delivery.
pub fn disclosed(id: &RecordId, to: &AuthorityId) -> AuditDraft {
    AuditDraft { counterparty: Some(to.clone()), ..act(AuditAct::Disclosed, id) }
}

/// An envelope to queue.
pub fn delivery(stage: &Stage, permit: Permit, record_id: RecordId, envelope: Bytes) -> NewDelivery {
    NewDelivery {
        question: stage.parties.question(&permit),
        permit,
        record_id,
        digest: Digest::of(&envelope),
        envelope,
        as_of: None,
        traceparent: String::new(),
        queued: stage.now,
        expires: stage.now + Millis::days(90),
    }
}

/// The partner's answer to everything that waits for it, up to a batch. Its lines: `settle UUID/PARTNER`. Answers how
/// many items there were.
pub async fn settle(stage: &Stage, partner: &str) -> Result<usize, Error> {
    let (here, there, class) = (authority(HERE), authority(partner), StreamClass::Content);
    let Some(stream) = stage.store.out_stream(here.clone(), there.clone(), class).await? else { return Ok(0) };
    let items = stage.store.out_batch(here.clone(), there.clone(), class, 64, 1 << 20).await?;
    let Some(first) = items.first().map(|item| item.number) else { return Ok(0) };
    let op = Settle {
        origin: here,
        recipient: there,
        class,
        origin_incarnation: stream.origin_incarnation,
        recipient_incarnation: stream.recipient_incarnation,
        first,
        results: vec![ItemResult::Stored; items.len()],
        receipt: Bytes::from(format!("receipt of {partner} from {first}")),
        now: stage.now,
        audit: Vec::new(),
    };
    stage.store.write(WriteOp::Settle(op)).await?;
    for item in &items {
        say(&format!("settle {}/{partner}", uuid_of(&item.record_id)));
    }
    Ok(items.len())
}

/// The stream from a partner.
pub fn stream_from(stage: &Stage, partner: &str) -> InStreamKey {
    InStreamKey {
        origin: authority(partner),
        recipient: authority(HERE),
        class: StreamClass::Content,
        origin_incarnation: THEIRS,
        recipient_incarnation: stage.store.incarnation(),
    }
}

/// The record under a number of a partner's stream: the same one whenever it is sent.
pub fn record_under(partner: &str, number: u64) -> RecordId {
    let digest = Digest::of(format!("{partner}/{number}").as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&digest.0[..16]);
    RecordId(id)
}

/// A partner's batch. Its lines: `inbox PARTNER/UUID`. The answer is the store's.
pub async fn receive(stage: &Stage, partner: &str, first: u64, count: u64) -> anyhow::Result<Written> {
    let (here, there) = (authority(HERE), authority(partner));
    let records: Vec<RecordId> = (first..first + count).map(|n| record_under(partner, n)).collect();
    let mut items = Vec::new();
    for id in &records {
        let envelope = filled(id, 900);
        items.push(NewInbox {
            permit: stage.parties.alert(&there, &here)?,
            key: RecordKey { origin: there.clone(), record_id: *id },
            kind: RecordKind::Alert,
            digest: Digest::of(&envelope),
            envelope,
            target: None,
            supersedes: Vec::new(),
            hidden: false,
            expires: stage.now + Millis::days(90),
            keep_until: stage.now + Millis::days(90),
            usage: Usage::Store,
            traceparent: String::new(),
        });
    }
    let op = Receive {
        stream: stream_from(stage, partner),
        first,
        next: first + count,
        items,
        puts: Vec::new(),
        deletes: Vec::new(),
        owes: Vec::new(),
        receipt: Bytes::from(format!("receipt to {partner} up to {}", first + count)),
        now: stage.now,
        audit: records.iter().map(|id| act(AuditAct::Received, id)).collect(),
    };
    let written = stage.store.write(WriteOp::Receive(Box::new(op))).await?;
    if matches!(written, Written::Done | Written::Received { .. }) {
        for id in &records {
            say(&format!("inbox {partner}/{}", uuid_of(id)));
        }
    }
    Ok(written)
}

fn act(act: AuditAct, id: &RecordId) -> AuditDraft {
    AuditDraft { record: Some((RecordKind::Alert, *id)), ..AuditDraft::by_node(act) }
}

/// Bytes that follow from the id: the check knows them again.
pub fn filled(id: &RecordId, bytes: usize) -> Bytes {
    id.0.iter().copied().cycle().take(bytes).collect::<Vec<_>>().into()
}
