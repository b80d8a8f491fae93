//! Disks of most stewards are lost, their keys and backups are there: the command that the doctor names brings the order back,
//! run as it stands, at each steward.

use havenlink::demo::city::City;
use havenlink_tests::federation::{Federation, ctl, ctl_refused};
use havenlink_tests::tools::havenctl;
use havenlink_tests::wait::eventually;

use crate::steps::*;

/// The disk is lost, and restored from the backup of a moment ago.
async fn restored(city: &mut City) {
    let backups = city.dir.join("backups");
    city.once(&["backup", text(&backups)]).await.unwrap();
    lose_disk(city).await.unwrap();
    city.once(&["restore", text(&backups)]).await.unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
}

/// What the doctor at this city says helps, once it finds that no majority can form again.
async fn advised(city: &City) -> Vec<String> {
    let remedy = eventually(&format!("the doctor at {} names the way", city.id()), PATIENCE, || async {
        let said = havenctl(city, &["doctor", "-o", "json"]).await.unwrap();
        let said: serde_json::Value = serde_json::from_str(&said.out).ok()?;
        let votes = said["checks"].as_array()?.iter().find(|check| check["name"] == "votes")?.clone();
        let remedy = votes["remedy"].as_str()?.to_owned();
        (votes["result"] == "CRITICAL" && remedy.contains("steward refound")).then_some(remedy)
    })
    .await;
    let command = remedy.split(',').next().unwrap();
    command.split_whitespace().skip(1).map(str::to_owned).chain(["--yes".to_owned()]).collect()
}

async fn follows_advice(city: &City) -> String {
    let command = advised(city).await;
    ctl(city, &command.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap()
}

/// A change is decided again, and all come to stand on one head. Meanwhile what stood above the base is decided again as well, the
/// admission of whoever asks here perhaps among it.
async fn decides_again(cities: &[City], by: usize) {
    let asks = &cities[by];
    let address = eventually("it is a member on the new line", PATIENCE, || async {
        Some(member(asks, asks.id()).await.ok()?.entry?.endpoints[0].clone())
    });
    ctl_decided(asks, &["node", "update", "--endpoint", &address.await]).await.unwrap();
    let number = asks.status().await.unwrap().register_number;
    eventually("all stand on one fresh head", PATIENCE, || async {
        let mut heads = Vec::new();
        for city in cities {
            let now = city.status().await.ok()?;
            heads.extend((now.fresh && now.register_number >= number).then_some(now.register_head));
        }
        (heads.len() == cities.len() && heads.windows(2).all(|pair| pair[0] == pair[1])).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sole_steward_whose_disk_was_lost_goes_on_by_one_command() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    assert_eq!(ctl_refused(&federation.cities[0], &["steward", "refound"]).await.unwrap(), "REFOUNDING_NOT_NEEDED");
    restored(&mut federation.cities[0]).await;
    let done = follows_advice(&federation.cities[0]).await;
    assert!(done.contains("begun"), "{done}");
    decides_again(&federation.cities, 1).await;
    decides_again(&federation.cities, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stewards_of_which_one_disk_was_lost_go_on_by_the_same_command_at_both() {
    let mut federation = Federation::found(3, 2, "").await.unwrap();
    restored(&mut federation.cities[1]).await;
    let first = follows_advice(&federation.cities[0]).await;
    assert!(first.contains("signed here") && first.contains(federation.cities[1].id()), "{first}");
    let second = follows_advice(&federation.cities[1]).await;
    assert!(second.contains("begun"), "{second}");
    decides_again(&federation.cities, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_stewards_of_which_two_disks_were_lost_go_on_by_the_same_command_at_all() {
    let mut federation = Federation::found(3, 3, "").await.unwrap();
    for lost in [1, 2] {
        restored(&mut federation.cities[lost]).await;
    }
    for city in &federation.cities {
        follows_advice(city).await;
    }
    decides_again(&federation.cities, 2).await;
}
