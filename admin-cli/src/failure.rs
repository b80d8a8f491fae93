//! Errors as people read them: code, what happened, facts, why, and the command that fixes it.

use std::error::Error as _;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::output::{clean, may_colour};
use crate::reasons::{self, Row};

/// What went wrong, ready to print.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// Code of the catalogue, e.g. `AGREEMENT_NOT_IN_FORCE`.
    pub code: String,
    pub what: String,
    /// Named facts: the field, the peer, the limit.
    pub facts: Vec<(String, String)>,
    pub why: Box<str>,
    pub fix: Box<str>,
    pub exit: u8,
    /// Whether what was asked may have been done all the same.
    pub outcome: Outcome,
}

/// What is known of what was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It was not done: refused, or never sent.
    #[default]
    Known,
    /// The call may have been done: the answer never came.
    Unknown,
    /// The time limit ended first.
    Late,
}

/// Keys of `ErrorInfo.metadata` that have a place of their own.
const PLACED: [&str; 5] = ["what", "why", "remedy", "fix", "exit_code"];

impl Failure {
    /// A failure with everything that a person needs. Code and exit code are those of a row, so that `explain` knows it.
    pub fn new(row: &Row, what: impl Into<String>, why: &str, fix: impl Into<Box<str>>) -> Self {
        Self {
            code: row.code.into(),
            what: what.into(),
            facts: Vec::new(),
            why: why.into(),
            fix: fix.into(),
            exit: row.exit,
            outcome: Outcome::Known,
        }
    }

    /// A failure in the words of its row.
    pub fn of(row: &Row) -> Self {
        Self::new(row, row.what, row.why, row.remedy)
    }

    /// Wrong arguments: nothing was sent.
    pub fn usage(what: impl Into<String>, fix: impl Into<Box<str>>) -> Self {
        Self::new(&reasons::USAGE, what, "", fix)
    }

    /// What a command needs and was not given, all of it at once: what is missing, and the option for it.
    ///
    /// # Errors
    /// `USAGE` when anything is missing.
    pub fn unless_given(needed: &[(bool, &str, &str)]) -> Result<(), Self> {
        let missing: Vec<_> = needed.iter().filter(|(given, ..)| !given).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let what: Vec<&str> = missing.iter().map(|(_, what, _)| *what).collect();
        let how: Vec<&str> = missing.iter().map(|(.., how)| *how).collect();
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let what = format!("{} {verb} missing", what.join(", "));
        Err(Self::usage(what, format!("add {}; or say it in a --file", how.join(", "))))
    }

    /// Nothing of that name is there.
    pub fn not_found(what: impl Into<String>, fix: impl Into<Box<str>>) -> Self {
        Self::new(&reasons::NOT_FOUND, what, "", fix)
    }

    /// Somebody else has changed it since it was read: nothing was sent.
    pub fn changed(what: impl Into<String>, fix: impl Into<Box<str>>) -> Self {
        Self::new(&reasons::FIGURE_CHANGED, what, reasons::FIGURE_CHANGED.why, fix)
    }

    /// This tool, or what it reads and writes, failed.
    pub fn fault(what: &str) -> Self {
        Self::new(&reasons::FAULT, what, "", reasons::FAULT.remedy)
    }

    /// Adds a line `name value` below the message.
    #[must_use]
    pub fn with(mut self, name: &str, fact: impl Into<String>) -> Self {
        self.facts.push((name.into(), fact.into()));
        self
    }

