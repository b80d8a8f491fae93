//! Who may have a record, and by which clause: `agreement explain` about one, `member show --as-seen-by` about all own ones.

use clap::Args;
use havenlink_proto::access::KINDS;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::local::v1::{Clause, ExplainRecordRequest, ExplainRecordResponse, HeldRecord};
use havenlink_proto::record::v1::{DisclosureLevel, RecordKind};
use serde_json::json;

use super::which::{self, Sort};
use super::{ALL, status};
use crate::contract_enum::name;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View, clean};
use crate::session::{Session, call};
use crate::value::to_json;

const LIST: &str = "havenctl alert list, havenctl practice list and so on";

/// A record and an authority.
#[derive(Debug, Args)]
pub struct Question {
    /// The record's id, or the beginning of it
    #[arg(value_name = "ID")]
    record: String,
    /// Who published it; with the whole id, nothing has to be searched
    #[arg(long, value_name = "AUTHORITY")]
    origin: Option<String>,
    /// Who would get it; you yourself if not given
    #[arg(long, value_name = "AUTHORITY")]
    to: Option<String>,
}

/// One record, one authority: allowed or not, and by what.
pub async fn explain(session: &Session, question: &Question) -> Result<(), Failure> {
    let (origin, record_id) = key(session, question).await?;
    let to = question.to.clone().unwrap_or_default();
    let answer = ask(session, origin, record_id, &to).await?;
    let grant = if answer.agreement_id.is_empty() { String::new() } else { answer.grant_number.to_string() };
    let view = View::sheet(
        to_json(&answer),
        vec![
            ("record", Cell::id(id::show(&answer.record_id))),
            ("authority", Cell::text(&answer.authority)),
            ("allowed", Cell::text(if answer.allowed { "yes" } else { "no" })),
            ("by", Cell::text(by(&answer))),
            ("which means", Cell::text(clean(&answer.in_words))),
            ("agreement", agreement(&answer)),
            ("grant", Cell::figure(grant.clone(), grant)),
            ("seen as", Cell::text(level(&answer))),
        ],
    );
    session.show(&view)?;
    session.next(&next(&answer));
    Ok(())
}

/// Every own record of the kinds that the caller reads, as that partner would see it now.
pub async fn as_seen_by(session: &Session, own: &str, partner: &str) -> Result<(), Failure> {
    let here = status::fetch(session).await?.authority;
    if own != here {
        let what = format!("what {own} shows to others is known at its own node; this one is that of {here}");
        return Err(Failure::usage(what, format!("havenctl member show {here} --as-seen-by {partner}")));
    }
    let mut grid = Grid::new(&["kind", "record", "allowed", "by", "agreement", "seen_as"]);
    let mut answers = Vec::new();
    for held in held(session, &[true]).await? {
        let answer = ask(session, held.origin, held.record_id.to_vec(), partner).await?;
        grid.push([
            Cell::text(name::<RecordKind>(answer.kind)),
            Cell::id(id::show(&answer.record_id)),
            Cell::flag(answer.allowed, "yes"),
            Cell::text(by(&answer)),
            agreement(&answer),
            Cell::text(level(&answer)),
        ]);
        answers.push(to_json(&answer));
    }
    if grid.is_empty() {
        session.say("nothing is published here");
    }
    session.show(&View::list(json!({ "records": answers }), &["records"], grid))
}

async fn ask(
    session: &Session,
    origin: String,
    record_id: Vec<u8>,
    authority: &str,
) -> Result<ExplainRecordResponse, Failure> {
    let request = ExplainRecordRequest { origin, record_id: record_id.into(), authority: authority.to_owned() };
    call!(session, RecordServiceClient, explain_record, request)
}

async fn key(session: &Session, question: &Question) -> Result<(String, Vec<u8>), Failure> {
    let whole = id::parse(&question.record).filter(|bytes| bytes.len() == 16);
    if let (Some(origin), Some(whole)) = (&question.origin, whole) {
        return Ok((origin.clone(), whole));
    }
    let mut known = held(session, &[true, false]).await?;
    known.retain(|held| question.origin.as_ref().is_none_or(|origin| *origin == held.origin));
    let ids = known.iter().map(|held| (&held.record_id[..], held));
    let found = id::resolve(&question.record, ids, "record", LIST)?;
    Ok((found.origin.clone(), found.record_id.to_vec()))
}

/// What the caller reads, of every kind, published here or received.
async fn held(session: &Session, published: &[bool]) -> Result<Vec<HeldRecord>, Failure> {
    let (mut known, mut refused, mut read) = (Vec::new(), None, false);
    let kinds = KINDS.iter().filter_map(|row| RecordKind::try_from(i32::try_from(row.number).ok()?).ok());
    for (kind, published) in kinds.flat_map(|kind| published.iter().map(move |published| (kind, *published))) {
        match which::list(session, &Sort { kind, noun: "record", list: LIST }, published, &ALL).await {
            Ok(listed) => {
                known.extend(listed.records);
                read = true;
            }
            // Each role has kinds of its own.
            Err(failure) if failure.code == "METHOD_NOT_OPEN" => refused = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    match refused {
        Some(failure) if !read => Err(failure),
        _ => Ok(known),
    }
}

fn by(answer: &ExplainRecordResponse) -> String {
    if answer.allowed { name::<Clause>(answer.clause) } else { clean(&answer.reason) }
}

fn agreement(answer: &ExplainRecordResponse) -> Cell {
    match answer.agreement_id.is_empty() {
        true => Cell::text(""),
        false => Cell::both(id::short(&answer.agreement_id), id::show(&answer.agreement_id)),
    }
}

fn level(answer: &ExplainRecordResponse) -> String {
    if answer.level == 0 { String::new() } else { name::<DisclosureLevel>(answer.level).to_lowercase() }
}

fn next(answer: &ExplainRecordResponse) -> Vec<String> {
    let show = (!answer.agreement_id.is_empty())
        .then(|| format!("havenctl agreement show {}", id::short(&answer.agreement_id)));
    let reason = (!answer.allowed).then(|| format!("havenctl explain {}", clean(&answer.reason)));
    show.into_iter().chain(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_names_clause_and_agreement_and_a_no_the_reason() {
        let yes = ExplainRecordResponse {
            allowed: true,
            clause: Clause::GrantInForce.into(),
            agreement_id: vec![0xab; 32].into(),
            level: DisclosureLevel::Band.into(),
            ..Default::default()
        };
        assert_eq!((by(&yes), level(&yes)), ("GRANT_IN_FORCE".to_owned(), "band".to_owned()));
        assert_eq!(next(&yes), ["havenctl agreement show abababababab"]);
        let no = ExplainRecordResponse { reason: "AGREEMENT_ENDED".into(), ..Default::default() };
        assert!(by(&no) == "AGREEMENT_ENDED" && agreement(&no).is_empty());
        assert_eq!(next(&no), ["havenctl explain AGREEMENT_ENDED"]);
    }
}
