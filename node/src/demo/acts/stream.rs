//! A stream from one city's node to another's, opened with the city's own certificate over the peer port.

use std::sync::Arc;

use arc_swap::ArcSwap;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::directory::v1::{Consistency, FollowRequest, FollowResponse, GetRequest};
use tonic::Streaming;

use crate::clock::SystemClock;
use crate::demo::city::City;
use crate::domain::directory::{DirectoryView, Policy};
use crate::domain::ids::{Digest, FederationId, Pin};
use crate::transport::{Connections, Limits, NodeIdentity, Pool};

/// Follows the register at `to` as the node of `from` would.
///
/// # Errors
/// When the register does not list `to`, or the connection is refused.
pub async fn open(from: &City, to: &City) -> anyhow::Result<Streaming<FollowResponse>> {
    let get = GetRequest { authority: to.id().to_owned(), consistency: Consistency::Local.into() };
    let got = from.directory().await?.get(get).await?.into_inner();
    let entry =
        got.member.and_then(|m| m.entry).ok_or_else(|| anyhow::anyhow!("{} is not in the register", to.id()))?;
    let pins: Vec<Pin> = entry.pins.iter().filter_map(|p| Pin::from_slice(&p.spki_sha256)).collect();
    let endpoint = entry.endpoints.first().ok_or_else(|| anyhow::anyhow!("{} has no endpoint", to.id()))?;
    let identity = NodeIdentity::load(&from.dir.join("data"))?;
    let clock = SystemClock::shared();
    let nobody = Arc::new(ArcSwap::from_pointee(empty_view()));
    let connections = Connections::new(nobody.clone(), clock.clone(), &Limits::default());
    let channel = Pool::new(identity, nobody, clock, connections, Limits::default()).dial_pinned(endpoint, pins)?;
    let follow = FollowRequest { number: got.number, head: got.head, founding: 0 };
    let mut request = tonic::Request::new(follow);
    request.set_timeout(std::time::Duration::from_secs(3600));
    Ok(DirectoryServiceClient::new(channel).follow(request).await?.into_inner())
}

/// Reads until the stream is over, whichever way.
pub async fn ended(stream: &mut Streaming<FollowResponse>) {
    while let Ok(Some(_)) = stream.message().await {}
}

fn empty_view() -> DirectoryView {
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
