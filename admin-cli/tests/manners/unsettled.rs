//! Calls whose outcome nobody knows: a write says under which id it was asked, and how to ask again.

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use super::played::{Played, run_in};

/// The id in the fact `request`, and the command in `fix`.
fn told(err: &str) -> (&str, &str) {
    let line = |name: &str| {
        let found = err.lines().find_map(|line| line.strip_prefix(&format!("  {name:<10} ")));
        found.unwrap_or_else(|| panic!("no {name}: {err}"))
    };
    (line("request"), line("fix"))
}

#[test]
fn a_write_that_ran_out_of_time_shows_its_id_and_the_command_that_repeats_it() {
    let node = Played::new();
    let (code, out, err) = node.run(&["node", "renew", "--timeout", "200ms"]);
    assert_eq!((code, out.as_str()), (8, ""));
    assert!(err.starts_with("error[TIMED_OUT]: no answer within 200ms\n"), "{err}");
    let (id, fix) = told(&err);
    assert_eq!(id.len(), 36, "made here: {err}");
    assert_eq!(fix, format!("havenctl node renew --timeout 30s --request-id {id}"));
    // The command says the same again.
    let mut again: Vec<&str> = fix.split(' ').skip(1).collect();
    again[3] = "200ms";
    let (code, _, err) = node.run(&again);
    assert_eq!((code, told(&err)), (8, (id, fix)));
}

#[test]
fn every_way_not_to_know_ends_with_the_same_help() {
    let node = Played::new();
    for (authority, code, exit) in [
        ("xx-unknown", "OUTCOME_UNKNOWN", 6),
        ("xx-unavailable", "UNAVAILABLE", 6),
        ("xx-late", "DEADLINE_EXCEEDED", 8),
    ] {
        let (ended, out, err) = node.run(&["member", "restore", authority, "-o", "json"]);
        assert_eq!((ended, out.as_str()), (exit, ""), "{err}");
        assert!(err.starts_with(&format!("error[{code}]: ")) && err.contains("  outcome    not known"), "{err}");
        let (id, fix) = told(&err);
        assert_eq!(fix, format!("havenctl member restore {authority} -o json --request-id {id}"));
    }
    // What was refused was not done: the id, and the refusal's own help.
    let (code, _, err) = node.run(&["member", "restore", "de-kehl"]);
    let (id, fix) = told(&err);
    assert_eq!((code, id.len(), fix), (3, 36, "havenctl status"));
    assert!(!err.contains("outcome"), "{err}");
}

#[test]
fn what_was_not_sent_or_only_reads_has_no_id() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, err) = run_in(dir.path(), &["node", "renew"]);
    assert!(code == 6 && err.contains("error[NODE_NOT_REACHABLE]") && !err.contains("request"), "{err}");
    let (code, _, err) = silent(&["status", "--timeout", "200ms"], Duration::from_secs(5));
    assert_eq!(code, 8, "{err}");
    assert!(err.contains("fix        havenctl status, then again with --timeout 30s\n"), "{err}");
    assert!(!err.contains("request") && !err.contains("outcome"), "{err}");
}

#[test]
fn a_node_that_dies_under_a_write_leaves_it_open() {
    let (code, out, err) = silent(&["node", "renew"], Duration::from_millis(300));
    assert_eq!((code, out.as_str()), (6, ""), "{err}");
    assert!(
        err.starts_with("error[NODE_NOT_REACHABLE]: the connection to the node ended before it answered\n"),
        "{err}"
    );
    assert!(err.contains("  cause      ") && err.contains("  first      systemctl status havenlink"), "{err}");
    let (id, fix) = told(&err);
    assert_eq!(fix, format!("havenctl node renew --request-id {id}"));
}

/// The tool against a node that takes the call, says nothing, and closes the connection after a while.
fn silent(arguments: &[&str], life: Duration) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join("operator.sock")).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(life)).unwrap();
        let mut taken = [0; 4_096];
        while stream.read(&mut taken).is_ok_and(|n| n > 0) {}
    });
    run_in(dir.path(), arguments)
}
