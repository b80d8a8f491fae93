//! A running member: every part, in the order in which it is built, and in reverse its end.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use super::budgets::{self, PartnerBudgets};
use super::contacts;
use super::data_dir::DataDir;
use super::doctor::Care;
use super::entry;
use super::failure::CommandFailure;
use super::following::{MOMENT, count_refused, follow_gate, follow_readiness, register_now};
use super::given::{self, Contacting};
use super::journal;
use super::listeners;
use super::recovery;
use super::renewal::Renewal;
use super::reread::Changeable;
use super::rotation::{self, Rotation};
use super::serve::Serving;
use super::webhook::Webhook;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::directory::state::KNOWN_RULES;
use crate::directory::{Directory, Opening};
use crate::domain::reason::Reason;
use crate::domain::stream::Understands;
use crate::exchange::governance::Governance;
use crate::exchange::join::{Applicant, Inviter};
use crate::exchange::peer_client::PoolLink;
use crate::exchange::{Exchange, Keys, Parts, SharedView};
use crate::services::access::Work;
use crate::services::actor::Codes;
use crate::services::admin::gauges;
use crate::services::admin::node::StatusSource;
use crate::services::admin::status::MemberNode;
use crate::services::layers::{Now, Runtimes};
use crate::services::{self, http, routes};
use crate::storage::sqlite::{Options, SqliteStore};
use crate::storage::{Store, backup, identity};
use crate::telemetry::journal::{Entry, Event};
use crate::transport::{self, Connections, JoinGate, NodeIdentity, Pool};
use crate::wakeup::Wakeups;
use crate::workers::Workers;

/// A node that is a member of a federation.
pub struct RunningMember {
    directory: Directory,
    exchange: Exchange,
    store: Arc<dyn Store>,
    connections: Connections,
    workers: Workers,
    serving: Serving,
    readiness: watch::Receiver<Option<Reason>>,
    address: SocketAddr,
    drain: std::time::Duration,
    changeable: Changeable,
    _data: DataDir,
}

/// The parts that handlers are made from.
struct Rooms {
    config: Config,
    clock: SharedClock,
    directory: Directory,
    exchange: Exchange,
    governance: Governance,
    rotation: Rotation,
    inviter: Inviter,
    identity: NodeIdentity,
    keys: Keys,
    codes: Codes,
    address: SocketAddr,
    data_dir: std::path::PathBuf,
    health: HealthReporter,
    renewing: Arc<tokio::sync::Mutex<()>>,
    rotated: Arc<tokio::sync::Notify>,
    contacting: Contacting,
    webhook: Option<Webhook>,
}

