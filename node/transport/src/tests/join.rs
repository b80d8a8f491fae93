//! The applicants' protocol: only while the gate is open, only to its own door (9.5).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use super::world::*;
use crate::domain::join::Entrance;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::*;

#[tokio::test]
async fn an_applicant_gets_in_only_while_an_invitation_is_open() {
    let world = World::new();
    let (applicant, kehl) = (world.stranger("fr-erstein").await, world.member("de-kehl").await);
    let pins = vec![kehl.identity.pin()];
    let endpoint = kehl.address.to_string();
    let join = applicant.pool.join_channel(&endpoint, pins.clone()).unwrap();
    let closed = greet(join.channel.clone(), "").await.unwrap_err();
    assert_eq!(classify(&closed), Reason::InvitationUnknown, "{closed:?}");

    kehl.gate.set(anybody());
    assert_eq!(greet(join.channel.clone(), "").await.unwrap(), "applicant");
    assert_eq!(join.inviter_spki().unwrap(), kehl.identity.certificate().spki);
    // As a member it is refused all the same, and by another pin than the token's nobody is the inviter.
    let as_member = greet(applicant.pool.dial_pinned(&endpoint, pins).unwrap(), "").await.unwrap_err();
    assert_eq!(classify(&as_member), Reason::PeerRefusedUs, "{as_member:?}");
    let other = applicant.pool.join_channel(&endpoint, vec![applicant.identity.pin()]).unwrap();
    let swapped = greet(other.channel, "").await.unwrap_err();
    assert_eq!(classify(&swapped), Reason::PeerPinUnknown, "{swapped:?}");

    kehl.gate.set(Entrance::default());
    kehl.connections.abort_joins();
    eventually("the applicant is out", || kehl.connections.held() + applicant.connections.held() == 0).await;
    let again = applicant.pool.join_channel(&endpoint, vec![kehl.identity.pin()]).unwrap();
    assert_eq!(classify(&greet(again.channel, "").await.unwrap_err()), Reason::InvitationUnknown);
}

#[tokio::test]
async fn once_the_invitation_is_used_only_who_used_it_gets_in() {
    let world = World::new();
    let (applicant, kehl) = (world.stranger("fr-erstein").await, world.member("de-kehl").await);
    let stranger = world.stranger("fr-nobody").await;
    let known = [applicant.identity.pin()].into_iter().collect();
    assert!(!kehl.gate.set(Entrance { anybody: false, known }), "nobody has to leave");
    let (endpoint, pins) = (kehl.address.to_string(), vec![kehl.identity.pin()]);
    let join = |who: &Pool| who.join_channel(&endpoint, pins.clone()).unwrap().channel;
    assert_eq!(greet(join(&applicant.pool), "").await.unwrap(), "applicant");
    let refused = greet(join(&stranger.pool), "").await.unwrap_err();
    assert_eq!(classify(&refused), Reason::PeerRefusedUs, "{refused:?}");
}

#[tokio::test]
async fn four_applicants_at_once_and_none_for_good() {
    // Longer than it takes to fill the door, however slow the machine; and nobody makes room before its life is over.
    let (life, grace) = (Duration::from_secs(4), Duration::from_secs(60));
    let world = World::with(Limits { join_life: life, join_proof: grace, join_grace: grace, ..Limits::default() });
    let kehl = world.member("de-kehl").await;
    kehl.gate.set(anybody());
    let stranger = world.identity(&id("fr-nobody"));
    let mut config = world.raw_as(&stranger);
    config.alpn_protocols = vec![Alpn::Join.protocol().to_vec()];
    let mut open = Vec::new();
    for _ in 0..limits::JOIN_CONNECTIONS {
        open.push(raw_connect(kehl.address, config.clone()).await.unwrap());
    }
    let applicant = world.stranger("fr-erstein").await;
    let join = applicant.pool.join_channel(&kehl.address.to_string(), vec![kehl.identity.pin()]).unwrap();
    let full = greet(join.channel.clone(), "").await.unwrap_err();
    assert_eq!(classify(&full), Reason::TooManyConnections, "{full:?}");
    eventually("idle applicants are put out", || kehl.connections.total() < limits::JOIN_CONNECTIONS).await;
    assert_eq!(greet(join.channel, "").await.unwrap(), "applicant");
}

/// A stranger that shows a key, speaks the applicants' protocol and asks for nothing, from this address.
async fn idle_stranger(world: &World, from: &str, to: &Node) -> TlsStream<TcpStream> {
    let mut config = world.raw_as(&world.identity(&id("fr-nobody")));
    config.alpn_protocols = vec![Alpn::Join.protocol().to_vec()];
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    raw_over(socket.connect(to.address).await.unwrap(), config.into()).await.unwrap()
}

