//! A small federation: nodes with their own keys and listeners under one view that a test may rewrite.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use havenlink_proto::peer::v1::exchange_service_server::{ExchangeService, ExchangeServiceServer};
use havenlink_proto::peer::v1::{
    DeliverRequest, DeliverResponse, GreetRequest, GreetResponse, HoldRequest, HoldResponse, ListCapacityRequest,
    ListCapacityResponse, ListEndsRequest, ListEndsResponse, ListWithdrawalsRequest, ListWithdrawalsResponse,
};
use imbl::{HashMap, OrdMap};
use rustls::ClientConfig;
use rustls::version::TLS13;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::{Request, Response, Status};

use crate::certificate::LIFETIME;
use crate::clock::{Clock, MovedClock};
use crate::domain::authority::{AuthorityEntry, ParticipantKind, PinnedKey, PublicKey};
use crate::domain::directory::{DirectoryView, Member, Policy};
use crate::domain::ids::{AuthorityId, Digest, FederationId, Pin};
use crate::domain::issued::{AuthoritySigner, NodeName};
use crate::domain::join::Entrance;
use crate::domain::time::UnixMs;
use crate::verify::{Accepted, PinVerifier};
use crate::*;

pub(super) fn id(text: &str) -> AuthorityId {
    AuthorityId::parse(text).unwrap()
}

