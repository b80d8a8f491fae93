//! Root works on a node that belongs to another user: nothing that it leaves keeps the node from starting.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Stdio;

use havenlink::demo::city::City;
use havenlink::demo::sample::CITIES;
use havenlink::domain::reason::Reason;
use havenlink_tests::federation::built;
use havenlink_tests::refused::assert_refused;
use havenlink_tests::rest::Watched;
use havenlink_tests::tools::{Ran, havenlink, skipped};
use havenlink_tests::wait::eventually;
use tokio::process::{Child, Command};

use crate::steps::{PATIENCE, text};

const NODE: u32 = 54_321;
const SOMEBODY: u32 = 54_322;

/// The node's binary as a user of this machine would start it: a copy, for this build may stand where only root may look.
fn as_user(uid: u32, city: &City, arguments: &[&str]) -> Command {
    let mut command = Command::new(city.dir.with_file_name("havenlink"));
    command.args(arguments).arg("--config").arg(city.dir.join("node.toml"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HAVENLINK_")) {
        command.env_remove(name);
    }
    command.uid(uid).gid(uid).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn ran_as(uid: u32, city: &City, arguments: &[&str]) -> Ran {
    let done = as_user(uid, city, arguments).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: done.status.code().unwrap_or(-1), out: text(done.stdout), err: text(done.stderr) }
}

async fn started(city: &City) -> Child {
    let mut node = as_user(NODE, city, &["run"]).stderr(Stdio::piped()).spawn().unwrap();
    let ready = eventually("the node runs", PATIENCE, || {
        let ended = node.try_wait().unwrap();
        async move {
            assert_eq!(ended, None, "it starts");
            city.status().await.ok()
        }
    });
    ready.await;
    node
}

async fn stopped(mut node: Child) {
    let pid = rustix::process::Pid::from_raw(node.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(node.wait().await.unwrap().success());
}

fn folder(path: &Path, owner: u32) {
    std::fs::create_dir_all(path).unwrap();
    chown(path, Some(owner), Some(owner)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_root_does_to_a_nodes_files_leaves_them_the_nodes() {
    if !rustix::process::geteuid().is_root() {
        return skipped("other_user: needs root");
    }
    let root = tempfile::tempdir().unwrap();
    std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let city = Watched::prepare(root.path(), &CITIES[0], &built("havenlink").unwrap()).unwrap();
    std::fs::copy(built("havenlink").unwrap(), city.dir.with_file_name("havenlink")).unwrap();
    let (backups, own) = (city.dir.join("backups"), city.dir.join("own"));
    for (path, owner) in [(city.dir.join("data"), NODE), (city.sockets(), NODE), (own.clone(), NODE)] {
        folder(&path, owner);
    }

    assert_refused(&havenlink(&city, &["check"]).await.unwrap(), Reason::NotJoined);
    havenlink(&city, &["init"]).await.unwrap().fine();
    assert_refused(&havenlink(&city, &["run"]).await.unwrap(), Reason::WrongUser);
    let node = started(&city).await;
    // What the node's user may not look into, since the memory of the node has its keys, is root's.
    let status = std::fs::metadata(format!("/proc/{}/status", node.id().unwrap())).unwrap();
    assert_eq!(status.uid(), 0, "the node's own user reads its memory");
    // Beside the running node, by root, by its own user, and by somebody who may not.
    havenlink(&city, &["backup", text(&backups)]).await.unwrap().fine();
    ran_as(NODE, &city, &["backup", text(&own)]).await.fine();
    let looked = havenlink(&city, &["check"]).await.unwrap().fine();
    assert!(looked.contains("the running node has it open") && looked.contains("store          fine"), "{looked}");
    assert_refused(&ran_as(SOMEBODY, &city, &["check"]).await, Reason::WrongUser);
    assert_refused(&ran_as(SOMEBODY, &city, &["backup", "/tmp"]).await, Reason::WrongUser);
    stopped(node).await;

    // Over what is there, and for a lost disk.
    for lost in [false, true] {
        if lost {
            for entry in std::fs::read_dir(city.dir.join("data")).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
            }
        }
        let restored = havenlink(&city, &["restore", text(&backups)]).await.unwrap().fine();
        assert!(restored.contains(".backup, made 2"), "it says which: {restored}");
        havenlink(&city, &["check"]).await.unwrap().fine();
        stopped(started(&city).await).await;
        ran_as(NODE, &city, &["backup", text(&own)]).await.fine();
    }

    // One lost file of many is no empty directory.
    std::fs::remove_file(city.dir.join("data/authority.key")).unwrap();
    assert_refused(&havenlink(&city, &["check"]).await.unwrap(), Reason::AuthorityKeyLost);
    let init = havenlink(&city, &["init"]).await.unwrap();
    assert_refused(&init, Reason::AlreadyJoined);
    assert!(init.err.contains("havenlink recover"), "{init:?}");
}
