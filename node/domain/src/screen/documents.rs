//! Numbers of documents and of persons: machine-readable zones, national numbers with their check digits, and whatever
//! stands behind the name of a document.

use std::ops::Range;

use super::amounts::is_money;
use super::checks::{icao, is_personal_number};
use super::fold::Folded;
use super::runs::{Part, Run};
use super::said::is_said;
use super::tokens::{Token, one_of};

/// What a number of a person or a document is called, without accents. Of several words one is enough, so none of these stands
/// in a text for something else.
#[rustfmt::skip]
const DOCUMENTS: &[&str] = &[
    "passport*", "passeport*", "reisepass*", "reisepasse*", "passnummer*", "passnr", "pasaporte*", "passaport*", "paszport*",
    "pasaport*", "pasport*", "cestovni", "utlevel*", "pass", "personalausweis*", "ausweisnummer*", "ausweis", "identitatskarte*", "cni", "dni",
    "nie", "nif", "nir", "ssn", "ssnr", "svnr", "ahv", "avs", "pesel", "cnp", "egn", "егн", "bsn", "jmbg", "oib", "emso", "idnp", "nino",
    "pps", "ppsn", "cpr", "personnummer*", "fodselsnummer*", "personnumer*", "kennitala", "henkilotunnus", "hetu", "isikukood",
    "rodne", "taj", "amka", "αμκα", "αφμ", "αδτ", "tckn", "rijksregisternummer*", "burgerservicenummer*", "steuer-id", "steuerid",
    "steueridentifikationsnummer*", "idnr", "sozialversicherungsnummer*", "rentenversicherungsnummer*", "versicherungsnummer*", "dowod*",
    "dowodu", "buletin*", "codice", "visum*", "visa", "aufenthaltstitel*", "fuhrerschein*", "permis", "driver*", "driving", "patente",
    "citizen*", "social", "securite", "паспорт*", "διαβατηριο*", "ταυτοτητ*", "carnet", "titre", "sejour", "residence", "identity",
    "identite", "identidad", "identita", "identitate", "identitete*", "idcard", "mrz", "travel", "titulo", "osobn*", "kimlik", "lasna",
    "obciansk*", "obcansk*", "szemelyi", "szemelyazonosito*", "asmens", "personas", "persoonsnummer*", "passnumber", "paspoort*",
];
/// Words by themselves too common: they tell only with a word for a number or a card beside them.
const WEAK: &[&str] = &[
    "pass",
    "ausweis",
    "social",
    "residence",
    "travel",
    "titre",
    "sejour",
    "identity",
    "permis",
    "visa",
    "driver*",
    "driving",
    "citizen*",
    "codice",
    "patente",
    "carnet",
    "identite",
    "securite",
    "rodne",
    "dowod*",
    "buletin*",
    "titulo",
    "cestovni",
    "asmens",
    "personas",
];
#[rustfmt::skip]
const SHORT: &[&str] = &[
    "cni", "dni", "nie", "nif", "nir", "ssn", "ssnr", "svnr", "ahv", "avs", "cnp", "egn", "егн", "bsn", "oib", "nino", "pps", "ppsn", "cpr", "taj", "mrz",
    "amka", "αφμ", "αδτ", "hetu", "idnr",
];
/// Words for a number, a card, or what a paper permits.
#[rustfmt::skip]
const NUMBERS: &[&str] = &[
    "no", "nr", "number*", "nummer*", "numero*", "numer", "num", "n", "card*", "carte", "karte", "karty", "id", "licence*", "license*", "permit*", "fiscale",
    "sociale", "security", "serie", "seria", "series", "conduire", "guida", "conducir", "document*", "cislo", "osobisty", "osobistego", "szam*", "code*", "kood*",
    "kodas", "kods", "is",
];

/// Words that a number behind a document's name is not one: when it runs out, what it costs, how many there were.
const LATER: &[&str] = &[
    "expire*", "valid*", "gultig*", "valable", "cost*", "kostet", "euro*", "eur", "since", "until", "bis", "seit",
    "depuis",
];

