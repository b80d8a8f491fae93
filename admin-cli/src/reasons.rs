//! The reasons that this tool gives by itself: before a call, without an answer, or for a status that names no reason.
//!
//! Errors take code, exit code and words from here, and `explain` shows them, so that no code is printed that nothing
//! explains; for this no node is needed. What the node refuses has its words from the node's catalogue. Codes that stand
//! in both have the same row in both; a test of the tools compares them.

use havenlink_proto::admin::v1::ExplainReasonResponse;
use tonic::Code;

/// A reason of this tool, in the form of the node's catalogue.
#[derive(Debug)]
pub struct Row {
    /// The code, e.g. `TIMED_OUT`.
    pub code: &'static str,
    /// Exit code of the tool.
    pub exit: u8,
    /// The gRPC status that stands for it; empty where no call was answered.
    pub status: &'static str,
    /// Whether the same command may succeed later.
    pub retryable: bool,
    pub what: &'static str,
    pub why: &'static str,
    pub remedy: &'static str,
}

macro_rules! rows {
    ($($code:ident $exit:literal $status:literal $retryable:literal { $what:expr, $why:expr, $remedy:expr })+) => {
        $(#[doc = "As the table says."] pub const $code: Row = Row {
            code: stringify!($code), exit: $exit, status: $status, retryable: $retryable, what: $what, why: $why, remedy: $remedy,
        };)+
        pub const ALL: &[Row] = &[$($code),+];
    };
}

// A status that names no reason comes from the library under the node, or from something else on the socket.
const NAMELESS: &str = "the call was refused without a reason of the catalogue";
const STRANGER: &str = "node and tool are of different versions, or another program answers on the socket";
const COMPARE: &str = "havenctl status and havenctl --version show both versions; then journalctl -u havenlink";

