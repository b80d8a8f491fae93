//! A collector of telemetry (OTLP over gRPC) that keeps the bytes which it is sent.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::Body;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codegen::{StdError, http};
use tonic::server::{Grpc, UnaryService};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::raw::Raw;

/// What came, one export after the other.
#[derive(Clone, Default)]
pub struct Collector(Arc<Mutex<Vec<Bytes>>>);

impl Collector {
    /// Listens on this machine until the test ends; gives where.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn listen() -> std::io::Result<(Self, SocketAddr)> {
        let collector = Self::default();
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = socket.local_addr()?;
        let routes = Routes::from(Routes::default().into_axum_router().fallback_service(collector.clone()));
        let server = tonic::transport::Server::builder().add_routes(routes);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(socket)));
        Ok((collector, address))
    }

    /// Whether something that was sent has these bytes in it.
    pub fn has(&self, bytes: &[u8]) -> bool {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().any(|export| export.windows(bytes.len()).any(|window| window == bytes))
    }
}

impl UnaryService<Bytes> for Collector {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request.into_inner());
        ready(Ok(Response::new(Bytes::new())))
    }
}

impl<B> tower::Service<http::Request<B>> for Collector
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let kept = self.clone();
        Box::pin(async move { Ok(Grpc::new(Raw).unary(kept, request).await) })
    }
}
