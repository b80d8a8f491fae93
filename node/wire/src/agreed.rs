//! Signed agreements (9.7): one payload, one signature per party, added as they come.

use bytes::Bytes;
use havenlink_proto::record::v1 as proto;
use prost::Message;

use super::fields::Source;
use super::keys::{self, SigningKey};
use super::peer::KeyOf;
use super::{Error, agreement, fields, signed};
use crate::domain::agreement::Agreement;
use crate::domain::ids::{AgreementId, AuthorityId, FederationId, KeyId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::records::agreement::PartySignature;

/// An agreement with the signatures on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAgreement {
    pub id: AgreementId,
    pub agreement: Agreement,
    /// Parties whose signature is on it, in the order of signing.
    pub signed_by: Vec<AuthorityId>,
    /// Encoded `Signed`.
    pub bytes: Bytes,
}

impl SignedAgreement {
    /// Whether every party has signed.
    pub fn complete(&self) -> bool {
        self.agreement.parties.iter().all(|p| self.signed_by.contains(&p.authority))
    }
}

/// Encodes and signs, as its proposer.
pub fn sign(agreement: &Agreement, key: &SigningKey) -> Bytes {
    signed::sign(&agreement.federation, &agreement::to_proto(agreement), &[key]).encode_to_vec().into()
}

/// Opens an agreement: each signature must verify with a key of a party.
///
/// # Errors
/// Whatever does not decode or verify; `AGREEMENT_INVALID` when it does not hold together; `WRONG_FEDERATION`.
pub fn open(bytes: Bytes, ours: &FederationId, key_of: KeyOf<'_>) -> Result<SignedAgreement, Error> {
    verified(bytes, ours, key_of, Source::Outside)
}

/// An agreement from this node's own store, with the parties whose signatures verify today.
///
/// # Errors
/// When the stored bytes do not decode, or a signature on it is of no key that stands; never for what today's rules say of it.
pub fn reopen(bytes: Bytes, ours: &FederationId, key_of: KeyOf<'_>) -> Result<SignedAgreement, Error> {
    verified(bytes, ours, key_of, Source::OwnDisk)
}

fn verified(bytes: Bytes, ours: &FederationId, key_of: KeyOf<'_>, source: Source) -> Result<SignedAgreement, Error> {
    let opened = match source {
        Source::Outside => signed::open::<proto::Agreement>,
        Source::OwnDisk => signed::reload,
    };
    let unverified = opened(bytes)?;
    if source == Source::Outside && unverified.claims.parties.len() > limits::PARTIES {
        return Err(Error::new(Reason::AgreementInvalid, "agreement.parties", "too many"));
    }
    let parties: Vec<AuthorityId> = named_parties(&unverified.claims)?;
    let owner = |id: &KeyId| parties.iter().find_map(|party| key_of(party, id).map(|key| (party, key)));
    let verified = unverified.verify(ours, |id| owner(id).map(|(_, key)| key))?;
    let signed_by: Vec<_> =
        verified.signers().iter().filter_map(|id| owner(id).map(|(party, _)| party.clone())).collect();
    let (id, bytes) = (AgreementId(verified.payload_digest().0), verified.bytes().clone());
    let read = match source {
        Source::Outside => agreement::from_proto,
        Source::OwnDisk => agreement::reload,
    };
    let agreement = read(verified.into_value()).map_err(|e| e.within("agreement"))?;
    if agreement.federation != *ours {
        return Err(Error::new(Reason::WrongFederation, "agreement.federation_id", ""));
    }
    Ok(SignedAgreement { id, agreement, signed_by, bytes })
}

/// An agreement from this node's own store.
///
/// # Errors
/// When the stored bytes do not decode.
pub fn own(bytes: &Bytes) -> Result<(AgreementId, Agreement), Error> {
    let opened = signed::reload::<proto::Agreement>(bytes.clone())?;
    let id = AgreementId(opened.payload_digest().0);
    Ok((id, agreement::reload(opened.claims)?))
}

/// This party's signature over a stored agreement.
///
/// # Errors
/// When the stored bytes do not decode.
pub fn countersign(bytes: &Bytes, ours: &FederationId, key: &SigningKey) -> Result<PartySignature, Error> {
    let id = AgreementId(signed::reload::<proto::Agreement>(bytes.clone())?.payload_digest().0);
    let signature = signed::countersign(ours, &decode(bytes)?, key);
    Ok(PartySignature { agreement: id, key_id: key.public().id(), signature: signature.sig })
}

/// The same bytes with one more signature, which must be that of the named party.
///
/// # Errors
/// `KEY_NOT_CURRENT` or `SIGNATURE_INVALID` when it is not.
pub fn add(
    bytes: &Bytes,
    ours: &FederationId,
    party: &AuthorityId,
    signature: &PartySignature,
    key_of: KeyOf<'_>,
) -> Result<Bytes, Error> {
    let mut signed = decode(bytes)?;
    let key = key_of(party, &signature.key_id).ok_or_else(|| Error::new(Reason::KeyNotCurrent, "signature", ""))?;
    let payload = crate::domain::ids::Digest::of(&signed.payload);
    let message = signed::signed_message(&signed.r#type, ours, &payload);
    if !keys::verify(&key, &message, &signature.signature) {
        return Err(Error::new(Reason::SignatureInvalid, "signature", ""));
    }
    if !signed.signatures.iter().any(|s| s.key_id == signature.key_id.as_bytes().as_slice()) {
        signed.signatures.push(proto::Signature {
            key_id: fields::bytes_of(signature.key_id.as_bytes()),
            sig: signature.signature.clone(),
        });
    }
    Ok(signed.encode_to_vec().into())
}

fn decode(bytes: &Bytes) -> Result<proto::Signed, Error> {
    proto::Signed::decode(bytes.clone()).map_err(|_| Error::new(Reason::DecodeFailed, "signed", ""))
}

fn named_parties(claims: &proto::Agreement) -> Result<Vec<AuthorityId>, Error> {
    claims.parties.iter().map(|p| fields::authority("agreement.parties", &p.authority)).collect()
}
