//! Rows of a day on which more was allowed: what today's rules would refuse from outside is reloaded from the own disk.
//!
//! Each value here lies beyond a limit, a form or a list of today, which a stricter rule of tomorrow does to the values of today.

use bytes::Bytes;
use havenlink::demo::sample;
use havenlink::domain::authority::PublicKey;
use havenlink::domain::ids::{AuthorityId, KeyId};
use havenlink::domain::limits;
use havenlink::domain::record::StreamClass;
use havenlink::domain::stream::StreamId;
use havenlink::wire::records::offer;
use havenlink::wire::{agreed, agreement, invitation, joining, sealed, signed, stored};
use havenlink_proto::peer::v1 as peer;
use havenlink_proto::record::v1::{self as proto, Signed};
use havenlink_proto::store::v1 as store;
use prost::Message;

use crate::samples::*;

fn id(city: &str) -> AuthorityId {
    AuthorityId::parse(city).unwrap()
}

fn anybody(city: &AuthorityId, id: &KeyId) -> Option<PublicKey> {
    Some(key(number(city.as_str())).public()).filter(|public| public.id() == *id)
}

fn long(chars: usize) -> Vec<proto::Text> {
    vec![proto::Text { language: "fr".into(), text: "x".repeat(chars + 1) }]
}

/// Bodies that nobody may send any more.
fn bodies() -> Vec<(&'static str, proto::RecordKind, Vec<u8>)> {
    use proto::RecordKind as Kind;
    let alert = sample::advert_alert();
    let texts: Vec<_> =
        ('a'..='z').map(|second| proto::Text { language: format!("a{second}"), text: "a".into() }).collect();
    assert!(texts.len() > limits::LANGUAGES);
    let phone = proto::Text { language: "fr".into(), text: "Appelez le +33155501234".into() };
    let mut practice = sample::practice();
    practice.texts[0].title = "x".repeat(limits::PRACTICE_TITLE_CHARS + 1);
    let many = vec![alert.indicators[0].clone(); limits::INDICATORS + 1];
    let fine = proto::Place { scheme: proto::PlaceScheme::Gss.into(), code: "E05000001".into() };
    let alerts = [
        ("a text that is too long", proto::Alert { summary: long(limits::SUMMARY_CHARS), ..alert.clone() }),
        ("too many languages", proto::Alert { summary: texts, ..alert.clone() }),
        ("a telephone number in a text", proto::Alert { summary: vec![phone], ..alert.clone() }),
        ("too many indicators", proto::Alert { indicators: many, ..alert.clone() }),
        ("a place that is too fine", proto::Alert { place: Some(fine), ..alert }),
    ];
    let question =
        proto::Answer { kind: proto::AnswerKind::Question.into(), question: long(4_000), ..Default::default() };
    let mut bodies: Vec<_> = alerts.into_iter().map(|(why, alert)| (why, Kind::Alert, alert.encode_to_vec())).collect();
    bodies.push(("a title that is too long", Kind::Practice, practice.encode_to_vec()));
    bodies.push(("a question that is too long", Kind::Answer, question.encode_to_vec()));
    bodies
}

fn envelope(kind: proto::RecordKind, body: Vec<u8>) -> proto::Envelope {
    let answers = proto::Reference {
        kind: proto::ReferenceKind::Answers.into(),
        origin: KEHL.into(),
        record_id: filled::<16>(16),
    };
    proto::Envelope {
        federation_id: Bytes::copy_from_slice(FEDERATION.as_bytes()),
        origin: STRASBOURG.into(),
        recipient: KEHL.into(),
        publication_id: filled::<16>(14),
        record_id: filled::<16>(15),
        kind: kind.into(),
        purpose: proto::Purpose::Prevention.into(),
        lawful_basis: proto::LawfulBasis::PublicTask.into(),
        special_basis: proto::SpecialBasis::None.into(),
        agreement_id: filled::<32>(17),
        handling: Some(proto::Handling { tlp: proto::Tlp::Green.into(), pap: proto::Pap::Green.into() }),
        status: proto::RecordStatus::Actual.into(),
        created_ms: NOW,
        expires_ms: NOW + 30 * DAY,
        review_by_ms: NOW + 20 * DAY,
        references: if kind == proto::RecordKind::Answer { vec![answers] } else { Vec::new() },
        body: body.into(),
        ..Default::default()
    }
}

