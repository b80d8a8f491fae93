//! The walls inside rooms: which part of the exchange may call which, and that nobody sees another one's fields.
//!
//! Read are the module paths that a source names (`use` and in place), `super::` and `crate::` alike.

use std::collections::{BTreeMap, BTreeSet};

use super::{code, cycle, is_tests, named_sources};

/// One part of the exchange: its folder or file, the struct that it is, and the parts that it may call.
struct Part {
    name: &'static str,
    is: Option<&'static str>,
    uses: &'static [&'static str],
}

/// Each stands behind all that it may call, so that the table has no cycle, and locks have one order.
const PARTS: &[Part] = &[
    Part { name: "context", is: Some("Context"), uses: &[] },
    Part { name: "records", is: Some("HeardOffers"), uses: &["context"] },
    Part { name: "agreements", is: Some("Agreements"), uses: &["context"] },
    Part { name: "road", is: Some("Road"), uses: &["context", "records", "agreements"] },
    Part { name: "capacity", is: Some("Capacity"), uses: &["context", "records", "road"] },
    Part { name: "practices", is: Some("PracticeSearch"), uses: &["context", "road"] },
    Part { name: "upkeep", is: Some("Upkeep"), uses: &["context", "agreements", "road", "capacity"] },
    Part { name: "join", is: None, uses: &["context"] },
    Part { name: "governance", is: None, uses: &["join"] },
    Part { name: "peer_client", is: None, uses: &["context", "join"] },
];

/// The module that a source is, from its room on: `exchange/road/held.rs` is exchange, road, held.
fn module(relative: &str) -> Vec<&str> {
    let mut module: Vec<&str> = relative.trim_end_matches(".rs").split('/').collect();
    if matches!(module.last(), Some(&("mod" | "lib"))) {
        module.pop();
    }
    module
}

/// Module paths from the room on that a source names, those in lists of `use` too.
fn paths<'a>(relative: &'a str, code: &'a str) -> Vec<Vec<&'a str>> {
    let mut named = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let begins =
                code[..at].chars().next_back().is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
            if begins {
                tree(&code[at..], &mut Vec::new(), &mut named);
            }
        }
    }
    let from = module(relative);
    named.into_iter().map(|path| resolved(&from, &path)).collect()
}

fn resolved<'a>(from: &[&'a str], path: &[&'a str]) -> Vec<&'a str> {
    let mut whole = from.to_vec();
    for (i, word) in path.iter().enumerate() {
        match *word {
            "crate" => whole.clear(),
            "super" => drop(whole.pop()),
            "self" => {}
            _ => {
                whole.extend(&path[i..]);
                break;
            }
        }
    }
    whole
}

/// Reads one path with its lists in braces; returns how far it goes.
fn tree<'a>(text: &'a str, before: &mut Vec<&'a str>, found: &mut Vec<Vec<&'a str>>) -> usize {
    let (depth, mut at) = (before.len(), 0);
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].starts_with('{') {
            at += 1;
            while !text[at..].trim_start().starts_with('}') && !text[at..].trim_start().is_empty() {
                at += tree(&text[at..], before, found);
                at += text[at..]
                    .find([',', '}'])
                    .map_or(text.len() - at, |end| end + usize::from(text.as_bytes()[at + end] == b','));
            }
            at += text[at..].find('}').map_or(0, |end| end + 1);
            break;
        }
        let word = super::first_word(&text[at..]);
        if !word.is_empty() {
            before.push(word);
        }
        at += word.len();
        if word.is_empty() || !text[at..].starts_with("::") {
            found.push(before.clone());
            break;
        }
        at += 2;
    }
    before.truncate(depth);
    at
}

/// The code of each source of the product.
fn product() -> Vec<(String, String)> {
    let sources = named_sources().into_iter().filter(|(relative, _)| !is_tests(relative));
    sources.map(|(relative, file)| (relative, code(&std::fs::read_to_string(file).expect("readable")))).collect()
}

