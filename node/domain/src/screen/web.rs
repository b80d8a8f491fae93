//! Addresses on the web, e-mail addresses, handles.

use std::ops::Range;

use super::Finding;
use super::fold::Folded;
use super::tokens::{Token, one_of};

/// Endings that make a bare name an address. Others need a scheme, `www.` or a path.
const ENDINGS: [&str; 84] = [
    "com", "net", "org", "info", "biz", "eu", "io", "app", "dev", "xyz", "online", "site", "shop", "club", "top",
    "onion", "link", "live", "store", "website", "space", "agency", "jobs", "work", "escort", "sex", "xxx", "porn",
    "adult", "dating", "example", "invalid", "test", "cc", "tv", "me", "ly", "gl", "al", "ad", "am", "at", "az", "ba",
    "be", "bg", "by", "ch", "cy", "cz", "de", "dk", "ee", "es", "fi", "fr", "ge", "gr", "hr", "hu", "ie", "is", "it",
    "li", "lt", "lu", "lv", "mc", "md", "mk", "mt", "nl", "no", "pl", "pt", "ro", "rs", "ru", "se", "si", "sk", "tr",
    "ua", "uk",
];

/// Endings that are words as well: where a blank behind a full stop was forgotten, they begin a sentence.
#[rustfmt::skip]
const WORDS: [&str; 28] = [
    "it", "is", "at", "be", "me", "no", "am", "by", "al", "ad", "as", "si", "se", "es", "work", "live", "top", "space", "test", "link", "jobs",
    "club", "shop", "store", "site", "online", "info", "sex",
];
/// What an address is spoken of with.
#[rustfmt::skip]
const SEEN: [&str; 22] = [
    "see", "visit", "on", "via", "site", "website", "web", "page", "link", "voir", "sur", "siehe", "auf", "unter", "seite", "www", "url", "sito", "su",
    "pe", "na", "pagina",
];

/// Addresses on the web: a scheme, `www.`, a known ending, a name with a path, or four numbers.
pub(super) fn links(text: &[Folded]) -> Vec<(Finding, Range<usize>)> {
    let mut found = Vec::new();
    let (mut i, mut last) = (0, 0..0);
    while i < text.len() {
        let end = (i..text.len()).find(|j| text[*j].c == ' ').unwrap_or(text.len());
        let token = trim(text, i..end);
        let plain = !text[token.clone()].iter().any(|f| matches!(f.c, '.' | ':'));
        if plain {
            last = i..end;
            i = end + 1;
            continue;
        }
        // What goes on in small letters may be the sentence whose blank was forgotten.
        let goes_on = text.get(end + 1).is_some_and(|f| f.letter.is_lowercase());
        let seen: String = text[last].iter().flat_map(|f| f.letter.to_lowercase()).collect();
        let numbered = one_of(seen.trim(), &["version", "v", "release"])
            && !text[token.clone()].iter().any(|f| f.c.is_alphabetic());
        if !numbered && is_link(&text[token.clone()], goes_on && !one_of(seen.trim_matches(':'), &SEEN)) {
            found.push((Finding::Url, token.clone()));
        }
        last = i..end;
        i = end + 1;
    }
    found
}

/// Addresses written apart or in words: `https : // ads . example`, `ads dot com`, `anna at ads dot com`.
pub(super) fn spelled(tokens: &[Token]) -> Vec<(Finding, Range<usize>)> {
    let mut found = Vec::new();
    for (i, t) in tokens.iter().enumerate().filter(|(_, t)| t.is_word()) {
        let next = |n: usize| tokens.get(i + n);
        let scheme = one_of(&t.text, &["http", "https", "hxxp", "hxxps"]) && next(1).is_some_and(|t| t.is_mark(":"));
        let site = t.text == "www" && next(1).is_some_and(|t| t.is_mark("."));
        if scheme || site {
            let end = (i + 1..tokens.len())
                .take(12)
                .take_while(|j| !tokens[*j].is_word() || tokens[*j - 1].is_mark("./:-"))
                .last();
            found.extend(end.map(|end| (Finding::Url, t.at.start..tokens[end].at.end)));
        }
        let dot = one_of(&t.text, &["dot", "punkt", "punto"])
            || t.text == "point"
                && next(1).is_some_and(|t| one_of(&t.text, &["com", "fr", "net", "org", "eu", "be", "ch"]));
        let ending = next(1).filter(|t| !t.glued && t.text.len() > 1 && ENDINGS.contains(&t.text.as_str()));
        let (Some(ending), Some(name)) = (ending.filter(|_| dot), i.checked_sub(1).map(|i| &tokens[i])) else {
            continue;
        };
        if !name.is_word()
            || name.text.len() < 3
            || one_of(&name.text, &["the", "der", "dem", "den", "red", "green", "dieser", "diesem", "this", "einem"])
        {
            continue;
        }
        let at = i >= 3 && one_of(&tokens[i - 2].text, &["at", "arobase", "chiocciola", "arroba", "malpa"]);
        let (kind, start) = if at { (Finding::Email, tokens[i - 3].at.start) } else { (Finding::Url, name.at.start) };
        found.push((kind, start..ending.at.end));
    }
    found
}

