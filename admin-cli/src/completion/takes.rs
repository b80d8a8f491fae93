//! Which argument takes what: by the name of its value, and where that says too little by its command.
//!
//! Invariant: an argument that takes an authority is completed, unless it names one that is no member yet.

use clap::Arg;

/// Of what the node is asked for the ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Member,
    /// Who has applied, and whom decisions that wait are about.
    Applicant,
    /// Agreements that are not over.
    Agreement,
    /// Agreements that wait for a signature.
    Proposed,
    Decision,
    /// Own offers.
    Offer,
    /// Own offers and partners'.
    AnyOffer,
    /// Partners' offers.
    PartnerOffer,
    /// Holds that were asked for and last.
    Hold,
    /// Invitations that are open.
    Invitation,
}

/// The command (empty: any), the name of the value or the argument, and what it takes; the first that fits.
pub const TAKES: &[(&str, &str, Option<Sort>)] = &[
    // No member yet.
    ("invite create", "AUTHORITY", None),
    ("member approve", "AUTHORITY", Some(Sort::Applicant)),
    ("member reject", "AUTHORITY", Some(Sort::Applicant)),
    ("member approve", "proposal", Some(Sort::Decision)),
    ("", "AUTHORITY", Some(Sort::Member)),
    ("", "HOLDER", Some(Sort::Member)),
    ("agreement sign", "AGREEMENT", Some(Sort::Proposed)),
    ("", "AGREEMENT", Some(Sort::Agreement)),
    ("", "AGREEMENTS", Some(Sort::Agreement)),
    ("offer show", "OFFER", Some(Sort::AnyOffer)),
    ("offer set", "id", Some(Sort::Offer)),
    ("place hold", "OFFER", Some(Sort::PartnerOffer)),
    ("", "OFFER", Some(Sort::Offer)),
    ("", "OFFERS", Some(Sort::Offer)),
    ("", "HOLD", Some(Sort::Hold)),
    ("", "INVITATION", Some(Sort::Invitation)),
];

/// What the argument of a command takes.
pub fn sort(path: &str, arg: &Arg) -> Option<Sort> {
    let called = |name: &str| {
        arg.get_id() == name || arg.get_value_names().is_some_and(|names| names.iter().any(|value| *value == name))
    };
    let fits = |of: &str, name: &str| (of.is_empty() || of == path) && called(name);
    TAKES.iter().find(|(of, name, _)| fits(of, name)).and_then(|(_, _, sort)| *sort)
}
