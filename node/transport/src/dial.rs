//! Opening one connection: TCP, TLS with a verifier made for exactly this target, and the first bytes of HTTP.
//!
//! The first bytes are waited for because in TLS 1.3 a client believes that the handshake succeeded before the server
//! has judged its certificate: without them a refusal would show as a cancelled call.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificate::Certificate;
use super::connection::prepare_socket;
use super::error::{Error, Target, from_io};
use super::paced::Paced;
use super::verify::{Accepted, PinVerifier, member_of_pin};
use super::{Alpn, Connections, Direction, Limits, NodeIdentity, PeerInfo, PeerIo, ViewSource, http2, issued, tls};
use crate::clock::SharedClock;
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::issued::Vouched;

/// Whom to dial. Endpoints of a member, one that an operator gave first, are read at each attempt, so a change needs no new
/// channel.
pub(super) enum Goal {
    /// A node's own authority, by its register entry. `issued`: a certificate that its current key issued is enough.
    Member { authority: AuthorityId, view: ViewSource, issued: bool },
    /// An authority as a file knows it, by a view of its entry alone: its pins, or a certificate that its key issued.
    Known { endpoint: String, authority: AuthorityId, view: ViewSource },
    /// An endpoint that an operator gave, where any member may be (`havenctl node contact`).
    Address { endpoint: String, view: ViewSource },
    /// An endpoint that an operator gave (an invitation, a bootstrap), by pin alone.
    Pinned { endpoint: String, pins: Vec<Pin>, alpn: Alpn },
}

pub(super) struct Dialer {
    pub(super) identity: NodeIdentity,
    pub(super) clock: SharedClock,
    pub(super) connections: Connections,
    pub(super) limits: Limits,
    pub(super) goal: Goal,
    /// SPKI that the other side proved, once connected.
    pub(super) proved: Arc<OnceLock<Bytes>>,
}

impl Dialer {
    /// Tries the target's endpoints in the order of its entry. Of several failures the one that says most is told.
    pub(super) async fn dial(&self) -> Result<PeerIo, Error> {
        let (authority, endpoints) = match &self.goal {
            Goal::Pinned { endpoint, .. } | Goal::Known { endpoint, .. } | Goal::Address { endpoint, .. } => {
                (None, vec![endpoint.clone()])
            }
            Goal::Member { authority, view, .. } => {
                let view = view.load();
                let member = view.member(authority).ok_or_else(|| Error::UnknownMember(authority.clone()))?;
                (Some(authority.clone()), self.connections.given().endpoints(member))
            }
        };
        let mut worst = None;
        for endpoint in endpoints {
            match self.connect(Target { authority: authority.clone(), endpoint }).await {
                Ok(io) => return Ok(io),
                Err(error @ Error::Unreachable { .. }) => worst = worst.or(Some(error)),
                Err(error) => worst = Some(error),
            }
        }
        match (worst, authority) {
            (Some(error), _) => Err(error),
            (None, Some(authority)) => Err(Error::NoEndpoint(authority)),
            (None, None) => Err(Error::Endpoint { endpoint: String::new() }),
        }
    }

