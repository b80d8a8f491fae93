//! The names of fields that may stand in a log line or a span. Everything else is withheld.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};

/// Names that carry numbers, codes of closed lists, ids of authorities, own paths and own error chains. No name here
/// may carry a text that a peer or a client gave, an id of a record, or a key.
const ALLOWED: &[&str] = &[
    "address",
    "after_ms",
    "agreement",
    "applied",
    "attempt",
    "authority",
    "batch",
    "bytes",
    "cause",
    "class",
    "code",
    "count",
    "door",
    "duration_ms",
    "error",
    "event",
    "expires",
    "failures",
    "federation",
    "first",
    "from",
    "grpc",
    "head",
    "incarnation",
    "index",
    "items",
    "keys",
    "kind",
    "last",
    "leader",
    "level",
    "limit",
    "message",
    "method",
    "moved_ms",
    "next",
    "node",
    "number",
    "origin",
    "otel.kind",
    "otel.name",
    "outcome",
    "part",
    "path",
    "peer",
    "pending",
    "pid",
    "pin",
    "port",
    "queued",
    "raft_id",
    "reason",
    "recipient",
    "remote",
    "role",
    "route",
    "rows",
    "rpc.method",
    "rpc.system",
    "size",
    "skew_ms",
    "source",
    "state",
    "steward",
    "stream",
    "subject",
    "system",
    "table",
    "target",
    "term",
    "to",
    "trace",
    "uid",
    "until",
    "version",
    "voters",
    "why",
    "worker",
];

/// Longest value of a field, in characters.
const VALUE_CHARS: usize = 300;

/// Whether the name is on the list.
pub fn is_allowed(name: &str) -> bool {
    ALLOWED.binary_search(&name).is_ok()
}

/// Whether an event or span is the node's own; other crates' may print the bytes they handle.
pub fn is_ours(target: &str) -> bool {
    let of = target.split("::").next().unwrap_or(target);
    // The node, and the crates of its rooms.
    of == "havenlink" || of.starts_with("havenlink_")
}

/// Writes text so that it stays within its line: control characters are escaped, long texts cut.
pub fn write_plain(out: &mut String, text: &str) {
    for (i, c) in text.chars().enumerate() {
        if i == VALUE_CHARS {
            out.push('…');
            return;
        }
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() || ('\u{200e}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
}

/// The listed fields of an event or span, as text.
#[derive(Clone, Default)]
pub struct Listed {
    /// The message, a literal of ours.
    pub message: String,
    /// Name and value, in the order of recording.
    pub fields: Vec<(&'static str, Value)>,
    /// How many fields were not on the list.
    pub withheld: usize,
}

/// A value, ready to be written.
#[derive(Clone)]
pub enum Value {
    /// Numbers and switches, as JSON writes them.
    Bare(String),
    /// Text, with quotes and control characters escaped.
    Text(String),
}

impl Listed {
    fn put(&mut self, field: &Field, value: impl FnOnce() -> Value) {
        if is_allowed(field.name()) {
            self.fields.push((field.name(), value()));
        } else {
            self.withheld += 1;
        }
    }
}

impl Visit for Listed {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, || {
            if value.is_finite() { Value::Bare(value.to_string()) } else { Value::Text(value.to_string()) }
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, || Value::Bare(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, || Value::Bare(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, || Value::Bare(value.to_string()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            return write_plain(&mut self.message, value);
        }
        self.put(field, || {
            let mut out = String::new();
            write_plain(&mut out, value);
            Value::Text(out)
        });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut chain = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            let _ = write!(chain, ": {cause}");
            source = cause.source();
        }
        self.record_str(field, &chain);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let text = format!("{value:?}");
            write_plain(&mut self.message, &text);
        } else {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_for_the_search() {
        assert!(ALLOWED.is_sorted(), "sort ALLOWED");
        assert!(is_allowed("reason") && !is_allowed("summary"));
        // The text of a gRPC status is the other side's: its reason goes into the log.
        assert!(!is_allowed("status"));
    }

    #[test]
    fn a_value_cannot_leave_its_line() {
        let mut out = String::new();
        write_plain(&mut out, "a\nb\u{1b}[2J\u{202e}\"c");
        assert_eq!(out, "a\\u000ab\\u001b[2J\\u202e\\\"c");
        let mut long = String::new();
        write_plain(&mut long, &"x".repeat(VALUE_CHARS + 1));
        assert_eq!(long.chars().count(), VALUE_CHARS + 1);
    }

    #[test]
    fn messages_are_literals_and_fields_are_listed() {
        let mut bad = Vec::new();
        each_source(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")), &mut |path, text| {
            for level in ["error", "warn", "info", "debug", "trace"] {
                for (at, _) in text.match_indices(&format!("tracing::{level}!(")) {
                    let call = &text[at..];
                    let call = &call[..call.find(");").map_or(call.len(), |end| end + 2)];
                    let line = text[..at].matches('\n').count() + 1;
                    if call.rsplit('"').nth(1).is_some_and(|message| message.contains('{')) {
                        bad.push(format!("{}:{line}: a message with a value in it", path.display()));
                    }
                }
            }
        });
        assert!(bad.is_empty(), "{}", bad.join("\n"));
    }

    fn each_source(dir: &std::path::Path, see: &mut dyn FnMut(&std::path::Path, &str)) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                each_source(&path, see);
            } else if path.extension().is_some_and(|e| e == "rs") {
                see(&path, &std::fs::read_to_string(&path).unwrap());
            }
        }
    }
}
