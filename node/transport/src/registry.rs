//! Every live connection, by authority: what suspension closes (9.6).
//!
//! A maximum connection age does not end open streams, so ending is done here, on the socket. Each connection carries the
//! status under which it was last judged: one that got worse since then ends it, once; a suspended steward may come
//! back for Raft and the register (9.4), and is judged per request there. A removed authority's connections to us end
//! whenever they are seen, and so does every connection under a pin that is no longer listed, unless its authority's current key
//! vouches for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::sync::{broadcast, watch};

use super::connection::Progress;
use super::given::GivenContacts;
use super::known_addresses::KnownAddresses;
use super::pending::grouped;
use super::settings::Limits;
use super::successors::Successors;
use super::{Alpn, PeerInfo, ViewSource, verify};
use crate::clock::SharedClock;
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::issued::Vouched;
use crate::domain::time::UnixMs;
use havenlink_runtime::telemetry::journal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer, to us.
    In,
    /// We, to the peer.
    Out,
}

/// Connections of one authority, without those that are being ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub incoming: usize,
    pub outgoing: usize,
}

/// The registry. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    view: ViewSource,
    clock: SharedClock,
    per_peer: usize,
    joins: usize,
    join_grace: Duration,
    live: Mutex<Live>,
    arrivals: broadcast::Sender<AuthorityId>,
    departures: broadcast::Sender<AuthorityId>,
    successors: Successors,
    given: GivenContacts,
    known: KnownAddresses,
}

#[derive(Default)]
struct Live {
    last: u64,
    all: BTreeMap<u64, Entry>,
}

struct Entry {
    authority: Option<AuthorityId>,
    direction: Direction,
    alpn: Alpn,
    pin: Pin,
    vouched: Option<Vouched>,
    remote: SocketAddr,
    /// The configured endpoint that we dialled.
    endpoint: Option<String>,
    judged: MemberStatus,
    stop: Arc<Stop>,
    progress: Arc<Progress>,
    since: Instant,
}

#[derive(Default)]
struct Stop {
    aborted: AtomicBool,
    waker: AtomicWaker,
}

impl Stop {
    fn abort(&self) -> bool {
        let first = !self.aborted.swap(true, Ordering::AcqRel);
        self.waker.wake();
        first
    }
}

/// A connection's place in the registry; gives it back when dropped.
pub(super) struct Lease {
    id: u64,
    stop: Arc<Stop>,
    registry: Arc<Inner>,
}

impl Lease {
    pub(super) fn is_aborted(&self) -> bool {
        self.stop.aborted.load(Ordering::Acquire)
    }

    pub(super) fn wake_on_abort(&self, waker: &Waker) {
        self.stop.waker.register(waker);
    }

    pub(super) fn aborter(&self) -> impl FnOnce() + Send + 'static {
        let stop = Arc::downgrade(&self.stop);
        move || {
            if let Some(stop) = stop.upgrade() {
                stop.abort();
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let entry = self.registry.live().all.remove(&self.id);
        if let Some(authority) = entry.and_then(|entry| entry.authority) {
            // Nobody listening is fine.
            let _ = self.registry.departures.send(authority);
        }
    }
}

impl Live {
    /// Ends the oldest join connection without progress whose address holds two more than the newcomer's, or that has
    /// had its time of grace.
    fn make_room(&self, newcomer: &PeerInfo, grace: Duration) -> bool {
        let joins =
            || self.all.values().filter(|e| e.alpn == Alpn::Join && e.direction == Direction::In && e.is_open());
        let held = |address| joins().filter(|e| grouped(e.remote.ip()) == address).count();
        let here = held(grouped(newcomer.remote.ip()));
        let idle = joins().filter(|e| !e.progress.made());
        let mut greedy = idle.filter(|e| held(grouped(e.remote.ip())) >= here + 2 || e.since.elapsed() >= grace);
        greedy.next().is_some_and(|entry| entry.stop.abort())
    }
}

impl Inner {
    // Nothing panics while the lock is held; a poisoned map is still a map.
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// An empty registry that judges by this view.
    pub fn new(view: ViewSource, clock: SharedClock, limits: &Limits) -> Self {
        let (per_peer, joins) = (limits.connections_per_peer, limits.join_connections);
        let (arrivals, departures) = (broadcast::Sender::new(256), broadcast::Sender::new(256));
        let (join_grace, live) = (limits.join_grace, Mutex::default());
        let (successors, given, known) = (Successors::default(), GivenContacts::default(), KnownAddresses::default());
        Self(Arc::new(Inner {
            view,
            clock,
            per_peer,
            joins,
            join_grace,
            live,
            arrivals,
            departures,
            successors,
            given,
            known,
        }))
    }

