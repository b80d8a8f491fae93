//! Who may import whom: reads the imports of node/ and fails on a breach of the table below.
//!
//! A room that is a crate of its own names what it may use in its Cargo.toml, and the compiler holds it to that: here its
//! list is compared with the table. Rooms inside `node/src` are read.

mod architecture;
mod citations;
mod reasons;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One room: which of our own rooms it may use, and which outside names never.
struct Room {
    name: &'static str,
    ours: &'static [&'static str],
    never: &'static [&'static str],
}

const PURE_NEVER: &[&str] = &[
    "tokio",
    "sqlx",
    "tonic",
    "prost",
    "openraft",
    "redb",
    "rustls",
    "std::fs",
    "std::net",
    "SystemTime",
    "Instant::now",
    "SystemRandom",
    "Uuid::new",
    "havenlink_proto",
];

const ROOMS: &[Room] = &[
    Room { name: "domain", ours: &[], never: PURE_NEVER },
    Room {
        name: "wire",
        ours: &["domain"],
        never: &[
            "tokio",
            "sqlx",
            "tonic",
            "openraft",
            "redb",
            "rustls",
            "std::fs",
            "std::net",
            "SystemTime",
            "Instant::now",
        ],
    },
    Room { name: "storage", ours: &["domain", "wire", "telemetry"], never: &["tonic", "openraft", "rustls"] },
    Room {
        name: "transport",
        ours: &["domain", "clock", "telemetry"],
        never: &["sqlx", "openraft", "redb", "havenlink_proto"],
    },
    Room { name: "directory", ours: &["domain", "wire", "transport", "clock", "telemetry"], never: &["sqlx"] },
    Room {
        name: "exchange",
        ours: &["domain", "wire", "storage", "directory", "clock", "wakeup", "telemetry"],
        never: &["sqlx", "openraft", "redb", "rustls"],
    },
    Room {
        name: "services",
        ours: &["exchange", "directory", "wire", "domain", "telemetry", "transport"],
        never: &["sqlx", "openraft", "redb", "rustls"],
    },
    Room {
        name: "workers",
        ours: &["exchange", "directory", "clock", "wakeup", "telemetry", "domain"],
        never: &["sqlx", "tonic", "openraft"],
    },
    Room { name: "telemetry", ours: &["domain"], never: &["sqlx", "openraft", "redb"] },
    Room { name: "clock", ours: &["domain"], never: &["sqlx", "tonic", "openraft"] },
    Room { name: "wakeup", ours: &["domain"], never: &["sqlx", "tonic", "openraft"] },
];

/// Single files with a wider or narrower door than their room.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The line to partners is the only part of the exchange that knows sockets.
    ("exchange/peer_client.rs", "transport"),
    ("exchange/peer_client/join.rs", "transport"),
];

/// Folders below `node/` that are crates of their own; `runtime` holds the rooms clock, wakeup and telemetry.
const CRATES: &[&str] = &["domain", "wire", "runtime", "storage", "transport", "directory"];

fn node() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../node")
}

/// Each source of the node, named from its room on: `domain/ids.rs`, `exchange/publish.rs`, `clock.rs`.
fn named_sources() -> Vec<(String, PathBuf)> {
    let mut named = Vec::new();
    let roots = CRATES.iter().map(|name| (if *name == "runtime" { "" } else { *name }, node().join(name).join("src")));
    for (room, root) in roots.chain([("", node().join("src"))]) {
        let mut files = Vec::new();
        sources(&root, &mut files);
        for file in files {
            let below = file.strip_prefix(&root).expect("below").to_string_lossy().replace('\\', "/");
            named.push((if room.is_empty() { below } else { format!("{room}/{below}") }, file));
        }
    }
    named
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("node/src is readable") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The code alone: without comments and without test modules, which stand last in a file.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    before_tests.lines().map(|l| l.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn words_after<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let end = list.find("};").unwrap_or(list.len());
            let mut depth = 0;
            let mut start = 0;
            for (i, c) in list[..end].char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.insert(first_word(&list[start..i]));
                        start = i + 1;
                    }
                    _ => {}
                }
            }
            found.insert(first_word(&list[start..end]));
        } else {
            found.insert(first_word(rest));
        }
    }
    found.remove("");
    found
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}

fn names(code: &str, outside: &str) -> bool {
    code.match_indices(outside).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + outside.len()..].chars().next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        !word(before) && !word(after)
    })
}

