//! Envelopes (9.3, frozen).

use havenlink_proto::record::v1 as proto;

use super::{Error, fields, handling};
use crate::domain::envelope::{Envelope, GrantRef};
use crate::domain::ids::{AgreementId, AuthorityId, FederationId, PublicationId, RecordId};
use crate::domain::limits;
use crate::domain::person::share::SharedUnder;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, Reference, ReferenceKind, StreamClass};

/// An envelope as a message, to be signed.
pub fn to_proto(envelope: &Envelope) -> proto::Envelope {
    proto::Envelope {
        federation_id: fields::bytes_of(envelope.federation.as_bytes()),
        origin: envelope.origin.as_str().to_owned(),
        recipient: envelope.recipient.as_str().to_owned(),
        publication_id: fields::bytes_of(envelope.publication_id.as_bytes()),
        record_id: fields::bytes_of(envelope.record_id.as_bytes()),
        kind: envelope.kind.code(),
        purpose: envelope.purpose.code(),
        lawful_basis: envelope.lawful_basis.code(),
        special_basis: envelope.special_basis.code(),
        agreement_id: envelope.grant.map(|g| fields::bytes_of(g.agreement.as_bytes())).unwrap_or_default(),
        grant_number: envelope.grant.map_or(0, |g| g.number),
        shared_under: envelope.shared_under.as_ref().map(shared_under_to_proto),
        handling: Some(handling::to_proto(envelope.handling)),
        status: envelope.status.code(),
        created_ms: envelope.created.0,
        expires_ms: envelope.expires.0,
        review_by_ms: envelope.review_by.0,
        references: envelope.references.iter().map(reference_to_proto).collect(),
        body: envelope.body.clone(),
    }
}

/// An envelope whose every coded field was understood. Its body is decoded by `wire::records`.
///
/// # Errors
/// The first field that is missing, unknown or malformed; `ENVELOPE_MALFORMED` where fields do not fit each other.
pub fn from_proto(envelope: proto::Envelope) -> Result<Envelope, Error> {
    if envelope.references.len() > limits::REFERENCES {
        return Err(Error::new(Reason::FieldTooLong, "references", format!("at most {}", limits::REFERENCES)));
    }
    let envelope = reload(envelope)?;
    check(&envelope)?;
    Ok(envelope)
}

/// An envelope from this node's own disk: its form, and not what today's rules say of it.
///
/// # Errors
/// The first field that is missing, unknown or of another form.
pub fn reload(envelope: proto::Envelope) -> Result<Envelope, Error> {
    let kind: RecordKind = fields::closed_enum("kind", envelope.kind)?;
    let grant = grant(kind, &envelope)?;
    let references = references(&envelope.references)?;
    Ok(Envelope {
        federation: fields::id("federation_id", &envelope.federation_id, FederationId::from_slice)?,
        origin: fields::authority("origin", &envelope.origin)?,
        recipient: fields::authority("recipient", &envelope.recipient)?,
        publication_id: fields::id("publication_id", &envelope.publication_id, PublicationId::from_slice)?,
        record_id: fields::id("record_id", &envelope.record_id, RecordId::from_slice)?,
        kind,
        purpose: fields::closed_enum("purpose", envelope.purpose)?,
        lawful_basis: fields::closed_enum("lawful_basis", envelope.lawful_basis)?,
        special_basis: fields::closed_enum("special_basis", envelope.special_basis)?,
        grant,
        shared_under: shared_under(envelope.shared_under)?,
        handling: handling::from_proto(envelope.handling)?,
        status: fields::closed_enum("status", envelope.status)?,
        created: fields::instant("created_ms", envelope.created_ms)?,
        expires: fields::instant("expires_ms", envelope.expires_ms)?,
        review_by: fields::instant("review_by_ms", envelope.review_by_ms)?,
        references,
        body: envelope.body,
    })
}

