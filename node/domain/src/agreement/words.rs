//! What an agreement means, in plain sentences: "de-kehl sees the capacity of fr-strasbourg, as bands: …".

use super::{Agreement, Grant};
use crate::records::{RecordKind, plain_list};
use crate::time::UnixMs;

impl Agreement {
    /// One sentence per direction and kind of record, in the order of the grants.
    pub fn in_words(&self) -> Vec<String> {
        self.grants.iter().flat_map(Grant::in_words).collect()
    }

    /// The sentences that `before` does not say: what is new.
    pub fn newly_allows(&self, before: &[&Self]) -> Vec<String> {
        let known: Vec<String> = before.iter().flat_map(|a| a.in_words()).collect();
        self.in_words().into_iter().filter(|sentence| !known.contains(sentence)).collect()
    }
}

impl Grant {
    /// One sentence per kind of record that has something to say.
    pub fn in_words(&self) -> Vec<String> {
        let sentence = |kind: &RecordKind| kind.in_words(self).map(|what| self.sentence(&what));
        self.record_kinds.iter().filter_map(sentence).collect()
    }

    fn sentence(&self, what: &str) -> String {
        let purposes = plain_list(&self.purposes, |p| p.name());
        let (tlp, days) = (self.highest_tlp, self.retention.0 / 86_400_000);
        let (from, until) = (day(self.valid_from), day(self.valid_until));
        format!("{what}; for {purposes}; up to TLP:{tlp}; kept {days} days; from {from} until {until}")
    }
}

fn day(instant: UnixMs) -> String {
    instant.to_string().chars().take(10).collect()
}
