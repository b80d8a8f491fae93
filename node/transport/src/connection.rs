//! One TLS connection, in or out: who is at its other end, and bytes that stop when the registry says so.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin as Pinned;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsStream;
use tonic::transport::server::Connected;

use super::http2::{KEEPALIVE, KEEPALIVE_TIMEOUT};
use super::paced::Paced;
use super::registry::Lease;
use super::settings::Limits;
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::issued::Vouched;

/// What is spoken over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// `h2`: members only.
    Peer,
    /// `havenlink-join/1`: applicants, while an invitation is open, to the Join service only (9.5).
    Join,
}

impl Alpn {
    /// The protocol's name on the wire.
    pub const fn protocol(self) -> &'static [u8] {
        match self {
            Self::Peer => b"h2",
            Self::Join => b"havenlink-join/1",
        }
    }
}

/// Who is at the other end; a handler finds it with `request.extensions().get::<Arc<PeerInfo>>()`.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// The member whose entry lists the pin, or whose key issued the certificate; `None` for an applicant, and for whom we dial by pin alone.
    pub authority: Option<AuthorityId>,
    pub pin: Pin,
    /// By which keys its authority vouches for the certificate, if a list that it showed proves that.
    pub vouched: Option<Vouched>,
    /// DER SubjectPublicKeyInfo of the presented certificate, whose key was proved.
    pub spki: Bytes,
    pub remote: SocketAddr,
    pub alpn: Alpn,
    /// What the calls on it have come to.
    pub progress: Arc<Progress>,
}

/// Whether a connection is used for what its door is there for: an idle stranger has none.
#[derive(Debug, Default)]
pub struct Progress {
    made: AtomicBool,
    news: Notify,
}

impl Progress {
    /// A call on the connection succeeded.
    pub fn note(&self) {
        self.made.store(true, Ordering::Release);
        self.news.notify_one();
    }

    /// Whether any call on this connection has succeeded.
    pub fn made(&self) -> bool {
        self.made.load(Ordering::Acquire)
    }

    /// Returns when a join connection has had its time: no first success, none for long, or its life is over.
    pub(super) async fn ends(&self, limits: &Limits) {
        let mut limit = limits.join_proof;
        let life = async {
            while tokio::time::timeout(limit, self.news.notified()).await.is_ok() {
                limit = limits.join_idle
            }
        };
        // Over either way.
        let _ = tokio::time::timeout(limits.join_life, life).await;
    }
}

/// The bytes of a live connection. Ends with an error as soon as the registry aborts it.
pub struct PeerIo {
    tls: TlsStream<Paced<TcpStream>>,
    info: Arc<PeerInfo>,
    lease: Lease,
    /// Bytes that were read ahead while connecting.
    ahead: Bytes,
}

impl PeerIo {
    pub(super) fn new(tls: TlsStream<Paced<TcpStream>>, info: Arc<PeerInfo>, lease: Lease, ahead: Bytes) -> Self {
        Self { tls, info, lease, ahead }
    }

    /// Who is at the other end.
    pub fn info(&self) -> &Arc<PeerInfo> {
        &self.info
    }

    fn check(&self) -> io::Result<()> {
        if self.lease.is_aborted() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was ended here"));
        }
        Ok(())
    }
}

/// No delay, and a dead peer is noticed by the kernel too: `serve_with_incoming` sets neither.
pub(super) fn prepare_socket(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(10))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(5))?;
    sockopt::set_tcp_keepcnt(socket, 3)?;
    // Unacknowledged bytes: as long as the HTTP/2 keepalive, interval and time limit together.
    let silence = KEEPALIVE + KEEPALIVE_TIMEOUT;
    sockopt::set_tcp_user_timeout(socket, u32::try_from(silence.as_millis()).unwrap_or(u32::MAX))?;
    Ok(())
}

impl Connected for PeerIo {
    type ConnectInfo = Arc<PeerInfo>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.info.clone()
    }
}

impl AsyncRead for PeerIo {
    fn poll_read(mut self: Pinned<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // HTTP/2 always has a read pending, so waking the reader is enough to end the connection.
        self.lease.wake_on_abort(cx.waker());
        self.check()?;
        if self.ahead.has_remaining() {
            let n = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(n));
            return Poll::Ready(Ok(()));
        }
        if self.tls.get_mut().0.takes_pause() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = Pinned::new(&mut self.tls).poll_read(cx, buf);
        if read.is_pending() {
            self.tls.get_mut().0.takes_pause();
        }
        read
    }
}

impl AsyncWrite for PeerIo {
    fn poll_write(mut self: Pinned<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pinned::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pinned<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pinned::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pinned<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pinned::new(&mut self.tls).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pinned<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pinned::new(&mut self.tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
}