impl RunningMember {
    /// Starts. `joined`: the application that was just approved, whose register is not on disk yet.
    ///
    /// # Errors
    /// The first part that cannot start; those started before it are ended.
    pub async fn start(
        config: Config,
        data: DataDir,
        clock: SharedClock,
        on: &Runtimes,
        joined: Option<Applicant>,
    ) -> Result<Self, CommandFailure> {
        let dir = data.path().to_owned();
        let webhook = Webhook::of(&config, &clock)?;
        crate::storage::sqlite::make_room_to_start(&dir);
        let mut key = Arc::new(data.authority_key()?);
        let identity = NodeIdentity::load(&dir)?;
        let genesis = joined.as_ref().map(|applicant| applicant.joined().genesis);
        if let Some(genesis) = &genesis {
            super::genesis::keep(&dir, genesis)?;
        }
        let contacts = joined.as_ref().map_or_else(|| contacts::read(&dir), |a| vec![a.joined().into()]);
        let opening = Opening {
            data_dir: dir.clone(),
            authority: config.authority.clone(),
            key: key.clone(),
            clock: clock.clone(),
            genesis,
        };
        let opened = tokio::task::spawn_blocking(move || Directory::open(opening)).await;
        let directory = opened.map_err(|_| CommandFailure::new(Reason::Internal))??;
        let view = directory.source();
        let finished = rotation::finish(&dir, &config.authority, &key, &directory.view(), clock.now());
        if finished.map_err(|e| CommandFailure::file(&dir, &e))? {
            key = Arc::new(data.authority_key()?);
            directory.set_key(key.clone());
        }

        let limits = transport::Limits::default();
        let connections = Connections::new(view.clone(), clock.clone(), &limits);
        let pool = Pool::new(identity.clone(), view.clone(), clock.clone(), connections.clone(), limits.clone());
        pool.given().set(given::read(&dir));
        let listener = transport::Listener::bind(config.listen).await;
        let listener = listener.map_err(|e| CommandFailure::from(e).of_key("listen"))?;
        let address = listener.local_addr();

        let store = open_store(&dir, &clock, on).await?;
        identity::claim(store.as_ref(), &config.authority, &directory.view().federation).await?;
        let keys = Keys::new(config.authority.clone(), key);
        let exchange = Exchange::open(Parts {
            store: store.clone(),
            register: Arc::new(SharedView { source: view.clone(), changes: directory.changes() }),
            keys: keys.clone(),
            clock: clock.clone(),
            wakeups: Wakeups::default(),
            link: Arc::new(PoolLink::new(pool.clone())),
            understands: Understands::here(KNOWN_RULES, &config.not_taken),
        });
        let exchange = exchange.await.map_err(|e| CommandFailure::new(e.reason()).cause(&e))?;

        let (authority, own) = (config.authority.clone(), keys.clone());
        let home = config.authority.clone();
        let key = move || own.of(&home).expect("the node's own key is never taken away");
        let governance =
            Governance::new(authority.clone(), key.clone(), directory.clone(), store.clone(), clock.clone());
        let inviter = Inviter::new(authority, key, store.clone(), Arc::new(governance.clone()), clock.clone());
        inviter.refresh_gate().await.map_err(|e| CommandFailure::new(e.reason()).cause(&e))?;

        let rotated = Arc::<tokio::sync::Notify>::default();
        let contacting = Contacting {
            directory: directory.clone(),
            pool: pool.clone(),
            data_dir: dir.clone(),
            changing: Arc::default(),
        };
        let rooms = Rooms {
            codes: listeners::codes(&dir)?,
            clock: clock.clone(),
            directory: directory.clone(),
            exchange: exchange.clone(),
            rotation: Rotation {
                authority: config.authority.clone(),
                data_dir: dir.clone(),
                keys: keys.clone(),
                directory: directory.clone(),
                governance: governance.clone(),
                moving: Arc::default(),
                ordering: Arc::default(),
                clock: clock.clone(),
                rotated: rotated.clone(),
            },
            governance,
            inviter: inviter.clone(),
            identity: identity.clone(),
            keys,
            address,
            data_dir: dir,
            config: config.clone(),
            health: HealthReporter::new(),
            renewing: Arc::default(),
            rotated,
            contacting,
            webhook,
        };
        // Before anybody is dialled or answered: it may have ended, or be of a key that is gone.
        rooms.renewal().issue();
        let mut serving = Serving::new();
        let gate = JoinGate::closed();
        gate.set(inviter.gate().borrow().clone());
        let door = transport::ListenerParts {
            identity,
            view: view.clone(),
            clock: clock.clone(),
            gate: gate.clone(),
            connections: connections.clone(),
            limits,
            issued: true,
        };
        let budgets = PartnerBudgets::new(&config, &clock);
        let changeable =
            Changeable { budgets, renewal: rooms.renewal(), directory: directory.clone(), pool: pool.clone() };
        let (ready, readiness) = watch::channel(Some(Reason::NodeStarting));
        rooms.local_doors(&mut serving, on).await?;
        rooms.http_door(&mut serving, readiness.clone()).await?;
        // Nothing that partners or the register bring about is told before it.
        Entry { version: Some(env!("CARGO_PKG_VERSION")), ..Entry::about(Event::NodeRuns, &config.authority) }.tell();
        rooms.peer_door(&mut serving, listener, door, &changeable.budgets, on)?;
        rooms.followers(&mut serving, inviter, gate, connections.clone(), ready, joined);

        {
            let _entered = on.register.enter();
            directory.start(Arc::new(pool.clone()));
        }
        serving.until_stop(contacts::find(directory.clone(), pool, rooms.data_dir.clone(), contacts));
        let workers = Workers::start(&exchange, connections.departures(), &on.exchange);
        let drain = config.shutdown_drain.to_duration();
        Ok(Self {
            directory,
            exchange,
            store,
            connections,
            workers,
            serving,
            readiness,
            address,
            drain,
            changeable,
            _data: data,
        })
    }

