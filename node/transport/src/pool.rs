//! Outgoing channels: one per authority and lane, opened when first used, opened again after every loss.
//!
//! A channel is made anew, and the old one left to finish what runs on it, when the target's entry or our own
//! certificate has changed: so a planned change of pins drops no exchange. Ask the pool for the channel at each pass
//! instead of keeping it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use hyper_util::rt::TokioIo;
use imbl::OrdMap;
use tokio::runtime::Handle;
use tonic::service::interceptor::InterceptedService;

use super::connection::Alpn;
use super::dial::{Dialer, Goal};
use super::error::Error;
use super::given::GivenContacts;
use super::http2::{self, Deadline, PeerChannel};
use super::{Connections, Limits, NodeIdentity, ViewSource};
use crate::clock::SharedClock;
use crate::domain::authority::{AuthorityEntry, ParticipantKind, PinnedKey, PublicKey};
use crate::domain::directory::{DirectoryView, Member};
use crate::domain::ids::{AuthorityId, FederationId, Pin};
use crate::domain::pin_proof::PinProof;
use crate::domain::time::UnixMs;

/// Connections that must not wait for each other's bytes, and that do not open by the same certificates: what goes over one
/// is sent to nobody who proved less than it needs (9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Deliver. By the exact pin.
    Exchange,
    /// Consensus between stewards, and what they are asked to decide. By a certificate that the target's authority issued as
    /// well: by its order alone a new pin comes to be listed.
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

/// A member as it was known last, for a node that has no view to find it in.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub federation: FederationId,
    pub authority: &'a AuthorityId,
    pub pins: &'a [Pin],
    /// Its authority's key, which issues its node's certificates: the pins may be others by now.
    pub key: &'a PublicKey,
}

impl Known<'_> {
    /// A view of nothing but this.
    fn view(&self) -> ViewSource {
        let pinned = |pin: &Pin| PinnedKey { pin: *pin, valid_until: UnixMs::NEVER, proof: PinProof::default() };
        let entry = AuthorityEntry {
            authority: self.authority.clone(),
            kind: ParticipantKind::LocalAuthority,
            names: Vec::new(),
            identifiers: Vec::new(),
            authority_key: *self.key,
            endpoints: Vec::new(),
            pins: self.pins.iter().map(pinned).collect(),
            contacts: Vec::new(),
            hosted_by: None,
            networks: Vec::new(),
            services: Vec::new(),
            corridor: Default::default(),
            raft_id: 0,
        };
        let (keys, suspended_until, removed_at) = (Vec::new(), None, None);
        let member = Member { entry, version: 1, status_version: 1, keys, suspended_until, removed_at };
        Arc::new(ArcSwap::from_pointee(DirectoryView {
            federation: self.federation,
            pins: self.pins.iter().map(|pin| (*pin, self.authority.clone())).collect(),
            members: OrdMap::unit(self.authority.clone(), Arc::new(member)),
            ..DirectoryView::default()
        }))
    }
}

/// Who of the register answered at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    pub authority: AuthorityId,
    /// Of the certificate that it showed.
    pub pin: Pin,
    /// Its entry lists the pin; otherwise its authority's key issued the certificate.
    pub is_pinned: bool,
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

    /// Addresses that an operator gave.
    pub fn given(&self) -> &GivenContacts {
        self.0.connections.given()
    }

    /// Dials an address that stands in no entry, and says who of the register answers there, by its pin or by a certificate that
    /// its authority issued.
    ///
    /// # Errors
    /// When nobody does, or it is nobody that the register knows.
    pub async fn who_answers(&self, endpoint: &str) -> Result<Met, Error> {
        check_endpoint(endpoint)?;
        let goal = Goal::Address { endpoint: endpoint.to_owned(), view: self.0.view.clone() };
        let io = self.dialer(goal).dial().await?;
        let info = io.info();
        let authority = info.authority.clone().ok_or_else(|| Error::Endpoint { endpoint: endpoint.to_owned() })?;
        let is_pinned = self.0.view.load().authority_of_pin(&info.pin, self.0.clock.now()) == Some(&authority);
        Ok(Met { authority, pin: info.pin, is_pinned })
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
        if member.entry.endpoints.is_empty() && self.given().endpoints(member).is_empty() {
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
        let goal = Goal::Member { authority, view, issued: lane != Lane::Exchange };
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

    /// The same by what a file knows of a member: its pins, or a certificate that its authority's key issued.
    ///
    /// # Errors
    /// When the endpoint is not "host:port".
    pub fn dial_known(&self, endpoint: &str, known: Known<'_>) -> Result<PeerChannel, Error> {
        check_endpoint(endpoint)?;
        let (authority, view) = (known.authority.clone(), known.view());
        self.open(endpoint, Goal::Known { endpoint: endpoint.to_owned(), authority, view }).map(|(channel, _)| channel)
    }

    fn pinned(&self, endpoint: &str, pins: Vec<Pin>, alpn: Alpn) -> Result<(PeerChannel, Arc<OnceLock<Bytes>>), Error> {
        check_endpoint(endpoint)?;
        self.open(endpoint, Goal::Pinned { endpoint: endpoint.to_owned(), pins, alpn })
    }

    fn dialer(&self, goal: Goal) -> Dialer {
        Dialer {
            identity: self.0.identity.clone(),
            clock: self.0.clock.clone(),
            connections: self.0.connections.clone(),
            limits: self.0.limits.clone(),
            goal,
            proved: Arc::default(),
        }
    }

    fn open(&self, name: &str, goal: Goal) -> Result<(PeerChannel, Arc<OnceLock<Bytes>>), Error> {
        let endpoint = http2::endpoint(name)?;
        let dialer = Arc::new(self.dialer(goal));
        let proved = dialer.proved.clone();
        let connector = tower::service_fn(move |_| {
            let dialer = dialer.clone();
            async move { dialer.dial().await.map(TokioIo::new) }
        });
        let channel = endpoint.connect_with_connector_lazy(connector);
        Ok((InterceptedService::new(channel, Deadline::default()), proved))
    }
}

/// An endpoint is "host:port".
fn check_endpoint(endpoint: &str) -> Result<(), Error> {
    let has_port =
        endpoint.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if has_port { Ok(()) } else { Err(Error::Endpoint { endpoint: endpoint.to_owned() }) }
}
