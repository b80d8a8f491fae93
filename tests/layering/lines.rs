//! What others bring about by calling, or by answering, is told by its count (decisions/039): a bare line of the log can be written
//! as often as somebody likes.

use super::{code, is_tests, named_sources};

/// Rooms in which what others say is judged.
const ROOMS: [&str; 4] = ["exchange/", "services/", "transport/", "directory/"];

/// What is told once: of a process that begins or ends, or of one founding.
const ONCE: [&str; 5] = [
    "directory/disk/write.rs",
    "directory/founding.rs",
    "directory/handle.rs",
    "directory/raft/node.rs",
    "exchange/governance/emergency.rs",
];

#[test]
fn what_a_partner_brings_about_is_counted_in_the_log() {
    let mut bare = Vec::new();
    for (relative, file) in named_sources().into_iter().filter(|(name, _)| !is_tests(name)) {
        if !ROOMS.iter().any(|room| relative.starts_with(room)) || ONCE.contains(&relative.as_str()) {
            continue;
        }
        let text = code(&std::fs::read_to_string(file).expect("readable"));
        let lines = ["info!(", "warn!(", "error!("].map(|line| format!("tracing::{line}"));
        if lines.iter().any(|line| text.contains(line)) {
            bare.push(relative);
        }
    }
    assert!(bare.is_empty(), "`repeated!` or an entry of the journal instead: {bare:?}");
}
