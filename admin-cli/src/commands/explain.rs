//! `explain`: a reason code in words. What this tool says by itself it explains by itself, with or without a node; the
//! rest comes from the node's own catalogue.

use std::process::ExitCode;

use clap::Args;
use havenlink_proto::admin::v1::node_service_client::NodeServiceClient;
use havenlink_proto::admin::v1::{ExplainReasonRequest, ExplainReasonResponse};
use serde_json::json;

use crate::contract_enum;
use crate::failure::Failure;
use crate::output::{Cell, Grid, View};
use crate::reasons::{self, Row};
use crate::session::{Session, call};
use crate::value::to_json;

#[derive(Debug, Args)]
pub struct Explain {
    /// The code, as errors show it in brackets
    #[arg(required_unless_present = "all")]
    code: Option<String>,
    /// The whole catalogue
    #[arg(long, conflicts_with = "code")]
    all: bool,
}

/// Shows it. Without a node, all that there is is a partial answer.
pub async fn run(session: &Session, what: Explain) -> Result<ExitCode, Failure> {
    match what.code {
        Some(code) => {
            one(session, &code.trim().to_ascii_uppercase().replace('-', "_")).await.map(|()| ExitCode::SUCCESS)
        }
        None => all(session).await,
    }
}

async fn ask(session: &Session, code: &str) -> Result<ExplainReasonResponse, Failure> {
    call!(session, NodeServiceClient, explain_reason, ExplainReasonRequest { code: code.to_owned() })
}

async fn one(session: &Session, code: &str) -> Result<(), Failure> {
    let reason = match reasons::find(code) {
        Some(own) => own.explained(),
        None => ask(session, code).await?,
    };
    if reason.code.is_empty() || reason.what.is_empty() {
        let what = format!("there is no reason {code}");
        return Err(Failure::new(&reasons::REASON_UNKNOWN, what, reasons::REASON_UNKNOWN.why, meant(code, reason)));
    }
    let again = if reason.retryable { "the same call may succeed later" } else { "" };
    session.show(&View::sheet(
        to_json(&reason),
        vec![
            ("code", Cell::text(&reason.code)),
            ("what", Cell::text(&reason.what)),
            ("why", Cell::text(&reason.why)),
            ("fix", Cell::text(&reason.remedy)),
            ("status", Cell::text(&reason.grpc_status)),
            ("again", Cell::both(again, reason.retryable.to_string())),
            ("exit code", Cell::number(reason.exit_code)),
        ],
    ))
}

/// The command for what may have been meant: the most alike of this tool's codes, then what the node found.
fn meant(code: &str, answer: ExplainReasonResponse) -> String {
    let own = contract_enum::nearest(code, reasons::ALL.iter().map(|row| row.code)).map(str::to_owned);
    let mut codes: Vec<String> = own.into_iter().chain(answer.nearest).collect();
    codes.sort_by(|a, b| strsim::jaro_winkler(code, b).total_cmp(&strsim::jaro_winkler(code, a)));
    codes.dedup();
    codes.truncate(3);
    if codes.is_empty() {
        "havenctl explain --all".to_owned()
    } else {
        format!("havenctl explain {}", codes.join(" | "))
    }
}

async fn all(session: &Session) -> Result<ExitCode, Failure> {
    let asked = catalogue(session).await;
    let (mut reasons, missing) = match asked {
        Ok(reasons) => (reasons, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let known: Vec<String> = reasons.iter().map(|reason| reason.code.clone()).collect();
    let own = reasons::ALL.iter().filter(|row| known.iter().all(|code| code != row.code));
    reasons.extend(own.map(Row::explained));
    let mut grid = Grid::new(&["code", "what", "fix"]);
    for reason in &reasons {
        grid.push([Cell::text(&reason.code), Cell::text(&reason.what), Cell::text(&reason.remedy)]);
    }
    let json: Vec<_> = reasons.iter().map(to_json).collect();
    session.show(&View::list(json!({ "reasons": json }), &["reasons"], grid))?;
    let Some(failure) = missing else { return Ok(ExitCode::SUCCESS) };
    session.say("partial answer: what havenctl says by itself; the node's own catalogue could not be asked for");
    failure.print();
    Ok(ExitCode::from(7))
}

async fn catalogue(session: &Session) -> Result<Vec<ExplainReasonResponse>, Failure> {
    let mut reasons = Vec::new();
    for code in ask(session, "").await?.nearest {
        reasons.push(ask(session, &code).await?);
    }
    Ok(reasons)
}
