//! Bytes as text that goes by mail (9.5): short lines, each with its check, in letters that no mail program touches.
//!
//! The content is the prefix, the number of characters of the whole text as three digits of base32, and the bytes in base32
//! without padding. It is cut in lines of 68 characters, the last one shorter, and two characters of check end each: CRC-10
//! (x^10 + x^9 + x^5 + x^4 + x + 1) over its characters as numbers of five bits, the prefix left out, begun with the number of
//! the line. So one character that is another, or two beside each other, are always noticed, and a line in another's place.
//! Where the line breaks really are does not matter.

use data_encoding::BASE32_NOPAD;

/// Characters of a line; only the last one may be shorter.
pub const LINE: usize = 70;
const CHECK: usize = 2;
const LENGTH: usize = 3;
/// What three digits of base32 can say.
const LONGEST: usize = (1 << (5 * LENGTH)) - 1;
/// CRC-10, without its highest term.
const POLYNOMIAL: u16 = 0x233;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// What is wrong with a text, and where. Never its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("nothing in it begins with {0}")]
    NotThere(&'static str),
    #[error("it is cut off: {have} of {of} characters are there")]
    CutOff { have: usize, of: usize },
    /// Counted as `lines` makes them.
    #[error("line {line} of {of} is not as it was sent (characters {} to {}); copy it again", first(*line), first(*line + 1) - 1)]
    Line { line: usize, of: usize },
    #[error("its first line is not as it was sent; copy it again")]
    FirstLine,
}

/// Number of the first character of a line, from 1.
fn first(line: usize) -> usize {
    (line - 1) * LINE + 1
}

/// The text, without line breaks; `None` for more bytes than it can say the length of (about 20,000).
pub fn write(prefix: &str, bytes: &[u8]) -> Option<String> {
    let body = BASE32_NOPAD.encode(bytes).to_ascii_lowercase();
    let content = prefix.len() + LENGTH + body.len();
    let whole = content + content.div_ceil(LINE - CHECK) * CHECK;
    let length = (whole <= LONGEST).then(|| digits::<LENGTH>(whole))?;
    let content = format!("{prefix}{length}{body}");
    let lines = content.as_bytes().chunks(LINE - CHECK).zip(1_u16..);
    lines
        .map(|(line, n)| Some(format!("{}{}", String::from_utf8_lossy(line), check(n, own(prefix, n, line))?)))
        .collect()
}

/// A text in the lines that carry the checks, for a mail.
pub fn lines(text: &str) -> String {
    let lines: Vec<_> = text.as_bytes().chunks(LINE).map(String::from_utf8_lossy).collect();
    lines.join("\n")
}

/// Finds the text in a mail and gives its bytes, however it was wrapped, quoted or indented, and whatever stands around it.
///
/// # Errors
/// Which part is not as it was written.
pub fn read(prefix: &'static str, mail: &str) -> Result<Vec<u8>, Damage> {
    let bare = bare(mail);
    let begin = bare.find(prefix).ok_or(Damage::NotThere(prefix))?;
    let text = &bare.as_bytes()[begin..];
    let length = text.get(prefix.len()..prefix.len() + LENGTH).ok_or(Damage::FirstLine)?;
    let of = number(length).ok_or(Damage::FirstLine)?;
    if of < prefix.len() + LENGTH + CHECK {
        return Err(Damage::FirstLine);
    }
    let whole = &text[..of.min(text.len())];
    let mut content = Vec::with_capacity(whole.len());
    for (line, n) in whole.chunks(LINE).zip(1_usize..) {
        let ends = n * LINE <= whole.len() || whole.len() == of;
        let part = line.len().checked_sub(CHECK).map(|at| line.split_at(at));
        match part {
            Some((part, found)) if ends && fits(prefix, n, part, found) => content.extend_from_slice(part),
            _ if !ends => return Err(Damage::CutOff { have: whole.len(), of }),
            _ if n == 1 => return Err(Damage::FirstLine),
            _ => return Err(Damage::Line { line: n, of: of.div_ceil(LINE) }),
        }
    }
    if whole.len() < of {
        return Err(Damage::CutOff { have: whole.len(), of });
    }
    let body = content.split_off(prefix.len() + LENGTH).to_ascii_uppercase();
    BASE32_NOPAD.decode(&body).map_err(|_| Damage::Line { line: of.div_ceil(LINE), of: of.div_ceil(LINE) })
}

/// What is checked of a line: the prefix was looked for, and found.
fn own<'a>(prefix: &str, line: u16, content: &'a [u8]) -> &'a [u8] {
    if line == 1 { content.get(prefix.len()..).unwrap_or_default() } else { content }
}

fn fits(prefix: &str, line: usize, content: &[u8], found: &[u8]) -> bool {
    let Ok(line) = u16::try_from(line) else { return false };
    check(line, own(prefix, line, content)).is_some_and(|check| check.as_bytes() == found)
}

/// Two characters over a line's; `None` when one of them is none of ours.
fn check(line: u16, content: &[u8]) -> Option<String> {
    let mut sum = line;
    for character in content {
        let value = number(&[*character])?;
        for bit in (0..5).rev() {
            let carried = (sum >> 9) & 1 != u16::from((value >> bit) & 1 != 0);
            sum = (sum << 1) & 0x3ff;
            if carried {
                sum ^= POLYNOMIAL;
            }
        }
    }
    Some(digits::<CHECK>(usize::from(sum)))
}

