//! What members say to each other and keep: envelopes of each kind, agreements, receipts, the ledger, tokens.
//!
//! Each is read by the product and written again: what was understood is all that was there, and comes out byte for byte.

use std::collections::BTreeSet;

use bytes::Bytes;
use havenlink::demo::sample;
use havenlink::domain::authority::PublicKey;
use havenlink::domain::handling::Tlp;
use havenlink::domain::ids::{AuthorityId, KeyId};
use havenlink::domain::person::share::ShareScope;
use havenlink::domain::reason::Reason;
use havenlink::domain::record::{RecordKind, StreamClass};
use havenlink::domain::records::{Content, Facet, RecordBody};
use havenlink::domain::stream::StreamId;
use havenlink::wire::signed::Payload;
use havenlink::wire::{Error, agreed, agreement, audit, beat, checkpoint, invitation, peer, records, sealed, signed};
use havenlink_proto::directory::v1 as directory;
use havenlink_proto::peer::v1 as peer_proto;
use havenlink_proto::record::v1::{self as proto, Signed};
use prost::Message;

use crate::golden;
use crate::samples::*;

fn id(city: &str) -> AuthorityId {
    AuthorityId::parse(city).unwrap()
}

fn federation() -> Bytes {
    Bytes::copy_from_slice(FEDERATION.as_bytes())
}

fn sign<P: Payload>(payload: &P, keys: &[u8]) -> Signed {
    let keys: Vec<_> = keys.iter().map(|number| key(*number)).collect();
    signed::sign(&FEDERATION, payload, &keys.iter().collect::<Vec<_>>())
}

/// Each city has one key.
fn anybody(city: &AuthorityId, id: &KeyId) -> Option<PublicKey> {
    Some(key(number(city.as_str())).public()).filter(|public| public.id() == *id)
}

fn the_agreement() -> Signed {
    let agreement = sample::agreement(STRASBOURG, KEHL, proto::DisclosureLevel::Band, NOW);
    let fixed = proto::Agreement {
        federation_id: federation(),
        nonce: filled::<16>(12),
        proposer: STRASBOURG.into(),
        created_ms: NOW,
        ..agreement
    };
    sign(&fixed, &[1, 2])
}

fn answer() -> proto::Answer {
    let question =
        vec![proto::Text { language: "fr".into(), text: "Depuis quand l'annonce est-elle en ligne ?".into() }];
    proto::Answer { kind: proto::AnswerKind::Question.into(), question, ..Default::default() }
}

fn view() -> proto::OfferView {
    proto::OfferView {
        offer_id: filled::<16>(13),
        service_kind: proto::ServiceKind::LongTermRefuge.into(),
        unit: proto::CapacityUnit::Bed.into(),
        eligibility: Some(proto::Eligibility {
            women: true,
            children: true,
            children_max_age: 14,
            staff_languages: vec!["fr".into(), "ro".into()],
            ..Default::default()
        }),
        area: Some(proto::Place { scheme: proto::PlaceScheme::Nuts.into(), code: "FRF".into() }),
        protected: true,
        intake_phone: "+33155501234".into(),
        capacity: Some(proto::CapacityView {
            level: Some(proto::capacity_view::Level::Band(proto::CapacityBand::OneToTwo.into())),
            status: proto::OfferStatus::Open.into(),
            time_to_live_ms: DAY,
            ..Default::default()
        }),
        version: 3,
        ..Default::default()
    }
}

/// A name, and the kind and body, of every sort of envelope that this version makes.
fn bodies() -> Vec<(String, proto::RecordKind, Bytes)> {
    let named = first_bodies().into_iter().map(|(kind, body)| (name(kind), kind, Bytes::from(body)));
    let mut bodies: Vec<_> = named.collect();
    // What came after the first kinds is golden as the kind's own samples are, each form of it.
    let known: BTreeSet<i32> = bodies.iter().map(|(_, kind, _)| (*kind).into()).collect();
    for content in Content::samples().iter().filter(|content| !known.contains(&content.kind().code())) {
        let kind = proto::RecordKind::try_from(content.kind().code()).unwrap();
        let before = bodies.iter().filter(|(_, other, _)| *other == kind).count();
        let form = if before == 0 { String::new() } else { format!("-{}", before + 1) };
        bodies.push((name(kind) + &form, kind, records::encode(content)));
    }
    bodies
}

