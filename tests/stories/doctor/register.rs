//! What is wrong around the node: its standing, the stewards, decisions, partners, what waits.

use std::sync::Arc;

use havenlink::clock::SystemClock;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink::directory::statements;
use havenlink::domain::ids::{AuthorityId, Digest, FederationId};
use havenlink::domain::time::Millis;
use havenlink::wire::beat::Beat;
use havenlink_proto::directory::v1::GossipRequest;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::local::v1::PublishRecordRequest;
use havenlink_proto::record::v1::{Purpose, Signed, Tlp};
use havenlink_tests::federation::{Federation, built};
use havenlink_tests::peer;
use havenlink_tests::rest::Watched;
use havenlink_tests::tools::{havenctl, shell};
use prost::Message;

use super::says;

/// Times that a test does not wait for.
const QUICK: &[&str] = &["--freshness-limit", "5s", "--beat-interval", "1s"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_stewards_a_silent_partner_and_what_waits_for_it() {
    let mut federation = Federation::found_as(3, 2, "", QUICK).await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three") };
    for check in ["consensus", "stewards", "freshness", "partners", "outbox"] {
        says(strasbourg, check, "OK").await;
        says(esch, check, "OK").await;
    }

    // One of two stewards is gone: nothing can be decided, and nobody confirms the register.
    kehl.kill().await.unwrap();
    let found = says(strasbourg, "consensus", "CRITICAL").await;
    assert!(found.remedy.contains("havenctl steward list"), "{found:?}");
    havenctl(strasbourg, &["steward", "list"]).await.unwrap().fine();
    let found = says(strasbourg, "stewards", "WARNING").await;
    assert!(found.finding.contains("de-kehl") && found.remedy.contains("havenctl member show de-kehl"), "{found:?}");
    let found = says(esch, "freshness", "WARNING").await;
    assert!(found.remedy.contains("de-kehl"), "the silent one is named: {found:?}");
    let found = says(strasbourg, "partners", "WARNING").await;
    assert!(found.finding.contains("de-kehl"), "{found:?}");
    shell(strasbourg, found.remedy.split(" names").next().unwrap()).await.unwrap().fine();
    publish(strasbourg, "de-kehl", 1_000).await;
    let found = says(strasbourg, "outbox", "WARNING").await;
    assert!(found.finding.contains("1000 records wait"), "{found:?}");
    shell(strasbourg, found.remedy.split(" tells").next().unwrap()).await.unwrap().fine();

    // Both are gone: Esch has nobody to follow.
    strasbourg.kill().await.unwrap();
    let found = says(esch, "consensus", "WARNING").await;
    assert!(found.finding.contains("followed"), "{found:?}");

    // What the remedies ask for: they are started again.
    for city in [&mut *strasbourg, &mut *kehl] {
        city.start().unwrap();
    }
    for city in [&mut *strasbourg, &mut *kehl] {
        city.ready().await.unwrap();
    }
    for check in ["consensus", "stewards", "freshness", "partners", "outbox"] {
        says(strasbourg, check, "OK").await;
        says(esch, check, "OK").await;
    }
}

/// Publishes so many alerts, several at a time.
async fn publish(from: &City, to: &str, count: usize) {
    let side = from.publisher().await.unwrap();
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (mut side, next, to) = (side.clone(), next.clone(), to.to_owned());
        writers.spawn(async move {
            while next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < count {
                let request = PublishRecordRequest {
                    request_id: uuid::Uuid::new_v4().to_string(),
                    sharing: Some(sample::sharing(&[&to], Purpose::Prevention, Tlp::Green)),
                    content: Some(sample::advert_alert().into()),
                    ..Default::default()
                };
                side.publish_record(request).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_city_decisions_that_wait_and_an_address_that_leads_nowhere() {
    let federation = Federation::found(3, 2, "").await.unwrap();
    let [strasbourg, kehl, esch] = &federation.cities[..] else { panic!("three") };
    says(esch, "membership", "OK").await;
    says(kehl, "decisions", "OK").await;
    let suspend = ["member", "suspend", esch.id(), "--reason", "OWN_REQUEST", "--yes"];
    havenctl(strasbourg, &suspend).await.unwrap().fine();
    let found = says(esch, "membership", "CRITICAL").await;
    assert!(found.finding.contains("suspended"), "{found:?}");
    shell(esch, found.remedy.split(" tells").next().unwrap()).await.unwrap().fine();
    let restore = found.remedy.rsplit(": ").next().unwrap().to_owned();
    shell(strasbourg, &restore).await.unwrap().fine();

    // The second steward has to agree, and its doctor says so.
    let found = says(kehl, "decisions", "WARNING").await;
    assert!(found.finding.contains(esch.id()), "{found:?}");
    shell(kehl, found.remedy.split(" shows").next().unwrap()).await.unwrap().fine();
    shell(kehl, &format!("havenctl member approve {}", esch.id())).await.unwrap().fine();
    says(kehl, "decisions", "OK").await;
    says(esch, "membership", "OK").await;

    // Esch publishes an address at which nobody hears: it calls, and cannot be called.
    says(esch, "stewards", "OK").await;
    let right = peer::address_of(esch).await.unwrap();
    let wrong = format!("127.0.0.1:{}", havenlink::demo::ports::free().unwrap());
    havenctl(esch, &["node", "update", "--endpoint", &wrong]).await.unwrap().fine();
    let found = says(esch, "stewards", "WARNING").await;
    assert!(found.finding.contains("cannot call this node") && found.remedy.contains(&wrong), "{found:?}");
    let mend = found.remedy.rsplit(": ").next().unwrap().replace("HOST:PORT", &right.to_string());
    shell(esch, &mend).await.unwrap().fine();
    says(esch, "stewards", "OK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applicant_waits_for_its_words_to_be_compared() {
    let mut federation = Federation::found(1, 1, "").await.unwrap();
    let strasbourg = &mut federation.cities[0];
    let root = tempfile::tempdir().unwrap();
    let mut kehl = Watched::prepare(root.path(), &sample::CITIES[1], &built("havenlink").unwrap()).unwrap();
    let token = havenctl(strasbourg, &["invite", "create", "--for", "de-kehl"]).await.unwrap().fine();
    let printed = kehl.once(&["join", token.trim()]).await.unwrap();
    let words = printed.lines().find(|l| l.split_whitespace().count() == 6 && l.starts_with("  ")).unwrap().trim();
    let found = says(strasbourg, "decisions", "WARNING").await;
    assert!(found.finding.contains("de-kehl wants to join"), "{found:?}");
    kehl.start().unwrap();
    let approve = found.remedy.split("then ").nth(1).unwrap();
    shell(strasbourg, &format!("{approve} --words '{words}'")).await.unwrap().fine();
    says(strasbourg, "decisions", "OK").await;
    kehl.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steward_that_signs_two_histories() {
    let mut federation = Federation::found(2, 2, "").await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two") };
    says(strasbourg, "forks", "OK").await;
    // Kehl's key signs another head at a number that Strasbourg has.
    let status = strasbourg.status().await.unwrap();
    let beat = Beat {
        founding: 0,
        federation: FederationId::from_slice(&status.federation_id).unwrap(),
        steward: AuthorityId::parse("de-kehl").unwrap(),
        number: status.register_number,
        head: Digest([7; 32]),
        overlay: Digest([0; 32]),
        snapshot: None,
        term: 1,
        time: SystemClock::shared().now() - Millis::hours(1),
    };
    let signed = statements::beat(&beat, &peer::authority_key(kehl).unwrap());
    let beats = vec![Signed::decode(signed).unwrap()];
    let mut register = DirectoryServiceClient::new(peer::as_city(kehl, strasbourg).await.unwrap());
    register.gossip(GossipRequest { beats, ..Default::default() }).await.unwrap();
    let found = says(strasbourg, "forks", "CRITICAL").await;
    assert!(found.finding.contains(&format!("change {}", status.register_number)), "{found:?}");
    let shown = shell(strasbourg, found.remedy.split(" shows").next().unwrap()).await.unwrap().fine();
    assert!(shown.contains("070707070707") && shown.contains("de-kehl"), "{shown}");
    // Cleared up among the stewards; the node forgets what it was told with its restart.
    strasbourg.stop().await.unwrap();
    strasbourg.start().unwrap();
    strasbourg.ready().await.unwrap();
    says(strasbourg, "forks", "OK").await;
}
