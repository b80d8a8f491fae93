//! The body of an envelope: the encoded message of its kind, decoded once, after the envelope was verified.

use bytes::Bytes;
use havenlink_proto::record::v1 as proto;
use prost::Message;

use super::{Error, agreement, alert, answer, fields, offer, practice};
use crate::domain::agreement::AgreementEnd;
use crate::domain::alert::Alert;
use crate::domain::answer::Answer;
use crate::domain::envelope::{Envelope, GrantRef};
use crate::domain::ids::{AgreementId, KeyId};
use crate::domain::offer::OfferView;
use crate::domain::policy::ContentDetails;
use crate::domain::practice::Practice;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;

/// What an envelope carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Alert(Alert),
    Practice(Practice),
    OfferView(OfferView),
    Answer(Answer),
    /// Encoded `Signed` with the proposer's signature; to be opened and verified.
    AgreementProposal(Bytes),
    AgreementSignature(PartySignature),
    /// Encoded `Signed` with all signatures; to be opened and verified.
    AgreementComplete(Bytes),
    AgreementEnd(AgreementEnd),
}

/// One party's signature over an agreement; not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartySignature {
    pub agreement: AgreementId,
    pub key_id: KeyId,
    /// 64 bytes.
    pub signature: Bytes,
}

impl Body {
    /// The kind of record that it is.
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::Alert(_) => RecordKind::Alert,
            Self::Practice(_) => RecordKind::Practice,
            Self::OfferView(_) => RecordKind::OfferView,
            Self::Answer(_) => RecordKind::Answer,
            Self::AgreementProposal(_) => RecordKind::AgreementProposal,
            Self::AgreementSignature(_) => RecordKind::AgreementSignature,
            Self::AgreementComplete(_) => RecordKind::AgreementComplete,
            Self::AgreementEnd(_) => RecordKind::AgreementEnd,
        }
    }

    /// What the one question needs to know of content; `target` is the grant under which an answer's target was sent.
    /// `None` for control, and for an answer whose target is not known.
    pub fn details(&self, target: Option<GrantRef>) -> Option<ContentDetails> {
        match self {
            Self::Alert(alert) => Some(ContentDetails::of_alert(alert)),
            Self::Practice(_) => Some(ContentDetails::Practice),
            Self::OfferView(view) => Some(ContentDetails::of_offer(view)),
            Self::Answer(_) => target.map(|target| ContentDetails::Answer { target }),
            _ => None,
        }
    }

    /// The encoded message.
    pub fn encode(&self) -> Bytes {
        let bytes = match self {
            Self::Alert(a) => alert::to_proto(a).encode_to_vec(),
            Self::Practice(p) => practice::to_proto(p).encode_to_vec(),
            Self::OfferView(v) => offer::to_proto(v).encode_to_vec(),
            Self::Answer(a) => answer::to_proto(a).encode_to_vec(),
            // Both have the signed agreement as their field 1: a message in a message is its bytes.
            Self::AgreementProposal(signed) | Self::AgreementComplete(signed) => nested(signed),
            Self::AgreementSignature(s) => signature_to_proto(s).encode_to_vec(),
            Self::AgreementEnd(end) => agreement::end_to_proto(end).encode_to_vec(),
        };
        bytes.into()
    }
}

/// The envelope's body, by its kind.
///
/// # Errors
/// `KIND_NOT_SUPPORTED`, `DECODE_FAILED`, or the first field of the record that is refused, below `body`.
pub fn decode(envelope: &Envelope) -> Result<Body, Error> {
    let body = by_kind(envelope.kind, &envelope.body).map_err(|e| e.within("body"))?;
    match &body {
        Body::AgreementEnd(end) if end.by != envelope.origin => {
            Err(Error::new(Reason::EnvelopeMalformed, "body.by", "the envelope's origin"))
        }
        _ => Ok(body),
    }
}

fn by_kind(kind: RecordKind, body: &Bytes) -> Result<Body, Error> {
    match kind {
        RecordKind::Alert => alert::from_proto(message(body)?).map(Body::Alert),
        RecordKind::Practice => practice::from_proto(message(body)?).map(Body::Practice),
        RecordKind::OfferView => offer::from_proto(message(body)?).map(Body::OfferView),
        RecordKind::Answer => answer::from_proto(message(body)?).map(Body::Answer),
        RecordKind::AgreementProposal => {
            signed(message::<proto::AgreementProposal>(body)?.agreement).map(Body::AgreementProposal)
        }
        RecordKind::AgreementSignature => signature_from_proto(message(body)?).map(Body::AgreementSignature),
        RecordKind::AgreementComplete => {
            signed(message::<proto::AgreementComplete>(body)?.agreement).map(Body::AgreementComplete)
        }
        RecordKind::AgreementEnd => agreement::end_from_proto(message(body)?).map(Body::AgreementEnd),
        RecordKind::Placement
        | RecordKind::Referral
        | RecordKind::Inspection
        | RecordKind::Adoption
        | RecordKind::Review
        | RecordKind::WithdrawalNotice
        | RecordKind::ErasureReceipt
        | RecordKind::WithdrawalCode => Err(Error::new(Reason::KindNotSupported, "", kind.name())),
    }
}

fn message<M: Message + Default>(body: &Bytes) -> Result<M, Error> {
    if body.is_empty() {
        return Err(Error::missing(""));
    }
    M::decode(body.clone()).map_err(|_| Error::new(Reason::DecodeFailed, "", ""))
}

fn signed(signed: Option<proto::Signed>) -> Result<Bytes, Error> {
    Ok(signed.ok_or_else(|| Error::missing("agreement"))?.encode_to_vec().into())
}

/// `{ Signed agreement = 1; }` around encoded bytes.
fn nested(signed: &Bytes) -> Vec<u8> {
    let mut out = Vec::with_capacity(signed.len() + 4);
    prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(signed.len() as u64, &mut out);
    out.extend_from_slice(signed);
    out
}

fn signature_to_proto(signature: &PartySignature) -> proto::AgreementSignature {
    proto::AgreementSignature {
        agreement_id: fields::bytes_of(signature.agreement.as_bytes()),
        signature: Some(proto::Signature {
            key_id: fields::bytes_of(signature.key_id.as_bytes()),
            sig: signature.signature.clone(),
        }),
    }
}

fn signature_from_proto(message: proto::AgreementSignature) -> Result<PartySignature, Error> {
    let signature = message.signature.ok_or_else(|| Error::missing("signature"))?;
    if signature.sig.len() != 64 {
        return Err(Error::invalid("signature.sig", "64 bytes"));
    }
    Ok(PartySignature {
        agreement: fields::id("agreement_id", &message.agreement_id, AgreementId::from_slice)?,
        key_id: fields::id("signature.key_id", &signature.key_id, KeyId::from_slice)?,
        signature: signature.sig,
    })
}