/// `OFFER_VIEW` → `offer-view`.
fn name(kind: proto::RecordKind) -> String {
    kind.as_str_name().trim_start_matches("RECORD_KIND_").to_lowercase().replace('_', "-")
}

fn first_bodies() -> Vec<(proto::RecordKind, Vec<u8>)> {
    use proto::RecordKind as Kind;
    let agreement = the_agreement();
    let agreement_id = Bytes::copy_from_slice(&havenlink::domain::ids::Digest::of(&agreement.payload).0);
    let signature = agreement.signatures[1].clone();
    let end = proto::AgreementEnd {
        agreement_id: agreement_id.clone(),
        by: STRASBOURG.into(),
        at_ms: NOW,
        reason: proto::AgreementEndReason::NoLongerNeeded.into(),
    };
    vec![
        (Kind::Alert, sample::advert_alert().encode_to_vec()),
        (Kind::Practice, sample::practice().encode_to_vec()),
        (Kind::OfferView, view().encode_to_vec()),
        (Kind::Answer, answer().encode_to_vec()),
        (Kind::AgreementProposal, proto::AgreementProposal { agreement: Some(agreement.clone()) }.encode_to_vec()),
        (
            Kind::AgreementSignature,
            proto::AgreementSignature { agreement_id, signature: Some(signature) }.encode_to_vec(),
        ),
        (Kind::AgreementComplete, proto::AgreementComplete { agreement: Some(agreement) }.encode_to_vec()),
        (Kind::AgreementEnd, end.encode_to_vec()),
        (Kind::WithdrawalNotice, notice().encode_to_vec()),
        (Kind::ErasureReceipt, receipt().encode_to_vec()),
    ]
}

fn notice() -> proto::WithdrawalNotice {
    let reason = proto::WithdrawalReason::Withdrawn.into();
    proto::WithdrawalNotice { record_id: filled::<16>(15), reason, counter: 3, due_by_ms: NOW + 3 * DAY }
}

fn receipt() -> proto::ErasureReceipt {
    let outcome = proto::ErasureOutcome::Done.into();
    proto::ErasureReceipt { record_id: filled::<16>(16), counter: 3, outcome, at_ms: NOW }
}

fn envelope(kind: proto::RecordKind, body: Bytes) -> Bytes {
    let control = (kind as i32) >= 32;
    let facet = match records::parse(RecordKind::from_code(kind.into()).unwrap(), &body) {
        Ok(RecordBody::Content(content)) => Some(content.facet()),
        _ => None,
    };
    let lowest = facet.map_or(Tlp::Clear, Facet::lowest_tlp);
    let is_answer = facet.is_some_and(Facet::is_answer);
    let scope = facet.and_then(Facet::scope);
    let under = |scope: ShareScope| proto::SharedUnder {
        reference: filled::<16>(18),
        scope: scope.code(),
        erase_by_ms: NOW + 30 * DAY,
    };
    let answers = proto::Reference {
        kind: proto::ReferenceKind::Answers.into(),
        origin: KEHL.into(),
        record_id: filled::<16>(16),
    };
    let envelope = proto::Envelope {
        federation_id: federation(),
        origin: STRASBOURG.into(),
        recipient: KEHL.into(),
        publication_id: filled::<16>(14),
        record_id: filled::<16>(15),
        kind: kind.into(),
        purpose: if control { proto::Purpose::Governance } else { proto::Purpose::Prevention }.into(),
        lawful_basis: proto::LawfulBasis::PublicTask.into(),
        special_basis: scope.map_or(proto::SpecialBasis::None, |_| proto::SpecialBasis::HealthOrSocialCare).into(),
        agreement_id: if control { Bytes::new() } else { filled::<32>(17) },
        grant_number: u32::from(!control),
        handling: Some(proto::Handling { tlp: lowest.max(Tlp::Green).code(), pap: proto::Pap::Green.into() }),
        status: proto::RecordStatus::Actual.into(),
        shared_under: scope.map(under),
        created_ms: NOW,
        expires_ms: NOW + 30 * DAY,
        review_by_ms: NOW + 20 * DAY,
        references: if is_answer { vec![answers] } else { Vec::new() },
        body,
    };
    sign(&envelope, &[1]).encode_to_vec().into()
}

