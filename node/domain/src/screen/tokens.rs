//! A text as words, figures and marks, with where they stand.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::fold::Folded;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Number,
    Word,
    Mark,
}

/// A word, a number or a mark.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub sort: Sort,
    /// In small letters without accents.
    pub text: String,
    /// Where it stands in the folded text.
    pub at: Range<usize>,
    /// Nothing stands between it and the one before.
    pub glued: bool,
    /// It begins a line.
    pub line: bool,
    /// Its first letter is a capital.
    pub capital: bool,
    /// All its letters are.
    pub capitals: bool,
}

impl Token {
    pub fn is_number(&self) -> bool {
        self.sort == Sort::Number
    }

    pub fn is_word(&self) -> bool {
        self.sort == Sort::Word
    }

    pub fn is_mark(&self, marks: &str) -> bool {
        self.sort == Sort::Mark && marks.contains(self.text.as_str())
    }

    /// Its value; a number of more than nine digits is no day, year or amount.
    pub fn value(&self) -> u64 {
        if self.is_number() && self.text.len() <= 9 { self.text.parse().unwrap_or(u64::MAX) } else { u64::MAX }
    }

    pub fn is_year(&self) -> bool {
        self.text.len() == 4 && (1800..2100).contains(&self.value())
    }
}

pub(super) fn tokens(text: &[Folded]) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len() / 4);
    let (mut i, mut line) = (0, true);
    while i < text.len() {
        if text[i].c == ' ' {
            line |= text[i].letter == '\n';
            i += 1;
            continue;
        }
        let sort = sort(&text[i]);
        let end = match sort {
            Sort::Mark => i + 1,
            _ => (i..text.len()).find(|j| self::sort(&text[*j]) != sort).unwrap_or(text.len()),
        };
        let letters = text[i..end].iter().map(|f| if sort == Sort::Word { f.letter } else { f.c });
        tokens.push(Token {
            sort,
            capital: sort == Sort::Word && text[i].letter.is_uppercase(),
            capitals: sort == Sort::Word && text[i..end].iter().all(|f| f.letter.is_uppercase()),
            line: std::mem::take(&mut line),
            text: if sort == Sort::Word { bare(letters) } else { letters.collect() },
            at: i..end,
            glued: i > 0 && text[i - 1].c != ' ',
        });
        i = end;
    }
    tokens
}

fn sort(f: &Folded) -> Sort {
    match f {
        f if f.c.is_ascii_digit() => Sort::Number,
        f if f.letter.is_alphabetic() || is_combining_mark(f.letter) => Sort::Word,
        _ => Sort::Mark,
    }
}

/// Small letters without accents: `Größe` is `grosse`, `Łódź` is `lodz`.
fn bare(letters: impl Iterator<Item = char> + Clone) -> String {
    if letters.clone().all(|c| c.is_ascii()) {
        return letters.map(|c| c.to_ascii_lowercase()).collect();
    }
    let mut text = String::new();
    for c in letters.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        match c {
            'ß' => text.push_str("ss"),
            'æ' => text.push_str("ae"),
            'œ' => text.push_str("oe"),
            'ø' => text.push('o'),
            'ł' => text.push('l'),
            'đ' | 'ð' => text.push('d'),
            'ı' => text.push('i'),
            'ς' => text.push('σ'),
            // What a capital with a dot leaves behind.
            '\u{307}' => {}
            c => text.push(c),
        }
    }
    text
}

/// Whether one of the last words before a place in the text is one of these, or begins with one that ends in `*`.
pub(super) fn before(tokens: &[Token], at: usize, reach: usize, words: &[&str]) -> bool {
    tokens[..at].iter().rev().filter(|t| t.is_word()).take(reach).any(|t| one_of(&t.text, words))
}

/// Whether a word is one of these, or begins with one that ends in `*`.
pub(super) fn one_of(word: &str, words: &[&str]) -> bool {
    // Most differ in their first letter.
    let first = word.as_bytes().first();
    words.iter().filter(|known| known.as_bytes().first() == first).any(|known| match known.strip_suffix('*') {
        Some(stem) => word.starts_with(stem),
        None => word == *known,
    })
}