    /// Enters a connection that finished its handshake; `None` when the peer has as many as it may. Applicants share
    /// theirs: one that comes to a full door takes the place of a stranger who holds more of it, or only holds it.
    pub(super) fn enter(&self, info: &PeerInfo, direction: Direction, endpoint: Option<String>) -> Option<Lease> {
        let stop = Arc::<Stop>::default();
        let mut live = self.0.live();
        if direction == Direction::In {
            let same = |e: &&Entry| {
                e.direction == Direction::In && e.is_open() && e.alpn == info.alpn && e.authority == info.authority
            };
            let limit = if info.alpn == Alpn::Join { self.0.joins } else { self.0.per_peer };
            let full = live.all.values().filter(same).count() >= limit;
            if full && !(info.alpn == Alpn::Join && live.make_room(info, self.0.join_grace)) {
                return None;
            }
        }
        live.last += 1;
        let id = live.last;
        // The handshake may have been judged by an older view: judge again, now that abort can find the connection.
        let now = self.0.clock.now();
        let view = self.0.view.load();
        let mut entry = Entry {
            authority: info.authority.clone(),
            direction,
            alpn: info.alpn,
            pin: info.pin,
            vouched: info.vouched.clone(),
            remote: info.remote,
            endpoint,
            judged: MemberStatus::Active,
            stop: stop.clone(),
            progress: info.progress.clone(),
            since: Instant::now(),
        };
        if let Some(authority) = &info.authority {
            entry.judged = view.status(authority, now);
        }
        if entry.must_end(&view, &self.0, now) {
            entry.stop.abort();
        }
        live.all.insert(id, entry);
        drop(live);
        if let Some(authority) = &info.authority {
            // Nobody listening is fine.
            let _ = self.0.arrivals.send(authority.clone());
        }
        Some(Lease { id, stop, registry: self.0.clone() })
    }

    /// Ends every connection of the authority, in and out, with all that runs on them. Tells how many it ended.
    pub fn abort(&self, authority: &AuthorityId) -> usize {
        self.abort_where(|e| e.authority.as_ref() == Some(authority))
    }

    /// Ends those that the authority opened; what this node has to say to it goes on.
    pub fn abort_incoming(&self, authority: &AuthorityId) -> usize {
        self.abort_where(|e| e.authority.as_ref() == Some(authority) && e.direction == Direction::In)
    }

    /// Ends every connection of applicants.
    pub fn abort_joins(&self) -> usize {
        self.abort_where(|e| e.alpn == Alpn::Join)
    }

    /// Ends all, for a stop whose drain took too long.
    pub fn abort_all(&self) -> usize {
        self.abort_where(|_| true)
    }

    fn abort_where(&self, which: impl Fn(&Entry) -> bool) -> usize {
        self.0.live().all.values().filter(|e| which(e) && e.stop.abort()).count()
    }

    pub fn counts(&self, authority: &AuthorityId) -> Counts {
        let mut counts = Counts::default();
        for entry in self.0.live().all.values().filter(|e| e.is_open() && e.authority.as_ref() == Some(authority)) {
            match entry.direction {
                Direction::In => counts.incoming += 1,
                Direction::Out => counts.outgoing += 1,
            }
        }
        counts
    }

