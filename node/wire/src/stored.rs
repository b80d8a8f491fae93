//! Publications as they are stored, and the answers that a repeated call gets. Read back by `reload`: form only, and of a
//! record only with a `Reading`.

use bytes::Bytes;
use havenlink_proto::store::v1 as proto;
use prost::Message;

use super::{Error, envelope, fields, handling, records};
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, AuthorityId, RecordId};
use crate::domain::policy::Reading;
use crate::domain::publication::Publication;
use crate::domain::reason::Reason;
use crate::domain::sharing::{Audience, Recipients, Sharing};
use crate::domain::time::UnixMs;

/// A publication's bytes on disk, around the content as it was encoded already.
pub fn encode(publication: &Publication) -> Bytes {
    let under = publication.under;
    let message = proto::StoredPublication {
        authority: publication.authority.as_str().to_owned(),
        sharing: Some(sharing_to_proto(&publication.sharing)),
        kind: publication.content.kind().code(),
        content: publication.encoded.clone(),
        references: publication.references.iter().map(envelope::reference_to_proto).collect(),
        agreement_id: under.map(|grant| fields::bytes_of(grant.agreement.as_bytes())).unwrap_or_default(),
        grant_number: under.map_or(0, |grant| grant.number),
        created_ms: publication.created.0,
        traceparent: publication.traceparent.clone(),
        recipients: publication.recipients.iter().map(|r| r.as_str().to_owned()).collect(),
    };
    message.encode_to_vec().into()
}

/// A stored publication.
///
/// # Errors
/// When the bytes do not have the form of one.
pub fn reload(reading: Reading<'_>) -> Result<Publication, Error> {
    decode(reading.bytes().clone())
}

pub(crate) fn decode(bytes: Bytes) -> Result<Publication, Error> {
    let stored = proto::StoredPublication::decode(bytes).map_err(|_| damaged("stored_publication"))?;
    let kind = fields::closed_enum("kind", stored.kind)?;
    let under = match stored.agreement_id.is_empty() {
        true => None,
        false => Some(GrantRef {
            agreement: fields::id("agreement_id", &stored.agreement_id, AgreementId::from_slice)?,
            number: stored.grant_number,
        }),
    };
    Ok(Publication {
        authority: fields::authority("authority", &stored.authority)?,
        sharing: reload_sharing(stored.sharing)?,
        recipients: authorities("recipients", &stored.recipients)?,
        content: records::reload_own(kind, &stored.content).map_err(|e| e.within("content"))?,
        encoded: stored.content,
        references: envelope::references(&stored.references)?,
        under,
        created: UnixMs(stored.created_ms),
        traceparent: stored.traceparent,
    })
}

fn sharing_to_proto(sharing: &Sharing) -> proto::StoredSharing {
    proto::StoredSharing {
        all_partners: sharing.audience == Audience::AllPartners,
        named: sharing.audience.names().iter().map(|r| r.as_str().to_owned()).collect(),
        purpose: sharing.purpose.code(),
        lawful_basis: sharing.lawful_basis.code(),
        special_basis: sharing.special_basis.code(),
        handling: Some(handling::to_proto(sharing.handling)),
        status: sharing.status.code(),
        expires_ms: sharing.expires.map_or(0, |t| t.0),
        review_by_ms: sharing.review_by.map_or(0, |t| t.0),
    }
}

fn reload_sharing(sharing: Option<proto::StoredSharing>) -> Result<Sharing, Error> {
    let sharing = sharing.ok_or_else(|| Error::missing("sharing"))?;
    Ok(Sharing {
        audience: match sharing.all_partners {
            true => Audience::AllPartners,
            false => {
                let named = Recipients::reload(authorities("sharing.named", &sharing.named)?);
                Audience::Named(named.ok_or_else(|| Error::missing("sharing.named"))?)
            }
        },
        purpose: fields::closed_enum("sharing.purpose", sharing.purpose)?,
        lawful_basis: fields::closed_enum("sharing.lawful_basis", sharing.lawful_basis)?,
        special_basis: fields::closed_enum("sharing.special_basis", sharing.special_basis)?,
        handling: handling::from_proto(sharing.handling)?,
        status: fields::closed_enum("sharing.status", sharing.status)?,
        expires: fields::optional_instant("sharing.expires_ms", sharing.expires_ms)?,
        review_by: fields::optional_instant("sharing.review_by_ms", sharing.review_by_ms)?,
    })
}

fn authorities(field: &str, texts: &[String]) -> Result<Vec<AuthorityId>, Error> {
    texts.iter().map(|text| fields::authority(field, text)).collect()
}

/// What a repeated publish call gets: the record and its recipients.
pub fn encode_published(record_id: RecordId, recipients: &[AuthorityId]) -> Bytes {
    let answer = proto::StoredPublished {
        record_id: fields::bytes_of(record_id.as_bytes()),
        recipients: recipients.iter().map(|r| r.as_str().to_owned()).collect(),
    };
    answer.encode_to_vec().into()
}

/// The first answer to a publish call.
///
/// # Errors
/// When the bytes are not one.
pub fn reload_published(bytes: Bytes) -> Result<(RecordId, Vec<AuthorityId>), Error> {
    let answer = proto::StoredPublished::decode(bytes).map_err(|_| damaged("first answer"))?;
    let record_id = fields::id("record_id", &answer.record_id, RecordId::from_slice)?;
    Ok((record_id, authorities("recipients", &answer.recipients)?))
}

fn damaged(field: &str) -> Error {
    Error::new(Reason::StorageDamaged, field, "")
}
