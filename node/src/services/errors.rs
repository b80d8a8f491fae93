//! The one map from errors to gRPC statuses, with the details of `google.rpc`.
//!
//! Every error of the product answers `reason()`; the catalogue gives status, text and remedy. At the peer door a
//! refused read is always the same NOT_FOUND, byte for byte.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::directory;
use crate::domain::reason::Reason;
use crate::exchange::{self, governance, join};
use crate::telemetry::metrics;
use crate::wire;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "havenlink";

/// What a caller is told.
#[derive(Clone, Debug, Default)]
pub struct RefusalDetails {
    /// What it is about, in a few words of ours: a limit, the names of fields, an authority's id. Never content.
    pub about: String,
    /// Fields at fault: path and what is allowed.
    pub fields: Vec<(String, String)>,
    /// After this long the same call may work.
    pub retry_after: Option<Duration>,
}

/// The gRPC code of a reason.
pub fn code(reason: Reason) -> Code {
    Code::from_i32(reason.row().status as i32)
}

/// The name of a code as the gRPC specification writes it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The status of a reason and what it is about.
pub fn status(reason: Reason, refusal: RefusalDetails) -> Status {
    metrics::REFUSALS.add([reason.code()], 1);
    let row = reason.row();
    let mut details = ErrorDetails::new();
    let metadata = HashMap::from([("remedy".to_owned(), row.remedy.to_owned())]);
    details.set_error_info(row.code, DOMAIN, metadata);
    for (field, description) in &refusal.fields {
        details.add_bad_request_violation(field, description);
    }
    let code = code(reason);
    if code == Code::FailedPrecondition {
        details.add_precondition_failure_violation(row.code, &refusal.about, row.why);
    }
    if reason.retryable() || refusal.retry_after.is_some() {
        details.set_retry_info(Some(refusal.retry_after.unwrap_or(Duration::from_secs(1))));
    }
    details.add_help_link(row.remedy, format!("urn:havenlink:reason:{}", row.code));
    details.set_localized_message("en", row.what);
    let colon = if refusal.about.is_empty() { "" } else { ": " };
    Status::with_error_details(code, format!("{}{colon}{}", row.what, refusal.about), details)
}

/// The status of a reason alone.
pub fn refuse(reason: Reason) -> Status {
    status(reason, RefusalDetails::default())
}

/// The status of a field at fault.
pub fn field(error: &wire::Error) -> Status {
    let detail = if error.detail.is_empty() { error.reason.row().what.to_owned() } else { error.detail.clone() };
    let fields = each_line(&error.field, &detail);
    status(error.reason, RefusalDetails { about: error.field.clone(), fields, retry_after: None })
}

/// A field with each line of what is wrong with it: one violation for each.
fn each_line(field: &str, detail: &str) -> Vec<(String, String)> {
    detail.lines().map(|line| (field.to_owned(), line.to_owned())).collect()
}

/// The status of a use case that did not do what was asked.
pub fn exchange(error: &exchange::Error) -> Status {
    log_fault(error.reason(), error);
    match error {
        exchange::Error::Refused(refusal) => {
            let named = refusal.authority.as_ref().map(ToString::to_string).unwrap_or_default();
            let about = [named.as_str(), refusal.field.as_str()].into_iter().filter(|t| !t.is_empty());
            let about = about.collect::<Vec<_>>().join(", ");
            let fields = match refusal.field.is_empty() {
                true => Vec::new(),
                false if refusal.detail.is_empty() => {
                    vec![(refusal.field.clone(), refusal.reason.row().what.to_owned())]
                }
                false => each_line(&refusal.field, &refusal.detail),
            };
            status(refusal.reason, RefusalDetails { about, fields, retry_after: None })
        }
        exchange::Error::Link(link) => {
            let retry_after = link.retry_after.map(crate::domain::time::Millis::to_duration);
            status(link.reason, RefusalDetails { retry_after, ..RefusalDetails::default() })
        }
        exchange::Error::Store(error) => refuse(error.reason()),
    }
}

