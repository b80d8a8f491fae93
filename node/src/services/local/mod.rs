//! For a city's own systems and its coordinators: records of every kind, what is special to practices and offers, holds, the
//! inbox, deliveries, and what persons let be shared.

pub mod agreement_to_share;
pub mod delivery;
pub mod hold;
pub mod inbox;
pub mod offer;
pub mod practice;
pub mod record;
pub mod referral;

use havenlink_proto::local::v1 as local;

use crate::domain::audit::ActorRole;
use crate::domain::ids::RecordId;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::records::{RecordKind, Verb};
use crate::exchange::DeliveryRow;
use crate::services::errors;
use crate::wire::{self, fields};

/// A delivery as the contract shows it.
pub(super) fn delivery(row: &DeliveryRow) -> local::Delivery {
    local::Delivery {
        recipient: row.recipient.to_string(),
        record_id: fields::bytes_of(row.record_id.as_bytes()),
        kind: row.kind.code(),
        state: row.state as i32,
        attempts: row.attempts,
        reason: row.reason.map(|r| r.code().to_owned()).unwrap_or_default(),
        queued_ms: row.queued.0,
        finished_ms: row.finished.map_or(0, |t| t.0),
        next_attempt_ms: row.next_attempt.map_or(0, |t| t.0),
        agreement_id: row.agreement.map(|id| fields::bytes_of(id.as_bytes())).unwrap_or_default(),
    }
}

/// A record's key from the two fields that name it.
pub(super) fn key(origin: &str, record_id: &[u8]) -> Result<RecordKey, tonic::Status> {
    let origin = fields::authority("origin", origin).map_err(|e| errors::field(&e))?;
    let record_id = fields::id("record_id", record_id, RecordId::from_slice).map_err(|e| errors::field(&e))?;
    Ok(RecordKey { origin, record_id })
}

/// The kinds that a call names in its field `kinds`, each of them one with which the role may do this; none named: all that
/// it may.
pub(super) fn kinds_of(asked: &[i32], role: ActorRole, verb: Verb) -> Result<Vec<RecordKind>, tonic::Status> {
    let named: Vec<RecordKind> = fields::closed_enums("kinds", asked).map_err(|e| errors::field(&e))?;
    for (i, kind) in named.iter().enumerate() {
        kind.open_to(verb, role).map_err(|reason| refused(reason, &format!("kinds[{i}]"), *kind))?;
    }
    let own = || RecordKind::CONTENT.iter().copied().filter(|kind| kind.open_to(verb, role).is_ok()).collect();
    Ok(if named.is_empty() { own() } else { named })
}

/// Why a record or a kind in a field is refused: for the kind, or for the role.
pub(super) fn refused(reason: Reason, field: &str, kind: RecordKind) -> tonic::Status {
    match reason {
        Reason::KindNotSupported => errors::field(&wire::Error::new(reason, field, kind.name())),
        reason => errors::refuse(reason),
    }
}
