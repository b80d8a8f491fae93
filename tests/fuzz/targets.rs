//! What is fuzzed: from bytes that somebody else made to the point where the node acts on them.
//!
//! A target takes any bytes, and must come back. What it says of them is counted, so that a target which refuses everything at
//! its first line is seen to be one.

use bytes::Bytes;
use havenlink::config::{self, Sources};
use havenlink::directory::snapshot;
use havenlink::domain::authority::PublicKey;
use havenlink::domain::ids::{AuthorityId, Digest, FederationId, KeyId};
use havenlink::domain::record::StreamClass;
use havenlink::domain::stream::StreamId;
use havenlink::services::page;
use havenlink::wire::keys::{Plain, SigningKey};
use havenlink::wire::{agreed, beat, checkpoint, invitation, peer, recovery, sealed, signed, statement};
use havenlink_proto::directory::v1 as directory;
use havenlink_proto::elements::{self, Shaped};
use havenlink_proto::record::v1::{Envelope, Signed};
use havenlink_proto::{peer::v1 as peer_proto, raft::v1 as raft};
use prost::Message;

/// How far an input came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Refused before its fields were looked at.
    Outside,
    /// Decoded, and refused.
    Inside,
    /// Taken.
    Through,
}

pub struct Target {
    pub name: &'static str,
    /// Golden files that it begins with, by the beginning of their names.
    pub corpus: &'static [&'static str],
    /// What of them goes in: as they are, or within the message that carries them.
    pub within: fn(Vec<u8>) -> Vec<u8>,
    pub run: fn(&[u8]) -> Came,
}

pub const TARGETS: &[Target] = &[
    target("elements", &["envelope-", "statement-", "snapshot-"], as_it_is, scan),
    target("deliver", &["envelope-"], in_a_batch, deliver),
    target("envelope", &["envelope-"], as_it_is, envelope),
    target("statement", &["statement-"], as_it_is, statements),
    target("signed", &["hello", "receipt", "beat", "agreement", "audit-checkpoint"], as_it_is, others),
    target("snapshot", &["snapshot-items"], as_it_is, snapshots),
    target("raft", &["statement-"], in_an_append, consensus),
    target("token", &["token"], as_it_is, tokens),
    target("config", &["node.toml"], as_it_is, configuration),
    target("cursor", &["hello"], in_a_token, cursors),
];

const fn target(
    name: &'static str,
    corpus: &'static [&'static str],
    within: fn(Vec<u8>) -> Vec<u8>,
    run: fn(&[u8]) -> Came,
) -> Target {
    Target { name, corpus, within, run }
}

fn as_it_is(golden: Vec<u8>) -> Vec<u8> {
    golden
}

fn in_a_batch(golden: Vec<u8>) -> Vec<u8> {
    let envelope = peer_proto::deliver_item::Item::Envelope(golden.into());
    let skip = peer_proto::deliver_item::Item::Skip(peer_proto::Skip { reason: "ENVELOPE_EXPIRED".to_owned() });
    let items = [envelope, skip].map(|item| peer_proto::DeliverItem {
        item: Some(item),
        as_of_age_ms: Some(7),
        ..Default::default()
    });
    let batch = peer_proto::DeliverRequest {
        origin: "fr-strasbourg".to_owned(),
        recipient: "de-kehl".to_owned(),
        origin_incarnation: 1,
        recipient_incarnation: 1,
        stream_class: 1,
        first: 1,
        sender_time_ms: 1,
        items: items.to_vec(),
    };
    batch.encode_to_vec()
}

fn in_a_token(golden: Vec<u8>) -> Vec<u8> {
    page::token("fuzz", &golden).into_bytes()
}

fn in_an_append(golden: Vec<u8>) -> Vec<u8> {
    let command = raft::Command { entry_time_ms: 1, signed: golden.into() };
    let at = raft::LogId { term: 1, index: 7 };
    let entry = raft::Entry { log_id: Some(at), payload: Some(raft::entry::Payload::Command(command)) };
    let vote = Some(raft::Vote { term: 1, node_id: 1, ..Default::default() });
    raft::AppendStreamRequest { vote, entries: vec![entry; 3], ..Default::default() }.encode_to_vec()
}

/// The key of the golden files: what is signed with it verifies, so that a mutation inside a payload is met by the rules and
/// not by the signature.
fn key() -> SigningKey {
    SigningKey::from_pkcs8(&unhex(super::corpus::AUTHORITY_KEY)).expect("the golden key")
}

thread_local! {
    static KEY: SigningKey = key();
    static HEADER: directory::SnapshotHeader =
        directory::SnapshotHeader::decode(&unhex(super::corpus::SNAPSHOT_HEADER)[..]).expect("the golden header");
}

fn unhex(text: &str) -> Vec<u8> {
    super::corpus::unhex(text.as_bytes()).expect("the golden file is hex")
}

fn key_of(_: &KeyId) -> Option<PublicKey> {
    Some(KEY.with(SigningKey::public))
}

fn any_key(_: &AuthorityId, _: &KeyId) -> Option<PublicKey> {
    Some(KEY.with(SigningKey::public))
}

const FEDERATION: FederationId = FederationId([7; 32]);

/// A golden `Signed` with a mutated payload under a signature that holds.
fn signed_again(input: &[u8], name: &str) -> Bytes {
    let mut message = match Signed::decode(input) {
        Ok(message) if !message.payload.is_empty() => message,
        _ => Signed { payload: Bytes::copy_from_slice(input), ..Signed::default() },
    };
    message.r#type = name.to_owned();
    message.signatures.clear();
    let signature = KEY.with(|key| signed::countersign(&FEDERATION, &message, key));
    message.signatures.push(signature);
    message.encode_to_vec().into()
}