    /// Each authority with which a connection was just made, in or out: what waits for it may be tried at once.
    /// A receiver that lags has missed some, and should try all.
    pub fn arrivals(&self) -> broadcast::Receiver<AuthorityId> {
        self.0.arrivals.subscribe()
    }

    /// Addresses that an operator gave: connections to them go on like those to addresses of the register.
    pub(super) fn given(&self) -> &GivenContacts {
        &self.0.given
    }

    /// Addresses that belong to members, as far as this node has seen.
    pub(super) fn known_addresses(&self) -> &KnownAddresses {
        &self.0.known
    }

    /// Each authority of which a connection just ended, in or out, however it ended: whether it still answers has to be asked.
    /// A receiver that lags has missed some, and should ask all.
    pub fn departures(&self) -> broadcast::Receiver<AuthorityId> {
        self.0.departures.subscribe()
    }

    /// Which key followed which: one memory for all that this node accepts and dials.
    pub(super) fn successors(&self) -> &Successors {
        &self.0.successors
    }

    /// All connections that are open.
    pub fn total(&self) -> usize {
        self.0.live().all.values().filter(|e| e.is_open()).count()
    }

    /// Connections whose socket is still held, those being ended included.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.0.live().all.len()
    }

    /// Judges every connection by the current view and ends those that may not stay. Tells how many it ended.
    pub fn sweep(&self) -> usize {
        let now = self.0.clock.now();
        let view = self.0.view.load();
        let mut ended: BTreeMap<Option<AuthorityId>, usize> = BTreeMap::new();
        for entry in self.0.live().all.values_mut() {
            if entry.must_end(&view, &self.0, now) && entry.stop.abort() {
                *ended.entry(entry.authority.clone()).or_default() += 1;
            }
        }
        let all = ended.values().sum();
        for (authority, connections) in ended {
            let ended = journal::Entry::of(journal::Event::ConnectionsEnded);
            journal::Entry { authority, ..ended }.count(connections as u64);
        }
        all
    }

    /// Sweeps after each change of the view, and every few seconds for what merely lapses. Ends with the sender.
    pub async fn follow(self, mut changes: watch::Receiver<u64>) {
        let mut lapses = tokio::time::interval(Duration::from_secs(5));
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                _ = lapses.tick() => {}
            }
            self.sweep();
        }
    }
}

impl Entry {
    fn is_open(&self) -> bool {
        !self.stop.aborted.load(Ordering::Acquire)
    }

    /// Whether the view ends this connection; remembers the status that it was judged under.
    fn must_end(&mut self, view: &DirectoryView, inner: &Inner, now: UnixMs) -> bool {
        let Some(authority) = &self.authority else { return false };
        let status = view.status(authority, now);
        let worse = severity(status) > severity(self.judged);
        self.judged = status;
        let vouched = self.vouched.as_ref().is_some_and(|vouched| {
            vouched.authority == *authority
                && view.vouches(vouched)
                && !inner.successors.doubts(authority, &vouched.keys)
        });
        let pinned = match self.direction {
            Direction::In => verify::member_of_pin(view, &self.pin, now).as_ref() == Some(authority),
            Direction::Out => verify::pins_of(view, authority, now).contains(&self.pin),
        };
        let moved = self.direction == Direction::Out && self.moved(view, inner, authority);
        worse || moved || !(pinned || vouched)
    }

    fn moved(&self, view: &DirectoryView, inner: &Inner, authority: &AuthorityId) -> bool {
        let Some(endpoint) = &self.endpoint else { return false };
        view.member(authority).is_none_or(|member| !inner.given.endpoints(member).contains(endpoint))
    }
}

const fn severity(status: MemberStatus) -> u8 {
    match status {
        MemberStatus::Active => 0,
        MemberStatus::Suspended => 1,
        MemberStatus::Removed | MemberStatus::Unknown => 2,
    }
}
