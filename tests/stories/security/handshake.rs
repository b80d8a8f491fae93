//! Who gets in: no certificate, a stranger's, a member's without its key, another member at Kehl's address, a suspended
//! member with what it kept from before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink::domain::reason::Reason;
use havenlink::domain::time::Millis;
use havenlink::transport::{self, NodeIdentity};
use havenlink_proto::directory::v1::FollowRequest;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::local::v1::PublishRecordRequest;
use havenlink_proto::peer::v1::GreetRequest;
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use havenlink_proto::record::v1::{Purpose, Tlp};
use havenlink_tests::credulous::{self, client};
use havenlink_tests::federation::Federation;
use havenlink_tests::peer;
use havenlink_tests::refused::assert_refused;
use havenlink_tests::tools::havenctl;
use havenlink_tests::wait::eventually;
use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const PATIENCE: Duration = Duration::from_secs(60);

/// Connects, and waits for the first byte of HTTP: in TLS 1.3 a client learns only then whether it was let in.
async fn connect(to: SocketAddr, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut tls = credulous::connect(to, config).await?;
    tls.read_u8().await?;
    Ok(tls)
}

fn certificate(city: &City) -> Vec<u8> {
    NodeIdentity::load(&city.dir.join("data")).unwrap().certificate().der.clone()
}

/// What the city's node shows.
fn pair(city: &City) -> Option<(Vec<u8>, Vec<u8>)> {
    Some(credulous::pair_of(&city.dir.join("data")).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_certificate_with_a_strangers_and_without_its_key_nobody_gets_in() {
    let federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two") };
    let door = peer::address_of(strasbourg).await.unwrap();

    let nothing = connect(door, Arc::new(client(None).unwrap())).await.unwrap_err();
    assert!(nothing.to_string().contains("CertificateRequired"), "{nothing}");

    // A certificate in Kehl's name that Kehl never published: the pin counts, not the name.
    let forged = peer::self_issued("de-kehl", Millis::days(30)).unwrap();
    let identity = NodeIdentity::from_der(&forged.key, &forged.certificate.der).unwrap();
    let mut stranger = ExchangeServiceClient::new(peer::dial(identity, strasbourg).await.unwrap());
    let refused = stranger.greet(GreetRequest::default()).await.unwrap_err();
    assert_eq!(transport::classify(&refused), Reason::PeerRefusedUs, "{refused:?}");

    // Kehl's own certificate, which everybody may have, with another key.
    let stolen = client(Some((certificate(kehl), forged.key.to_vec()))).unwrap();
    let refused = connect(door, Arc::new(stolen)).await.unwrap_err();
    assert!(refused.to_string().contains("DecryptError"), "{refused}");

    // With both it is Kehl.
    let whole = client(pair(kehl)).unwrap();
    connect(door, Arc::new(whole)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_member_answering_on_kehls_address_gets_nothing() {
    let federation = Federation::found(3, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl, esch] = &federation.cities[..] else { panic!("three") };
    let right = peer::address_of(kehl).await.unwrap().to_string();
    let wrong = peer::address_of(esch).await.unwrap().to_string();
    havenctl(kehl, &["node", "update", "--endpoint", &wrong]).await.unwrap().fine();
    eventually("Strasbourg knows the new address", PATIENCE, || async {
        let entry = peer::entry_of(strasbourg, "de-kehl").await.unwrap();
        (entry.endpoints == [wrong.clone()]).then_some(())
    })
    .await;
    let request = PublishRecordRequest {
        request_id: "alert".into(),
        sharing: Some(sample::sharing(&["de-kehl"], Purpose::Prevention, Tlp::Green)),
        content: Some(sample::advert_alert().into()),
        ..Default::default()
    };
    strasbourg.publisher().await.unwrap().publish_record(request).await.unwrap();
    let listed = async || havenctl(strasbourg, &["delivery", "list"]).await.unwrap().fine();
    eventually("Strasbourg sees that this is not Kehl", PATIENCE, || async {
        listed().await.contains("PEER_PIN_UNKNOWN").then_some(())
    })
    .await;
    let held = havenctl(esch, &["alert", "list", "-o", "jsonl"]).await.unwrap().fine();
    assert_eq!(held, "", "nothing was sent");
    havenctl(kehl, &["node", "update", "--endpoint", &right]).await.unwrap().fine();
    eventually("it arrives at Kehl", PATIENCE, || async { listed().await.contains("DELIVERED").then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_member_has_no_stream_no_ticket_and_no_exchange() {
    let federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two") };
    let door = peer::address_of(strasbourg).await.unwrap();
    // Kehl keeps sessions, as a stock client would, and has a stream open.
    let mut config = client(pair(kehl)).unwrap();
    config.resumption = Resumption::in_memory_sessions(16);
    let config = Arc::new(config);
    let before = connect(door, config.clone()).await.unwrap();
    assert_eq!(before.get_ref().1.tls13_tickets_received(), 0, "there is nothing to come back with");
    let channel = peer::as_city(kehl, strasbourg).await.unwrap();
    let status = strasbourg.status().await.unwrap();
    let follow = FollowRequest { number: status.register_number, head: status.register_head, founding: 0 };
    let mut stream = DirectoryServiceClient::new(channel.clone()).follow(follow).await.unwrap().into_inner();

    let suspend = ["member", "suspend", "de-kehl", "--reason", "NODE_COMPROMISED", "--yes"];
    havenctl(strasbourg, &suspend).await.unwrap().fine();
    let ended = async { while let Ok(Some(_)) = stream.message().await {} };
    // Sooner than one that is merely silent. How soon exactly is measured by the suspensions.
    tokio::time::timeout(PATIENCE / 2, ended).await.expect("the open stream ends");

    let after = connect(door, config).await.unwrap();
    assert_eq!(after.get_ref().1.handshake_kind(), Some(HandshakeKind::Full), "the verifier ran again");
    let mut exchange = ExchangeServiceClient::new(channel);
    let greet = || GreetRequest { recipient: "fr-strasbourg".into(), ..Default::default() };
    assert_refused(&exchange.greet(greet()).await, Reason::MemberSuspended);
    let mut anew = ExchangeServiceClient::new(peer::as_city(kehl, strasbourg).await.unwrap());
    assert_refused(&anew.greet(greet()).await, Reason::MemberSuspended);
}
