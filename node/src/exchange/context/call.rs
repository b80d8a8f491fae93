//! A call that changes something: who makes it, and the request id that makes it happen once (9.3).

use crate::domain::audit::Actor;
use crate::domain::ids::Digest;
use crate::domain::limits;
use crate::domain::time::UnixMs;
use crate::storage::ops::RequestMark;
use crate::wire;

use super::error::Error;

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
    /// Under which its request id is kept.
    pub(in crate::exchange) fn scope_of(&self, method: &str) -> String {
        format!("{}/{method}", self.scope)
    }

    /// Whether the request id has its form.
    ///
    /// # Errors
    /// `FIELD_MISSING`, `FIELD_INVALID`.
    pub(in crate::exchange) fn check(&self) -> Result<(), wire::Error> {
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
    pub(in crate::exchange) fn mark(
        &self,
        method: &str,
        answer: bytes::Bytes,
        now: UnixMs,
    ) -> Result<RequestMark, Error> {
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
