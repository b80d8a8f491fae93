//! Limits on bodies: the size of each message of a request, and how long a stream may be silent.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;

use super::super::errors::{self, Refusal};
use super::Place;
use crate::domain::reason::Reason;
use crate::domain::time::Millis;

/// A request body whose messages have a largest size. The length that a message announces is enough to refuse it:
/// nothing of it is kept.
pub struct Limited {
    inner: Body,
    frames: Frames,
    charge: Option<Charge>,
    silence: Option<Silence>,
}

/// Takes the bytes of a message from whoever sends it, or says why it may not.
pub type Charge = Box<dyn Fn(usize) -> Result<(), Status> + Send + Sync>;

/// Where in the sequence of length-prefixed messages the body is (gRPC over HTTP/2).
struct Frames {
    limit: usize,
    prefix: [u8; 5],
    filled: usize,
    message_left: usize,
}

/// Ends a stream that says nothing.
struct Silence {
    idle: Millis,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    fn new(idle: Millis) -> Self {
        Self { idle, timer: Box::pin(tokio::time::sleep(idle.to_duration())) }
    }

    fn heard(&mut self) {
        self.timer.as_mut().reset(tokio::time::Instant::now() + self.idle.to_duration());
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.timer.as_mut().poll(cx).is_ready()
    }
}

impl Limited {
    /// Messages of at most `limit` bytes, each charged before it is read; `idle` for streams.
    pub fn new(inner: Body, limit: usize, idle: Option<Millis>, charge: Option<Charge>) -> Self {
        let frames = Frames { limit, prefix: [0; 5], filled: 0, message_left: 0 };
        Self { inner, frames, charge, silence: idle.map(Silence::new) }
    }
}

impl Frames {
    fn see(&mut self, data: &Bytes, charge: Option<&Charge>) -> Result<(), Status> {
        let mut rest = data.clone();
        while rest.has_remaining() {
            if self.message_left > 0 {
                let step = self.message_left.min(rest.len());
                rest.advance(step);
                self.message_left -= step;
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
                    return Err(errors::status(Reason::MessageTooLarge, Refusal { about, ..Refusal::default() }));
                }
                if let Some(charge) = charge {
                    charge(self.prefix.len() + self.message_left)?;
                }
            }
        }
        Ok(())
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
        let Self { frames, charge, .. } = &mut *self;
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(status) = frames.see(data, charge.as_ref())
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
    _place: Option<Place>,
}

impl Ending {
    /// Ends after `idle` of silence, if there is one, and with `stopping`.
    pub fn new(inner: Body, idle: Option<Millis>, stopping: CancellationToken, place: Option<Place>) -> Self {
        let stopping = Box::pin(stopping.cancelled_owned());
        Self { inner, silence: idle.map(Silence::new), stopping, over: false, _place: place }
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
