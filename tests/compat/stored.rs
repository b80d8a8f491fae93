//! What a node keeps of records and of joining: every message of `store/v1`, reloaded by form alone and stored again byte
//! for byte. Those of the register's own file are rows of it (`register_file`).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use havenlink::demo::sample;
use havenlink::wire::records::offer;
use havenlink::wire::{before, holds, joining, stored};
use havenlink_proto::directory::v1::RejectionReason;
use havenlink_proto::directory::v1::proposal::Act;
use havenlink_proto::directory::v1::statement::Body;
use havenlink_proto::local::v1 as local;
use havenlink_proto::record::v1::{self as proto, Signed};
use havenlink_proto::store::v1 as store;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, Value};

use crate::samples::*;
use crate::{golden, register_file};

const PACKAGE: &str = "havenlink.store.v1.";

fn sharing(named: &[&str]) -> store::StoredSharing {
    store::StoredSharing {
        named: named.iter().map(ToString::to_string).collect(),
        purpose: proto::Purpose::Prevention.into(),
        lawful_basis: proto::LawfulBasis::PublicTask.into(),
        special_basis: proto::SpecialBasis::None.into(),
        handling: Some(proto::Handling { tlp: proto::Tlp::Green.into(), pap: proto::Pap::Green.into() }),
        status: proto::RecordStatus::Actual.into(),
        expires_ms: NOW + 30 * DAY,
        review_by_ms: NOW + 20 * DAY,
        all_partners: named.is_empty(),
    }
}

fn target(origin: &str) -> proto::Reference {
    let kind = proto::ReferenceKind::Answers.into();
    proto::Reference { kind, origin: origin.into(), record_id: filled::<16>(16) }
}

fn the_offer() -> store::StoredOffer {
    store::StoredOffer {
        offer_id: filled::<16>(13),
        authority: STRASBOURG.into(),
        service_kind: proto::ServiceKind::LongTermRefuge.into(),
        unit: proto::CapacityUnit::Bed.into(),
        eligibility: Some(proto::Eligibility { women: true, staff_languages: vec!["fr".into()], ..Default::default() }),
        area: Some(proto::Place { scheme: proto::PlaceScheme::Nuts.into(), code: "FRF".into() }),
        protected: true,
        intake_phone: "+33155501234".into(),
        out_of_hours_phone: "+33155501235".into(),
        capacity: Some(store::StoredCapacity {
            free: 3,
            baseline: 12,
            additional_24h: 2,
            additional_72h: 4,
            status: proto::OfferStatus::Open.into(),
            paused_until_ms: NOW + DAY,
            as_of_ms: NOW,
            time_to_live_ms: DAY,
        }),
        own_label: "House 2".into(),
        version: 7,
    }
}

fn publication(kind: proto::RecordKind, content: Vec<u8>) -> store::StoredPublication {
    let answer = kind == proto::RecordKind::Answer;
    let named: &[&str] = if kind == proto::RecordKind::Practice { &[] } else { &[KEHL] };
    store::StoredPublication {
        authority: STRASBOURG.into(),
        sharing: Some(sharing(named)),
        kind: kind.into(),
        content: content.into(),
        references: if answer { vec![target(KEHL)] } else { vec![] },
        agreement_id: if answer { filled::<32>(17) } else { Bytes::new() },
        grant_number: u32::from(answer),
        created_ms: NOW,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        recipients: vec![KEHL.into()],
    }
}

fn before_4(record: store::publication_before4::Record) -> store::PublicationBefore4 {
    use store::publication_before4::Record;
    let for_all = matches!(record, Record::Practice(_));
    store::PublicationBefore4 {
        authority: STRASBOURG.into(),
        // Its field had the recipients as they were found.
        sharing: Some(store::StoredSharing { all_partners: false, ..sharing(&[KEHL]) }),
        version: if matches!(record, Record::Offer(_)) { 7 } else { 0 },
        record: Some(record),
        created_ms: NOW,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        for_all_covered: for_all,
    }
}

fn answer() -> Vec<u8> {
    proto::Answer { kind: proto::AnswerKind::Acknowledged.into(), ..Default::default() }.encode_to_vec()
}

/// The invitation inside of the golden token, and the application of the golden admission.
fn invited() -> (Bytes, Bytes) {
    let token = golden::text("token.txt", || panic!("the token is made by another test"));
    let invitation = havenlink::wire::invitation::parse_token(&token).unwrap().invitation;
    let (_, signed) = havenlink::wire::invitation::sign(invitation, &key(1));
    let admit = Signed::decode(golden::made("statement-admit-esch")).unwrap();
    let said = havenlink_proto::directory::v1::Statement::decode(admit.payload).unwrap();
    let Some(Body::Proposal(proposal)) = said.body else { panic!("a proposal") };
    let Some(Act::Admit(admit)) = proposal.act else { panic!("an admission") };
    (signed, admit.application.unwrap().encode_to_vec().into())
}

