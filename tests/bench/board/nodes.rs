//! Nodes of one process: each has a store, an exchange with its loops, a listener with the product's guard and handlers, and a key
//! of its own. Their register is a view that is made by hand.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use havenlink::clock::{SharedClock, SystemClock};
use havenlink::domain::authority::KeyRecord;
use havenlink::domain::directory::{DirectoryView, Member};
use havenlink::domain::ids::AuthorityId;
use havenlink::domain::record::StreamClass;
use havenlink::domain::stream::Understands;
use havenlink::exchange::peer_client::PoolLink;
use havenlink::exchange::{Exchange, Keys, Parts, SharedView, Spent};
use havenlink::services::layers::{Connection, Guard, Runtimes};
use havenlink::services::peer::{BatchBudget, Peer};
use havenlink::storage::Store;
use havenlink::storage::sqlite::{Options, SqliteStore};
use havenlink::transport::{
    Connections, JoinGate, Limits, Listener, ListenerParts, PeerInfo, Pool, ViewSource, server_builder,
};
use havenlink::wakeup::Wakeups;
use havenlink::wire::keys::SigningKey;
use havenlink::workers::Workers;
use havenlink_proto::peer::v1::exchange_service_server::ExchangeServiceServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::stand::{self, Party};

/// A node, and what keeps it going.
pub struct Node {
    pub id: AuthorityId,
    pub exchange: Exchange,
    pub pool: Pool,
    /// What stands between it and whoever calls it.
    pub way: Arc<Way>,
    _changes: watch::Sender<u64>,
    _workers: Workers,
}

/// How the way to a node is.
#[derive(Default)]
pub struct Way(AtomicU8);

impl Way {
    const SLOW: u8 = 1;
    const CUT: u8 = 2;

    /// Each answer comes this much later.
    pub const DELAY: Duration = Duration::from_secs(3);

    pub fn slow(&self) {
        self.0.store(Self::SLOW, Ordering::SeqCst);
    }

    /// Connections stand, and nothing comes through.
    pub fn cut(&self) {
        self.0.store(Self::CUT, Ordering::SeqCst);
    }
}

/// A party that is about to run: its name, its listener, and the address under which it is reached.
pub struct Berth {
    party: Party,
    key: Arc<SigningKey>,
    listener: Listener,
    way: Arc<Way>,
}

/// A berth for a node of this name.
pub async fn berth(name: &str) -> anyhow::Result<Berth> {
    let listener = Listener::bind("127.0.0.1:0".parse()?).await?;
    let way = Arc::new(Way::default());
    let reached = between(listener.local_addr(), way.clone()).await?;
    let key = SigningKey::generate().map_err(|_| anyhow::anyhow!("no key"))?;
    let key = Arc::new(SigningKey::from_pkcs8(&key).ok_or_else(|| anyhow::anyhow!("no key"))?);
    Ok(Berth { party: stand::party(name, Some(reached))?, key, listener, way })
}

/// A view in which they are members, each with its own key.
pub fn view(berths: &[Berth]) -> ViewSource {
    let parties: Vec<Party> = berths.iter().map(|berth| berth.party.clone()).collect();
    let source = stand::view(&parties);
    let mut view = DirectoryView::clone(&source.load());
    for berth in berths {
        let Some(member) = view.members.get(&berth.party.id) else { continue };
        let (mut member, key) = (Member::clone(member), berth.key.public());
        member.entry.authority_key = key;
        member.keys = vec![KeyRecord { key, replaced_at: None, compromised: false }];
        view.members.insert(berth.party.id.clone(), Arc::new(member));
    }
    Arc::new(ArcSwap::from_pointee(view))
}

/// Runs a node at its berth.
pub async fn run(berth: Berth, view: &ViewSource, dir: &Path) -> anyhow::Result<Node> {
    let Berth { party, key, listener, way } = berth;
    let clock: SharedClock = SystemClock::shared();
    let now = clock.clone();
    std::fs::create_dir_all(dir)?;
    let options = Options { ballast_bytes: 0, readers: 1, ..Options::new(Arc::new(move || now.now())) };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir, options).await?);
    let connections = Connections::new(view.clone(), clock.clone(), &Limits::default());
    let departures = connections.departures();
    let pool = Pool::new(party.identity.clone(), view.clone(), clock.clone(), connections.clone(), Limits::default());
    let (changes, changed) = watch::channel(1);
    let exchange = Exchange::open(Parts {
        store,
        register: Arc::new(SharedView { source: view.clone(), changes: changed }),
        keys: Keys::new(party.id.clone(), key),
        clock: clock.clone(),
        wakeups: Wakeups::default(),
        link: Arc::new(PoolLink::new(pool.clone())),
        understands: Understands::here(1, &[]),
    })
    .await?;
    let workers = Workers::start(&exchange, departures, &Handle::current());
    let serving = listener.serve(ListenerParts {
        identity: party.identity,
        view: view.clone(),
        clock: clock.clone(),
        connections,
        issued: false,
        gate: JoinGate::closed(),
        limits: Limits::default(),
    })?;
    let peer = Peer {
        road: exchange.road.clone(),
        agreements: exchange.agreements.clone(),
        persons: exchange.persons.clone(),
        capacity: exchange.capacity.clone(),
        batches: Arc::new(Unbounded),
    };
    let guard = guard(view.clone(), clock);
    tokio::spawn(async move {
        let _joins = serving.joins;
        let served = server_builder().layer(guard).add_service(ExchangeServiceServer::new(peer));
        let _ = served.serve_with_incoming(serving.peers).await;
    });
    Ok(Node { id: party.id, exchange, pool, way, _changes: changes, _workers: workers })
}

/// No partner's budget is what is measured.
struct Unbounded;

impl BatchBudget for Unbounded {
    fn take(&self, _: &AuthorityId, _: StreamClass, _: usize) -> Result<(), Duration> {
        Ok(())
    }

    fn take_question(&self, _: &AuthorityId) -> Result<(), Duration> {
        Ok(())
    }

    fn spent(&self, _: &AuthorityId, _: Spent) {}
}

fn guard(view: ViewSource, clock: SharedClock) -> Guard {
    let identify = |extensions: &http::Extensions| {
        let peer = extensions.get::<Arc<PeerInfo>>()?;
        Some(Connection::Peer { pin: peer.pin, vouched: peer.vouched.clone() })
    };
    Guard {
        identify: Arc::new(identify),
        succeeded: Arc::new(|_| {}),
        view,
        now: Arc::new(move || clock.now()),
        budget: Arc::new(|_, _| Ok(())),
        strangers: Arc::new(|_| Ok(())),
        permits: Arc::new(|_| Ok(Box::new(()))),
        runtimes: Runtimes::current(),
        stopping: CancellationToken::new(),
    }
}

/// An address whose connections lead to another one, as the way is then.
async fn between(to: SocketAddr, way: Arc<Way>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            let Ok(onwards) = TcpStream::connect(to).await else { continue };
            let _ = (from.set_nodelay(true), onwards.set_nodelay(true));
            let ((from_there, to_there), (from_here, to_here)) = (onwards.into_split(), from.into_split());
            tokio::spawn(pass(from_here, to_there, way.clone(), Duration::ZERO));
            tokio::spawn(pass(from_there, to_here, way.clone(), Way::DELAY));
        }
    });
    Ok(address)
}

/// Passes on what comes, `late` on a slow way; nothing on one that is cut.
async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, way: Arc<Way>, late: Duration) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        match way.0.load(Ordering::SeqCst) {
            Way::CUT => continue,
            Way::SLOW => tokio::time::sleep(late).await,
            _ => {}
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