/// Waits until the condition holds; fails the test after thirty seconds.
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(super) struct World {
    pub view: ViewSource,
    pub clock: Arc<MovedClock>,
    pub limits: Limits,
    changes: watch::Sender<u64>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        let empty = DirectoryView {
            federation: FederationId([7; 32]),
            number: 0,
            head: Digest([0; 32]),
            policy: Policy::default(),
            stewards: Arc::default(),
            members: OrdMap::new(),
            pins: HashMap::new(),
            overlay: OrdMap::new(),
            ..DirectoryView::default()
        };
        let view = Arc::new(ArcSwap::from_pointee(empty));
        Self { view, clock: MovedClock::new(), limits, changes: watch::Sender::new(0) }
    }

    /// Rewrites the view and tells everybody.
    pub fn change(&self, edit: impl FnOnce(&mut DirectoryView)) {
        let mut view = DirectoryView::clone(&self.view.load());
        edit(&mut view);
        view.number += 1;
        view.pins = HashMap::new();
        for (authority, member) in &view.members {
            for pinned in &member.entry.pins {
                view.pins.insert(pinned.pin, authority.clone());
            }
        }
        let number = view.number;
        self.view.store(Arc::new(view));
        self.changes.send_replace(number);
    }

    pub fn edit(&self, authority: &AuthorityId, edit: impl FnOnce(&mut Member)) {
        self.change(|view| {
            let mut member = Member::clone(view.member(authority).unwrap());
            edit(&mut member);
            member.version += 1;
            view.members.insert(authority.clone(), Arc::new(member));
        });
    }

    /// A member with these endpoints and pins.
    pub fn admit(&self, authority: &AuthorityId, endpoints: &[SocketAddr], pins: &[Pin]) {
        self.admit_with(authority, &PublicKey([0; 44]), endpoints, pins);
    }

    /// The same, under this authority key.
    pub fn admit_with(&self, authority: &AuthorityId, key: &PublicKey, endpoints: &[SocketAddr], pins: &[Pin]) {
        let entry = AuthorityEntry {
            authority: authority.clone(),
            kind: ParticipantKind::LocalAuthority,
            names: Vec::new(),
            identifiers: Vec::new(),
            authority_key: *key,
            endpoints: endpoints.iter().map(SocketAddr::to_string).collect(),
            pins: pins
                .iter()
                .map(|&pin| PinnedKey { pin, valid_until: UnixMs::NEVER, proof: Default::default() })
                .collect(),
            contacts: Vec::new(),
            hosted_by: None,
            networks: Vec::new(),
            services: Vec::new(),
            corridor: Default::default(),
            raft_id: 0,
        };
        let member =
            Member { entry, version: 1, status_version: 0, keys: Vec::new(), suspended_until: None, removed_at: None };
        self.change(|view| {
            view.members.insert(authority.clone(), Arc::new(member));
        });
    }

    pub fn identity(&self, authority: &AuthorityId) -> NodeIdentity {
        let new = NodeIdentity::generate(authority, self.clock.now(), LIFETIME).unwrap();
        NodeIdentity::from_der(&new.key, &new.certificate.der).unwrap()
    }

    /// A member with a running node.
    pub async fn member(&self, text: &str) -> Node {
        let node = self.stranger(text).await;
        self.admit_with(&node.authority, &node.key.public_key(), &[node.address], &[node.identity.pin()]);
        node
    }

    /// A running node that the register does not know.
    pub async fn stranger(&self, text: &str) -> Node {
        self.node(text, self.identity(&id(text)), Key::new(&id(text))).await
    }

    /// A running node that shows this certificate, and whose authority has this key.
    pub async fn node(&self, text: &str, identity: NodeIdentity, key: Key) -> Node {
        let authority = id(text);
        let connections = Connections::new(self.view.clone(), self.clock.clone(), &self.limits);
        tokio::spawn(connections.clone().follow(self.changes.subscribe()));
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr();
        let gate = JoinGate::closed();
        let serving = listener.serve(self.door(&identity, &connections, &gate)).unwrap();
        let refused = serving.refused.clone();
        let fake = Fake::default();
        let (_, health) = tonic_health::server::health_reporter();
        let peers = server_builder().add_service(ExchangeServiceServer::new(fake.clone())).add_service(health);
        tokio::spawn(peers.serve_with_incoming(serving.peers));
        let joins = server_builder().add_service(ExchangeServiceServer::new(fake.clone()));
        tokio::spawn(joins.serve_with_incoming(serving.joins));
        let pool = Pool::new(
            identity.clone(),
            self.view.clone(),
            self.clock.clone(),
            connections.clone(),
            self.limits.clone(),
        );
        Node { authority, key, identity, connections, gate, address, pool, fake, refused }
    }

    pub fn door(&self, identity: &NodeIdentity, connections: &Connections, gate: &JoinGate) -> ListenerParts {
        ListenerParts {
            identity: identity.clone(),
            view: self.view.clone(),
            clock: self.clock.clone(),
            connections: connections.clone(),
            gate: gate.clone(),
            limits: self.limits.clone(),
            issued: true,
        }
    }

    /// A client configuration to be spoilt by the test: takes any server, shows no certificate.
    pub fn raw(&self) -> ClientConfig {
        let verifier = PinVerifier::new(Accepted::Applicants(open_gate()), self.clock.clone());
        let builder = ClientConfig::builder_with_provider(tls::provider());
        let mut config = builder
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    /// The same, showing this identity.
    pub fn raw_as(&self, identity: &NodeIdentity) -> ClientConfig {
        let mut config = self.raw();
        config.client_auth_cert_resolver = identity.resolver();
        config
    }
}

pub(super) struct Node {
    pub authority: AuthorityId,
    pub key: Key,
    pub identity: NodeIdentity,
    pub connections: Connections,
    pub gate: JoinGate,
    pub address: SocketAddr,
    pub pool: Pool,
    pub fake: Fake,
    pub refused: Arc<Refused>,
}

impl Node {
    /// The same over the lane that a certificate issued by the other's authority opens too.
    pub async fn meet(&self, other: &Node) -> Result<String, Status> {
        greet(self.pool.lane(&other.authority, Lane::Reunion).unwrap(), "").await
    }

    /// One call to the other node; the answer is who it says we are.
    pub async fn greet(&self, other: &Node) -> Result<String, Status> {
        greet(self.pool.channel(&other.authority).unwrap(), "").await
    }
}

