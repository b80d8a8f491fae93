//! Transfers out of the European Economic Area (GDPR chapter V): on what basis, into which country, until when.

use crate::closed::closed_enum;
use crate::country::Country;
use crate::fault::Fault;
use crate::ids::{AuthorityId, Digest};
use crate::limits;
use crate::records::grant::invalid;
use crate::time::UnixMs;

use super::Party;

closed_enum! {
    /// What carries a transfer. Consent is none for an authority (11.19).
    pub enum TransferBasis {
        /// Article 45.
        Adequacy = 1 => "ADEQUACY",
        /// Article 46(2).
        Safeguards = 2 => "SAFEGUARDS",
        /// Article 46(3)(b).
        AdministrativeArrangement = 3 => "ADMINISTRATIVE_ARRANGEMENT",
        /// Article 49, case by case.
        Derogation = 4 => "DEROGATION",
    }
}

/// On what data go into one country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub country: Country,
    pub basis: TransferBasis,
    /// From here on nothing about a person goes there.
    pub until: UnixMs,
    /// Of the decision, clauses or arrangement: which one it is, without a text (9.2: coded fields only).
    pub document: Digest,
}

impl Party {
    /// Whether data about persons may go to it at this instant: each country outside, its own and that of whoever hosts it,
    /// has a basis that lasts.
    pub fn transfer_stands(&self, host: Option<&AuthorityId>, now: UnixMs) -> bool {
        let countries = [Some(&self.authority), host].into_iter().flatten().map(Country::of);
        let lasts = |country: Country| self.transfers.iter().any(|t| t.country == country && now < t.until);
        countries.into_iter().all(|country| country.is_some_and(|c| c.in_economic_area() || lasts(c)))
    }

    /// Whether its transfers hold together: each country once, none that needs none, its own among them if that needs one.
    pub(super) fn check_transfers(&self, created: UnixMs) -> Result<(), Fault> {
        if self.transfers.len() > limits::TRANSFERS {
            return Err(invalid("transfers", "one for its country, one for its host's"));
        }
        for (i, transfer) in self.transfers.iter().enumerate() {
            let again = self.transfers[..i].iter().any(|earlier| earlier.country == transfer.country);
            let fault = if again || transfer.country.in_economic_area() {
                invalid("country", "each outside the European Economic Area once")
            } else if transfer.until <= created || transfer.until > created + limits::RECORD_LIFE {
                invalid("until_ms", "after created_ms, within five years")
            } else {
                continue;
            };
            return Err(fault.within(&format!("transfers[{i}]")));
        }
        match Country::of(&self.authority) {
            Some(own) if !own.in_economic_area() && !self.transfers.iter().any(|t| t.country == own) => {
                Err(invalid("transfers", "a basis for its country, which lies outside the European Economic Area"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{NOW, authority};
    use crate::time::Millis;

    fn transfer(country: &str) -> Transfer {
        Transfer {
            country: Country::parse(country).unwrap(),
            basis: TransferBasis::Adequacy,
            until: NOW + Millis::days(30),
            document: Digest::of(b"Decision (EU) 2021/1772"),
        }
    }

    fn party(id: &str, transfers: Vec<Transfer>) -> Party {
        Party { authority: authority(id), corridor_roles: vec![], transfers }
    }

    #[test]
    fn who_is_outside_needs_a_basis_and_who_is_inside_none() {
        assert_eq!(party("no-oslo", vec![]).check_transfers(NOW), Ok(()));
        assert_eq!(party("gb-leeds", vec![transfer("gb")]).check_transfers(NOW), Ok(()));
        assert_eq!(party("fr-strasbourg", vec![transfer("gb")]).check_transfers(NOW), Ok(()), "its host's");
        let past = Transfer { until: NOW, ..transfer("gb") };
        let refused = [
            (party("gb-leeds", vec![]), "transfers"),
            (party("gb-leeds", vec![transfer("ua")]), "transfers"),
            (party("gb-leeds", vec![transfer("gb"), transfer("gb")]), "transfers[1].country"),
            (party("gb-leeds", vec![transfer("gb"), transfer("fr")]), "transfers[1].country"),
            (party("gb-leeds", vec![past]), "transfers[0].until_ms"),
        ];
        for (party, field) in refused {
            assert_eq!(party.check_transfers(NOW).unwrap_err().field, field);
        }
    }

    #[test]
    fn a_basis_ends_to_the_millisecond_for_its_country_and_its_host() {
        let (leeds, end) = (party("gb-leeds", vec![transfer("gb")]), NOW + Millis::days(30));
        assert!(leeds.transfer_stands(None, end - Millis(1)) && !leeds.transfer_stands(None, end));
        assert!(leeds.transfer_stands(Some(&authority("fr-strasbourg")), NOW));
        assert!(!leeds.transfer_stands(Some(&authority("ua-lviv")), NOW), "its host is elsewhere");
        assert!(party("de-kehl", vec![]).transfer_stands(Some(&authority("fr-strasbourg")), NOW));
        assert!(!party("de-kehl", vec![]).transfer_stands(Some(&authority("ch-basel")), NOW));
    }
}
