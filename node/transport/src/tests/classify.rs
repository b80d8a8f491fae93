//! A failed call says what happened, not "transport error".

use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::access::closed_port;
use super::world::*;
use crate::domain::reason::Reason;
use crate::*;

#[tokio::test]
async fn a_closed_port_is_unreachable_and_names_the_peer() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    world.admit(&id("de-kehl"), &[closed_port().await.parse().unwrap()], &[]);
    let channel = strasbourg.pool.channel(&id("de-kehl")).unwrap();
    let status = greet(channel, "").await.unwrap_err();
    let diagnosis = diagnose(&status);
    assert_eq!(diagnosis.reason, Reason::PeerUnreachable, "{status:?}");
    assert!(diagnosis.detail.contains(&("peer", "de-kehl".into())), "{diagnosis:?}");
    assert!(diagnosis.detail.iter().any(|(name, text)| *name == "cause" && text.contains("refused")), "{diagnosis:?}");
}

#[tokio::test]
async fn a_silent_port_is_unreachable_in_time() {
    let world = World::with(Limits { handshake: Duration::from_millis(200), ..Limits::default() });
    let strasbourg = world.member("fr-strasbourg").await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.admit(&id("de-kehl"), &[silent.local_addr().unwrap()], &[]);
    let started = Instant::now();
    let status = greet(strasbourg.pool.channel(&id("de-kehl")).unwrap(), "").await.unwrap_err();
    assert_eq!(classify(&status), Reason::PeerUnreachable, "{status:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn another_service_on_the_port_is_a_tls_failure() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.admit(&id("de-kehl"), &[other.local_addr().unwrap()], &[]);
    tokio::spawn(async move {
        let (mut socket, _) = other.accept().await.unwrap();
        let _ = tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let status = greet(strasbourg.pool.channel(&id("de-kehl")).unwrap(), "").await.unwrap_err();
    assert_eq!(classify(&status), Reason::PeerTlsFailed, "{status:?}");
}

#[tokio::test]
async fn a_call_without_an_answer_meets_its_deadline() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let channel = strasbourg.pool.channel(&kehl.authority).unwrap();
    let mut client = havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient::new(channel);
    let mut request =
        Request::new(havenlink_proto::peer::v1::GreetRequest { recipient: "wait".into(), ..Default::default() });
    request.set_timeout(Duration::from_millis(100));
    let status = client.greet(request).await.unwrap_err();
    assert_eq!(classify(&status), Reason::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn a_call_under_which_the_connection_ends_is_unreachable() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let entered = kehl.fake.entered.notified();
    let running = tokio::spawn(greet(strasbourg.pool.channel(&kehl.authority).unwrap(), "wait"));
    entered.await;
    assert_eq!(kehl.connections.abort(&strasbourg.authority), 1);
    let status = running.await.unwrap().unwrap_err();
    assert_eq!(classify(&status), Reason::PeerUnreachable, "{status:?}");
    eventually("gone", || strasbourg.connections.held() + kehl.connections.held() == 0).await;
    // The channel opens a new connection by itself.
    assert_eq!(strasbourg.greet(&kehl).await.unwrap(), "fr-strasbourg");
}

#[test]
fn what_the_peer_says_itself_comes_first() {
    let details = ErrorDetails::with_error_info("AGREEMENT_NOT_IN_FORCE", "havenlink", []);
    let told = Status::with_error_details(Code::FailedPrecondition, "no", details);
    assert_eq!(classify(&told).code(), "AGREEMENT_NOT_IN_FORCE");
    assert_eq!(classify(&Status::not_found("")), Reason::NotFound);
    assert_eq!(classify(&Status::resource_exhausted("")), Reason::BudgetExhausted);
}

#[tokio::test]
async fn whom_the_register_does_not_know_is_not_dialled() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    world.admit(&id("de-kehl"), &[], &[]);
    assert_eq!(strasbourg.pool.channel(&id("de-kehl")).err().map(|e| e.reason()), Some(Reason::PeerUnreachable));
    assert_eq!(strasbourg.pool.channel(&id("lu-esch")).err().map(|e| e.reason()), Some(Reason::MemberUnknown));
}

#[tokio::test]
async fn a_hosted_authority_is_reached_at_its_hosts_node() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    world.admit(&id("de-willstaett"), &[], &[]);
    world.edit(&id("de-willstaett"), |member| member.entry.hosted_by = Some(id("de-kehl")));
    greet(strasbourg.pool.channel(&id("de-willstaett")).unwrap(), "").await.unwrap();
    assert_eq!(strasbourg.connections.counts(&kehl.authority).outgoing, 1);
}
