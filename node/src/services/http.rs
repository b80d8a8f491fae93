//! Loopback HTTP: is the process alive, is the node ready, and its numbers. Nothing else, and to nobody else.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, Sleep, sleep};

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
    axum::serve(Few::new(listener, FIRST_BYTES, LIFE), router).with_graceful_shutdown(stopped).await
}

/// Connections at a time. Whoever watches this node needs one or two; with so many, whoever holds as many as a process easily has
/// does not make the node let others in and out all the time.
const CONNECTIONS: usize = 256;
/// One that has said nothing for this long gives its place back.
const FIRST_BYTES: Duration = Duration::from_secs(5);
/// The longest life of one: whoever reads slowly takes nobody's place for good.
const LIFE: Duration = Duration::from_secs(30);

/// The socket, with few places. Who comes when all are taken is let in, and another one has to go: the first that has said
/// nothing, or else the first. So nobody who holds places keeps out whoever asks something.
struct Few {
    listener: TcpListener,
    guests: VecDeque<Guest>,
    first_bytes: Duration,
    life: Duration,
}

/// A connection, as the socket knows it; `leave` is closed once it is over.
struct Guest {
    spoke: Arc<AtomicBool>,
    leave: oneshot::Sender<()>,
}

impl Few {
    const fn new(listener: TcpListener, first_bytes: Duration, life: Duration) -> Self {
        Self { listener, guests: VecDeque::new(), first_bytes, life }
    }

    fn let_in(&mut self, stream: TcpStream) -> Brief {
        self.guests.retain(|guest| !guest.leave.is_closed());
        if self.guests.len() >= CONNECTIONS {
            let silent = self.guests.iter().position(|guest| !guest.spoke.load(Ordering::Relaxed));
            if let Some(guest) = self.guests.remove(silent.unwrap_or(0)) {
                // One that is over in this very moment need not be told.
                _ = guest.leave.send(());
            }
        }
        let (leave, told) = oneshot::channel();
        let spoke = Arc::<AtomicBool>::default();
        self.guests.push_back(Guest { spoke: spoke.clone(), leave });
        let end = Instant::now() + self.life;
        Brief { stream, end, time: Box::pin(sleep(self.first_bytes)), spoke, told, over: false }
    }
}

impl Listener for Few {
    type Io = Brief;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Brief, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, remote)) => return (self.let_in(stream), remote),
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

/// A connection that ends when its time is over, or when somebody else needs its place.
struct Brief {
    stream: TcpStream,
    /// When it ends at the latest.
    end: Instant,
    time: Pin<Box<Sleep>>,
    spoke: Arc<AtomicBool>,
    told: oneshot::Receiver<()>,
    over: bool,
}

impl Brief {
    /// `None`: it may go on.
    fn over(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        self.over = self.over || Pin::new(&mut self.told).poll(cx).is_ready() || self.time.as_mut().poll(cx).is_ready();
        self.over.then(|| io::ErrorKind::TimedOut.into())
    }

    fn spoke(&mut self) {
        if !self.spoke.swap(true, Ordering::Relaxed) {
            self.time.as_mut().reset(self.end);
        }
    }
}

impl AsyncRead for Brief {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.over(cx) {
            Some(error) => Poll::Ready(Err(error)),
            None => {
                let before = buf.filled().len();
                let read = Pin::new(&mut self.stream).poll_read(cx, buf);
                if buf.filled().len() > before {
                    self.spoke();
                }
                read
            }
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

    async fn few(first_bytes: Duration, life: Duration) -> Few {
        Few::new(TcpListener::bind("127.0.0.1:0").await.unwrap(), first_bytes, life)
    }

    async fn comes(few: &mut Few) -> (TcpStream, Brief) {
        let client = TcpStream::connect(few.local_addr().unwrap()).await.unwrap();
        (client, few.accept().await.0)
    }

    async fn says_something(client: &mut TcpStream, brief: &mut Brief) {
        client.write_all(b"G").await.unwrap();
        brief.read_exact(&mut [0]).await.unwrap();
    }

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_is_let_in_and_one_that_is_silent_goes() {
        let mut few = few(LIFE, LIFE).await;
        let (mut clients, mut held) = (Vec::new(), Vec::new());
        for _ in 0..CONNECTIONS {
            let (client, brief) = comes(&mut few).await;
            clients.push(client);
            held.push(brief);
        }
        says_something(&mut clients[0], &mut held[0]).await;
        let _another = comes(&mut few).await;
        let ended = held[1].read(&mut [0]).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut, "the first that said nothing");
        says_something(&mut clients[0], &mut held[0]).await;
        held.clear();
        let _others = comes(&mut few).await;
        assert!(few.guests.len() <= 2, "who is gone holds no place");
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_ends_and_one_that_spoke_does_a_while_later() {
        let mut few = few(Duration::from_secs(1), Duration::from_secs(3)).await;
        let (_silent, mut mute) = comes(&mut few).await;
        let (mut client, mut talker) = comes(&mut few).await;
        says_something(&mut client, &mut talker).await;
        assert_eq!(mute.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        says_something(&mut client, &mut talker).await;
        assert_eq!(talker.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
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