    /// Says that what was asked may have been done.
    #[must_use]
    pub fn leaving(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The failure of a write that was sent: it names the write's id, and where nobody knows the outcome the command that
    /// asks again is the fix. What helps before that keeps a line of its own.
    #[must_use]
    pub fn of_write(mut self, request_id: &str, again: String) -> Self {
        self = self.with("request", request_id);
        if self.outcome == Outcome::Known {
            return self;
        }
        self = self.with("outcome", "not known: it may have been done all the same");
        let first = std::mem::replace(&mut self.fix, again.into());
        // These say nothing but to repeat it.
        let repeat = [&reasons::TIMED_OUT, &reasons::DEADLINE_EXCEEDED, &reasons::UNAVAILABLE].map(|row| row.code);
        if first.is_empty() || self.code == "OUTCOME_UNKNOWN" || repeat.contains(&&*self.code) {
            return self;
        }
        self.with("first", first)
    }

    /// Prints to stderr and gives the exit code.
    pub fn print(&self) -> ExitCode {
        let colour = std::io::stderr().is_terminal() && may_colour();
        // Nothing is lost when stderr is closed but the text; the exit code still tells.
        let _ = std::io::stderr().write_all(self.text(colour).as_bytes());
        ExitCode::from(self.exit)
    }

    /// The text. The word `error` stands there with or without colour.
    pub fn text(&self, colour: bool) -> String {
        let label = if colour { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
        let mut text = format!("{label}[{}]: {}\n", clean(&self.code), clean(&self.what));
        let facts = self.facts.iter().map(|(name, fact)| (name.as_str(), fact.as_str()));
        for (name, fact) in facts.chain([("why", &*self.why), ("fix", &*self.fix)]).filter(|(_, fact)| !fact.is_empty())
        {
            text.push_str(&format!("  {:<10} {}\n", clean(name), clean(fact)));
        }
        text
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let mut failure = bare(&status);
        if let Some(info) = details.error_info() {
            let told = |key: &str| info.metadata.get(key).cloned().unwrap_or_default();
            failure.code.clone_from(&info.reason);
            failure.why = told("why").into();
            failure.fix = if told("remedy").is_empty() { told("fix") } else { told("remedy") }.into();
            failure.exit = told("exit_code").parse().unwrap_or(failure.exit);
            failure.outcome = match status.code() {
                Code::Unavailable | Code::DeadlineExceeded => Outcome::Unknown,
                _ => Outcome::Known,
            };
            if status.message().is_empty() {
                failure.what = if told("what").is_empty() { "the node gave no message".into() } else { told("what") };
            }
            let mut facts: Vec<_> = info.metadata.iter().filter(|(key, _)| !PLACED.contains(&key.as_str())).collect();
            facts.sort();
            failure.facts.extend(facts.into_iter().map(|(key, fact)| (key.clone(), fact.clone())));
        }
        for violation in details.bad_request().map_or(&[][..], |b| &b.field_violations) {
            failure.facts.push(("field".into(), join(&violation.field, &violation.description)));
        }
        for violation in details.precondition_failure().map_or(&[][..], |p| &p.violations) {
            // The node repeats the reason's own "why" here.
            if violation.r#type == failure.code && failure.why.is_empty() {
                failure.why = violation.description.as_str().into();
            } else {
                failure.facts.push(("condition".into(), join(&violation.subject, &violation.description)));
            }
        }
        if let Some(delay) = details.retry_info().and_then(|r| r.retry_delay) {
            failure.facts.push(("retry".into(), format!("in {} s", delay.as_secs().max(1))));
        }
        if let Some(link) = details.help().and_then(|h| h.links.first())
            && failure.fix.is_empty()
        {
            failure.fix = link.description.as_str().into();
        }
        failure
    }
}

/// A status without a reason of the node's own.
fn bare(status: &Status) -> Failure {
    if let Some(broken) = status.source() {
        // Made here: the call was on its way, and no answer can come any more.
        let what = "the connection to the node ended before it answered";
        let failure =
            Failure::new(&reasons::NODE_NOT_REACHABLE, what, "it stopped, or failed", "systemctl status havenlink");
        return failure.with("cause", chain(broken)).leaving(Outcome::Unknown);
    }
    if status.code() == Code::OutOfRange && status.message().contains("message length too large") {
        let failure = Failure::of(&reasons::MESSAGE_TOO_LARGE);
        return Failure { fix: "ask for less at once: lists take --limit N".into(), ..failure }
            .with("cause", status.message());
    }
    let mut failure = Failure::of(reasons::of_status(status.code()));
    if !status.message().is_empty() {
        failure.what = status.message().to_owned();
    }
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal => {
            failure.leaving(Outcome::Unknown)
        }
        _ => failure,
    }
}

