//! The pages name files and types; each of them exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a document names in backquotes.
fn quoted(document: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(document)).expect("readable");
    // A block of code begins and ends with three of them.
    let prose: String = text.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn missing(named: &[String], places: &[&str]) -> Vec<String> {
    let there = |name: &str| places.iter().any(|place| root().join(place).join(name).exists());
    named.iter().filter(|name| !there(name)).cloned().collect()
}

#[test]
fn the_architecture_names_files_that_exist() {
    let mut named = quoted("node/ARCHITECTURE.md");
    // What stands in a data directory, not in the repository.
    named.retain(|n| (n.ends_with(".rs") || n.ends_with('/')) && n != "keys-backup/");
    assert!(named.len() > 30, "files are named");
    let crates = ["domain", "wire", "runtime", "storage", "transport", "directory"];
    // A room that is a crate is named as a room: `domain/policy.rs` stands in node/domain/src.
    for name in crates {
        for named in named.iter_mut().filter(|n| n.starts_with(&format!("{name}/"))) {
            *named = named.replacen('/', "/src/", 1);
        }
    }
    let missing = missing(&named, &["node/src", "node/src/exchange", "node", "node/runtime/src", "."]);
    assert!(missing.is_empty(), "named, but not there: {missing:?}");
}

#[test]
fn the_readmes_name_files_that_exist() {
    for (document, least) in [("README.md", 8), ("proto/README.md", 3)] {
        let mut named = quoted(document);
        // A protocol's name has a slash as well, and so has a method's.
        let is_file = |n: &String| n.contains('/') && !n.contains("Service/") && n != "havenlink-join/1";
        named.retain(|n| is_file(n) && !n.contains(char::is_whitespace));
        assert!(named.len() >= least, "{document} names files: {named:?}");
        let missing = missing(&named, &["."]);
        assert!(missing.is_empty(), "{document} names what is not there: {missing:?}");
    }
}

#[test]
fn the_steps_of_common_work_name_files_that_exist() {
    let mut named = quoted("node/CONTRIBUTING.md");
    let ends = [".rs", ".md", ".proto", ".toml", "/"];
    let stands_for_many = |n: &str| n.contains(['<', '…', '{', ' ']) || n.contains("NNNN");
    // Named values and groups of tests begin with a name, files with a room.
    named.retain(|n| ends.iter().any(|end| n.ends_with(end)) && n.contains('/') && !stands_for_many(n));
    assert!(named.len() > 20, "files are named: {named:?}");
    let missing = missing(&named, &PLACES);
    assert!(missing.is_empty(), "named, but not there: {missing:?}");
}

/// Folders from which the pages name files.
const PLACES: [&str; 9] = [
    ".",
    "node",
    "node/src",
    "node/directory/src",
    "node/runtime/src",
    "node/domain/src",
    "node/storage/src",
    "node/wire/src",
    "admin-cli/src",
];

/// Every word of the code of the node, its comments apart.
fn words_of_the_code() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for (_, file) in super::named_sources() {
        let code = super::code(&std::fs::read_to_string(file).expect("readable"));
        let apart = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        words.extend(code.split(apart).filter(|word| !word.is_empty()).map(str::to_owned));
    }
    words
}

#[test]
fn the_glossary_names_types_and_files_that_exist() {
    let text = std::fs::read_to_string(root().join("node/GLOSSARY.md")).expect("readable");
    let carried = |line: &str| {
        let cell = line.strip_prefix("| **")?.split('|').nth(1)?;
        Some(cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
    };
    let named: Vec<String> = text.lines().filter_map(carried).flatten().collect();
    assert!(named.len() > 60, "types are named: {named:?}");
    let words = words_of_the_code();
    let there = |name: &String| {
        let is_file = name.contains('/') || name.ends_with(".rs") || name.ends_with(".key");
        let room = name.split_once('/').map(|(room, rest)| format!("node/{room}/src/{rest}"));
        let places = PLACES.iter().map(|place| format!("{place}/{name}")).chain(room);
        let file = is_file && places.into_iter().any(|place| root().join(place).exists());
        file || name.ends_with(".key") || name.rsplit("::").next().is_some_and(|last| words.contains(last))
    };
    let missing: Vec<&String> = named.iter().filter(|name| !there(name)).collect();
    assert!(missing.is_empty(), "in the glossary, but not in the code: {missing:?}");
    for name in ["offer::NeverThere", "directory/never.rs"] {
        assert!(!there(&name.to_owned()), "{name}");
    }
}

/// The page's section on locks, and the locks that it names.
fn locks_in_order() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("node/CONTRIBUTING.md")).expect("readable");
    let section =
        text.split("## The order of locks").nth(1).expect("the section").split("\n## ").next().expect("its text");
    let column = section.lines().filter_map(|line| line.strip_prefix('|')?.split('|').nth(1));
    let named = column.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|name| *name != "std");
    named.map(|name| name.rsplit('.').next().unwrap_or(name).to_owned()).collect()
}

/// The field, or the struct of one field, whose lock may be held while others are waited for.
fn lock_of(line: &str) -> Option<&str> {
    let line =
        line.split_once("tokio::sync::Mutex<").or_else(|| line.split_once("tokio::sync::RwLock<"))?.0.trim_start();
    let field = line.rsplit_once(" struct ").map_or(line, |(_, rest)| rest);
    let field = field.trim_start_matches("pub(super) ").trim_start_matches("pub ").trim_start_matches("struct ");
    let name = super::first_word(field);
    (field[name.len()..].starts_with([':', '('])).then_some(name)
}

#[test]
fn the_order_of_locks_has_every_lock_of_the_exchange() {
    let named = locks_in_order();
    let words = words_of_the_code();
    let gone: Vec<&String> = named.iter().filter(|name| !words.contains(*name)).collect();
    assert!(named.len() > 15 && gone.is_empty(), "in the order of locks, but not in the code: {gone:?}");
    let mut found = BTreeSet::new();
    for (relative, file) in super::named_sources() {
        if relative.starts_with("exchange/") && !super::is_tests(&relative) {
            let code = super::code(&std::fs::read_to_string(file).expect("readable"));
            found.extend(code.lines().filter_map(lock_of).map(str::to_owned));
        }
    }
    assert!(found.contains("saying_later") && found.contains("Incoming"), "locks were read: {found:?}");
    let missing: Vec<&String> = found.difference(&named).collect();
    assert!(missing.is_empty(), "locks without a place in the order: {missing:?}");
}
