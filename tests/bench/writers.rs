//! Authorities that write to the register: each with its own keys, its own TLS identity and one steward's port.

use std::sync::Arc;

use anyhow::{Context, bail};
use havenlink::domain::ids::{FederationId, Pin};
use havenlink::transport::{PeerChannel, ViewSource};
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::directory::v1::{AuthorityEntry, Consistency, GetRequest, Outcome, statement};
use havenlink_tests::authors::{self, Author, request};
use tokio::sync::Mutex;

use crate::scene::{Scene, entry_of};
use crate::stand::{self, Party};

/// One admitted authority.
pub struct Writer {
    author: Author,
    entry: AuthorityEntry,
    version: u64,
    client: DirectoryServiceClient<PeerChannel>,
}

impl Writer {
    /// The authority's id.
    pub fn id(&self) -> &str {
        &self.author.id
    }

    /// Its connection.
    pub fn client(&self) -> DirectoryServiceClient<PeerChannel> {
        self.client.clone()
    }

    /// Writes its own entry once more.
    pub async fn write(&mut self) -> anyhow::Result<()> {
        // Another outline of services each time: numbers that mean something change, the size does not.
        self.entry.services = vec![1 + u32::try_from(self.version % 20).unwrap_or(0)];
        let body = statement::Body::Entry(self.entry.clone());
        let signed = self.author.statement(&self.author.id, self.version, body);
        match self.client.propose(request(&signed)).await.map(tonic::Response::into_inner) {
            Ok(answer) if answer.outcome() == Outcome::Accepted => {
                self.version += 1;
                Ok(())
            }
            other => {
                self.look_up().await?;
                bail!("a write was not accepted: {other:?}")
            }
        }
    }

    /// After a write without a good answer: which version is the one to change now.
    async fn look_up(&mut self) -> anyhow::Result<()> {
        let get = GetRequest { authority: self.author.id.clone(), consistency: Consistency::Linearizable.into() };
        let got = self.client.get(get).await?.into_inner();
        self.version = got.member.map_or(self.version, |m| m.version);
        Ok(())
    }
}

/// Admits that many authorities and connects each to one of the stewards in turn.
pub async fn admit(scene: &Scene, count: usize) -> anyhow::Result<Vec<Arc<Mutex<Writer>>>> {
    let federation = scene.cities.strasbourg.status().await?.federation_id;
    let federation = FederationId::from_slice(&federation).context("a federation id")?;
    let mut register = scene.cities.strasbourg.directory().await?;
    let (mut stewards, mut doors) = (Vec::new(), Vec::new());
    for (_, city) in scene.nodes() {
        stewards.push(Author::of(city, federation)?);
        let entry = entry_of(city).await?;
        let pins: Vec<Pin> = entry.pins.iter().filter_map(|p| Pin::from_slice(&p.spki_sha256)).collect();
        doors.push((entry.endpoints.first().context("an endpoint")?.clone(), pins));
    }
    let nobody = stand::view(&[]);
    let (mut writers, mut number) = (Vec::new(), 0);
    for n in 0..count {
        let party = stand::party(&format!("zz-writer-{n}"), None)?;
        let author = Author::new(party.id.to_string(), federation)?;
        let entry = author.entry(&party.identity)?;
        let answer = authors::admit(&mut register, &stewards, &author, &entry).await?;
        number = answer.number.max(number);
        let (endpoint, pins) = &doors[n % doors.len()];
        let client = connect(&party, &nobody, endpoint, pins.clone())?;
        writers.push(Arc::new(Mutex::new(Writer { author, entry, version: 1, client })));
    }
    for (name, city) in scene.nodes() {
        havenlink::demo::acts::until(&format!("{name} knows all writers"), || async {
            Ok((city.status().await?.register_number >= number).then_some(()))
        })
        .await?;
    }
    Ok(writers)
}

fn connect(
    party: &Party,
    nobody: &ViewSource,
    endpoint: &str,
    pins: Vec<Pin>,
) -> anyhow::Result<DirectoryServiceClient<PeerChannel>> {
    Ok(DirectoryServiceClient::new(stand::pool(party, nobody).dial_pinned(endpoint, pins)?))
}