fn invitation(state: store::InvitationState) -> store::StoredInvitation {
    use store::InvitationState as S;
    let (invitation, application) = invited();
    let open = store::StoredInvitation { invitation, state: state.into(), ..Default::default() };
    let committed = store::StoredInvitation {
        commitment: filled::<32>(31),
        nonce_i: filled::<32>(32),
        pin: filled::<32>(33),
        ..open.clone()
    };
    match state {
        S::Committed => committed,
        S::Used => store::StoredInvitation {
            nonce_a: filled::<32>(34),
            application,
            words_digest: filled::<32>(35),
            received_ms: NOW,
            failed_words: 2,
            application_state: store::ApplicationState::Rejected.into(),
            rejection: RejectionReason::WordsDiffer.into(),
            proposal_id: filled::<32>(36),
            ..committed
        },
        _ => open,
    }
}

fn join(phase: &str) -> store::StoredJoin {
    let begun = store::StoredJoin {
        token: golden::text("token.txt", || panic!("the token is made by another test")).trim_end().to_owned(),
        nonce_a: filled::<32>(34),
        pin: filled::<32>(33),
        application: invited().1,
        ..Default::default()
    };
    match phase {
        "revealing" => store::StoredJoin { nonce_i: filled::<32>(32), genesis: crate::register::genesis(), ..begun },
        "applied" => store::StoredJoin {
            genesis: crate::register::genesis(),
            words_digest: filled::<32>(35),
            progress: Some(store::StoredProgress {
                state: store::ApplicationState::Rejected.into(),
                rejection: RejectionReason::WordsDiffer.into(),
                approvals: 1,
                needed: 2,
                proposal_id: filled::<32>(36),
            }),
            ..begun
        },
        "refused" => store::StoredJoin { refused: "INVITATION_BURNT".into(), ..begun },
        _ => begun,
    }
}

fn slots() -> store::StoredSlots {
    let hold = |token, state: proto::HoldState| store::StoredHold {
        id: filled::<16>(51),
        holder: KEHL.into(),
        slot: 1,
        token,
        taken_ms: NOW,
        expires_ms: NOW + 90 * 60_000,
        extended: true,
        state: state.into(),
        ended_ms: NOW + 60_000,
    };
    let holds = vec![hold(1, proto::HoldState::Released), hold(2, proto::HoldState::Held)];
    store::StoredSlots { next_token: 3, clock_ms: NOW, holds }
}

/// With every field set; what it says need not hold together.
fn share() -> store::StoredShare {
    let by = |role: proto::ActorRole| store::StoredActor { role: role.into(), code: filled::<16>(41) };
    let notice = local::ShareNotice {
        version: "notice 3".into(),
        hash: filled::<32>(42),
        language: "ro".into(),
        provenance: proto::TranslationProvenance::Human.into(),
    };
    let scope = local::ShareScopeTerms {
        scope: proto::ShareScope::ReferralShelter.into(),
        purposes: vec![proto::Purpose::Assistance.into()],
        recipients: vec![KEHL.into()],
        countries: vec!["de".into()],
        expires_ms: NOW + DAY,
        erase_by_ms: NOW + 30 * DAY,
        uses: 3,
    };
    let giving = store::StoredGiving {
        at_ms: NOW,
        decider: Some(local::ShareDecider {
            kind: local::DeciderKind::VitalInterest.into(),
            incapacity: local::Incapacity::Physical.into(),
            ..Default::default()
        }),
        decided_by: Some(by(proto::ActorRole::Coordinator)),
        provisional: true,
        duress: true,
    };
    store::StoredShare {
        terms: Some(local::ShareTerms {
            notice: Some(notice),
            scopes: vec![scope],
            excluded_recipients: vec![ESCH.into()],
            excluded_countries: vec!["lu".into()],
            lawful_basis: proto::LawfulBasis::VitalInterests.into(),
            special_basis: proto::SpecialBasis::VitalInterests.into(),
            provision: "CASF L116-1".into(),
            reconfirm_by_ms: NOW + DAY,
        }),
        subject: Some(local::ShareSubject {
            age: local::AgeAssessment::Child.into(),
            minor: Some(local::MinorTerms {
                best_interests: "BIA-12".into(),
                views: local::ChildViews::Heard.into(),
                unaccompanied: true,
                both_officers_agreed: true,
            }),
        }),
        events: vec![store::StoredShareEvent {
            kind: local::ShareEventKind::Given.into(),
            at_ms: NOW,
            by: Some(by(proto::ActorRole::Coordinator)),
        }],
        given: Some(giving.clone()),
        confirmed: Some(giving),
        approved_by: Some(by(proto::ActorRole::DataProtection)),
        used: vec![2],
    }
}

