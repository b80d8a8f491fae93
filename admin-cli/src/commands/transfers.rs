//! `--transfer`: on what data about persons go into a country outside the European Economic Area.

use havenlink_proto::record::v1::{Transfer, TransferBasis};

use crate::contract_enum::Code;
use crate::id;
use crate::when;

/// A transfer as it is typed, and for whom.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenTransfer {
    /// `None`: every party of the country.
    authority: Option<String>,
    pub transfer: Transfer,
}

impl GivenTransfer {
    /// Whether it belongs to this party.
    pub fn is_for(&self, authority: &str) -> bool {
        match &self.authority {
            Some(named) => named == authority,
            None => authority.split('-').next() == Some(self.transfer.country.as_str()),
        }
    }
}

/// Reads `COUNTRY=BASIS:LAST-DAY:SHA-256`, or `AUTHORITY/COUNTRY=…`.
///
/// # Errors
/// What the form is, and the values that are allowed.
pub fn parse(typed: &str) -> Result<GivenTransfer, String> {
    let form = || {
        "the form is COUNTRY=BASIS:LAST-DAY:SHA-256, e.g. gb=ADEQUACY:2027-12-31:9f2c… with the digits that sha256sum shows \
         for the document"
    };
    let (place, said) = typed.split_once('=').ok_or_else(form)?;
    let (authority, country) = match place.split_once('/') {
        Some((authority, country)) => (Some(authority.to_owned()), country),
        None => (None, place),
    };
    let mut parts = said.splitn(3, ':');
    let (Some(basis), Some(until), Some(document)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(form().to_owned());
    };
    Ok(GivenTransfer {
        authority,
        transfer: Transfer {
            country: country.to_ascii_lowercase(),
            basis: Code::<TransferBasis>::parse(basis)?.number,
            until_ms: when::parse_end(until)?,
            document_sha256: id::parse(document).filter(|bytes| bytes.len() == 32).ok_or_else(form)?.into(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basis_is_for_the_parties_of_its_country_or_for_who_is_named() {
        let digits = "ab".repeat(32);
        let leeds = parse(&format!("gb=ADEQUACY:2027-12-31:{digits}")).unwrap();
        assert!(leeds.is_for("gb-leeds") && !leeds.is_for("de-kehl"));
        assert_eq!(leeds.transfer.document_sha256[..], [0xab; 32]);
        assert_eq!(when::show(leeds.transfer.until_ms), "2027-12-31 23:59Z");
        let hosted = parse(&format!("de-kehl/ch=SAFEGUARDS:2027-12-31:{digits}")).unwrap();
        assert!(hosted.is_for("de-kehl") && !hosted.is_for("ch-basel"));
        assert_eq!(hosted.transfer.country, "ch");
        assert!(parse("gb=ADEQUACY").unwrap_err().contains("the form is"));
        assert!(parse(&format!("gb=CONSENT:2027-12-31:{digits}")).is_err(), "no basis of an authority");
        assert!(parse("gb=ADEQUACY:2027-12-31:decision.pdf").unwrap_err().contains("sha256sum"));
    }
}
