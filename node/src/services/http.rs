//! Loopback HTTP: is the process alive, is the node ready, and its numbers. Nothing else, and to nobody else.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep};

use crate::domain::reason::Reason;
use crate::telemetry::metrics;

/// What keeps the node from being ready; `None`: nothing.
pub type Readiness = watch::Receiver<Option<Reason>>;

/// Serves until `stopped` ends.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(numbers))
        .with_state(readiness)
        .layer(middleware::from_fn(loopback_only));
    axum::serve(Few::new(listener, LIFE), router).with_graceful_shutdown(stopped).await
}

/// Connections at a time; whoever watches this node needs one or two.
const CONNECTIONS: usize = 32;
/// The longest life of one: whoever is silent, or reads slowly, takes nobody's place for good.
const LIFE: Duration = Duration::from_secs(30);

/// The socket, with few places.
struct Few {
    listener: TcpListener,
    places: Arc<Semaphore>,
    life: Duration,
}

impl Few {
    fn new(listener: TcpListener, life: Duration) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS)), life }
    }
}

impl Listener for Few {
    type Io = Brief;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Brief, SocketAddr) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else { std::future::pending().await };
            match self.listener.accept().await {
                Ok((stream, remote)) => {
                    return (Brief { stream, life: Box::pin(sleep(self.life)), _place: place }, remote);
                }
                Err(error) => {
                    havenlink_runtime::repeated!(warn; %error, "the loopback listener's accept failed");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends after `LIFE`.
struct Brief {
    stream: TcpStream,
    life: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Brief {
    /// `None`: it may go on.
    fn over(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        self.life.as_mut().poll(cx).is_ready().then(|| io::ErrorKind::TimedOut.into())
    }
}

impl AsyncRead for Brief {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.over(cx) {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Brief {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.over(cx) {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A page in a browser of this machine may send requests here under a name of its own that leads to 127.0.0.1 (DNS rebinding):
/// only names of the loopback are answered.
async fn loopback_only(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    match host.is_none_or(|host| host.to_str().is_ok_and(is_loopback)) {
        true => next.run(request).await,
        false => (StatusCode::MISDIRECTED_REQUEST, "this answers at loopback names only\n").into_response(),
    }
}

/// `localhost`, `127.0.0.1:9464`, `[::1]`.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let reason = *readiness.borrow();
    match reason {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {}\n", reason.code(), reason.row().what)),
    }
}

async fn numbers() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::render())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        get_as("localhost", address, path).await
    }

    async fn get_as(host: &str, address: SocketAddr, path: &str) -> String {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[test]
    fn only_names_of_the_loopback_are_answered() {
        for host in ["localhost", "LOCALHOST:9464", "127.0.0.1:9464", "127.1.2.3", "[::1]:9464", "[::ffff:127.0.0.1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["example.org", "localhost.example.org", "10.0.0.1", "[2001:db8::1]:9464", "", "127.0.0.1.nip.example"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[tokio::test]
    async fn silent_connections_take_nobodys_place_for_good() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut few = Few::new(listener, Duration::from_secs(1));
        let mut silent = Vec::new();
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
            held.push(few.accept().await.0);
        }
        let _waiting = TcpStream::connect(address).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(50), few.accept()).await.is_err(), "no place");
        let ended = held[0].read(&mut [0]).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        drop(held);
        few.accept().await;
    }

    #[tokio::test]
    async fn readiness_has_its_reason() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ready, readiness) = watch::channel(Some(Reason::NodeStarting));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, readiness, async move { drop(stopped.await) }));
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let starting = get(address, "/readyz").await;
        assert!(starting.starts_with("HTTP/1.1 503") && starting.contains("NODE_STARTING"), "{starting}");
        ready.send(None).unwrap();
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/metrics").await.contains("# TYPE havenlink_calls_total counter"));
        assert!(get_as("rebound.example", address, "/metrics").await.starts_with("HTTP/1.1 421"));
        drop(stop);
        server.await.unwrap().unwrap();
    }
}
