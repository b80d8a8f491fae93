//! Limits on bodies: the size of each message of a request, and how long a stream may be silent.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;

use super::super::errors::{self, RefusalDetails};
use super::StreamPermit;
use crate::domain::ids::{Digest, Hasher};
use crate::domain::reason::Reason;

/// A request body whose messages have a largest size. The length that a message announces is enough to refuse it:
/// nothing of it is kept.
pub struct Limited {
    inner: Body,
    frames: Frames,
    meter: Option<Meter>,
    silence: Option<Silence>,
}

/// What holds for the messages of a request.
pub struct Limits {
    /// Largest message, in bytes.
    pub message: usize,
    /// How long a stream may be silent.
    pub idle: Option<Duration>,
    pub meter: Option<Meter>,
    pub digest: Option<RequestDigest>,
}

/// SHA-256 of the first message of a request, over its bytes as they came. In the extensions of unary writes; known once
/// the message was read, so for a handler always.
#[derive(Clone, Debug, Default)]
pub struct RequestDigest(Arc<OnceLock<Digest>>);

impl RequestDigest {
    /// The digest, once the whole message came.
    pub fn get(&self) -> Option<Digest> {
        self.0.get().copied()
    }
}

/// Takes the bytes of a message from whoever sends it, or says why it may not.
pub type Meter = Box<dyn Fn(usize) -> Result<(), Status> + Send + Sync>;

/// Where in the sequence of length-prefixed messages the body is (gRPC over HTTP/2).
struct Frames {
    limit: usize,
    prefix: [u8; 5],
    filled: usize,
    message_left: usize,
    digest: Option<(Hasher, RequestDigest)>,
}

/// Ends a stream that says nothing.
struct Silence {
    idle: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    fn new(idle: Duration) -> Self {
        Self { idle, timer: Box::pin(tokio::time::sleep(idle)) }
    }

    fn heard(&mut self) {
        self.timer.as_mut().reset(tokio::time::Instant::now() + self.idle);
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.timer.as_mut().poll(cx).is_ready()
    }
}

impl Limited {
    /// Each message is charged before it is read.
    pub fn new(inner: Body, limits: Limits) -> Self {
        let digest = limits.digest.map(|digest| (Hasher::new(), digest));
        let frames = Frames { limit: limits.message, prefix: [0; 5], filled: 0, message_left: 0, digest };
        Self { inner, frames, meter: limits.meter, silence: limits.idle.map(Silence::new) }
    }
}

impl Frames {
    fn see(&mut self, data: &Bytes, meter: Option<&Meter>) -> Result<(), Status> {
        let mut rest = data.clone();
        while rest.has_remaining() {
            if self.message_left > 0 {
                let step = self.message_left.min(rest.len());
                if let Some((hasher, _)) = &mut self.digest {
                    hasher.update(&rest[..step]);
                }
                rest.advance(step);
                self.message_left -= step;
                if self.message_left == 0 {
                    self.ended();
                }
                continue;
            }
            let step = (5 - self.filled).min(rest.len());
            rest.copy_to_slice(&mut self.prefix[self.filled..self.filled + step]);
            self.filled += step;
            if self.filled == 5 {
                self.filled = 0;
                let [_, a, b, c, d] = self.prefix;
                self.message_left = u32::from_be_bytes([a, b, c, d]) as usize;
                if self.message_left > self.limit {
                    let about = format!("{} bytes, at most {}", self.message_left, self.limit);
                    return Err(errors::status(
                        Reason::MessageTooLarge,
                        RefusalDetails { about, ..RefusalDetails::default() },
                    ));
                }
                if let Some(meter) = meter {
                    meter(self.prefix.len() + self.message_left)?;
                }
                if self.message_left == 0 {
                    self.ended();
                }
            }
        }
        Ok(())
    }

    /// A unary request has one message: what comes behind it is not of its digest.
    fn ended(&mut self) {
        if let Some((hasher, digest)) = self.digest.take() {
            let _ = digest.0.set(hasher.finish());
        }
    }
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) else {
            return silent(self.silence.as_mut(), cx);
        };
        if let Some(silence) = self.silence.as_mut() {
            silence.heard();
        }
        let Self { frames, meter, .. } = &mut *self;
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(status) = frames.see(data, meter.as_ref())
        {
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}

fn silent(silence: Option<&mut Silence>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
    if silence.is_some_and(|s| s.is_over(cx)) {
        return Poll::Ready(Some(Err(errors::refuse(Reason::DeadlineExceeded))));
    }
    Poll::Pending
}

/// A response stream that ends when it has had nothing to say for too long, and when the node stops.
pub struct Ending {
    inner: Body,
    silence: Option<Silence>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    over: bool,
    /// Given back with the stream.
    _permit: Option<StreamPermit>,
}

impl Ending {
    /// Ends after `idle` of silence, if there is one, and with `stopping`.
    pub fn new(inner: Body, idle: Option<Duration>, stopping: CancellationToken, permit: Option<StreamPermit>) -> Self {
        let stopping = Box::pin(stopping.cancelled_owned());
        Self { inner, silence: idle.map(Silence::new), stopping, over: false, _permit: permit }
    }

    fn end(&mut self, reason: Reason) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.over = true;
        let trailers = errors::refuse(reason).into_http::<()>().into_parts().0.headers;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            if let Some(silence) = self.silence.as_mut() {
                silence.heard();
            }
            return Poll::Ready(frame);
        }
        if self.stopping.as_mut().poll(cx).is_ready() {
            return self.end(Reason::NodeStopping);
        }
        if self.silence.as_mut().is_some_and(|s| s.is_over(cx)) {
            return self.end(Reason::DeadlineExceeded);
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }
}
