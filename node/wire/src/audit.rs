//! Audit leaves and checkpoints (9.12, frozen: AuditLeaf).

use bytes::Bytes;
use havenlink_proto::record::v1 as proto;
use prost::Message;

use super::{Error, fields};
use crate::domain::audit::{Actor, AuditAct, AuditCheckpoint, AuditLeaf};
use crate::domain::ids::{AgreementId, Digest, FederationId};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;

/// A leaf as a message.
pub fn to_proto(leaf: &AuditLeaf) -> proto::AuditLeaf {
    let (from_size, to_size) = leaf.sizes.unwrap_or_default();
    proto::AuditLeaf {
        index: leaf.index,
        time_ms: leaf.time.0,
        act: leaf.act.code(),
        actor_role: leaf.actor.role.code(),
        actor_code: leaf.actor.code.map(|code| fields::bytes_of(&code)).unwrap_or_default(),
        counterparty: leaf.counterparty.as_ref().map(|a| a.as_str().to_owned()).unwrap_or_default(),
        record_commitment: leaf.commitment.map(|c| fields::bytes_of(c.as_bytes())).unwrap_or_default(),
        record_kind: fields::number_or_zero(leaf.record_kind),
        agreement_id: leaf.agreement.map(|a| fields::bytes_of(a.as_bytes())).unwrap_or_default(),
        purpose: fields::number_or_zero(leaf.purpose),
        reason: leaf.reason.map(|r| r.code().to_owned()).unwrap_or_default(),
        from_size,
        to_size,
    }
}

/// The bytes that are stored and hashed, encoded once.
pub fn encode(leaf: &AuditLeaf) -> Bytes {
    to_proto(leaf).encode_to_vec().into()
}

/// What holds a log together, of one encoded leaf; leaves of newer versions have it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The place that it claims.
    pub index: u64,
    pub time: UnixMs,
    /// Of a signed checkpoint's leaf: what the one before it covers, and what it covers.
    pub checkpoint: Option<(u64, u64)>,
}

/// The outline of an encoded leaf; `None` if the bytes are not a leaf.
pub fn outline(bytes: &[u8]) -> Option<Outline> {
    let leaf = proto::AuditLeaf::decode(bytes).ok()?;
    let checkpoint = (leaf.act == AuditAct::CheckpointSigned.code()).then_some((leaf.from_size, leaf.to_size));
    Some(Outline { index: leaf.index, time: UnixMs(leaf.time_ms), checkpoint })
}

/// A stored leaf, from its bytes.
///
/// # Errors
/// `DECODE_FAILED`, and as `from_proto`.
pub fn decode(bytes: &[u8]) -> Result<AuditLeaf, Error> {
    let leaf = proto::AuditLeaf::decode(bytes).map_err(|_| Error::new(Reason::DecodeFailed, "leaf", "AuditLeaf"))?;
    from_proto(leaf)
}

/// A stored leaf. A reason that a newer version wrote reads as REASON_UNKNOWN.
///
/// # Errors
/// The first field that is missing or unknown.
pub fn from_proto(leaf: proto::AuditLeaf) -> Result<AuditLeaf, Error> {
    let act: AuditAct = fields::closed_enum("act", leaf.act)?;
    let present = |bytes: &Bytes| !bytes.is_empty();
    let code = present(&leaf.actor_code)
        .then(|| fields::id("actor_code", &leaf.actor_code, |bytes| bytes.try_into().ok()))
        .transpose()?;
    let commitment = present(&leaf.record_commitment)
        .then(|| fields::id("record_commitment", &leaf.record_commitment, Digest::from_slice))
        .transpose()?;
    let agreement = present(&leaf.agreement_id)
        .then(|| fields::id("agreement_id", &leaf.agreement_id, AgreementId::from_slice))
        .transpose()?;
    let counterparty =
        (!leaf.counterparty.is_empty()).then(|| fields::authority("counterparty", &leaf.counterparty)).transpose()?;
    Ok(AuditLeaf {
        index: leaf.index,
        time: UnixMs(leaf.time_ms),
        act,
        actor: Actor { role: fields::closed_enum("actor_role", leaf.actor_role)?, code },
        counterparty,
        commitment,
        record_kind: fields::optional("record_kind", leaf.record_kind)?,
        agreement,
        purpose: fields::optional("purpose", leaf.purpose)?,
        reason: (!leaf.reason.is_empty()).then(|| Reason::from_code(&leaf.reason).unwrap_or(Reason::ReasonUnknown)),
        sizes: matches!(act, AuditAct::RestoredFromBackup | AuditAct::CheckpointSigned)
            .then_some((leaf.from_size, leaf.to_size)),
    })
}

/// A checkpoint as a message, to be signed.
pub fn checkpoint_to_proto(checkpoint: &AuditCheckpoint) -> proto::AuditCheckpoint {
    proto::AuditCheckpoint {
        federation_id: fields::bytes_of(checkpoint.federation.as_bytes()),
        authority: checkpoint.authority.as_str().to_owned(),
        size: checkpoint.size,
        root: fields::bytes_of(checkpoint.root.as_bytes()),
        time_ms: checkpoint.time.0,
    }
}

/// A checkpoint.
///
/// # Errors
/// The first field that is missing or malformed.
pub fn checkpoint_from_proto(checkpoint: proto::AuditCheckpoint) -> Result<AuditCheckpoint, Error> {
    Ok(AuditCheckpoint {
        federation: fields::id("federation_id", &checkpoint.federation_id, FederationId::from_slice)?,
        authority: fields::authority("authority", &checkpoint.authority)?,
        size: checkpoint.size,
        root: fields::id("root", &checkpoint.root, Digest::from_slice)?,
        time: fields::instant("time_ms", checkpoint.time_ms)?,
    })
}
