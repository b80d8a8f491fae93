//! `report`: what was processed, for the data-protection officer's record (Article 30 GDPR). Told by the ledger: the same entries
//! always give the same report.

use clap::Args;
use havenlink_proto::admin::v1::audit_service_client::AuditServiceClient;
use havenlink_proto::admin::v1::{ReportProcessingRequest, ReportProcessingResponse};
use havenlink_proto::record::v1::{AuditAct, Purpose, RecordKind};

use super::audit::WHOLE_LOG;
use crate::contract_enum::name;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View};
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

#[derive(Debug, Args)]
pub struct Report {
    /// From then on: a day, an instant (UTC), or a span before now
    #[arg(long, value_parser = when::parse_past)]
    since: i64,
    /// Before then; now, if not given
    #[arg(long, value_parser = when::parse_past)]
    until: Option<i64>,
}

pub async fn run(session: &Session, asked: Report) -> Result<(), Failure> {
    let request = ReportProcessingRequest { since_ms: asked.since, until_ms: asked.until.unwrap_or_default() };
    let patient = session.patient(WHOLE_LOG);
    let answer = call!(patient, AuditServiceClient, report_processing, request)?;
    session.show(&View::list(to_json(&answer), &["lines"], grid(&answer)))?;
    session.say(&made_from(&answer));
    Ok(())
}

fn grid(answer: &ReportProcessingResponse) -> Grid {
    let columns = ["act", "authority", "kind", "purpose", "agreement", "kept at most", "times", "first", "last"];
    let mut grid = Grid::new(&columns);
    for line in &answer.lines {
        grid.push([
            Cell::text(name::<AuditAct>(line.act)),
            Cell::text(&line.counterparty),
            Cell::text(name::<RecordKind>(line.record_kind)),
            Cell::text(name::<Purpose>(line.purpose)),
            Cell::both(id::short(&line.agreement_id), id::show(&line.agreement_id)),
            Cell::figure(kept(line.retention_ms), line.retention_ms),
            Cell::number(line.times),
            Cell::time(line.first_ms),
            Cell::time(line.last_ms),
        ]);
    }
    grid
}

fn kept(retention_ms: i64) -> String {
    if retention_ms == 0 { String::new() } else { when::span(retention_ms) }
}

/// What anybody needs to make the same report again.
fn made_from(answer: &ReportProcessingResponse) -> String {
    let unknown = match answer.unknown {
        0 => String::new(),
        n => format!("; {n} of them this version does not know"),
    };
    format!(
        "made from the {} entries of the ledger from {} on, up to size {}, root {}{unknown}",
        answer.to - answer.from.min(answer.to),
        answer.from,
        answer.to,
        id::show(&answer.root)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use havenlink_proto::admin::v1::ProcessingLine;

    #[test]
    fn a_line_says_what_to_whom_why_and_how_long() {
        let line = ProcessingLine {
            act: AuditAct::Disclosed.into(),
            counterparty: "de-kehl".into(),
            record_kind: RecordKind::Referral.into(),
            agreement_id: vec![0xab; 32].into(),
            purpose: Purpose::Assistance.into(),
            times: 3,
            first_ms: 1_700_000_000_000,
            last_ms: 1_700_000_060_000,
            retention_ms: 30 * 86_400_000,
        };
        let answer =
            ReportProcessingResponse { from: 2, to: 9, root: vec![7; 2].into(), lines: vec![line], unknown: 0 };
        let shown = View::list(to_json(&answer), &["lines"], grid(&answer));
        let table = shown.render(crate::output::Format::Table, Default::default());
        let words: Vec<&str> = table.lines().nth(1).unwrap().split("  ").filter(|w| !w.is_empty()).collect();
        assert_eq!(
            words.iter().map(|word| word.trim()).collect::<Vec<_>>(),
            [
                "DISCLOSED",
                "de-kehl",
                "REFERRAL",
                "ASSISTANCE",
                "abababababab",
                "30 d",
                "3",
                "2023-11-14 22:13Z",
                "2023-11-14 22:14Z"
            ]
        );
        assert_eq!(made_from(&answer), "made from the 7 entries of the ledger from 2 on, up to size 9, root 0707");
    }
}