/// An error and what it came of.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

fn join(name: &str, text: &str) -> String {
    if text.is_empty() { name.to_owned() } else { format!("{name}: {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn a_refusal_is_printed_with_its_facts_and_its_fix() {
        let mut details = ErrorDetails::new();
        let metadata =
            [("remedy", "havenctl agreement list"), ("why", "there is none"), ("exit_code", "5"), ("peer", "de-kehl")];
        details.set_error_info(
            "AGREEMENT_NOT_IN_FORCE",
            "havenlink",
            metadata.map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        details.add_bad_request_violation("sharing.recipients[0]", "de-kehl");
        let status = Status::with_error_details(Code::FailedPrecondition, "no agreement in force covers this", details);
        let failure = Failure::from(status);
        assert_eq!(failure.exit, 5);
        assert_eq!(
            failure.text(false),
            "error[AGREEMENT_NOT_IN_FORCE]: no agreement in force covers this\n\
             \x20 peer       de-kehl\n\
             \x20 field      sharing.recipients[0]: de-kehl\n\
             \x20 why        there is none\n\
             \x20 fix        havenctl agreement list\n"
        );
    }

    #[test]
    fn a_bare_status_still_has_a_code_and_an_exit_code() {
        let failure = Failure::from(Status::deadline_exceeded("too late"));
        assert_eq!((failure.code.as_str(), failure.exit), ("DEADLINE_EXCEEDED", 8));
        assert_eq!((failure.what.as_str(), &*failure.fix), ("too late", "repeat it; a request id makes that safe"));
        for (code, exit) in
            [(Code::NotFound, 4), (Code::Unavailable, 6), (Code::PermissionDenied, 3), (Code::Aborted, 5)]
        {
            assert_eq!(Failure::from(Status::new(code, "")).exit, exit);
        }
    }

    #[test]
    fn a_write_whose_outcome_nobody_knows_says_how_to_ask_again() {
        let again = || "havenctl x --request-id id-1".to_owned();
        let told = |status: Status| Failure::from(status).of_write("id-1", again()).text(false);
        assert_eq!(
            told(Status::unavailable("")),
            "error[UNAVAILABLE]: the node cannot answer now\n\
             \x20 request    id-1\n\
             \x20 outcome    not known: it may have been done all the same\n\
             \x20 why        it starts, stops, or has too much to do\n\
             \x20 fix        havenctl x --request-id id-1\n"
        );
        let reason = |code, reason: &str, remedy: &str| {
            let metadata = [("remedy".to_owned(), remedy.to_owned())];
            Status::with_error_details(code, "it is so", ErrorDetails::with_error_info(reason, "havenlink", metadata))
        };
        let unknown = told(reason(Code::Unavailable, "OUTCOME_UNKNOWN", "repeat the call with the same request id"));
        assert!(
            unknown.contains("  request    id-1\n") && unknown.ends_with("  fix        havenctl x --request-id id-1\n")
        );
        assert!(!unknown.contains("repeat the call"), "the command says it: {unknown}");
        let no_leader = told(reason(Code::Unavailable, "NO_LEADER", "wait a few seconds"));
        assert!(
            no_leader.contains("  first      wait a few seconds\n")
                && no_leader.contains("  fix        havenctl x --req")
        );
        let refused = told(reason(Code::PermissionDenied, "WORDS_DIFFER", "ask again"));
        assert!(refused.contains("  request    id-1\n") && refused.contains("  fix        ask again\n"), "{refused}");
        assert!(!refused.contains("outcome"), "{refused}");
    }

    #[test]
    fn what_a_peer_wrote_cannot_move_the_cursor() {
        let failure = Failure::new(&reasons::FAULT, "a\u{1b}[2Jb\u{202e}c", "", "");
        assert!(!failure.text(false).contains('\u{1b}') && !failure.text(false).contains('\u{202e}'));
    }
}
