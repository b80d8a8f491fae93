//! Numbers of payment cards: the ranges of their issuers (ISO/IEC 7812), and the check digit of Luhn.

use std::ops::Range;

use super::runs::{Part, Run};
use super::tokens::Token;

const LENGTHS: std::ops::RangeInclusive<usize> = 12..=19;
/// First and last beginning of a range, and the lengths of its numbers: Visa, Mastercard, American Express, Diners, Discover,
/// JCB, UnionPay, Maestro, Mir, Verve, Elo and Troy.
const ISSUERS: [(u32, u32, &[usize]); 24] = [
    (4000, 4999, &[13, 16, 18, 19]),
    (5100, 5599, &[16]),
    (2221, 2720, &[16]),
    (3400, 3499, &[15]),
    (3700, 3799, &[15]),
    (3000, 3059, &[14, 16]),
    (3095, 3095, &[14, 16]),
    (3600, 3699, &[14, 16, 19]),
    (3800, 3999, &[14, 16, 19]),
    (6011, 6011, &[16, 19]),
    (6440, 6599, &[16, 19]),
    (6221, 6229, &[16, 17, 18, 19]),
    (3528, 3589, &[16, 19]),
    (3500, 3599, &[15, 16]),
    (1800, 1800, &[15]),
    (2131, 2131, &[15]),
    (2014, 2014, &[15]),
    (2149, 2149, &[15]),
    (6200, 6299, &[16, 17, 18, 19]),
    (5000, 5099, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (5600, 5899, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (6000, 6999, &[12, 13, 14, 15, 16, 17, 18, 19]),
    (2200, 2204, &[16, 17, 18, 19]),
    (9792, 9792, &[16]),
];

/// The numbers of cards in these runs.
pub(super) fn cards(tokens: &[Token], runs: &[Run]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for run in runs {
        let mut start = 0;
        while start < run.groups.len() {
            let longest = run.groups.len().min(start + 19);
            let end = (start + 1..=longest).rev().find(|end| is_card(&run.part(tokens, start..*end), run.groups.len()));
            if let Some(end) = end {
                found.push(run.part(tokens, start..end).tokens());
            }
            start = end.unwrap_or(start + 1);
        }
    }
    found
}

fn is_card(part: &Part, whole: usize) -> bool {
    let length: usize = part.groups.iter().map(|g| part.tokens[*g].text.len()).sum();
    if !LENGTHS.contains(&length) {
        return false;
    }
    // A part of a longer run only as cards are written: in fours, or 4-6-5 and 4-6-4.
    let shape = part.shape();
    let written = |tail: &[u8]| tail.iter().all(|n| *n == 4) || matches!(tail, [6, 4 | 5]);
    let usual = shape.len() == 1 || shape[0] == 4 && (written(&shape[1..]) || written(&shape[1..shape.len() - 1]));
    if !(usual || part.groups.len() == whole) {
        return false;
    }
    let digits = part.digits();
    let begins: u32 = digits[..4].parse().unwrap_or(0);
    let issued =
        ISSUERS.iter().any(|(first, last, lengths)| (*first..=*last).contains(&begins) && lengths.contains(&length));
    issued && luhn(&digits)
}

/// The check digit of ISO/IEC 7812-1.
pub(super) fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let value = u32::from(b - b'0');
            if i.is_multiple_of(2) { value } else { value * 2 / 10 + value * 2 % 10 }
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}
