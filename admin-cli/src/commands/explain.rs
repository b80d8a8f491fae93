//! `explain`: a reason code in words, from the node's own catalogue.

use clap::Args;
use havenlink_proto::admin::v1::node_service_client::NodeServiceClient;
use havenlink_proto::admin::v1::{ExplainReasonRequest, ExplainReasonResponse};
use serde_json::json;

use super::ANYONE;
use crate::failure::Failure;
use crate::output::{Cell, Grid, View};
use crate::session::{Session, call};
use crate::value::to_json;

/// Which reason.
#[derive(Debug, Args)]
pub struct Explain {
    /// The code, as errors show it in brackets
    #[arg(required_unless_present = "all")]
    code: Option<String>,
    /// The whole catalogue
    #[arg(long, conflicts_with = "code")]
    all: bool,
}

/// Shows it.
pub async fn run(session: &Session, what: Explain) -> Result<(), Failure> {
    match what.code {
        Some(code) => one(session, &code.trim().to_ascii_uppercase().replace('-', "_")).await,
        None => all(session).await,
    }
}

async fn ask(session: &Session, code: &str) -> Result<ExplainReasonResponse, Failure> {
    call!(session, ANYONE, NodeServiceClient, explain_reason, ExplainReasonRequest { code: code.to_owned() })
}

async fn one(session: &Session, code: &str) -> Result<(), Failure> {
    // What this tool says when there is no node to ask.
    if code == "NODE_NOT_REACHABLE" {
        session.say("NODE_NOT_REACHABLE: the node does not answer on its socket");
        session.say("systemctl status havenlink, or havenctl --sockets DIR");
    }
    let reason = ask(session, code).await?;
    if reason.code.is_empty() || reason.what.is_empty() {
        let nearest = match reason.nearest.is_empty() {
            true => "havenctl explain --all".to_owned(),
            false => format!("havenctl explain {}", reason.nearest.join(" | ")),
        };
        return Err(Failure::new("REASON_UNKNOWN", 4, format!("there is no reason {code}"), "a typing error", nearest));
    }
    session.show(&View::sheet(
        to_json(&reason),
        vec![
            ("code", Cell::text(&reason.code)),
            ("what", Cell::text(&reason.what)),
            ("why", Cell::text(&reason.why)),
            ("fix", Cell::text(&reason.remedy)),
            ("status", Cell::text(&reason.grpc_status)),
            (
                "again",
                Cell::both(
                    if reason.retryable { "the same call may succeed later" } else { "" },
                    reason.retryable.to_string(),
                ),
            ),
            ("exit code", Cell::number(reason.exit_code)),
        ],
    ))
}

async fn all(session: &Session) -> Result<(), Failure> {
    let codes = ask(session, "").await?.nearest;
    let mut grid = Grid::new(&["code", "what", "fix"]);
    let mut reasons = Vec::with_capacity(codes.len());
    for code in codes {
        let reason = ask(session, &code).await?;
        grid.push([Cell::text(&reason.code), Cell::text(&reason.what), Cell::text(&reason.remedy)]);
        reasons.push(to_json(&reason));
    }
    session.show(&View::list(json!({ "reasons": reasons }), &["reasons"], grid))
}
