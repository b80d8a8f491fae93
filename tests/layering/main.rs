//! Who may import whom: reads the imports of node/ and fails on a breach of the table below.
//!
//! A room that is a crate of its own names what it may use in its Cargo.toml, and the compiler holds it to that: here its
//! list is compared with the table. Rooms inside `node/src` are read.

mod architecture;
mod citations;
mod clients;
mod gate;
mod lines;
mod names;
mod parts;
mod reasons;
mod seeded;
mod supply;

use std::collections::{BTreeMap, BTreeSet};
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
        ours: &["domain", "wire", "storage", "directory", "clock", "wakeup", "pass", "telemetry"],
        never: &["sqlx", "openraft", "redb", "rustls", "tonic", "prost", "havenlink_proto"],
    },
    Room {
        name: "services",
        ours: &["exchange", "directory", "wire", "domain", "telemetry"],
        never: &["sqlx", "openraft", "redb", "rustls"],
    },
    Room {
        name: "workers",
        ours: &["exchange", "directory", "clock", "wakeup", "pass", "telemetry", "domain"],
        never: &["sqlx", "tonic", "openraft"],
    },
    // Cities of the demo are processes: it knows the binary's door and the public contract, and one connection of its own.
    Room { name: "demo", ours: &["domain", "clock", "transport"], never: &["sqlx", "openraft", "redb"] },
    Room {
        name: "config",
        ours: &["domain"],
        never: &["tokio", "sqlx", "tonic", "prost", "openraft", "havenlink_proto"],
    },
    Room {
        name: "app",
        ours: &[
            "config",
            "demo",
            "services",
            "workers",
            "exchange",
            "directory",
            "transport",
            "storage",
            "wire",
            "domain",
            "clock",
            "wakeup",
            "pass",
            "telemetry",
        ],
        never: &["sqlx", "openraft", "redb"],
    },
    Room {
        name: "main",
        ours: &["app", "config"],
        never: &["sqlx", "tonic", "openraft", "redb", "rustls", "havenlink_proto"],
    },
    Room { name: "telemetry", ours: &["domain"], never: &["sqlx", "openraft", "redb"] },
    Room { name: "clock", ours: &["domain"], never: &["sqlx", "tonic", "openraft"] },
    Room { name: "wakeup", ours: &["domain", "pass"], never: &["sqlx", "tonic", "openraft"] },
    Room { name: "pass", ours: &[], never: &["sqlx", "tonic", "openraft"] },
];

/// Single files, or folders with a `/` at the end, with a wider door than their room. Each is in use: the test says so.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The exchange's client: what goes to other nodes becomes messages and calls here, and nowhere else.
    ("exchange/peer_client.rs", "transport"),
    ("exchange/peer_client.rs", "tonic"),
    ("exchange/peer_client.rs", "havenlink_proto"),
    ("exchange/peer_client/", "tonic"),
    ("exchange/peer_client/", "havenlink_proto"),
    ("exchange/peer_client/", "prost"),
    // Raft's library stays behind one folder.
    ("directory/raft/", "openraft"),
];

fn excepted(relative: &str, used: &str) -> bool {
    let fits = |place: &str| relative == place || (place.ends_with('/') && relative.starts_with(place));
    EXCEPTIONS.iter().any(|(place, name)| *name == used && fits(place))
}

/// Folders below `node/` that are crates of their own; `runtime` holds the rooms clock, wakeup and telemetry.
const CRATES: &[&str] = &["domain", "wire", "runtime", "storage", "transport", "directory"];

fn node() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../node")
}

