//! Commands of bad days, typed as the doctor and the errors name them.

use std::path::PathBuf;

use havenlink::app::{DataDir, RunningMember};
use havenlink::clock::MovedClock;
use havenlink::config::{self, Sources};
use havenlink::demo::city::City;
use havenlink::domain::time::Millis;
use havenlink::services::layers::Runtimes;
use havenlink_proto::local::v1::DeliveryState;
use havenlink_tests::federation::{Federation, ctl, ctl_refused};
use havenlink_tests::peer;
use havenlink_tests::tools::{havenctl, shell};
use havenlink_tests::wait::eventually;

use crate::doctor::says;
use crate::steps::*;

/// Alerts are published by this line, with this request id.
fn publishing<'a>(to: &'a str, request_id: &'a str) -> Vec<&'a str> {
    let alert = "alert publish --kind SUSPICIOUS_ADVERTISING --channel LEAFLET --place NUTS:FRF11 --indicator ilo11:2 \
                 --basis OBSERVED --tlp GREEN --to";
    let summary = ["--summary", "en:Leaflets promise kitchen work with lodging; the papers are kept."];
    alert.split_whitespace().chain([to]).chain(summary).chain(["--request-id", request_id]).collect()
}

/// Kehl leaves the agreement while an alert to it waits: the alert comes, and is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_alert_is_counted_and_a_repeated_call_tells_of_it_and_how_to_send_anew() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two cities") };
    says(strasbourg, "deliveries", "OK").await;
    kehl.stop().await.unwrap();
    let publish = publishing("de-kehl", "leaflets-1");
    let first = havenctl(strasbourg, &publish).await.unwrap().fine();
    assert!(first.starts_with("published ") && first.contains(", queued for de-kehl"), "{first}");
    let again = havenctl(strasbourg, &publish).await.unwrap();
    assert!(again.out.contains("by an earlier call with this request id:\n  de-kehl  QUEUED"), "{again:?}");
    assert!(!again.err.contains("--request-id"), "it goes still: {again:?}");
    strasbourg.stop().await.unwrap();

    kehl.start().unwrap();
    let listed = eventually("Kehl lists its agreement", PATIENCE, || async {
        ctl(kehl, &["agreement", "list", "-o", "json"]).await.ok()
    })
    .await;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let id = listed["agreements"][0]["agreement_id"].as_str().unwrap().to_owned();
    ctl(kehl, &["agreement", "end", &id, "--reason", "NO_LONGER_NEEDED", "--yes"]).await.unwrap();
    strasbourg.start().unwrap();
    strasbourg.ready().await.unwrap();

    let found = says(strasbourg, "deliveries", "WARNING").await;
    assert!(found.finding.starts_with("1 refused and 0 skipped in 7 days; de-kehl got nothing since"), "{found:?}");
    let shown = shell(strasbourg, found.remedy.split(" tells").next().unwrap()).await.unwrap().fine();
    assert!(shown.contains("REFUSED") && shown.contains("AGREEMENT_"), "{shown}");
    let again = havenctl(strasbourg, &publish).await.unwrap();
    assert!(
        again.out.contains("by an earlier call with this request id:\n  de-kehl  REFUSED (AGREEMENT_"),
        "{again:?}"
    );
    assert!(again.err.contains("the same command with a new --request-id sends it anew"), "{again:?}");
}

/// Neither of two stewards decides alone: what is asked of the one that runs is refused by a name that says so, however often.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_of_two_stewards_down_governing_is_refused_for_that_and_for_no_budget() {
    let mut federation = Federation::found(3, 2, "").await.unwrap();
    federation.cities[1].stop().await.unwrap();
    let [strasbourg, kehl, esch] = &federation.cities[..] else { panic!("three cities") };
    let waits = |reason: &str| matches!(reason, "NO_LEADER" | "STEWARDS_UNREACHABLE");
    for _ in 0..3 {
        let listed = ctl(strasbourg, &["steward", "list"]).await.unwrap();
        assert!(listed.contains(strasbourg.id()) && listed.contains(kehl.id()), "{listed}");
        for command in [&["steward", "replace", kehl.id(), "--yes"][..], &["steward", "promote", esch.id(), "--yes"]] {
            let reason = ctl_refused(strasbourg, command).await.unwrap();
            assert!(waits(&reason), "{command:?}: {reason}");
        }
    }
}

