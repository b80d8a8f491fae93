//! Forms of coded texts: languages, official identifiers, addresses. Each check looks at the form alone.
//!
//! The register's outcomes depend on these checks, and every replica must answer alike: nothing here depends on a table
//! that grows with a library, a clock or a locale.

// Forms of addresses; `core` has no sockets.
use core::net::{Ipv4Addr, Ipv6Addr};

use super::authority::IdentifierScheme;

/// A well-formed language tag (BCP 47), at most 35 characters.
pub fn is_language(tag: &str) -> bool {
    tag.len() <= 35 && oxilangtag::LanguageTag::parse(tag).is_ok()
}

/// One line for people: 1 to `most` characters, no control characters, nothing that turns the direction of text, no
/// space at its ends.
pub fn is_line(text: &str, most: usize) -> bool {
    let turns =
        |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}');
    !text.is_empty()
        && text.len() <= most * 4
        && text.chars().count() <= most
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.chars().any(|c| c.is_control() || turns(c) || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// An official identifier in the form of its scheme.
pub fn is_identifier(scheme: IdentifierScheme, value: &str) -> bool {
    let upper = |b: &u8| b.is_ascii_uppercase();
    let code = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    let bytes = value.as_bytes();
    match scheme {
        // Country and up to three levels: FR, FR1, FRF1, FRF11.
        IdentifierScheme::Nuts => {
            (2..=5).contains(&bytes.len()) && bytes[..2].iter().all(upper) && bytes[2..].iter().all(code)
        }
        // A national code, alone or after its country as in GISCO: 67482, DE_08317057.
        IdentifierScheme::Lau => {
            let national = match bytes {
                [a, b, b'_', rest @ ..] if upper(a) && upper(b) => rest,
                all => all,
            };
            (1..=13).contains(&national.len()) && national.iter().all(code)
        }
        IdentifierScheme::Iso3166Part2 => {
            (4..=6).contains(&bytes.len())
                && bytes[..2].iter().all(upper)
                && bytes[2] == b'-'
                && bytes[3..].iter().all(code)
        }
        // Nine characters, the first one the nation: E09000007.
        IdentifierScheme::Gss => {
            bytes.len() == 9 && b"EWSNKLMJ".contains(&bytes[0]) && bytes[1..].iter().all(u8::is_ascii_digit)
        }
        // Code of a list at org-id.guide, then the identifier in it: GB-LAE-STE, FR-SIREN-216704825.
        IdentifierScheme::OrgId => {
            let mut parts = value.splitn(3, '-');
            let (country, list, id) =
                (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            (2..=3).contains(&country.len())
                && country.bytes().all(|b| b.is_ascii_uppercase())
                && (2..=12).contains(&list.len())
                && list.bytes().all(|b| code(&b) || b == b'_')
                && (1..=60).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/".contains(&b))
        }
    }
}

/// "host:port": a DNS name in lower case, an IPv4 address, or an IPv6 address in brackets; port 1 to 65535.
pub fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let port_fits = !port.starts_with('0') && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    port_fits && is_host(host)
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let last = host.rsplit('.').next().unwrap_or("");
    if !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    is_domain(host)
}

fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// An international number (ITU E.164): a plus sign and 7 to 15 digits.
pub fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// The mailbox of a role or desk, at most 120 characters: an address whose local part does not look like a person's
/// name. The form can only catch the usual patterns (`m.weber@`, `marie.weber@`); who approves looks at the rest.
pub fn is_role_mailbox(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-+".contains(&b);
    let edge = |b: Option<u8>| b.is_some_and(|b| b != b'.');
    address.len() <= 120
        && (1..=64).contains(&local.len())
        && local.bytes().all(allowed)
        && edge(local.bytes().next())
        && edge(local.bytes().last())
        && !local.contains("..")
        && domain.contains('.')
        && is_domain(&domain.to_ascii_lowercase())
        && !is_personal(&local.to_ascii_lowercase())
}

fn is_personal(local: &str) -> bool {
    let mut parts = local.split(['.', '_', '-']);
    let (Some(first), Some(second)) = (parts.next(), parts.next()) else {
        return false;
    };
    let initial = first.len() == 1 && first.bytes().all(|b| b.is_ascii_lowercase()) && second.len() > 2;
    initial || GIVEN_NAMES.contains(&first)
}

/// Frequent given names; part of the rules, so never changed without a new rules version.
#[rustfmt::skip]
const GIVEN_NAMES: &[&str] = &[
    "adam", "agnes", "alexander", "ali", "ana", "andrea", "andreas", "andrei", "anna", "anne", "antoine", "antonio",
    "barbara", "bernard", "carlos", "carmen", "catherine", "chantal", "christian", "christine", "claire", "claude",
    "daniel", "david", "elena", "elisabeth", "emma", "erik", "eva", "fatima", "francesco", "francois", "frank",
    "georg", "george", "giulia", "giuseppe", "hans", "helen", "isabelle", "ivan", "jan", "jana", "jean", "johan",
    "johannes", "john", "jose", "juan", "julia", "karin", "katarzyna", "klaus", "laura", "lena", "lucas", "luis",
    "marc", "marco", "maria", "marie", "mario", "markus", "martin", "mary", "michael", "michel", "miguel", "mohamed",
    "monika", "nathalie", "nicolas", "nina", "olga", "paolo", "patrick", "paul", "pedro", "peter", "petra",
    "philippe", "pierre", "piotr", "robert", "sabine", "sandra", "sarah", "simon", "sofia", "sophie", "stefan",
    "susanne", "sylvie", "teresa", "thomas", "tomasz", "ursula", "valerie", "victor", "walter", "wolfgang", "yves",
];

/// NACE Rev. 2: section A-U, and a division of two digits, if any.
pub fn is_sector(code: &str) -> bool {
    let bytes = code.as_bytes();
    matches!(bytes.len(), 1 | 3) && (b'A'..=b'U').contains(&bytes[0]) && bytes[1..].iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(check: impl Fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(check(text), "{text:?} is well formed");
        }
        for text in bad {
            assert!(!check(text), "{text:?} is not");
        }
    }

    #[test]
    fn endpoints_are_host_and_port() {
        all(
            is_endpoint,
            &[
                "127.0.0.1:7400",
                "[2001:db8::1]:443",
                "node.strasbourg.example:7400",
                "localhost:1",
                "xn--kln-sna.example:65535",
            ],
            &[
                "",
                ":1",
                "host",
                "host:0",
                "host:65536",
                "host:01",
                "host:+1",
                "HOST.example:1",
                "a b:1",
                "http://x:1",
                "-a:1",
                "1.2.3:4",
                "256.1.1.1:4",
                "[::1:4",
                "[host]:4",
                "a..b:1",
                "2001:db8::1:443",
                "user@host:1",
            ],
        );
    }

    #[test]
    fn identifiers_have_the_form_of_their_scheme() {
        use IdentifierScheme::*;
        for (scheme, good, bad) in [
            (Nuts, &["FR", "FRF11", "DE134", "LU000"][..], &["", "F", "fr", "FRF111", "F1", "FR-1"][..]),
            (
                Lau,
                &["67482", "FR_67482", "08317057", "DE_08317057", "0204"],
                &["", "FR_", "fr_1", "12 34", "12345678901234"],
            ),
            (Iso3166Part2, &["FR-67", "DE-BW", "GB-LND"], &["FR67", "FR-", "fr-67", "FR-6789"]),
            (Gss, &["E09000007", "W06000015", "S12000036"], &["E0900000", "A09000007", "E0900000X"]),
            (
                OrgId,
                &["GB-LAE-STE", "FR-SIREN-216704825", "XI-IATI-1", "DE-CR-HRB 1".split(' ').next().unwrap()],
                &["GB", "GB-LAE", "GB-LAE-", "gb-lae-ste", "GB-LAE-a b"],
            ),
        ] {
            all(|t| is_identifier(scheme, t), good, bad);
        }
    }

    #[test]
    fn contacts_are_roles() {
        all(
            is_role_mailbox,
            &["traite@ville.example", "pet-koordination@kehl.example", "night.desk@city.example", "a@b.example"],
            &[
                "",
                "x",
                "@b.example",
                "a@b",
                "m.weber@kehl.example",
                "marie.weber@kehl.example",
                "a..b@c.example",
                "a b@c.example",
                "a@-b.example",
                ".a@c.example",
            ],
        );
        all(
            is_phone,
            &["+33155501234", "+4915112345678"],
            &["", "+", "0033", "+0331234567", "+33 1", "+123456", "+1234567890123456"],
        );
        all(is_language, &["fr", "de-CH", "sr-Latn", "zh-Hant-TW"], &["", "f", "fr_FR", "français", "-"]);
        all(
            |t| is_line(t, 5),
            &["a", "ab cd", "éééée"],
            &["", " a", "a ", "abcdef", "a\nb", "a\u{202e}b", "\u{1b}[0m"],
        );
    }
}
