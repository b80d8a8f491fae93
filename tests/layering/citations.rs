//! What comments and pages cite is there: rules by number, decisions, invariants, pages.
//!
//! A rule is cited by its number in `proto/PROTOCOL.md`, "(9.8)"; what must hold at any moment as "invariant 3", by the list at the
//! head of that page; a decision by its page in `node/decisions`. Comments of sources and the prose of pages are read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What can be cited.
struct Known {
    /// `9.8`, `11.3`: numbers that have a heading in the rules.
    rules: BTreeSet<String>,
    /// Numbers of the list at the head of the rules.
    invariants: BTreeSet<u32>,
    /// `017`: numbers of the decisions.
    decisions: BTreeSet<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn known() -> Known {
    let text = std::fs::read_to_string(root().join("proto/PROTOCOL.md")).expect("readable");
    let heading = |line: &str| {
        let rest = line.strip_prefix("## ").or_else(|| line.strip_prefix("**"))?;
        let number = rest.split(' ').next()?;
        rule_at(number, 0).filter(|found| found == number)
    };
    let head = text.split("\n## ").next().unwrap_or_default();
    let listed = |line: &str| line.split_once(". ").and_then(|(number, _)| number.parse().ok());
    let decisions = std::fs::read_dir(root().join("node/decisions")).expect("readable");
    let number = |name: String| name.get(..3).map(str::to_owned);
    Known {
        rules: text.lines().filter_map(heading).collect(),
        invariants: head.lines().filter_map(listed).collect(),
        decisions: decisions
            .filter_map(|entry| number(entry.expect("entry").file_name().to_string_lossy().into_owned()))
            .collect(),
    }
}

/// Every file that may cite, below the root.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("entry").path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else if name == "run" || matches!(extension(&path), "rs" | "proto" | "sql" | "md" | "toml" | "py") {
            found.push(path);
        }
    }
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or("")
}

/// The lines that are read by people alone, with their numbers: comments, or the prose of a page.
fn prose<'a>(path: &Path, text: &'a str) -> Vec<(usize, &'a str)> {
    let marks: &[&str] = match extension(path) {
        "md" => {
            let mut code = false;
            let outside = |(_, line): &(usize, &str)| {
                code ^= line.trim_start().starts_with("```");
                !code
            };
            return text.lines().enumerate().filter(outside).collect();
        }
        "rs" | "proto" => &["//", "/*"],
        "sql" => &["--"],
        _ => &["#"],
    };
    let comment = |(number, line): (usize, &'a str)| {
        let outside = |at: &usize| line[..*at].matches('"').count() % 2 == 0;
        let starts = marks.iter().flat_map(|mark| line.match_indices(mark).map(|(at, _)| at));
        starts.filter(outside).min().map(|at| (number, &line[at..]))
    };
    text.lines().enumerate().filter_map(comment).collect()
}

/// The number of a rule that begins at this byte: `9.` or `11.` with one or two digits, no part of a longer number.
fn rule_at(text: &str, at: usize) -> Option<String> {
    let before = text[..at].chars().next_back();
    if before.is_some_and(|c| c.is_alphanumeric() || ".-_§$".contains(c)) {
        return None;
    }
    let rest = &text[at..];
    let chapter = ["9.", "11."].into_iter().find(|chapter| rest.starts_with(chapter))?;
    let digits = rest[chapter.len()..].chars().take_while(char::is_ascii_digit).count();
    let mut after = rest[chapter.len() + digits..].chars();
    let goes_on = match after.next() {
        Some('.') => after.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => c.is_alphanumeric() || c == '_',
        None => false,
    };
    ((1..=2).contains(&digits) && !goes_on).then(|| rest[..chapter.len() + digits].to_owned())
}

/// Names of pages in a line: `node/ARCHITECTURE.md`.
fn pages(line: &str) -> impl Iterator<Item = &str> {
    let apart = |c: char| !(c.is_ascii_alphanumeric() || "._/-".contains(c));
    line.split(apart).map(|word| word.trim_end_matches('.')).filter(|word| word.ends_with(".md"))
}

/// The number that follows a word: "invariant 9", "decisions/017".
fn numbers_after<'a>(line: &'a str, word: &str) -> Vec<&'a str> {
    let number = |at: usize| {
        let rest = &line[at..];
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        (digits > 0).then(|| &rest[..digits])
    };
    line.match_indices(word).filter_map(|(at, _)| number(at + word.len())).collect()
}