    async fn connect(&self, target: Target) -> Result<PeerIo, Error> {
        let (accepted, alpn) = match &self.goal {
            Goal::Known { authority, view, .. } => {
                let seen = self.connections.successors().clone();
                (Accepted::Authority(authority.clone(), view.clone(), Some(seen)), Alpn::Peer)
            }
            Goal::Address { view, .. } => {
                let seen = self.connections.successors().clone();
                (Accepted::Members(view.clone(), Some(seen)), Alpn::Peer)
            }
            Goal::Member { authority, view, issued, .. } => {
                let seen = issued.then(|| self.connections.successors().clone());
                (Accepted::Authority(authority.clone(), view.clone(), seen), Alpn::Peer)
            }
            Goal::Pinned { pins, alpn, .. } => (Accepted::Pins(pins.clone()), *alpn),
        };
        let fail = |error| from_io(&target, alpn == Alpn::Join, error);
        let limit = self.limits.handshake;
        let addresses = timeout(limit, look_up(&target.endpoint)).await.map_err(slow).and_then(|r| r).map_err(fail)?;
        // Before anybody answers there: it may be on its way to us.
        if target.authority.is_some() {
            let listed = addresses.iter().map(SocketAddr::ip);
            self.connections.known_addresses().listed(&target.endpoint, listed);
        }
        let socket = open(&addresses, limit).await.map_err(fail)?;
        let verifier = PinVerifier::new(accepted, self.clock.clone());
        let config = tls::client_config(&self.identity, verifier, alpn).map_err(Error::Configuration)?;
        let handshake = async {
            // No name is verified and none is sent; rustls wants one.
            let tls = TlsConnector::from(config)
                .connect(ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), Paced::new(socket))
                .await?;
            first_bytes(tls, alpn).await
        };
        let (tls, ahead) = timeout(limit, handshake).await.map_err(slow).and_then(|r| r).map_err(fail)?;
        if ahead.starts_with(http2::TOO_MANY) {
            return Err(Error::TooManyConnections { target });
        }
        self.enter(target, tls, ahead, alpn)
    }

    fn enter(&self, target: Target, tls: Tls, ahead: Bytes, alpn: Alpn) -> Result<PeerIo, Error> {
        let (socket, session) = tls.get_ref();
        let failed = |source| Error::Unreachable { target: target.clone(), source };
        let remote = socket.socket().peer_addr().map_err(failed)?;
        let list = session.peer_certificates().unwrap_or_default();
        let certificate = list.first().and_then(|der| Certificate::parse(der).ok());
        let certificate = certificate.ok_or_else(|| failed(io::Error::other("no certificate")))?;
        let spki = Bytes::from(certificate.spki);
        let vouched = self.vouched(list);
        let _ = self.proved.set(spki.clone());
        let info = PeerInfo {
            authority: target.authority.clone().or_else(|| self.met(&certificate.pin, vouched.as_ref())),
            pin: certificate.pin,
            vouched,
            spki,
            remote,
            alpn,
            progress: Arc::default(),
        };
        let lease = self.connections.enter(&info, Direction::Out, Some(target.endpoint.clone()));
        let lease = lease.ok_or(Error::TooManyConnections { target })?;
        Ok(PeerIo::new(tls.into(), Arc::new(info), lease, ahead))
    }
}

impl Dialer {
    /// What the list proves beside the pin, where that is of use.
    fn vouched(&self, list: &[CertificateDer<'_>]) -> Option<Vouched> {
        let (view, only) = match &self.goal {
            Goal::Member { authority, view, issued: true, .. } => (view, Some(authority)),
            Goal::Address { view, .. } => (view, None),
            Goal::Member { .. } | Goal::Pinned { .. } | Goal::Known { .. } => return None,
        };
        issued::vouched(&view.load(), self.connections.successors(), list, only, self.clock.now())
    }

    /// Who answers at an address, by its pin or its authority's key.
    fn met(&self, pin: &Pin, vouched: Option<&Vouched>) -> Option<AuthorityId> {
        let Goal::Address { view, .. } = &self.goal else { return None };
        let pinned = member_of_pin(&view.load(), pin, self.clock.now());
        pinned.or_else(|| vouched.map(|vouched| vouched.authority.clone()))
    }
}

/// At most eight are tried.
async fn look_up(endpoint: &str) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host(endpoint).await?.take(8).collect())
}

/// Each address of the name gets its share of the time: one that swallows packets does not hide the next.
async fn open(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let share = limit / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match timeout(share, TcpStream::connect(*address)).await.map_err(slow).and_then(|r| r) {
            Ok(socket) => return prepare_socket(&socket).map(|()| socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

type Tls = TlsStream<Paced<TcpStream>>;

async fn first_bytes(mut tls: Tls, alpn: Alpn) -> io::Result<(Tls, Bytes)> {
    if tls.get_ref().1.alpn_protocol() != Some(alpn.protocol()) {
        return Err(io::Error::other(rustls::Error::NoApplicationProtocol));
    }
    let mut ahead = vec![0_u8; 512];
    let n = tls.read(&mut ahead).await?;
    if n == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the first byte"));
    }
    ahead.truncate(n);
    Ok((tls, ahead.into()))
}

fn slow(_: tokio::time::error::Elapsed) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}
