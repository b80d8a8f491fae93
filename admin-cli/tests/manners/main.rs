//! The binary against a node that plays along: what goes to stdout, what to stderr, which exit code.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod alerts;
mod completing;
mod everything;
mod hints;
mod lists;
mod played;
mod tables;
mod unsettled;

use std::path::Path;

use played::{Played, run_in};

#[test]
fn data_goes_to_stdout_and_hints_to_stderr() {
    let node = Played::new();
    let (code, out, err) = node.run(&["status"]);
    assert_eq!((code, out.lines().next()), (0, Some("fr-strasbourg  READY   member   v0.1.0")));
    assert_eq!(err, "next: havenctl a    havenctl b\n", "two at most");
    let (code, out, err) = node.run(&["status", "-o", "json"]);
    assert_eq!((code, err.as_str()), (0, ""), "programs get no hints");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((json["state"].as_str(), json["register_head"].as_str()), (Some("READY"), Some(&*"ab".repeat(32))));
}

#[test]
fn a_status_has_its_rows_for_a_spreadsheet() {
    let (code, out, err) = Played::new().run(&["status", "-o", "csv"]);
    let head = "about,name,state,count,at\nnode,fr-strasbourg,READY,,\n";
    let register = format!("register,{},FRESH,0,\n", "ab".repeat(32));
    assert_eq!((code, err.as_str(), out), (0, "", format!("{head}{register}backup,,,,\n")));
}

#[test]
fn who_reads_no_further_breaks_nothing() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let mut tool = Command::new(env!("CARGO_BIN_EXE_havenctl"));
    let mut running = tool.args(["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    // What is read ends here, and the pipe with it.
    BufReader::with_capacity(16, running.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ended = running.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(0), ""));
    assert!(first.starts_with("_clap_complete_havenctl()"), "{first}");
}

#[test]
fn a_token_stands_alone_on_stdout() {
    let (code, out, err) = Played::new().run(&["invite", "create", "--for", "de-kehl"]);
    let token = played::TOKEN;
    assert_eq!((code, out.as_str()), (0, format!("{}\n{}\n", &token[..70], &token[70..]).as_str()));
    assert!(
        err.contains("for de-kehl alone") && err.contains("next: over there: havenlink join --token-file"),
        "{err}"
    );
    let (code, out, _) = Played::new().run(&["invite", "create", "--for", "de-kehl", "-o", "csv"]);
    assert_eq!((code, out.contains(token)), (0, true), "a program gets it in one piece: {out}");
}

#[test]
fn what_was_revoked_is_told_to_programs_and_to_people() {
    let node = Played::new();
    let (code, out, err) = node.run(&["invite", "revoke", "0101", "-o", "csv"]);
    assert_eq!((code, out), (0, format!("invitation_id\n{}\n", "01".repeat(32))));
    assert_eq!(err, "revoked: the token is good for nothing now\n");
}