/// Parts of the exchange that a source of another part names although it may not; the handle is one of them.
fn breaches(relative: &str, code: &str) -> Vec<String> {
    let from = module(relative);
    let ["exchange", name, ..] = from.as_slice() else { return Vec::new() };
    let Some(part) = PARTS.iter().find(|part| part.name == *name) else { return Vec::new() };
    let used = paths(relative, code).into_iter().filter_map(|path| match path.as_slice() {
        ["exchange", used, ..] if used != name => Some((*used).to_owned()),
        _ => None,
    });
    let used: BTreeSet<String> = used.filter(|used| !part.uses.contains(&used.as_str())).collect();
    used.into_iter().map(|used| format!("{relative} uses exchange::{used}")).collect()
}

#[test]
fn parts_of_the_exchange_call_one_way() {
    let found: Vec<String> = product().iter().flat_map(|(relative, code)| breaches(relative, code)).collect();
    assert!(found.is_empty(), "against the order of the parts:\n{}", found.join("\n"));
    let table: BTreeMap<&str, BTreeSet<&str>> =
        PARTS.iter().map(|part| (part.name, part.uses.iter().copied().collect())).collect();
    assert_eq!(cycle(&table), None, "the table has a cycle");
    for (relative, _) in product() {
        let module = module(&relative);
        let known = |name: &str| PARTS.iter().any(|part| part.name == name);
        let placed = module.first() != Some(&"exchange") || module.get(1).is_none_or(|name| known(name));
        assert!(placed, "{relative} stands in no part of the table");
    }
}

#[test]
fn a_breach_of_the_order_is_found() {
    let breach = |relative: &str, code: &str| !breaches(relative, code).is_empty();
    assert!(breach("exchange/road/held.rs", "use crate::exchange::upkeep::Passed;"));
    assert!(breach("exchange/road/deliver/mod.rs", "use super::super::capacity::Which;"));
    assert!(breach("exchange/context/mod.rs", "fn x() { super::road::received(row) }"));
    assert!(breach("exchange/agreements/mod.rs", "use super::{context::Call, road::{Draft, Road}};"));
    assert!(breach("exchange/join/mod.rs", "use crate::{domain::ids, exchange::{Call, context}};"), "the handle");
    assert!(!breach("exchange/road/deliver/settle.rs", "use super::super::{Road, question::{self, Asked}};"));
    assert!(!breach(
        "exchange/upkeep/owed.rs",
        "use super::{Upkeep, passes::Passed};\nuse crate::exchange::road::Road;"
    ));
    assert!(!breach("exchange/mod.rs", "pub use road::Road;"));
}

/// Fields of a struct that others than its own module can see.
fn open_fields(code: &str, name: &str) -> Option<Vec<String>> {
    let (_, rest) =
        code.split_once(&format!("struct {name} {{")).or_else(|| code.split_once(&format!("struct {name}(")))?;
    let fields = rest.split(['}', ';']).next().unwrap_or(rest);
    Some(
        fields
            .split(['\n', ','])
            .map(str::trim)
            .filter(|field| field.starts_with("pub ") || field.starts_with("pub("))
            .map(str::to_owned)
            .collect(),
    )
}

#[test]
fn no_part_shows_its_fields() {
    let sources = product();
    for part in PARTS {
        let Some(name) = part.is else { continue };
        let own = sources.iter().filter(|(relative, _)| module(relative).starts_with(&["exchange", part.name]));
        let fields: Vec<_> = own.filter_map(|(_, code)| open_fields(code, name)).collect();
        assert_eq!(fields.len(), 1, "{name} stands in {}", part.name);
        assert!(fields[0].is_empty(), "{name} shows {:?}", fields[0]);
    }
    let shown = open_fields("pub struct Road {\n    context: Arc<Context>,\n    pub(super) link: Link,\n}", "Road");
    assert_eq!(shown, Some(vec!["pub(super) link: Link".to_owned()]));
}
