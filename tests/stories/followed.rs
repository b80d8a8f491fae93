//! A day that was made somewhere else, as each role of the city follows it with `havenctl events`: what concerns it, nothing that
//! concerns others alone, and no word of what was shared. And what a shell offers there.

use std::process::Stdio;

use havenlink::demo::city::City;
use havenlink_tests::federation::built;
use havenlink_tests::tools::{Ran, havenctl, shell};
use havenlink_tests::wait::eventually;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::steps::PATIENCE;

/// A person who looks on.
pub struct Follower {
    running: Child,
    told: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    /// From now on, as this role.
    pub fn of(city: &City, role: &str) -> Self {
        let mut command = Command::new(built("havenctl").unwrap());
        command.args(["--role", role, "events", "--follow", "-o", "jsonl", "--since", "1h"]);
        command.env("HAVENLINK_SOCKETS", city.sockets()).stdin(Stdio::null());
        let mut running =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("havenctl starts");
        let told = BufReader::new(running.stdout.take().expect("piped")).lines();
        Self { running, told }
    }

    /// Reads on until this kind was told; gives the event.
    pub async fn until(&mut self, kind: &str) -> serde_json::Value {
        let found = async {
            loop {
                let line = self.told.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended before {kind}"));
                let event: serde_json::Value = serde_json::from_str(&line).unwrap();
                if event["kind"] == kind {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{kind} was never told"))
    }

    /// Ctrl-C; gives the exit code and what was said to the person.
    pub async fn interrupted(self) -> (Option<i32>, String) {
        let pid = self.running.id().and_then(|pid| Pid::from_raw(pid.try_into().unwrap())).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(self) -> (Option<i32>, String) {
        let ended = tokio::time::timeout(PATIENCE, self.running.wait_with_output()).await.expect("it ends").unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    }
}

async fn events(city: &City, role: &str) -> Ran {
    havenctl(city, &["--role", role, "events", "-o", "jsonl"]).await.unwrap()
}

/// The kinds that a role is told of, in their order.
async fn kinds(city: &City, role: &str) -> Vec<String> {
    let told = events(city, role).await.fine();
    let kind =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].as_str().unwrap().to_owned();
    told.lines().map(kind).collect()
}

/// Strasbourg, after it has agreed, published, lost and found its partner, was flooded, and suspended it.
pub async fn each_role_is_told_what_concerns_it(city: &City, canary: &str) {
    let case = ["--role", "data-protection", "referral", "disclosures", "--case", "CASE-17"];
    havenctl(city, &case).await.unwrap().fine();
    let has = [
        ("operator", &["NODE_RUNS", "MEMBER_APPROVED", "PARTNER_LOST", "FLOOD", "REFUSED", "MEMBER_SUSPENDED"][..]),
        (
            "coordinator",
            &["NODE_RUNS", "AGREEMENT_IN_FORCE", "PUBLISHED", "DISCLOSED", "PARTNER_LOST", "NOW_SUSPENDED"],
        ),
        ("publisher", &["NODE_RUNS", "AGREEMENT_IN_FORCE", "PUBLISHED", "PARTNER_LOST", "NOW_SUSPENDED"]),
        ("consumer", &["NODE_RUNS", "NOW_SUSPENDED"]),
        ("data-protection", &["NODE_RUNS", "AGREEMENT_IN_FORCE", "DISCLOSED", "READ_FOR_PERSON", "MEMBER_SUSPENDED"]),
    ];
    let not = [
        ("operator", &["PUBLISHED", "DISCLOSED", "READ_FOR_PERSON"][..]),
        ("coordinator", &["FLOOD", "REFUSED", "MEMBER_SUSPENDED", "READ_FOR_PERSON"]),
        ("publisher", &["FLOOD", "REFUSED", "READ_FOR_PERSON", "MEMBER_APPROVED"]),
        ("consumer", &["FLOOD", "AGREEMENT_IN_FORCE", "READ_FOR_PERSON"]),
        ("data-protection", &["FLOOD", "PARTNER_LOST", "MEMBER_APPROVED", "BACKUP_MADE"]),
    ];
    for ((role, has), (_, not)) in has.iter().zip(not) {
        let all_of_it = || async {
            let told = kinds(city, role).await;
            has.iter().all(|kind| told.iter().any(|one| one == kind)).then_some(told)
        };
        let told = eventually(&format!("{role} is told of {has:?}"), PATIENCE, all_of_it).await;
        assert_eq!(told[0], "NODE_RUNS", "{role}: it begins where the node did");
        let others: Vec<_> = not.iter().filter(|kind| told.iter().any(|one| one == *kind)).collect();
        assert!(others.is_empty(), "{role} is told of {others:?}");
        for form in ["table", "json", "csv"] {
            let shown = havenctl(city, &["--role", role, "events", "-o", form]).await.unwrap().fine();
            assert!(!shown.contains(canary), "{role}: {shown}");
            assert!(!shown.contains("CASE-17"), "{role}: {shown}");
        }
    }
    let found = havenctl(city, &["events", "--kind", "READ_FOR_PERSON", "-o", "jsonl"]).await.unwrap().fine();
    assert!(found.contains("READ_FOR_PERSON"), "the role that it is for is found: {found}");
    let refused = havenctl(city, &["--role", "operator", "events", "--kind", "ERASED"]).await.unwrap();
    assert_eq!(refused.code, 3, "what is for others is refused by name: {refused:?}");
    assert!(refused.err.contains("METHOD_NOT_OPEN"), "{refused:?}");
    let one = havenctl(city, &["events", "--kind", "partner-lost", "-o", "csv"]).await.unwrap().fine();
    assert!(
        one.starts_with("time,event,authority,") && one.lines().skip(1).all(|l| l.contains("PARTNER_LOST,de-kehl"))
    );
}

/// After the node was started again: nothing of before, and it says so.
pub async fn a_restart_is_an_event(city: &City) {
    let ran = havenctl(city, &["events", "--since", "2h"]).await.unwrap();
    assert!(ran.err.contains("known since "), "{ran:?}");
    assert!(!ran.out.contains("PARTNER_LOST") && ran.out.contains("NODE_RUNS"), "{ran:?}");
}

/// What bash is offered for the last word of a line.
async fn offered(city: &City, words: &[&str]) -> Vec<String> {
    let line: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let asks =
        format!("HAVENCTL_COMPLETE=bash _CLAP_COMPLETE_INDEX={} havenctl -- {}", words.len() - 1, line.join(" "));
    let ran = shell(city, &asks).await.unwrap();
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{words:?}: {ran:?}");
    ran.out.lines().map(str::to_owned).collect()
}

/// Members, and agreements to who may list them.
pub async fn a_shell_knows_what_the_role_may_read(city: &City) {
    let ends_eventually =
        || async { Some(offered(city, &["havenctl", "member", "suspend", "de"]).await).filter(|o| !o.is_empty()) };
    assert_eq!(eventually("a node that answers in time", PATIENCE, ends_eventually).await, ["de-kehl"]);
    let agreement = ["havenctl", "agreement", "end", ""];
    let of = |role: &'static str| [&agreement[..1], &["--role", role], &agreement[1..]].concat();
    let listed = havenctl(city, &["agreement", "list", "-o", "json"]).await.unwrap().fine();
    let id = serde_json::from_str::<serde_json::Value>(&listed).unwrap()["agreements"][0]["agreement_id"].clone();
    let short = id.as_str().unwrap()[..12].to_owned();
    let told = || async { Some(offered(city, &of("operator")).await).filter(|words| words.contains(&short)) };
    eventually("the agreement is offered", PATIENCE, told).await;
    let closed = offered(city, &of("consumer")).await;
    assert!(!closed.contains(&short), "a consumer lists no agreements: {closed:?}");
}

/// No node, no words of one, and no error.
pub async fn a_shell_without_a_node_is_told_nothing(city: &City) {
    assert_eq!(offered(city, &["havenctl", "member", "suspend", "de"]).await, [""; 0]);
    assert_eq!(offered(city, &["havenctl", "member", "susp"]).await, ["suspend"], "the line itself is known");
}
