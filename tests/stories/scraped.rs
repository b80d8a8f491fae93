//! What the alert rules and the dashboard ask Prometheus for is told by a node that runs.

use std::collections::BTreeSet;
use std::path::Path;

use havenlink::demo::city::City;
use havenlink_tests::federation::Federation;
use havenlink_tests::wait::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::steps::{PATIENCE, again_with};

/// Metrics that a file of `deploy/prometheus` names.
fn asked(file: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("havenlink_"));
    // A histogram is asked for by its parts.
    let whole =
        |name: &str| ["_bucket", "_sum"].iter().fold(name.to_owned(), |n, part| n.trim_end_matches(part).to_owned());
    names.map(whole).collect()
}

/// The node again, with its numbers on a port of this machine; gives which.
pub async fn told_at(city: &mut City) -> String {
    let address = format!("127.0.0.1:{}", havenlink::demo::ports::free().unwrap());
    again_with(city, "http = \"off\"", &format!("http = \"{address}\"")).await;
    address
}

/// The numbers that a node tells there.
pub async fn numbers(address: &str) -> String {
    eventually("the node tells its numbers", PATIENCE, || async {
        let mut socket = tokio::net::TcpStream::connect(address).await.ok()?;
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_metric_that_rules_and_dashboard_ask_for_is_told_by_a_running_node() {
    let mut federation = Federation::found(1, 1, "").await.unwrap();
    let address = told_at(&mut federation.cities[0]).await;
    let told = numbers(&address).await;
    let told: BTreeSet<&str> =
        told.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_whitespace().next()).collect();
    for (file, at_least) in [("havenlink.rules.yml", 8), ("havenlink.dashboard.json", 15)] {
        let asked = asked(file);
        assert!(asked.len() >= at_least, "{file} asks for {asked:?}");
        let missing: Vec<&String> = asked.iter().filter(|name| !told.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "{file} asks for what no node tells: {missing:?}");
    }
}
