//! The peer port as a partner's node, or a stranger, reaches it: with a city's own certificate, with another one, with none.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use havenlink::clock::{SharedClock, SystemClock};
use havenlink::demo::city::City;
use havenlink::domain::ids::{AuthorityId, Pin};
use havenlink::domain::time::Millis;
use havenlink::transport::certificate::Generated;
use havenlink::transport::{Connections, Limits, NodeIdentity, PeerChannel, Pool};
use havenlink::wire::keys::SigningKey;
use havenlink_proto::directory::v1::{AuthorityEntry, Consistency, GetRequest};

use crate::intruder::nobody;

/// An authority's entry in the register, as one city's node holds it.
///
/// # Errors
/// When it is not there.
pub async fn entry_of(asked: &City, authority: &str) -> anyhow::Result<AuthorityEntry> {
    let request = GetRequest { authority: authority.to_owned(), consistency: Consistency::Local.into() };
    let got = asked.directory().await?.get(request).await?.into_inner();
    got.member.and_then(|m| m.entry).with_context(|| format!("{authority} is not in the register"))
}

/// The pins of an entry.
pub fn pins_of(entry: &AuthorityEntry) -> Vec<Pin> {
    entry.pins.iter().filter_map(|p| Pin::from_slice(&p.spki_sha256)).collect()
}

/// The address at which a city's node hears its peers.
///
/// # Errors
/// When its entry names none.
pub async fn address_of(city: &City) -> anyhow::Result<SocketAddr> {
    let entry = entry_of(city, city.id()).await?;
    Ok(entry.endpoints.first().context("an endpoint")?.parse()?)
}

/// A channel to `to`, with this identity, as a node would make it.
///
/// # Errors
/// When `to` is not in the register that it holds.
pub async fn dial(identity: NodeIdentity, to: &City) -> anyhow::Result<PeerChannel> {
    let entry = entry_of(to, to.id()).await?;
    let endpoint = entry.endpoints.first().context("an endpoint")?;
    Ok(pool(identity).dial_pinned(endpoint, pins_of(&entry))?)
}

fn pool(identity: NodeIdentity) -> Pool {
    let (nobody, clock) = (Arc::new(ArcSwap::from_pointee(nobody())), SystemClock::shared());
    let connections = Connections::new(nobody.clone(), clock.clone(), &Limits::default());
    Pool::new(identity, nobody, clock, connections, Limits::default())
}

/// A channel to `to`'s door for applicants, which is open while an invitation is.
///
/// # Errors
/// As `dial`.
pub async fn knock(identity: NodeIdentity, to: &City) -> anyhow::Result<PeerChannel> {
    let entry = entry_of(to, to.id()).await?;
    let endpoint = entry.endpoints.first().context("an endpoint")?;
    Ok(pool(identity).join_channel(endpoint, pins_of(&entry))?.channel)
}

/// A channel from one city to another with the first one's own certificate: what its node could do, the test can.
///
/// # Errors
/// As `dial`.
pub async fn as_city(from: &City, to: &City) -> anyhow::Result<PeerChannel> {
    dial(NodeIdentity::load(&from.dir.join("data"))?, to).await
}

/// A fresh key and certificate in an authority's name; nobody published its pin.
///
/// # Errors
/// When the system gives no randomness.
pub fn self_issued(authority: &str, life: Millis) -> anyhow::Result<Generated> {
    let id = AuthorityId::parse(authority).context("an id")?;
    let clock: SharedClock = SystemClock::shared();
    Ok(NodeIdentity::generate(&id, clock.now() - Millis::hours(1), life)?)
}

/// The key with which a city signs: whoever holds its disk holds it.
///
/// # Errors
/// When it is not there.
pub fn authority_key(city: &City) -> anyhow::Result<SigningKey> {
    SigningKey::from_pkcs8(&std::fs::read(city.dir.join("data/authority.key"))?).context("a key")
}