fn read(bytes: Bytes, kind: proto::RecordKind) -> Result<sealed::Opened, Error> {
    let class = if (kind as i32) < 32 { StreamClass::Content } else { StreamClass::Control };
    let stream = StreamId { origin: id(STRASBOURG), recipient: id(KEHL), class };
    sealed::open(bytes, &stream, &FEDERATION, known(&[1]))
}

#[test]
fn an_envelope_of_each_kind_is_read_as_it_was_sealed() {
    let mut golden_kinds = BTreeSet::new();
    for (name, kind, body) in bodies() {
        let bytes = golden::bytes(&format!("envelope-{name}"), || envelope(kind, body));
        let opened = read(bytes.clone(), kind).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(records::encode_body(&opened.body), opened.envelope.body, "{name}: the body comes out as it was");
        assert_eq!(sealed::seal(&opened.envelope, &key(1)).bytes, bytes, "{name}");
        golden_kinds.insert(opened.envelope.kind.code());
    }
    // A kind that came without a golden file is one that is understood and not among them.
    for kind in RecordKind::ALL {
        let read = records::parse(*kind, &Bytes::new());
        let supported = read.err().map(|error| error.reason) != Some(Reason::KindNotSupported);
        assert_eq!(supported, golden_kinds.contains(&kind.code()), "{kind:?}");
    }
}

#[test]
fn an_agreement_is_read_with_both_its_signatures() {
    let bytes = golden::bytes("agreement", || the_agreement().encode_to_vec().into());
    let read = agreed::open(bytes.clone(), &FEDERATION, &anybody).unwrap();
    assert!(read.complete(), "{:?}", read.signed_by);
    assert_eq!(sign(&agreement::to_proto(&read.agreement), &[1, 2]).encode_to_vec(), bytes);
}

#[test]
fn hello_and_receipt_are_read_as_they_were_signed() {
    let hello = golden::bytes("hello", || {
        let hello = peer_proto::Hello {
            federation_id: federation(),
            authority: KEHL.into(),
            incarnation: 3,
            time_ms: NOW,
            recipient: STRASBOURG.into(),
            register_founding: 1,
            register_number: 12,
            kinds: vec![1, 2, 32],
            rules_version: 1,
        };
        sign(&hello, &[2]).encode_to_vec().into()
    });
    let read = peer::open_hello(hello.clone(), &FEDERATION, &anybody).unwrap();
    assert_eq!(peer::sign_hello(&read, &key(2)), hello);
    let receipt = golden::bytes("receipt", || {
        use peer_proto::ItemResult as Is;
        let outcome = |result: Is, reason: &str, digest: u8| peer_proto::ItemOutcome {
            envelope_digest: if result == Is::Skipped { Bytes::new() } else { filled::<32>(digest) },
            result: result.into(),
            reason: reason.into(),
        };
        let outcomes = vec![
            outcome(Is::Stored, "", 1),
            outcome(Is::Duplicate, "", 2),
            outcome(Is::Refused, "AGREEMENT_NOT_IN_FORCE", 3),
            outcome(Is::Quarantined, "DECODE_FAILED", 4),
            outcome(Is::Skipped, "EXPIRED", 0),
            outcome(Is::RetryLater, "AGREEMENT_UNKNOWN", 5),
        ];
        let receipt = peer_proto::Receipt {
            federation_id: federation(),
            origin: STRASBOURG.into(),
            recipient: KEHL.into(),
            origin_incarnation: 2,
            recipient_incarnation: 3,
            stream_class: proto::StreamClass::Content.into(),
            first: 41,
            outcomes,
            register_number: 12,
            time_ms: NOW,
            register_founding: 1,
        };
        sign(&receipt, &[2]).encode_to_vec().into()
    });
    let read = peer::open_receipt(receipt.clone(), &FEDERATION, &anybody).unwrap();
    assert_eq!(peer::sign_receipt(&read, &key(2)), receipt);
}

