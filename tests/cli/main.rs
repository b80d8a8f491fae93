//! What the two tools print, kept as snapshots, and how they end. A change of a screen is seen in review: after looking,
//! `INSTA_UPDATE=always cargo test -p havenlink-tests --test cli` takes it over.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod endings;
mod help;
mod screens;

use std::process::{Command, Output, Stdio};

use havenlink_tests::federation::built;

/// Runs a tool where no node and no configuration is.
fn alone(tool: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(built(tool).unwrap());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HAVENLINK_") || name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("HAVENLINK_SOCKETS", "/nonexistent").env("COLUMNS", "100").stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Publishes an alert about leaflets to Kehl.
fn publishing(summary: &str) -> Vec<&str> {
    let alert = "alert publish --to de-kehl --kind SUSPICIOUS_ADVERTISING --channel LEAFLET --place NUTS:FRF11 \
                 --indicator ilo11:2 --basis OBSERVED --purpose PREVENTION --tlp GREEN --summary";
    alert.split_whitespace().chain([summary]).collect()
}

/// The text without what differs from run to run: ids, times, addresses, sizes.
fn stable(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || "-:._".contains(c) {
            word.push(c);
            continue;
        }
        out.push_str(&stable_word(&word));
        word.clear();
        out.push(c);
    }
    out.pop();
    // Columns are as wide as what stands in them.
    out.lines()
        .map(|line| line.split("  ").filter(|p| !p.trim().is_empty()).map(str::trim).collect::<Vec<_>>().join("  "))
        .collect::<Vec<_>>()
        .join("\n")
}

fn stable_word(word: &str) -> String {
    let hex =
        |w: &str| w.len() >= 8 && w.bytes().all(|b| b.is_ascii_hexdigit()) && w.bytes().any(|b| b.is_ascii_digit());
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    match word {
        w if w.len() == 36 && w.split('-').map(str::len).eq([8, 4, 4, 4, 12]) => "[record]".to_owned(),
        // As much of one as tells it from its neighbours.
        w if w.len() > 9 && hex(&w[..8]) && w.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') => "[id]".to_owned(),
        w if w.starts_with("127.0.0.1:") => "[address]".to_owned(),
        w if w.len() >= 10 && w.starts_with("20") && w[4..].starts_with('-') => "[time]".to_owned(),
        w if hex(w) => "[id]".to_owned(),
        w if w.contains(':') && digits >= 4 && w.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'Z') => {
            "[time]".to_owned()
        }
        w if !w.is_empty() && digits == w.len() => "[n]".to_owned(),
        w => w.to_owned(),
    }
}

#[test]
fn what_differs_from_run_to_run_is_taken_out() {
    assert_eq!(stable("01a200fc-e976-7673-8ec5-9db2009e7286  x   2026-11-22 02:01Z"), "[record]  x  [time] [time]");
    assert_eq!(stable("head 0707ab0707ab at 127.0.0.1:17123, 12 s"), "head [id] at [address], [n] s");
    assert_eq!(stable("01a200fc-e976-7 01a200fc"), "[id] [id]");
    assert_eq!(stable("de-kehl NUTS:FRF11 v0.1.0 added"), "de-kehl NUTS:FRF11 v0.1.0 added");
}
