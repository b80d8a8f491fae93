//! The doors of a node: who is at each, and the sockets of the local roles.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use imbl::{HashMap, OrdMap};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::data_dir::WRITTEN_BY_OTHERS;
use super::failure::CommandFailure;
use super::groups::{Groups, spelled};
use super::local_door::LocalDoor;
use super::serve::Serving;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::audit::ActorRole;
use crate::domain::authority::{AuthorityEntry, PinnedKey, PublicKey};
use crate::domain::directory::{DirectoryView, Member, Policy};
use crate::domain::ids::{Digest, FederationId, Hasher};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::services::access::Work;
use crate::services::actor::Codes;
use crate::services::layers::{Actor, Budget, Connection, Guard, Runtimes, StreamPermits};
use crate::transport::{
    Alpn, Connections, JoinGate, Limits, Listener, ListenerParts, LocalInfo, PeerInfo, Strangers, ViewSource, unix,
};

/// Reads who is at the other end from what the listeners put into every request.
fn identify(extensions: &http::Extensions) -> Option<Connection> {
    if let Some(local) = extensions.get::<LocalInfo>() {
        return Some(Connection::Local { role: local.role, actor: Actor::Uid(local.uid) });
    }
    let peer = extensions.get::<Arc<PeerInfo>>()?;
    Some(match peer.alpn {
        Alpn::Peer => Connection::Peer { pin: peer.pin, vouched: peer.vouched.clone() },
        Alpn::Join => Connection::Applicant { pin: peer.pin, address: peer.remote.ip() },
    })
}

/// A successful call keeps an applicant's connection open.
fn succeeded(extensions: &http::Extensions) {
    if let Some(peer) = extensions.get::<Arc<PeerInfo>>() {
        peer.progress.note();
    }
}

/// A guard over this view.
pub fn guard(
    view: ViewSource,
    clock: &SharedClock,
    (budget, permits): (Budget, StreamPermits),
    on: &Runtimes,
    stopping: CancellationToken,
) -> Guard {
    let strangers = Strangers::new(clock.clone());
    let clock = clock.clone();
    Guard {
        identify: Arc::new(identify),
        succeeded: Arc::new(succeeded),
        view,
        now: Arc::new(move || clock.now()),
        budget,
        strangers: Arc::new(move |address| strangers.call(address).map_err(|wait| wait.0)),
        permits,
        runtimes: on.clone(),
        stopping,
    }
}

/// No budget: for local doors, and before there are members.
pub fn no_budget() -> (Budget, StreamPermits) {
    (Arc::new(|_, _| Ok(())), Arc::new(|_| Ok(Box::new(()))))
}

/// A view of no register: before a node has joined.
pub fn empty_view() -> ViewSource {
    Arc::new(ArcSwap::from_pointee(DirectoryView {
        federation: FederationId([0; 32]),
        number: 0,
        head: Digest([0; 32]),
        policy: Policy::default(),
        stewards: Arc::default(),
        members: OrdMap::new(),
        pins: HashMap::new(),
        overlay: OrdMap::new(),
        ..DirectoryView::default()
    }))
}

/// Serves one socket per role of the configuration. The operator's calls run beside the register, all others with the
/// exchange.
///
/// # Errors
/// `ADDRESS_IN_USE` when another node has a socket, `SOCKET_GROUP_REFUSED` when a role's group cannot be set on it.
pub fn local(
    config: &Config,
    serving: &mut Serving,
    guard: &Guard,
    routes: &Routes,
    on: &Runtimes,
) -> Result<(), CommandFailure> {
    make_run_dir(&config.run_dir)?;
    let groups = Groups::of(&config.roles);
    groups.tell();
    for role in &config.roles {
        let handle = if *role == ActorRole::Operator { on.of(Work::Register) } else { on.of(Work::Exchange) };
        let _entered = handle.enter();
        let socket = config.run_dir.join(format!("{}.sock", spelled(*role)));
        let listener = unix::bind(&socket, *role, groups.id(*role))?;
        serving.grpc(handle, listener.serve(), guard.clone(), routes.clone());
    }
    Ok(())
}