fn digits<const N: usize>(number: usize) -> String {
    (0..N).rev().map(|place| char::from(ALPHABET[(number >> (5 * place)) & 31])).collect()
}

fn number(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0, |sum, digit| Some((sum << 5) | ALPHABET.iter().position(|one| one == digit)?))
}

/// What is left of a mail without what its way adds: marks of quoting at the beginning of a line, soft breaks and blanks as
/// quoted-printable writes them, and blanks of every kind. Anything else that is foreign stays, and does not pass the checks.
fn bare(mail: &str) -> String {
    let mut bare = String::with_capacity(mail.len());
    for line in mail.split(['\n', '\r', '\u{2028}', '\u{2029}']) {
        let line = line.trim_start_matches(|c: char| is_blank(c) || matches!(c, '>' | '|'));
        let line = line.replace("=20", "").replace("=C2=A0", "").replace("=A0", "");
        let line = line.trim_end_matches(is_blank).trim_end_matches('=');
        bare.extend(line.chars().filter(|c| !is_blank(*c)).map(|c| match c {
            c if c.is_ascii() => c.to_ascii_lowercase(),
            _ => '?',
        }));
    }
    bare
}

/// A blank, also one without width, or what is left of one in another character set.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "hl1";

    fn sample() -> (Vec<u8>, String) {
        let bytes: Vec<u8> = (0..=250).collect();
        let text = write(PREFIX, &bytes).unwrap();
        (bytes, text)
    }

    #[test]
    fn every_length_comes_back() {
        for length in 0..400 {
            let bytes: Vec<u8> = (0..length).map(|n: u16| n.to_le_bytes()[0]).collect();
            let text = write(PREFIX, &bytes).unwrap();
            assert_eq!(read(PREFIX, &text), Ok(bytes), "{length}");
            assert!(lines(&text).lines().all(|line| line.len() <= 76));
        }
        assert_eq!(write(PREFIX, &[0; 30_000]), None);
    }

    #[test]
    fn no_mail_program_harms_it() {
        let (bytes, text) = sample();
        let lines = lines(&text);
        let each = |line: &dyn Fn(&str) -> String| lines.lines().map(line).collect::<String>();
        let by =
            |width: usize| text.as_bytes().chunks(width).map(|c| String::from_utf8_lossy(c) + "\n").collect::<String>();
        let ways = [
            each(&|line| format!("> {line}\r\n")),
            each(&|line| format!(" >> > | {line} \u{a0}\n\n")),
            each(&|line| format!("{}=\n{}=20\n", &line[..line.len() / 2], &line[line.len() / 2..])),
            each(&|line| format!("\u{a0}\u{200b}{}\u{ad}{line_end}\t\n", &line[..1], line_end = &line[1..])),
            lines.to_uppercase(),
            format!("Guten Tag,\n\nhier ist das Token:\n\n{lines}\n\nMit freundlichen Grüßen\n-- \nStraßburg\n"),
            format!("the token: *{text}*, good for 48 hours"),
            by(1),
            by(64),
            by(76),
            by(998),
        ];
        for way in ways {
            assert_eq!(read(PREFIX, &way).as_ref(), Ok(&bytes), "{way}");
        }
    }

    #[test]
    fn what_was_damaged_is_named() {
        let (_, text) = sample();
        let of = text.len().div_ceil(LINE);
        let altered = |at: usize| {
            let other = if &text[at..=at] == "a" { "b" } else { "a" };
            format!("{}{other}{}", &text[..at], &text[at + 1..])
        };
        for at in PREFIX.len()..text.len() {
            let line = at / LINE + 1;
            let damage = read(PREFIX, &altered(at)).expect_err("one character is another");
            let named = match damage {
                Damage::FirstLine | Damage::CutOff { .. } => 1,
                Damage::Line { line, .. } => line,
                Damage::NotThere(_) => 0,
            };
            assert_eq!(named, line, "{at}: {damage}");
        }
        let lost = format!("{}{}", &text[..100], &text[101..]);
        assert_eq!(read(PREFIX, &lost), Err(Damage::Line { line: 2, of }), "a character");
        assert_eq!(
            read(PREFIX, &[&text[..LINE], &text[2 * LINE..]].concat()),
            Err(Damage::Line { line: 2, of }),
            "a line"
        );
        for have in [LINE - 1, LINE, LINE + 1, text.len() - 1] {
            assert_eq!(read(PREFIX, &text[..have]), Err(Damage::CutOff { have, of: text.len() }));
        }
        assert_eq!(read(PREFIX, "hl1"), Err(Damage::FirstLine));
        assert_eq!(read(PREFIX, "no token"), Err(Damage::NotThere(PREFIX)));
    }

    /// What is made from nothing but the description in 9.5.
    #[test]
    fn it_is_written_as_described() {
        let text = write(PREFIX, b"havenlink").unwrap();
        assert_eq!((&text[..6], text.len()), ("hl1aax", 23), "its length is 23");
        assert_eq!(&text[6..21], "nbqxmzlonruw42y");
    }
}
