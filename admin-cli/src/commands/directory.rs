//! `directory`: the register as this node has verified it.

use clap::Subcommand;
use serde_json::json;

use super::status;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, View};
use crate::session::Session;
use crate::value::to_json;
use crate::when;

/// The register as this node has verified it
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Change number, head, freshness, forks
    Status,
}

pub async fn run(session: &Session, Verb::Status: Verb) -> Result<(), Failure> {
    let status = status::fetch(session).await?;
    let all = to_json(&status);
    let mut json = serde_json::Map::new();
    for field in ["federation_id", "register_number", "register_head", "authorities", "stewards", "fresh", "forks"] {
        json.insert(field.to_owned(), all[field].clone());
    }
    let heard = status.stewards.iter().map(|s| {
        let heard = if s.age_ms < 0 { "never heard".to_owned() } else { format!("{} ago", when::span(s.age_ms)) };
        format!("{} at {} ({heard})", s.authority, s.number)
    });
    let forks = status.forks.iter().map(|f| format!("FORK {}", status::fork(f, &status.authority)));
    session.show(&View::sheet(
        json!(json),
        vec![
            ("federation", Cell::id(id::show(&status.federation_id))),
            ("change", Cell::number(status.register_number)),
            ("head", Cell::id(id::show(&status.register_head))),
            ("authorities", Cell::number(status.authorities)),
            ("stewards", Cell::list(heard)),
            (
                "fresh",
                Cell::figure(if status.fresh { "yes" } else { "NO: content about a person stops" }, status.fresh),
            ),
            ("forks", Cell::list(forks)),
        ],
    ))
}
