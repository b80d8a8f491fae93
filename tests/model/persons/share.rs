//! What a person let be shared, as it happened: what she was asked, what was said, and what was shared under it.

use super::facts::{At, Country, Purpose, Scope, Who};

#[derive(Clone, Debug)]
pub struct ScopeTerms {
    pub scope: Scope,
    pub purposes: Vec<Purpose>,
    pub recipients: Vec<Who>,
    pub countries: Vec<Country>,
    pub expires: At,
    pub erase_by: At,
    pub uses: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Adult,
    Child,
    Uncertain,
}

#[derive(Clone, Copy, Debug)]
pub struct Minor {
    pub best_interests: bool,
    pub unaccompanied: bool,
    pub both_officers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    Person,
    Guardian {
        independent: bool,
        in_conflict: bool,
    },
    ChildProtection,
    /// For somebody who cannot speak: by whom.
    Vital {
        by: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpreter {
    Nobody,
    Independent,
    Unknown,
    Companion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedAt {
    Shelter,
    PolicePremises,
    Detention,
    Remote,
}

#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub interpreter: Interpreter,
    /// The notice was interpreted.
    pub interpreted: bool,
    pub place: AskedAt,
    pub exploiter_excluded: bool,
    pub called_back_alone: bool,
    pub duress: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Event {
    Given(At, Decider, Circumstances),
    Confirmed(At, Decider, Circumstances, At),
    /// By whom; whether it was the data-protection officer.
    Approved(At, u8, bool),
    Refused,
    Withdrawn,
}

/// One agreement to share, of one case.
#[derive(Clone, Debug)]
pub struct Share {
    pub scopes: Vec<ScopeTerms>,
    pub excluded: Vec<Who>,
    pub excluded_countries: Vec<Country>,
    pub consent: bool,
    pub special: bool,
    pub reconfirm_by: At,
    pub age: Age,
    pub minor: Option<Minor>,
    pub events: Vec<Event>,
    /// One scope for each record that was shared under it.
    pub shared: Vec<Scope>,
}
