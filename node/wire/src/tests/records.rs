//! Records there and back, and what is refused on the way, with its field and its reason.

use bytes::Bytes;
use havenlink_proto::{local, peer, record::v1 as proto};
use proptest::prelude::*;
use prost::Message;

use crate::domain::agreement::{AgreementEnd, AgreementEndReason};
use crate::domain::audit::{AuditAct, AuditCheckpoint, AuditDraft, AuditLeaf};
use crate::domain::envelope::{Envelope, GrantRef};
use crate::domain::handling::*;
use crate::domain::ids::*;
use crate::domain::policy::{KeptRecord, Reading};
use crate::domain::publication::Publication;
use crate::domain::reason::Reason;
use crate::domain::receipt::{ItemOutcome, Receipt, Verdict};
use crate::domain::record::{RecordKey, RecordKind, Reference, ReferenceKind, StreamClass};
use crate::domain::records::agreement::{Complete, PartySignature, Proposal};
use crate::domain::records::answer::Answer;
use crate::domain::records::offer::{CapacityLevel, CapacityView, DisclosureLevel, Offer, OfferView};
use crate::domain::records::{Content, Control, RecordBody};
use crate::domain::samples::*;
use crate::domain::sharing::{Audience, Sharing};
use crate::domain::time::{Millis, UnixMs};
use crate::records::{self, alert, answer, offer, practice};
use crate::{Error, agreement, audit, envelope, receipt, sealed, sharing, stored};

