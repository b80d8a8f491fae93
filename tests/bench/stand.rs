//! A bench stand: TLS identities and a register view made by hand, so that the ceilings run over the node's own transport.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use havenlink::clock::{SharedClock, SystemClock};
use havenlink::domain::authority::{AuthorityEntry, KeyRecord, ParticipantKind, PinnedKey, PublicKey};
use havenlink::domain::directory::{DirectoryView, Member, Policy, Steward};
use havenlink::domain::ids::{AuthorityId, Digest, FederationId, Pin};
use havenlink::domain::time::{Millis, UnixMs};
use havenlink::transport::{Connections, Limits, NodeIdentity, Pool, ViewSource};

/// One party of the stand.
#[derive(Clone)]
pub struct Party {
    pub id: AuthorityId,
    pub identity: NodeIdentity,
    pub endpoint: String,
}

/// A party with a fresh TLS key.
pub fn party(name: &str, endpoint: Option<SocketAddr>) -> anyhow::Result<Party> {
    let id = AuthorityId::parse(name).ok_or_else(|| anyhow::anyhow!("bad id"))?;
    let made = NodeIdentity::generate(&id, SystemClock::shared().now() - Millis::hours(1), Millis::days(30))?;
    let identity = NodeIdentity::from_der(&made.key, &made.certificate.der)?;
    Ok(Party { id, identity, endpoint: endpoint.map(|e| e.to_string()).unwrap_or_default() })
}

/// A view in which these parties are members.
pub fn view(parties: &[Party]) -> ViewSource {
    let mut members = imbl::OrdMap::new();
    let mut pins = imbl::HashMap::new();
    for (i, party) in parties.iter().enumerate() {
        let mut key = [0_u8; 44];
        key[..12].copy_from_slice(&PublicKey::PREFIX);
        key[12] = u8::try_from(i).unwrap_or(0);
        pins.insert(party.identity.pin(), party.id.clone());
        members.insert(party.id.clone(), Arc::new(member(party, PublicKey(key), party.identity.pin())));
    }
    Arc::new(ArcSwap::from_pointee(DirectoryView {
        federation: FederationId([1; 32]),
        number: 1,
        head: Digest([1; 32]),
        policy: Policy::default(),
        stewards: Arc::new(Vec::<Steward>::new()),
        members,
        pins,
        majority_beat: Some(UnixMs::NEVER),
        ..DirectoryView::default()
    }))
}

fn member(party: &Party, key: PublicKey, pin: Pin) -> Member {
    Member {
        entry: AuthorityEntry {
            authority: party.id.clone(),
            kind: ParticipantKind::LocalAuthority,
            names: Vec::new(),
            identifiers: Vec::new(),
            authority_key: key,
            endpoints: if party.endpoint.is_empty() { Vec::new() } else { vec![party.endpoint.clone()] },
            pins: vec![PinnedKey { pin, valid_until: UnixMs::NEVER, proof: Default::default() }],
            contacts: Vec::new(),
            hosted_by: None,
            networks: Vec::new(),
            services: Vec::new(),
            corridor: Default::default(),
            raft_id: 0,
        },
        version: 1,
        status_version: 0,
        keys: vec![KeyRecord { key, replaced_at: None, compromised: false }],
        suspended_until: None,
        removed_at: None,
    }
}

/// A pool that dials as this party.
pub fn pool(party: &Party, view: &ViewSource) -> Pool {
    let clock: SharedClock = SystemClock::shared();
    let connections = Connections::new(view.clone(), clock.clone(), &Limits::default());
    Pool::new(party.identity.clone(), view.clone(), clock, connections, Limits::default())
}
