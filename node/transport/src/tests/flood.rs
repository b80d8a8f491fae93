//! What a stranger and a greedy peer meet: limits, and a listener that goes on.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_stream::StreamExt;

use super::world::*;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::listener::{Source, serve_from};
use crate::*;

/// Longer than any test runs.
const NEVER: Duration = Duration::from_secs(600);

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// True when the other side closed it.
async fn is_closed(socket: &mut TcpStream) -> bool {
    matches!(socket.read(&mut [0]).await, Ok(0) | Err(_))
}

/// True while the other side has neither said anything nor closed it.
fn is_open(socket: &TcpStream) -> bool {
    matches!(socket.try_read(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn a_fifth_connection_is_refused_and_the_peer_is_told_why() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let mut open = Vec::new();
    for _ in 0..limits::CONNECTIONS {
        open.push(raw_connect(kehl.address, world.raw_as(&strasbourg.identity)).await.unwrap());
    }
    assert_eq!(kehl.connections.counts(&strasbourg.authority).incoming, limits::CONNECTIONS);
    let refused = strasbourg.greet(&kehl).await.unwrap_err();
    assert_eq!(classify(&refused), Reason::TooManyConnections, "{refused:?}");
    assert_eq!(count(&kehl.refused.connections), 1);
    // Another peer is not touched, and a closed connection makes room.
    let esch = world.member("lu-esch").await;
    esch.greet(&kehl).await.unwrap();
    open.pop();
    eventually("room", || kehl.connections.counts(&strasbourg.authority).incoming < limits::CONNECTIONS).await;
    strasbourg.greet(&kehl).await.unwrap();
}

#[tokio::test]
async fn a_slow_handshake_is_cut_at_its_limit() {
    let limit = Duration::from_millis(300);
    let world = World::with(Limits { handshake: limit, ..Limits::default() });
    let kehl = world.member("de-kehl").await;
    let patient = World::with(Limits { handshake: NEVER, ..Limits::default() });
    let esch = patient.member("lu-esch").await;
    let waiting = TcpStream::connect(esch.address).await.unwrap();
    let started = Instant::now();
    let mut silent = TcpStream::connect(kehl.address).await.unwrap();
    let mut trickle = TcpStream::connect(kehl.address).await.unwrap();
    trickle.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    let closed = async { is_closed(&mut silent).await && is_closed(&mut trickle).await };
    assert!(tokio::time::timeout(Duration::from_secs(30), closed).await.expect("both are cut"));
    assert!(started.elapsed() >= limit, "{:?}", started.elapsed());
    assert!(is_open(&waiting), "a node with a longer limit waits on");
    eventually("both are counted", || count(&kehl.refused.slow) == 2).await;
}

#[tokio::test]
async fn a_thirty_third_pending_handshake_from_one_address_is_refused() {
    // None of them ends by itself, however long it takes to open them.
    let world = World::with(Limits { handshake: NEVER, ..Limits::default() });
    let kehl = world.member("de-kehl").await;
    let mut pending = Vec::new();
    for _ in 0..limits::PENDING_HANDSHAKES {
        pending.push(TcpStream::connect(kehl.address).await.unwrap());
    }
    let mut one_more = TcpStream::connect(kehl.address).await.unwrap();
    assert!(is_closed(&mut one_more).await);
    assert_eq!(count(&kehl.refused.pending), 1);
    assert!(pending.iter().all(is_open));
    // Their end makes room for an honest peer at the same address.
    drop(pending);
    let strasbourg = world.member("fr-strasbourg").await;
    let end = Instant::now() + Duration::from_secs(30);
    while let Err(status) = strasbourg.greet(&kehl).await {
        assert!(Instant::now() < end, "{status:?}");
    }
}

/// A connection from another address of this machine.
async fn connect_from(local: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(local.parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn strangers_who_hold_every_place_do_not_keep_out_who_is_listed_where_it_comes_from() {
    let world = World::with(Limits { handshake: NEVER, pending_total: 2, ..Limits::default() });
    let kehl = world.member("de-kehl").await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(connect_from("127.0.0.2:0", kehl.address).await);
    }
    let strasbourg = world.member("fr-strasbourg").await;
    strasbourg.greet(&kehl).await.unwrap_err();
    assert_eq!(count(&kehl.refused.pending), 1, "nobody came from anywhere yet");
    // It asks after its partner, as a node does that was started anew. The partner does not even run.
    world.edit(&strasbourg.authority, |member| member.entry.endpoints = vec!["127.0.0.1:1".to_owned()]);
    kehl.greet(&strasbourg).await.unwrap_err();
    strasbourg.greet(&kehl).await.unwrap();
    let mut stranger = connect_from("127.0.0.3:0", kehl.address).await;
    assert!(is_closed(&mut stranger).await, "the bound stands for all others");
    assert!(held.iter().all(is_open));
}

#[tokio::test]
async fn broken_handshakes_do_not_end_the_listener() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    for round in 0..200_u32 {
        let mut socket = TcpStream::connect(kehl.address).await.unwrap();
        let junk: &[u8] = match round % 4 {
            0 => b"GET / HTTP/1.1\r\n\r\n",
            1 => &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0],
            2 => &[0xff; 300],
            _ => b"",
        };
        let _ = socket.write_all(junk).await;
        let _ = socket.shutdown().await;
        // An alert may come first; then it is closed.
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
    assert_eq!(strasbourg.greet(&kehl).await.unwrap(), "fr-strasbourg");
}

/// A socket that fails as a machine without descriptors does, and then gives what came meanwhile.
struct Failing {
    errors: VecDeque<i32>,
    socket: TcpListener,
}

impl Source for Failing {
    async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        match self.errors.pop_front() {
            Some(code) => Err(io::Error::from_raw_os_error(code)),
            None => self.socket.accept().await,
        }
    }
}

#[tokio::test]
async fn no_error_of_accept_ends_the_listener() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    let identity = world.identity(&id("de-kehl"));
    let connections = Connections::new(world.view.clone(), world.clock.clone(), &world.limits);
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    // EMFILE, ENFILE, ENOBUFS, ECONNABORTED.
    let errors = VecDeque::from([24, 23, 105, 103]);
    let door = world.door(&identity, &connections, &JoinGate::closed());
    let mut serving = serve_from(Failing { errors, socket }, door).unwrap();
    let client = tokio::spawn(raw_connect(address, world.raw_as(&strasbourg.identity)));
    let peer = serving.peers.next().await.unwrap().unwrap();
    assert_eq!(peer.info().authority, Some(strasbourg.authority.clone()));
    drop(peer);
    assert!(client.await.unwrap().is_err());
}

#[tokio::test]
async fn the_listener_stops_with_its_taker() {
    let world = World::new();
    let identity = world.identity(&id("de-kehl"));
    let connections = Connections::new(world.view.clone(), world.clock.clone(), &world.limits);
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr();
    assert_eq!(Listener::bind(address).await.err().map(|e| e.reason()), Some(Reason::AddressInUse));
    let serving = listener.serve(world.door(&identity, &connections, &JoinGate::closed())).unwrap();
    drop(serving);
    let end = Instant::now() + Duration::from_secs(10);
    while Listener::bind(address).await.is_err() {
        assert!(Instant::now() < end, "the address stays taken");
        tokio::task::yield_now().await;
    }
}
