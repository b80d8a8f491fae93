//! From a request at a local socket to the exchange's `Call`: who, and what makes it repeatable.

use tonic::{Request, Status};

use super::actor::Codes;
use super::layers::RequestDigest;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::exchange::Call;
use crate::services::errors;
use crate::telemetry::propagation;
use crate::wire::fields;

/// The call of a write. The scope of its request id is the role and the actor.
///
/// # Errors
/// When it did not come through a local socket.
pub fn call<T>(codes: &Codes, request: &Request<T>, request_id: &str) -> Result<Call, Status> {
    let actor = codes.actor(request)?;
    // Put there by the layer for every method that the contract calls a write.
    let body = request.extensions().get::<RequestDigest>().and_then(RequestDigest::get);
    let code = actor.code.map(|c| data_encoding::HEXLOWER.encode(&c)).unwrap_or_default();
    Ok(Call {
        actor,
        scope: format!("{}/{code}", actor.role.name()),
        request_id: request_id.to_owned(),
        body: body.ok_or_else(|| errors::refuse(Reason::Internal))?,
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