    /// Of the only steward: its operator knows its clock to be right, whatever members' clocks show.
    pub fn clock_is_right(&self) {
        self.directory.clock_is_right();
    }

    /// Where partners' nodes are heard.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What keeps the node from being ready; `None`: nothing.
    pub fn readiness(&self) -> watch::Receiver<Option<Reason>> {
        self.readiness.clone()
    }

    /// What takes something new while the node runs.
    pub(super) fn changeable(&self) -> &Changeable {
        &self.changeable
    }

    /// What renews the certificate: a test with a clock of its own says when to look.
    #[cfg(test)]
    pub(super) fn renewal(&self) -> &Renewal {
        &self.changeable.renewal
    }

    /// The register of this node.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The exchange of this node.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Ends: no new calls, running ones finish within the drain, then loops, connections, register and store.
    pub async fn stop(self) {
        if !self.serving.stop(self.drain).await {
            tracing::warn!("calls were still running when the drain ended");
        }
        self.workers.stop().await;
        self.connections.abort_all();
        self.directory.shutdown().await;
        self.store.close().await;
    }
}

async fn open_store(
    dir: &std::path::Path,
    clock: &SharedClock,
    on: &Runtimes,
) -> Result<Arc<dyn Store>, CommandFailure> {
    let (dir, clock) = (dir.to_owned(), clock.clone());
    let options = Options::new(Arc::new(move || clock.now()));
    // The readers' pool belongs to the runtime of those who read most.
    let opened = on.exchange.spawn(async move { SqliteStore::open(&dir, options).await }).await;
    let store = opened.map_err(|_| CommandFailure::new(Reason::Internal))??;
    Ok(Arc::new(store))
}

impl Rooms {
    fn now(&self) -> Now {
        let clock = self.clock.clone();
        Arc::new(move || clock.now())
    }

    /// The peer port: members, and while an invitation is open applicants.
    fn peer_door(
        &self,
        serving: &mut Serving,
        listener: transport::Listener,
        door: transport::ListenerParts,
        budgets: &PartnerBudgets,
        on: &Runtimes,
    ) -> Result<(), CommandFailure> {
        let (budget, permits, batches) = budgets.doors(self.directory.source());
        let connections = door.connections.clone();
        let budget = budgets::ending(budget, self.clock.clone(), move |peer| connections.abort_incoming(peer));
        let guard = listeners::guard(self.directory.source(), &self.clock, (budget, permits), on, serving.stopping());
        let handle = on.of(Work::Register);
        let _entered = handle.enter();
        let served = listener.serve(door)?;
        serving.until_stop(count_refused(served.refused.clone()));
        let (road, agreements) = (self.exchange.road.clone(), self.exchange.agreements.clone());
        let (persons, capacity) = (self.exchange.persons.clone(), self.exchange.capacity.clone());
        let peer = services::peer::Peer { road, agreements, persons, capacity, batches };
        serving.grpc(
            handle,
            served.peers,
            guard.clone(),
            routes::peer(peer, &self.directory, self.now(), self.health.clone()),
        );
        serving.grpc(handle, served.joins, guard, routes::join(self.inviter.clone()));
        Ok(())
    }

    fn renewal(&self) -> Renewal {
        Renewal {
            authority: self.config.authority.clone(),
            data_dir: self.data_dir.clone(),
            identity: self.identity.clone(),
            governance: self.governance.clone(),
            clock: self.clock.clone(),
            inviter: self.inviter.clone(),
            renewing: self.renewing.clone(),
            keys: self.keys.clone(),
            rotated: self.rotated.clone(),
        }
    }

    async fn local_doors(&self, serving: &mut Serving, on: &Runtimes) -> Result<(), CommandFailure> {
        let view = self.directory.source();
        let guard = listeners::guard(view, &self.clock, listeners::no_budget(), on, serving.stopping());
        let status = Arc::new(self.member_node());
        serving.until_stop(gauges::keep(Arc::clone(&status) as Arc<dyn StatusSource>));
        let routes = self.local_routes(status);
        listeners::remote(&self.config, serving, &guard, &routes, &self.clock, on).await?;
        listeners::local(&self.config, serving, &guard, &routes, on)
    }

