//! Sealed envelopes: encoded and signed once by the origin; opened, verified and understood by the recipient.

use bytes::Bytes;
use havenlink_proto::record::v1 as proto;
use prost::Message;

use super::keys::SigningKey;
use super::peer::KeyOf;
use super::{Error, envelope, records, signed};
use crate::domain::authority::PublicKey;
use crate::domain::envelope::Envelope;
use crate::domain::ids::{Digest, FederationId, KeyId};
use crate::domain::limits;
use crate::domain::policy::Reading;
use crate::domain::reason::{Reason, RoadEffect};
use crate::domain::record::{RecordKind, ReferenceKind, StreamClass};
use crate::domain::records::agreement::AgreementEnd;
use crate::domain::records::{Control, Facet, RecordBody};
use crate::domain::sharing::{check_bases, check_marking};
use crate::domain::stream::StreamId;

/// An envelope as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Encoded `Signed`.
    pub bytes: Bytes,
    /// SHA-256 of `bytes`: what receipts name.
    pub digest: Digest,
}

/// An envelope that was verified, and its body.
#[derive(Clone, Debug)]
pub struct Opened {
    pub envelope: Envelope,
    pub body: RecordBody,
}

/// Encodes and signs.
pub fn seal(envelope: &Envelope, key: &SigningKey) -> Sealed {
    let signed = signed::sign(&envelope.federation, &envelope::to_proto(envelope), &[key]);
    let bytes = Bytes::from(signed.encode_to_vec());
    Sealed { digest: Digest::of(&bytes), bytes }
}

/// Opens what came on a stream, in the order of 9.3: origin, recipient, signature, federation; then every field of the
/// envelope and of its body.
///
/// # Errors
/// `WRONG_ORIGIN`, `WRONG_RECIPIENT`, `KEY_NOT_CURRENT`, `SIGNATURE_INVALID` or `WRONG_FEDERATION`: a refusal. Any other
/// reason: it cannot be understood.
pub fn open(
    bytes: Bytes,
    stream: &StreamId,
    ours: &FederationId,
    key_of: impl Fn(&KeyId) -> Option<PublicKey>,
) -> Result<Opened, Error> {
    let largest = if stream.class == StreamClass::Content { limits::ENVELOPE_BYTES } else { limits::CONTROL_BYTES };
    if bytes.len() > largest {
        return Err(Error::new(Reason::MessageTooLarge, "envelope", format!("at most {largest} bytes")));
    }
    let unverified = signed::open::<proto::Envelope>(bytes)?;
    if unverified.claims.origin != stream.origin.as_str() {
        return Err(Error::new(Reason::WrongOrigin, "envelope.origin", ""));
    }
    if unverified.claims.recipient != stream.recipient.as_str() {
        return Err(Error::new(Reason::WrongRecipient, "envelope.recipient", ""));
    }
    let message = unverified.verify(ours, key_of)?.into_value();
    // A later version's: nothing of it is looked at, and its sender keeps it until this node names the kind.
    if message.kind != 0 && !RecordKind::from_code(message.kind).is_some_and(RecordKind::is_built) {
        return Err(Error::new(Reason::KindNotNamed, "envelope.kind", format!("number {}", message.kind)));
    }
    let envelope = envelope::from_proto(message)?;
    if envelope.federation != *ours {
        return Err(Error::new(Reason::WrongFederation, "envelope.federation_id", ""));
    }
    if envelope.kind.class() != stream.class {
        return Err(Error::new(Reason::EnvelopeMalformed, "envelope.kind", "a kind of the stream's class"));
    }
    let body = parse_body(&envelope)?;
    Ok(Opened { envelope, body })
}

