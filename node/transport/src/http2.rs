//! HTTP/2 as it is spoken here: one place for the settings of both ends (9.14).

use std::time::Duration;

use http::Uri;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Status};

use super::error::Error;
use crate::domain::limits;

/// A line on which nothing comes is dead after both, on either end: what was asked at once over a new one has the rest of 15 s for
/// its answer (a greeting has five).
pub(super) const KEEPALIVE: Duration = Duration::from_secs(4);
pub(super) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(4);
/// A whole batch of `Deliver` fits without waiting for a window update.
const STREAM_WINDOW: u32 = 2 << 20;
/// What one peer can make one connection hold in memory.
const CONNECTION_WINDOW: u32 = 4 << 20;
const FRAME_BYTES: u32 = 64 << 10;
/// Reset streams that were not accepted yet; more ends the connection (rapid reset).
const PENDING_RESETS: usize = 20;
/// Streams that we reset for the peer's faults; more ends the connection.
const LOCAL_RESETS: usize = 64;

/// The first and only bytes for a peer that has too many connections open: SETTINGS, then GOAWAY(ENHANCE_YOUR_CALM).
pub(super) const TOO_MANY: &[u8] = &[
    0, 0, 0, 4, 0, 0, 0, 0, 0, // SETTINGS, empty
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, // GOAWAY, last stream 0, error 11
];

/// A tonic server with every limit of this node; used for the peer listener and for the local sockets.
pub fn server_builder() -> Server {
    Server::builder()
        .max_concurrent_streams(limits::STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .http2_max_header_list_size(limits::HEADER_LIST_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS))
}

/// The client's end. The scheme of the URI stays `http` because TLS is our connector's; `origin` is what is sent.
pub(super) fn endpoint(name: &str) -> Result<Endpoint, Error> {
    let invalid = |_| Error::Endpoint { endpoint: name.to_owned() };
    let origin = Uri::try_from(format!("https://{name}")).map_err(invalid)?;
    let uri = Uri::try_from(format!("http://{name}")).map_err(invalid)?;
    Ok(Endpoint::from(uri)
        .origin(origin)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .http2_max_header_list_size(limits::HEADER_LIST_BYTES)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

/// A channel on which every call has a deadline.
pub type PeerChannel = InterceptedService<Channel, Deadline>;

/// Gives a call that names no deadline the one of unary calls. A call with `Request::set_timeout` keeps its own.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Duration);

impl Default for Deadline {
    fn default() -> Self {
        Self(limits::UNARY.to_duration())
    }
}

impl Interceptor for Deadline {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if request.metadata().get("grpc-timeout").is_none() {
            request.set_timeout(self.0);
        }
        Ok(request)
    }
}
