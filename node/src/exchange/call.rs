//! A call that changes something: who makes it, and the request id that makes it happen once (9.3).

use crate::domain::audit::Actor;
use crate::domain::ids::Digest;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::storage::ops::{RequestMark, Written};
use crate::wire::{self, stored};

use super::Exchange;
use super::error::Error;
use super::publish::Published;

/// Who calls, and what makes the call repeatable.
#[derive(Clone, Debug)]
pub struct Call {
    pub actor: Actor,
    /// Role or client: together with the method the scope of the request id.
    pub scope: String,
    /// 1 to 64 visible ASCII characters.
    pub request_id: String,
    /// SHA-256 of the request as it came.
    pub body: Digest,
    /// W3C trace context; may be empty.
    pub traceparent: String,
}

impl Call {
    fn scope_of(&self, method: &str) -> String {
        format!("{}/{method}", self.scope)
    }

    /// Whether the request id has its form.
    ///
    /// # Errors
    /// `FIELD_MISSING`, `FIELD_INVALID`.
    pub(super) fn check(&self) -> Result<(), wire::Error> {
        if self.request_id.is_empty() {
            return Err(wire::Error::missing("request_id"));
        }
        let visible = self.request_id.bytes().all(|b| b.is_ascii_graphic());
        if !visible || self.request_id.len() > limits::REQUEST_ID_CHARS {
            return Err(wire::Error::invalid("request_id", "1 to 64 visible ASCII characters"));
        }
        Ok(())
    }

    /// The mark that makes a write happen once; `answer` is what a repeated call gets.
    pub(super) fn mark(&self, method: &str, answer: bytes::Bytes, now: UnixMs) -> Result<RequestMark, Error> {
        self.check()?;
        Ok(RequestMark {
            scope: self.scope_of(method),
            request_id: self.request_id.clone(),
            body: self.body,
            answer,
            expires: now + limits::REQUEST_ID_LIFE,
        })
    }
}

impl Exchange {
    /// What a call that publishes is answered: what it wrote; or, if its first try wrote it, what that one was answered.
    /// What is refused now may repeat a call that was taken when it still was allowed: that one gets its first answer too.
    ///
    /// # Errors
    /// Why it is refused now; `REQUEST_ID_REUSED`.
    pub(super) async fn once(
        &self,
        call: &Call,
        method: &str,
        tried: Result<(Published, Written), Error>,
    ) -> Result<Published, Error> {
        let first = match tried {
            Ok((_, Written::Again(first))) => first,
            Ok((published, _)) => return Ok(published),
            Err(Error::Refused(refusal)) => {
                match self.store().request(call.scope_of(method), call.request_id.clone()).await? {
                    None => return Err(Error::Refused(refusal)),
                    Some((body, _)) if body != call.body => return Err(Reason::RequestIdReused.into()),
                    Some((_, first)) => first,
                }
            }
            Err(failed) => return Err(failed),
        };
        let (record_id, recipients) = stored::reload_published(first)?;
        Ok(Published { record_id, recipients })
    }
}
