//! Log lines on stderr: text for people, JSON for programs, listed fields only.

use std::io::Write as _;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::fields::{Listed, Value};
use super::{journal, metrics, propagation};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
}

/// The layer that writes lines.
pub struct Lines {
    form: Form,
    write: fn(&str),
}

impl Lines {
    pub fn new(form: Form) -> Self {
        // A reader that went away must not stop the node.
        Self { form, write: |line| drop(std::io::stderr().lock().write_all(line.as_bytes())) }
    }

    #[cfg(test)]
    pub fn to(form: Form, write: fn(&str)) -> Self {
        Self { form, write }
    }

    fn line(&self, time: &str, event: &Event<'_>, listed: &Listed, spans: &[Listed]) -> String {
        let meta = event.metadata();
        let trace = propagation::current().map(|c| data_encoding::HEXLOWER.encode(&c.trace()));
        let fields = spans.iter().flat_map(|s| &s.fields).chain(&listed.fields);
        let mut out = String::with_capacity(160);
        match self.form {
            Form::Text => {
                out.push_str(&format!("{time} {:5} {} {}", meta.level(), short(meta.target()), listed.message));
                for (name, value) in fields {
                    let (Value::Bare(text) | Value::Text(text)) = value;
                    let quote = if text.contains(' ') || text.is_empty() { "\"" } else { "" };
                    out.push_str(&format!(" {name}={quote}{text}{quote}"));
                }
                if let Some(trace) = trace {
                    out.push_str(&format!(" trace={trace}"));
                }
            }
            Form::Json => {
                let level = meta.level();
                out.push_str(&format!("{{\"time\":\"{time}\",\"level\":\"{level}\",\"target\":\"{}\"", meta.target()));
                out.push_str(&format!(",\"message\":\"{}\"", listed.message));
                let mut seen = vec!["time", "level", "target", "message"];
                for (name, value) in fields {
                    if seen.contains(name) {
                        continue;
                    }
                    seen.push(name);
                    match value {
                        Value::Bare(text) => out.push_str(&format!(",\"{name}\":{text}")),
                        Value::Text(text) => out.push_str(&format!(",\"{name}\":\"{text}\"")),
                    }
                }
                if let Some(trace) = trace.filter(|_| !seen.contains(&"trace")) {
                    out.push_str(&format!(",\"trace\":\"{trace}\""));
                }
                out.push('}');
            }
        }
        out.push('\n');
        out
    }
}

/// The fields of the spans that an event lies in. An event of the journal says all that is known of it itself.
pub fn spans_of<S: Subscriber + for<'a> LookupSpan<'a>>(event: &Event<'_>, context: &Context<'_, S>) -> Vec<Listed> {
    let scope = context.event_scope(event).filter(|_| event.metadata().target() != journal::TARGET);
    let spans = scope.into_iter().flat_map(|scope| scope.from_root());
    spans.filter_map(|span| span.extensions().get::<Listed>().cloned()).collect()
}

fn short(target: &str) -> &str {
    target.strip_prefix("havenlink::").or_else(|| target.strip_prefix("havenlink_")).unwrap_or(target)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut listed = Listed::default();
        attributes.record(&mut listed);
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(listed);
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(listed) = span.extensions_mut().get_mut::<Listed>()
        {
            record.record(listed);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut listed = Listed::default();
        event.record(&mut listed);
        let spans = spans_of(event, &context);
        metrics::FIELDS_WITHHELD.add([], listed.withheld as u64);
        let time = jiff::Timestamp::now();
        (self.write)(&self.line(&format!("{time:.3}"), event, &listed, &spans));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing_subscriber::filter::filter_fn;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::fields;

    static WRITTEN: Mutex<String> = Mutex::new(String::new());

    #[test]
    fn what_is_not_listed_is_not_written_at_any_level() {
        const CANARY: &str = "canary-5f0d-+491701234567";
        let lines = |form| Lines::to(form, |line| WRITTEN.lock().unwrap().push_str(line));
        for form in [Form::Text, Form::Json] {
            let ours = filter_fn(|meta| fields::is_ours(meta.target()));
            let subscriber = tracing_subscriber::registry().with(lines(form).with_filter(ours));
            tracing::subscriber::with_default(subscriber, || {
                let span = tracing::info_span!("call", summary = CANARY, peer = "de-kehl");
                let _in = span.enter();
                tracing::trace!(summary = CANARY, reason = "EXPIRED", body = ?vec![CANARY], "a line");
                tracing::error!(target: "h2::codec", payload = CANARY, "canary-5f0d in a message of another crate");
            });
        }
        let written = WRITTEN.lock().unwrap();
        assert!(written.contains("reason=EXPIRED") && written.contains("\"reason\":\"EXPIRED\""), "{written}");
        assert!(written.contains("peer=de-kehl"), "{written}");
        assert!(!written.contains("canary"), "{written}");
        for line in written.lines().filter(|l| l.starts_with('{')) {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }
}
