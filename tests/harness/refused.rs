//! A refusal as a program and as a person meet it: status and reason, or exit code and text; always with what helps.

use havenlink::domain::reason::Reason;
use tonic::Status;
use tonic_types::StatusExt;

use crate::tools::Ran;

/// What may have been refused.
pub trait Refusable {
    /// Panics unless this is a refusal for the reason, in the form that the catalogue promises.
    fn must_be(&self, reason: Reason);
}

impl Refusable for Status {
    fn must_be(&self, reason: Reason) {
        let row = reason.row();
        let info = self.get_details_error_info().unwrap_or_else(|| panic!("no reason: {self:?}"));
        assert_eq!(info.reason, row.code, "{self:?}");
        assert_eq!(self.code() as i32, row.status as i32, "{self:?}");
        assert_eq!(info.metadata.get("remedy").map(String::as_str), Some(row.remedy), "{self:?}");
        assert_eq!(self.get_details_retry_info().is_some(), row.retryable, "{self:?}");
    }
}

impl<T: std::fmt::Debug> Refusable for Result<T, Status> {
    fn must_be(&self, reason: Reason) {
        match self {
            Ok(answer) => panic!("not refused for {reason}: {answer:?}"),
            Err(status) => status.must_be(reason),
        }
    }
}

impl Refusable for Ran {
    fn must_be(&self, reason: Reason) {
        let told = self.err.lines().any(|line| line.starts_with(&format!("error[{}]: ", reason.code())));
        assert!(told, "not refused for {reason}: {self:?}");
        assert_eq!(self.code, reason.row().status.exit_code(), "{self:?}");
        assert!(self.err.contains("\n  fix        "), "{self:?}");
    }
}

/// The refusal is for this reason, with the status or exit code and the remedy of the catalogue.
///
/// # Panics
/// When it is not.
pub fn assert_refused(refusal: &impl Refusable, reason: Reason) {
    refusal.must_be(reason);
}