fn came(decodes: bool, taken: bool) -> Came {
    match (taken, decodes) {
        (true, _) => Came::Through,
        (false, true) => Came::Inside,
        (false, false) => Came::Outside,
    }
}

/// What the scan lets through, prost comes back from.
fn scan(input: &[u8]) -> Came {
    fn one<M: Shaped + Message + Default>(input: &[u8]) -> Came {
        match elements::count::<M>(input) {
            Ok(counted) => {
                assert!(counted <= M::SHAPE.max_tags, "{}: {counted}", M::SHAPE.name);
                came(true, M::decode(input).is_ok())
            }
            Err(_) => Came::Outside,
        }
    }
    let all = [
        one::<peer_proto::DeliverRequest>(input),
        one::<directory::GossipRequest>(input),
        one::<directory::Statement>(input),
        one::<directory::SnapshotItem>(input),
        one::<raft::AppendStreamRequest>(input),
        one::<Envelope>(input),
    ];
    all.into_iter().find(|came| *came == Came::Through).unwrap_or(all[0])
}

fn deliver(input: &[u8]) -> Came {
    let request = elements::decode::<peer_proto::DeliverRequest>(Bytes::copy_from_slice(input));
    let decodes = request.is_ok();
    let batch = request.ok().and_then(|request| peer::batch_from_proto(request).ok());
    came(decodes, batch.is_some())
}

fn envelope(input: &[u8]) -> Came {
    let bytes = signed_again(input, "havenlink.record.v1.Envelope");
    let id = |name: &str| AuthorityId::parse(name).expect("an id");
    let claims = signed::open::<Envelope>(bytes.clone()).ok().map(|opened| opened.claims);
    let decodes = claims.is_some();
    let (origin, recipient) = claims.map(|e| (e.origin, e.recipient)).unwrap_or_default();
    let stream = |class| StreamId {
        origin: AuthorityId::parse(&origin).unwrap_or_else(|| id("fr-strasbourg")),
        recipient: AuthorityId::parse(&recipient).unwrap_or_else(|| id("de-kehl")),
        class,
    };
    let opened = [StreamClass::Content, StreamClass::Control]
        .into_iter()
        .any(|class| sealed::open(bytes.clone(), &stream(class), &FEDERATION, key_of).is_ok());
    came(decodes, opened)
}

fn statements(input: &[u8]) -> Came {
    let bytes = signed_again(input, "havenlink.directory.v1.Statement");
    let decodes = signed::open::<directory::Statement>(bytes.clone()).is_ok();
    let applies = invitation::open_application(bytes.clone()).is_ok();
    came(decodes, statement::open(bytes).is_ok() || applies)
}

fn others(input: &[u8]) -> Came {
    let again = |name: &str| signed_again(input, &format!("havenlink.{name}"));
    let taken = [
        peer::open_hello(again("peer.v1.Hello"), &FEDERATION, &any_key).is_ok(),
        peer::open_receipt(again("peer.v1.Receipt"), &FEDERATION, &any_key).is_ok(),
        checkpoint::open(again("record.v1.AuditCheckpoint"), &FEDERATION, key_of).is_ok(),
        agreed::open(again("record.v1.Agreement"), &FEDERATION, &any_key).is_ok(),
        signed::open::<directory::Beat>(again("directory.v1.Beat"))
            .is_ok_and(|opened| beat::from_proto(&opened.claims).is_ok()),
        invitation::open_invitation(again("peer.v1.Invitation")).is_ok(),
    ];
    came(Signed::decode(input).is_ok(), taken.contains(&true))
}

/// Under the golden header, which says the digest of what came.
fn snapshots(input: &[u8]) -> Came {
    let items = Bytes::copy_from_slice(input);
    let mut header = HEADER.with(Clone::clone);
    header.digest = Bytes::copy_from_slice(Digest::of(&items).as_bytes());
    let federation = FederationId::from_slice(&header.federation_id).expect("the golden header names one");
    let opened = snapshot::open(&federation, &header, &items, None, &Plain);
    came(prost::decode_length_delimiter(&mut &input[..]).is_ok(), opened.is_ok())
}

fn consensus(input: &[u8]) -> Came {
    let bytes = Bytes::copy_from_slice(input);
    let taken = [
        elements::decode::<raft::AppendStreamRequest>(bytes.clone()).is_ok(),
        elements::decode::<raft::VoteRequest>(bytes.clone()).is_ok(),
        elements::decode::<raft::InstallSnapshotRequest>(bytes.clone()).is_ok(),
        elements::decode::<raft::ForwardRequest>(bytes).is_ok(),
    ];
    came(false, taken.contains(&true))
}

fn tokens(input: &[u8]) -> Came {
    let text = String::from_utf8_lossy(input);
    came(true, invitation::parse_token(&text).is_ok() || recovery::parse(&text).is_ok())
}

fn configuration(input: &[u8]) -> Came {
    let text = String::from_utf8_lossy(input).into_owned();
    let sources = Sources { file: Some(("node.toml".into(), text)), ..Sources::default() };
    came(true, config::load(&sources).is_ok())
}

fn cursors(input: &[u8]) -> Came {
    let text = String::from_utf8_lossy(input);
    let given = page::token("fuzz", input);
    assert_eq!(page::cursor("fuzz", &given).ok().flatten().as_deref(), Some(input), "a token comes back");
    came(true, page::cursor("fuzz", &text).is_ok_and(|cursor| cursor.is_some()))
}
