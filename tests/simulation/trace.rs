//! What happened in a world, line by line, and the first thing that must not have.

use std::fmt::Write as _;

use havenlink_domain::ids::Digest;

/// A world's trace.
#[derive(Default)]
pub struct Trace {
    text: String,
    lines: u64,
    fault: Option<String>,
}

impl Trace {
    /// Something happened.
    pub fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.lines += 1;
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{what}");
    }

    /// An invariant does not hold. The first one counts.
    pub fn fault(&mut self, invariant: &str, what: std::fmt::Arguments<'_>) {
        if self.fault.is_none() {
            let fault = format!("{invariant}: {what}");
            self.note(format_args!("FAULT {fault}"));
            self.fault = Some(fault);
        }
    }

    pub const fn is_faulty(&self) -> bool {
        self.fault.is_some()
    }

    /// Its end.
    pub fn into_ran(self, seed: u64) -> Ran {
        Ran { seed, digest: Digest::of(self.text.as_bytes()), steps: self.lines, fault: self.fault, text: self.text }
    }
}

/// How a world ended.
pub struct Ran {
    pub seed: u64,
    /// Over all of the trace: the same seed, the same digest.
    pub digest: Digest,
    pub steps: u64,
    /// The invariant that did not hold, and where; `None`: all held.
    pub fault: Option<String>,
    pub text: String,
}