/// Each golden file: its message, its name, and how it is made.
fn made() -> Vec<(&'static str, String, Bytes)> {
    use proto::RecordKind as Kind;
    use store::InvitationState as S;
    use store::publication_before4::Record;
    let mut made: Vec<(&'static str, String, Bytes)> = Vec::new();
    let mut add = |message, name: &str, bytes: Vec<u8>| made.push((message, name.to_owned(), bytes.into()));
    let offer = the_offer().encode_to_vec();
    for (name, kind, content) in [
        ("alert", Kind::Alert, sample::advert_alert().encode_to_vec()),
        ("practice", Kind::Practice, sample::practice().encode_to_vec()),
        ("offer", Kind::OfferView, offer.clone()),
        ("answer", Kind::Answer, answer()),
    ] {
        add("StoredPublication", name, publication(kind, content).encode_to_vec());
    }
    let target = store::AnswerBefore4 {
        target: Some(target(KEHL)),
        answer: answer().into(),
        agreement_id: filled::<32>(17),
        grant_number: 1,
    };
    for (name, record) in [
        ("alert", Record::Alert(sample::advert_alert().encode_to_vec().into())),
        ("practice", Record::Practice(sample::practice().encode_to_vec().into())),
        ("offer", Record::Offer(store::StoredOffer { version: 0, ..the_offer() })),
        ("answer", Record::Answer(target)),
    ] {
        add("PublicationBefore4", name, before_4(record).encode_to_vec());
    }
    add("StoredOffer", "own", offer);
    let published = store::StoredPublished { record_id: filled::<16>(15), recipients: vec![KEHL.into(), ESCH.into()] };
    add("StoredPublished", "two", published.encode_to_vec());
    for (name, state) in [
        ("open", S::Open),
        ("committed", S::Committed),
        ("used", S::Used),
        ("burnt", S::Burnt),
        ("revoked", S::Revoked),
    ] {
        add("StoredInvitation", name, invitation(state).encode_to_vec());
    }
    add("StoredSlots", "two", slots().encode_to_vec());
    add("StoredShare", "whole", share().encode_to_vec());
    for phase in ["committing", "revealing", "applied", "refused"] {
        add("StoredJoin", phase, join(phase).encode_to_vec());
    }
    made
}

/// Reads it as the product does, and gives what the product would store of it.
fn reloaded(message: &str, bytes: &Bytes) -> Bytes {
    match message {
        "StoredPublication" => stored::encode(&stored::reload(reading(&kept(bytes))).unwrap()),
        "PublicationBefore4" => {
            let now = before::publication(bytes).expect("what an earlier version wrote");
            stored::reload(reading(&kept(&now))).unwrap();
            bytes.clone()
        }
        "StoredOffer" => {
            let (read, version) = offer::reload_own(reading(&kept(bytes))).unwrap();
            offer::encode_own(&read, version)
        }
        "StoredPublished" => {
            let (record, recipients) = stored::reload_published(bytes.clone()).unwrap();
            stored::encode_published(record, &recipients)
        }
        "StoredSlots" => holds::encode_slots(&holds::reload_slots(bytes).unwrap()),
        "StoredShare" => havenlink::wire::share::encode(&havenlink::wire::share::reload(bytes).unwrap()).into(),
        "StoredInvitation" => joining::encode_held(&joining::decode_held(bytes.clone()).unwrap()),
        "StoredJoin" => joining::encode_applying(&joining::decode_applying(bytes.clone()).unwrap()),
        other => panic!("{other}: no reader is known to this test"),
    }
}

/// The fields that are set in a message and in what stands in it, by the full name of their message.
fn set(message: &DynamicMessage, into: &mut BTreeMap<String, BTreeSet<String>>) {
    let name = message.descriptor().full_name().to_owned();
    for (field, value) in message.fields() {
        into.entry(name.clone()).or_default().insert(field.name().to_owned());
        let inner: Vec<&Value> = match value {
            Value::List(list) => list.iter().collect(),
            value => vec![value],
        };
        for value in inner {
            if let Value::Message(inner) = value {
                set(inner, into);
            }
        }
    }
}

#[test]
fn every_stored_format_is_reloaded_and_stored_again_byte_for_byte() {
    let pool = DescriptorPool::decode(havenlink_proto::DESCRIPTOR_SET).unwrap();
    let dynamic = |message: &str, bytes: &Bytes| {
        let descriptor = pool.get_message_by_name(&format!("{PACKAGE}{message}")).unwrap();
        DynamicMessage::decode(descriptor, bytes.clone()).unwrap()
    };
    let mut seen = BTreeMap::new();
    for (message, name, bytes) in made() {
        let bytes = golden::bytes(&format!("stored/{message}-{name}"), || bytes);
        set(&dynamic(message, &bytes), &mut seen);
        assert_eq!(reloaded(message, &bytes), bytes, "{message} {name}");
    }
    for (message, row) in register_file::messages() {
        set(&dynamic(message, &row), &mut seen);
    }
    // A message or a field that came without a golden file.
    for message in pool.all_messages().filter(|message| message.full_name().starts_with(PACKAGE)) {
        let golden = seen.remove(message.full_name()).unwrap_or_default();
        let all: BTreeSet<String> = message.fields().map(|field| field.name().to_owned()).collect();
        let lacking: Vec<&String> = all.difference(&golden).collect();
        assert!(lacking.is_empty(), "{}: no golden file has {lacking:?}", message.full_name());
    }
}
