//! Signs the ledger's checkpoints, and opens them (9.12).

use bytes::Bytes;
use prost::Message;

use havenlink_proto::record::v1 as proto;

use super::keys::SigningKey;
use super::{Error, audit, signed};
use crate::domain::audit::AuditCheckpoint;
use crate::domain::authority::PublicKey;
use crate::domain::ids::{FederationId, KeyId};

/// A signed checkpoint; encoded `Signed`.
pub fn sign(checkpoint: &AuditCheckpoint, key: &SigningKey) -> Bytes {
    signed::sign(&checkpoint.federation, &audit::checkpoint_to_proto(checkpoint), &[key]).encode_to_vec().into()
}

/// A checkpoint whose signature verifies.
///
/// # Errors
/// `KEY_NOT_CURRENT` when `key_of` does not know the key, `SIGNATURE_INVALID`, and what does not decode.
pub fn open(
    bytes: Bytes,
    federation: &FederationId,
    key_of: impl Fn(&KeyId) -> Option<PublicKey>,
) -> Result<AuditCheckpoint, Error> {
    let verified = signed::open::<proto::AuditCheckpoint>(bytes)?.verify(federation, key_of)?;
    audit::checkpoint_from_proto(verified.into_value())
}
