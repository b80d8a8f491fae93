//! Control records about agreements (9.7).

use bytes::Bytes;
use havenlink_proto::record::v1 as proto;
use prost::Message;

use super::{ControlCodec, message};
use crate::domain::ids::{AgreementId, KeyId};
use crate::domain::records::agreement::{AgreementEnd, Complete, PartySignature, Proposal};
use crate::{Error, agreement, fields};

impl ControlCodec for Proposal {
    fn encode(&self) -> Bytes {
        nested(&self.0)
    }

    fn decode(bytes: &Bytes) -> Result<Self, Error> {
        signed(message::<proto::AgreementProposal>(bytes)?.agreement).map(Self)
    }
}

impl ControlCodec for Complete {
    fn encode(&self) -> Bytes {
        nested(&self.0)
    }

    fn decode(bytes: &Bytes) -> Result<Self, Error> {
        signed(message::<proto::AgreementComplete>(bytes)?.agreement).map(Self)
    }
}

impl ControlCodec for PartySignature {
    fn encode(&self) -> Bytes {
        signature_to_proto(self).encode_to_vec().into()
    }

    fn decode(bytes: &Bytes) -> Result<Self, Error> {
        signature_from_proto(message(bytes)?)
    }
}

impl ControlCodec for AgreementEnd {
    fn encode(&self) -> Bytes {
        agreement::end_to_proto(self).encode_to_vec().into()
    }

    fn decode(bytes: &Bytes) -> Result<Self, Error> {
        agreement::end_from_proto(message(bytes)?)
    }
}

fn signed(signed: Option<proto::Signed>) -> Result<Bytes, Error> {
    Ok(signed.ok_or_else(|| Error::missing("agreement"))?.encode_to_vec().into())
}

/// `{ Signed agreement = 1; }` around encoded bytes: a message in a message is its bytes.
fn nested(signed: &Bytes) -> Bytes {
    let mut out = Vec::with_capacity(signed.len() + 4);
    prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(signed.len() as u64, &mut out);
    out.extend_from_slice(signed);
    out.into()
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
