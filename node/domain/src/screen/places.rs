//! Coordinates: degrees with decimals, degrees with minutes, and open location codes.

use std::ops::Range;

use super::tokens::{Token, before, one_of};

/// Words that two numbers near them are a place by.
const SAID: &[&str] = &[
    "lat*",
    "lon",
    "long",
    "longitud*",
    "lng",
    "gps",
    "coord*",
    "koord*",
    "wgs*",
    "geo",
    "position",
    "standort",
    "breite",
    "lange",
];

/// Places on the map, as tokens.
pub(super) fn coordinates(tokens: &[Token]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let end = decimal_pair(tokens, i).or_else(|| degrees(tokens, i)).or_else(|| open_location(tokens, i));
        found.extend(end.map(|end| i..end));
        i = end.unwrap_or(i + 1);
    }
    found
}

/// A number of degrees with decimals: how many decimals, whether it can be a latitude, where it ends.
fn decimal(tokens: &[Token], at: usize, most: u64) -> Option<(usize, usize)> {
    tokens.get(at).filter(|t| t.is_number() && t.text.len() <= 3 && t.value() <= most)?;
    let point = tokens.get(at + 1).filter(|t| t.glued && t.is_mark(".,"))?;
    let rest = tokens.get(at + 2).filter(|t| t.glued && t.is_number())?;
    let more = tokens
        .get(at + 3)
        .is_some_and(|t| t.glued && t.text == point.text && tokens.get(at + 4).is_some_and(|t| t.glued));
    (!more).then_some((rest.text.len(), at + 3))
}

/// `48.5734, 7.7521`, `N 48.5734° E 7.7521°`, `48,5734 / 7,7521`.
fn decimal_pair(tokens: &[Token], i: usize) -> Option<usize> {
    if i > 0
        && tokens[i].glued
        && (tokens[i - 1].is_number() || tokens[i - 1].is_mark(".,") && i > 1 && tokens[i - 2].is_number())
    {
        return None;
    }
    let (first, end) = decimal(tokens, i, 90)?;
    // What stands between: marks, a hemisphere, a word or two for the other one.
    let between = |t: &Token| {
        t.is_mark(",;/|°-+()[]:='\"&")
            || one_of(&t.text, &["n", "s", "e", "w", "o", "and", "und", "et"])
            || one_of(&t.text, SAID)
    };
    let mut at = end;
    while at < end + 6 && tokens.get(at).is_some_and(between) {
        at += 1;
    }
    let (second, end) = decimal(tokens, at, 180)?;
    let hemisphere = tokens[i..tokens.len().min(end + 2)]
        .iter()
        .any(|t| t.is_mark("°") || (t.text.len() == 1 && one_of(&t.text, &["n", "s", "e", "w"])));
    let said = hemisphere || before(tokens, i, 4, SAID);
    let fine = first >= 4 && second >= 4 || said && first >= 2 && second >= 2;
    fine.then_some(end)
}

/// `48°34'24"N`, and `48° 34,4' N`.
fn degrees(tokens: &[Token], i: usize) -> Option<usize> {
    tokens.get(i).filter(|t| t.is_number() && t.value() <= 180)?;
    tokens.get(i + 1).filter(|t| t.is_mark("°º"))?;
    tokens.get(i + 2).filter(|t| t.is_number() && t.value() < 60)?;
    let mut end = i + 3;
    while end < i + 12 && tokens.get(end).is_some_and(|t| t.is_number() || t.is_mark("'\".,`")) {
        end += 1;
    }
    let hemisphere = tokens.get(end).is_some_and(|t| {
        one_of(
            &t.text,
            &["n", "s", "e", "w", "o", "north", "south", "east", "west", "nord", "sud", "ost", "est", "ouest"],
        )
    });
    let seconds = tokens[i + 3..end].iter().any(|t| t.is_mark("'\"`"));
    (hemisphere || seconds).then_some(end + usize::from(hemisphere))
}

/// `8FW4HPF2+8X`: eight letters and figures of an alphabet of twenty, a plus, and two or three more.
fn open_location(tokens: &[Token], i: usize) -> Option<usize> {
    let plus = (i + 1..tokens.len().min(i + 9)).take_while(|j| tokens[*j].glued).find(|j| tokens[*j].text == "+")?;
    let code = |range: Range<usize>| -> String { tokens[range].iter().map(|t| t.text.as_str()).collect() };
    let alphabet = |word: &str| word.chars().all(|c| "23456789cfghjmpqrvwx".contains(c));
    let end =
        (plus + 1..tokens.len()).find(|j| !tokens[*j].glued || tokens[*j].is_mark(".,;:!?)")).unwrap_or(tokens.len());
    let (head, tail) = (code(i..plus), code(plus + 1..end));
    let whole = (4..=8).contains(&head.len()) && (2..=3).contains(&tail.len()) && alphabet(&head) && alphabet(&tail);
    // A sum has no letters in it.
    (whole && head.chars().any(char::is_alphabetic) && head.chars().any(|c| c.is_ascii_digit())).then_some(end)
}
