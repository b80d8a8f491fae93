//! One file per noun, one function per verb: ask the node, show the answer, name the next step.

pub mod agreement;
mod agreement_changes;
pub mod agreement_terms;
pub mod agreement_to_share;
pub mod alert;
pub mod audit;
mod audit_export;
pub mod board;
pub mod decision;
pub mod delivery;
pub mod digest;
pub mod directory;
pub mod doctor;
pub mod erasure;
pub mod events;
pub mod explain;
mod explained;
mod finding;
pub mod inspection;
pub mod invite;
pub mod mandate;
pub mod member;
pub mod node;
pub mod offer;
mod own_entry;
pub mod pages;
pub mod place;
pub mod plan;
pub mod policy;
pub mod practice;
pub mod record;
pub mod referral;
pub mod register;
pub mod report;
pub mod sharing;
pub mod status;
pub mod steward;
mod transfers;
pub mod which;

use serde_json::Value;

pub(crate) use pages::pages;
pub use pages::{ALL, Limit};

use crate::failure::Failure;

/// In the place of what is stored and cannot be read.
pub fn unreadable(reason: &str) -> String {
    format!("UNREADABLE ({reason})")
}

/// A JSON or TOML file as JSON; `-` is stdin.
///
/// # Errors
/// When it cannot be read or is neither.
pub fn read_file(path: &std::path::Path) -> Result<Value, Failure> {
    let wrong = |what: String| Failure::usage(format!("{}: {what}", path.display()), "correct the file, then again");
    let text =
        if path.as_os_str() == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) }
            .map_err(|e| wrong(e.to_string()))?;
    if path.extension().is_some_and(|e| e == "toml") {
        toml::from_str(&text).map_err(|e| wrong(e.to_string()))
    } else {
        serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))
    }
}

/// A file as it is.
///
/// # Errors
/// When it cannot be read.
pub fn read_bytes(path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| Failure::usage(format!("{}: {e}", path.display()), "name a file that can be read"))
}

/// `fr:Un texte` → language and text.
///
/// # Errors
/// What the form is.
pub fn parse_text(typed: &str) -> Result<(String, String), String> {
    match typed.split_once(':') {
        Some((language, text))
            if (2..=35).contains(&language.len())
                && language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !text.trim().is_empty() =>
        {
            Ok((language.to_owned(), text.trim().to_owned()))
        }
        _ => Err(format!("{typed:?} is not a text in a language: fr:Un texte")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_their_language() {
        assert_eq!(parse_text("fr: Un texte: long"), Ok(("fr".into(), "Un texte: long".into())));
        assert!(parse_text("Un texte").is_err() && parse_text("fr:").is_err() && parse_text("f r:x").is_err());
    }
}
