//! `explain`: a reason code in words, with or without a node. A node is asked only for what a newer version of it may have.

use clap::Args;
use havenlink_proto::admin::v1::node_service_client::NodeServiceClient;
use havenlink_proto::admin::v1::{ExplainReasonRequest, ExplainReasonResponse};
use serde_json::json;

use crate::catalogue;
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

/// Shows it, with or without a node.
pub async fn run(session: &Session, what: Explain) -> Result<(), Failure> {
    match what.code {
        Some(code) => one(session, reason_of(&code.trim().to_ascii_uppercase().replace('-', "_"))).await,
        None => all(session).await,
    }
}

/// Outcomes of the register that have another name than the reason that stands for them: a refused decision shows the outcome.
const OUTCOMES: [(&str, &str); 12] = [
    ("MALFORMED", "STATEMENT_MALFORMED"),
    ("RULES_VERSION", "RULES_VERSION_OTHER"),
    ("UNKNOWN_KIND", "STATEMENT_KIND_UNKNOWN"),
    ("BAD_SIGNATURE", "SIGNATURE_INVALID"),
    ("UNKNOWN_AUTHOR", "AUTHOR_UNKNOWN"),
    ("INVALID_ENTRY", "ENTRY_INVALID"),
    ("NO_SUCH_SUBJECT", "MEMBER_UNKNOWN"),
    ("NO_SUCH_PROPOSAL", "PROPOSAL_UNKNOWN"),
    ("TIME_OUT_OF_BOUNDS", "EMERGENCY_TIME_INVALID"),
    ("SUSPENDED", "MEMBER_SUSPENDED"),
    ("REMOVED", "MEMBER_REMOVED"),
    ("TOO_LARGE", "MESSAGE_TOO_LARGE"),
];

/// The reason's code, also for an outcome of the register.
fn reason_of(typed: &str) -> &str {
    OUTCOMES.iter().find(|(outcome, _)| *outcome == typed).map_or(typed, |(_, reason)| reason)
}

async fn ask(session: &Session, code: &str) -> Result<ExplainReasonResponse, Failure> {
    call!(session, NodeServiceClient, explain_reason, ExplainReasonRequest { code: code.to_owned() })
}

async fn one(session: &Session, code: &str) -> Result<(), Failure> {
    let reason = match reasons::find(code).map(Row::explained).or_else(|| catalogue::find(code)) {
        Some(known) => known,
        // A newer node may know one that this tool does not.
        None => match ask(session, code).await {
            Err(failure) if failure.code == reasons::NODE_NOT_REACHABLE.code => ExplainReasonResponse::default(),
            answered => answered?,
        },
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
            ("again", Cell::figure(again, reason.retryable)),
            ("exit code", Cell::number(reason.exit_code)),
        ],
    ))
}

/// The command for what may have been meant: the most alike of the codes that are known here, then what the node found.
fn meant(code: &str, answer: ExplainReasonResponse) -> String {
    let known: Vec<String> = known().into_iter().map(|reason| reason.code).collect();
    let alike = known.iter().map(String::as_str).filter(|known| strsim::jaro_winkler(code, known) > 0.7);
    let mut codes: Vec<String> = alike.map(str::to_owned).chain(answer.nearest).collect();
    codes.sort_by(|a, b| strsim::jaro_winkler(code, b).total_cmp(&strsim::jaro_winkler(code, a)));
    codes.dedup();
    codes.truncate(3);
    if codes.is_empty() {
        "havenctl explain --all".to_owned()
    } else {
        format!("havenctl explain {}", codes.join(" | "))
    }
}

/// What is explained without a node: the catalogue, and what this tool says by itself.
fn known() -> Vec<ExplainReasonResponse> {
    let mut reasons: Vec<_> = catalogue::all().collect();
    let own = reasons::ALL.iter().filter(|row| reasons.iter().all(|known| known.code != row.code));
    let own: Vec<_> = own.map(Row::explained).collect();
    reasons.extend(own);
    reasons
}

/// The node is asked for those only that a newer version of it may have.
async fn all(session: &Session) -> Result<(), Failure> {
    let mut reasons = known();
    if let Ok(catalogue) = ask(session, "").await {
        for code in catalogue.nearest {
            if reasons.iter().all(|known| known.code != code) {
                reasons.push(ask(session, &code).await?);
            }
        }
    }
    let mut grid = Grid::new(&["code", "what", "fix"]);
    for reason in &reasons {
        grid.push([Cell::text(&reason.code), Cell::text(&reason.what), Cell::text(&reason.remedy)]);
    }
    let json: Vec<_> = reasons.iter().map(to_json).collect();
    session.show(&View::list(json!({ "reasons": json }), &["reasons"], grid))
}
