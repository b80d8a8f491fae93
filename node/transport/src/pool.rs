//! Outgoing channels: one per authority and lane, opened when first used, opened again after every loss.
//!
//! A channel is made anew, and the old one left to finish what runs on it, when the target's entry or our own
//! certificate has changed: so a planned change of pins drops no exchange. Ask the pool for the channel at each pass
//! instead of keeping it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::runtime::Handle;
use tonic::service::interceptor::InterceptedService;

use super::connection::Alpn;
use super::dial::{Dialer, Goal};
use super::error::Error;
use super::http2::{self, Deadline, PeerChannel};
use super::{Connections, Limits, NodeIdentity, ViewSource};
use crate::clock::SharedClock;
use crate::domain::ids::{AuthorityId, Pin};

/// Connections that must not wait for each other's bytes, and that do not open by the same certificates: what goes over one
/// is sent to nobody who proved less than it needs (9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Deliver. By the exact pin.
    Exchange,
    /// Consensus between stewards, and what they are asked to decide. By the exact pin.
    Register,
    /// What brings two nodes back together: Follow, Snapshot, Gossip, Greet, a change of the own entry. By a certificate
    /// that the target's authority issued as well.
    Reunion,
}

/// The pool. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    identity: NodeIdentity,
    view: ViewSource,
    clock: SharedClock,
    connections: Connections,
    limits: Limits,
    /// Where the register's connections live, whoever asks for one first: Raft waits for nobody else's thread.
    home: Option<Handle>,
    channels: Mutex<HashMap<(AuthorityId, Lane), Kept>>,
}

struct Kept {
    /// Version of the target's entry, and generation of our certificate.
    made_for: (u64, u64),
    channel: PeerChannel,
}

/// A channel to an inviter, and what it proved to be.
#[derive(Clone)]
pub struct JoinChannel {
    pub channel: PeerChannel,
    proved: Arc<OnceLock<Bytes>>,
}

impl JoinChannel {
    /// DER SubjectPublicKeyInfo that the inviter's node proved to hold; `None` before the first call.
    pub fn inviter_spki(&self) -> Option<Bytes> {
        self.proved.get().cloned()
    }
}

impl Pool {
    /// A pool that dials as this identity and knows peers from this view. Made on the register's runtime.
    pub fn new(
        identity: NodeIdentity,
        view: ViewSource,
        clock: SharedClock,
        connections: Connections,
        limits: Limits,
    ) -> Self {
        let home = Handle::try_current().ok();
        Self(Arc::new(Inner { identity, view, clock, connections, limits, home, channels: Mutex::default() }))
    }

    /// The channel for records to an authority, or to the node that hosts it. Not connected until first used.
    ///
    /// # Errors
    /// `MEMBER_UNKNOWN` when the register has no such authority, `PEER_UNREACHABLE` when it lists no endpoint.
    /// A suspended or removed authority is dialled: what may be said to it is decided elsewhere (9.2, 9.4).
    pub fn channel(&self, authority: &AuthorityId) -> Result<PeerChannel, Error> {
        self.lane(authority, Lane::Exchange)
    }

    /// The channel of one lane.
    ///
    /// # Errors
    /// As `channel`.
    pub fn lane(&self, authority: &AuthorityId, lane: Lane) -> Result<PeerChannel, Error> {
        let view = self.0.view.load();
        let unknown = || Error::UnknownMember(authority.clone());
        let host = view.host_of(authority).ok_or_else(unknown)?;
        let member = view.member(host).ok_or_else(unknown)?;
        if member.entry.endpoints.is_empty() {
            return Err(Error::NoEndpoint(host.clone()));
        }
        let made_for = (member.version, self.0.identity.generation());
        let mut channels = self.0.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host.clone(), lane);
        if let Some(kept) = channels.get(&key)
            && kept.made_for == made_for
        {
            return Ok(kept.channel.clone());
        }
        let (authority, view) = (host.clone(), self.0.view.clone());
        let goal = Goal::Member { authority, view, issued: lane == Lane::Reunion };
        let _entered = self.0.home.as_ref().filter(|_| lane != Lane::Exchange).map(Handle::enter);
        let (channel, _) = self.open(host.as_str(), goal)?;
        channels.insert(key, Kept { made_for, channel: channel.clone() });
        Ok(channel)
    }

    /// A channel to an inviter over `havenlink-join/1` (9.5); endpoint and pins come from the invitation.
    ///
    /// # Errors
    /// When the endpoint is not "host:port".
    pub fn join_channel(&self, endpoint: &str, pins: Vec<Pin>) -> Result<JoinChannel, Error> {
        let (channel, proved) = self.pinned(endpoint, pins, Alpn::Join)?;
        Ok(JoinChannel { channel, proved })
    }

    /// A channel by pin alone, for following the register before there is a view to find members in.
    ///
    /// # Errors
    /// When the endpoint is not "host:port".
    pub fn dial_pinned(&self, endpoint: &str, pins: Vec<Pin>) -> Result<PeerChannel, Error> {
        self.pinned(endpoint, pins, Alpn::Peer).map(|(channel, _)| channel)
    }

    fn pinned(&self, endpoint: &str, pins: Vec<Pin>, alpn: Alpn) -> Result<(PeerChannel, Arc<OnceLock<Bytes>>), Error> {
        let has_port =
            endpoint.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !has_port {
            return Err(Error::Endpoint { endpoint: endpoint.to_owned() });
        }
        self.open(endpoint, Goal::Pinned { endpoint: endpoint.to_owned(), pins, alpn })
    }

    fn open(&self, name: &str, goal: Goal) -> Result<(PeerChannel, Arc<OnceLock<Bytes>>), Error> {
        let endpoint = http2::endpoint(name)?;
        let proved = Arc::<OnceLock<Bytes>>::default();
        let dialer = Arc::new(Dialer {
            identity: self.0.identity.clone(),
            clock: self.0.clock.clone(),
            connections: self.0.connections.clone(),
            limits: self.0.limits.clone(),
            goal,
            proved: proved.clone(),
        });
        let connector = tower::service_fn(move |_| {
            let dialer = dialer.clone();
            async move { dialer.dial().await.map(TokioIo::new) }
        });
        let channel = endpoint.connect_with_connector_lazy(connector);
        Ok((InterceptedService::new(channel, Deadline::default()), proved))
    }
}
