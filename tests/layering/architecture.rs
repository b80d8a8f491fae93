//! `node/ARCHITECTURE.md` and both READMEs name files; each of them exists.

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
        // A protocol's name has a slash as well.
        named.retain(|n| n.contains('/') && !n.contains(char::is_whitespace) && n != "havenlink-join/1");
        assert!(named.len() >= least, "{document} names files: {named:?}");
        let missing = missing(&named, &["."]);
        assert!(missing.is_empty(), "{document} names what is not there: {missing:?}");
    }
}
