//! What the node tells about itself: log lines, traces, metrics.
//!
//! What lives here: the journal, the allow-list of log fields and the layer that enforces it, the catalogue of metrics with
//! closed label sets, lines of conditions that repeat, trace contexts across cities, OTLP export, and `Sensitive`. What
//! does not: decisions, and any text that a peer or a client gave.
//! Invariants: only field names of the list reach a line or a span; other crates' events, which may print bytes they
//! handle, reach nothing; a label has a value of its closed set or is counted as "other"; messages are literals.

pub mod fields;
pub mod journal;
mod lines;
pub mod metrics;
mod otlp;
pub mod partners;
pub mod propagation;
mod repeated;
mod sensitive;

pub use lines::Form;
pub use otlp::Export;
pub use repeated::Repeated;
pub use sensitive::Sensitive;

use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// The target of spans of what goes on all the time and changes nothing: consensus, gossip, greetings, reads. They are not
/// exported unless the level asks for details.
pub const ROUTINE: &str = "havenlink::routine";

/// What to log, in which form, and where to send traces, metrics and logs.
pub struct Settings {
    /// Most detailed level that is written.
    pub level: LevelFilter,
    pub form: Form,
    /// OTLP, if asked for.
    pub export: Option<Export>,
    /// This authority's id, the `service.instance.id` of what is exported.
    pub instance: String,
}

/// Changes the most detailed level that is written, while the node runs.
#[derive(Clone)]
pub struct Levels(Arc<dyn Fn(LevelFilter) + Send + Sync>);

impl Levels {
    /// From the next line on.
    pub fn set(&self, level: LevelFilter) {
        (self.0)(level);
    }
}

/// Ends the export in order when the node stops.
pub struct Telemetry {
    exporters: Option<otlp::Exporters>,
    levels: Levels,
}

impl Telemetry {
    /// What changes the level of what is logged.
    pub fn levels(&self) -> Levels {
        self.levels.clone()
    }

    /// Sends what is left. Blocks: call it where blocking is allowed.
    pub fn shutdown(self) {
        if let Some(exporters) = self.exporters {
            exporters.shutdown();
        }
    }
}

/// Starts logging and export; within a tokio runtime if anything is exported.
///
/// # Errors
/// When the exporter cannot be built, or logging was started before.
pub fn start(settings: Settings) -> Result<Telemetry, Box<dyn std::error::Error + Send + Sync>> {
    let ours = |meta: &tracing::Metadata<'_>| fields::is_ours(meta.target());
    let (level, handle) = reload::Layer::new(settings.level);
    let levels = Levels(Arc::new(move |level| {
        // It fails only when there is no log any more.
        let _ = handle.reload(level);
    }));
    let lines = lines::Lines::new(settings.form).with_filter(filter_fn(ours)).with_filter(level);
    let registry = tracing_subscriber::registry().with(lines);
    match &settings.export {
        None => {
            registry.try_init()?;
            Ok(Telemetry { exporters: None, levels })
        }
        Some(export) => {
            let exporters = otlp::Exporters::build(export, &settings.instance)?;
            let routine = settings.level >= LevelFilter::DEBUG;
            let logs = otlp::Logs::to(exporters.logger()).with_filter(filter_fn(ours)).with_filter(LevelFilter::INFO);
            let spans = tracing_opentelemetry::layer()
                .with_tracer(exporters.tracer())
                .with_filter(filter_fn(move |meta| is_exported(meta, routine)))
                .with_filter(LevelFilter::INFO);
            registry.with(spans).with(logs).try_init()?;
            propagation::exporting();
            Ok(Telemetry { exporters: Some(exporters), levels })
        }
    }
}

/// Whether a span is exported. One with a field outside the list is not exported at all. `routine`: what goes on all the time is,
/// too.
fn is_exported(meta: &tracing::Metadata<'_>, routine: bool) -> bool {
    let told = routine || meta.target() != ROUTINE;
    told && fields::is_ours(meta.target()) && meta.fields().iter().all(|f| fields::is_allowed(f.name()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::Subscriber;
    use tracing_subscriber::layer::Context;

    use super::*;

    /// Keeps the names of the spans that come to it.
    #[derive(Clone, Default)]
    struct Exported(Arc<Mutex<Vec<&'static str>>>);

    impl<S: Subscriber> Layer<S> for Exported {
        fn on_new_span(&self, span: &tracing::span::Attributes<'_>, _: &tracing::span::Id, _: Context<'_, S>) {
            self.0.lock().unwrap().push(span.metadata().name());
        }
    }

    fn exported(routine: bool) -> Vec<&'static str> {
        let kept = Exported::default();
        let layer = kept.clone().with_filter(filter_fn(move |meta| is_exported(meta, routine)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            drop(tracing::info_span!("publish", otel.name = "a", authority = "de-kehl"));
            drop(tracing::info_span!(target: ROUTINE, "heartbeat", otel.name = "b"));
            drop(tracing::info_span!("deliver", otel.name = "c"));
            drop(tracing::info_span!("told", secret = "a field that is not on the list"));
            drop(tracing::info_span!(target: "another_crate", "foreign"));
        });
        let names = kept.0.lock().unwrap();
        names.clone()
    }

    #[test]
    fn what_goes_on_all_the_time_is_exported_only_where_details_are_asked_for() {
        assert_eq!(exported(false), ["publish", "deliver"]);
        assert_eq!(exported(true), ["publish", "heartbeat", "deliver"]);
    }
}
