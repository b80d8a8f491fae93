//! Callers of the register: writers, readers, and those that follow what each replica tells.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use havenlink::demo::acts::reason_of;
use havenlink::domain::ids::Digest;
use havenlink::domain::reason::Reason;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::directory::v1::follow_response::Event;
use havenlink_proto::directory::v1::{
    AuthorityEntry, Beat, Consistency, FollowRequest, GetRequest, Outcome, statement,
};
use havenlink_tests::authors::{Author, request};
use havenlink_tests::chance::Chance;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};

use crate::history::{History, Read, Span, Write};
use crate::ledger::Ledger;

/// Connections to one node that writers share: a connection carries 64 calls.
const SHARED: usize = 4;
/// How long callers wait for an answer, at least and at most; some outlast a stopped node, and hear what it says then.
const PATIENCE_MS: (u64, u64) = (1_000, 12_000);
/// A reader of this patience hears what a node says that was stopped for long.
const LONG: Duration = Duration::from_secs(40);

pub type Client = DirectoryServiceClient<Channel>;

/// What all callers share.
pub struct Load {
    started: Instant,
    stop: AtomicBool,
    doors: Vec<NodeSockets>,
    pub history: Mutex<History>,
    pub ledger: Mutex<Ledger>,
    /// What a caller was told instead of an answer, and how often.
    pub refusals: Mutex<BTreeMap<String, u64>>,
    /// What nobody may be told: a refusal for good of a sound statement.
    pub wrongs: Mutex<Vec<String>>,
    /// The highest term in any beat.
    pub term: AtomicU64,
}

struct NodeSockets {
    sockets: PathBuf,
    shared: Vec<Client>,
}

/// Opens when first used, and again after every loss.
pub fn client(sockets: &Path) -> Client {
    let path = sockets.join("operator.sock");
    let connect = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    DirectoryServiceClient::new(Endpoint::from_static("http://localhost").connect_with_connector_lazy(connect))
}

pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::from_slice(bytes).unwrap_or(Digest([0; 32]))
}

/// What to ask for: an entry, through Raft or as the node has it.
fn get(authority: &str, consistency: Consistency) -> GetRequest {
    GetRequest { authority: authority.to_owned(), consistency: consistency.into() }
}

impl Load {
    /// For nodes with these sockets.
    pub fn new(sockets: Vec<PathBuf>, ledger: Ledger) -> Arc<Self> {
        let door = |sockets: PathBuf| NodeSockets { shared: (0..SHARED).map(|_| client(&sockets)).collect(), sockets };
        Arc::new(Self {
            started: Instant::now(),
            stop: AtomicBool::new(false),
            doors: sockets.into_iter().map(door).collect(),
            history: Mutex::default(),
            ledger: Mutex::new(ledger),
            refusals: Mutex::default(),
            wrongs: Mutex::default(),
            term: AtomicU64::new(0),
        })
    }