fn seal(envelope: &proto::Envelope) -> Bytes {
    signed::sign(&FEDERATION, envelope, &[&key(1)]).encode_to_vec().into()
}

fn refused(bytes: &Bytes) -> bool {
    let stream = StreamId { origin: id(STRASBOURG), recipient: id(KEHL), class: StreamClass::Content };
    sealed::open(bytes.clone(), &stream, &FEDERATION, known(&[1])).is_err()
}

#[test]
fn records_beyond_todays_rules_are_reloaded() {
    for (why, kind, body) in bodies() {
        let received = seal(&envelope(kind, body.clone()));
        assert!(refused(&received), "{why}: today it is refused");
        sealed::reload_opened(reading(&kept(&received))).unwrap_or_else(|error| panic!("{why}: {error:?}"));
        let published = store::StoredPublication {
            authority: STRASBOURG.into(),
            sharing: Some(sharing(1)),
            kind: kind.into(),
            content: body.into(),
            ..Default::default()
        };
        stored::reload(reading(&kept(&published.encode_to_vec().into())))
            .unwrap_or_else(|error| panic!("{why}: {error:?}"));
    }
}

#[test]
fn envelopes_beyond_todays_rules_are_reloaded() {
    let whole = envelope(proto::RecordKind::Alert, sample::advert_alert().encode_to_vec());
    let updates = |origin: &str| proto::Reference {
        kind: proto::ReferenceKind::Updates.into(),
        origin: origin.into(),
        record_id: filled::<16>(16),
    };
    let early = proto::SharedUnder { reference: filled::<16>(1), scope: 1, erase_by_ms: NOW };
    let beyond = [
        ("it lives too long", proto::Envelope { expires_ms: NOW + 2 * limits::RECORD_LIFE.0, ..whole.clone() }),
        ("its review is too late", proto::Envelope { review_by_ms: NOW + 31 * DAY, ..whole.clone() }),
        ("too many references", proto::Envelope { references: vec![updates(STRASBOURG); 9], ..whole.clone() }),
        ("another's record", proto::Envelope { references: vec![updates(ESCH)], ..whole.clone() }),
        ("erased before it ends", proto::Envelope { shared_under: Some(early), ..whole }),
    ];
    for (why, envelope) in beyond {
        let bytes = seal(&envelope);
        assert!(refused(&bytes), "{why}: today it is refused");
        sealed::reload_opened(reading(&kept(&bytes))).unwrap_or_else(|error| panic!("{why}: {error:?}"));
    }
}

fn sharing(named: usize) -> store::StoredSharing {
    store::StoredSharing {
        named: (0..named).map(|n| format!("de-city-{n}")).collect(),
        purpose: proto::Purpose::Prevention.into(),
        lawful_basis: proto::LawfulBasis::PublicTask.into(),
        special_basis: proto::SpecialBasis::None.into(),
        handling: Some(proto::Handling { tlp: proto::Tlp::Green.into(), pap: proto::Pap::Green.into() }),
        status: proto::RecordStatus::Actual.into(),
        expires_ms: NOW + 2 * limits::RECORD_LIFE.0,
        ..Default::default()
    }
}

#[test]
fn a_publication_for_more_than_may_be_named_today_is_reloaded_and_one_for_nobody_is_not() {
    let publication = |named| store::StoredPublication {
        authority: STRASBOURG.into(),
        sharing: Some(sharing(named)),
        kind: proto::RecordKind::Alert.into(),
        content: sample::advert_alert().encode_to_vec().into(),
        ..Default::default()
    };
    let many = limits::RECIPIENTS + 1;
    let read = stored::reload(reading(&kept(&publication(many).encode_to_vec().into()))).unwrap();
    assert_eq!(read.sharing.audience.names().len(), many);
    assert!(havenlink::domain::sharing::Recipients::new(read.sharing.audience.names().to_vec()).is_err());
    assert!(
        stored::reload(reading(&kept(&publication(0).encode_to_vec().into()))).is_err(),
        "an empty list never means everybody"
    );
}

