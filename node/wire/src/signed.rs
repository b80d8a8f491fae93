//! Signed bytes (9.1, frozen): the one form on the wire and on disk.

use bytes::Bytes;
use havenlink_proto::elements::{self, Excess, Shaped};
use havenlink_proto::record::v1::{Signature, Signed};
use prost::Message;

use super::Error;
use super::keys::{self, SigningKey, Verify};
use crate::domain::authority::PublicKey;
use crate::domain::ids::{Digest, FederationId, KeyId};
use crate::domain::limits;
use crate::domain::reason::Reason;

/// A message that may stand in `Signed`, under its full name.
pub trait Payload: Message + Default + Shaped {
    /// Full protobuf name, the `type` of `Signed`.
    const TYPE: &'static str;
}

macro_rules! payloads {
    ($($path:path => $name:literal),+ $(,)?) => { $(impl Payload for $path { const TYPE: &'static str = $name; })+ };
}

payloads! {
    havenlink_proto::record::v1::Envelope => "havenlink.record.v1.Envelope",
    havenlink_proto::record::v1::Agreement => "havenlink.record.v1.Agreement",
    havenlink_proto::record::v1::AgreementEnd => "havenlink.record.v1.AgreementEnd",
    havenlink_proto::record::v1::AuditCheckpoint => "havenlink.record.v1.AuditCheckpoint",
    havenlink_proto::directory::v1::Statement => "havenlink.directory.v1.Statement",
    havenlink_proto::directory::v1::Beat => "havenlink.directory.v1.Beat",
    havenlink_proto::directory::v1::Founder => "havenlink.directory.v1.Founder",
    havenlink_proto::directory::v1::SnapshotHeader => "havenlink.directory.v1.SnapshotHeader",
    havenlink_proto::peer::v1::Hello => "havenlink.peer.v1.Hello",
    havenlink_proto::peer::v1::Receipt => "havenlink.peer.v1.Receipt",
    havenlink_proto::peer::v1::Invitation => "havenlink.peer.v1.Invitation",
}

/// The 32 zero bytes that the genesis statement carries in place of a federation id.
pub const NO_FEDERATION: FederationId = FederationId([0; 32]);

/// What is signed: `"havenlink/v1" 0x00 type 0x00 federation SHA-256(payload)`.
pub fn signed_message(kind: &str, federation: &FederationId, payload: &Digest) -> Vec<u8> {
    let mut message = Vec::with_capacity(14 + kind.len() + 64);
    message.extend_from_slice(b"havenlink/v1\0");
    message.extend_from_slice(kind.as_bytes());
    message.push(0);
    message.extend_from_slice(federation.as_bytes());
    message.extend_from_slice(payload.as_bytes());
    message
}

/// Encodes the payload, once, and signs it with each key.
pub fn sign<P: Payload>(federation: &FederationId, payload: &P, keys: &[&SigningKey]) -> Signed {
    let bytes = payload.encode_to_vec();
    let message = signed_message(P::TYPE, federation, &Digest::of(&bytes));
    let signatures = keys.iter().map(|key| signature(key, &message)).collect();
    Signed { r#type: P::TYPE.to_owned(), payload: bytes.into(), signatures }
}

/// One more signature over the bytes of an existing `Signed`.
pub fn countersign(federation: &FederationId, signed: &Signed, key: &SigningKey) -> Signature {
    signature(key, &signed_message(&signed.r#type, federation, &Digest::of(&signed.payload)))
}

/// The same payload, byte for byte, under this key alone; as it is, if it stands under that already. For what an
/// authority signed itself, with a key that was replaced since.
///
/// # Errors
/// `DECODE_FAILED` when the bytes are no `Signed`.
pub fn sign_again(bytes: &Bytes, federation: &FederationId, key: &SigningKey) -> Result<Bytes, Error> {
    let mut signed = Signed::decode(bytes.clone()).map_err(|_| Error::new(Reason::DecodeFailed, "signed", ""))?;
    let id = key.public().id();
    if signed.signatures.iter().all(|s| s.key_id[..] == id.as_bytes()[..]) {
        return Ok(bytes.clone());
    }
    signed.signatures = vec![countersign(federation, &signed, key)];
    Ok(signed.encode_to_vec().into())
}

fn signature(key: &SigningKey, message: &[u8]) -> Signature {
    Signature {
        key_id: Bytes::copy_from_slice(key.public().id().as_bytes()),
        sig: Bytes::copy_from_slice(&key.sign(message)),
    }
}

/// A `Signed` whose payload was decoded but whose signatures were not looked at: tells whose keys to fetch.
pub struct Unverified<P> {
    /// The payload, not to be acted on.
    pub claims: P,
    /// The encoded `Signed`.
    pub bytes: Bytes,
    signed: Signed,
    payload_digest: Digest,
}

/// A value and the very bytes that were verified. There is one constructor: `Unverified::verify`.
#[derive(Clone, Debug)]
pub struct Verified<P> {
    value: P,
    bytes: Bytes,
    payload_digest: Digest,
    signers: Vec<KeyId>,
}

/// Decodes without trusting.
///
/// # Errors
/// `DECODE_FAILED` when the bytes are not a `Signed` of this type; `FIELD_INVALID` when its signatures are not 1 to 16
/// distinct ones of the right length.
pub fn open<P: Payload>(bytes: Bytes) -> Result<Unverified<P>, Error> {
    let unverified = reload::<P>(bytes)?;
    if unverified.signed.signatures.len() > limits::SIGNATURES {
        return Err(Error::invalid("signed.signatures", "1 to 16"));
    }
    Ok(unverified)
}

/// The same of bytes from this node's own disk: how many signatures there may be was judged before they were stored.
///
/// # Errors
/// As `open`, but for the number of signatures.
pub fn reload<P: Payload>(bytes: Bytes) -> Result<Unverified<P>, Error> {
    let signed = elements::decode::<Signed>(bytes.clone()).map_err(|excess| Error::decoding("signed", excess))?;
    if signed.r#type != P::TYPE {
        return Err(Error::new(Reason::DecodeFailed, "signed.type", P::TYPE));
    }
    if signed.signatures.is_empty() {
        return Err(Error::invalid("signed.signatures", "one at least"));
    }
    for (i, s) in signed.signatures.iter().enumerate() {
        let repeated = signed.signatures[..i].iter().any(|other| other.key_id == s.key_id);
        if s.key_id.len() != 16 || s.sig.len() != 64 || repeated {
            return Err(Error::invalid("signed.signatures", "distinct key ids of 16 bytes, signatures of 64"));
        }
    }
    let claims = elements::decode::<P>(signed.payload.clone()).map_err(|excess| match excess {
        Excess::Malformed => Error::new(Reason::DecodeFailed, "signed.payload", P::TYPE),
        excess => Error::decoding("signed.payload", excess),
    })?;
    let payload_digest = Digest::of(&signed.payload);
    Ok(Unverified { claims, bytes, signed, payload_digest })
}

impl<P: Payload> Unverified<P> {
    /// SHA-256 of the payload.
    pub fn payload_digest(&self) -> Digest {
        self.payload_digest
    }

    /// Key ids of the signatures, not checked.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.signed.signatures.iter().filter_map(|s| KeyId::from_slice(&s.key_id))
    }

    /// Every signature must verify with the key that `key_of` gives for its key id.
    ///
    /// # Errors
    /// `KEY_NOT_CURRENT` when `key_of` knows no such key, `SIGNATURE_INVALID` when a signature does not verify.
    pub fn verify(
        self,
        federation: &FederationId,
        key_of: impl Fn(&KeyId) -> Option<PublicKey>,
    ) -> Result<Verified<P>, Error> {
        let signers = self.check(federation, key_of, &keys::Plain)?;
        Ok(Verified { value: self.claims, bytes: self.bytes, payload_digest: self.payload_digest, signers })
    }

    /// The same question without giving up the value: who signed.
    ///
    /// # Errors
    /// As `verify`.
    pub fn check(
        &self,
        federation: &FederationId,
        key_of: impl Fn(&KeyId) -> Option<PublicKey>,
        verify: &dyn Verify,
    ) -> Result<Vec<KeyId>, Error> {
        let message = signed_message(P::TYPE, federation, &self.payload_digest);
        let mut signers = Vec::with_capacity(self.signed.signatures.len());
        for s in &self.signed.signatures {
            let id = KeyId::from_slice(&s.key_id).ok_or_else(|| Error::invalid("signed.signatures", "key id"))?;
            let key = key_of(&id).ok_or_else(|| Error::new(Reason::KeyNotCurrent, "signed.signatures", ""))?;
            if key.id() != id || !verify.verify(&key, &message, &s.sig) {
                return Err(Error::new(Reason::SignatureInvalid, "signed.signatures", ""));
            }
            signers.push(id);
        }
        Ok(signers)
    }
}

impl<P> Verified<P> {
    /// The value that was verified.
    pub fn value(&self) -> &P {
        &self.value
    }

    /// The encoded `Signed`, as it came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// SHA-256 of the payload: the id of agreements, statements and invitations.
    pub fn payload_digest(&self) -> Digest {
        self.payload_digest
    }

    /// Who signed, by key id.
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// The value alone.
    pub fn into_value(self) -> P {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use havenlink_proto::peer::v1::Hello;

    #[test]
    fn a_signature_binds_type_federation_and_payload() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        let federation = FederationId([7; 32]);
        let hello = Hello { authority: "fr-strasbourg".into(), incarnation: 3, ..Default::default() };
        let signed = sign(&federation, &hello, &[&key]);
        let bytes = Bytes::from(signed.encode_to_vec());
        let find = |id: &KeyId| (key.public().id() == *id).then(|| key.public());
        let verified = open::<Hello>(bytes.clone()).unwrap().verify(&federation, find).unwrap();
        assert_eq!(verified.value(), &hello);

        let other = open::<Hello>(bytes.clone()).unwrap().verify(&FederationId([8; 32]), find);
        assert_eq!(other.unwrap_err().reason, Reason::SignatureInvalid);
        let wrong_type = open::<havenlink_proto::peer::v1::Receipt>(bytes);
        assert!(wrong_type.is_err());
        let mut tampered = signed;
        tampered.payload = Hello { incarnation: 4, ..hello }.encode_to_vec().into();
        let refused = open::<Hello>(tampered.encode_to_vec().into()).unwrap().verify(&federation, find);
        assert_eq!(refused.unwrap_err().reason, Reason::SignatureInvalid);
    }
}