/// The local services over mutual TLS: a client's key decides its role, as the configuration says; clients trust the node's
/// local CA.
///
/// # Errors
/// `ADDRESS_IN_USE`, and when the TLS configuration cannot be built.
pub async fn remote(
    config: &Config,
    serving: &mut Serving,
    guard: &Guard,
    routes: &Routes,
    clock: &SharedClock,
    on: &Runtimes,
) -> Result<(), CommandFailure> {
    let Some(address) = config.local_listen.as_option() else { return Ok(()) };
    if config.local_clients.is_empty() {
        return Err(CommandFailure::new(Reason::ConfigInvalid).about("local.listen needs local.clients"));
    }
    make_run_dir(&config.run_dir)?;
    let door = LocalDoor::open(config, *address, clock)?;
    let view = view_of_clients(config);
    let limits = Limits { connections_per_peer: REMOTE_CONNECTIONS, join_connections: 0, ..Limits::default() };
    let connections = Connections::new(view.clone(), clock.clone(), &limits);
    let listener = Listener::bind(*address).await.map_err(|e| CommandFailure::from(e).of_key("local.listen"))?;
    let handle = on.of(Work::Exchange);
    let _entered = handle.enter();
    let parts = ListenerParts {
        identity: door.identity.clone(),
        view,
        clock: clock.clone(),
        connections,
        gate: JoinGate::closed(),
        limits,
        issued: false,
    };
    let served = listener.serve(parts)?;
    let roles = config.local_clients.clone();
    let by_key = move |extensions: &http::Extensions| {
        let pin = extensions.get::<Arc<PeerInfo>>()?.pin;
        roles.get(&pin).map(|role| Connection::Local { role: *role, actor: Actor::Key(pin) })
    };
    let guard = Guard { identify: Arc::new(by_key), ..guard.clone() };
    serving.grpc(handle, served.peers, guard, routes.clone());
    serving.until_stop(door.keep(clock.clone()));
    Ok(())
}

/// Connections of all remote clients together.
const REMOTE_CONNECTIONS: usize = 64;

/// The configured clients as the pins of one entry: the listener's exact-pin verifier then admits them and nobody else.
fn view_of_clients(config: &Config) -> ViewSource {
    let view = DirectoryView::clone(&empty_view().load());
    let pins = config.local_clients.keys();
    let entry = AuthorityEntry {
        authority: config.authority.clone(),
        kind: config.kind,
        names: Vec::new(),
        identifiers: Vec::new(),
        authority_key: PublicKey([0; 44]),
        endpoints: Vec::new(),
        pins: pins
            .clone()
            .map(|pin| PinnedKey { pin: *pin, valid_until: UnixMs::NEVER, proof: Default::default() })
            .collect(),
        contacts: Vec::new(),
        hosted_by: None,
        networks: Vec::new(),
        services: Vec::new(),
        corridor: Default::default(),
        raft_id: 0,
    };
    let member =
        Member { entry, version: 1, status_version: 1, keys: Vec::new(), suspended_until: None, removed_at: None };
    Arc::new(ArcSwap::from_pointee(DirectoryView {
        members: OrdMap::unit(config.authority.clone(), Arc::new(member)),
        pins: pins.map(|pin| (*pin, config.authority.clone())).collect(),
        ..view
    }))
}

/// The directory of the sockets: made where there is none.
///
/// # Errors
/// `RUN_DIR_UNUSABLE` when it can be neither made nor entered; `OPEN_TO_OTHERS` when somebody else could put sockets there.
pub fn make_run_dir(path: &Path) -> Result<(), CommandFailure> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|e| {
        CommandFailure::new(Reason::RunDirUnusable).fact("directory", path.display().to_string()).cause(&e)
    })?;
    // Whoever can write there, or owns what a link leads to, could put a socket of its own in place of a role's.
    let found = std::fs::symlink_metadata(path).map_err(|e| CommandFailure::file(path, &e))?;
    let refused = || CommandFailure::new(Reason::OpenToOthers).fact("file", path.display().to_string());
    if found.is_symlink() {
        return Err(refused().remedy(format!("rm {}, then start again: the node makes the directory", path.display())));
    }
    if found.permissions().mode() & WRITTEN_BY_OTHERS != 0 {
        return Err(refused().remedy(format!("chmod 755 {}", path.display())));
    }
    Ok(())
}

/// Codes of local actors under a salt that follows from the authority's key and tells nothing of it.
///
/// # Errors
/// When the key cannot be read.
pub fn codes(dir: &Path) -> Result<Codes, CommandFailure> {
    let path = dir.join("authority.key");
    let key = zeroize::Zeroizing::new(std::fs::read(&path).map_err(|e| CommandFailure::file(&path, &e))?);
    let mut hash = Hasher::new();
    hash.update(b"havenlink/actor-salt/v1\0");
    hash.update(&key);
    Ok(Codes::new(hash.finish().0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MovedClock;
    use crate::domain::time::Millis;

    #[tokio::test]
    async fn the_guard_of_the_peer_port_counts_strangers_by_their_address() {
        let moved = MovedClock::new();
        let clock: SharedClock = moved.clone();
        let stopping = CancellationToken::new();
        let guard = guard(empty_view(), &clock, no_budget(), &Runtimes::current(), stopping);
        let knocks = |address: [u8; 4]| (0..1_000).take_while(|_| (guard.strangers)(address.into()).is_ok()).count();
        let first = knocks([192, 0, 2, 1]);
        assert!((1..100).contains(&first), "{first} of a thousand at once");
        assert!((guard.strangers)([192, 0, 2, 1].into()).unwrap_err() > std::time::Duration::ZERO);
        assert!(knocks([192, 0, 2, 2]) > 0, "another address has its own");
        moved.advance(Millis::seconds(10));
        assert!(knocks([192, 0, 2, 1]) > 0, "and time gives it back");
    }
}
