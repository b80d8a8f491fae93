//! Help texts: of each tool, and of each noun with all its verbs.

use super::alone;

/// The names under `Commands:` of a help text.
fn commands(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

fn help(tool: &str, path: &[&str]) -> String {
    let (code, out, err) = alone(tool, &[path, &["--help"]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{tool} {path:?}");
    out
}

#[test]
fn of_the_node() {
    let whole = help("havenlink", &[]);
    insta::assert_snapshot!("havenlink", whole);
    for command in commands(&whole) {
        insta::assert_snapshot!(format!("havenlink-{command}"), help("havenlink", &[&command]));
    }
}

#[test]
fn of_the_auditor() {
    insta::assert_snapshot!("havenlink-audit", help("havenlink-audit", &[]));
}

#[test]
fn of_the_tool_by_noun() {
    let whole = help("havenctl", &[]);
    insta::assert_snapshot!("havenctl", whole);
    let nouns = commands(&whole);
    assert!(nouns.len() >= 15, "{nouns:?}");
    for noun in nouns {
        let mut text = help("havenctl", &[&noun]);
        for verb in commands(&text) {
            text.push_str(&format!("\n=== {noun} {verb}\n\n{}", help("havenctl", &[&noun, &verb])));
        }
        // What holds for every command stands once, in the tool's own help.
        let text = text.lines().collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(format!("havenctl-{noun}"), text);
    }
}
