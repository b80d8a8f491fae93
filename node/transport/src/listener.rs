//! The accept loop: from a TCP connection to a peer that the register knows, within limits that a stranger cannot push.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin as Pinned;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;

use super::certificate::Certificate;
use super::connection::prepare_socket;
use super::error::{Error, refused_pin};
use super::paced::Paced;
use super::pending::Pending;
use super::verify::{self, Accepted, PinVerifier};
use super::{Alpn, Connections, Direction, Limits, NodeIdentity, PeerInfo, PeerIo, ViewSource, http2, issued, tls};
use crate::clock::SharedClock;
use crate::domain::ids::Pin;
use crate::domain::join::Entrance;
use crate::domain::time::UnixMs;

/// Which applicants may connect: anybody exactly while an invitation can be used, then who used it.
#[derive(Clone, Debug, Default)]
pub struct JoinGate(Arc<ArcSwap<Entrance>>);

impl JoinGate {
    pub fn closed() -> Self {
        Self::default()
    }

    /// Says who may connect from now on; whether somebody who might before may not now.
    pub fn set(&self, entrance: Entrance) -> bool {
        let before = self.0.swap(Arc::new(entrance.clone()));
        (before.anybody && !entrance.anybody) || !before.known.is_subset(&entrance.known)
    }

    /// Whether there is anybody who may.
    pub fn is_open(&self) -> bool {
        self.0.load().is_open()
    }

    pub(super) fn admits(&self, pin: &Pin) -> bool {
        self.0.load().admits(pin)
    }
}

/// What the peer listener stands on.
#[derive(Clone)]
pub struct ListenerParts {
    pub identity: NodeIdentity,
    pub view: ViewSource,
    pub clock: SharedClock,
    pub connections: Connections,
    pub gate: JoinGate,
    pub limits: Limits,
    /// Whether a certificate that a member's authority key issued lets in as well: partners, but no local clients.
    pub issued: bool,
}

/// What the listener turned away, for metrics and `status`.
#[derive(Debug, Default)]
pub struct Refused {
    /// Handshakes that failed: unknown pin, wrong key, no certificate, not TLS.
    pub handshakes: AtomicU64,
    /// Handshakes that took too long.
    pub slow: AtomicU64,
    /// Connections beyond the pending handshakes of their address or of all.
    pub pending: AtomicU64,
    /// Connections beyond those a peer may have.
    pub connections: AtomicU64,
    strangers: Mutex<VecDeque<Stranger>>,
}

/// Somebody whose certificate no entry lists: an attacker, or a partner that renewed without publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    pub at: UnixMs,
    pub remote: IpAddr,
    pub pin: Pin,
}

const STRANGERS: usize = 32;

impl Refused {
    /// The last ones, oldest first; each address and pin once.
    pub fn strangers(&self) -> Vec<Stranger> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn note(&self, stranger: Stranger) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.retain(|s| (s.remote, s.pin) != (stranger.remote, stranger.pin));
        if strangers.len() >= STRANGERS {
            strangers.pop_front();
        }
        strangers.push_back(stranger);
    }
}

/// A bound TCP socket that does not accept yet.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// A listener at work. It stops when `peers` is dropped.
pub struct Serving {
    /// Members, for the peer services.
    pub peers: Incoming,
    /// Applicants, for the Join service only.
    pub joins: Incoming,
    pub refused: Arc<Refused>,
}

/// Connections that were let in, for `serve_with_incoming`.
pub struct Incoming(mpsc::Receiver<PeerIo>);

impl Stream for Incoming {
    type Item = io::Result<PeerIo>;

    fn poll_next(mut self: Pinned<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|io| io.map(Ok))
    }
}

impl Listener {
    /// Binds; port 0 takes a free one.
    ///
    /// # Errors
    /// `ADDRESS_IN_USE` when another process has the address.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Bind { address: address.to_string(), source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// The address that was bound, with the port that the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Starts accepting.
    ///
    /// # Errors
    /// When the TLS configuration cannot be built.
    pub fn serve(self, parts: ListenerParts) -> Result<Serving, Error> {
        serve_from(self.socket, parts)
    }
}

/// Where sockets come from; a test gives one that fails.
pub(super) trait Source: Send + 'static {
    fn next(&mut self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send;
}

impl Source for TcpListener {
    async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept().await
    }
}

pub(super) fn serve_from(source: impl Source, parts: ListenerParts) -> Result<Serving, Error> {
    let configuration = |accepted, alpn| {
        tls::server_config(&parts.identity, PinVerifier::new(accepted, parts.clock.clone()), alpn)
            .map_err(Error::Configuration)
    };
    let issued = parts.issued.then(|| parts.connections.successors().clone());
    let members = configuration(Accepted::Members(parts.view.clone(), issued), Alpn::Peer)?;
    let applicants = configuration(Accepted::Applicants(parts.gate.clone()), Alpn::Join)?;
    let (peers, peers_out) = mpsc::channel(64);
    let (joins, joins_out) = mpsc::channel(parts.limits.join_connections.max(1));
    let refused = Arc::<Refused>::default();
    let pending = Pending::new(&parts.limits, parts.connections.known_addresses().clone());
    let porter = Arc::new(Porter { parts, members, applicants, peers, joins, refused: refused.clone() });
    tokio::spawn(accept(source, porter, pending));
    Ok(Serving { peers: Incoming(peers_out), joins: Incoming(joins_out), refused })
}

