//! Publications as they are stored, and the answers that a repeated call gets.

use bytes::Bytes;
use havenlink_proto::local::v1 as local;
use havenlink_proto::store::v1 as proto;
use prost::Message;

use super::{Error, alert, answer, fields, offer, practice, sharing};
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, AuthorityId, OfferId, RecordId};
use crate::domain::offer::OwnOffer;
use crate::domain::publication::{Publication, Record};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, ReferenceKind};
use crate::domain::time::UnixMs;

/// A publication's bytes on disk.
pub fn encode(publication: &Publication) -> Bytes {
    use proto::stored_publication::Record as R;
    let mut version = 0;
    let record = match &publication.record {
        Record::Alert(value) => R::Alert(alert::to_proto(value)),
        Record::Practice(value) => R::Practice(practice::to_proto(value)),
        Record::Offer { offer, version: of_offer } => {
            version = *of_offer;
            R::Offer(offer::own_to_proto(offer, String::new()))
        }
        Record::Answer { target, grant, answer } => R::Answer(proto::StoredAnswer {
            target: Some(havenlink_proto::record::v1::Reference {
                kind: ReferenceKind::Answers.code(),
                origin: target.origin.as_str().to_owned(),
                record_id: fields::bytes_of(target.record_id.as_bytes()),
            }),
            answer: Some(answer::to_proto(answer)),
            agreement_id: fields::bytes_of(grant.agreement.as_bytes()),
            grant_number: grant.number,
        }),
    };
    let message = proto::StoredPublication {
        authority: publication.authority.as_str().to_owned(),
        sharing: Some(sharing::to_proto(&publication.sharing)),
        record: Some(record),
        created_ms: publication.created.0,
        traceparent: publication.traceparent.clone(),
        version,
        for_all_covered: publication.for_all_covered,
    };
    message.encode_to_vec().into()
}

/// A stored publication.
///
/// # Errors
/// When the bytes are not one.
pub fn decode(bytes: Bytes) -> Result<Publication, Error> {
    use proto::stored_publication::Record as R;
    let stored = proto::StoredPublication::decode(bytes).map_err(|_| damaged("stored_publication"))?;
    let authority = fields::authority("authority", &stored.authority)?;
    let created = UnixMs(stored.created_ms);
    let record = match stored.record.ok_or_else(|| Error::missing("record"))? {
        R::Alert(value) => Record::Alert(alert::from_proto(value)?),
        R::Practice(value) => Record::Practice(practice::from_proto(value)?),
        R::Offer(value) => {
            let offer = offer::own_from_proto(value, OfferId([0; 16]), &authority, created)?;
            Record::Offer { offer, version: stored.version }
        }
        R::Answer(value) => decode_answer(value)?,
    };
    Ok(Publication {
        sharing: sharing::from_proto(stored.sharing)?,
        for_all_covered: stored.for_all_covered,
        authority,
        record,
        created,
        traceparent: stored.traceparent,
    })
}

fn decode_answer(stored: proto::StoredAnswer) -> Result<Record, Error> {
    let target = stored.target.ok_or_else(|| Error::missing("target"))?;
    Ok(Record::Answer {
        target: RecordKey {
            origin: fields::authority("target.origin", &target.origin)?,
            record_id: fields::id("target.record_id", &target.record_id, RecordId::from_slice)?,
        },
        grant: GrantRef {
            agreement: fields::id("agreement_id", &stored.agreement_id, AgreementId::from_slice)?,
            number: stored.grant_number,
        },
        answer: answer::from_proto(stored.answer.ok_or_else(|| Error::missing("answer"))?)?,
    })
}

/// An own offer's bytes on disk.
pub fn encode_offer(offer: &OwnOffer) -> Bytes {
    offer::own_to_proto(offer, String::new()).encode_to_vec().into()
}

/// A stored own offer.
///
/// # Errors
/// When the bytes are not one.
pub fn decode_offer(bytes: Bytes) -> Result<OwnOffer, Error> {
    let stored = local::OwnOffer::decode(bytes).map_err(|_| damaged("own_offer"))?;
    let authority = fields::authority("authority", &stored.authority)?;
    offer::own_from_proto(stored, OfferId([0; 16]), &authority, UnixMs::NEVER)
}

/// A partner's offer view, as stored.
pub fn encode_view(view: &crate::domain::offer::OfferView) -> Bytes {
    offer::to_proto(view).encode_to_vec().into()
}

/// A stored view of a partner's offer.
///
/// # Errors
/// When the bytes are not one.
pub fn decode_view(bytes: Bytes) -> Result<crate::domain::offer::OfferView, Error> {
    let stored = havenlink_proto::record::v1::OfferView::decode(bytes).map_err(|_| damaged("offer_view"))?;
    offer::from_proto(stored)
}

/// What a repeated publish call gets: the record and its recipients.
pub fn encode_published(record_id: RecordId, recipients: &[AuthorityId]) -> Bytes {
    let answer = local::PublishAlertResponse {
        record_id: fields::bytes_of(record_id.as_bytes()),
        recipients: recipients.iter().map(|r| r.as_str().to_owned()).collect(),
    };
    answer.encode_to_vec().into()
}

/// The first answer to a publish call.
///
/// # Errors
/// When the bytes are not one.
pub fn decode_published(bytes: Bytes) -> Result<(RecordId, Vec<AuthorityId>), Error> {
    let answer = local::PublishAlertResponse::decode(bytes).map_err(|_| damaged("first answer"))?;
    let recipients = answer.recipients.iter().map(|r| fields::authority("recipients", r));
    Ok((fields::id("record_id", &answer.record_id, RecordId::from_slice)?, recipients.collect::<Result<_, _>>()?))
}

fn damaged(field: &str) -> Error {
    Error::new(Reason::StorageDamaged, field, "")
}
