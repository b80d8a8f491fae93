//! No core dump of a process that holds keys, whichever command it is.

use std::process::Stdio;

use havenlink::demo::sample::CITIES;
use havenlink_tests::federation::built;
use havenlink_tests::rest::Watched;
use havenlink_tests::wait::eventually;
use tokio::process::Command;

use crate::steps::PATIENCE;

/// What the system says of the size that a core dump of a process may have: soft and hard.
fn core_limit(pid: u32) -> Option<String> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"))?;
    Some(line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_node_nor_a_command_that_waits_leaves_one() {
    let root = tempfile::tempdir().unwrap();
    let mut city = Watched::prepare(root.path(), &CITIES[0], &built("havenlink").unwrap()).unwrap();
    city.once(&["init"]).await.unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
    assert_eq!(core_limit(city.pid().unwrap()).unwrap(), "0 0", "of a node");

    // Each of these waits for what it is given on standard input.
    for arguments in [&["join", "-"][..], &["recover", "-"], &["restore", "none", "--identity", "-"]] {
        let mut command = Command::new(built("havenlink").unwrap());
        command.args(arguments).arg("--config").arg(city.dir.join("node.toml"));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let waiting = command.spawn().unwrap();
        let pid = waiting.id().unwrap();
        let what = format!("no core dump of {arguments:?}");
        eventually(&what, PATIENCE, || async { (core_limit(pid)? == "0 0").then_some(()) }).await;
    }
}