/// One of each kind, in each form that travels.
fn bodies() -> Vec<RecordBody> {
    let signed = proto::Signed { r#type: "t".into(), payload: Bytes::from_static(b"p"), signatures: vec![] };
    let signed = Bytes::from(signed.encode_to_vec());
    let id = AgreementId([7; 32]);
    let control: [Control; 4] = [
        Proposal(signed.clone()).into(),
        Complete(signed).into(),
        PartySignature { agreement: id, key_id: KeyId([3; 16]), signature: Bytes::from(vec![4; 64]) }.into(),
        AgreementEnd { agreement: id, by: strasbourg(), at: NOW, reason: AgreementEndReason::Breach }.into(),
    ];
    let travels = |content: &Content| content.prepare(DisclosureLevel::Light).is_none();
    let content = contents().into_iter().filter(travels).map(RecordBody::Content);
    content.chain(control.map(RecordBody::Control)).collect()
}

fn encode(body: &RecordBody) -> Bytes {
    records::encode_body(body)
}

/// An envelope around a body, as its kind needs it.
pub(super) fn around(body: &RecordBody) -> Envelope {
    let mut envelope = envelope(body.kind(), encode(body));
    if body.kind().class() == StreamClass::Control {
        envelope.grant = None;
    }
    let Some(facet) = body.content().map(Content::facet) else { return envelope };
    envelope.handling.tlp = envelope.handling.tlp.max(facet.lowest_tlp());
    if facet.scope().is_some() {
        envelope.special_basis = SpecialBasis::HealthOrSocialCare;
    }
    if facet.is_answer() {
        let target = RecordKey { origin: kehl(), record_id: RecordId([8; 16]) };
        envelope.references.push(Reference { kind: ReferenceKind::Answers, target });
    }
    envelope
}

fn envelope(kind: RecordKind, body: Bytes) -> Envelope {
    crate::domain::samples::envelope(kind, body)
}

#[test]
fn every_open_kind_goes_there_and_back() {
    for body in bodies() {
        let envelope = around(&body);
        let bytes = envelope::to_proto(&envelope).encode_to_vec();
        let back = envelope::from_proto(proto::Envelope::decode(&bytes[..]).unwrap()).unwrap();
        assert_eq!(back, envelope);
        assert_eq!(sealed::parse_body(&back).unwrap(), body);
        assert_eq!(records::reload(back.kind, &back.body).unwrap(), body);
        match &body {
            RecordBody::Content(content) => assert_eq!(sealed::facet(&back).unwrap(), content.facet()),
            RecordBody::Control(_) => assert!(sealed::facet(&back).is_err()),
        }
    }
}

#[test]
fn a_cancellation_repeats_no_text_and_is_understood() {
    let cancels = |content: &Content| content.facts().later.contains(&ReferenceKind::Cancels);
    for content in contents().into_iter().filter(|content| cancels(content) && !content.facet().is_answer()) {
        let body = RecordBody::Content(content.cancelled());
        let mut envelope = around(&body);
        let target = RecordKey { origin: strasbourg(), record_id: RecordId([8; 16]) };
        envelope.references.push(Reference { kind: ReferenceKind::Cancels, target });
        assert_eq!(sealed::parse_body(&envelope).unwrap(), body);
        let said = format!("{content:?}");
        let after =
            |field: &&str| said.split(*field).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>();
        let texts: Vec<&str> = ["text: \"", "title: \"", "problem: \"", "measure: \""].iter().flat_map(after).collect();
        let cancelled = format!("{body:?}");
        assert!(texts.iter().all(|text| !cancelled.contains(text)), "{cancelled}");
        assert!(encode(&body).len() < records::encode(&content).len(), "{:?}", content.kind());
    }
    // What it does repeat is judged as ever.
    let mut long = alert();
    long.summary[0].text = "é".repeat(501);
    let kind = RecordKind::Alert;
    assert!(records::parse_cancellation(kind, &records::encode(&long.into())).is_err());
    assert!(records::parse_cancellation(kind, &records::encode(&alert().into())).is_ok());
}

fn publication(content: Content) -> Publication {
    let answers = content.facet().is_answer();
    let target = RecordKey { origin: kehl(), record_id: RecordId([8; 16]) };
    Publication {
        authority: strasbourg(),
        sharing: Sharing {
            audience: Audience::one(kehl()),
            purpose: Purpose::Prevention,
            lawful_basis: LawfulBasis::PublicTask,
            special_basis: SpecialBasis::None,
            handling: Handling { tlp: Tlp::Green, pap: Pap::Green },
            status: RecordStatus::Actual,
            expires: Some(NOW + Millis::days(1)),
            review_by: Some(NOW + Millis::days(1)),
        },
        recipients: vec![kehl()],
        encoded: records::encode(&content),
        content,
        references: answers.then_some(Reference { kind: ReferenceKind::Answers, target }).into_iter().collect(),
        under: answers.then_some(GrantRef { agreement: AgreementId([7; 32]), number: 1 }),
        created: NOW,
        traceparent: "t".into(),
    }
}

#[test]
fn a_publication_is_reloaded_as_it_was_stored_with_the_bytes_that_travel() {
    // A partner's view is nobody's publication.
    let views = |content: &Content| matches!(content, Content::OfferView(Offer::View(_)));
    for content in contents().into_iter().filter(|content| !views(content)) {
        let one = publication(content);
        let kept = KeptRecord::own(one.content.kind(), UnixMs::NEVER, stored::encode(&one));
        let back = stored::reload(Reading::unasked(&kept)).unwrap();
        assert_eq!(back, one);
    }
    let answer = stored::encode_published(RecordId([3; 16]), &[kehl(), esch()]);
    assert_eq!(stored::reload_published(answer).unwrap(), (RecordId([3; 16]), vec![kehl(), esch()]));
}

#[test]
fn what_a_stricter_rule_refuses_from_outside_is_reloaded_from_our_own_disk() {
    let mut long = alert();
    long.summary[0].text = "é".repeat(501);
    let mut screened = alert();
    screened.summary[0].text = "0611 987 65 43".into();
    let mut many = practice();
    many.texts[0].title = "x".repeat(10_000);
    for content in [Content::from(long), screened.into(), many.into()] {
        let kind = content.kind();
        let bytes = records::encode(&content);
        assert!(records::parse(kind, &bytes).is_err());
        assert_eq!(records::reload(kind, &bytes).unwrap(), RecordBody::Content(content.clone()));
        let one = publication(content);
        assert_eq!(stored::decode(stored::encode(&one)).unwrap(), one);
    }
    // A place of a form that is refused today, and an envelope whose dates are.
    let mut message = alert::to_proto(&alert());
    message.place.as_mut().unwrap().code = "FRF11-OLD".into();
    let bytes = Bytes::from(message.encode_to_vec());
    assert_eq!(records::parse(RecordKind::Alert, &bytes).unwrap_err().field, "place.code");
    let kept = records::reload(RecordKind::Alert, &bytes).unwrap();
    assert_eq!(encode(&kept), bytes, "and says the same again");
    let mut message = envelope::to_proto(&around(&RecordBody::Content(alert().into())));
    message.review_by_ms = message.expires_ms + 1;
    assert!(envelope::from_proto(message.clone()).is_err() && envelope::reload(message).is_ok());
}

#[test]
fn agreements_receipts_and_leaves_go_there_and_back() {
    let one = twinning().agreement;
    assert_eq!(agreement::from_proto(agreement::to_proto(&one)).unwrap(), *one);
    let digest = Some(Digest([6; 32]));
    let one = Receipt {
        federation: FederationId([9; 32]),
        origin: strasbourg(),
        recipient: kehl(),
        origin_incarnation: Incarnation(1),
        recipient_incarnation: Incarnation(2),
        class: StreamClass::Content,
        first: 5,
        outcomes: vec![
            ItemOutcome { envelope: digest, verdict: Verdict::Stored },
            ItemOutcome { envelope: None, verdict: Verdict::Skipped(Reason::EnvelopeExpired) },
            ItemOutcome { envelope: digest, verdict: Verdict::Refused(Reason::AgreementEnded) },
            ItemOutcome { envelope: digest, verdict: Verdict::RetryLater(Reason::AgreementUnknown) },
        ],
        register: crate::domain::directory::Position { founding: 2, number: 7 },
        time: NOW,
    };
    assert_eq!(receipt::from_proto(receipt::to_proto(&one)).unwrap(), one);
    assert_eq!(one.next(), 8);
    let draft = AuditDraft {
        counterparty: Some(kehl()),
        record: Some((RecordKind::Alert, RecordId([1; 16]))),
        agreement: Some(AgreementId([2; 32])),
        purpose: Some(Purpose::Prevention),
        reason: Some(Reason::AgreementEnded),
        ..AuditDraft::by_node(AuditAct::Refused)
    };
    let of_two_sizes = |act| AuditDraft { sizes: Some((9, 4)), ..AuditDraft::by_node(act) };
    let (restored, signed) = (of_two_sizes(AuditAct::RestoredFromBackup), of_two_sizes(AuditAct::CheckpointSigned));
    for (draft, checkpoint) in [(draft, None), (restored, None), (signed, Some((9, 4)))] {
        let leaf = AuditLeaf::of(draft, 3, NOW, Some(Digest([5; 32])));
        let stored = proto::AuditLeaf::decode(audit::encode(&leaf)).unwrap();
        assert_eq!(
            (audit::from_proto(stored).unwrap(), audit::decode(&audit::encode(&leaf)).unwrap()),
            (leaf.clone(), leaf.clone())
        );
        assert_eq!(audit::outline(&audit::encode(&leaf)), Some(audit::Outline { index: 3, time: NOW, checkpoint }));
    }
    let one = AuditCheckpoint {
        federation: FederationId([9; 32]),
        authority: kehl(),
        size: 3,
        root: Digest([1; 32]),
        time: NOW,
    };
    assert_eq!(audit::checkpoint_from_proto(audit::checkpoint_to_proto(&one)).unwrap(), one);
}

#[test]
fn an_own_offer_takes_its_defaults_from_the_node() {
    let mut message = offer::own_to_proto(&own_offer(true), "e".into());
    let again = |m: local::v1::OwnOffer| offer::own_from_proto(m, OfferId([1; 16]), &kehl(), NOW + Millis(5));
    assert_eq!(again(message.clone()).unwrap(), own_offer(true));
    (message.offer_id, message.authority) = (Bytes::new(), String::new());
    let capacity = message.capacity.as_mut().unwrap();
    (capacity.as_of_ms, capacity.time_to_live_ms) = (0, 0);
    let filled = again(message.clone()).unwrap();
    assert_eq!((filled.id, filled.authority), (OfferId([1; 16]), kehl()));
    assert_eq!((filled.capacity.as_of, filled.capacity.time_to_live), (NOW + Millis(5), Millis::hours(8)));
    message.capacity.as_mut().unwrap().as_of_ms = NOW.0 + 6;
    assert_eq!(again(message).unwrap_err().field, "capacity.as_of_ms");
}

#[test]
fn a_refused_alert_names_its_field_and_its_reason() {
    type Spoil = fn(&mut proto::Alert);
    let spoilt: [(Spoil, Reason, &str); 19] = [
        (|a| a.kind = 0, Reason::FieldMissing, "kind"),
        (|a| a.kind = 99, Reason::ValueUnknown, "kind"),
        (|a| a.kind = 2, Reason::KindNotSupported, "kind"),
        (|a| a.kind = 5, Reason::FieldInvalid, "details"),
        (|a| a.details = None, Reason::FieldMissing, "details"),
        (|a| a.urgency = 0, Reason::FieldMissing, "urgency"),
        (|a| a.severity = 9, Reason::ValueUnknown, "severity"),
        (|a| a.certainty = -1, Reason::ValueUnknown, "certainty"),
        (|a| a.assertion_basis = 0, Reason::FieldMissing, "assertion_basis"),
        (|a| a.exploitation_forms = vec![2, 99], Reason::ValueUnknown, "exploitation_forms[1]"),
        (|a| a.indicators = vec!["score:9".into()], Reason::FieldInvalid, "indicators[0]"),
        (|a| a.indicators = (1..=25).map(|n| format!("ilo11:{n}")).collect(), Reason::FieldTooLong, "indicators"),
        (|a| a.sector = "Z99".into(), Reason::FieldInvalid, "sector"),
        (|a| a.place = None, Reason::FieldMissing, "place"),
        (|a| a.place.as_mut().unwrap().code = "rue du Port 3".into(), Reason::FieldInvalid, "place.code"),
        (|a| a.summary[1].language = "fr".into(), Reason::FieldInvalid, "summary[1].language"),
        (|a| a.summary[0].text = "é".repeat(501), Reason::FieldTooLong, "summary[0].text"),
        (|a| a.summary[1].text = "Ruf 0611 987 65 43".into(), Reason::PersonalDataInText, "summary[1].text"),
        (
            |a| {
                let Some(proto::alert::Details::SuspiciousAdvertising(advert)) = &mut a.details else { return };
                advert.adverts_seen = 0;
            },
            Reason::FieldInvalid,
            "suspicious_advertising.adverts_seen",
        ),
    ];
    for (spoil, reason, field) in spoilt {
        let mut message = alert::to_proto(&alert());
        spoil(&mut message);
        let error = alert::from_proto(message).unwrap_err();
        assert_eq!((error.reason, error.field.as_str()), (reason, field), "{error:?}");
    }
    let mut whole = alert::to_proto(&alert());
    whole.summary[0].text = "é".repeat(500);
    assert!(alert::from_proto(whole).is_ok(), "each limit itself is allowed");
}

fn shared(envelope: &mut proto::Envelope, spoil: fn(&mut proto::SharedUnder)) {
    let reference = Bytes::from_static(&[5; 16]);
    let mut under = proto::SharedUnder { reference, scope: 1, erase_by_ms: envelope.expires_ms };
    spoil(&mut under);
    envelope.shared_under = Some(under);
}

#[test]
fn a_refused_envelope_names_its_field_and_its_reason() {
    type Spoil = fn(&mut proto::Envelope);
    let spoilt: [(Spoil, Reason, &str); 21] = [
        (|e| e.federation_id.clear(), Reason::FieldMissing, "federation_id"),
        (|e| e.origin = "Strasbourg".into(), Reason::FieldInvalid, "origin"),
        (|e| e.recipient = e.origin.clone(), Reason::EnvelopeMalformed, "recipient"),
        (|e| e.record_id = Bytes::from_static(b"short"), Reason::FieldInvalid, "record_id"),
        (|e| e.kind = 0, Reason::FieldMissing, "kind"),
        (|e| e.kind = 31, Reason::ValueUnknown, "kind"),
        (|e| e.kind = 35, Reason::EnvelopeMalformed, "agreement_id"),
        (|e| e.purpose = 99, Reason::ValueUnknown, "purpose"),
        (|e| e.lawful_basis = 0, Reason::FieldMissing, "lawful_basis"),
        (|e| e.special_basis = 99, Reason::ValueUnknown, "special_basis"),
        (|e| e.agreement_id.clear(), Reason::FieldMissing, "agreement_id"),
        (|e| e.handling = None, Reason::HandlingUnknown, "handling.tlp"),
        (|e| e.handling.as_mut().unwrap().tlp = 6, Reason::HandlingUnknown, "handling.tlp"),
        (|e| e.handling.as_mut().unwrap().pap = 0, Reason::HandlingUnknown, "handling.pap"),
        (|e| e.status = 4, Reason::ValueUnknown, "status"),
        (|e| e.expires_ms = e.created_ms, Reason::EnvelopeMalformed, "expires_ms"),
        (|e| e.review_by_ms = e.expires_ms + 1, Reason::EnvelopeMalformed, "review_by_ms"),
        (|e| e.created_ms = i64::MAX, Reason::FieldInvalid, "created_ms"),
        (|e| shared(e, |u| u.reference.clear()), Reason::FieldInvalid, "shared_under.reference"),
        (|e| shared(e, |u| u.scope = 99), Reason::ValueUnknown, "shared_under.scope"),
        (|e| shared(e, |u| u.erase_by_ms = 1), Reason::EnvelopeMalformed, "shared_under.erase_by_ms"),
    ];
    for (spoil, reason, field) in spoilt {
        let mut message = envelope::to_proto(&around(&RecordBody::Content(alert().into())));
        spoil(&mut message);
        let error = envelope::from_proto(message).unwrap_err();
        assert_eq!((error.reason, error.field.as_str()), (reason, field), "{error:?}");
    }
}

#[test]
fn a_record_refers_to_what_it_may_only() {
    let refer = |kind: ReferenceKind, origin: AuthorityId| {
        let mut one = around(&RecordBody::Content(alert().into()));
        one.references.push(Reference { kind, target: RecordKey { origin, record_id: RecordId([8; 16]) } });
        envelope::from_proto(envelope::to_proto(&one)).map(drop).map_err(|e| e.field)
    };
    for kind in [ReferenceKind::Updates, ReferenceKind::Cancels, ReferenceKind::Replaces] {
        assert_eq!(refer(kind, strasbourg()), Ok(()));
        assert_eq!(refer(kind, esch()), Err("references[0].origin".into()), "somebody else's record");
    }
    let mut answer = around(&RecordBody::Content(Answer::Acknowledged.into()));
    answer.references[0].target.origin = esch();
    let error = envelope::from_proto(envelope::to_proto(&answer)).unwrap_err();
    assert_eq!(error.field, "references[0].origin");
}

#[test]
fn what_answers_names_what_it_answers_and_nothing_else_does() {
    for body in bodies() {
        let is_answer = body.content().is_some_and(|content| content.facet().is_answer());
        let mut one = around(&body);
        let target = RecordKey { origin: kehl(), record_id: RecordId([8; 16]) };
        one.references = match is_answer {
            true => Vec::new(),
            false => vec![Reference { kind: ReferenceKind::Answers, target }],
        };
        let error = sealed::parse_body(&one).unwrap_err();
        assert_eq!((error.reason, error.field.as_str()), (Reason::EnvelopeMalformed, "references"), "{}", one.kind);
    }
}

#[test]
fn what_is_marked_less_strictly_than_it_must_be_is_refused() {
    let strict = |content: &Content| content.facet().lowest_tlp() > Tlp::Clear;
    for content in contents().into_iter().filter(strict) {
        let mut one = around(&RecordBody::Content(content));
        assert!(sealed::parse_body(&one).is_ok());
        one.handling.tlp = Tlp::Green;
        let error = sealed::parse_body(&one).unwrap_err();
        assert_eq!((error.reason, error.field.as_str()), (Reason::EnvelopeMalformed, "handling.tlp"), "{}", one.kind);
    }
}

#[test]
fn a_body_that_is_not_its_kind_is_refused_below_body() {
    let decode =
        |kind, bytes: &'static [u8]| sealed::parse_body(&envelope(kind, Bytes::from_static(bytes))).unwrap_err();
    let shown = |e: Error| (e.reason, e.field);
    assert_eq!(shown(decode(RecordKind::Alert, b"")), (Reason::FieldMissing, "body".into()));
    assert_eq!(shown(decode(RecordKind::Alert, b"\xff\xff")), (Reason::DecodeFailed, "body".into()));
    assert_eq!(shown(decode(RecordKind::Practice, b"\x08\x01")), (Reason::FieldMissing, "body.outcome".into()));
    for kind in [RecordKind::Placement, RecordKind::Adoption, RecordKind::WithdrawalCode] {
        assert_eq!(decode(kind, b"\x08\x01").reason, Reason::KindNotSupported);
    }
    let end = AgreementEnd { agreement: AgreementId([1; 32]), by: kehl(), at: NOW, reason: AgreementEndReason::Breach };
    let forged = sealed::parse_body(&around(&RecordBody::Control(end.into()))).unwrap_err();
    assert_eq!(shown(forged), (Reason::EnvelopeMalformed, "body.by".into()), "one leaves for oneself only");
}

#[test]
fn a_partner_cannot_show_more_of_a_refuge_than_is_safe() {
    let view = own_offer(true).view(DisclosureLevel::Band, 1, 0);
    let counted =
        OfferView { capacity: CapacityView { level: CapacityLevel::Count(1), ..view.capacity }, ..view.clone() };
    assert_eq!(offer::from_proto(offer::to_proto(&counted)).unwrap_err().field, "capacity.count");
    let fine = OfferView { area: own_offer(false).area, ..view };
    assert_eq!(offer::from_proto(offer::to_proto(&fine)).unwrap_err().field, "area");
}

#[test]
fn an_answer_says_one_thing() {
    let refused = |kind, reason, question| {
        answer::from_proto(proto::Answer { kind, not_relevant_reason: reason, question }).unwrap_err().field
    };
    let texts = || vec![proto::Text { language: "de".into(), text: "Seit wann?".into() }];
    assert_eq!(refused(1, 1, vec![]), "not_relevant_reason");
    assert_eq!(refused(2, 0, vec![]), "not_relevant_reason");
    assert_eq!(refused(1, 0, texts()), "question");
    assert_eq!(refused(3, 0, vec![]), "question");
}

#[test]
fn an_audience_is_said_and_never_inferred() {
    let message = |all_partners, names: &[&str]| {
        let mut message = sharing::to_proto(&publication(alert().into()).sharing, &[]);
        message.all_partners = all_partners;
        message.recipients = names.iter().map(|name| (*name).to_owned()).collect();
        sharing::from_proto(Some(message)).map(|sharing| sharing.audience).map_err(|e| (e.reason, e.field))
    };
    assert_eq!(message(false, &[]), Err((Reason::FieldMissing, "recipients".into())));
    assert_eq!(message(true, &[]), Ok(Audience::AllPartners));
    assert_eq!(message(false, &["de-kehl"]), Ok(Audience::one(kehl())));
    assert_eq!(message(true, &["de-kehl"]), Err((Reason::FieldInvalid, "all_partners".into())));
}

#[test]
fn a_newer_partners_reason_does_not_stop_the_stream() {
    let outcome = peer::v1::ItemOutcome { envelope_digest: vec![1; 32].into(), result: 3, reason: "NEW_REASON".into() };
    let message = peer::v1::Receipt {
        federation_id: vec![9; 32].into(),
        origin: "fr-strasbourg".into(),
        recipient: "de-kehl".into(),
        stream_class: 1,
        first: 1,
        outcomes: vec![outcome],
        time_ms: 1,
        ..Default::default()
    };
    let read = receipt::from_proto(message).unwrap();
    assert_eq!(read.outcomes[0].verdict, Verdict::Refused(Reason::ReasonUnknown));
}

/// Parses the bytes as everything; what counts is that nothing panics (invariant 9).
fn parse_as_everything(bytes: &Bytes) {
    macro_rules! parse {
        ($($message:ty => $from:expr),+ $(,)?) => {
            $(if let Ok(message) = <$message>::decode(bytes.clone()) { let _ = $from(message); })+
        };
    }
    parse! {
        proto::Envelope => |m| envelope::from_proto(m).map(|e| sealed::parse_body(&e).map(drop)),
        proto::Alert => alert::from_proto,
        proto::Practice => practice::from_proto,
        proto::OfferView => offer::from_proto,
        proto::Answer => answer::from_proto,
        proto::Agreement => agreement::from_proto,
        proto::AgreementEnd => agreement::end_from_proto,
        proto::AuditLeaf => audit::from_proto,
        peer::v1::Receipt => receipt::from_proto,
        local::v1::Sharing => |m| sharing::from_proto(Some(m)).map(|s| s.dates(Millis::days(90), Millis::days(30), UnixMs(1)).map(drop)),
        local::v1::OwnOffer => |m| offer::own_from_proto(m, OfferId([0; 16]), &kehl(), UnixMs(1)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        parse_as_everything(&Bytes::from(bytes));
    }

    #[test]
    fn damaged_records_do_not_panic_and_what_is_taken_stays_the_same(
        pick in 0_usize..12, flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let all = bodies();
        let body = &all[pick % all.len()];
        for whole in [encode(body), envelope::to_proto(&around(body)).encode_to_vec().into()] {
            let mut bytes = whole.to_vec();
            for (at, value) in &flips {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            let bytes = Bytes::from(bytes);
            parse_as_everything(&bytes);
            let _ = (stored::decode(bytes.clone()), records::reload_own(body.kind(), &bytes));
            // What passes every check means the same when it is said again.
            if let Some(read) = proto::Envelope::decode(bytes).ok().and_then(|m| envelope::from_proto(m).ok()) {
                prop_assert_eq!(envelope::from_proto(envelope::to_proto(&read)).unwrap(), read);
            }
        }
    }
}