/// The status of a call that the register refused. Its detail is ours: numbers, ids of authorities, names of fields.
pub fn directory(error: &directory::Error) -> Status {
    log_fault(error.reason(), error);
    let detail = if error.detail() == error.reason().row().what { "" } else { error.detail() };
    status(error.reason(), RefusalDetails { about: detail.to_owned(), ..RefusalDetails::default() })
}

/// The status of a failed step of joining.
pub fn joining(error: &join::Error) -> Status {
    log_fault(error.reason(), error);
    match error {
        join::Error::Wire(fault) => field(fault),
        join::Error::Clock(_) | join::Error::Words { .. } => {
            status(error.reason(), RefusalDetails { about: error.to_string(), ..RefusalDetails::default() })
        }
        other => refuse(other.reason()),
    }
}

/// The status of a decision that was not made.
pub fn governing(error: &governance::Error) -> Status {
    log_fault(error.reason(), error);
    match error {
        governance::Error::Wire(fault) => field(fault),
        other => refuse(other.reason()),
    }
}

/// A refused read at the peer door: always this, whatever the cause.
pub fn peer_not_found() -> Status {
    Status::not_found("not found")
}

/// Logs what a caller is not told: the chain of causes of a fault of ours.
pub fn log_fault(reason: Reason, error: &(dyn std::error::Error + 'static)) {
    if matches!(code(reason), Code::Internal | Code::DataLoss | Code::Unknown) {
        havenlink_runtime::repeated!(error by reason.code(); reason = reason.code(), error = error, "a call failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_becomes_a_status_with_its_code_and_remedy() {
        for reason in Reason::ALL {
            let status = refuse(*reason);
            let row = reason.row();
            assert_eq!(status.code() as i32, row.status as i32, "{}", row.code);
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (row.code, DOMAIN));
            assert_eq!(info.metadata["remedy"], row.remedy);
            assert_eq!(details.retry_info().is_some(), row.retryable, "{}", row.code);
            assert!(status.details().len() < 2_048, "{}: {} bytes of details", row.code, status.details().len());
        }
    }

    #[test]
    fn a_field_at_fault_is_named() {
        let error = wire::Error::new(Reason::FieldTooLong, "alert.summary[0].text", "500 characters");
        let status = field(&error);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert_eq!(
            (violation.field.as_str(), violation.description.as_str()),
            ("alert.summary[0].text", "500 characters")
        );
    }

    #[test]
    fn a_refused_read_says_that_nothing_was_found_and_nothing_else() {
        let sent = peer_not_found().into_http::<()>();
        let mut headers: Vec<_> = sent.headers().iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        headers.sort_unstable();
        let expected = [("content-type", "application/grpc"), ("grpc-message", "not%20found"), ("grpc-status", "5")];
        assert_eq!((sent.status().as_u16(), &headers[..]), (200, &expected[..]));
    }

    /// The list in the README of the contract is the catalogue's. To write it again after a change: `UPDATE_README=1`.
    #[test]
    fn the_contract_lists_the_reasons_that_may_pass_by_themselves() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let (before, rest) = readme.split_once("<!-- retry: from the catalogue -->\n").unwrap();
        let (there, after) = rest.split_once("<!-- /retry -->").unwrap();
        let mut by_status = std::collections::BTreeMap::<&str, Vec<String>>::new();
        for reason in Reason::ALL.iter().filter(|reason| reason.retryable()) {
            by_status.entry(code_name(code(*reason))).or_default().push(format!("`{}`", reason.code()));
        }
        let line = |(status, codes): (&&str, &Vec<String>)| format!("| `{status}` | {} |\n", codes.join(", "));
        let lines: String = by_status.iter().map(line).collect();
        let table = format!("| status | reasons |\n|---|---|\n{lines}");
        if std::env::var_os("UPDATE_README").is_some() {
            let written = format!("{before}<!-- retry: from the catalogue -->\n{table}<!-- /retry -->{after}");
            std::fs::write(path, written).unwrap();
        } else {
            assert_eq!(there, table, "UPDATE_README=1 writes it");
        }
    }
}
