//! README's own commands: each one in a block is run, and none is there that this test does not know how to run.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use havenlink::demo::ports;
use havenlink_tests::federation::built;
use havenlink_tests::wait::eventually;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(60);

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

/// The lines of each `sh` block.
fn blocks() -> Vec<Vec<String>> {
    let text = readme();
    let fenced = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    fenced.map(|block| block.trim().lines().map(str::to_owned).collect()).collect()
}

#[test]
fn every_block_is_one_of_those_that_are_run() {
    let blocks = blocks();
    let firsts: Vec<&str> = blocks.iter().map(|b| b[0].as_str()).collect();
    assert_eq!(firsts, [DEMO, "tests/run", "# Strasbourg, the first steward"], "a new block needs a test");
    assert!(blocks[..2].iter().all(|b| b.len() == 1));
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("run").exists());
}

const DEMO: &str = "cargo run --release --bin havenlink -- demo";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_plays_and_names_three_commands_that_work() {
    let arguments: Vec<String> = DEMO.split(" -- ").nth(1).unwrap().split(' ').map(str::to_owned).collect();
    let mut demo = bare(Command::new(built("havenlink").unwrap()));
    let mut demo = demo.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut printed = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut commands = Vec::new();
    let reading = async {
        while let Some(line) = printed.next_line().await.unwrap() {
            assert!(!line.contains('✗'), "{line}");
            if let Some(command) = line.trim().strip_prefix("havenctl ") {
                commands.push(command.to_owned());
            }
            if line.starts_with("Ctrl-C") {
                return;
            }
        }
        panic!("the demo ended by itself");
    };
    tokio::time::timeout(4 * PATIENCE, reading).await.expect("the demo plays in time");
    assert_eq!(commands.len(), 3, "{commands:?}");
    for command in commands {
        let mut tool = bare(Command::new(built("havenctl").unwrap()));
        let done = tool.args(command.split(' ')).output().await.unwrap();
        assert!(done.status.success() && done.stdout.len() > 50, "{command}: {done:?}");
    }
    let pid = rustix::process::Pid::from_raw(demo.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = tokio::time::timeout(PATIENCE, demo.wait()).await.expect("Ctrl-C ends it").unwrap();
    assert!(ended.success(), "{ended}");
}

/// A command without this process's own settings.
fn bare(mut command: Command) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HAVENLINK_") || name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command
}

/// One city's machine: the binaries, a folder, and nothing configured.
struct Machine {
    dir: PathBuf,
    port: u16,
    node: Option<Child>,
}

impl Machine {
    fn new(root: &Path, name: &str) -> Self {
        let dir = root.join(name);
        for folder in ["data", "run", "etc"] {
            std::fs::create_dir_all(dir.join(folder)).unwrap();
        }
        Self { dir, port: ports::free().unwrap(), node: None }
    }

    fn shell(&self, line: &str) -> Command {
        let binaries = built("havenlink").unwrap();
        let path = format!("{}:{}", binaries.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut command = bare(Command::new("sh"));
        command
            .args(["-c", line])
            .env("PATH", path)
            .env("HAVENLINK_CONFIG", self.dir.join("etc/node.toml"))
            .env("HAVENLINK_DATA_DIR", self.dir.join("data"))
            .env("HAVENLINK_RUN_DIR", self.dir.join("run"))
            .env("HAVENLINK_SOCKETS", self.dir.join("run"))
            // Both cities are on one machine here: each its own port instead of 7443.
            .env("HAVENLINK_LISTEN", format!("127.0.0.1:{}", self.port))
            .env("HAVENLINK_HTTP", "off")
            .kill_on_drop(true);
        command
    }

    async fn start(&mut self) {
        let log = std::fs::File::create(self.dir.join("node.log")).unwrap();
        self.node = Some(self.shell("exec havenlink run").stdin(Stdio::null()).stderr(log).spawn().unwrap());
        let socket = self.dir.join("run/operator.sock");
        eventually("the node's socket", PATIENCE, || async { socket.exists().then_some(()) }).await;
    }

    async fn run(&self, line: &str, typed: &str) -> std::process::Output {
        let mut child = self.shell(line);
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stdin, typed.as_bytes()).await.unwrap_or_default();
        drop(stdin);
        tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap()
    }

