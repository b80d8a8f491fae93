//! The scene of the measurements: three real nodes, all stewards, Strasbourg with an agreement with each of the others.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use havenlink::clock::SystemClock;
use havenlink::demo::Cities;
use havenlink::demo::acts::{agreeing, founding};
use havenlink::demo::city::City;
use havenlink::demo::ports;
use havenlink::demo::stage::Stage;
use havenlink::domain::ids::AuthorityId;
use havenlink::domain::time::Millis;
use havenlink::transport::NodeIdentity;
use havenlink::transport::certificate::Generated;
use havenlink_proto::directory::v1::{AuthorityEntry, Consistency, GetRequest};
use havenlink_tests::federation::UNBOUNDED;
use havenlink_tests::local_tls;
use tonic::transport::Channel;

use crate::measure::{Meter, resident_mb};

/// Three cities that run.
pub struct Scene {
    pub cities: Cities,
    /// Software of Strasbourg that reaches its node over mutual TLS, and where.
    software: Generated,
    listens: SocketAddr,
}

/// The local services over mutual TLS.
pub struct TlsDoor {
    software: Generated,
    listens: SocketAddr,
    ca: Vec<u8>,
}

impl TlsDoor {
    /// One connection.
    pub fn dial(&self) -> anyhow::Result<Channel> {
        let Generated { key, certificate } = &self.software;
        local_tls::channel(self.listens, &self.ca, key, &certificate.der)
    }
}

impl Scene {
    /// Founds the federation and signs the agreements.
    pub async fn open(root: &Path, binary: &Path) -> anyhow::Result<Self> {
        let mut cities = Cities::prepare(root, binary)?;
        for city in cities.all() {
            city.configure(UNBOUNDED)?;
        }
        let id = AuthorityId::parse("zz-software").context("an id")?;
        let software = NodeIdentity::generate(&id, SystemClock::shared().now(), Millis::days(30))?;
        let listens = local_listener(&cities.strasbourg, &software)?;
        let mut stage = Stage::silent();
        founding::play(&mut stage, &mut cities).await.context("founding")?;
        agreeing::play(&mut stage, &mut cities).await.context("agreeing")?;
        anyhow::ensure!(stage.failures().is_empty(), "the scene did not come to stand: {:?}", stage.failures());
        Ok(Self { cities, software, listens })
    }

    /// The three, each under a short name.
    pub fn nodes(&self) -> [(&'static str, &City); 3] {
        [("strasbourg", &self.cities.strasbourg), ("kehl", &self.cities.kehl), ("esch", &self.cities.esch)]
    }

    /// Reads what each of them costs.
    pub fn meter(&self) -> Meter {
        Meter::new(self.nodes().into_iter().filter_map(|(name, city)| Some((name, city.pid()?))))
    }

    /// Resident memory of each.
    pub fn resident(&self) -> [(&'static str, f64); 3] {
        self.nodes().map(|(name, city)| (name, city.pid().map_or(0.0, resident_mb)))
    }

    /// Where the city's own software may publish from another machine.
    pub fn tls_door(&self) -> anyhow::Result<TlsDoor> {
        let path = self.cities.strasbourg.dir.join("run").join("local-ca.crt");
        let ca = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let Generated { key, certificate } = &self.software;
        let software = Generated { key: key.clone(), certificate: certificate.clone() };
        Ok(TlsDoor { software, listens: self.listens, ca })
    }

    /// Asks all three to stop.
    pub async fn close(mut self) -> anyhow::Result<()> {
        for city in self.cities.all() {
            city.stop().await?;
        }
        Ok(())
    }
}

/// Adds the local services over mutual TLS to a city's configuration.
fn local_listener(city: &City, software: &Generated) -> anyhow::Result<SocketAddr> {
    let address = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
    let pin = software.certificate.pin;
    let lines = format!("local.listen = \"{address}\"\nlocal.clients = {{ \"{pin}\" = \"publisher\" }}\n");
    city.configure(&lines)?;
    Ok(address)
}

/// A city's own entry, as its node holds it.
pub async fn entry_of(city: &City) -> anyhow::Result<AuthorityEntry> {
    let request = GetRequest { authority: city.id().to_owned(), consistency: Consistency::Local.into() };
    let got = city.directory().await?.get(request).await?.into_inner();
    got.member.and_then(|m| m.entry).with_context(|| format!("{} is not in the register", city.id()))
}

/// The binary to measure: named, or beside this one.
pub fn binary(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let path = match named {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("havenlink"),
    };
    std::fs::canonicalize(&path).with_context(|| format!("no binary at {}: build it first", path.display()))
}