/// Content names its grant; control names none.
fn grant(kind: RecordKind, envelope: &proto::Envelope) -> Result<Option<GrantRef>, Error> {
    match kind.class() {
        StreamClass::Content => Ok(Some(GrantRef {
            agreement: fields::id("agreement_id", &envelope.agreement_id, AgreementId::from_slice)?,
            number: envelope.grant_number,
        })),
        StreamClass::Control if envelope.agreement_id.is_empty() && envelope.grant_number == 0 => Ok(None),
        StreamClass::Control => Err(malformed("agreement_id", "control needs none")),
    }
}

fn shared_under_to_proto(under: &SharedUnder) -> proto::SharedUnder {
    proto::SharedUnder {
        reference: fields::bytes_of(&under.reference),
        scope: under.scope.code(),
        erase_by_ms: under.erase_by.0,
    }
}

fn shared_under(message: Option<proto::SharedUnder>) -> Result<Option<SharedUnder>, Error> {
    let Some(message) = message else { return Ok(None) };
    let reference: Option<[u8; 16]> = message.reference.as_ref().try_into().ok();
    Ok(Some(SharedUnder {
        reference: reference.ok_or_else(|| Error::invalid("shared_under.reference", "16 bytes"))?,
        scope: fields::closed_enum("shared_under.scope", message.scope)?,
        erase_by: fields::instant("shared_under.erase_by_ms", message.erase_by_ms)?,
    }))
}

/// A reference as a message.
pub fn reference_to_proto(reference: &Reference) -> proto::Reference {
    proto::Reference {
        kind: reference.kind.code(),
        origin: reference.target.origin.as_str().to_owned(),
        record_id: fields::bytes_of(reference.target.record_id.as_bytes()),
    }
}

/// References whose kinds and targets were understood.
///
/// # Errors
/// The first field that is missing, unknown or of another form.
pub fn references(references: &[proto::Reference]) -> Result<Vec<Reference>, Error> {
    let reference = |(i, r): (usize, &proto::Reference)| {
        let field = |name: &str| format!("references[{i}].{name}");
        Ok(Reference {
            kind: fields::closed_enum(&field("kind"), r.kind)?,
            target: RecordKey {
                origin: fields::authority(&field("origin"), &r.origin)?,
                record_id: fields::id(&field("record_id"), &r.record_id, RecordId::from_slice)?,
            },
        })
    };
    references.iter().enumerate().map(reference).collect()
}

fn check(envelope: &Envelope) -> Result<(), Error> {
    if envelope.origin == envelope.recipient {
        return Err(malformed("recipient", "another authority than the origin"));
    }
    if envelope.expires <= envelope.created || envelope.expires > envelope.created + limits::RECORD_LIFE {
        return Err(malformed("expires_ms", "after created_ms, within five years"));
    }
    if envelope.review_by < envelope.created || envelope.review_by > envelope.expires {
        return Err(malformed("review_by_ms", "from created_ms to expires_ms"));
    }
    if envelope.shared_under.is_some_and(|under| under.erase_by < envelope.expires) {
        return Err(malformed("shared_under.erase_by_ms", "not before expires_ms"));
    }
    for (i, reference) in envelope.references.iter().enumerate() {
        if reference.target.origin != *expected_origin(envelope, reference.kind) {
            return Err(malformed(&format!("references[{i}].origin"), "whose record it may refer to"));
        }
    }
    Ok(())
}

/// Only one's own records are updated, cancelled or replaced; only what the recipient sent is answered to it.
fn expected_origin(envelope: &Envelope, kind: ReferenceKind) -> &AuthorityId {
    match kind {
        ReferenceKind::Updates | ReferenceKind::Cancels | ReferenceKind::Replaces => &envelope.origin,
        ReferenceKind::Answers => &envelope.recipient,
    }
}

fn malformed(field: &str, detail: &str) -> Error {
    Error::new(Reason::EnvelopeMalformed, field, detail)
}