/// Accepts until nobody takes connections any more. No error of one socket, and none of the system, ends it.
async fn accept(mut source: impl Source, porter: Arc<Porter>, pending: Arc<Pending>) {
    let mut failures = 0_u32;
    loop {
        let next = tokio::select! {
            () = porter.peers.closed() => return,
            next = source.next() => next,
        };
        let (socket, remote) = match next {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors or memory: the queue in the kernel waits, and so do we, a little longer each time.
                havenlink_runtime::repeated!(warn; %error, "accept failed");
                failures = failures.saturating_add(1);
                tokio::time::sleep(Duration::from_millis(10 << failures.min(6))).await;
                continue;
            }
        };
        failures = 0;
        let Some(slot) = pending.enter(remote.ip()) else {
            porter.refused.pending.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let porter = porter.clone();
        tokio::spawn(async move {
            let limit = porter.parts.limits.handshake;
            match tokio::time::timeout(limit, porter.admit(socket, remote)).await {
                Ok(Ok(Alpn::Peer)) => slot.remember(),
                Ok(Ok(Alpn::Join)) => {}
                Ok(Err(error)) => porter.refuse(remote, &error),
                Err(_) => {
                    porter.refused.slow.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(%remote, "handshake took too long");
                }
            }
        });
    }
}

struct Porter {
    parts: ListenerParts,
    members: Arc<ServerConfig>,
    applicants: Arc<ServerConfig>,
    peers: mpsc::Sender<PeerIo>,
    joins: mpsc::Sender<PeerIo>,
    refused: Arc<Refused>,
}

impl Porter {
    /// Handshake, identity, place in the registry, hand-over.
    async fn admit(&self, socket: TcpStream, remote: SocketAddr) -> io::Result<Alpn> {
        prepare_socket(&socket)?;
        let start = LazyConfigAcceptor::new(Acceptor::default(), Paced::new(socket)).await?;
        let alpn = self.choose(start.client_hello().alpn());
        let config = match alpn {
            Alpn::Peer => self.members.clone(),
            Alpn::Join => self.applicants.clone(),
        };
        let mut tls = start.into_stream(config).await?;
        let info = Arc::new(self.identify(&tls, remote, alpn)?);
        let Some(lease) = self.parts.connections.enter(&info, Direction::In, None) else {
            self.refused.connections.fetch_add(1, Ordering::Relaxed);
            tls.write_all(http2::TOO_MANY).await?;
            return tls.shutdown().await.map(|()| alpn);
        };
        if alpn == Alpn::Join {
            let (limits, progress, abort) = (self.parts.limits.clone(), info.progress.clone(), lease.aborter());
            tokio::spawn(async move {
                progress.ends(&limits).await;
                abort();
            });
        }
        let io = PeerIo::new(tls.into(), info, lease, Bytes::new());
        let queue = if alpn == Alpn::Join { &self.joins } else { &self.peers };
        queue.send(io).await.map_err(|_| io::Error::other("the listener is stopping"))?;
        Ok(alpn)
    }

    fn refuse(&self, remote: SocketAddr, error: &io::Error) {
        self.refused.handshakes.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%remote, %error, "handshake refused");
        if let Some(unknown) = refused_pin(error) {
            let at = self.parts.clock.now();
            self.refused.note(Stranger { at, remote: remote.ip(), pin: unknown.presented });
        }
    }

    /// A client that offers `h2` is a peer. One that offers joining only is an applicant, while the gate is open;
    /// else it meets the members' configuration, which has no protocol in common with it.
    fn choose<'a>(&self, offered: Option<impl Iterator<Item = &'a [u8]>>) -> Alpn {
        let mut join = false;
        for protocol in offered.into_iter().flatten() {
            if protocol == Alpn::Peer.protocol() {
                return Alpn::Peer;
            }
            join |= protocol == Alpn::Join.protocol();
        }
        if join && self.parts.gate.is_open() { Alpn::Join } else { Alpn::Peer }
    }

    fn identify(&self, tls: &TlsStream<Paced<TcpStream>>, remote: SocketAddr, alpn: Alpn) -> io::Result<PeerInfo> {
        let (_, session) = tls.get_ref();
        if session.alpn_protocol() != Some(alpn.protocol()) {
            return Err(io::Error::other("no protocol was agreed"));
        }
        let list = session.peer_certificates().unwrap_or_default();
        let presented = list.first().ok_or_else(|| io::Error::other("no certificate"))?;
        let certificate = Certificate::parse(presented).map_err(io::Error::other)?;
        let (view, now, mut vouched) = (self.parts.view.load(), self.parts.clock.now(), None);
        let authority = match alpn {
            Alpn::Join => None,
            Alpn::Peer => {
                let pinned = verify::member_of_pin(&view, &certificate.pin, now);
                if self.parts.issued {
                    vouched = issued::vouched(&view, self.parts.connections.successors(), list, pinned.as_ref(), now);
                }
                let member = pinned.or_else(|| vouched.as_ref().map(|vouched| vouched.authority.clone()));
                Some(member.ok_or_else(|| io::Error::other("no longer a member"))?)
            }
        };
        let spki = certificate.spki.into();
        Ok(PeerInfo { authority, pin: certificate.pin, vouched, spki, remote, alpn, progress: Arc::default() })
    }
}
