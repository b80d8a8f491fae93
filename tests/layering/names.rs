//! Names that were given up do not come back, and one word means one thing.
//!
//! Read are the identifiers of all our Rust sources; comments and strings are not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is given up.
#[derive(Clone, Copy, Debug)]
enum Never {
    /// No identifier has these words, side by side: `half signed` is `half_signed`, `HalfSignedSet`, `HALF_SIGNED`.
    Words(&'static str),
    /// No source file has a path that ends so.
    File(&'static str),
    /// At most one type has this name.
    Twice(&'static str),
}

use Never::{File, Twice, Words};

const GONE: &[Never] = &[
    File("app/doors.rs"),
    File("join/once.rs"),
    File("raft/clocks.rs"),
    File("raft/doors.rs"),
    File("raft/places.rs"),
    Twice("Act"),
    Twice("Body"),
    Twice("Door"),
    Twice("Failure"),
    Twice("Heard"),
    Twice("Held"),
    Twice("Member"),
    Twice("Place"),
    Twice("Record"),
    Twice("Refusal"),
    Twice("Road"),
    Twice("Standing"),
    Twice("Statement"),
    Twice("Waiting"),
    Words("captured"),
    Words("coded"),
    Words("council"),
    Words("desk"),
    Words("farewell"),
    Words("half signed"),
    Words("memo"),
    Words("motion"),
    Words("newcomers"),
    Words("press"),
    Words("pressed"),
    Words("purse"),
    Words("wish"),
];

/// Rust without comments and without the insides of strings.
fn bare(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if c == '"' {
            string(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else {
            kept.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        kept.push(' ');
        rest = &rest[skipped..];
    }
    kept
}

/// Length of the string that a text begins with, its quotes included.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn identifiers(bare: &str) -> impl Iterator<Item = &str> {
    bare.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// An identifier's words with a blank around each: ` half signed set `.
fn words(identifier: &str) -> String {
    let shouts = !identifier.contains(|c: char| c.is_ascii_lowercase());
    let mut words = String::from(" ");
    for c in identifier.chars() {
        if c == '_' || (c.is_ascii_uppercase() && !shouts) {
            words.push(' ');
        }
        if c != '_' {
            words.push(c.to_ascii_lowercase());
        }
    }
    words + " "
}

/// Names of the types that a source defines.
fn types(bare: &str) -> impl Iterator<Item = &str> {
    let all: Vec<&str> = identifiers(bare).collect();
    let defines = |pair: &[&str]| matches!(pair[0], "struct" | "enum" | "trait" | "type");
    let named = |pair: &[&str]| pair[1].starts_with(|c: char| c.is_ascii_uppercase());
    let found: Vec<&str> = all.windows(2).filter(|pair| defines(pair) && named(pair)).map(|pair| pair[1]).collect();
    found.into_iter()
}

/// Where a name is still in use: the places that would have to change.
fn uses(never: Never, sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (path, bare) in sources {
        match never {
            Words(given_up) => {
                let given_up = format!(" {given_up} ");
                let has = |identifier: &&str| words(identifier).contains(&given_up);
                found.extend(identifiers(bare).find(has).map(|identifier| format!("{path}: {identifier}")));
            }
            File(end) if path.ends_with(&format!("/{end}")) => found.push(path.clone()),
            File(_) => {}
            Twice(name) => found.extend(types(bare).filter(|defined| *defined == name).map(|_| path.clone())),
        }
    }
    if matches!(never, Twice(_)) && found.len() == 1 {
        found.clear();
    }
    found
}

fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files: Vec<PathBuf> = Vec::new();
    for part in ["node", "admin-cli", "proto", "tests"] {
        super::sources(&root.join(part), &mut files);
    }
    let read = |file: PathBuf| {
        let path = file.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
        (path, bare(&std::fs::read_to_string(&file).expect("readable")))
    };
    files.into_iter().map(read).collect()
}

#[test]
fn a_name_that_was_given_up_does_not_come_back() {
    let sources = sources();
    assert!(sources.len() > 400, "the sources were found");
    let back: Vec<String> =
        GONE.iter().flat_map(|n| uses(*n, &sources).into_iter().map(move |at| format!("{n:?}: {at}"))).collect();
    assert!(back.is_empty(), "given up, and here again:\n{}", back.join("\n"));
}

#[test]
fn a_name_is_found_in_code_alone() {
    let of = |text: &str| BTreeMap::from([("node/src/join/once.rs".to_owned(), bare(text))]);
    for code in
        ["fn half_signed() {}", "struct HalfSignedSet;", "const HALF_SIGNED: u8 = 0;", "let x = half_signed_bytes;"]
    {
        assert_eq!(uses(Words("half signed"), &of(code)).len(), 1, "{code}");
    }
    for other in [
        "// half_signed",
        "f(\"half_signed\", '\"')",
        "let half = signed;",
        "f(r#\"half_signed\"#)",
        "let halfsigned = 1;",
    ] {
        assert_eq!(uses(Words("half signed"), &of(other)), [""; 0], "{other}");
    }
    assert_eq!(uses(File("join/once.rs"), &of("")).len(), 1);
    assert!(uses(File("at_once.rs"), &of("")).is_empty());
    assert!(uses(Twice("Door"), &of("enum Door { A } fn door(d: Door) {}")).is_empty());
    assert_eq!(uses(Twice("Door"), &of("enum Door { A } mod x { pub struct Door; }")).len(), 2);
}