    fn member_node(&self) -> MemberNode {
        let (directory, data_dir) = (self.directory.clone(), self.data_dir.clone());
        let identity = self.identity.clone();
        MemberNode {
            authority: self.config.authority.clone(),
            register: Arc::new(move || register_now(&directory)),
            governance: self.governance.clone(),
            inviter: self.inviter.clone(),
            exchange: self.exchange.clone(),
            certificate_expires: Arc::new(move || identity.certificate().not_after),
            peer_address: self.address.to_string(),
            last_backup: Arc::new(move || {
                [backup::LAST_BACKUP, backup::LAST_SEALED].map(|file| backup::last(&data_dir, file))
            }),
            now: self.now(),
        }
    }

    fn local_routes(&self, status: Arc<MemberNode>) -> Routes {
        let care = Care {
            renewal: self.renewal(),
            directory: self.directory.clone(),
            exchange: self.exchange.clone(),
            inviter: self.inviter.clone(),
            contacting: self.contacting.clone(),
            configured: entry::configured(&self.config),
            roles: self.config.roles.clone(),
            webhook: self.webhook.clone(),
        };
        routes::local(routes::Local {
            exchange: self.exchange.clone(),
            directory: self.directory.clone(),
            governance: self.governance.clone(),
            inviter: self.inviter.clone(),
            rotation: Arc::new(self.rotation.clone()),
            status,
            upkeep: Arc::new(care),
            codes: self.codes.clone(),
            now: self.now(),
            configured: entry::configured(&self.config),
            health: self.health.clone(),
        })
    }

    /// What follows changes: the gate of joining, connections, what is held, readiness, the certificate.
    fn followers(
        &self,
        serving: &mut Serving,
        inviter: Inviter,
        gate: JoinGate,
        connections: Connections,
        ready: watch::Sender<Option<Reason>>,
        joined: Option<Applicant>,
    ) {
        serving.until_stop(follow_gate(inviter, gate, connections.clone()));
        serving.until_stop(connections.clone().follow(self.directory.changes()));
        let (directory, wakeups) = (self.directory.clone(), self.exchange.wakeups().clone());
        serving.until_stop(async move {
            let mut changes = directory.changes();
            while changes.changed().await.is_ok() {
                wakeups.wake_upkeep();
                tokio::time::sleep(MOMENT).await;
            }
        });
        serving.until_stop(contacts::keep(self.directory.clone(), self.data_dir.clone()));
        serving.until_stop(given::keep(self.contacting.clone()));
        serving.until_stop(journal::keep(self.directory.clone(), self.now(), self.data_dir.clone()));
        let (directory, keys, dir) = (self.directory.clone(), self.keys.clone(), self.data_dir.clone());
        serving.until_stop(recovery::follow(directory, keys, dir));
        serving.until_stop(self.rotation.clone().follow());
        serving.until_stop(self.governance.clone().order_emergencies());
        if let Some(webhook) = self.webhook.clone() {
            serving.until_stop(webhook.follow(self.exchange.wakeups().inbox(), self.data_dir.clone()));
        }
        let (directory, now) = (self.directory.clone(), self.now());
        serving.until_stop(follow_readiness(directory, now, connections, ready, self.health.clone(), joined));
        serving.until_stop(self.renewal().keep());
    }

    /// Readiness and figures for whoever watches this machine.
    async fn http_door(
        &self,
        serving: &mut Serving,
        readiness: watch::Receiver<Option<Reason>>,
    ) -> Result<(), CommandFailure> {
        if let Some(address) = self.config.http.as_option() {
            if !address.ip().is_loopback() {
                return Err(CommandFailure::new(Reason::ConfigInvalid).about("http must be a loopback address"));
            }
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|e| CommandFailure::taken(*address, &e).of_key("http"))?;
            let stopping = serving.stopping();
            serving.task(async move {
                if let Err(error) = http::serve(listener, readiness, stopping.cancelled_owned()).await {
                    tracing::error!(cause = %error, "the loopback listener ended");
                }
            });
        }
        Ok(())
    }
}
