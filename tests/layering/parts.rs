//! The walls inside rooms: which part of the exchange may call which, that nobody sees another one's fields, and that no
//! folder of any crate needs, by whatever way, a module beside it that needs the folder.
//!
//! Read are the module paths that a source names (`use` and in place), `super::` and `crate::` alike.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{CRATES, ROOMS, code, cycle, is_tests, named_sources, node, sources};

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
    Part { name: "persons", is: Some("Persons"), uses: &["context"] },
    Part { name: "road", is: Some("Road"), uses: &["context", "records", "agreements", "persons"] },
    Part { name: "capacity", is: Some("Capacity"), uses: &["context", "records", "road"] },
    Part { name: "practices", is: Some("PracticeSearch"), uses: &["context", "road"] },
    Part { name: "upkeep", is: Some("Upkeep"), uses: &["context", "agreements", "persons", "road", "capacity"] },
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

/// Inside a crate of its own `crate::` is the room, or what its lib.rs gives another room's name to.
fn resolved<'a>(from: &[&'a str], path: &[&'a str]) -> Vec<&'a str> {
    let mut whole = from.to_vec();
    let own = from.first().is_some_and(|room| CRATES.contains(room) || *room == TOOL);
    for (i, word) in path.iter().enumerate() {
        match *word {
            "crate" => {
                let other = path.get(i + 1).is_some_and(|next| ROOMS.iter().any(|room| room.name == *next));
                whole.truncate(usize::from(own && !other));
            }
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
    without_tests(named_sources())
}

/// The code of sources that are no tests: neither by their name, nor because the module that has them says so.
fn without_tests(sources: Vec<(String, PathBuf)>) -> Vec<(String, String)> {
    let texts =
        sources.into_iter().map(|(relative, file)| (relative, std::fs::read_to_string(file).expect("readable")));
    let texts: Vec<(String, String)> = texts.collect();
    let declared = texts.iter().flat_map(|(relative, text)| {
        let names = text.split("#[cfg(test)]\nmod ").skip(1).map(super::first_word);
        names.map(|name| [module(relative), vec![name]].concat()).collect::<Vec<_>>()
    });
    let tests: Vec<Vec<&str>> = declared.collect();
    let of_a_test = |relative: &str| is_tests(relative) || tests.iter().any(|test| module(relative).starts_with(test));
    let product = texts.iter().filter(|(relative, _)| !of_a_test(relative));
    product.map(|(relative, text)| (relative.clone(), code(text))).collect()
}

/// The tool is a crate beside the node.
const TOOL: &str = "admin-cli";

/// The code of each source of the product, the tool's too.
fn all_product() -> Vec<(String, String)> {
    let (root, mut files) = (node().join("../admin-cli/src"), Vec::new());
    sources(&root, &mut files);
    let named = files.into_iter().map(|file| {
        let below = file.strip_prefix(&root).expect("below").to_string_lossy().replace('\\', "/");
        (format!("{TOOL}/{below}"), file)
    });
    product().into_iter().chain(without_tests(named.collect())).collect()
}

/// Modules that are one room although they are several: here each needs the others by what it is.
const ONE_ROOM: &[(&str, &[&str])] = &[
    // What an act's rules read is the state, and what changes the state is an act that its author signed. A founding is one
    // that beats prove, and beats are judged by the state.
    ("directory", &["acts", "state", "statements", "overlay", "awaiting_countersignature", "refounding", "beats"]),
];

/// For each module, the modules beside it that it names: by the folder that both stand in.
type Uses = BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>>;

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|word| (*word).to_owned()).collect()
}

/// What stands beside what, and names it; a module that its folder's `mod.rs` shows under another name is followed.
fn uses(product: &[(String, String)]) -> Uses {
    let modules: BTreeSet<Vec<String>> = product.iter().flat_map(|(relative, _)| prefixes(&module(relative))).collect();
    let shown = shown_from_below(product);
    let mut uses = Uses::new();
    for (relative, code) in product {
        let from = module(relative);
        for path in paths(relative, code) {
            let depth = from.iter().zip(&path).take_while(|(a, b)| a == b).count();
            let (Some(mine), Some(named)) = (from.get(depth), path.get(depth)) else { continue };
            let folder = owned(&from[..depth]);
            let stands_in = |name: &str| modules.contains(&[folder.clone(), vec![name.to_owned()]].concat());
            let alias = shown.get(&folder).and_then(|shown| shown.get(*named)).map_or(*named, String::as_str);
            if depth > 0 && stands_in(alias) && alias != *mine {
                uses.entry(folder).or_default().entry((*mine).to_owned()).or_default().insert(alias.to_owned());
            }
        }
    }
    uses
}

fn prefixes(module: &[&str]) -> Vec<Vec<String>> {
    (1..=module.len()).map(|to| owned(&module[..to])).collect()
}

/// `pub use records::record;` in lib.rs: whoever names `record` names `records`.
fn shown_from_below(product: &[(String, String)]) -> BTreeMap<Vec<String>, BTreeMap<String, String>> {
    let mut shown: BTreeMap<Vec<String>, BTreeMap<String, String>> = BTreeMap::new();
    for (relative, code) in
        product.iter().filter(|(relative, _)| relative.ends_with("/lib.rs") || relative.ends_with("/mod.rs"))
    {
        for line in code.lines().filter_map(|line| line.strip_prefix("pub use ")?.strip_suffix(';')) {
            let name = line.rsplit([' ', ':']).next().unwrap_or(line);
            if line.contains("::") && name.starts_with(|c: char| c.is_ascii_lowercase()) {
                let below = super::first_word(line).to_owned();
                shown.entry(owned(&module(relative))).or_default().insert(name.to_owned(), below);
            }
        }
    }
    shown
}

/// What is reached from a module, by whatever way.
fn reached(uses: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(one) = next.pop() {
        for used in uses.get(&one).into_iter().flatten() {
            if reached.insert(used.clone()) {
                next.push(used.clone());
            }
        }
    }
    reached
}

/// Folders, and modules beside them, that need each other.
fn circles(product: &[(String, String)]) -> Vec<String> {
    let folders: BTreeSet<Vec<String>> = product
        .iter()
        .flat_map(|(relative, _)| {
            let module = module(relative);
            let inside = module.len().saturating_sub(usize::from(!relative.ends_with("/mod.rs")));
            prefixes(&module[..inside])
        })
        .collect();
    let mut found = Vec::new();
    for (folder, uses) in &uses(product) {
        for one in uses.keys() {
            let is_folder = folders.contains(&[folder.clone(), vec![one.clone()]].concat());
            let place = folder.join("/");
            let together = |other: &str| {
                let both = |room: &[&str]| room.contains(&one.as_str()) && room.contains(&other);
                ONE_ROOM.iter().any(|(at, room)| *at == place && both(room))
            };
            let back =
                reached(uses, one).into_iter().filter(|other| other != one && reached(uses, other).contains(one));
            found.extend(
                back.filter(|other| is_folder && !together(other)).map(|other| format!("{place}: {one} and {other}")),
            );
        }
    }
    found
}

#[test]
fn no_folder_needs_what_needs_it() {
    let product = all_product();
    let uses = uses(&product);
    let exchange = &uses[&vec!["exchange".to_owned()]];
    assert!(
        exchange["upkeep"].contains("road") && exchange["road"].contains("context"),
        "imports were read: {exchange:?}"
    );
    assert!(uses[&vec!["domain".to_owned()]]["envelope"].contains("records"), "what lib.rs shows is followed");
    assert!(uses[&vec![TOOL.to_owned()]]["cli"].contains("commands"));
    let found = circles(&product);
    assert!(found.is_empty(), "need each other:\n{}", found.join("\n"));
    for (place, room) in ONE_ROOM {
        let uses = &uses[&place.split('/').map(str::to_owned).collect::<Vec<_>>()];
        for one in *room {
            let needed = room.iter().all(|other| other == one || reached(uses, one).contains(*other));
            assert!(needed, "{place}/{one} needs the others no more: take it away");
        }
    }
}

#[test]
fn a_circle_is_found() {
    let sources = |sources: &[(&str, &str)]| -> Vec<(String, String)> {
        sources.iter().map(|(relative, code)| ((*relative).to_owned(), (*code).to_owned())).collect()
    };
    let through_a_file =
        [("wire/records/mod.rs", "use crate::fields::x;"), ("wire/fields.rs", "use super::records::Codec;")];
    assert_eq!(circles(&sources(&through_a_file)), ["wire: records and fields"]);
    let deep = [("app/a/x/one.rs", "use super::super::y::two::Z;"), ("app/a/y/two.rs", "use crate::app::a::x::W;")];
    assert_eq!(circles(&sources(&deep)).len(), 2);
    let shown = [
        ("domain/lib.rs", "pub use records::record;"),
        ("domain/records/record.rs", "use crate::audit::A;"),
        ("domain/audit.rs", "use crate::record::K;"),
    ];
    assert_eq!(circles(&sources(&shown)), ["domain: records and audit"]);
    let files_of_one_room = [("wire/a.rs", "use crate::b::B;"), ("wire/b.rs", "use crate::a::A;")];
    assert!(circles(&sources(&files_of_one_room)).is_empty());
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
