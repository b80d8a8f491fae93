//! What stands between two partners: an address, a certificate, a version, a wrong recipient.

use havenlink::demo::acts::request_id;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink::domain::reason::Reason;
use havenlink::domain::time::Millis;
use havenlink::transport::{self, NodeIdentity};
use havenlink_proto::local::v1::{DeliveryState, PublishRecordRequest};
use havenlink_proto::peer::v1::GreetRequest;
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use havenlink_proto::record::v1::{Purpose, Tlp};
use havenlink_tests::federation::{Federation, ctl};
use havenlink_tests::intruder::{Intruder, address_of};
use havenlink_tests::peer;
use havenlink_tests::tools::havenctl;
use havenlink_tests::wait::eventually;
use tokio::io::AsyncWriteExt;

use crate::steps::*;
use crate::told::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_between_partners_is_mended_by_the_command_that_is_named() {
    let scene = Scene::new("partners");
    let mut federation = Federation::found(3, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three") };
    addressed(&scene, strasbourg, kehl, esch).await;
    refused_here(&scene, strasbourg, kehl).await;
    elsewhere(&scene, strasbourg, kehl, esch).await;
    no_tls(&scene, strasbourg, kehl).await;
    moved(&scene, strasbourg, kehl).await;
    not_taken(&scene, strasbourg, kehl).await;
    scene.ends();
}

/// The line of the list that names a reason, once there is one.
async fn listed(city: &City, reason: Reason) -> String {
    eventually(&format!("{} lists {reason}", city.id()), ELECTED, || async {
        let listed = havenctl(city, &["delivery", "list", "--limit", "5"]).await.unwrap().out;
        listed.lines().find(|line| line.contains(reason.code())).map(str::to_owned)
    })
    .await
}

/// A greeting that was meant for somebody else.
async fn addressed(scene: &Scene, strasbourg: &City, kehl: &City, esch: &City) {
    let intruder = Intruder::with_keys_of(kehl).await.unwrap();
    let channel = intruder.channel(&address_of(strasbourg).await.unwrap()).unwrap();
    let greeting = intruder.greeting(esch.id());
    let answer = ExchangeServiceClient::new(channel).greet(greeting).await;
    let told = scene.answered(strasbourg, "greet", answer, Reason::WrongRecipient);
    told.run_at(kehl, "havenctl delivery list", &[], "").await.fine();
}

/// A certificate in Kehl's name that its register entry does not list.
async fn refused_here(scene: &Scene, strasbourg: &City, kehl: &City) {
    let forged = peer::self_issued(kehl.id(), Millis::days(30)).unwrap();
    let identity = NodeIdentity::from_der(&forged.key, &forged.certificate.der).unwrap();
    let mut stranger = ExchangeServiceClient::new(peer::dial(identity, strasbourg).await.unwrap());
    let refused = stranger.greet(GreetRequest::default()).await.unwrap_err();
    let about = format!("{} at {}: {}", kehl.id(), strasbourg.id(), transport::classify(&refused));
    let told = scene.looked_up(kehl, &about, Reason::PeerRefusedUs).await;
    let before = peer::entry_of(kehl, kehl.id()).await.unwrap().pins;
    told.filled("havenctl member show OWN-ID", &[("OWN-ID", kehl.id())], "").await.fine();
    told.run("havenctl node renew").await.fine();
    let after = eventually("the new one is published", PATIENCE, || async {
        let pins = peer::entry_of(strasbourg, kehl.id()).await.ok()?.pins;
        (pins != before).then_some(pins)
    })
    .await;
    assert!(after.len() > before.len(), "{after:?}");
}

async fn updated(kehl: &City, strasbourg: &City, endpoint: &str) {
    ctl_decided(kehl, &["node", "update", "--endpoint", endpoint]).await.unwrap();
    eventually("Strasbourg knows the address", PATIENCE, || async {
        (peer::entry_of(strasbourg, kehl.id()).await.ok()?.endpoints == [endpoint.to_owned()]).then_some(())
    })
    .await;
}

/// Another member answers where Kehl should: nothing is sent there, and where Kehl is, its operator says.
async fn elsewhere(scene: &Scene, strasbourg: &City, kehl: &City, esch: &City) {
    let right = peer::address_of(kehl).await.unwrap().to_string();
    let wrong = peer::address_of(esch).await.unwrap().to_string();
    updated(kehl, strasbourg, &wrong).await;
    let record = publish(strasbourg, &[kehl.id()]).await.unwrap();
    let line = listed(strasbourg, Reason::PeerPinUnknown).await;
    let told = scene.looked_up(strasbourg, &line, Reason::PeerPinUnknown).await;
    told.run_at(kehl, "havenctl node renew", &[], "").await.fine();
    told.known(strasbourg, "havenctl node contact ADDRESS", &[("ADDRESS", &right)], "--yes").await.fine();
    until_delivered(strasbourg, kehl.id(), &[record], DeliveryState::Delivered).await;
    updated(kehl, strasbourg, &right).await;
}

/// Something that speaks no TLS answers there.
async fn no_tls(scene: &Scene, strasbourg: &City, kehl: &City) {
    let right = peer::address_of(kehl).await.unwrap().to_string();
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wrong = other.local_addr().unwrap().to_string();
    let service = tokio::spawn(async move {
        while let Ok((mut socket, _)) = other.accept().await {
            let _ = socket.write_all(b"220 mail.example ready\r\n").await;
        }
    });
    updated(kehl, strasbourg, &wrong).await;
    let record = publish(strasbourg, &[kehl.id()]).await.unwrap();
    let line = listed(strasbourg, Reason::PeerTlsFailed).await;
    let told = scene.looked_up(strasbourg, &line, Reason::PeerTlsFailed).await;
    let shown = told.filled("havenctl member show AUTHORITY", &[("AUTHORITY", kehl.id())], "").await.fine();
    assert!(shown.contains(&wrong), "the endpoint to be checked: {shown}");
    service.abort();
    updated(kehl, strasbourg, &right).await;
    until_delivered(strasbourg, kehl.id(), &[record], DeliveryState::Delivered).await;
}

/// Kehl has another address from its next start on, and nobody was told.
async fn moved(scene: &Scene, strasbourg: &City, kehl: &mut City) {
    let old = peer::address_of(kehl).await.unwrap().to_string();
    let new = format!("127.0.0.1:{}", havenlink::demo::ports::free().unwrap());
    kehl.stop().await.unwrap();
    let file = kehl.dir.join("node.toml");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace(&old, &new)).unwrap();
    let record = publish(strasbourg, &[kehl.id()]).await.unwrap();
    let told = scene.refused(strasbourg, &["node", "contact", &old, "--yes"], Reason::PeerUnreachable).await;
    let waits = told.run("havenctl delivery list").await.fine();
    assert!(waits.contains("QUEUED"), "what waits: {waits}");
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
    told.known(strasbourg, "havenctl node contact ADDRESS", &[("ADDRESS", &new)], "--yes").await.fine();
    until_delivered(strasbourg, kehl.id(), &[record], DeliveryState::Delivered).await;
}

/// Kehl's node takes no practices yet.
async fn not_taken(scene: &Scene, strasbourg: &City, kehl: &mut City) {
    kehl.stop().await.unwrap();
    let file = kehl.dir.join("node.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("not_taken = [\"PRACTICE\"]\n{text}")).unwrap();
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
    let request = PublishRecordRequest {
        request_id: request_id(),
        sharing: Some(sample::sharing(&[kehl.id()], Purpose::Prevention, Tlp::Green)),
        content: Some(sample::practice().into()),
        ..Default::default()
    };
    strasbourg.publisher().await.unwrap().publish_record(request).await.unwrap();
    let line = listed(strasbourg, Reason::KindNotNamed).await;
    let told = scene.looked_up(strasbourg, &line, Reason::KindNotNamed).await;
    let status = told.run("havenctl status").await.fine();
    assert!(status.contains("1 PRACTICE until the node of de-kehl takes that kind"), "{status}");
    let shown = told.filled("havenctl member show AUTHORITY", &[("AUTHORITY", kehl.id())], "").await.fine();
    assert!(shown.contains("kontakt@kehl.example"), "the desk to call: {shown}");
    ctl(strasbourg, &["delivery", "list", "--state", "HELD"]).await.unwrap();
}
