//! From a request at a local door to the exchange's `Call`: who, and what makes it repeatable.

use prost::Message;
use tonic::{Request, Status};

use super::actor::Codes;
use crate::domain::ids::{AuthorityId, Digest};
use crate::exchange::Call;
use crate::services::errors;
use crate::telemetry::propagation;
use crate::wire::fields;

/// The call of a write. The scope of its request id is the role and the actor.
///
/// # Errors
/// When it did not come through a local door.
pub fn call<T: Message>(codes: &Codes, request: &Request<T>, request_id: &str) -> Result<Call, Status> {
    let actor = codes.actor(request)?;
    let code = actor.code.map(|c| data_encoding::HEXLOWER.encode(&c)).unwrap_or_default();
    Ok(Call {
        actor,
        scope: format!("{}/{code}", actor.role.name()),
        request_id: request_id.to_owned(),
        body: Digest::of(&request.get_ref().encode_to_vec()),
        traceparent: propagation::traceparent(),
    })
}

/// An authority named in a field; empty: none.
///
/// # Errors
/// `FIELD_INVALID` for text that is no authority's id.
pub fn named(field: &str, text: &str) -> Result<Option<AuthorityId>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    fields::authority(field, text).map(Some).map_err(|e| errors::field(&e))
}
