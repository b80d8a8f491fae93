//! A client with a city's own keys and none of its node's manners: what somebody could do who took a node over.

use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use bytes::Bytes;
use havenlink::clock::SystemClock;
use havenlink::demo::city::City;
use havenlink::directory::state::RegisterState;
use havenlink::directory::statements::Author;
use havenlink::domain::directory::{DirectoryView, Policy};
use havenlink::domain::ids::{AuthorityId, Digest, FederationId, Incarnation, Pin};
use havenlink::domain::stream::{Hello, Understands};
use havenlink::domain::time::UnixMs;
use havenlink::transport::{Connections, Limits, NodeIdentity, PeerChannel, Pool};
use havenlink::wire::keys::SigningKey;
use havenlink::wire::peer::sign_hello;
use havenlink_proto::directory::v1::{Consistency, GetRequest};
use havenlink_proto::peer::v1::GreetRequest;

/// Somebody who holds a city's keys, and is not its node.
pub struct Intruder {
    pub authority: AuthorityId,
    pub key: SigningKey,
    pub federation: FederationId,
    pub incarnation: Incarnation,
    identity: NodeIdentity,
}

/// Where a node is reached, and what it proves itself with.
#[derive(Clone)]
pub struct Address {
    endpoint: String,
    pins: Vec<Pin>,
}

/// Where a city's node is, as its own register says.
///
/// # Errors
/// When its node does not answer.
pub async fn address_of(city: &City) -> anyhow::Result<Address> {
    let get = GetRequest { authority: city.id().to_owned(), consistency: Consistency::Local.into() };
    let got = city.directory().await?.get(get).await?.into_inner();
    let entry = got.member.and_then(|m| m.entry).context("an entry")?;
    let pins = entry.pins.iter().filter_map(|p| Pin::from_slice(&p.spki_sha256)).collect();
    Ok(Address { endpoint: entry.endpoints.first().context("an endpoint")?.clone(), pins })
}

impl Intruder {
    /// With what lies in the city's data directory; its node has to run while this is made.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub async fn with_keys_of(city: &City) -> anyhow::Result<Self> {
        let data = city.dir.join("data");
        let key = SigningKey::from_pkcs8(&std::fs::read(data.join("authority.key"))?).context("an authority key")?;
        let status = city.status().await?;
        Ok(Self {
            authority: AuthorityId::parse(city.id()).context("an authority")?,
            key,
            federation: FederationId::from_slice(&status.federation_id).context("a federation")?,
            incarnation: Incarnation(status.incarnation),
            identity: NodeIdentity::load(&data)?,
        })
    }

    /// The same keys once more.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn clone_of(held: &Self, city: &City) -> anyhow::Result<Self> {
        let data = city.dir.join("data");
        Ok(Self {
            authority: held.authority.clone(),
            key: SigningKey::from_pkcs8(&std::fs::read(data.join("authority.key"))?).context("an authority key")?,
            federation: held.federation,
            incarnation: held.incarnation,
            identity: held.identity.clone(),
        })
    }

    /// A channel over mutual TLS; connected with the first call, and again whenever it was lost.
    ///
    /// # Errors
    /// When the endpoint is none.
    pub fn channel(&self, to: &Address) -> anyhow::Result<PeerChannel> {
        let (clock, view) = (SystemClock::shared(), Arc::new(ArcSwap::from_pointee(nobody())));
        let connections = Connections::new(view.clone(), clock.clone(), &Limits::default());
        let pool = Pool::new(self.identity.clone(), view, clock, connections, Limits::default());
        Ok(pool.dial_pinned(&to.endpoint, to.pins.clone())?)
    }

    /// A greeting to a partner: a call of the exchange that stores nothing when it is repeated.
    pub fn greeting(&self, to: &str) -> GreetRequest {
        self.greeting_as(self.incarnation, to)
    }

    /// The same, as if it had begun anew.
    pub fn greeting_as(&self, incarnation: Incarnation, to: &str) -> GreetRequest {
        let (federation, time) = (self.federation, self.now());
        let authority = self.authority.clone();
        let recipient = AuthorityId::parse(to).expect("an authority is greeted");
        let (register, understands) = (Default::default(), Understands::here(1, &[]));
        let hello = Hello { federation, authority, incarnation, time, recipient, register, understands };
        GreetRequest { hello: sign_hello(&hello, &self.key), recipient: to.to_owned(), ..Default::default() }
    }

    pub fn now(&self) -> UnixMs {
        SystemClock::shared().now()
    }

    /// Signs a statement at a time of its choice.
    pub fn signs(&self, at: UnixMs, build: impl FnOnce(&Author<'_>) -> Bytes) -> Bytes {
        let nonce = uuid::Uuid::new_v4().into_bytes();
        build(&Author { authority: &self.authority, key: &self.key, now: at, nonce })
    }

    /// The register as the data directory of a node that does not run holds it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn register_of(city: &City) -> anyhow::Result<RegisterState> {
        let directory = open(city)?;
        let state = directory.state();
        directory.shutdown().await;
        Ok(state)
    }
}

/// Opens the register of a node that does not run; nothing of it is started.
///
/// # Errors
/// When it cannot be opened.
pub fn open(city: &City) -> anyhow::Result<havenlink::directory::Directory> {
    let data_dir = city.dir.join("data");
    let key = SigningKey::from_pkcs8(&std::fs::read(data_dir.join("authority.key"))?).context("an authority key")?;
    Ok(havenlink::directory::Directory::open(havenlink::directory::Opening {
        data_dir,
        authority: AuthorityId::parse(city.id()).context("an authority")?,
        key: Arc::new(key),
        clock: SystemClock::shared(),
        genesis: None,
    })?)
}

/// A view of before anybody is a member.
pub(crate) fn nobody() -> DirectoryView {
    DirectoryView {
        federation: FederationId([0; 32]),
        number: 0,
        head: Digest([0; 32]),
        policy: Policy::default(),
        stewards: Arc::new(Vec::new()),
        members: imbl::OrdMap::new(),
        pins: imbl::HashMap::new(),
        overlay: imbl::OrdMap::new(),
        ..DirectoryView::default()
    }
}
