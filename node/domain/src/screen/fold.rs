//! One way of writing: other scripts' digits, full-width forms, odd spaces and hyphens, and `[at]` become plain ones.

/// A plain character and the characters of the text that it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folded {
    pub c: char,
    pub start: usize,
    pub end: usize,
}

/// Zero of each block of ten decimal digits that phones are written with in Europe and around it.
const DIGIT_BLOCKS: [u32; 16] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0e50, 0x0ed0,
    0x1040, 0x17e0,
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
            folded.push(Folded { c, start: i, end });
            i = end;
            while chars.get(i) == Some(&' ') {
                i += 1;
            }
            continue;
        }
        if let Some(c) = plain(chars[i]) {
            folded.push(Folded { c, start: i, end: i + 1 });
        }
        i += 1;
    }
    folded
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

fn plain(c: char) -> Option<char> {
    let code = u32::from(c);
    Some(match c {
        ' '..='~' => c,
        // Soft hyphen, zero-width characters, joiners, variation selectors: not to be seen.
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' => {
            return None;
        }
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(code - 0xfee0).unwrap_or(c),
        '\u{1d7ce}'..='\u{1d7ff}' => digit((code - 0x1d7ce) % 10),
        '⁰' | '⁴'..='⁹' => digit(code - 0x2070),
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '₀'..='₉' => digit(code - 0x2080),
        '①'..='⑨' => digit(code - 0x2460 + 1),
        '‐'..='―' | '−' | '﹣' => '-',
        '。' | '․' | '·' | '•' => '.',
        '⁄' | '∕' => '/',
        '﹫' => '@',
        c if c.is_whitespace() => ' ',
        c => {
            DIGIT_BLOCKS.iter().find(|zero| (**zero..**zero + 10).contains(&code)).map_or(c, |zero| digit(code - zero))
        }
    })
}

fn digit(value: u32) -> char {
    char::from_digit(value, 10).unwrap_or('0')
}
