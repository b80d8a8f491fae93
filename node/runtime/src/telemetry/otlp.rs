//! Export of traces, metrics and logs over OTLP, where configured.

mod logs;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::logs::LoggerProvider as _;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

use super::metrics::{self, Metric, Sort};
pub use logs::Logs;

/// The collector's address, and the share of traces that is sent.
#[derive(Clone, Debug)]
pub struct Export {
    /// Address; `None`: the OTEL_EXPORTER_OTLP_ENDPOINT of the environment.
    pub endpoint: Option<String>,
    /// Share of the traces begun here that are sent; a partner's decision is kept.
    pub sample: f64,
    /// Between two exports of metrics.
    pub interval: Duration,
}

impl Export {
    /// Whether the standard variables ask for an export.
    pub fn asked_by_environment() -> bool {
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|v| v.eq_ignore_ascii_case("true"));
        let endpoints = [
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        ];
        !disabled && endpoints.into_iter().any(set)
    }
}

/// Exporters at work; what is still queued is sent by `shutdown`.
pub struct Exporters {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: SdkLoggerProvider,
}

impl Exporters {
    /// Builds all three; they connect when they first send.
    ///
    /// # Errors
    /// When the address is none.
    pub fn build(export: &Export, instance: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let resource = Resource::builder()
            .with_service_name("havenlink")
            .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let mut spans = SpanExporter::builder().with_tonic();
        let mut numbers = MetricExporter::builder().with_tonic();
        let mut lines = LogExporter::builder().with_tonic();
        if let Some(endpoint) = &export.endpoint {
            spans = spans.with_endpoint(endpoint);
            numbers = numbers.with_endpoint(endpoint);
            lines = lines.with_endpoint(endpoint);
        }
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(export.sample)));
        let traces = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(sampler)
            .with_batch_exporter(spans.build()?)
            .build();
        let reader = PeriodicReader::builder(numbers.build()?).with_interval(export.interval).build();
        let provider = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader).build();
        observe(&provider);
        let logs = SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(lines.build()?).build();
        Ok(Self { traces, metrics: provider, logs })
    }

    /// The tracer of the node.
    pub fn tracer(&self) -> SdkTracer {
        self.traces.tracer("havenlink")
    }

    /// Where log lines go.
    pub fn logger(&self) -> SdkLogger {
        self.logs.logger("havenlink")
    }

    /// Sends what is left, then ends.
    pub fn shutdown(self) {
        let ended = [self.traces.shutdown(), self.metrics.shutdown(), self.logs.shutdown()];
        for error in ended.into_iter().filter_map(Result::err) {
            tracing::warn!(cause = %error, "an export did not end well");
        }
    }
}

/// Every number of the catalogue as an observable instrument; durations are exported as their sum, and as `…_count`.
fn observe(provider: &SdkMeterProvider) {
    let meter = provider.meter("havenlink");
    let counter = |name: String, metric: &'static Metric, each: Each| {
        let counter = meter.f64_observable_counter(name).with_description(metric.help);
        counter.with_callback(move |o| read(metric, each, &mut |v, l| o.observe(v, l))).build();
    };
    for metric in metrics::ALL {
        match metric.sort {
            Sort::Gauge => {
                let gauge = meter.f64_observable_gauge(metric.name).with_description(metric.help);
                gauge.with_callback(move |o| read(metric, Metric::each, &mut |v, l| o.observe(v, l))).build();
            }
            Sort::Counter => counter(metric.name.to_owned(), metric, Metric::each),
            Sort::Duration => {
                counter(metric.name.to_owned(), metric, Metric::each);
                counter(format!("{}_count", metric.name), metric, Metric::each_count);
            }
        }
    }
}

/// A reading of a metric.
type Each = fn(&Metric, &mut dyn FnMut(&[metrics::Labelled], f64));

fn read(metric: &Metric, each: Each, emit: &mut dyn FnMut(f64, &[KeyValue])) {
    metrics::refresh();
    each(metric, &mut |labels, value| {
        let labels: Vec<KeyValue> = labels.iter().map(|(k, v)| KeyValue::new(*k, *v)).collect();
        emit(value, &labels);
    });
}
