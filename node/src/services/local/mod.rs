//! For a city's own systems and its coordinators: alerts, practices, offers, the inbox, deliveries.

pub mod alert;
pub mod delivery;
pub mod inbox;
pub mod offer;
pub mod practice;

use havenlink_proto::local::v1 as local;

use crate::domain::ids::RecordId;
use crate::domain::record::RecordKey;
use crate::exchange::DeliveryRow;
use crate::services::errors;
use crate::wire::fields;

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
