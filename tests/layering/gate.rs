//! What is stored of a record opens through one gate (9.2). The compiler keeps a `KeptRecord` shut; these are the ways around it.

use super::{code, named_sources};

fn read(relative: &str) -> String {
    let source = named_sources().into_iter().find(|(name, _)| name == relative);
    code(&std::fs::read_to_string(source.expect("it is there").1).expect("readable"))
}

#[test]
fn there_are_three_questions() {
    let mut asked = Vec::new();
    for (relative, file) in named_sources().into_iter().filter(|(name, _)| name.starts_with("domain/")) {
        let text = code(&std::fs::read_to_string(file).expect("readable"));
        let found =
            text.split("pub fn may_").skip(1).map(|rest| rest.split(['(', '<']).next().unwrap_or("").to_owned());
        asked.extend(found.map(|name| (relative.clone(), name)));
    }
    let policy = |name: &str| ("domain/policy.rs".to_owned(), name.to_owned());
    assert_eq!(asked, ["share", "control", "read"].map(policy));
}

/// A row that gives a record's bytes as they are would be read without a question.
#[test]
fn a_row_has_no_bytes_of_a_record() {
    let rows = read("storage/rows.rs");
    let bare: Vec<&str> =
        rows.lines().map(str::trim).filter(|l| l.contains("Bytes") && !l.starts_with("use ")).collect();
    let known = [
        // Signed by a partner about itself.
        "pub hello: Bytes,",
        // On its way out: carried to the socket, not read.
        "Envelope(Bytes),",
        // Signed by a node of ours or a partner's, about the road and agreements.
        "pub receipt: Option<Bytes>,",
        "pub signed: Bytes,",
        "pub notice: Bytes,",
        // Sealed: without its key in `keys.db` nobody reads it (9.9).
        "pub sealed: Bytes,",
        // A partner's answer to a withdrawal: signed, about a record that is gone.
        "pub receipt: Bytes,",
        // A partner's notice, as it was signed: what its origin is shown after a restore.
        "pub notice: Bytes,",
        // Who holds which unit of an own offer: the owner's, and no record (9.11).
        "pub body: Bytes,",
        "pub checkpoint: Option<(u64, Bytes)>,",
    ];
    assert_eq!(bare, known);
}

#[test]
fn only_the_store_says_what_is_kept_and_until_when() {
    for (relative, file) in named_sources() {
        let text = code(&std::fs::read_to_string(file).expect("readable"));
        let makes = text.contains("KeptRecord::own(") || text.contains("KeptRecord::received(");
        let store = ["storage/sqlite/rows.rs", "storage/sqlite/offers.rs"].contains(&relative.as_str());
        let tests = super::is_tests(&relative) || relative.starts_with("storage/contract/");
        assert!(tests || makes == store, "{relative}");
    }
}
