//! `audit`: the ledger of this node.

use std::time::Duration;

use clap::Subcommand;
use havenlink_proto::admin::v1::audit_service_client::AuditServiceClient;
use havenlink_proto::admin::v1::{ListLeavesRequest, ListLeavesResponse, VerifyAuditRequest, VerifyAuditResponse};
use havenlink_proto::record::v1::{ActorRole, AuditAct, Purpose, RecordKind};

use super::audit_export;
use crate::contract_enum;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View};
use crate::reasons;
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

/// Verifying reads all of it.
pub(super) const WHOLE_LOG: Duration = Duration::from_secs(300);

/// The ledger of this node
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The last entries
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: u32,
    },
    /// Recomputes the whole tree and compares it with its root and checkpoints
    Verify,
    /// The whole ledger as lines of JSON, for havenlink-audit to verify with public keys alone
    Export,
    /// A proof against the newest checkpoint, a line of JSON for havenlink-audit
    Prove(audit_export::ToProve),
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Tail { lines } => tail(session, lines).await,
        Verb::Export => audit_export::export(session).await,
        Verb::Prove(what) => audit_export::prove(session, &what).await,
        Verb::Verify => {
            let patient = session.patient(WHOLE_LOG);
            let answer = call!(patient, AuditServiceClient, verify_audit, VerifyAuditRequest {})?;
            let pairs = vec![
                ("consistent", Cell::text(answer.consistent.to_string())),
                ("size", Cell::number(answer.size)),
                ("root", Cell::id(id::show(&answer.root))),
                ("checkpoints", Cell::number(answer.checkpoints)),
            ];
            session.show(&View::text(to_json(&answer), verdict(&answer), pairs))?;
            if answer.consistent {
                return Ok(());
            }
            Err(damaged(&answer))
        }
    }
}

/// What does not fit, as far as the node could tell.
fn damaged(answer: &VerifyAuditResponse) -> Failure {
    let what = match (answer.first_bad_index, answer.contradicting_size, answer.missing_size) {
        (-1, -1, 0) if answer.strays > 0 => {
            format!("{} entries and checkpoints stand outside of the audit log", answer.strays)
        }
        (-1, -1, 0) => "the audit log does not fit its root".to_owned(),
        (-1, -1, size) => {
            format!("the checkpoint that was signed over {size} entries is missing, or was never counted")
        }
        (-1, size, _) => format!("the audit log contradicts the checkpoint that was signed over {size} entries"),
        (index, ..) => format!("the first entry of the audit log that does not fit is {index}"),
    };
    let fix = "keep the files as they are and call the data-protection officer";
    Failure::new(&reasons::AUDIT_DAMAGED, what, reasons::AUDIT_DAMAGED.why, fix)
}

async fn tail(session: &Session, lines: u32) -> Result<(), Failure> {
    let mut whole = ListLeavesResponse::default();
    let mut from = -i64::from(lines.max(1));
    while whole.leaves.len() < lines as usize {
        let left = i32::try_from(lines as usize - whole.leaves.len()).unwrap_or(i32::MAX).min(200);
        let request = ListLeavesRequest { from, page_size: left };
        let answer = call!(session, AuditServiceClient, list_leaves, request)?;
        whole.size = answer.size;
        let Some(last) = answer.leaves.last() else { break };
        from = i64::try_from(last.index + 1).unwrap_or(i64::MAX);
        whole.leaves.extend(answer.leaves);
    }
    let mut grid =
        Grid::new(&["index", "time", "act", "actor", "counterparty", "kind", "purpose", "reason", "agreement"]);
    for leaf in &whole.leaves {
        grid.push([
            Cell::number(leaf.index),
            Cell::time(leaf.time_ms),
            Cell::text(contract_enum::name::<AuditAct>(leaf.act)),
            Cell::text(contract_enum::name::<ActorRole>(leaf.actor_role)),
            Cell::text(&leaf.counterparty),
            Cell::text(contract_enum::name::<RecordKind>(leaf.record_kind)),
            Cell::text(contract_enum::name::<Purpose>(leaf.purpose)),
            Cell::text(&leaf.reason),
            Cell::id(id::show(&leaf.agreement_id)),
        ]);
    }
    session.show(&View::list(to_json(&whole), &["leaves"], grid))
}

/// Says what was proved, and no more.
fn verdict(answer: &VerifyAuditResponse) -> String {
    if !answer.consistent {
        return String::new();
    }
    let cosigned = match answer.last_cosigned_ms {
        0 => "never cosigned: a rollback to an old checkpoint would not be seen".to_owned(),
        at => format!("last cosigned at {}", when::show(at)),
    };
    format!(
        "consistent with itself: {} entries, {} signed checkpoints, root {}\n{cosigned}\n",
        answer.size,
        answer.checkpoints,
        id::show(&answer.root)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_promises_no_more_than_was_proved() {
        let root = vec![1; 2].into();
        let answer = VerifyAuditResponse { consistent: true, size: 3, root, checkpoints: 2, ..Default::default() };
        assert_eq!(
            verdict(&answer),
            "consistent with itself: 3 entries, 2 signed checkpoints, root 0101\nnever cosigned: a rollback to an old checkpoint would not be seen\n"
        );
    }
}
