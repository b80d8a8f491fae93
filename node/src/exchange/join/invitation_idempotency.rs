//! An invitation that is asked for again under its request id is made once (9.3). Its token is given again without ever
//! having been stored: the secret in it follows from the authority's key and the request.

use super::Error;
use super::inviter::{Created, Inviter};
use crate::domain::ids::{Digest, FederationId, Hasher, InvitationId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::exchange::context::Call;
use crate::storage::ops::Put;
use crate::storage::rows::InvitationRequestRow;
use crate::wire::invitation;
use crate::wire::keys::SigningKey;

/// Scope and id as one digest: neither is a name of our own.
fn of_request(call: &Call) -> Digest {
    let mut hash = Hasher::new();
    hash.update(&(call.scope.len() as u64).to_be_bytes());
    hash.update(call.scope.as_bytes());
    hash.update(call.request_id.as_bytes());
    hash.finish()
}

/// The secret of the invitation that this call makes at this instant. Ed25519 signs the same bytes the same way, and who
/// does not have the key cannot; nothing else is ever signed under this prefix, and the signature is shown to nobody.
pub(super) fn secret(call: &Call, federation: &FederationId, created: UnixMs, key: &SigningKey) -> [u8; 16] {
    let mut message = b"havenlink/invitation-secret/v1\0".to_vec();
    message.extend_from_slice(federation.as_bytes());
    message.extend_from_slice(of_request(call).as_bytes());
    message.extend_from_slice(call.body.as_bytes());
    message.extend_from_slice(&created.0.to_be_bytes());
    let whole = Digest::of(&*zeroize::Zeroizing::new(key.sign(&message)));
    let (secret, _) = whole.0.split_first_chunk().expect("32 bytes are 16 and more");
    *secret
}

impl Inviter {
    /// What the same call made before.
    ///
    /// # Errors
    /// `REQUEST_ID_REUSED` when the id came with another body, or was used under a key that was replaced since.
    pub(super) async fn created_before(&self, call: &Call, now: UnixMs) -> Result<Option<Created>, Error> {
        call.check().map_err(Error::from)?;
        let made = self.0.store.invitation_request(of_request(call)).await?;
        let Some(mark) = made.filter(|mark| now < mark.expires) else { return Ok(None) };
        if mark.body != call.body {
            return Err(Reason::RequestIdReused.into());
        }
        let held = self.held(&mark.invitation).await?.ok_or(Reason::StorageDamaged)?;
        let made = &held.invitation;
        let secret = secret(call, &made.federation, made.created, &(self.0.key)());
        if Digest::of(&secret) != made.secret_digest {
            return Err(Reason::RequestIdReused.into());
        }
        let token = invitation::token_text(&held.signed, &secret)?;
        Ok(Some(Created { id: made.id, token, expires: made.expires }))
    }
}

/// What a call makes, for when it is repeated.
pub(super) fn made(call: &Call, invitation: InvitationId, now: UnixMs) -> Put {
    let row = InvitationRequestRow { body: call.body, invitation, expires: now + limits::REQUEST_ID_LIFE };
    Put::InvitationRequest(of_request(call), row)
}
