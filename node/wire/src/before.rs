//! What earlier data versions wrote, in the form of today: used once, when the data is brought forward (9.17). Nobody reads a
//! record by it: bytes come in, and bytes or columns go out.

use bytes::Bytes;
use havenlink_proto::store::v1 as proto;
use prost::Message;
use proto::publication_before4::Record;

use super::{sealed, stored};
use crate::domain::envelope::Envelope;
use crate::domain::ids::KeyId;
use crate::domain::record::StreamClass;
use crate::domain::records::{Facet, RecordKind};

/// A publication of data version 3 or before, as it is stored today; `None`: it is in today's form already, or no
/// publication at all, and stays as it is.
pub fn publication(bytes: &Bytes) -> Option<Bytes> {
    if stored::decode(bytes.clone()).is_ok() {
        return None;
    }
    let before = proto::PublicationBefore4::decode(bytes.clone()).ok()?;
    let mut sharing = before.sharing?;
    let recipients = sharing.named.clone();
    if before.for_all_covered {
        sharing.all_partners = true;
        sharing.named.clear();
    }
    let mut now = proto::StoredPublication {
        authority: before.authority,
        sharing: Some(sharing),
        created_ms: before.created_ms,
        traceparent: before.traceparent,
        recipients,
        ..Default::default()
    };
    let (kind, content) = match before.record? {
        Record::Alert(alert) => (RecordKind::Alert, alert),
        Record::Practice(practice) => (RecordKind::Practice, practice),
        Record::Offer(mut offer) => {
            offer.version = before.version;
            (RecordKind::OfferView, offer.encode_to_vec().into())
        }
        Record::Answer(answer) => {
            now.references.extend(answer.target);
            (now.agreement_id, now.grant_number) = (answer.agreement_id, answer.grant_number);
            (RecordKind::Answer, answer.answer)
        }
    };
    (now.kind, now.content) = (kind.code(), content);
    let bytes = Bytes::from(now.encode_to_vec());
    stored::decode(bytes.clone()).is_ok().then_some(bytes)
}

/// What data version 3 has in columns beside a stored envelope: the envelope without its body, what its content says to the
/// one question (`None`: control), and the key that signed it. `None`: it does not read.
pub fn question(envelope: &Bytes) -> Option<(Envelope, Option<Facet>, KeyId)> {
    let (mut envelope, key) = sealed::decode_signed(envelope).ok()?;
    let facet = match envelope.kind.class() {
        StreamClass::Content => Some(sealed::facet(&envelope).ok()?),
        StreamClass::Control => None,
    };
    envelope.body.clear();
    Some((envelope, facet, key?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::handling::{LawfulBasis, Pap, Purpose, RecordStatus, SpecialBasis, Tlp};
    use crate::domain::ids::RecordId;
    use crate::domain::record::{RecordKey, ReferenceKind};
    use crate::domain::records::Content;
    use crate::domain::samples;
    use crate::domain::sharing::Audience;
    use crate::records;
    use havenlink_proto::record::v1 as record;

    fn before(recipients: &[&str], record: Record) -> Bytes {
        let sharing = proto::StoredSharing {
            named: recipients.iter().map(|to| (*to).to_owned()).collect(),
            purpose: Purpose::Prevention.code(),
            lawful_basis: LawfulBasis::PublicTask.code(),
            special_basis: SpecialBasis::None.code(),
            handling: Some(record::Handling { tlp: Tlp::Green.code(), pap: Pap::Green.code() }),
            status: RecordStatus::Actual.code(),
            ..Default::default()
        };
        let publication = proto::PublicationBefore4 {
            authority: "fr-strasbourg".into(),
            sharing: Some(sharing),
            record: Some(record),
            created_ms: 5,
            traceparent: "t".into(),
            version: 7,
            for_all_covered: recipients.len() != 1,
        };
        publication.encode_to_vec().into()
    }

    #[test]
    fn publications_of_before_are_those_of_today() {
        let alert: Content = samples::alert().into();
        let stored = publication(&before(&["de-kehl"], Record::Alert(records::encode(&alert)))).unwrap();
        let now = stored::decode(stored.clone()).unwrap();
        assert_eq!((&now.content, now.created.0, now.recipients.as_slice()), (&alert, 5, &[samples::kehl()][..]));
        assert_eq!(now.sharing.audience, Audience::one(samples::kehl()));
        assert_eq!(publication(&stored), None, "once");

        let practice: Content = samples::practice().into();
        let bytes = before(&["de-kehl", "lu-esch-sur-alzette"], Record::Practice(records::encode(&practice)));
        let now = stored::decode(publication(&bytes).unwrap()).unwrap();
        assert_eq!((now.content, now.sharing.audience), (practice, Audience::AllPartners));
        assert_eq!(now.recipients.len(), 2);

        let own = records::offer::encode_own(&samples::own_offer(true), 0);
        let offer = proto::StoredOffer::decode(own).unwrap();
        let now = stored::decode(publication(&before(&[], Record::Offer(offer))).unwrap()).unwrap();
        let expected: Content =
            crate::domain::records::offer::Offer::Own { offer: samples::own_offer(true), version: 7 }.into();
        assert_eq!(now.content, expected);
    }

    #[test]
    fn an_answer_of_before_keeps_what_it_is_about_and_under_which_grant() {
        let target = record::Reference {
            kind: ReferenceKind::Answers.code(),
            origin: "de-kehl".into(),
            record_id: vec![8; 16].into(),
        };
        let answer = record::Answer { kind: record::AnswerKind::Acknowledged.into(), ..Default::default() };
        let answer = proto::AnswerBefore4 {
            target: Some(target),
            answer: answer.encode_to_vec().into(),
            agreement_id: vec![9; 32].into(),
            grant_number: 3,
        };
        let now = stored::decode(publication(&before(&["de-kehl"], Record::Answer(answer))).unwrap()).unwrap();
        assert_eq!(now.target(), Some(&RecordKey { origin: samples::kehl(), record_id: RecordId([8; 16]) }));
        assert_eq!(now.under.map(|grant| grant.number), Some(3));
    }

    #[test]
    fn what_is_no_publication_stays_as_it_is() {
        assert_eq!(publication(&Bytes::from_static(b"\xff\xff")), None);
        assert_eq!(publication(&Bytes::new()), None);
    }
}
