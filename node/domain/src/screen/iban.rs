//! Account numbers (ISO 13616), with the check digits of ISO 7064.

use std::ops::Range;

use super::fold::Folded;

/// Characters of an IBAN.
const LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;
/// Most marks between two groups.
const GAP: usize = 6;
/// Account numbers in a text.
pub(super) fn ibans(text: &[Folded]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < text.len() {
        match iban_at(text, i) {
            Some(end) => {
                found.push(i..end);
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
    if inside_word || !letter(start) || !letter(start + 1) {
        return None;
    }
    // "GB 59 IFUE": the check digits may stand apart.
    let check = start + 2 + gap(text, start + 2)?;
    if !number(check) || !number(check + 1) {
        return None;
    }
    let head = [start, start + 1, check, check + 1].iter().fold(0, |r, j| append(r, text[*j].c));
    // 4 characters at the end multiply the rest by 10^6: two letters are two digits each.
    let shift = 1_000_000 % 97;
    let (mut rest, mut length, mut digits, mut longest) = (0_u32, 4_usize, 0_usize, None);
    let mut j = check + 2;
    while let Some(blanks) = gap(text, j) {
        j += blanks;
        let Some(c) = text.get(j).map(|f| f.c).filter(char::is_ascii_alphanumeric) else { break };
        if length == *LENGTHS.end() {
            break;
        }
        rest = append(rest, c);
        length += 1;
        digits += usize::from(c.is_ascii_digit());
        let ends = text.get(j + 1).is_none_or(|next| !next.c.is_ascii_alphanumeric());
        // Words of a text are mostly letters; account numbers are mostly digits.
        let plausible = ends && LENGTHS.contains(&length) && digits * 2 >= length - 4;
        if plausible && (rest * shift + head) % 97 == 1 {
            longest = Some(j + 1);
        }
        j += 1;
    }
    longest
}

/// How many marks stand here between two groups; `None` if more than groups are parted by.
fn gap(text: &[Folded], at: usize) -> Option<usize> {
    let marks = text[at.min(text.len())..].iter().take(GAP + 1);
    let count = marks.take_while(|f| matches!(f.c, ' ' | '-' | '.' | ',' | ':' | '/' | '_' | '|')).count();
    (count <= GAP).then_some(count)
}

/// The remainder modulo 97 with one more character: a digit, or a letter as 10 to 35.
fn append(remainder: u32, c: char) -> u32 {
    let value = c.to_digit(36).unwrap_or(0);
    if value < 10 { (remainder * 10 + value) % 97 } else { (remainder * 100 + value) % 97 }
}
