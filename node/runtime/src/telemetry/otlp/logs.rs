//! Log lines as OTLP logs: the same lines, the same listed fields, an event of the journal under its name. Their time is
//! when they were observed, which the exporter's library notes.

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, Severity};
use opentelemetry::trace::{SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::logs::SdkLogger;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::telemetry::fields::{Listed, Value};
use crate::telemetry::lines::spans_of;
use crate::telemetry::{journal, propagation};

/// The layer that hands lines to the exporter.
pub struct Logs(SdkLogger);

impl Logs {
    pub fn to(logger: SdkLogger) -> Self {
        Self(logger)
    }
}

fn severity(level: &Level) -> Severity {
    match *level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warn,
        Level::INFO => Severity::Info,
        Level::DEBUG => Severity::Debug,
        Level::TRACE => Severity::Trace,
    }
}

fn any(value: &Value) -> AnyValue {
    match value {
        Value::Bare(text) => text.parse().map_or_else(|_| AnyValue::from(text.clone()), AnyValue::Int),
        Value::Text(text) => text.clone().into(),
    }
}

/// The name of the journal's event that a line tells of.
fn event_of(listed: &Listed) -> Option<&'static str> {
    let named = listed.fields.iter().find(|(name, _)| *name == "event")?;
    let (Value::Bare(text) | Value::Text(text)) = &named.1;
    journal::Event::ALL.iter().map(|event| event.name()).find(|name| name == text)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Logs {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut listed = Listed::default();
        event.record(&mut listed);
        // The layer that writes lines has read the fields of the spans.
        let spans = spans_of(event, &context);
        let meta = event.metadata();
        let mut record = self.0.create_log_record();
        record.set_target(meta.target().to_owned());
        record.set_severity_number(severity(meta.level()));
        record.set_severity_text(meta.level().as_str());
        if let Some(name) = event_of(&listed) {
            record.set_event_name(name);
        }
        for (name, value) in spans.iter().flat_map(|span| &span.fields).chain(&listed.fields) {
            record.add_attribute(*name, any(value));
        }
        record.set_body(listed.message.into());
        if let Some(trace) = propagation::current() {
            let flags = if trace.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
            let (id, span) = (TraceId::from_bytes(trace.trace()), SpanId::from_bytes(trace.span()));
            record.set_trace_context(id, span, Some(flags));
        }
        self.0.emit(record);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::logs::LoggerProvider as _;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord, SdkLoggerProvider};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::domain::ids::AuthorityId;
    use crate::domain::reason::Reason;
    use crate::telemetry::journal::Entry;

    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SdkLogRecord>>>);

    impl LogExporter for Kept {
        async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch.iter().map(|(record, _)| record.clone()));
            Ok(())
        }
    }

    #[test]
    fn an_event_is_exported_under_its_name_and_a_line_with_its_listed_fields_alone() {
        let kept = Kept::default();
        let provider = SdkLoggerProvider::builder().with_simple_exporter(kept.clone()).build();
        let subscriber = tracing_subscriber::registry().with(Logs::to(provider.logger("havenlink")));
        let esch = AuthorityId::parse("lu-esch").unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let reason = Some(Reason::BudgetExhausted);
            Entry { reason, ..Entry::about(journal::Event::Flood, &esch) }.count(3);
            tracing::warn!(reason = "DISK_FULL", canary = "Kanarienvogel", "a line");
        });
        let kept = kept.0.lock().unwrap();
        assert_eq!(kept.iter().map(SdkLogRecord::event_name).collect::<Vec<_>>(), [Some("FLOOD"), None]);
        let text = |record: &SdkLogRecord| {
            let fields = record.attributes_iter().map(|(key, value)| format!("{key}={value:?}"));
            format!("{:?} {}", record.body(), fields.collect::<Vec<_>>().join(" "))
        };
        let [flood, line] = &kept[..] else { panic!("two lines") };
        for part in ["a partner took more than its budget", "lu-esch", "BUDGET_EXHAUSTED", "count=Int(3)"] {
            assert!(text(flood).contains(part), "{part}: {}", text(flood));
        }
        assert!(text(line).contains("DISK_FULL") && !text(line).contains("Kanarienvogel"), "{}", text(line));
        assert_eq!(line.severity_number(), Some(Severity::Warn));
    }
}