/// Each source of the node, named from its room on: `domain/ids.rs`, `exchange/road/publish.rs`, `clock.rs`.
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
    before_tests(text).lines().map(|l| l.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// What stands before a module of tests; one that is a file of its own ends nothing.
fn before_tests(text: &str) -> &str {
    let begins = |at: &usize| text[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{'));
    let inside = text.match_indices("#[cfg(test)]\nmod ").map(|(at, _)| at).find(begins);
    &text[..inside.unwrap_or(text.len())]
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

fn room_of(relative: &str) -> &str {
    relative.split(['/', '.']).next().unwrap_or("")
}

/// A room's folder of tests is a test module like those that stand last in a file.
fn is_tests(relative: &str) -> bool {
    relative.ends_with("/tests.rs") || relative.contains("/tests/")
}

/// The rooms that a source of the node imports: by their name in the crate, or as the crates that they are.
fn imported<'a>(relative: &str, code: &'a str) -> BTreeSet<&'a str> {
    let prefix = if room_of(relative) == "main" { "havenlink::" } else { "crate::" };
    // Inside a crate of its own `crate::` is the room itself, or what its lib.rs gives other rooms' names to.
    words_after(code, prefix).into_iter().filter(|used| ROOMS.iter().any(|room| room.name == *used)).collect()
}

/// What a room reaches although it may not; every use of an exception as well.
fn reached(relative: &str, text: &str) -> Vec<String> {
    let Some(room) = ROOMS.iter().find(|r| r.name == room_of(relative)) else { return Vec::new() };
    if is_tests(relative) {
        return Vec::new();
    }
    let code = code(text);
    let own_crate = CRATES.contains(&room.name);
    let rooms = imported(relative, &code).into_iter().filter(|used| !own_crate && *used != room.name);
    let outside = room.never.iter().copied().filter(|never| names(&code, never));
    let raft = (room.name == "directory" && names(&code, "openraft")).then_some("openraft");
    rooms.filter(|used| !room.ours.contains(used)).chain(outside).chain(raft).map(str::to_owned).collect()
}

fn breaches(relative: &str, text: &str) -> Vec<String> {
    let forbidden = reached(relative, text).into_iter().filter(|used| !excepted(relative, used));
    forbidden.map(|used| format!("{relative} uses {used}")).collect()
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
fn each_room_has_its_row() {
    for (relative, _) in named_sources() {
        let room = room_of(&relative);
        assert!(room == "lib" || ROOMS.iter().any(|r| r.name == room), "{relative} stands in no room of the table");
    }
}

#[test]
fn each_exception_is_needed() {
    let reached: Vec<(String, Vec<String>)> = named_sources()
        .into_iter()
        .map(|(relative, file)| {
            (relative.clone(), reached(&relative, &std::fs::read_to_string(file).expect("readable")))
        })
        .collect();
    let needed = |(place, name): &&(&str, &str)| {
        let fits = |relative: &str| relative == *place || (place.ends_with('/') && relative.starts_with(place));
        reached.iter().any(|(relative, used)| fits(relative) && used.iter().any(|u| u == name))
    };
    let idle: Vec<_> = EXCEPTIONS.iter().filter(|exception| !needed(exception)).collect();
    assert!(idle.is_empty(), "nothing needs these exceptions any more, take them away: {idle:?}");
}

/// A room that is reached again from a room that it uses.
fn cycle(uses: &BTreeMap<&str, BTreeSet<&str>>) -> Option<String> {
    let mut left = uses.clone();
    // Rooms that use nothing that is left go, one layer after the other; what stays are cycles and who uses them.
    loop {
        let low: Vec<&str> =
            left.iter().filter(|(_, used)| used.iter().all(|u| !left.contains_key(u))).map(|(room, _)| *room).collect();
        if low.is_empty() {
            break;
        }
        low.into_iter().for_each(|room| drop(left.remove(room)));
    }
    (!left.is_empty()).then(|| format!("{left:?}"))
}

#[test]
fn no_two_rooms_need_each_other() {
    let table: BTreeMap<&str, BTreeSet<&str>> =
        ROOMS.iter().map(|r| (r.name, r.ours.iter().copied().collect())).collect();
    assert_eq!(cycle(&table), None, "the table has a cycle");
    // What is really imported, exceptions included.
    let mut real: BTreeMap<&str, BTreeSet<&str>> = ROOMS.iter().map(|r| (r.name, BTreeSet::new())).collect();
    for (relative, file) in named_sources().into_iter().filter(|(relative, _)| !is_tests(relative)) {
        let (code, room) = (code(&std::fs::read_to_string(file).expect("readable")), room_of(&relative));
        let Some((room, used)) = real.iter_mut().find(|(name, _)| **name == room) else { continue };
        let rooms = imported(&relative, &code);
        used.extend(ROOMS.iter().map(|r| r.name).filter(|name| rooms.contains(name) && name != room));
    }
    assert!(real["exchange"].contains("storage") && real["main"].contains("app"), "imports were read: {real:?}");
    assert_eq!(cycle(&real), None, "rooms need each other");
    let back =
        BTreeMap::from([("a", BTreeSet::from(["b"])), ("b", BTreeSet::from(["c"])), ("c", BTreeSet::from(["a"]))]);
    assert!(cycle(&back).is_some());
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

/// Whoever verifies the ledger believes none of the code that writes it.
#[test]
fn the_auditor_shares_no_code_with_the_writer() {
    let auditor = node().join("../admin-cli/auditor");
    let manifest = std::fs::read_to_string(auditor.join("Cargo.toml")).expect("readable");
    let dependencies = manifest.split_once("dependencies]").expect("it has some").1;
    let ours = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| line.starts_with("havenlink") || line.contains("path ="))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(ours(dependencies), ["havenlink-proto = { workspace = true }"]);
    assert_eq!(ours("havenlink = { workspace = true }\nx = { path = \"../../node\" }").len(), 2);
    let mut files = Vec::new();
    sources(&auditor, &mut files);
    assert!(files.len() > 5, "its sources were found");
    for file in files {
        let text = code(&std::fs::read_to_string(&file).expect("readable"));
        let used = words_after(&text, "havenlink_proto::");
        assert!(used.iter().all(|module| *module == "record"), "{}: {used:?}: messages alone", file.display());
        assert!(!text.contains("include!(") && !text.contains("#[path"), "{}", file.display());
    }
    let node = std::fs::read_to_string(node().join("Cargo.toml")).expect("readable");
    let product = node.split("[dev-dependencies]").next().expect("the first part");
    assert!(!product.contains("auditor"), "the node does not use it either");
}

#[test]
fn a_breach_is_found() {
    assert!(!breaches("domain/x.rs", "use tokio::time::sleep;").is_empty());
    assert!(!breaches("exchange/x.rs", "use crate::{domain::ids::Digest, services::errors};").is_empty());
    assert!(!breaches("workers/x.rs", "let s: tonic::Status = x;").is_empty());
    assert!(!breaches("domain/x.rs", "#[cfg(test)]\nmod tests;\nuse tokio::time::sleep;").is_empty());
    assert!(breaches("domain/x.rs", "#[cfg(test)]\nmod tests {\n    use tokio::time::sleep;\n}").is_empty());
    assert!(breaches("domain/x.rs", "use crate::domain::ids::Digest; // tokio is not named here").is_empty());
    assert!(breaches("exchange/peer_client.rs", "use crate::transport::pool::Pool;").is_empty());
    assert!(!breaches("exchange/road/deliver.rs", "use crate::transport::pool::Pool;").is_empty());
    assert!(!breaches("directory/mirror.rs", "use openraft::Raft;").is_empty());
    assert!(breaches("directory/raft/node.rs", "use openraft::Raft;").is_empty());
    assert!(!breaches("exchange/road/deliver.rs", "use havenlink_proto::peer::v1 as proto;").is_empty());
    assert!(breaches("exchange/peer_client/join.rs", "use havenlink_proto::peer::v1 as proto;").is_empty());
    assert!(!breaches("main.rs", "use havenlink::storage::Store;").is_empty());
    assert!(!breaches("demo/acts/x.rs", "use crate::storage::Store;").is_empty());
    assert!(!breaches("config.rs", "use crate::{domain::ids, app::Failure};").is_empty());
}

#[test]
fn files_stay_readable() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut long = Vec::new();
    for part in ["node", "admin-cli/src", "admin-cli/auditor/src", "proto/src"] {
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
    before_tests(text).lines().count()
}
