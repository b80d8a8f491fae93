//! One way of writing: what looks like a plain character is one, in whatever block of Unicode it stands.
//!
//! NFKC takes full-width, mathematical, circled and raised forms back to what they stand for; the general category finds
//! the digits of every script; the table of confusables of UTS 39 finds the letters that look like Latin ones.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// A plain character and the characters of the text that it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folded {
    /// What it looks like.
    pub c: char,
    /// What it is, in its compatible form: words are read by this one.
    pub letter: char,
    pub start: usize,
    pub end: usize,
}

/// Circled and encircled digits that NFKC leaves as they are: first character, its value, how many follow on.
const RINGS: [(u32, u32, u32); 7] = [
    (0x24eb, 11, 10),
    (0x24f5, 1, 10),
    (0x24ff, 0, 1),
    (0x2776, 1, 10),
    (0x2780, 1, 10),
    (0x278a, 1, 10),
    (0x1f10b, 0, 1),
];

/// The plain characters of the text; what is invisible is left out.
pub(super) fn fold(text: &str) -> Vec<Folded> {
    let chars: Vec<char> = text.chars().collect();
    let mut folded: Vec<Folded> = Vec::with_capacity(chars.len());
    let mut i = 0;
    while i < chars.len() {
        if let Some((c, end)) = spelled(&chars, i) {
            // "name [at] host": the blanks around belong to the trick.
            while folded.last().is_some_and(|f| f.c == ' ') {
                folded.pop();
            }
            folded.push(Folded { c, letter: c, start: i, end });
            i = end;
            while chars.get(i) == Some(&' ') {
                i += 1;
            }
            continue;
        }
        push(&mut folded, chars[i], i);
        i += 1;
    }
    letters_for_digits(&mut folded);
    folded
}

fn push(folded: &mut Vec<Folded>, c: char, at: usize) {
    let mut add = |c, letter| folded.push(Folded { c, letter, start: at, end: at + 1 });
    if matches!(c, ' '..='~') {
        return add(c, c);
    }
    if c.is_whitespace() {
        return add(' ', if c == '\n' { c } else { ' ' });
    }
    if invisible(c) {
        return;
    }
    if let Some(value) = ringed(c) {
        return value.to_string().chars().for_each(|digit| add(digit, digit));
    }
    for letter in std::iter::once(c).nfkc() {
        add(plain(letter), letter);
    }
}

/// `[at]`, `(dot)`, `[.]`, `{:}` and the like: the character that is meant, and where the trick ends.
fn spelled(chars: &[char], at: usize) -> Option<(char, usize)> {
    let close = match chars[at] {
        '[' => ']',
        '(' => ')',
        '{' => '}',
        '<' => '>',
        _ => return None,
    };
    let length = chars[at + 1..].iter().take(8).position(|c| *c == close)?;
    let inner: String = chars[at + 1..at + 1 + length].iter().flat_map(|c| c.to_lowercase()).collect();
    let meant = match inner.trim() {
        "at" | "@" | "ät" | "arobase" => '@',
        "dot" | "." | "punkt" | "point" => '.',
        ":" => ':',
        _ => return None,
    };
    Some((meant, at + length + 2))
}

/// Not to be seen: soft hyphen, zero-width characters, joiners, fillers, selectors, and marks that enclose (keycaps).
fn invisible(c: char) -> bool {
    use GeneralCategory::{EnclosingMark, Format};
    matches!(c, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{fe00}'..='\u{fe0f}')
        || matches!(c.general_category(), Format | EnclosingMark)
}

fn ringed(c: char) -> Option<u32> {
    let code = u32::from(c);
    let (first, value, _) = RINGS.iter().find(|(first, _, count)| (*first..first + count).contains(&code))?;
    Some(code - first + value)
}

fn plain(c: char) -> char {
    match c {
        ' '..='~' => c,
        '⁄' | '∕' | '÷' => '/',
        '。' | '·' | '•' | '∙' | '⋅' => '.',
        '′' | '’' | '‘' | 'ʹ' => '\'',
        '″' | '“' | '”' => '"',
        _ => match c.general_category() {
            GeneralCategory::DecimalNumber => digit(c),
            GeneralCategory::DashPunctuation => '-',
            GeneralCategory::SpaceSeparator => ' ',
            _ if c == '−' => '-',
            _ => looks_like(c),
        },
    }
}

/// Decimal digits stand in blocks of ten, from zero upwards (Unicode, §4.6).
fn digit(c: char) -> char {
    let below = (1..10).take_while(|back| {
        let before = u32::from(c).checked_sub(*back).and_then(char::from_u32);
        before.is_some_and(|c| c.general_category() == GeneralCategory::DecimalNumber)
    });
    u32::try_from(below.count()).ok().and_then(|value| char::from_digit(value, 10)).unwrap_or('0')
}

/// The Latin letter, figure or mark that this one cannot be told from.
fn looks_like(c: char) -> char {
    let mut buffer = [0; 4];
    let mut prototype = unicode_security::skeleton(c.encode_utf8(&mut buffer));
    match (prototype.next(), prototype.next()) {
        // An l in the table stands for 1 and I as well: which case it had, the letter says.
        (Some(one), None) if one.is_ascii_graphic() => one,
        _ => c,
    }
}

/// O for 0, and I or l for 1, in what else are figures.
fn letters_for_digits(folded: &mut [Folded]) {
    let mut i = 0;
    while i < folded.len() {
        let end = (i..folded.len()).find(|j| !folded[*j].c.is_ascii_alphanumeric()).unwrap_or(folded.len());
        let word = &mut folded[i..end];
        let figures = word.iter().filter(|f| f.c.is_ascii_digit()).count();
        let swapped = word.iter().filter(|f| matches!(f.c, 'O' | 'o' | 'I' | 'l')).count();
        if swapped > 0 && figures >= swapped && figures + swapped == word.len() {
            for f in word {
                f.c = match f.c {
                    'O' | 'o' => '0',
                    'I' | 'l' => '1',
                    c => c,
                };
            }
        }
        i = end + 1;
    }
}
