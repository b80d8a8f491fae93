//! What is wrong with a configuration, all of it at once.

use crate::domain::reason::Reason;

/// One fault: where, which key, what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `file:line`, the variable, or the argument; empty when nothing was given.
    pub place: String,
    /// The key of the file, or the variable, that the fault is about.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Fault {
    /// A fault at a place.
    pub fn new(place: impl Into<String>, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), key: key.into(), message: message.into() }
    }

    /// An unknown name, with the known one that it resembles.
    pub fn unknown(place: String, sort: &str, name: &str, nearest: Option<String>) -> Self {
        let message = match nearest {
            Some(known) => format!("unknown {sort}, did you mean {known}?"),
            None => format!("unknown {sort}; havenctl config explain lists all"),
        };
        let place = if place == name { String::new() } else { place };
        Self::new(place, name, message)
    }
}

/// All faults of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        Reason::ConfigInvalid
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            let line = if i == 0 { "" } else { "\n" };
            let colon = if fault.place.is_empty() { "" } else { ": " };
            write!(f, "{line}{}{colon}{}: {}", fault.place, fault.key, fault.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// The known name that resembles the given one, if any does.
pub fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let scored = known.map(|k| (strsim::jaro_winkler(name, &k), k));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, k)| k)
}