/// Numbers of documents and persons, as tokens.
pub(super) fn documents(text: &[Folded], tokens: &[Token], runs: &[Run]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = lettered(text, tokens);
    found.extend(named(text, tokens));
    for run in runs {
        for start in 0..run.groups.len() {
            let ends = (start + 1..=run.groups.len().min(start + 8)).rev();
            let part = ends.map(|end| run.part(tokens, start..end)).find(|part| is_personal(part, run));
            found.extend(part.map(|part| part.tokens()));
        }
    }
    found
}

/// National numbers of persons as their countries write them: together, or parted as usual.
fn is_personal(part: &Part, run: &Run) -> bool {
    let shape = part.shape();
    let whole = part.groups.len() == run.groups.len();
    let dashed = |shape: &[u8]| part.shape() == *shape && part.gaps.iter().all(|g| g.mark == '-');
    // US (social security), FI and DK.
    if dashed(&[3, 2, 4]) && whole {
        let (area, group) = (part.first(), part.tokens[part.groups[1]].text.as_str());
        return area != "000" && area != "666" && group != "00";
    }
    if dashed(&[6, 4]) && whole {
        let day = part.first().get(..2).and_then(|d| d.parse::<u32>().ok()).unwrap_or(0);
        let month = part.first().get(2..4).and_then(|d| d.parse::<u32>().ok()).unwrap_or(0);
        return (1..=31).contains(&day) && (1..=12).contains(&month) || is_personal_number(&part.digits());
    }
    #[rustfmt::skip]
    let known: &[&[u8]] = &[
        &[10], &[11], &[13], &[15], &[6, 4], &[6, 3], &[6, 5], &[4, 6], &[2, 2, 2, 3, 2], &[6, 3, 2], &[3, 4, 4, 2], &[1, 2, 2, 2, 3, 3, 2],
        &[13, 2], &[1, 2, 2, 2, 3, 3], &[1, 6, 6], &[2, 2, 2, 5], &[11, 2], &[1, 2, 2, 2, 6],
    ];
    let alone = part.groups.len() > 1 || whole;
    alone
        && known.contains(&shape.as_slice())
        && part.gaps.iter().all(|g| !g.line)
        && !is_said(part)
        && is_personal_number(&part.digits())
}

/// Lines of a machine-readable zone (ICAO 9303): passports of two lines of 44, cards of three of 30, visas of two of 36.
pub(super) fn zones(text: &[Folded], tokens: &[Token]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let end = (i + 1..tokens.len()).find(|j| !tokens[*j].glued).unwrap_or(tokens.len());
        // Without the full stop of the sentence around it.
        let last = (i + 1..=end).rev().find(|j| !tokens[*j - 1].is_mark(".,;:!?)\"'")).unwrap_or(end);
        let word: String =
            text[tokens[i].at.start..tokens[last - 1].at.end].iter().map(|f| f.c.to_ascii_uppercase()).collect();
        if is_zone(&word) {
            found.push(i..last);
        }
        i = end;
    }
    found
}

fn is_zone(word: &str) -> bool {
    if word.len() < 28 || !word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'<') {
        return false;
    }
    let digit = |at: usize| word.as_bytes().get(at).and_then(|b| char::from(*b).to_digit(10));
    let born = |at: usize| word.get(at..at + 6).is_some_and(|f| digit(at + 6) == Some(icao(f)));
    word.contains("<<")
        || ([36, 44].contains(&word.len()) && born(13))
        || (word.len() == 30 && (born(0) || word.contains('<')))
}

