//! Places: NUTS, LAU, ISO 3166-2 and GSS codes of a municipality or something coarser.
//!
//! A place is LAU or NUTS-3 at the finest; nothing finer can be said. Forms are checked, not membership of a list:
//! the lists change with every merger of municipalities, and an old code must stay readable.

use super::authority::IdentifierScheme;
use super::closed::closed_enum;
use super::forms::is_identifier;

closed_enum! {
    /// The scheme of a place code.
    pub enum PlaceScheme { Nuts = 1 => "NUTS", Lau = 2 => "LAU", Iso3166Part2 = 3 => "ISO_3166_2", Gss = 4 => "GSS" }
}

/// A place, no finer than a municipality.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    scheme: PlaceScheme,
    code: Box<str>,
}

impl Place {
    /// `None` unless the code has the form of its scheme and is not finer than a municipality.
    pub fn new(scheme: PlaceScheme, code: &str) -> Option<Self> {
        let fits = match scheme {
            PlaceScheme::Nuts => is_identifier(IdentifierScheme::Nuts, code),
            // LAU codes are unique only together with the country: Eurostat's `CC_LAU`.
            PlaceScheme::Lau => is_identifier(IdentifierScheme::Lau, code) && code.as_bytes().get(2) == Some(&b'_'),
            PlaceScheme::Iso3166Part2 => is_identifier(IdentifierScheme::Iso3166Part2, code),
            PlaceScheme::Gss => {
                is_identifier(IdentifierScheme::Gss, code) && GSS_MUNICIPAL_OR_COARSER.contains(&&code[..3])
            }
        };
        fits.then(|| Self { scheme, code: code.into() })
    }

    /// As it was stored: its form was checked by the rules of its day, and stays readable when they change. `None`: no
    /// version ever wrote it.
    pub fn reload(scheme: PlaceScheme, code: &str) -> Option<Self> {
        (code.len() >= 2 && code.is_ascii()).then(|| Self { scheme, code: code.into() })
    }

    /// The scheme.
    pub fn scheme(&self) -> PlaceScheme {
        self.scheme
    }

    /// The code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// 0 (country) to 3 for a NUTS code.
    pub fn nuts_level(&self) -> Option<usize> {
        (self.scheme == PlaceScheme::Nuts).then(|| self.code.len() - 2)
    }

    /// The NUTS region of at most this level around the place; `None` for other schemes.
    pub fn nuts_at_most(&self, level: usize) -> Option<Self> {
        let own = self.nuts_level()?;
        Some(Self { scheme: self.scheme, code: self.code[..2 + own.min(level)].into() })
    }
}

/// Entity codes of the UK register of geographic codes that are a local authority or coarser. Parishes, wards and
/// census areas are finer and refused.
const GSS_MUNICIPAL_OR_COARSER: [&str; 23] = [
    "E06", "E07", "E08", "E09", "E10", "E11", "E12", "E13", "E47", "E61", "E92", "W06", "W08", "W92", "S12", "S92",
    "N09", "N92", "K01", "K02", "K03", "K04", "K05",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_has_its_form() {
        use PlaceScheme as P;
        for (scheme, good, bad) in [
            (P::Nuts, &["LU", "FRF11", "EL30", "DEZZZ"][..], &["", "F", "FRF111", "frf11", "FR-F1", "FRÉ1"][..]),
            (
                P::Lau,
                &["FR_67482", "DE_08317057", "FR_2A004"],
                &["FR_", "FR67482", "67482", "FR_67 482", "fr_67482", "12_3"],
            ),
            (P::Iso3166Part2, &["FR-67", "LU-ES", "DE-BW"], &["FR-", "FR", "FR-ABCD", "FR_67"]),
            (P::Gss, &["E09000007", "S12000034"], &["E0900000", "E0900000A", "X09000007", "e09000007"]),
        ] {
            for code in good {
                assert_eq!(Place::new(scheme, code).unwrap().code(), *code);
            }
            for code in bad {
                assert_eq!(Place::new(scheme, code), None, "{code}");
            }
        }
    }

    #[test]
    fn nothing_finer_than_a_municipality_is_a_place() {
        assert!(Place::new(PlaceScheme::Gss, "E09000007").is_some());
        for finer in ["E05000001", "E01000001", "E00000001", "S01006506"] {
            assert!(is_identifier(IdentifierScheme::Gss, finer) && Place::new(PlaceScheme::Gss, finer).is_none());
        }
        let place = Place::new(PlaceScheme::Nuts, "FRF11").unwrap();
        assert_eq!(place.nuts_at_most(2).unwrap().code(), "FRF1");
        assert_eq!(place.nuts_at_most(3), Some(place));
        assert_eq!(Place::new(PlaceScheme::Nuts, "LU").unwrap().nuts_at_most(2).unwrap().code(), "LU");
        assert_eq!(Place::new(PlaceScheme::Lau, "FR_67482").unwrap().nuts_at_most(2), None);
    }
}
