//! What an agreement means, in plain sentences: "de-kehl sees the capacity of fr-strasbourg, as bands: …".

use super::{Agreement, Grant};
use crate::offer::DisclosureLevel;
use crate::record::RecordKind;
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
    /// One sentence per kind of record; answers follow what they answer and are not said again.
    pub fn in_words(&self) -> Vec<String> {
        self.record_kinds.iter().filter(|kind| !kind.is_answer()).map(|kind| self.sentence(*kind)).collect()
    }

    fn sentence(&self, kind: RecordKind) -> String {
        let Self { from, to, .. } = self;
        let what = match kind {
            RecordKind::Alert => {
                format!("{to} receives alerts from {from} about {}", list(&self.alert_kinds, |k| k.name()))
            }
            RecordKind::Practice => format!("{to} receives practices from {from}"),
            RecordKind::OfferView => format!(
                "{to} sees the capacity of {from} {}: {}",
                level(self.disclosure_level),
                list(&self.service_kinds, |k| k.name())
            ),
            other => format!("{to} receives from {from}: {}", plain(other.name())),
        };
        let purposes = list(&self.purposes, |p| p.name());
        let (tlp, days) = (self.highest_tlp, self.retention.0 / 86_400_000);
        let (from, until) = (day(self.valid_from), day(self.valid_until));
        format!("{what}; for {purposes}; up to TLP:{tlp}; kept {days} days; from {from} until {until}")
    }
}

fn level(level: Option<DisclosureLevel>) -> &'static str {
    match level {
        Some(DisclosureLevel::Light) => "as a light",
        Some(DisclosureLevel::Band) => "as bands",
        Some(DisclosureLevel::Count) => "as counts, protected offers as bands",
        None => "not at all",
    }
}

fn list<T: Copy>(values: &[T], name: impl Fn(T) -> &'static str) -> String {
    values.iter().map(|v| plain(name(*v))).collect::<Vec<_>>().join(", ")
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace('_', " ")
}

fn day(instant: UnixMs) -> String {
    instant.to_string().chars().take(10).collect()
}
