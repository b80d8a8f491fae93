//! `doctor`: the node's checks, and the exit codes of monitoring plug-ins.

use std::process::ExitCode;
use std::time::Duration;

use havenlink_proto::admin::v1::node_service_client::NodeServiceClient;
use havenlink_proto::admin::v1::{Check, CheckResult, RunDoctorRequest, RunDoctorResponse};

use crate::contract_enum;
use crate::failure::Failure;
use crate::output::{Cell, Grid, View};
use crate::reasons;
use crate::session::{Session, call};
use crate::value::to_json;

/// Shows all findings; the worst one is the exit code. A node that does not answer is a finding.
pub async fn run(session: &Session) -> Result<ExitCode, Failure> {
    let answer = match ask(session).await {
        Ok(answer) => answer,
        Err(failure) if [reasons::NODE_NOT_REACHABLE.code, reasons::TIMED_OUT.code].contains(&&*failure.code) => {
            RunDoctorResponse {
                checks: vec![Check {
                    name: "node".into(),
                    result: CheckResult::Critical.into(),
                    finding: failure.what.clone(),
                    remedy: failure.fix.to_string(),
                }],
            }
        }
        Err(failure) => {
            failure.print();
            return Ok(ExitCode::from(3));
        }
    };
    let mut grid = Grid::new(&["result", "check", "finding", "fix"]);
    for check in &answer.checks {
        let ok = check.result == CheckResult::Ok as i32;
        grid.push([
            Cell::state(contract_enum::name::<CheckResult>(check.result)),
            Cell::text(&check.name),
            Cell::text(&check.finding),
            Cell::text(if ok { "" } else { &check.remedy }),
        ]);
    }
    session.show(&View::list(to_json(&answer), &["checks"], grid))?;
    Ok(ExitCode::from(worst(&answer.checks)))
}

async fn ask(session: &Session) -> Result<RunDoctorResponse, Failure> {
    // It tries every steward, in both directions.
    let session = session.patient(Duration::from_secs(45));
    call!(session, NodeServiceClient, run_doctor, RunDoctorRequest {})
}

/// 0 ok, 1 warning, 2 critical, 3 unknown; critical is worse than unknown, unknown than a warning.
fn worst(checks: &[Check]) -> u8 {
    let any = |result: CheckResult| checks.iter().any(|c| c.result == result as i32);
    if any(CheckResult::Critical) {
        2
    } else if any(CheckResult::Unknown) || any(CheckResult::Unspecified) || checks.is_empty() {
        3
    } else {
        u8::from(any(CheckResult::Warning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_exit_code() {
        let checks = |results: &[CheckResult]| -> Vec<Check> {
            results.iter().map(|r| Check { result: (*r).into(), ..Default::default() }).collect()
        };
        use CheckResult::{Critical, Ok, Unknown, Warning};
        assert_eq!(worst(&checks(&[Ok, Ok])), 0);
        assert_eq!(worst(&checks(&[Ok, Warning])), 1);
        assert_eq!(worst(&checks(&[Warning, Unknown, Critical])), 2);
        assert_eq!(worst(&checks(&[Warning, Unknown])), 3);
        assert_eq!(worst(&[]), 3);
    }
}
