//! An invitation that is asked for again under its request id is made once (9.3). Its token is given again without ever
//! having been stored: the secret in it follows from the authority's key and the request.

use bytes::Bytes;

use super::Error;
use super::inviter::{Created, Inviter};
use crate::domain::ids::{Digest, FederationId, Hasher, InvitationId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::exchange::Call;
use crate::storage::ops::{PutMeta, WriteOp};
use crate::wire::invitation;
use crate::wire::keys::SigningKey;

const PREFIX: &str = "invitation-request/";

/// What a request id led to: the body that came with it, and the invitation that was made.
struct Mark {
    body: Digest,
    invitation: InvitationId,
    expires: UnixMs,
}

impl Mark {
    fn encode(&self) -> Bytes {
        let expires = self.expires.0.to_be_bytes();
        [self.body.as_bytes().as_slice(), self.invitation.as_bytes().as_slice(), &expires].concat().into()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, rest) = bytes.split_at_checked(32)?;
        let (invitation, expires) = rest.split_at_checked(32)?;
        Some(Self {
            body: Digest::from_slice(body)?,
            invitation: InvitationId::from_slice(invitation)?,
            expires: UnixMs(i64::from_be_bytes(expires.try_into().ok()?)),
        })
    }
}

/// Scope and id as one digest: neither is a name of our own.
fn of_request(call: &Call) -> Digest {
    let mut hash = Hasher::new();
    hash.update(&(call.scope.len() as u64).to_be_bytes());
    hash.update(call.scope.as_bytes());
    hash.update(call.request_id.as_bytes());
    hash.finish()
}

fn name(call: &Call) -> String {
    format!("{PREFIX}{}", of_request(call).to_hex())
}

/// The secret of the invitation that this call makes at this instant. Ed25519 signs the same bytes the same way, and who
/// does not have the key cannot; nothing else is ever signed under this prefix, and the signature is shown to nobody.
pub(super) fn secret(call: &Call, federation: &FederationId, created: UnixMs, key: &SigningKey) -> [u8; 32] {
    let mut message = b"havenlink/invitation-secret/v1\0".to_vec();
    message.extend_from_slice(federation.as_bytes());
    message.extend_from_slice(of_request(call).as_bytes());
    message.extend_from_slice(call.body.as_bytes());
    message.extend_from_slice(&created.0.to_be_bytes());
    Digest::of(&*zeroize::Zeroizing::new(key.sign(&message))).0
}

impl Inviter {
    /// What the same call made before.
    ///
    /// # Errors
    /// `REQUEST_ID_REUSED` when the id came with another body, or was used under a key that was replaced since.
    pub(super) async fn created_before(&self, call: &Call, now: UnixMs) -> Result<Option<Created>, Error> {
        call.check().map_err(Error::from)?;
        let stored = self.0.store.meta(name(call)).await?;
        let Some(mark) = stored.as_deref().and_then(Mark::decode).filter(|mark| now < mark.expires) else {
            return Ok(None);
        };
        if mark.body != call.body {
            return Err(Reason::RequestIdReused.into());
        }
        // Noted, and the node was killed before it was stored: nobody has its token.
        let Some(held) = self.held(&mark.invitation).await? else { return Ok(None) };
        let made = &held.invitation;
        let secret = secret(call, &made.federation, made.created, &(self.0.key)());
        if Digest::of(&secret) != made.secret_digest {
            return Err(Reason::RequestIdReused.into());
        }
        let token = invitation::token_text(&held.signed, &secret)?;
        Ok(Some(Created { id: made.id, token, expires: made.expires }))
    }

    /// Notes what a call is about to make, and forgets what is past its time.
    pub(super) async fn note_request(&self, call: &Call, invitation: InvitationId, now: UnixMs) -> Result<(), Error> {
        for (name, value) in self.0.store.metas(PREFIX.to_owned()).await? {
            if Mark::decode(&value).is_none_or(|mark| mark.expires <= now) {
                self.put(name, None).await?;
            }
        }
        let mark = Mark { body: call.body, invitation, expires: now + limits::REQUEST_ID_LIFE };
        self.put(name(call), Some(mark.encode())).await
    }

    async fn put(&self, name: String, value: Option<Bytes>) -> Result<(), Error> {
        let put = PutMeta { name, value, only_if: None, audit: Vec::new() };
        self.0.store.write(WriteOp::PutMeta(put)).await?;
        Ok(())
    }
}