/// The lone steward's clock was three days ahead for one change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_register_s_time_is_put_right_by_the_command_that_the_doctor_names() {
    let mut federation = Federation::found(1, 1, "").await.unwrap();
    let city = &mut federation.cities[0];
    says(city, "register-time", "OK").await;
    let address = peer::address_of(city).await.unwrap().to_string();
    city.stop().await.unwrap();
    let clock = MovedClock::new();
    clock.advance(Millis::days(3));
    let sources = Sources::read(Some(&city.dir.join("node.toml")), Vec::new()).unwrap();
    let config = config::load(&Sources { variables: Vec::new(), ..sources }).unwrap();
    havenlink::transport::install_provider();
    let data = DataDir::take(&config.data_dir).unwrap();
    let member = RunningMember::start(config, data, clock, &Runtimes::current(), None).await.unwrap();
    ctl_decided(city, &["node", "update", "--endpoint", &address]).await.unwrap();
    member.stop().await;
    city.start().unwrap();
    city.ready().await.unwrap();

    let found = says(city, "register-time", "WARNING").await;
    let command = "havenctl steward retime";
    assert!(found.remedy.contains(command) && !found.remedy.contains("at fr-"), "typed here: {found:?}");
    let asked = shell(city, command).await.unwrap();
    assert!(asked.code == 2 && asked.err.contains("--yes"), "it shows what it would do, and asks: {asked:?}");
    shell(city, &format!("{command} --yes")).await.unwrap().fine();
    says(city, "register-time", "OK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_does_not_stand_against_another_cannot_be_chosen() {
    let federation = Federation::found(1, 1, "").await.unwrap();
    let city = &federation.cities[0];
    let asked = havenctl(city, &["register", "choose", "0123abcd"]).await.unwrap();
    assert!(asked.code == 2 && asked.err.contains("everybody has to choose the same line"), "{asked:?}");
    let refused = ctl_refused(city, &["register", "choose", "0123abcd", "--yes"]).await.unwrap();
    assert_eq!(refused, "PROPOSAL_UNKNOWN");
}

fn configuration(city: &City) -> PathBuf {
    city.dir.join("node.toml")
}

/// Another port from the next start on; its own entry in the register is as before.
pub fn moved(city: &City, from: &str) -> String {
    let to = format!("127.0.0.1:{}", havenlink::demo::ports::free().unwrap());
    let text = std::fs::read_to_string(configuration(city)).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(configuration(city), text.replace(from, &to)).unwrap();
    to
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_moved_is_met_at_the_address_that_was_read_out_by_phone() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two cities") };
    let old = peer::address_of(kehl).await.unwrap().to_string();
    kehl.stop().await.unwrap();
    let new = moved(kehl, &old);
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
    let asked = havenctl(strasbourg, &["node", "contact", &new]).await.unwrap();
    assert!(asked.code == 2 && asked.err.contains("de-kehl"), "whom it found is asked about: {asked:?}");
    assert_eq!(ctl_refused(strasbourg, &["node", "contact", &old, "--yes"]).await.unwrap(), "PEER_UNREACHABLE");
    let kept = ctl(strasbourg, &["node", "contact", &new, "--yes"]).await.unwrap();
    assert!(kept.starts_with(&format!("de-kehl is reached at {new}")), "{kept}");
    let record = publish(strasbourg, &[kehl.id()]).await.unwrap();
    until_delivered(strasbourg, kehl.id(), &[record], DeliveryState::Delivered).await;
}
