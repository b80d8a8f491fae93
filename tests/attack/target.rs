//! What attackers know and have: addresses of the node that is attacked, and stolen keys.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use havenlink::demo::city::City;
use havenlink::domain::ids::Incarnation;
use havenlink::transport::PeerChannel;
use havenlink_proto::peer::v1::GreetRequest;
use havenlink_tests::credulous;
use havenlink_tests::intruder::{Address, Intruder, address_of};
use havenlink_tests::peer;
use rustls::ClientConfig;

/// What an attacker knows. Clones are one.
#[derive(Clone)]
pub struct Target {
    /// Kehl's keys.
    pub keys: Arc<Intruder>,
    pub address: Address,
    /// Strasbourg's door for applicants; an invitation is open.
    pub door: PeerChannel,
    /// Strasbourg's local doors: its sockets, where its own software is heard over mutual TLS, and loopback HTTP.
    pub sockets: PathBuf,
    pub local_port: SocketAddr,
    pub http: SocketAddr,
    /// Strasbourg's peer port.
    pub peer_port: SocketAddr,
    /// Clients of TLS: with Kehl's key, with one that nobody knows, and with one of the city's own software.
    pub as_kehl: Arc<ClientConfig>,
    pub as_nobody: Arc<ClientConfig>,
    pub as_software: Arc<ClientConfig>,
    /// The same software, and a library that speaks gRPC.
    pub software: tonic::transport::Channel,
    /// Where Kehl's node was, and the data directory that was stolen from it.
    pub listens: SocketAddr,
    pub stolen: PathBuf,
    pub steward: Arc<Steward>,
    pub calls: Arc<AtomicU64>,
    pub taken: Arc<Mutex<Option<Instant>>>,
    pub shown: Arc<AtomicU64>,
}

/// A steward whose keys others have.
pub struct Steward {
    pub keys: Intruder,
    /// Raft ids: its own, and that of the node that is attacked.
    pub own: u64,
    pub of_the_victim: u64,
    /// Where its node was, and the data directory that was stolen from it.
    pub listens: SocketAddr,
    pub stolen: PathBuf,
}

impl Steward {
    /// Ends a steward's node, and takes what it leaves.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn taken_over(steward: &mut City, victim: &str) -> anyhow::Result<Self> {
        let keys = Intruder::with_keys_of(steward).await?;
        let listens = steward.status().await?.peer_address.parse()?;
        steward.kill().await?;
        let register = Intruder::register_of(steward).await?;
        let raft_id = |name: &str| {
            let found = register.stewards().iter().find(|steward| steward.authority.as_str() == name);
            found.map(|steward| steward.raft_id).with_context(|| format!("{name} is a steward"))
        };
        let (own, of_the_victim) = (raft_id(steward.id())?, raft_id(victim)?);
        Ok(Self { keys, own, of_the_victim, listens, stolen: steward.dir.join("data") })
    }
}

impl Target {
    /// A call, or whatever an attack consists of, was made.
    pub fn made(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were made so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Strasbourg's node took one of Kehl's greetings just now.
    pub fn taken(&self) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub fn last_taken(&self) -> Option<Instant> {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kehl as it was shown last: who begins anew is not taken for an older one any more.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.shown.load(Ordering::Relaxed).max(self.keys.incarnation.0))
    }

    /// Kehl greets Strasbourg, as it was shown last.
    pub fn greeting(&self) -> GreetRequest {
        self.keys.greeting_as(self.incarnation(), "fr-strasbourg")
    }

    /// The same, as if everything had begun anew.
    pub fn greeting_anew(&self) -> GreetRequest {
        let now = self.keys.now().0.unsigned_abs();
        self.shown.fetch_max(now, Ordering::Relaxed);
        let shown = self.shown.fetch_add(1, Ordering::Relaxed) + 1;
        self.keys.greeting_as(Incarnation(shown), "fr-strasbourg")
    }

    /// A connection of its own.
    pub fn channel(&self) -> PeerChannel {
        self.keys.channel(&self.address).expect("the register's endpoints are some")
    }

    /// The same, with the steward's keys.
    pub fn steward_channel(&self) -> PeerChannel {
        self.steward.keys.channel(&self.address).expect("the register's endpoints are some")
    }
}

/// A key of a city's own software, its certificate, and how the node knows it.
pub struct Software(havenlink::transport::certificate::Generated);

impl Software {
    /// # Errors
    /// When the system gives no randomness.
    pub fn made() -> anyhow::Result<Self> {
        Ok(Self(peer::self_issued("zz-software", havenlink::domain::time::Millis::days(1))?))
    }

    /// A line of `local.clients`.
    pub fn client(&self) -> String {
        format!("\"{}\" = \"publisher\"", self.0.certificate.pin)
    }

    /// A client of TLS, below any library.
    ///
    /// # Errors
    /// When the key is none.
    pub fn config(&self) -> anyhow::Result<Arc<ClientConfig>> {
        let pair = (self.0.certificate.der.clone(), self.0.key.to_vec());
        Ok(Arc::new(credulous::client(Some(pair))?))
    }

    /// A channel to the node of this city at `local.listen`.
    ///
    /// # Errors
    /// When the node has laid no certificate of its local CA there.
    pub fn channel(&self, city: &City, address: SocketAddr) -> anyhow::Result<tonic::transport::Channel> {
        let ca = std::fs::read(city.sockets().join("local-ca.crt"))?;
        havenlink_tests::local_tls::channel(address, &ca, &self.0.key, &self.0.certificate.der)
    }
}

/// Where a city's node is reached by others.
///
/// # Errors
/// When its node does not answer.
pub async fn reached(city: &City) -> anyhow::Result<(Address, SocketAddr)> {
    Ok((address_of(city).await?, peer::address_of(city).await?))
}
