//! Values for the suite.

use bytes::Bytes;

use crate::Store;
use crate::domain::agreement::Usage;
use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::envelope::GrantRef;
use crate::domain::handling::{Handling, Pap, Purpose, Tlp};
use crate::domain::ids::{AgreementId, AuthorityId, Digest, Incarnation, KeyId, RecordId};
use crate::domain::policy::Permit;
use crate::domain::record::{RecordKey, RecordKind, StreamClass};
use crate::domain::records::Facet;
use crate::domain::records::alert::{AlertFacet, AlertKind, AssertionBasis};
use crate::domain::time::{Millis, UnixMs};
use crate::ops::*;
use crate::rows::*;

pub(crate) const NOW: UnixMs = UnixMs(1_764_000_000_000);
pub(crate) const HOUR: Millis = Millis::hours(1);
pub(crate) const HERE: &str = "fr-strasbourg";
pub(crate) const THERE: &str = "de-kehl";
pub(crate) const ELSEWHERE: &str = "lu-esch-sur-alzette";

pub(crate) fn authority(id: &str) -> AuthorityId {
    AuthorityId::parse(id).unwrap()
}

pub(crate) fn record(n: u32) -> RecordId {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&n.to_be_bytes());
    RecordId(id)
}

pub(crate) fn key(origin: &str, n: u32) -> RecordKey {
    RecordKey { origin: authority(origin), record_id: record(n) }
}

pub(crate) fn grant() -> Option<GrantRef> {
    Some(GrantRef { agreement: AgreementId([3; 32]), number: 0 })
}

pub(crate) fn act(act: AuditAct, n: u32) -> AuditDraft {
    AuditDraft { record: Some((RecordKind::Alert, record(n))), ..AuditDraft::by_node(act) }
}

pub(crate) fn publication(n: u32) -> NewPublication {
    NewPublication {
        authority: authority(HERE),
        record_id: record(n),
        kind: RecordKind::Alert,
        target: None,
        body: Bytes::from(format!("publication {n}")),
        created: NOW,
        expires: NOW + HOUR,
    }
}

pub(crate) fn publish(n: u32) -> WriteOp {
    WriteOp::Publish(Publish {
        request: None,
        publication: publication(n),
        made: None,
        audit: vec![act(AuditAct::Published, n)],
    })
}

pub(crate) fn mark(id: &str, body: &[u8], answer: &str) -> RequestMark {
    RequestMark {
        scope: "publisher/PublishRecord".to_owned(),
        request_id: id.to_owned(),
        body: Digest::of(body),
        answer: Bytes::copy_from_slice(answer.as_bytes()),
        expires: NOW + Millis::hours(24),
    }
}

pub(crate) fn delivery_to(recipient: &str, kind: RecordKind, n: u32) -> NewDelivery {
    let envelope = Bytes::from(format!("envelope {n} for {recipient}"));
    NewDelivery {
        permit: Permit::unasked(HERE, recipient, kind, grant()),
        record_id: record(n),
        question: question(kind),
        digest: Digest::of(&envelope),
        envelope,
        as_of: n.is_multiple_of(2).then_some(NOW),
        traceparent: format!("00-{n:032x}-01"),
        queued: NOW,
        expires: NOW + HOUR,
    }
}

/// What is asked again about a delivery of the kind.
pub(crate) fn question(kind: RecordKind) -> Question {
    let alert = AlertFacet { kind: AlertKind::AtRiskSite, basis: AssertionBasis::Observed };
    Question {
        purpose: Purpose::Prevention,
        handling: Handling { tlp: Tlp::AmberStrict, pap: Pap::Green },
        created: NOW,
        facet: (kind == RecordKind::Alert).then_some(Facet::Alert(alert)),
        grant: grant(),
        key: KeyId([6; 16]),
    }
}

pub(crate) fn delivery(n: u32) -> NewDelivery {
    delivery_to(THERE, RecordKind::Alert, n)
}

pub(crate) fn queue(items: Vec<NewDelivery>) -> WriteOp {
    WriteOp::Queue(Queue { items, ..Queue::default() })
}

pub(crate) async fn queued(store: &dyn Store, numbers: std::ops::RangeInclusive<u32>) {
    let items = numbers.map(delivery).collect();
    assert_eq!(store.write(queue(items)).await.unwrap(), Written::Done);
}

pub(crate) fn settle(store: &dyn Store, first: u64, results: &[ItemResult]) -> Settle {
    Settle {
        origin: authority(HERE),
        recipient: authority(THERE),
        class: StreamClass::Content,
        origin_incarnation: store.incarnation(),
        recipient_incarnation: Incarnation(0),
        first,
        results: results.to_vec(),
        receipt: Bytes::from_static(b"receipt"),
        now: NOW,
        audit: Vec::new(),
    }
}

pub(crate) async fn batch(store: &dyn Store) -> Vec<OutItem> {
    store.out_batch(authority(HERE), authority(THERE), StreamClass::Content, 256, 1 << 20).await.unwrap()
}

pub(crate) async fn stream(store: &dyn Store) -> OutStream {
    store.out_stream(authority(HERE), authority(THERE), StreamClass::Content).await.unwrap().unwrap()
}

pub(crate) fn in_stream(incarnation: u64) -> InStreamKey {
    InStreamKey {
        origin: authority(THERE),
        recipient: authority(HERE),
        class: StreamClass::Content,
        origin_incarnation: Incarnation(incarnation),
        recipient_incarnation: Incarnation(9),
    }
}

pub(crate) fn received(n: u32) -> NewInbox {
    let envelope = Bytes::from(format!("received {n}"));
    NewInbox {
        permit: Permit::unasked(THERE, HERE, RecordKind::Alert, grant()),
        key: key(THERE, n),
        kind: RecordKind::Alert,
        digest: Digest::of(&envelope),
        envelope,
        target: None,
        supersedes: vec![],
        hidden: false,
        expires: NOW + HOUR,
        keep_until: NOW + Millis::days(2),
        usage: Usage::View,
        traceparent: String::new(),
    }
}

/// An answer, hidden, to a record of the same origin.
pub(crate) fn hidden(n: u32, target: u32) -> NewInbox {
    let (target, kind) = (Some(key(THERE, target)), RecordKind::Answer);
    NewInbox { target, hidden: true, kind, keep_until: NOW + HOUR, ..received(n) }
}

/// The commitment of an encoded leaf; empty: none.
pub(crate) fn commitment(leaf: &[u8]) -> Bytes {
    use prost::Message;
    havenlink_proto::record::v1::AuditLeaf::decode(leaf).unwrap().record_commitment
}

pub(crate) fn receive(first: u64, items: Vec<NewInbox>) -> Receive {
    let next = first + items.len() as u64;
    let audit = items
        .iter()
        .map(|i| AuditDraft { record: Some((i.kind, i.key.record_id)), ..AuditDraft::by_node(AuditAct::Received) });
    Receive {
        stream: in_stream(5),
        first,
        next,
        audit: audit.collect(),
        items,
        puts: Vec::new(),
        deletes: Vec::new(),
        owes: Vec::new(),
        receipt: Bytes::from(format!("receipt to {next}")),
        now: NOW,
    }
}

pub(crate) async fn store_batch(store: &dyn Store, first: u64, items: Vec<NewInbox>) -> Vec<u64> {
    match store.write(WriteOp::Receive(Box::new(receive(first, items)))).await.unwrap() {
        Written::Received { positions, .. } => positions,
        other => panic!("{other:?}"),
    }
}