#[test]
fn a_beat_is_read_as_it_was_signed() {
    let bytes = golden::bytes("beat", || {
        let beat = directory::Beat {
            federation_id: federation(),
            steward: STRASBOURG.into(),
            number: 8_200,
            head: filled::<32>(18),
            overlay_digest: filled::<32>(19),
            snapshot_number: 8_192,
            snapshot_head: filled::<32>(20),
            snapshot_digest: filled::<32>(21),
            term: 5,
            time_ms: NOW,
            founding: 2,
        };
        sign(&beat, &[1]).encode_to_vec().into()
    });
    let verified = signed::open::<directory::Beat>(bytes.clone()).unwrap().verify(&FEDERATION, known(&[1])).unwrap();
    let read = beat::from_proto(verified.value()).unwrap();
    assert_eq!(sign(&beat::to_proto(&read), &[1]).encode_to_vec(), bytes);
}

#[test]
fn a_line_of_the_ledger_and_its_checkpoint_are_read_as_they_were_written() {
    let bytes = golden::bytes("audit-leaf", || {
        let leaf = proto::AuditLeaf {
            index: 7,
            time_ms: NOW,
            act: proto::AuditAct::Refused.into(),
            actor_role: proto::ActorRole::Publisher.into(),
            actor_code: filled::<16>(22),
            counterparty: KEHL.into(),
            record_commitment: filled::<32>(23),
            record_kind: proto::RecordKind::Alert.into(),
            agreement_id: filled::<32>(24),
            purpose: proto::Purpose::Prevention.into(),
            reason: "AGREEMENT_NOT_IN_FORCE".into(),
            ..Default::default()
        };
        leaf.encode_to_vec().into()
    });
    let leaf = audit::from_proto(proto::AuditLeaf::decode(bytes.clone()).unwrap()).unwrap();
    assert_eq!(audit::encode(&leaf), bytes);
    let restored = golden::bytes("audit-leaf-restored", || {
        let (act, role) = (proto::AuditAct::RestoredFromBackup.into(), proto::ActorRole::Node.into());
        let leaf = proto::AuditLeaf {
            index: 8,
            time_ms: NOW,
            act,
            actor_role: role,
            from_size: 20,
            to_size: 8,
            ..Default::default()
        };
        leaf.encode_to_vec().into()
    });
    let leaf = audit::from_proto(proto::AuditLeaf::decode(restored.clone()).unwrap()).unwrap();
    assert_eq!(audit::encode(&leaf), restored);
    let signed = golden::bytes("audit-checkpoint", || {
        let checkpoint = proto::AuditCheckpoint {
            federation_id: federation(),
            authority: KEHL.into(),
            size: 9,
            root: filled::<32>(25),
            time_ms: NOW,
        };
        sign(&checkpoint, &[2]).encode_to_vec().into()
    });
    let read = checkpoint::open(signed.clone(), &FEDERATION, known(&[2])).unwrap();
    assert_eq!(checkpoint::sign(&read, &key(2)), signed);
}

#[test]
fn a_token_that_was_given_out_still_opens_the_door() {
    let token = golden::text("token.txt", || {
        let federation =
            Signed::decode(crate::register::genesis()).map(|s| havenlink::domain::ids::Digest::of(&s.payload)).unwrap();
        let invitation = peer_proto::Invitation {
            federation_id: Bytes::copy_from_slice(federation.as_bytes()),
            inviter: STRASBOURG.into(),
            inviter_key: Bytes::copy_from_slice(key(1).public().raw()),
            inviter_pins: vec![filled::<32>(26)],
            inviter_endpoints: vec!["node.fr-strasbourg.example:7443".into()],
            intended_for: ESCH.into(),
            created_ms: NOW,
            expires_ms: NOW + 7 * DAY,
            secret_digest: Bytes::copy_from_slice(havenlink::domain::ids::Digest::of(&[27; 16]).as_bytes()),
            rules_version: 1,
            entry_version: 0,
        };
        let federation = havenlink::domain::ids::FederationId(federation.0);
        let signed = Bytes::from(signed::sign(&federation, &invitation, &[&key(1)]).encode_to_vec());
        invitation::token_text(&signed, &[27; 16]).unwrap() + "\n"
    });
    let read = invitation::parse_token(&token).unwrap();
    assert_eq!((read.invitation.intended_for.clone(), read.secret), (id(ESCH), [27; 16]));
    let (again, signed) = invitation::sign(read.invitation.clone(), &key(1));
    assert_eq!(again.id, read.invitation.id);
    assert_eq!(invitation::token_text(&signed, &read.secret).unwrap(), token.trim_end());
}
