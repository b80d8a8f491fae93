//! Countries, and those among which data about persons move as within one (GDPR chapter V).

use crate::ids::AuthorityId;

/// ISO 3166-1 alpha-2, lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Country([u8; 2]);

/// The European Economic Area, within which nothing is a transfer: the Union, then Iceland, Liechtenstein, Norway.
const ECONOMIC_AREA: [&[u8; 2]; 30] = [
    b"at", b"be", b"bg", b"cy", b"cz", b"de", b"dk", b"ee", b"es", b"fi", b"fr", b"gr", b"hr", b"hu", b"ie", b"it",
    b"lt", b"lu", b"lv", b"mt", b"nl", b"pl", b"pt", b"ro", b"se", b"si", b"sk", b"is", b"li", b"no",
];

impl Country {
    /// `None` unless it is two lower-case letters.
    pub fn parse(code: &str) -> Option<Self> {
        let code: [u8; 2] = code.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_lowercase).then_some(Self(code))
    }

    /// The country that an authority's id begins with.
    pub fn of(authority: &AuthorityId) -> Option<Self> {
        Self::parse(authority.as_str().get(..2)?)
    }

    /// Its two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether it belongs to the European Economic Area.
    pub fn in_economic_area(self) -> bool {
        ECONOMIC_AREA.iter().any(|code| **code == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::authority;

    #[test]
    fn a_country_is_two_small_letters_and_an_authority_begins_with_its_own() {
        assert_eq!(Country::parse("fr").map(|c| c.as_str().to_owned()), Some("fr".to_owned()));
        for wrong in ["", "f", "FR", "fra", "f1", "é"] {
            assert_eq!(Country::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Country::of(&authority("gb-leeds")), Country::parse("gb"));
        let inside = |code: &str| Country::parse(code).unwrap().in_economic_area();
        assert!(inside("fr") && inside("no") && !inside("gb") && !inside("ch"));
    }
}