/// Without the punctuation of the sentence around it.
fn trim(text: &[Folded], token: Range<usize>) -> Range<usize> {
    let edge = |f: &Folded| !f.c.is_alphanumeric() && f.c != '/';
    let front = text[token.clone()].iter().take_while(|f| edge(f)).count();
    let token = token.start + front..token.end;
    let back = text[token.clone()].iter().rev().take_while(|f| edge(f)).count();
    token.start..token.end - back
}

fn is_link(token: &[Folded], goes_on: bool) -> bool {
    let text: String = token.iter().map(|f| f.c).collect();
    if text.contains('@') {
        return false;
    }
    if text.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty()) {
        return true;
    }
    // "see:ads.example" and "(ads.example)next": an address may stand behind other punctuation.
    let parts = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/')));
    let ends = |part: &str| goes_on && text.ends_with(part);
    parts.into_iter().any(|part| is_bare_link(part, ends(part))) || is_ip_6(&text)
}

fn is_bare_link(written: &str, goes_on: bool) -> bool {
    let text = written.to_lowercase();
    let (host, path) = text.split_once('/').map_or((text.as_str(), None), |(host, path)| (host, Some(path)));
    let host = host.trim_end_matches('.');
    let Some((name, ending)) = host.rsplit_once('.') else { return false };
    if name.is_empty() || host.split('.').any(str::is_empty) {
        return false;
    }
    let has_path = path.is_some_and(|p| p.starts_with(char::is_alphanumeric));
    let named = ending.chars().count() >= 2 && ending.chars().all(char::is_alphabetic);
    let bare = name.len() >= 2 && ENDINGS.contains(&ending) && !is_sentence(written, name, ending, goes_on);
    name == "www" || name.starts_with("www.") || bare || (has_path && named) || is_ip_address(host)
}

/// "was closed.The desk", "was closed.it is": two sentences, and no blank.
fn is_sentence(written: &str, name: &str, ending: &str, goes_on: bool) -> bool {
    let begins = written.get(name.len() + 1..).unwrap_or_default();
    let mut letters = begins.chars();
    let capital = letters.next().is_some_and(char::is_uppercase) && letters.next().is_some_and(char::is_lowercase);
    let before = written.get(..name.len()).and_then(|name| name.chars().last());
    let lower = before.is_some_and(|c| c.is_lowercase() || c.is_ascii_digit());
    (capital && lower) || (goes_on && WORDS.contains(&ending) && name.chars().all(char::is_alphabetic))
}

/// Eight groups of four figures of sixteen, or fewer around `::`.
fn is_ip_6(text: &str) -> bool {
    let groups: Vec<&str> = text.split(':').collect();
    let short = text.contains("::") && groups.len() <= 8;
    let figures = groups.iter().all(|g| g.len() <= 4 && g.bytes().all(|b| b.is_ascii_hexdigit()));
    // An hour has three groups, all of them decimal.
    figures && groups.len() > 4 && (short || (groups.len() == 8 && groups.iter().all(|g| !g.is_empty())))
}

fn is_ip_address(host: &str) -> bool {
    host.split('.').count() == 4 && host.split('.').all(|n| n.len() <= 3 && n.parse::<u8>().is_ok())
}

/// E-mail addresses, and handles: whatever stands at an `@`.
pub(super) fn addresses(text: &[Folded]) -> Vec<(Finding, Range<usize>)> {
    let mut found = Vec::new();
    for at in (0..text.len()).filter(|i| text[*i].c == '@') {
        let before = text[..at].iter().rev().take(64).take_while(|f| is_local(f.c)).count();
        let after = text[at + 1..].iter().take(255).take_while(|f| is_local(f.c)).count();
        let first_after = text.get(at + 1).is_some_and(|f| f.c.is_alphanumeric() || f.c == '_');
        if before > 0 && after > 0 {
            found.push((Finding::Email, at - before..at + 1 + after));
        } else if after >= 3 && first_after {
            found.push((Finding::Handle, at..at + 1 + after));
        } else if let Some(range) = spaced(text, at) {
            found.push((Finding::Email, range));
        }
    }
    found
}

/// `name @ host.example`.
fn spaced(text: &[Folded], at: usize) -> Option<Range<usize>> {
    let skip = |f: Option<&Folded>| usize::from(f.is_some_and(|f| f.c == ' '));
    let left = at - skip(at.checked_sub(1).and_then(|i| text.get(i)));
    let right = at + 1 + skip(text.get(at + 1));
    let before = text[..left].iter().rev().take(64).take_while(|f| is_local(f.c)).count();
    let host = &text[right.min(text.len())..];
    let after = host.iter().take(255).take_while(|f| is_local(f.c)).count();
    let dotted = host[..after].iter().skip(1).any(|f| f.c == '.');
    let named = host.first().is_some_and(|f| f.c.is_alphabetic());
    (before > 0 && dotted && named).then(|| left - before..right + after)
}

fn is_local(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'')
}
