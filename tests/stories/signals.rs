//! What the system asks of a node and of the demo: to end, to read its configuration again; and what a killed demo leaves.

use std::path::Path;
use std::process::Stdio;

use havenlink::demo::city::PATIENCE;
use havenlink::demo::sample::CITIES;
use havenlink_proto::admin::v1::NodeState;
use havenlink_tests::federation::{Federation, built, ctl};
use havenlink_tests::peer::address_of;
use havenlink_tests::rest::Watched;
use havenlink_tests::tools::havenctl;
use havenlink_tests::wait::eventually;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::typed::moved;

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// Processes that run a node of this folder.
fn nodes_of(folder: &Path) -> usize {
    let folder = folder.display().to_string();
    let commands = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let command = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command).replace('\0', " "))
    });
    commands.filter(|command| command.contains(" run ") && command.contains(&folder)).count()
}

fn logged(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap()
}

async fn until_logged(log: &Path, what: &str) -> String {
    eventually(what, PATIENCE, || async { Some(logged(log)).filter(|text| text.contains(what)) }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_node_outlives_the_demo_whatever_ends_it() {
    for how in [Signal::TERM, Signal::HUP, Signal::INT, Signal::KILL] {
        let folder = tempfile::tempdir().unwrap();
        let mut demo = Command::new(built("havenlink").unwrap());
        demo.args(["demo", "--dir"]).arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut demo = demo.kill_on_drop(true).spawn().unwrap();
        eventually("three nodes", PATIENCE, || async { (nodes_of(folder.path()) == 3).then_some(()) }).await;
        signal(demo.id().unwrap(), how);
        let ended = tokio::time::timeout(PATIENCE, demo.wait()).await.expect("the demo ends").unwrap();
        assert!(!ended.success(), "{how:?}: its play was cut short");
        eventually(&format!("no node after {how:?}"), PATIENCE, || async {
            (nodes_of(folder.path()) == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_reads_the_configuration_again_and_says_what_needs_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let mut city = Watched::prepare(root.path(), &CITIES[0], &built("havenlink").unwrap()).unwrap();
    let (file, quiet) = (city.dir.join("node.toml"), "log.level = \"warn\"");
    let info = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, info.replace("log.level = \"info\"", quiet)).unwrap();
    city.once(&["init"]).await.unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
    let pid = city.pid().unwrap();
    let log = city.dir.join("node.log");
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(!logged(&log).contains("the node runs"), "warnings only: {}", logged(&log));

    let after = before.replace("log.level = \"warn\"", "log.level = \"info\"").replace("Strasbourg", "Straßburg");
    std::fs::write(&file, format!("{after}budget.rows_per_day = 7\nworker_threads = 3\n")).unwrap();
    signal(pid, Signal::HUP);
    let said = until_logged(&log, "havenctl node update").await;
    for line in ["\"log.level, budget.rows_per_day\"", "keys=worker_threads", "keys=names"] {
        assert!(said.contains(line), "{line} not in {said}");
    }
    assert!(said.contains("systemctl restart havenlink"), "{said}");

    std::fs::write(&file, format!("{after}budgt.rows_per_day = 7\n")).unwrap();
    signal(pid, Signal::HUP);
    let said = until_logged(&log, "CONFIG_INVALID").await;
    assert!(said.contains("did you mean budget.rows_per_day?"), "{said}");
    assert_eq!(city.status().await.unwrap().state(), NodeState::Ready);
    assert_eq!(city.pid(), Some(pid));
    assert!(city.stop().await.unwrap().unwrap().success(), "and SIGTERM ends it well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applicant_that_waits_goes_on_waiting_after_sighup() {
    let federation = Federation::found(1, 1, "").await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let mut kehl = Watched::prepare(root.path(), &CITIES[1], &built("havenlink").unwrap()).unwrap();
    let invite = ["invite", "create", "--for", "de-kehl"];
    let token = havenctl(&federation.cities[0], &invite).await.unwrap().fine();
    kehl.once(&["join", token.trim()]).await.unwrap();
    kehl.start().unwrap();
    kehl.until("it waits", |status| status.state() == NodeState::NeedsApproval).await.unwrap();
    let file = kehl.dir.join("node.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("log.level = \"info\"", "log.level = \"debug\"")).unwrap();
    signal(kehl.pid().unwrap(), Signal::HUP);
    until_logged(&kehl.dir.join("node.log"), "the configuration was read again").await;
    kehl.until("it waits still", |status| status.state() == NodeState::NeedsApproval).await.unwrap();
    assert!(kehl.stop().await.unwrap().unwrap().success());
}

/// Both moved while the line was down, and Kehl's operator was told the steward's new address: it goes into the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_asks_the_contacts_that_the_file_names_now() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two cities") };
    let (first, second) = (address_of(strasbourg).await.unwrap(), address_of(kehl).await.unwrap());
    for city in [&mut *strasbourg, &mut *kehl] {
        city.stop().await.unwrap();
    }
    let (first, second) = (first.to_string(), second.to_string());
    let (new, _) = (moved(strasbourg, &first), moved(kehl, &second));
    strasbourg.start().unwrap();
    strasbourg.ready().await.unwrap();
    ctl(strasbourg, &["node", "update", "--endpoint", &new]).await.unwrap();
    let number = strasbourg.status().await.unwrap().register_number;
    kehl.start().unwrap();
    let before = kehl.until("its door is open", |_| true).await.unwrap();
    assert!(before.register_number < number, "it knows the old address alone: {before:?}");

    let contacts = kehl.dir.join("data/contacts");
    let text = std::fs::read_to_string(&contacts).unwrap();
    assert!(text.contains(&first), "{text}");
    std::fs::write(&contacts, text.replace(&first, &new)).unwrap();
    signal(kehl.pid().unwrap(), Signal::HUP);
    kehl.until("it follows the steward again", |status| status.register_number >= number).await.unwrap();
}