/// National numbers with letters in them: ES, IT, GB, IE, FI, FR (Corsica), DE (pension insurance), PL, and the numbers of German
/// documents, whose letters leave out vowels.
fn lettered(text: &[Folded], tokens: &[Token]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        // In a text most words can be no part of one.
        if !tokens[i].is_number() && !tokens[i].capitals && !tokens.get(i + 1).is_some_and(|t| t.glued && t.is_number())
        {
            i += 1;
            continue;
        }
        // A number in groups, at most six words long.
        let fits = (i + 1..=tokens.len().min(i + 7)).rev().find(|end| {
            let parts = &tokens[i..*end];
            let tight = parts[1..].iter().all(|t| t.at.start <= previous_end(tokens, t) + 1);
            tight
                && parts.iter().all(|t| {
                    t.is_number() || t.is_mark("-.+") || (t.is_word() && !is_money(t) && (t.glued || t.capitals))
                })
                && is_lettered(&joined(text, parts))
        });
        if let Some(end) =
            fits.filter(|_| i == 0 || !tokens[i].glued || tokens[i - 1].sort == super::tokens::Sort::Mark)
        {
            found.push(i..end);
            i = end;
        } else {
            i += 1;
        }
    }
    found
}

fn previous_end(tokens: &[Token], token: &Token) -> usize {
    let at = tokens.partition_point(|t| t.at.start < token.at.start);
    at.checked_sub(1).map_or(0, |i| tokens[i].at.end)
}

/// The letters and figures, in capitals.
fn joined(text: &[Folded], tokens: &[Token]) -> String {
    let parts = tokens.iter().filter(|t| t.is_number() || t.is_word() || t.is_mark("+"));
    parts.flat_map(|t| &text[t.at.clone()]).map(|f| f.c.to_ascii_uppercase()).collect()
}

fn is_lettered(word: &str) -> bool {
    let form: String = word
        .chars()
        .map(|c| {
            if c.is_ascii_digit() {
                '9'
            } else if c.is_ascii_uppercase() {
                'A'
            } else {
                '?'
            }
        })
        .collect();
    let number = |range: Range<usize>| word.get(range).and_then(|d| d.parse::<u64>().ok()).unwrap_or(0);
    let letter = |at: usize| word.as_bytes().get(at).copied().map_or(' ', char::from);
    let spanish = |number: u64, letter: char| {
        "TRWAGMYFPDXBNJZSQVHLCKE".chars().nth(usize::try_from(number % 23).unwrap_or(0)) == Some(letter)
    };
    match form.as_str() {
        "99999999A" => spanish(number(0..8), letter(8)),
        "A9999999A" => {
            "XYZ".find(letter(0)).is_some_and(|first| spanish(first as u64 * 10_000_000 + number(1..8), letter(8)))
        }
        "AAAAAA99A99A999A" => codice_fiscale(word),
        "AA999999A" => {
            matches!(letter(8), 'A'..='D') && !"DFIQUV".contains(letter(0)) && !"DFIOQUV".contains(letter(1))
        }
        "9999999A" | "9999999AA" => irish(word),
        "999999999A" | "999999A999A" | "999999A9999" => finnish(word),
        "99999999A999" => (1..=31).contains(&number(2..4)) && (1..=12).contains(&number(4..6)),
        "999999A99999999" | "99999A999999999" => {
            letter(6) == 'A' || letter(6) == 'B' || letter(5) == 'A' || letter(5) == 'B'
        }
        "AAA999999" => polish(word),
        _ => false,
    }
}

fn codice_fiscale(word: &str) -> bool {
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
        10, 22, 25, 24, 23,
    ];
    let value = |b: u8| char::from(b).to_digit(36).unwrap_or(0);
    let sum: u32 = word.bytes().take(15).enumerate().fold(0, |sum, (i, b)| {
        let even = if b.is_ascii_digit() { value(b) } else { value(b) - 10 };
        sum + if i.is_multiple_of(2) { ODD[usize::try_from(value(b)).unwrap_or(0)] } else { even }
    });
    word.as_bytes().get(15).copied().is_some_and(|b| value(b) - 10 == sum % 26)
}

fn irish(word: &str) -> bool {
    let sum: u32 = word.bytes().take(7).zip((2..=8).rev()).map(|(b, weight)| u32::from(b - b'0') * weight).sum();
    let second = word.as_bytes().get(8).copied().map_or(0, |b| u32::from(b - b'@') % 23 * 9);
    word.as_bytes().get(7).copied().is_some_and(|b| u32::from(b - b'@') % 23 == (sum + second) % 23)
}