#[test]
fn a_refusal_tells_why_and_what_to_do_and_sets_the_exit_code() {
    let node = Played::new();
    let words = "one two three four five six";
    let (code, out, err) = node.run(&["member", "approve", "de-kehl", "--words", words, "--request-id", "r-1"]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert_eq!(
        err,
        "error[WORDS_DIFFER]: the six words differ\n  request    r-1\n  why        a test says so\n  fix        havenctl status\n"
    );
    let (code, _, err) = node.run(&["member", "restore", "de-kehl"]);
    assert_eq!(code, 3, "the node's exit code, not the status's: {err}");
}

#[test]
fn severe_acts_list_their_consequences_and_want_a_yes() {
    let node = Played::new();
    let (code, _, err) = node.run(&["member", "suspend", "de-kehl", "--reason", "KEY_COMPROMISED"]);
    assert_eq!(code, 2);
    assert!(err.contains("  - for as long as the policy says, 24 h at first, unless"), "{err}");
    assert!(
        err.starts_with("suspend de-kehl:\n  - its connections end at once")
            && err.contains("error[CONFIRMATION_NEEDED]")
    );
    let (code, _, err) = node.run(&["member", "suspend", "de-kehl", "--reason", "KEY_COMPROMISED", "--yes"]);
    assert!(code == 3 && err.contains("error[NOT_A_STEWARD]"), "{err}");
}

#[test]
fn who_agrees_sees_first_to_what_and_confirms_what_is_severe() {
    let node = Played::new();
    let (code, out, err) = node.run(&["member", "approve", "--proposal", "aaaaaa"]);
    assert_eq!((code, out.as_str()), (2, ""));
    let plan = "REMOVE de-kehl, proposed by fr-strasbourg:\n  - reason: BREACH_OF_RULES\n  - it leaves the federation for good";
    let then = "  - approved by 1 of 2 (fr-strasbourg); it is carried out with this approval\n";
    assert!(err.starts_with(plan) && err.contains(then) && err.contains("error[CONFIRMATION_NEEDED]"), "{err}");
    let (code, out, err) = node.run(&["member", "approve", "--proposal", "aaaaaa", "--yes"]);
    assert_eq!((code, out.as_str()), (0, "REMOVE de-kehl, proposed by fr-strasbourg: done, change 7\n"));
    assert!(err.starts_with(plan), "{err}");

    // What is not severe is shown, and done.
    let (code, out, err) = node.run(&["member", "approve", "--proposal", "bbbbbb"]);
    assert_eq!((code, out.as_str()), (0, "POLICY #policy, proposed by fr-strasbourg: done, change 7\n"));
    let plan = "POLICY #policy, proposed by fr-strasbourg:\n  - emergency suspension: 1d → 12h\n  - approved by";
    assert!(err.starts_with(plan), "{err}");
    let (_, out, err) = node.run(&["member", "list", "--pending"]);
    assert!(out.contains("reason: BREACH_OF_RULES") && out.contains("emergency suspension: 1d → 12h"), "{out}");
    assert_eq!(err, "next: havenctl member approve --proposal aaaaaaaaaaaa\n");
}

#[test]
fn other_rules_are_asked_for_with_a_yes_only() {
    let node = Played::new();
    let (code, _, err) = node.run(&["policy", "propose", "--rules-version", "2"]);
    assert!(code == 2 && err.contains("stops following") && err.contains("error[CONFIRMATION_NEEDED]"), "{err}");
    let (code, _, err) = node.run(&["policy", "propose", "--rules-version", "2", "--yes"]);
    assert!(code == 3 && err.contains("error[NOT_A_STEWARD]"), "{err}");
}

#[test]
fn an_outcome_that_is_no_acceptance_is_a_refusal() {
    let (code, out, err) = Played::new().run(&["steward", "promote", "de-kehl"]);
    assert_eq!((code, out.as_str()), (5, ""));
    assert!(err.starts_with("error[STATEMENT_REJECTED]") && err.contains("havenctl explain RAFT_ID_REUSED"), "{err}");
}

#[test]
fn reasons_are_explained_and_unknown_ones_named_nearest() {
    let node = Played::new();
    let (code, out, _) = node.run(&["explain", "no-leader"]);
    assert!(
        code == 0 && out.contains("fix        wait a few seconds; havenctl steward list shows each steward\n"),
        "{out}"
    );
    let (code, _, err) = node.run(&["explain", "NO_LEADR"]);
    assert!(code == 4 && err.contains("havenctl explain NO_LEADER"), "{err}");
    let (code, out, err) = node.run(&["explain", "--all", "-o", "csv"]);
    assert!(out.starts_with("code,what,fix\nFIELD_MISSING,") && out.contains("\nTIMED_OUT,"), "{out}");
    assert_eq!((code, err.as_str()), (0, ""));
    // One that only the node knows is there once, as any other.
    assert_eq!(["NEWER_THAN_THIS", "NO_LEADER"].map(|code| out.matches(&format!("\n{code},")).count()), [1, 1]);
    let (code, out, _) = node.run(&["explain", "NEWER_THAN_THIS"]);
    assert!(code == 0 && out.contains("fix        wait\n"), "{out}");
}

#[test]
fn what_the_tool_says_itself_is_explained_without_a_node() {
    let nowhere = Path::new("/nonexistent");
    for (code, exit) in [
        ("USAGE", 2),
        ("CONFIRMATION_NEEDED", 2),
        ("SOCKET_DENIED", 3),
        ("NODE_NOT_REACHABLE", 6),
        ("TIMED_OUT", 8),
        ("FAULT", 1),
        ("UNAVAILABLE", 6),
    ] {
        let (ended, out, err) = run_in(nowhere, &["explain", code, "-o", "json"]);
        assert_eq!((ended, err.as_str()), (0, ""), "{code}");
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((json["code"].as_str(), json["exit_code"].as_i64()), (Some(code), Some(exit)));
        assert!(["what", "why", "remedy"].iter().all(|part| !json[*part].as_str().unwrap().is_empty()), "{json}");
    }
    // What a node gives is explained without one, for that is when it is needed.
    let (code, out, err) = run_in(nowhere, &["explain", "--all", "-o", "jsonl"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(["TIMED_OUT", "NO_LEADER"].iter().all(|code| out.contains(&format!("\"code\":\"{code}\""))), "{out}");
    let (code, out, _) = run_in(nowhere, &["explain", "STORAGE_FULL"]);
    assert!(code == 0 && out.contains("the disk is full"), "{out}");
    let (code, _, err) = run_in(nowhere, &["explain", "NO_LEADR"]);
    assert!(code == 4 && err.contains("fix        havenctl explain NO_LEADER"), "{err}");
    // With a node, nothing stands twice, and a mistyped one of ours is found as well.
    let (code, _, err) = Played::new().run(&["explain", "TIMED_OTU"]);
    assert!(code == 4 && err.contains("fix        havenctl explain TIMED_OUT"), "{err}");
}

#[test]
fn doctor_follows_the_monitoring_plug_ins() {
    let (code, out, _) = Played::new().run(&["doctor"]);
    assert!(code == 1 && out.contains("WARNING  backup  as it is  havenlink backup"), "{out}");
    let (code, out, _) = run_in(Path::new("/nonexistent"), &["doctor"]);
    assert!(code == 2 && out.contains("CRITICAL  node"), "{out}");
}

#[test]
fn without_a_node_it_says_what_to_do() {
    let (code, out, err) = run_in(Path::new("/nonexistent"), &["member", "list"]);
    assert_eq!((code, out.as_str()), (6, ""));
    assert!(err.starts_with("error[NODE_NOT_REACHABLE]: the node does not answer on its socket\n"), "{err}");
    assert!(err.contains("  fix        systemctl status havenlink, or havenctl --sockets DIR\n"));
    let node = Played::new();
    let (code, _, err) = node.run(&["status", "--role", "liaison"]);
    assert!(code == 6 && err.contains("liaison.sock"), "{err}");
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_sent() {
    let (code, _, err) = run_in(Path::new("/nonexistent"), &["alert", "publish", "--kind", "ADVERTISING"]);
    assert!(code == 2 && err.contains("nearest: SUSPICIOUS_ADVERTISING"), "{err}");
}