/// Citations of a file that lead nowhere.
fn dangling(path: &Path, text: &str, known: &Known) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |number: usize, what: &str| found.push(format!("{}:{}: {what}", path.display(), number + 1));
    for (number, line) in prose(path, text) {
        let rules = line.char_indices().filter_map(|(at, _)| rule_at(line, at));
        rules.filter(|rule| !known.rules.contains(rule)).for_each(|rule| note(number, &rule));
        for page in pages(line) {
            let folder = path.parent().unwrap_or(Path::new(""));
            let places = [root(), root().join("node"), root().join("proto"), root().join(folder)];
            if !places.iter().any(|place| place.join(page).is_file()) {
                note(number, page);
            }
        }
        for word in ["decisions/", "decision ", "decisions "] {
            for decision in numbers_after(line, word).into_iter().filter(|n| n.len() == 3) {
                if !known.decisions.contains(decision) {
                    note(number, &format!("decision {decision}"));
                }
            }
        }
        for word in ["invariant ", "invariants "] {
            for invariant in numbers_after(line, word) {
                if invariant.parse().map_or(true, |n| !known.invariants.contains(&n)) {
                    note(number, &format!("invariant {invariant}"));
                }
            }
        }
    }
    // Plans are no part of the repository: nobody who reads it can look there.
    let whole = text.to_lowercase();
    for plan in [concat!("hand", "book"), concat!("see the", " draft")] {
        if whole.contains(plan) {
            note(0, plan);
        }
    }
    found
}

#[test]
fn every_citation_leads_somewhere() {
    let known = known();
    let mut all = Vec::new();
    files(&root(), &mut all);
    assert!(all.len() > 500, "the sources were found");
    let mut found = Vec::new();
    let mut cited = 0;
    for file in all {
        let text = std::fs::read_to_string(&file).expect("readable");
        let path = file.strip_prefix(root()).expect("below").to_owned();
        let rules = |line: &str| line.char_indices().filter(|(at, _)| rule_at(line, *at).is_some()).count();
        cited += prose(&path, &text).into_iter().map(|(_, line)| rules(line)).sum::<usize>();
        found.extend(dangling(&path, &text, &known));
    }
    assert!(cited > 200, "{cited} citations of rules were found");
    assert!(found.is_empty(), "cited, but not there:\n{}", found.join("\n"));
}

#[test]
fn the_rules_are_numbered_without_a_gap() {
    let known = known();
    let rules = (1..=17).map(|n| format!("9.{n}")).chain((1..=25).map(|n| format!("11.{n}")));
    assert_eq!(known.rules, rules.collect(), "a number is never given up, and never given to another rule");
    assert_eq!(known.invariants, (1..=10).collect());
    assert!(known.decisions.len() > 10);
}

#[test]
fn a_citation_that_leads_nowhere_is_found() {
    let known = known();
    let wrong = [
        ("node/src/x.rs", "// as 9.18 says"),
        ("node/src/x.rs", "let x = 1; // (9.4, 11.26)"),
        ("node/src/x.rs", "id!(/** SHA-256 (9.0). */ X);"),
        ("node/src/x.rs", "/// The edge (4-trust.md)."),
        ("node/src/x.rs", "//! Nothing panics (invariant 11)."),
        ("node/src/x.rs", "// decisions/999 says why"),
        ("node/src/x.rs", "// node/decisions/011-another-title.md"),
        ("node/migrations/x.sql", "-- sealed (9.21)"),
        ("proto/x.proto", "// FROZEN (9.44)."),
        ("node/x.toml", "# see node/NOTHING.md"),
        ("node/x.md", "Rule 9.18 holds."),
    ];
    for (path, text) in wrong {
        assert!(!dangling(Path::new(path), text, &known).is_empty(), "{path}: {text}");
    }
    let right = [
        ("node/src/x.rs", "// as 9.8 says, and 11.25; see node/decisions/011-memory.md (decisions/017)."),
        ("node/src/x.rs", "let x = \"9.77\"; // SQLite 3.9.77, openraft 0.10"),
        ("node/src/x.rs", "let version = 9.77;"),
        ("node/x.md", "`../proto/PROTOCOL.md`, `CONTRIBUTING.md`, invariant 9.\n```\n9.77\n```"),
    ];
    for (path, text) in right {
        assert_eq!(dangling(Path::new(path), text, &known), Vec::<String>::new(), "{path}: {text}");
    }
}