fn finnish(word: &str) -> bool {
    let (number, last) = word.split_at(word.len() - 1);
    let century = number.bytes().find(u8::is_ascii_uppercase);
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let day = digits.get(..2).and_then(|d| d.parse::<u32>().ok()).is_some_and(|day| (1..=31).contains(&day));
    let check = digits.parse::<usize>().ok().and_then(|n| "0123456789ABCDEFHJKLMNPRSTUVWXY".chars().nth(n % 31));
    day && century.is_none_or(|c| matches!(c, b'A'..=b'F' | b'U'..=b'Y')) && check == last.chars().next()
}

/// The identity card: three letters, and a check digit before five figures.
fn polish(word: &str) -> bool {
    let value = |b: u8| char::from(b).to_digit(36).unwrap_or(0);
    let sum: u32 = word.bytes().zip([7, 3, 1, 9, 7, 3, 1, 7, 3]).map(|(b, weight)| value(b) * weight).sum();
    sum.is_multiple_of(10)
}

/// Whatever has figures in it and stands behind the name of a document.
fn named(text: &[Folded], tokens: &[Token]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (i, t) in tokens.iter().enumerate().filter(|(_, t)| t.is_word() && one_of(&t.text, DOCUMENTS)) {
        // Words and marks between the name and the number.
        let near = i + 1..tokens.len().min(i + 10);
        let stop =
            near.clone().find(|j| tokens[*j].is_mark(";!?") || one_of(&tokens[*j].text, LATER)).unwrap_or(near.end);
        // Short names are words in other languages, unless they stand in capitals.
        if one_of(&t.text, SHORT) && !t.capitals {
            continue;
        }
        let told = !one_of(&t.text, WEAK)
            || tokens[i.saturating_sub(2)..stop]
                .iter()
                .enumerate()
                .any(|(k, t)| k + i.saturating_sub(2) != i && (one_of(&t.text, NUMBERS) || t.is_mark("#:°")));
        let number = (i + 1..stop).find_map(|j| identifier(text, tokens, j).map(|end| j..end));
        found.extend(number.filter(|_| told));
    }
    found
}

/// The end of letters and figures that stand together: at least six, three of them figures, or in groups of figures.
fn identifier(text: &[Folded], tokens: &[Token], at: usize) -> Option<usize> {
    let joins = |j: usize| {
        let (Some(t), Some(before)) = (tokens.get(j), tokens.get(j - 1)) else { return false };
        let mark = |t: &Token| t.is_mark("-./<");
        let figures = |t: &Token| t.is_number() || (t.is_word() && t.at.len() <= 3 && t.capitals);
        (t.glued
            && (t.is_number() || capitals(text, t) || mark(t))
            && !(mark(t) && tokens.get(j + 1).is_none_or(|n| !n.glued)))
            || (!t.glued && t.at.start == before.at.end + 1 && figures(t) && figures(before))
    };
    let end = (at + 1..tokens.len()).find(|j| !joins(*j)).unwrap_or(tokens.len());
    let word = joined(text, &tokens[at..end]);
    let figures = word.bytes().filter(u8::is_ascii_digit).count();
    // A lone year, or a date, is no number of a document.
    let year = end == at + 1 && tokens[at].is_year();
    let begins = tokens[at].is_number() || capitals(text, &tokens[at]);
    (begins && word.len() >= 6 && figures >= 3 && !year && word.len() <= 24).then_some(end)
}

fn capitals(text: &[Folded], token: &Token) -> bool {
    token.is_word() && text[token.at.clone()].iter().all(|f| f.c.is_ascii_uppercase()) && token.at.len() <= 9
        || token.is_word() && token.at.len() <= 2 && text[token.at.clone()].iter().all(|f| f.c.is_ascii_alphabetic())
}
