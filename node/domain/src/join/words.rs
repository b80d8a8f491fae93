//! The six words that two people compare by phone: 66 bits, six of the 2,048 English words of BIP-39.

use std::fmt;

use crate::ids::Digest;

/// Six words, as their places in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words([u16; 6]);

/// Why typed text is not six words of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotWords {
    /// Not six of them, but this many.
    Count(usize),
    /// The n-th one, from 1, does not stand in the list.
    Unknown(usize),
}

impl fmt::Display for NotWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(n) => write!(f, "six words, not {n}"),
            Self::Unknown(n) => write!(f, "word {n} does not stand in the list"),
        }
    }
}

impl Words {
    /// The first 66 bits of a transcript's digest.
    pub fn of(digest: &Digest) -> Self {
        let mut bits = [0_u8; 16];
        bits[7..].copy_from_slice(&digest.0[..9]);
        let bits = u128::from_be_bytes(bits) >> 6;
        Self(std::array::from_fn(|i| u16::try_from((bits >> (11 * (5 - i))) & 0x7ff).expect("eleven bits fit")))
    }

    /// What somebody typed, in any case, separated by anything that is not a letter.
    ///
    /// # Errors
    /// When it is not six words of the list. That is a slip of the keyboard and says nothing of the other side.
    pub fn parse(text: &str) -> Result<Self, NotWords> {
        let typed: Vec<String> = text
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|w| !w.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        let mut places = [0_u16; 6];
        if typed.len() != places.len() {
            return Err(NotWords::Count(typed.len()));
        }
        for (n, word) in typed.iter().enumerate() {
            places[n] = bip39::Language::English.find_word(word).ok_or(NotWords::Unknown(n + 1))?;
        }
        Ok(Self(places))
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, place) in self.0.iter().enumerate() {
            let gap = if n == 0 { "" } else { " " };
            write!(f, "{gap}{}", bip39::Language::English.word_list()[usize::from(*place)])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sixty_six_bits_are_the_words() {
        assert_eq!(Words::of(&Digest([0; 32])).to_string(), "abandon abandon abandon abandon abandon abandon");
        assert_eq!(Words::of(&Digest([255; 32])).to_string(), "zoo zoo zoo zoo zoo zoo");
        let mut digest = [0_u8; 32];
        digest[8] = 0b0100_0000;
        assert_eq!(Words::of(&Digest(digest)).to_string(), "abandon abandon abandon abandon abandon ability");
        digest[8] = 0b0011_1111;
        assert_eq!(Words::of(&Digest(digest)).to_string(), "abandon abandon abandon abandon abandon abandon");
    }

    #[test]
    fn what_is_read_out_is_what_is_typed() {
        let words = Words::of(&Digest::of(b"a transcript"));
        assert_eq!(Words::parse(&words.to_string()), Ok(words));
        assert_eq!(Words::parse(&format!("  {} ", words.to_string().to_uppercase().replace(' ', " - "))), Ok(words));
        assert_eq!(Words::parse("zoo zoo"), Err(NotWords::Count(2)));
        assert_eq!(Words::parse("zoo zoo zoo zoo zoo zooo"), Err(NotWords::Unknown(6)));
    }
}