#[test]
fn an_offer_beyond_todays_rules_is_reloaded() {
    let offer = store::StoredOffer {
        offer_id: filled::<16>(13),
        authority: STRASBOURG.into(),
        service_kind: proto::ServiceKind::LongTermRefuge.into(),
        unit: proto::CapacityUnit::Bed.into(),
        eligibility: Some(proto::Eligibility { women: true, children_max_age: 99, ..Default::default() }),
        area: Some(proto::Place { scheme: proto::PlaceScheme::Gss.into(), code: "E05000001".into() }),
        intake_phone: "no number".into(),
        capacity: Some(store::StoredCapacity {
            free: 9,
            baseline: 3,
            status: proto::OfferStatus::Open.into(),
            time_to_live_ms: 400 * DAY,
            ..Default::default()
        }),
        own_label: "x".repeat(5_000),
        version: 1,
        ..Default::default()
    };
    let (read, _) = offer::reload_own(reading(&kept(&offer.encode_to_vec().into()))).unwrap();
    assert!(read.check().is_err(), "today it is refused");
}

#[test]
fn an_agreement_beyond_todays_rules_is_reloaded_with_its_signatures() {
    let few = sample::agreement(STRASBOURG, KEHL, proto::DisclosureLevel::Band, NOW);
    let party =
        |n: usize| proto::Party { authority: format!("de-city-{n}"), corridor_roles: vec![], transfers: vec![] };
    let many = proto::Agreement {
        federation_id: Bytes::copy_from_slice(FEDERATION.as_bytes()),
        nonce: filled::<16>(12),
        proposer: STRASBOURG.into(),
        created_ms: NOW,
        parties: few.parties.iter().cloned().chain((0..limits::PARTIES).map(party)).collect(),
        grants: few.grants.iter().cloned().cycle().take(limits::GRANTS + 1).collect(),
        review_by_ms: NOW + 9_000 * DAY,
    };
    let mut signed = signed::sign(&FEDERATION, &many, &[&key(1), &key(2)]);
    let bytes: Bytes = signed.encode_to_vec().into();
    assert!(agreement::from_proto(many).is_err() && agreed::open(bytes.clone(), &FEDERATION, &anybody).is_err());
    assert_eq!(agreed::own(&bytes).unwrap().1.parties.len(), limits::PARTIES + 2);
    let reopened = agreed::reopen(bytes, &FEDERATION, &anybody).unwrap();
    assert_eq!(reopened.signed_by, [id(STRASBOURG), id(KEHL)]);
    // More signatures than a message may carry today.
    let more = (0_u8..16).map(|n| proto::Signature { key_id: filled::<16>(100 + n), sig: filled::<64>(n) });
    signed.signatures.extend(more);
    let bytes: Bytes = signed.encode_to_vec().into();
    assert!(signed::open::<proto::Agreement>(bytes.clone()).is_err());
    assert!(agreed::own(&bytes).is_ok());
}

#[test]
fn an_invitation_beyond_todays_rules_is_reloaded() {
    let genesis = crate::register::genesis();
    let payload = Signed::decode(genesis.clone()).unwrap().payload;
    let federation = havenlink::domain::ids::FederationId(havenlink::domain::ids::Digest::of(&payload).0);
    let made = peer::Invitation {
        federation_id: Bytes::copy_from_slice(federation.as_bytes()),
        inviter: STRASBOURG.into(),
        inviter_key: Bytes::copy_from_slice(key(1).public().raw()),
        intended_for: ESCH.into(),
        created_ms: NOW,
        expires_ms: NOW + 400 * DAY,
        secret_digest: filled::<32>(27),
        ..Default::default()
    };
    let bytes: Bytes = signed::sign(&federation, &made, &[&key(1)]).encode_to_vec().into();
    assert!(invitation::open_invitation(bytes.clone()).is_err(), "without an address it is refused");
    let state = store::InvitationState::Open.into();
    let held = store::StoredInvitation { invitation: bytes, state, ..Default::default() };
    assert!(joining::decode_held(held.encode_to_vec().into()).is_ok());
}