fn breaches(relative: &str, text: &str) -> Vec<String> {
    let room_name = relative.split(['/', '.']).next().unwrap_or("");
    let Some(room) = ROOMS.iter().find(|r| r.name == room_name) else { return Vec::new() };
    // A room's folder of tests is a test module like those that stand last in a file.
    if relative.starts_with(&format!("{room_name}/tests/")) {
        return Vec::new();
    }
    let code = code(text);
    let mut found = Vec::new();
    // Inside a crate of its own `crate::` is the room itself.
    let own_crate = CRATES.contains(&room.name);
    for used in words_after(&code, "crate::").into_iter().filter(|_| !own_crate) {
        let rooms: BTreeSet<&str> = ROOMS.iter().map(|r| r.name).chain(["app", "config"]).collect();
        let allowed = used == room.name
            || room.ours.contains(&used)
            || !rooms.contains(used)
            || EXCEPTIONS.contains(&(relative, used));
        if !allowed {
            found.push(format!("{relative} uses crate::{used}"));
        }
    }
    for never in room.never {
        if names(&code, never) {
            found.push(format!("{relative} names {never}"));
        }
    }
    if room.name == "exchange" && !relative.starts_with("exchange/peer_client") && names(&code, "tonic") {
        found.push(format!("{relative} names tonic outside of peer_client.rs"));
    }
    if room.name == "directory" && !relative.starts_with("directory/raft/") && names(&code, "openraft") {
        found.push(format!("{relative} names openraft outside of directory/raft"));
    }
    found
}

#[test]
fn rooms_use_only_what_they_may() {
    let files = named_sources();
    assert!(files.len() > 300, "the rooms were found");
    let mut found = Vec::new();
    for (relative, file) in files {
        found.extend(breaches(&relative, &std::fs::read_to_string(&file).expect("readable")));
    }
    assert!(found.is_empty(), "breaches of the import table:\n{}", found.join("\n"));
}

#[test]
fn crates_depend_on_the_rooms_they_may_use() {
    for name in CRATES {
        let manifest = std::fs::read_to_string(node().join(name).join("Cargo.toml")).expect("readable");
        let (product, tests) = manifest.split_once("[dev-dependencies]").expect("dependencies come first");
        let ours: BTreeSet<&str> =
            product.lines().filter_map(|l| l.strip_prefix("havenlink-")).map(first_word).collect();
        let allowed = |used: &str| match (*name, used) {
            (_, "proto") => !matches!(*name, "domain" | "transport"),
            ("runtime", used) => used == "domain",
            (room, "runtime") => room != "domain" && room != "wire",
            (room, used) => ROOMS.iter().any(|r| r.name == room && r.ours.contains(&used)),
        };
        let wrong: Vec<_> = ours.into_iter().filter(|used| !allowed(used)).collect();
        assert!(wrong.is_empty(), "node/{name}/Cargo.toml depends on {wrong:?}");
        // Permits that nobody was asked for, and keys of nobody's cities, exist in tests alone.
        assert!(!product.contains("features = [\"samples\"]"), "node/{name}: the product has samples");
        assert!(tests.contains("[lints]"));
    }
    let manifest = std::fs::read_to_string(node().join("Cargo.toml")).expect("readable");
    let product = manifest.split("[dev-dependencies]").next().expect("the first part");
    assert!(!product.contains("samples"), "the product has samples");
}

#[test]
fn a_breach_is_found() {
    assert!(!breaches("domain/x.rs", "use tokio::time::sleep;").is_empty());
    assert!(!breaches("exchange/x.rs", "use crate::{domain::ids::Digest, services::errors};").is_empty());
    assert!(!breaches("workers/x.rs", "let s: tonic::Status = x;").is_empty());
    assert!(breaches("domain/x.rs", "use crate::domain::ids::Digest; // tokio is not named here").is_empty());
    assert!(breaches("exchange/peer_client.rs", "use crate::transport::pool::Pool;").is_empty());
    assert!(!breaches("exchange/deliver.rs", "use crate::transport::pool::Pool;").is_empty());
    assert!(!breaches("directory/mirror.rs", "use openraft::Raft;").is_empty());
    assert!(breaches("directory/raft/node.rs", "use openraft::Raft;").is_empty());
}

#[test]
fn files_stay_readable() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut long = Vec::new();
    for part in ["node", "admin-cli/src", "proto/src"] {
        let mut files = Vec::new();
        sources(&root.join(part), &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).expect("readable");
            let lines = code_lines(&text);
            if lines > 500 {
                long.push(format!("{} has {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "split by noun:\n{}", long.join("\n"));
}

fn code_lines(text: &str) -> usize {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text).lines().count()
}
