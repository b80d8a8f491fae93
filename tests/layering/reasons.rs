//! Every reason of the catalogue is given by the product, and a test provokes it.
//!
//! The sources are read: a reason counts as provoked where test code asserts it, by its Rust variant, by its code, or by
//! the register's outcome that stands for it. A mention elsewhere counts for nothing: not in a comment, not in a stand-in
//! that returns it, not in a helper.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use havenlink::domain::reason::Reason;
use havenlink::domain::register::Outcome;

/// One source, split into what is shipped and what tests it; comments are blanked in both.
struct Source {
    path: String,
    product: String,
    tests: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for part in ["node", "admin-cli/src", "admin-cli/tests", "tests"] {
        walk(&root.join(part), &mut files);
    }
    let read = |file: PathBuf| {
        let path = file.strip_prefix(&root).expect("below").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).expect("readable");
        let (product, tests) = split(&path, &text);
        Source { path, product, tests }
    };
    files.into_iter().map(read).collect()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "py") {
            found.push(path);
        }
    }
}

/// Product code and test code of a file, without comments.
fn split(path: &str, text: &str) -> (String, String) {
    for looks in ["if x == Reason::NoLeader {}", "matches!(r, Reason::NoLeader)", "match r { Reason::NoLeader => 1 }"] {
        assert!(!names(&given(looks), "Reason::NoLeader"), "{looks}");
    }
    assert!(names(&given("f(Reason::NoLeader); g == Reason::Internal"), "Reason::NoLeader"));
    let python = path.ends_with(".py");
    let text = without_comments(text, if python { "#" } else { "//" });
    let all_tests = path.starts_with("tests/")
        || path.starts_with("admin-cli/tests/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.contains("storage/src/contract/");
    // The demo shows refusals and checks what it shows, but it is not a test.
    match text.find("#[cfg(test)]\nmod ") {
        _ if all_tests => (String::new(), text),
        Some(at) => (text[..at].to_owned(), text[at..].to_owned()),
        None => (text, String::new()),
    }
}

fn without_comments(text: &str, mark: &str) -> String {
    text.lines()
        .map(|line| match line.find(mark) {
            Some(at) if line[..at].matches('"').count() % 2 == 0 => &line[..at],
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// What test code asserts: the arguments of its assertions, and the tables in the bodies of its test functions.
fn asserted(path: &str, tests: &str) -> String {
    let openings: &[&str] =
        if path.ends_with(".py") { &["\nrefused("] } else { &["assert!(", "assert_eq!(", "assert_refused("] };
    let mut found = String::new();
    for opening in openings {
        for (at, _) in tests.match_indices(opening) {
            found.push_str(balanced(&tests[at + opening.len() - 1..], '(', ')'));
            found.push('\n');
        }
    }
    for (at, _) in tests.match_indices("#[test]").chain(tests.match_indices("#[tokio::test")) {
        if let Some(body) = tests[at..].find("{\n").map(|start| balanced(&tests[at + start..], '{', '}')) {
            looped(body, &mut found);
        }
    }
    found
}

/// The tables that a test goes through: `for (input, reason) in [...] { … reason … }`, or one with a name that is looped over.
/// A table that nobody goes through asserts nothing.
fn looped(body: &str, found: &mut String) {
    for (at, _) in body.match_indices(" in [") {
        let table = balanced(&body[at + 4..], '[', ']');
        let rest = &body[at + 4 + table.len()..];
        let inside = rest.find('{').map_or("", |open| balanced(&rest[open..], '{', '}'));
        let pattern = body[..at].rfind("for ").map_or("", |start| &body[start + 4..at]);
        let bound = pattern.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        if bound.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())).any(|name| names(inside, name)) {
            found.push_str(table);
            found.push('\n');
        }
    }
    for (at, _) in body.match_indices("= [") {
        let Some(start) = body[..at].rfind("let ") else { continue };
        let declared = &body[start + 4..at];
        let name = declared.split([':', ' ']).next().unwrap_or("");
        let used =
            [format!(" in {name}"), format!(" in &{name}"), format!("{name}.iter()"), format!("{name}.into_iter()")];
        if !declared.contains(";\n") && !name.is_empty() && used.iter().any(|used| names(body, used.trim_start())) {
            found.push_str(balanced(&body[at + 2..], '[', ']'));
            found.push('\n');
        }
    }
}

/// The text up to the bracket that closes the one it begins with; brackets in strings are strings.
fn balanced(text: &str, open: char, close: char) -> &str {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            c if c == open => depth += 1,
            c if c == close => {
                depth -= 1;
                if depth == 0 {
                    return &text[..=at];
                }
            }
            _ => {}
        }
    }
    text
}

/// Whether a word stands in the text as a whole word.
fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        !part(text[..at].chars().next_back()) && !part(text[at + word.len()..].chars().next())
    })
}

/// How each reason is written down: its variant, its code, the outcomes of the register that stand for it.
fn words_of(reason: Reason) -> Vec<String> {
    let outcomes = Outcome::ALL.iter().filter(|o| o.reason() == Some(reason)).map(|o| format!("Outcome::{o:?}"));
    [format!("Reason::{reason:?}"), format!("R::{reason:?}"), reason.code().to_owned()]
        .into_iter()
        .chain(outcomes)
        .collect()
}