rows! {
    // This tool's own
    USAGE 2 "" false { "the command cannot be carried out as it was typed", "a value is missing, or does not fit the others", "correct what the error names; havenctl NOUN VERB --help lists what there is" }
    CONFIRMATION_NEEDED 2 "" false { "nothing was done: this act wants to be confirmed", "this act is severe", "type the name when asked, or add --yes" }
    FIGURE_CHANGED 5 "" false { "the figure is another one by now", "somebody else has changed it since it was read", "read it again, then repeat the change with what is there now" }
    REMAINS_LEFT 5 "" false { "something of the record is left in the files of this node", "it was not called back, its erasure is not done yet, or a copy of keys.db of before lies among the files", "havenctl erasure status says how far it is; backups of keys go by themselves within 24 hours; any other file that is named is somebody's copy: remove it" }
    SOCKET_DENIED 3 "" false { "the socket of the role is closed to this user", "each role's socket belongs to its own group", "sudo usermod -aG havenlink-ROLE $USER, then log in again; or use another --role" }
    TIMED_OUT 8 "" true { "no answer within the time limit", "the node is busy, or waits for others", "havenctl status, then again with a longer --timeout; a write with the --request-id that the error shows" }
    FAULT 1 "" true { "this tool, or what it reads and writes, failed", "the machine, or a fault of this software", "try again; if it stays, journalctl -u havenlink" }
    // The node's as well
    NODE_NOT_REACHABLE 6 "UNAVAILABLE" true { "the node does not answer on its socket", "it is not running, or the socket directory is another one", "systemctl status havenlink, or havenctl --sockets DIR" }
    NOT_FOUND 4 "NOT_FOUND" false { "there is no such thing here, or it is not yours to see", "an id of another authority, or a typing error", "list what there is: havenctl alert list" }
    FIELD_INVALID 2 "INVALID_ARGUMENT" false { "a field does not have the required form", "a typing error, or a value of another scheme", "correct the field that the error names" }
    MESSAGE_TOO_LARGE 2 "INVALID_ARGUMENT" false { "a message is larger than its limit", "too many items or too long texts in one call", "shorten or split what the error names; the limits stand in the contract beside each call" }
    STATEMENT_REJECTED 5 "FAILED_PRECONDITION" false { "the register did not accept the change", "a rule of the register forbids it; the error names the outcome", "havenctl explain with the outcome's name" }
    AUDIT_DAMAGED 1 "DATA_LOSS" false { "the audit log does not fit its root", "somebody or something changed it", "keep the files as they are and call the data-protection officer; havenctl audit verify" }
    REASON_UNKNOWN 4 "NOT_FOUND" false { "there is no such reason in the catalogue", "a typing error", "havenctl explain --all" }
    DEADLINE_EXCEEDED 8 "DEADLINE_EXCEEDED" true { "the call took longer than its limit", "a slow partner or a loaded machine", "repeat it; a request id makes that safe" }
    INTERNAL 1 "INTERNAL" true { "something failed that should not", "a fault of this software", "journalctl -u havenlink; please report it with the trace id" }
    // Statuses without a reason
    UNAVAILABLE 6 "UNAVAILABLE" true { "the node cannot answer now", "it starts, stops, or has too much to do", "havenctl status, then again" }
    UNIMPLEMENTED 1 "UNIMPLEMENTED" false { "the node does not know this call", STRANGER, COMPARE }
    UNKNOWN 1 "UNKNOWN" true { "something failed, and nothing tells what", STRANGER, COMPARE }
    CANCELLED 1 "CANCELLED" true { "the call was broken off", STRANGER, COMPARE }
    INVALID_ARGUMENT 2 "INVALID_ARGUMENT" false { NAMELESS, STRANGER, COMPARE }
    OUT_OF_RANGE 2 "OUT_OF_RANGE" false { NAMELESS, STRANGER, COMPARE }
    PERMISSION_DENIED 3 "PERMISSION_DENIED" false { NAMELESS, STRANGER, COMPARE }
    UNAUTHENTICATED 3 "UNAUTHENTICATED" false { NAMELESS, STRANGER, COMPARE }
    ALREADY_EXISTS 5 "ALREADY_EXISTS" false { NAMELESS, STRANGER, COMPARE }
    FAILED_PRECONDITION 5 "FAILED_PRECONDITION" false { NAMELESS, STRANGER, COMPARE }
    ABORTED 5 "ABORTED" false { NAMELESS, STRANGER, COMPARE }
    RESOURCE_EXHAUSTED 6 "RESOURCE_EXHAUSTED" true { NAMELESS, STRANGER, COMPARE }
    DATA_LOSS 1 "DATA_LOSS" false { NAMELESS, STRANGER, COMPARE }
}

/// The row of a code, exactly.
pub fn find(code: &str) -> Option<&'static Row> {
    ALL.iter().find(|row| row.code == code)
}

/// The row of a status that names no reason: it is known by the status's own name.
pub fn of_status(code: Code) -> &'static Row {
    find(&name(code)).unwrap_or(&UNKNOWN)
}

/// `InvalidArgument` → `INVALID_ARGUMENT`.
fn name(code: Code) -> String {
    let mut name = String::new();
    for (i, c) in format!("{code:?}").chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

impl Row {
    /// As the node would explain it.
    pub fn explained(&self) -> ExplainReasonResponse {
        ExplainReasonResponse {
            code: self.code.to_owned(),
            what: self.what.to_owned(),
            why: self.why.to_owned(),
            remedy: self.remedy.to_owned(),
            grpc_status: self.status.to_owned(),
            retryable: self.retryable,
            exit_code: self.exit.into(),
            anchor: format!("#{}", self.code.to_ascii_lowercase().replace('_', "-")),
            nearest: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_whole_and_stands_once() {
        for row in ALL {
            assert_eq!(ALL.iter().filter(|other| other.code == row.code).count(), 1, "{}", row.code);
            for text in [row.what, row.why, row.remedy] {
                assert!(text.len() >= 10 && !text.ends_with('.'), "{}: {text}", row.code);
            }
            assert!((1..=8).contains(&row.exit), "{}", row.code);
        }
    }

    #[test]
    fn every_status_has_a_row_of_its_name() {
        for code in (1..=16).map(Code::from_i32) {
            assert_eq!(of_status(code).code, name(code));
        }
    }
}
