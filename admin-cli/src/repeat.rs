//! A write whose outcome nobody knows is asked again under the id that it had: the command for it, ready to be copied.
//!
//! Only who names the first id is sure not to do a thing twice, and the id of a first try is often one that this tool made.

use std::time::Duration;

use crate::output::clean;
use crate::when;

/// The command that was typed, under this id and, if one is given, with this time limit.
pub fn command(request_id: &str, timeout: Option<Duration>) -> String {
    let typed = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    line(typed, request_id, timeout)
}

fn line(typed: impl Iterator<Item = String>, request_id: &str, timeout: Option<Duration>) -> String {
    let limit = timeout.map(when::typed_duration);
    let mut added = vec![("--request-id", request_id.to_owned())];
    added.extend(limit.map(|limit| ("--timeout", limit)));
    let mut words = vec!["havenctl".to_owned()];
    let mut typed = typed.peekable();
    // What stands behind `--` is no option, whatever it looks like.
    while let Some(word) = typed.next_if(|word| word != "--") {
        match added.iter().find(|(name, _)| word.strip_prefix(name).is_some_and(|v| v.is_empty() || v.starts_with('=')))
        {
            Some((name, _)) if word == *name => drop(typed.next()),
            Some(_) => {}
            None => words.push(word),
        }
    }
    words.extend(added.into_iter().rev().flat_map(|(name, value)| [name.to_owned(), value]));
    words.extend(typed);
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it: plain, in quotes, or, with characters that no terminal is shown, escaped.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    if clean(word) == word {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let escaped = |c: char| match c {
        '\'' | '\\' => format!("\\{c}"),
        c if clean(c.encode_utf8(&mut [0; 4])).starts_with(c) => c.to_string(),
        c if u32::from(c) > 0xffff => format!("\\U{:08x}", u32::from(c)),
        c => format!("\\u{:04x}", u32::from(c)),
    };
    format!("$'{}'", word.chars().map(escaped).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_copied() {
        let line = |typed: &[&str], timeout: Option<u64>| {
            line(typed.iter().map(|word| (*word).to_owned()), "id-1", timeout.map(Duration::from_secs))
        };
        assert_eq!(line(&["node", "renew"], None), "havenctl node renew --request-id id-1");
        let typed = ["--timeout=2s", "node", "renew", "--request-id", "x", "--timeout", "1s", "-o", "json"];
        assert_eq!(line(&typed, Some(30)), "havenctl node renew -o json --timeout 30s --request-id id-1");
        assert_eq!(
            line(&["node", "renew", "--timeout", "1s"], None),
            "havenctl node renew --timeout 1s --request-id id-1"
        );
        assert_eq!(
            line(&["alert", "answer", "--", "--request-id", "ACKNOWLEDGED"], None),
            "havenctl alert answer --request-id id-1 -- --request-id ACKNOWLEDGED"
        );
        assert_eq!(
            line(&["x", "--summary", "fr:L'annonce $5", "--label", ""], None),
            r"havenctl x --summary 'fr:L'\''annonce $5' --label '' --request-id id-1"
        );
        assert_eq!(line(&["x", "a\n\u{202e}b'"], None), r"havenctl x $'a\u000a\u202eb\'' --request-id id-1");
        assert_eq!(line(&["x", "a\u{e0041}b"], None), r"havenctl x $'a\U000e0041b' --request-id id-1");
        assert_eq!(line(&["x", "می\u{200c}کند"], None), "havenctl x 'می\u{200c}کند' --request-id id-1");
    }
}