    /// A proposal takes a moment to arrive, and so does the end of waiting for approval: the local sockets close and open
    /// again then, and who signs in between may meet any failure (signing twice signs once). All else works at once.
    async fn run_in_time(&self, command: &str, typed: &str) -> std::process::Output {
        let signs = command.contains("agreement sign");
        eventually(command, PATIENCE, || async {
            let done = self.run(command, typed).await;
            let told = String::from_utf8_lossy(&done.stderr).into_owned();
            let early = ["AGREEMENT_NOT_FOUND", "NODE_NOT_REACHABLE", "JOIN_PENDING"].iter().any(|r| told.contains(r));
            if signs && !done.status.success() {
                println!("{command}: {told}");
                return None;
            }
            (!early).then_some(done)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_real_cities_in_short() {
    let root = tempfile::tempdir().unwrap();
    let mut machines = BTreeMap::from(["strasbourg", "kehl"].map(|n| (n.to_owned(), Machine::new(root.path(), n))));
    let addresses: Vec<(String, String)> =
        machines.iter().map(|(n, m)| (format!("{n}.example:7443"), format!("127.0.0.1:{}", m.port))).collect();
    let mut at = String::new();
    let (mut token, mut words, mut id) = (String::new(), String::new(), String::new());
    for line in blocks().pop().unwrap() {
        if let Some(comment) = line.strip_prefix("# ") {
            at = comment.split([',', ' ']).next().unwrap().to_lowercase();
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let machine = machines.get_mut(&at).unwrap_or_else(|| panic!("whose machine is {at}?"));
        if line == "systemctl start havenlink" {
            machine.start().await;
            continue;
        }
        assert!(line.starts_with("havenlink ") || line.starts_with("havenctl "), "how is this run? {line}");
        let mut command = line.replace("TOKEN", &token).replace(" ID", &format!(" {id}"));
        for (named, here) in &addresses {
            command = command.replace(named, here);
        }
        let done = machines[&at].run_in_time(&command, &format!("{words}\n")).await;
        let out = String::from_utf8(done.stdout.clone()).unwrap();
        assert!(done.status.success(), "{at}$ {command}\n{done:?}");
        let six = |l: &&str| l.starts_with("  ") && l.split_whitespace().count() == 6;
        if line.contains("invite create") {
            token = out.trim().to_owned();
        } else if line.contains("havenlink join") {
            words = out.lines().find(six).unwrap().trim().to_owned();
        } else if line.contains("agreement propose") {
            let hex = |w: &&str| w.len() == 64 && w.bytes().all(|b| b.is_ascii_hexdigit());
            id = out.split_whitespace().find(hex).unwrap().to_owned();
        }
        let _ = writeln!(std::io::stdout(), "{at}$ {line}");
    }
    // What the text names beside its blocks.
    for inline in readme().split('`').skip(1).step_by(2).filter(|span| span.starts_with("havenctl ")) {
        let command = inline.replace("REASON", "AGREEMENT_NOT_IN_FORCE");
        let done = machines["strasbourg"].run(&command, "").await;
        assert!(done.status.success(), "{inline}: {done:?}");
    }
    let agreed = eventually("in force on both sides", PATIENCE, || async {
        let mut in_force = 0;
        for machine in machines.values() {
            let listed = machine.run("havenctl agreement list", "").await;
            in_force += usize::from(String::from_utf8_lossy(&listed.stdout).contains("IN_FORCE"));
        }
        (in_force == 2).then_some(())
    });
    agreed.await;
    for machine in machines.values_mut() {
        machine.node.take().unwrap().kill().await.unwrap();
    }
}
