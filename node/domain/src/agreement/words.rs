//! What an agreement means, in plain sentences: "de-kehl sees the capacity of fr-strasbourg, as bands: …".

use std::fmt;

use super::{Agreement, Grant, Party, Transfer, Usage};
use crate::ids::AuthorityId;
use crate::records::plain_list;
use crate::time::UnixMs;

/// One sentence of an agreement: what is agreed, apart from its dates.
pub(super) struct Said {
    pub what: String,
    /// Whom it concerns.
    pub between: Vec<AuthorityId>,
    from: UnixMs,
    pub until: UnixMs,
}

impl Agreement {
    /// One sentence per direction and kind of record, in the order of the grants, then one per transfer.
    pub fn in_words(&self) -> Vec<String> {
        self.said().iter().map(Said::to_string).collect()
    }

    pub(super) fn said(&self) -> Vec<Said> {
        let transfers = self
            .parties
            .iter()
            .flat_map(|party| party.transfers.iter().map(|transfer| transfer.said(party, self.created)));
        self.grants.iter().flat_map(Grant::said).chain(transfers).collect()
    }
}

impl Grant {
    /// One sentence per kind of record that has something to say.
    pub fn in_words(&self) -> Vec<String> {
        self.said().iter().map(Said::to_string).collect()
    }

    fn said(&self) -> Vec<Said> {
        let said = |what: String| Said {
            what: self.sentence(&what),
            between: vec![self.from.clone(), self.to.clone()],
            from: self.valid_from,
            until: self.valid_until,
        };
        self.record_kinds.iter().filter_map(|kind| kind.in_words(self)).map(said).collect()
    }

    fn sentence(&self, what: &str) -> String {
        let purposes = plain_list(&self.purposes, |p| p.name());
        let (tlp, days) = (self.highest_tlp, self.retention.0 / 86_400_000);
        let usage = match self.usage {
            Usage::Query => "answered when asked, nothing is sent",
            Usage::View => "to view at its node",
            Usage::Store => "to view and to store in its own systems",
        };
        format!("{what}; {usage}; for {purposes}; up to TLP:{tlp}; kept {days} days")
    }
}

impl Transfer {
    fn said(&self, party: &Party, from: UnixMs) -> Said {
        let (to, country, basis) = (&party.authority, self.country.as_str(), plain_list(&[self.basis], |b| b.name()));
        let what =
            format!("data about persons may go to {to} in {country}, outside the European Economic Area, on {basis}");
        Said { what, between: vec![to.clone()], from, until: self.until }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; from {} until {}", self.what, day(self.from), day(self.until))
    }
}

/// The day of an instant, as people say it.
pub(super) fn day(instant: UnixMs) -> String {
    instant.to_string().chars().take(10).collect()
}