#[tokio::test]
async fn one_address_does_not_hold_the_door_against_another() {
    // No place becomes free by time alone.
    let never = Duration::from_secs(600);
    let limits = Limits { join_life: never, join_proof: never, join_grace: never, ..Limits::default() };
    let world = World::with(limits);
    let kehl = world.member("de-kehl").await;
    kehl.gate.set(anybody());
    let mut idle = Vec::new();
    for _ in 0..limits::JOIN_CONNECTIONS {
        idle.push(idle_stranger(&world, "127.0.0.2", &kehl).await);
    }
    assert_eq!(kehl.connections.total(), limits::JOIN_CONNECTIONS);
    // Two honest applicants come while all places are taken: each gets in at its first try.
    let pins = vec![kehl.identity.pin()];
    let mut inside = Vec::new();
    for name in ["fr-erstein", "fr-selestat"] {
        let applicant = world.stranger(name).await;
        let join = applicant.pool.join_channel(&kehl.address.to_string(), pins.clone()).unwrap();
        assert_eq!(greet(join.channel.clone(), "").await.unwrap(), "applicant", "{name}");
        inside.push((applicant, join));
    }
    assert_eq!(kehl.connections.total(), limits::JOIN_CONNECTIONS, "the door is no wider for it");
    // Nor does the first address get them out again, however often it comes.
    for _ in 0..8 {
        let mut config = world.raw_as(&world.identity(&id("fr-nobody")));
        config.alpn_protocols = vec![Alpn::Join.protocol().to_vec()];
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let _ = raw_over(socket.connect(kehl.address).await.unwrap(), config.into()).await;
    }
    for (_, join) in inside {
        assert_eq!(greet(join.channel, "").await.unwrap(), "applicant");
    }
}

#[tokio::test]
async fn a_stranger_that_only_holds_a_place_loses_it_soon_and_an_applicant_does_not() {
    let proof = Duration::from_secs(2);
    let world = World::with(Limits { join_proof: proof, ..Limits::default() });
    let kehl = world.member("de-kehl").await;
    kehl.gate.set(anybody());
    let applicant = world.stranger("fr-erstein").await;
    let join = applicant.pool.join_channel(&kehl.address.to_string(), vec![kehl.identity.pin()]).unwrap();
    assert_eq!(greet(join.channel.clone(), "").await.unwrap(), "applicant");
    let started = Instant::now();
    let mut slow = idle_stranger(&world, "127.0.0.1", &kehl).await;
    // It keeps the connection busy, byte by byte, and asks for nothing: a preface, settings, then one ping after another.
    let drip = async {
        slow.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await?;
        loop {
            slow.write_all(b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678").await?;
            tokio::time::timeout(Duration::from_millis(20), slow.read(&mut [0; 64])).await.unwrap_or(Ok(1))?;
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        Ok::<(), std::io::Error>(())
    };
    // Sooner than a connection that is merely idle.
    let soon = Duration::from_secs(30);
    assert!(soon < world.limits.join_idle);
    let ended = tokio::time::timeout(soon, drip).await.expect("it is put out");
    assert!(ended.is_err() && started.elapsed() >= proof, "{:?}", started.elapsed());
    assert_eq!(kehl.connections.total(), 1);
    assert_eq!(greet(join.channel, "").await.unwrap(), "applicant", "over the connection that it has");
    assert_eq!(kehl.connections.total(), 1);
}

#[tokio::test]
async fn behind_one_address_a_newcomer_takes_the_place_of_who_has_only_held_it() {
    // Nobody is put out for want of a proof: room is made for the newcomer alone.
    let (grace, proof) = (Duration::from_millis(50), Duration::from_secs(600));
    let world = World::with(Limits { join_grace: grace, join_proof: proof, ..Limits::default() });
    let kehl = world.member("de-kehl").await;
    kehl.gate.set(anybody());
    let mut idle = Vec::new();
    for _ in 0..limits::JOIN_CONNECTIONS {
        idle.push(idle_stranger(&world, "127.0.0.1", &kehl).await);
    }
    let applicant = world.stranger("fr-erstein").await;
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let join = applicant.pool.join_channel(&kehl.address.to_string(), vec![kehl.identity.pin()]).unwrap();
        match greet(join.channel, "").await {
            Ok(who) => return assert_eq!(who, "applicant"),
            Err(full) => assert_eq!(classify(&full), Reason::TooManyConnections, "{full:?}"),
        }
        assert!(Instant::now() < end, "never let in");
    }
}

#[tokio::test]
async fn an_endpoint_names_host_and_port() {
    let world = World::new();
    let applicant = world.stranger("fr-erstein").await;
    for bad in ["", "kehl.example", ":7443", "kehl.example:x", "a b:1"] {
        assert!(applicant.pool.join_channel(bad, Vec::new()).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_wrong_clock_is_let_in_at_the_door_and_named_by_the_one_that_is_behind() {
    let world = World::new();
    // An applicant whose clock was three days ahead when it made its certificate.
    world.clock.advance(crate::domain::time::Millis::days(3));
    let ahead = world.stranger("fr-erstein").await;
    world.clock.advance(crate::domain::time::Millis::days(-3));
    let kehl = world.member("de-kehl").await;
    kehl.gate.set(anybody());
    let pins = vec![kehl.identity.pin()];
    let join = ahead.pool.join_channel(&kehl.address.to_string(), pins.clone()).unwrap();
    assert_eq!(greet(join.channel, "").await.unwrap(), "applicant", "the door tells it more than a handshake could");
    let as_member = greet(ahead.pool.dial_pinned(&kehl.address.to_string(), pins.clone()).unwrap(), "").await;
    assert_eq!(classify(&as_member.unwrap_err()), Reason::PeerRefusedUs, "and no other door does");

    // One whose clock is behind sees a certificate that is not valid yet.
    let behind = world.stranger("fr-barr").await;
    world.clock.advance(crate::domain::time::Millis::days(-3));
    let join = behind.pool.join_channel(&kehl.address.to_string(), pins).unwrap();
    let told = greet(join.channel, "").await.unwrap_err();
    assert_eq!(classify(&told), Reason::ClockDiffers, "{told:?}");
}