/// What an envelope from outside says.
///
/// # Errors
/// `KIND_NOT_SUPPORTED`, `DECODE_FAILED`, or the first field of the record that is refused, below `body`.
pub fn parse_body(envelope: &Envelope) -> Result<RecordBody, Error> {
    let cancels = envelope.target(ReferenceKind::Cancels).is_some();
    let parse = if cancels { records::parse_cancellation } else { records::parse };
    let body = parse(envelope.kind, &envelope.body).map_err(|e| e.within("body"))?;
    let answers = body.content().is_some_and(|content| content.facet().is_answer());
    if answers != envelope.target(ReferenceKind::Answers).is_some() {
        return Err(malformed("references", "an answer, and nothing else, names what it answers"));
    }
    match &body {
        RecordBody::Control(Control::AgreementEnd(end)) if end.by != envelope.origin => {
            return Err(malformed("body.by", "the envelope's origin"));
        }
        RecordBody::Control(_) => {}
        RecordBody::Content(content) => {
            let Envelope { handling, lawful_basis, special_basis, .. } = &envelope;
            check_marking(handling.tlp, content.facet())
                .and_then(|()| check_bases(*lawful_basis, *special_basis, content.facet()))
                .map_err(|fault| malformed(&fault.field, &fault.detail))?;
        }
    }
    Ok(body)
}

/// The notice that a party left an agreement, whoever brings it and whomever it was sent to: what counts is the signature of the
/// party itself. Such a notice does not expire.
///
/// # Errors
/// Whatever does not decode or verify, is of another federation, or is no such notice.
pub fn open_end(bytes: Bytes, ours: &FederationId, key_of: KeyOf<'_>) -> Result<AgreementEnd, Error> {
    if bytes.len() > limits::CONTROL_BYTES {
        return Err(Error::new(
            Reason::MessageTooLarge,
            "envelope",
            format!("at most {} bytes", limits::CONTROL_BYTES),
        ));
    }
    let unverified = signed::open::<proto::Envelope>(bytes)?;
    let origin = super::fields::authority("envelope.origin", &unverified.claims.origin)?;
    let envelope = envelope::from_proto(unverified.verify(ours, |id| key_of(&origin, id))?.into_value())?;
    if envelope.federation != *ours {
        return Err(Error::new(Reason::WrongFederation, "envelope.federation_id", ""));
    }
    match parse_body(&envelope)? {
        RecordBody::Control(Control::AgreementEnd(end)) => Ok(end),
        _ => Err(malformed("kind", "the end of an agreement")),
    }
}

fn malformed(field: &str, detail: &str) -> Error {
    Error::new(Reason::EnvelopeMalformed, field, detail)
}

/// The key id under the bytes, not checked.
pub fn signer(bytes: &Bytes) -> Option<KeyId> {
    signed::open::<proto::Envelope>(bytes.clone()).ok()?.key_ids().next()
}

/// Whether an error of `open` says that the sender may not, rather than that the bytes cannot be understood.
pub fn is_refusal(reason: Reason) -> bool {
    reason.road() == RoadEffect::NotAllowed
}

/// An envelope from this node's own store: it was verified, or made, before it was stored. Its form alone counts.
///
/// # Errors
/// When the stored bytes do not have the form of an envelope.
pub fn reload(reading: Reading<'_>) -> Result<Envelope, Error> {
    Ok(decode_signed(reading.bytes())?.0)
}

/// A stored envelope with its body.
///
/// # Errors
/// When the stored bytes do not have the form of an envelope and of a record of its kind.
pub fn reload_opened(reading: Reading<'_>) -> Result<Opened, Error> {
    let envelope = reload(reading)?;
    let body = records::reload(envelope.kind, &envelope.body).map_err(|e| e.within("body"))?;
    Ok(Opened { envelope, body })
}

/// An envelope and the id of the key that signed it.
pub(crate) fn decode_signed(bytes: &Bytes) -> Result<(Envelope, Option<KeyId>), Error> {
    let opened = signed::reload::<proto::Envelope>(bytes.clone())?;
    let key = opened.key_ids().next();
    Ok((envelope::reload(opened.claims)?, key))
}

/// The same payload, byte for byte, under another key of its origin: the one it was signed with was replaced. The payload is
/// carried, and not read.
///
/// # Errors
/// When the stored bytes do not decode.
pub fn sign_again(bytes: &Bytes, federation: &FederationId, key: &SigningKey) -> Result<Sealed, Error> {
    let bytes = signed::sign_again(bytes, federation, key)?;
    Ok(Sealed { digest: Digest::of(&bytes), bytes })
}

/// What the one question needs to know of a stored envelope's content, without reading its texts again.
///
/// # Errors
/// When the body does not decode.
pub(crate) fn facet(envelope: &Envelope) -> Result<Facet, Error> {
    records::facet(envelope.kind, &envelope.body).map_err(|e| e.within("body"))
}
