//! Addresses on the web, e-mail addresses, handles.

use std::ops::Range;

use super::Finding;
use super::fold::Folded;

/// Endings that make a bare name an address. Others need a scheme, `www.` or a path.
const ENDINGS: [&str; 84] = [
    "com", "net", "org", "info", "biz", "eu", "io", "app", "dev", "xyz", "online", "site", "shop", "club", "top",
    "onion", "link", "live", "store", "website", "space", "agency", "jobs", "work", "escort", "sex", "xxx", "porn",
    "adult", "dating", "example", "invalid", "test", "cc", "tv", "me", "ly", "gl", "al", "ad", "am", "at", "az", "ba",
    "be", "bg", "by", "ch", "cy", "cz", "de", "dk", "ee", "es", "fi", "fr", "ge", "gr", "hr", "hu", "ie", "is", "it",
    "li", "lt", "lu", "lv", "mc", "md", "mk", "mt", "nl", "no", "pl", "pt", "ro", "rs", "ru", "se", "si", "sk", "tr",
    "ua", "uk",
];

/// Addresses on the web: a scheme, `www.`, a known ending, a name with a path, or four numbers.
pub(super) fn links(text: &[Folded]) -> Vec<(Finding, Range<usize>)> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < text.len() {
        let end = (i..text.len()).find(|j| text[*j].c == ' ').unwrap_or(text.len());
        let token = trim(text, i..end);
        if is_link(&text[token.clone()]) {
            found.push((Finding::Url, token));
        }
        i = end + 1;
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

fn is_link(token: &[Folded]) -> bool {
    let text: String = token.iter().flat_map(|f| f.c.to_lowercase()).collect();
    if text.contains('@') {
        return false;
    }
    if text.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty()) {
        return true;
    }
    // "see:ads.example" and "(ads.example)next": an address may stand behind other punctuation.
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/'))).any(is_bare_link)
}

fn is_bare_link(text: &str) -> bool {
    let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
    let host = host.trim_end_matches('.');
    let Some((name, ending)) = host.rsplit_once('.') else { return false };
    if name.is_empty() || host.split('.').any(str::is_empty) {
        return false;
    }
    let has_path = path.is_some_and(|p| p.starts_with(char::is_alphanumeric));
    let named = ending.chars().count() >= 2 && ending.chars().all(char::is_alphabetic);
    name.starts_with("www")
        || (name.len() >= 2 && ENDINGS.contains(&ending))
        || (has_path && named)
        || is_ip_address(host)
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