/// Product code without what only looks at a reason: patterns and comparisons.
fn given(product: &str) -> String {
    let mut text = product.to_owned();
    while let Some(at) = text.find("matches!(") {
        let end = at + "matches!(".len() - 1 + balanced(&text[at + "matches!(".len() - 1..], '(', ')').len();
        text.replace_range(at..end, "");
    }
    let looked_at = |at: usize, len: usize| {
        let (before, after) = (text[..at].trim_end(), text[at + len..].trim_start());
        before.ends_with("==") || before.ends_with("!=") || after.starts_with("=>") || after.starts_with("| Reason::")
    };
    let mut kept = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices("Reason::") {
        let rest = &text[at + 8..];
        let len = 8 + rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        kept.push_str(&text[from..at]);
        if !looked_at(at, len) {
            kept.push_str(&text[at..at + len]);
        }
        from = at + len;
    }
    kept + &text[from..]
}

fn is_catalogue(path: &str) -> bool {
    path.ends_with("domain/reason.rs") || path.ends_with("layering/reasons.rs")
}

#[test]
fn each_reason_is_provoked_by_a_test() {
    let sources = sources();
    let asserted: Vec<(&str, String)> = sources
        .iter()
        .filter(|s| !is_catalogue(&s.path) && !s.tests.is_empty())
        .map(|s| (s.path.as_str(), asserted(&s.path, &s.tests)))
        .collect();
    // The tool's tests play the node: what they make it say proves nothing, but for what the tool itself says.
    let tool: Vec<String> =
        sources.iter().filter(|s| s.path.starts_with("admin-cli/src")).map(|s| given(&s.product)).collect();
    let by_tool = |code: &str| tool.iter().any(|text| names(text, code));
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for reason in Reason::ALL {
        let words = words_of(*reason);
        let counts = |path: &str| !path.starts_with("admin-cli/") || by_tool(reason.code());
        let tests = asserted.iter().filter(|(path, text)| counts(path) && words.iter().any(|word| names(text, word)));
        by_reason.insert(reason.code(), tests.map(|(path, _)| *path).collect());
    }
    let missing: Vec<&&str> = by_reason.iter().filter(|(_, tests)| tests.is_empty()).map(|(code, _)| code).collect();
    assert!(missing.is_empty(), "no test provokes: {missing:?}");
}

#[test]
fn each_reason_is_given_by_the_product() {
    let sources = sources();
    let product: Vec<String> = sources.iter().filter(|s| !is_catalogue(&s.path)).map(|s| given(&s.product)).collect();
    let gives = |reason: &Reason| {
        let words = words_of(*reason);
        product.iter().any(|text| words.iter().any(|word| names(text, word)))
    };
    let never: Vec<&Reason> = Reason::ALL.iter().filter(|reason| !gives(reason)).collect();
    assert!(never.is_empty(), "nothing gives: {never:?}");
}

#[test]
fn a_mention_is_no_proof() {
    let seen = |tests: &str| {
        let (_, tests) = split("tests/x.rs", tests);
        names(&asserted("tests/x.rs", &tests), "Reason::NoLeader")
    };
    assert!(seen("fn t() {\n assert_eq!(f(\")\"), Err(Reason::NoLeader));\n}"));
    assert!(seen("#[test]\nfn t() {\n for (a, r) in [(1, Reason::NoLeader)] {\n check(a, r);\n }\n}"));
    assert!(!seen("fn t() {\n // assert_eq!(x, Reason::NoLeader)\n}"));
    assert!(!seen("fn fake() -> Result<(), Reason> {\n Err(Reason::NoLeader)\n}"));
    assert!(!seen("#[test]\nfn t() {\n let r = Reason::NoLeader;\n}"));
    assert!(!seen("#[test]\nfn t() {\n let cases = [(1, Reason::NoLeader)];\n}"));
    assert!(!seen("#[test]\nfn t() {\n for (a, r) in [(1, Reason::NoLeader)] {\n check(2, 3);\n }\n}"));
    assert!(seen(
        "#[test]\nfn t() {\n let cases = [(1, Reason::NoLeader)];\n for (a, r) in cases {\n check(a, r);\n }\n}"
    ));
    assert!(!seen("fn t() {\n assert!(x.is_err(), \"why\"); Reason::NoLeader;\n}"));
    assert!(!seen("fn t() {\n assert_eq!(x, Reason::NoLeaderHere);\n}"));
    let product = split("node/src/x.rs", "fn f() -> Reason { Reason::NoLeader }\n#[cfg(test)]\nmod tests {\n}");
    assert!(names(&product.0, "Reason::NoLeader") && !names(&product.1, "Reason::NoLeader"));
    let python = "\nrefused(\"x\", lambda: 1, \"NO_LEADER\")\n";
    assert!(names(&asserted("tests/x.py", python), "NO_LEADER"));
}