    /// Microseconds since the run began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Tells the callers to end.
    pub fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn ended(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Notes what a call ended with. Whether the same may be asked again.
    fn refused(&self, what: &str, status: &tonic::Status) -> bool {
        let reason = reason_of(status);
        let again = Reason::from_code(&reason).is_none_or(Reason::retryable);
        *locked(&self.refusals).entry(format!("{what}: {reason}")).or_default() += 1;
        if !again {
            locked(&self.wrongs).push(format!("{what}: refused for good: {reason} {}", status.message()));
        }
        again
    }

    fn silent(&self, what: &str) {
        *locked(&self.refusals).entry(format!("{what}: no answer in time")).or_default() += 1;
    }

    /// A node's own view, asked with a short patience.
    pub async fn view(&self, place: usize, authority: &str) -> Option<(u64, Digest)> {
        let mut client = self.doors[place].shared[0].clone();
        let asked = timeout(Duration::from_secs(2), client.get(get(authority, Consistency::Local))).await;
        let answer = asked.ok()?.ok()?.into_inner();
        Some((answer.number, digest(&answer.head)))
    }
}

/// A member that changes its own entry, again and again.
pub struct Writer {
    pub number: usize,
    pub author: Author,
    pub entry: AuthorityEntry,
    pub chance: Chance,
}

impl Writer {
    /// Each statement is sent until it is acknowledged, through any member, and only then comes the next.
    pub async fn run(mut self, load: Arc<Load>, pace: Duration) {
        let mut version = 1;
        while !load.ended() {
            self.entry.services = vec![1 + u32::try_from(version % 20).unwrap_or(0)];
            let body = statement::Body::Entry(self.entry.clone());
            let signed = self.author.statement(&self.author.id, version, body);
            let (statement, request) = (Digest::of(&signed.payload), request(&signed));
            let began = load.now();
            while !load.ended() {
                let through = self.below(load.doors.len());
                let mut client = load.doors[through].shared[self.number % SHARED].clone();
                let patience = PATIENCE_MS.0 + self.chance.below(PATIENCE_MS.1 - PATIENCE_MS.0);
                match timeout(Duration::from_millis(patience), client.propose(request.clone())).await {
                    Ok(Ok(answer)) => {
                        let answer = answer.into_inner();
                        if answer.outcome() != Outcome::Accepted || answer.statement_id != statement.as_bytes()[..] {
                            let what = format!("writer {}: version {version}: {answer:?}", self.number);
                            locked(&load.wrongs).push(what);
                            return;
                        }
                        version += 1;
                        let span = Span { began, ended: load.now() };
                        let head = Digest::from_slice(&answer.head);
                        let (writer, number) = (self.number, answer.number);
                        let write = Write { span, through, writer, version, statement, number, head };
                        locked(&load.history).writes.push(write);
                        break;
                    }
                    Ok(Err(status)) if !load.refused("write", &status) => return,
                    Ok(Err(_)) => {}
                    Err(_) => load.silent("write"),
                }
                sleep(Duration::from_millis(10 + self.chance.below(90))).await;
            }
            sleep(pace).await;
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.chance.below(bound as u64)).unwrap_or(0)
    }
}

/// Reads through one member, through Raft, one entry after the other. The patient ones wait for a stopped node.
pub async fn read(load: Arc<Load>, through: usize, writers: Vec<String>, mut chance: Chance, patient: bool) {
    let mut client = client(&load.doors[through].sockets);
    while !load.ended() {
        let writer = usize::try_from(chance.below(writers.len() as u64)).unwrap_or(0);
        let patience = if patient { LONG } else { Duration::from_millis(PATIENCE_MS.0 + chance.below(4_000)) };
        let began = load.now();
        match timeout(patience, client.get(get(&writers[writer], Consistency::Linearizable))).await {
            Ok(Ok(answer)) => {
                let (span, answer) = (Span { began, ended: load.now() }, answer.into_inner());
                let version = answer.member.map_or(0, |member| member.version);
                let seen = (answer.number, digest(&answer.head));
                locked(&load.history).reads.push(Read { span, through, writer, version, seen });
            }
            Ok(Err(status)) => drop(load.refused("read", &status)),
            Err(_) => load.silent("read"),
        }
        sleep(Duration::from_millis(20 + chance.below(40))).await;
    }
}

/// Looks at a replica's own view from time to time.
pub async fn look(load: Arc<Load>, place: usize, authority: String) {
    while !load.ended() {
        if let Some(seen) = load.view(place, &authority).await {
            locked(&load.history).views.push((place, seen));
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// Follows what a replica tells, for as long as the run lasts; after each loss from where it was.
pub async fn follow(load: Arc<Load>, place: usize, authority: String) {
    let mut client = client(&load.doors[place].sockets);
    loop {
        let (number, head) = locked(&load.ledger).reached(place);
        let from = FollowRequest { number, head: Bytes::copy_from_slice(head.as_bytes()), founding: 0 };
        match timeout(LONG, client.follow(from)).await {
            Ok(Ok(events)) => {
                let mut events = events.into_inner();
                while let Ok(Ok(Some(message))) = timeout(LONG, events.message()).await {
                    match message.event {
                        Some(Event::SnapshotFirst(_)) => {
                            if let Some((number, head)) = load.view(place, &authority).await {
                                locked(&load.ledger).jump(place, number, head);
                                locked(&load.history).views.push((place, (number, head)));
                            }
                            break;
                        }
                        Some(event) => load.told(place, event),
                        None => {}
                    }
                }
            }
            Ok(Err(status)) => drop(load.refused("follow", &status)),
            Err(_) => load.silent("follow"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

impl Load {
    fn told(&self, place: usize, event: Event) {
        match event {
            Event::Changes(changes) => {
                let mut ledger = locked(&self.ledger);
                changes.changes.iter().for_each(|change| ledger.take(place, change));
            }
            Event::Beat(signed) => {
                let term = Beat::decode(signed.payload).map_or(0, |beat| beat.term);
                self.term.fetch_max(term, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}
