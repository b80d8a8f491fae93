//! Three cities: Strasbourg, which is attacked and keeps the register; Esch, its honest partner; and Kehl, whose keys others have.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use havenlink::demo::acts::until;
use havenlink::demo::city::City;
use havenlink::demo::ports;
use havenlink::domain::time::Millis;
use havenlink::transport::{NodeIdentity, PeerChannel};
use havenlink_tests::credulous;
use havenlink_tests::federation::Federation;
use havenlink_tests::intruder::{Address, Intruder, address_of};
use havenlink_tests::peer;
use havenlink_tests::road::{self, alert_to};
use havenlink_tests::tools::havenctl;
use rustls::ClientConfig;
use tokio::task::JoinSet;

/// Alerts that wait for Kehl: what has to be queued again whenever it begins anew.
const WAITING: usize = 600;
/// What a node's journal tells when it turned somebody away for want of places.
const FULL: &str = "event=REFUSED reason=TOO_MANY_CONNECTIONS";

/// The nodes, and what attackers have of them.
pub struct Scene {
    federation: Federation,
    pub target: Target,
}

/// What an attacker knows. Clones are one.
#[derive(Clone)]
pub struct Target {
    /// Kehl's keys.
    pub keys: Arc<Intruder>,
    pub address: Address,
    /// Strasbourg's door for applicants; an invitation is open.
    pub door: PeerChannel,
    /// Strasbourg's local sockets, and where its own software is heard over mutual TLS.
    pub sockets: PathBuf,
    pub local_port: SocketAddr,
    /// Strasbourg's peer port, and clients of TLS for it: with Kehl's key, and with one that nobody knows.
    pub peer_port: SocketAddr,
    pub as_kehl: Arc<ClientConfig>,
    pub as_nobody: Arc<ClientConfig>,
    /// Where Kehl's node was, and the data directory that was stolen from it.
    pub listens: SocketAddr,
    pub stolen: PathBuf,
    calls: Arc<AtomicU64>,
    taken: Arc<Mutex<Option<Instant>>>,
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

    /// A connection of its own.
    pub fn channel(&self) -> PeerChannel {
        self.keys.channel(&self.address).expect("the register's endpoints are some")
    }
}

/// Has a node hear its city's own software over mutual TLS as well, and starts it anew; where.
async fn hears_software(city: &mut City) -> anyhow::Result<SocketAddr> {
    let address = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
    let software = peer::self_issued("zz-software", Millis::days(1))?.certificate.pin;
    city.configure(&format!("local.listen = \"{address}\"\nlocal.clients = {{ \"{software}\" = \"publisher\" }}\n"))?;
    city.stop().await?;
    city.start()?;
    city.ready().await?;
    Ok(address)
}

impl Scene {
    /// Founds it; Kehl's own node is gone, and alerts wait for it.
    pub async fn found(binary: &Path) -> anyhow::Result<Self> {
        let mut federation = Federation::found_with(binary, 3, 1, "", &[]).await?;
        federation.agree(0, 1).await?;
        federation.agree(0, 2).await?;
        let keys = Intruder::with_keys_of(&federation.cities[1]).await?;
        let address = address_of(&federation.cities[0]).await?;
        let listens = federation.cities[1].status().await?.peer_address.parse()?;
        federation.cities[1].kill().await?;
        let local_port = hears_software(&mut federation.cities[0]).await?;
        let strasbourg = &federation.cities[0];
        let stolen = federation.cities[1].dir.join("data");
        havenctl(strasbourg, &["invite", "create", "--for", "be-liege"]).await?.fine();
        let applicant = peer::self_issued("be-liege", Millis::days(1))?;
        let nobody = (applicant.certificate.der.clone(), applicant.key.to_vec());
        let applicant = NodeIdentity::from_der(&applicant.key, &applicant.certificate.der)?;
        let target = Target {
            keys: Arc::new(keys),
            address,
            door: peer::knock(applicant, strasbourg).await?,
            sockets: strasbourg.sockets(),
            local_port,
            peer_port: peer::address_of(strasbourg).await?,
            as_kehl: Arc::new(credulous::client(Some(credulous::pair_of(&stolen)?))?),
            as_nobody: Arc::new(credulous::client(Some(nobody))?),
            listens,
            stolen,
            calls: Arc::default(),
            taken: Arc::default(),
        };
        let scene = Self { federation, target };
        scene.fill().await?;
        Ok(scene)
    }

    async fn fill(&self) -> anyhow::Result<()> {
        let mut publishing = JoinSet::new();
        for _ in 0..16 {
            let (mut publisher, to) = (self.victim().publisher().await?, self.federation.cities[1].id());
            publishing.spawn(async move {
                for _ in 0..WAITING / 16 {
                    publisher.publish_record(alert_to(to)).await?;
                }
                Ok::<_, tonic::Status>(())
            });
        }
        while let Some(published) = publishing.join_next().await {
            published??;
        }
        Ok(())
    }

    /// Whom everything is aimed at.
    pub fn victim(&self) -> &City {
        &self.federation.cities[0]
    }

    pub fn partner(&self) -> &City {
        &self.federation.cities[2]
    }

    pub fn folder(&self) -> PathBuf {
        self.victim().dir.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Keeps the folder.
    pub fn keep(&mut self) -> &Path {
        self.federation.keep()
    }

    /// Starts Strasbourg's node anew, and Esch's when Strasbourg's log tells that it has no place for further handshakes,
    /// `if_full`; how long it takes from there until something that Esch says is at Strasbourg.
    ///
    /// # Errors
    /// When it does not come at all, or there are places still.
    pub async fn come_back(&mut self, if_full: bool) -> anyhow::Result<Duration> {
        let [strasbourg, _, esch] = &mut self.federation.cities[..] else { anyhow::bail!("three cities") };
        let log = strasbourg.dir.join("node.log");
        esch.kill().await?;
        strasbourg.kill().await?;
        let told = std::fs::read(&log)?.len();
        strasbourg.start()?;
        strasbourg.ready().await?;
        if if_full {
            until("no place for handshakes is left", || async {
                let lines = std::fs::read(&log)?.split_off(told);
                Ok(String::from_utf8_lossy(&lines).contains(FULL).then_some(()))
            })
            .await?;
        }
        let began = Instant::now();
        esch.start()?;
        esch.ready().await?;
        let record = road::publish(esch, strasbourg).await?;
        let record = record.map_err(|reason| anyhow::anyhow!("Esch does not publish: {reason}"))?;
        road::arrives(strasbourg, &record).await?;
        Ok(began.elapsed())
    }

    /// Orders the suspension of the attacker; how long the operator waited for it.
    pub async fn suspend(&self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let order = ["member", "suspend", "de-kehl", "--reason", "NODE_COMPROMISED", "--yes"];
        havenctl(self.victim(), &order).await?.fine();
        Ok(began.elapsed())
    }

    /// Stops the nodes that run. What is looked at at the end of a story is measured here in every round.
    pub async fn close(&mut self) -> anyhow::Result<()> {
        for city in &mut self.federation.cities {
            city.stop().await.with_context(|| city.id())?;
        }
        Ok(())
    }
}
