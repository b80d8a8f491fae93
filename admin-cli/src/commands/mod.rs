//! One file per noun, one function per verb: ask the node, show the answer, name the next step.

pub mod agreement;
pub mod agreement_terms;
pub mod alert;
pub mod audit;
pub mod decision;
pub mod delivery;
pub mod directory;
pub mod doctor;
pub mod explain;
pub mod invite;
pub mod mandate;
pub mod member;
pub mod node;
pub mod offer;
pub mod pages;
pub mod plan;
pub mod policy;
pub mod practice;
pub mod record;
pub mod sharing;
pub mod status;
pub mod steward;

use std::process::ExitCode;

use clap::CommandFactory;
use serde_json::Value;

pub(crate) use pages::pages;
pub use pages::{ALL, Limit};

use crate::cli::{Cli, Noun};
use crate::failure::Failure;
use crate::session::Session;

/// Does what was asked.
///
/// # Errors
/// What the node refused, or why it could not be asked.
pub async fn run(session: &Session, noun: Noun) -> Result<ExitCode, Failure> {
    match noun {
        Noun::Status => status::run(session).await?,
        Noun::Doctor => return doctor::run(session).await,
        Noun::Explain(what) => return explain::run(session, what).await,
        Noun::Invite(verb) => invite::run(session, verb).await?,
        Noun::Member(verb) => member::run(session, verb).await?,
        Noun::Mandate(verb) => mandate::run(session, verb).await?,
        Noun::Steward(verb) => steward::run(session, verb).await?,
        Noun::Agreement(verb) => agreement::run(session, verb).await?,
        Noun::Alert(verb) => alert::run(session, verb).await?,
        Noun::Practice(verb) => practice::run(session, verb).await?,
        Noun::Offer(verb) => return offer::run(session, verb).await,
        Noun::Delivery(verb) => delivery::run(session, verb).await?,
        Noun::Audit(verb) => audit::run(session, verb).await?,
        Noun::Directory(verb) => directory::run(session, verb).await?,
        Noun::Node(verb) => node::run(session, verb).await?,
        Noun::Policy(verb) => policy::run(session, verb).await?,
        Noun::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "havenctl", &mut std::io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
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
