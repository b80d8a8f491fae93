//! Phone numbers and account numbers.

use std::ops::Range;

use super::Finding;
use super::fold::Folded;

/// Fewest digits of a phone number.
const PHONE_DIGITS: usize = 7;
/// Most characters between two groups of one number.
const GAP: usize = 3;
/// Characters of an IBAN (ISO 13616).
const IBAN: std::ops::RangeInclusive<usize> = 15..=34;

/// A group of digits within a run of groups.
struct Group {
    at: Range<usize>,
    value: u64,
}

impl Group {
    fn len(&self) -> usize {
        self.at.len()
    }

    fn is_year(&self) -> bool {
        self.len() == 4 && (1900..2100).contains(&self.value)
    }

    fn is_month_or_day(&self) -> bool {
        self.len() <= 2 && (1..=31).contains(&self.value)
    }
}

/// Phone numbers: seven digits or more, in groups with little between them, that are no dates, years or amounts.
pub(super) fn phones(text: &[Folded]) -> Vec<(Finding, Range<usize>)> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < text.len() {
        if !text[i].c.is_ascii_digit() {
            i += 1;
            continue;
        }
        let groups = groups(text, i);
        let run = i..groups.last().map_or(i + 1, |g| g.at.end);
        let chunks = split_dates(text, &groups);
        let telling = chunks.into_iter().filter(|chunk| is_phone(text, chunk));
        found.extend(telling.map(|chunk| (Finding::Phone, chunk[0].at.start..chunk[chunk.len() - 1].at.end)));
        i = run.end;
    }
    found
}

/// The groups of the run that starts here.
fn groups(text: &[Folded], start: usize) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut i = start;
    loop {
        let end = (i..text.len()).find(|j| !text[*j].c.is_ascii_digit()).unwrap_or(text.len());
        // Longer groups are no year, no day: their value does not matter.
        let value = text[i..end].iter().take(5).fold(0, |v, f| v * 10 + u64::from(f.c.to_digit(10).unwrap_or(0)));
        groups.push(Group { at: i..end, value });
        let next = (end..text.len().min(end + GAP + 1)).find(|j| !is_gap(text[*j].c));
        match next {
            Some(j) if text[j].c.is_ascii_digit() => i = j,
            _ => return groups,
        }
    }
}

fn is_gap(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '/' | '(' | ')' | '+' | '_' | '*' | '|' | '~')
}

/// The parts of a run between its dates: `2026-03-01`, `12.03.2026`, `03/2026`, and years that stand alone.
fn split_dates<'a>(text: &[Folded], groups: &'a [Group]) -> Vec<&'a [Group]> {
    let mut chunks = Vec::new();
    let (mut start, mut i) = (0, 0);
    while i < groups.len() {
        let number_start = groups[start].at.start;
        // Nothing after + is a date, and after a leading 0 only what follows a whole date is looked at again.
        if plus_before(text, number_start) || (i > start && text[number_start].c == '0') {
            break;
        }
        let length = match &groups[i..] {
            [y, m, d, ..] if y.is_year() && m.is_month_or_day() && d.is_month_or_day() => 3,
            [d, m, y, ..] if d.is_month_or_day() && m.is_month_or_day() && y.is_year() => 3,
            [m, y, ..] if m.is_month_or_day() && y.is_year() && m.at.end + 1 == y.at.start => 2,
            [y, ..] if y.is_year() => 1,
            _ => 0,
        };
        if length == 0 {
            i += 1;
            continue;
        }
        chunks.push(&groups[start..i]);
        i += length;
        start = i;
        if start == groups.len() {
            break;
        }
    }
    chunks.push(&groups[start..]);
    chunks
}

fn is_phone(text: &[Folded], chunk: &[Group]) -> bool {
    chunk.iter().map(Group::len).sum::<usize>() >= PHONE_DIGITS && !is_amount(text, chunk)
}

/// `1 200 000 EUR`, `€ 45.000.000`.
fn is_amount(text: &[Folded], chunk: &[Group]) -> bool {
    let (Some(first), Some(last)) = (chunk.first(), chunk.last()) else { return false };
    let grouped = chunk.len() > 1 && first.len() <= 3 && first.value > 0 && chunk[1..].iter().all(|g| g.len() == 3);
    if !grouped || plus_before(text, first.at.start) || text[first.at.start].c == '0' {
        return false;
    }
    let after: String = text[last.at.end..].iter().map(|f| f.c).skip_while(|c| *c == ' ').take(4).collect();
    let before = text[..first.at.start].iter().rev().map(|f| f.c).find(|c| *c != ' ');
    let written = ["EUR", "CHF", "GBP", "USD", "euro"].iter().any(|code| after.starts_with(code));
    written || after.starts_with(['€', '£', '$', '%']) || before.is_some_and(|c| matches!(c, '€' | '£' | '$'))
}

fn plus_before(text: &[Folded], at: usize) -> bool {
    let before = text[..at].iter().rev().take(2).map(|f| f.c);
    before.clone().next() == Some('+') || before.eq(['(', '+'])
}

/// Account numbers: two letters, two check digits, up to 30 more, and the remainder of 1 modulo 97 (ISO 7064).
pub(super) fn ibans(text: &[Folded]) -> Vec<(Finding, Range<usize>)> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < text.len() {
        match iban_at(text, i) {
            Some(end) => {
                found.push((Finding::Iban, i..end));
                i = end;
            }
            None => i += 1,
        }
    }
    found
}

/// The end of the longest IBAN that starts here.
fn iban_at(text: &[Folded], start: usize) -> Option<usize> {
    let letter = |j: usize| text.get(j).is_some_and(|f| f.c.is_ascii_alphabetic());
    let number = |j: usize| text.get(j).is_some_and(|f| f.c.is_ascii_digit());
    let inside_word = start > 0 && text[start - 1].c.is_ascii_alphanumeric();
    if inside_word || !letter(start) || !letter(start + 1) || !number(start + 2) || !number(start + 3) {
        return None;
    }
    let head = text[start..start + 4].iter().fold(0, |r, f| append(r, f.c));
    // 4 characters at the end multiply the rest by 10^6: two letters are two digits each.
    let shift = 1_000_000 % 97;
    let (mut rest, mut length, mut digits, mut blanks, mut longest) = (0_u32, 4_usize, 0_usize, 0_usize, None);
    for (j, f) in text.iter().enumerate().skip(start + 4) {
        if matches!(f.c, ' ' | '-' | '.') && blanks == 0 {
            blanks += 1;
            continue;
        }
        if !f.c.is_ascii_alphanumeric() || length == *IBAN.end() {
            break;
        }
        blanks = 0;
        rest = append(rest, f.c);
        length += 1;
        digits += usize::from(f.c.is_ascii_digit());
        let ends = text.get(j + 1).is_none_or(|next| !next.c.is_ascii_alphanumeric());
        // Words of a text are mostly letters; account numbers are mostly digits.
        let plausible = ends && IBAN.contains(&length) && digits * 2 >= length - 4;
        if plausible && (rest * shift + head) % 97 == 1 {
            longest = Some(j + 1);
        }
    }
    longest
}

/// The remainder modulo 97 with one more character: a digit, or a letter as 10 to 35.
fn append(remainder: u32, c: char) -> u32 {
    let value = c.to_digit(36).unwrap_or(0);
    if value < 10 { (remainder * 10 + value) % 97 } else { (remainder * 100 + value) % 97 }
}
