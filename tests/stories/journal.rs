//! A day of two cities, read in the journal of one of them: who joined, what was agreed, who was lost and came back, who was
//! shut out, who flooded; and no word of what was shared. The same as each role follows it.

use std::time::Duration;

use havenlink::demo::acts::request_id;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink_proto::local::v1::PublishRecordRequest;
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use havenlink_proto::record::v1::{Purpose, Tlp};
use havenlink_tests::federation::Federation;
use havenlink_tests::intruder::{Intruder, address_of};
use havenlink_tests::tools::havenlink;
use havenlink_tests::wait::eventually;

use crate::followed::{self, Follower};
use crate::steps::*;

/// A word that stands in what is shared, and nowhere else.
const CANARY: &str = "Kanarienvogel";
/// Calls of a flood.
const CALLS: usize = 2_000;
/// The most that a log grows under one, in bytes: a MB a minute, and a flood here takes less than that.
const MOST_GROWTH: usize = 1 << 16;

fn log(city: &City) -> String {
    std::fs::read_to_string(city.dir.join("node.log")).unwrap()
}

/// The lines of the journal, from `event=` on.
fn journal(city: &City) -> Vec<String> {
    log(city).lines().filter_map(|line| Some(line[line.find(" event=")? + 7..].to_owned())).collect()
}

/// Waits until the journal has lines that begin with these, in this order, after so many lines; gives where the last one is.
async fn tells(city: &City, after: usize, events: &[&str]) -> usize {
    let what = format!("the journal of {} goes on with {events:?}", city.id());
    eventually(&what, PATIENCE * 2, || async {
        let mut at = after;
        let lines = journal(city);
        for event in events {
            at += lines.get(at..)?.iter().position(|line| line.starts_with(event))? + 1;
        }
        Some(at)
    })
    .await
}

async fn says_something(from: &City, to: &City) {
    let mut alert = sample::advert_alert();
    alert.summary[0].text = format!("{CANARY}: cleaning jobs with lodging.");
    let request = PublishRecordRequest {
        request_id: request_id(),
        sharing: Some(sample::sharing(&[to.id()], Purpose::Prevention, Tlp::Green)),
        content: Some(alert.into()),
        ..Default::default()
    };
    from.publisher().await.unwrap().publish_record(request).await.unwrap();
}

/// Greets as often as a flood does; gives by how much the log has grown.
async fn floods(intruder: &Intruder, at: &City) -> usize {
    let before = log(at).len();
    let channel = intruder.channel(&address_of(at).await.unwrap()).unwrap();
    let greeting = intruder.greeting(at.id());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (mut client, greeting) = (ExchangeServiceClient::new(channel.clone()), greeting.clone());
        calls.spawn(async move {
            for _ in 0..CALLS / 20 {
                _ = client.greet(greeting.clone()).await;
            }
        });
    }
    while let Some(called) = calls.join_next().await {
        called.unwrap();
    }
    log(at).len() - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_two_cities_reads_as_a_story() {
    let mut federation = Federation::found(2, 1, "budget.calls_per_second = 50\n").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two cities") };
    let joined =
        ["MEMBER_INVITED", "APPLICATION_RECEIVED", "MEMBER_JOINED"].map(|event| format!("{event} authority=de-kehl"));
    let joined: Vec<&str> = joined.iter().map(String::as_str).collect();
    // What different places tell of one act may come in another order by a moment.
    tells(strasbourg, 0, &["NODE_RUNS authority=fr-strasbourg", "NODE_READY"]).await;
    tells(strasbourg, 0, &joined).await;
    tells(strasbourg, 0, &["MEMBER_APPROVED authority=de-kehl role=OPERATOR"]).await;
    let at = tells(strasbourg, 0, &["AGREEMENT_PROPOSED", "AGREEMENT_IN_FORCE"]).await;

    let (mut coordinator, mut operator) =
        (Follower::of(strasbourg, "coordinator"), Follower::of(strasbourg, "operator"));
    says_something(strasbourg, kehl).await;
    let published = coordinator.until("PUBLISHED").await;
    assert_eq!((published["record_kind"].as_str(), published["count"].as_i64()), (Some("ALERT"), Some(1)));
    let intruder = Intruder::with_keys_of(kehl).await.unwrap();
    kehl.kill().await.unwrap();
    says_something(strasbourg, kehl).await;
    let at = tells(strasbourg, at, &["PARTNER_LOST authority=de-kehl"]).await;
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
    let at = tells(strasbourg, at, &["PARTNER_BACK authority=de-kehl"]).await;

    let folder = tempfile::tempdir().unwrap();
    havenlink(strasbourg, &["backup", text(folder.path())]).await.unwrap().fine();
    let at = tells(strasbourg, at, &["BACKUP_MADE"]).await;

    let grown = floods(&intruder, strasbourg).await;
    let at = tells(strasbourg, at, &["FLOOD authority=de-kehl reason=BUDGET_EXHAUSTED count="]).await;
    assert!(grown < MOST_GROWTH, "{grown} bytes under a flood");

    ctl_decided(strasbourg, &["member", "suspend", "de-kehl", "--reason", "own-request", "--yes"]).await.unwrap();
    let shut_out = ["NOW_SUSPENDED authority=de-kehl"];
    tells(strasbourg, at, &["MEMBER_SUSPENDED authority=de-kehl role=OPERATOR"]).await;
    let at = tells(strasbourg, at, &shut_out).await;
    let grown = floods(&intruder, strasbourg).await;
    tells(strasbourg, at - 1, &["REFUSED authority=de-kehl reason=MEMBER_SUSPENDED"]).await;
    assert!(grown < MOST_GROWTH, "{grown} bytes under a flood of one who is suspended");
    let refused = journal(strasbourg).iter().filter(|line| line.starts_with("REFUSED authority=de-kehl")).count();
    assert!(refused <= 3, "{refused} lines tell that Kehl is refused");

    // How often it was follows when the minute is over; most calls end with the connection that is refused.
    let counted = eventually("the count follows", Duration::from_secs(90), || async {
        let lines = journal(strasbourg);
        let counts = lines.iter().filter(|line| line.starts_with("REFUSED authority=de-kehl reason=MEMBER_SUSPENDED"));
        let counts = counts.filter_map(|line| line.rsplit_once("count=")?.1.parse::<usize>().ok());
        Some(counts.sum::<usize>()).filter(|counted| *counted > refused)
    });
    println!("{} refusals are counted", counted.await);
    assert_eq!(coordinator.until("NOW_SUSPENDED").await["authority"], "de-kehl");
    assert_eq!(operator.until("FLOOD").await["reason"], "BUDGET_EXHAUSTED");
    followed::each_role_is_told_what_concerns_it(strasbourg, CANARY).await;
    followed::a_shell_knows_what_the_role_may_read(strasbourg).await;
    assert_eq!(coordinator.interrupted().await, (Some(0), String::new()), "Ctrl-C is an end like any other");
    strasbourg.stop().await.unwrap();
    let (code, said) = operator.ended().await;
    assert!(code == Some(6) && said.contains("error[NODE_STOPPING]"), "{code:?}: {said}");
    followed::a_shell_without_a_node_is_told_nothing(strasbourg).await;
    strasbourg.start().unwrap();
    strasbourg.ready().await.unwrap();
    followed::a_restart_is_an_event(strasbourg).await;
    for city in [&*strasbourg, &*kehl] {
        println!("the journal of {}:\n{}", city.id(), journal(city).join("\n"));
        assert!(!log(city).contains(CANARY), "what was shared stands in the log of {}", city.id());
    }
}