pub(super) async fn greet(channel: PeerChannel, recipient: &str) -> Result<String, Status> {
    let request = GreetRequest { recipient: recipient.into(), ..Default::default() };
    let answer = ExchangeServiceClient::new(channel).greet(request).await?;
    Ok(String::from_utf8(answer.into_inner().hello.into()).unwrap())
}

/// An authority's key.
pub(super) struct Key {
    pair: Ed25519KeyPair,
    pub name: NodeName,
    pub crosses: Vec<Vec<u8>>,
}

impl Key {
    pub fn new(authority: &AuthorityId) -> Self {
        let name = NodeName { federation: FederationId([7; 32]), authority: authority.clone() };
        Self { pair: Ed25519KeyPair::generate().unwrap(), name, crosses: Vec::new() }
    }

    pub fn issuing(&self) -> Issuing<'_> {
        Issuing { name: &self.name, key: self, crosses: &self.crosses }
    }
}

impl AuthoritySigner for Key {
    fn public_key(&self) -> PublicKey {
        let spki = [&PublicKey::PREFIX[..], self.pair.public_key().as_ref()].concat();
        PublicKey::from_spki(&spki).unwrap()
    }

    fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message).as_ref().try_into().unwrap()
    }
}

/// Connects and waits for the first byte of HTTP, as every client here does.
pub(super) async fn raw_connect(address: SocketAddr, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    raw_connect_with(address, Arc::new(config)).await
}

pub(super) async fn raw_connect_with(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    raw_over(TcpStream::connect(address).await?, config).await
}

/// The handshake over a socket, and the first byte of the server's HTTP: it is let in.
pub(super) async fn raw_over(socket: TcpStream, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut tls = TlsConnector::from(config).connect("x.example".try_into().unwrap(), socket).await?;
    tls.read_u8().await?;
    Ok(tls)
}

/// Tells the caller its own authority; "wait" makes it wait until the test lets it go.
#[derive(Clone, Default)]
pub(super) struct Fake {
    pub entered: Arc<Notify>,
    pub go_on: Arc<Notify>,
}

#[tonic::async_trait]
impl ExchangeService for Fake {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let peer = request.extensions().get::<Arc<PeerInfo>>().unwrap().clone();
        peer.progress.note();
        if request.into_inner().recipient == "wait" {
            self.entered.notify_one();
            self.go_on.notified().await;
        }
        let name = peer.authority.as_ref().map(ToString::to_string).unwrap_or_else(|| "applicant".into());
        Ok(Response::new(GreetResponse { hello: name.into(), ..Default::default() }))
    }

    async fn list_capacity(&self, _: Request<ListCapacityRequest>) -> Result<Response<ListCapacityResponse>, Status> {
        Ok(Response::new(ListCapacityResponse::default()))
    }

    async fn list_withdrawals(
        &self,
        _: Request<ListWithdrawalsRequest>,
    ) -> Result<Response<ListWithdrawalsResponse>, Status> {
        Ok(Response::new(ListWithdrawalsResponse::default()))
    }

    async fn hold(&self, _: Request<HoldRequest>) -> Result<Response<HoldResponse>, Status> {
        Ok(Response::new(HoldResponse::default()))
    }

    async fn list_ends(&self, _: Request<ListEndsRequest>) -> Result<Response<ListEndsResponse>, Status> {
        Ok(Response::new(ListEndsResponse::default()))
    }

    async fn deliver(&self, request: Request<DeliverRequest>) -> Result<Response<DeliverResponse>, Status> {
        let next = request.into_inner().items.len() as u64;
        Ok(Response::new(DeliverResponse { next, receipt: None }))
    }
}

/// What a door is while an invitation can be used.
pub fn anybody() -> Entrance {
    Entrance { anybody: true, ..Entrance::default() }
}

/// A door that takes anybody.
pub fn open_gate() -> JoinGate {
    let gate = JoinGate::closed();
    gate.set(anybody());
    gate
}
