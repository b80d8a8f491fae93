//! `audit export`, `audit prove`: the ledger, and proofs about it, for whoever checks them elsewhere.
//!
//! Lines of JSON, whatever the form of output: first a `ledger`, what the node says of the whole; then each `leaf` in its order, and
//! each `checkpoint` behind the last leaf that it covers. Their bytes stand in Base64 as they are stored. A leaf has no content,
//! no name of a person and no id of a record.

use clap::Args;
use data_encoding::{BASE64, HEXLOWER};
use havenlink_proto::admin::v1::audit_service_client::AuditServiceClient;
use havenlink_proto::admin::v1::prove_audit_request::What;
use havenlink_proto::admin::v1::{ExportAuditRequest, ExportAuditResponse, ProveAuditRequest};
use serde_json::{Value, json};

use super::audit::WHOLE_LOG;
use crate::failure::Failure;
use crate::session::{Session, call};

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ToProve {
    /// That this entry stands in the log
    #[arg(long, value_name = "INDEX")]
    entry: Option<u64>,
    /// That the log begins with what the checkpoint over so many entries covers
    #[arg(long, value_name = "SIZE")]
    since: Option<u64>,
}

/// Entries of one call: as many as a page may have.
const PAGE: i32 = 200;

pub async fn export(session: &Session) -> Result<(), Failure> {
    let (mut from, mut whole) = (0, None);
    loop {
        let request = ExportAuditRequest { from, page_size: PAGE };
        let page = call!(session, AuditServiceClient, export_audit, request)?;
        // What came after the first page is of another export.
        let (size, covered) = match whole {
            Some(whole) => whole,
            None => {
                session.print(&line(&head(&page)))?;
                *whole.insert((page.size, page.covered))
            }
        };
        session.print(&lines(&page, from, size, covered))?;
        from += page.leaves.len() as u64;
        if page.leaves.is_empty() || from >= size {
            return Ok(());
        }
    }
}

fn head(page: &ExportAuditResponse) -> Value {
    json!({ "ledger": {
        "federation": HEXLOWER.encode(&page.federation_id),
        "authority": page.authority,
        "size": page.size,
        "root": HEXLOWER.encode(&page.root),
        "time_ms": page.time_ms,
        "strays": page.strays,
    }})
}

/// Leaves from `from` on and below `size`, each checkpoint behind the last leaf that it covers.
fn lines(page: &ExportAuditResponse, from: u64, size: u64, covered: u64) -> String {
    let mut checkpoints = page.checkpoints.iter().filter(|signed| signed.size <= covered.min(size)).peekable();
    let mut text = String::new();
    for (place, leaf) in (from..size).zip(&page.leaves) {
        text.push_str(&line(&json!({ "leaf": BASE64.encode(leaf) })));
        while let Some(signed) = checkpoints.next_if(|signed| signed.size <= place + 1) {
            text.push_str(&line(
                &json!({ "checkpoint": { "size": signed.size, "signed": BASE64.encode(&signed.signed) } }),
            ));
        }
    }
    text
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

pub async fn prove(session: &Session, what: &ToProve) -> Result<(), Failure> {
    let asked = what.entry.map(What::Index).or(what.since.map(What::Since));
    let patient = session.patient(WHOLE_LOG);
    let proof = call!(patient, AuditServiceClient, prove_audit, ProveAuditRequest { what: asked })?;
    let about = BASE64.encode(&proof.about);
    let checkpoint = BASE64.encode(&proof.checkpoint);
    let path: Vec<String> = proof.path.iter().map(|hash| HEXLOWER.encode(hash)).collect();
    let value = match what.entry {
        Some(index) => {
            json!({ "inclusion": { "index": index, "leaf": about, "checkpoint": checkpoint, "path": path } })
        }
        None => json!({ "consistency": { "older": about, "checkpoint": checkpoint, "path": path } }),
    };
    session.print(&line(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use havenlink_proto::admin::v1::StoredCheckpoint;

    #[test]
    fn a_checkpoint_stands_behind_what_it_covers_and_what_came_meanwhile_is_left_out() {
        let checkpoint = |size| StoredCheckpoint { size, signed: vec![9].into() };
        let page = ExportAuditResponse {
            leaves: vec![vec![1].into(), vec![2].into(), vec![3].into()],
            checkpoints: vec![checkpoint(5), checkpoint(6), checkpoint(7)],
            ..Default::default()
        };
        let text = lines(&page, 4, 6, 5);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [r#"{"leaf":"AQ=="}"#, r#"{"checkpoint":{"signed":"CQ==","size":5}}"#, r#"{"leaf":"Ag=="}"#]
        );
    }
}
