//! What a shell is offered: by a node that answers, by one that does not, and by none.

use std::os::unix::net::UnixListener;
use std::path::Path;

use super::played::{Played, told, tool};

/// What bash is offered for the last of these words.
fn offered(sockets: &Path, words: &[&str]) -> Vec<String> {
    let arguments = [&["--", "havenctl"], words].concat();
    let mut asks = tool(sockets, &arguments);
    asks.env("HAVENCTL_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    let (code, out, err) = told(&mut asks);
    assert_eq!((code, err.as_str()), (0, ""), "{words:?}");
    out.lines().map(str::to_owned).collect()
}

/// Until a node of a busy machine has answered in time.
fn offered_by(node: &Played, words: &[&str]) -> Vec<String> {
    let asked = std::iter::repeat_with(|| offered(node.dir(), words)).take(50);
    asked.into_iter().find(|offered| !offered.is_empty()).unwrap_or_default()
}

#[test]
fn a_shell_is_offered_what_the_node_has() {
    let node = Played::new();
    assert_eq!(offered_by(&node, &["member", "approve", "--proposal", "a"]), ["aaaaaaaaaaaa"]);
    assert_eq!(offered_by(&node, &["member", "approve", "--proposal", &"a".repeat(20)]), ["a".repeat(64)]);
    assert_eq!(offered_by(&node, &["member", "approve", "d"]), ["de-kehl"]);
    assert_eq!(offered(node.dir(), &["--sockets", "/nonexistent", "member", "approve", "d"]), [""; 0]);
    assert_eq!(offered(node.dir(), &["--role", "coordinator", "member", "approve", "d"]), [""; 0]);
}

#[test]
fn a_node_that_is_down_or_hangs_costs_no_error_and_no_end_of_waiting() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(offered(dir.path(), &["member", "suspend", "d"]), [""; 0]);
    // Takes connections, and says nothing on them for ever.
    let _silent = UnixListener::bind(dir.path().join("operator.sock")).unwrap();
    assert_eq!(offered(dir.path(), &["member", "suspend", "d"]), [""; 0]);
    assert_eq!(offered(dir.path(), &["member", "susp"]), ["suspend"], "the line itself needs no node");
    assert_eq!(offered(dir.path(), &["events", "--kind", "FLOOD_"]), ["FLOOD_ENDED"]);
}

#[test]
fn a_line_that_is_none_is_no_error() {
    let mut asks = tool(Path::new("/nonexistent"), &["--", "havenctl"]);
    let (_, out, err) = told(asks.env("HAVENCTL_COMPLETE", "no-shell").env("_CLAP_COMPLETE_INDEX", "7"));
    assert_eq!((out.as_str(), err.as_str()), ("", ""));
}
