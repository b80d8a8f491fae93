//! Signs the ledger's checkpoints (9.12).

use bytes::Bytes;
use prost::Message;

use super::keys::SigningKey;
use super::{audit, signed};
use crate::domain::audit::AuditCheckpoint;

/// A signed checkpoint; encoded `Signed`.
pub fn sign(checkpoint: &AuditCheckpoint, key: &SigningKey) -> Bytes {
    signed::sign(&checkpoint.federation, &audit::checkpoint_to_proto(checkpoint), &[key]).encode_to_vec().into()
}
