//! One trace from publish in one city to acknowledge in another: W3C trace contexts, through gRPC metadata and
//! through the `traceparent` of records. Their form is `domain/trace.rs`.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tonic::metadata::MetadataMap;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::domain::trace::TraceContext;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The context of a new trace.
pub fn begin() -> TraceContext {
    let (trace, [.., a, b, c, d, e, f, g, h]) = (*uuid::Uuid::new_v4().as_bytes(), *uuid::Uuid::new_v4().as_bytes());
    TraceContext::new(trace, [a, b, c, d, e, f, g, h], true)
        .expect("a random UUID has bits that are set in both halves")
}

fn to_otel(context: TraceContext) -> SpanContext {
    let flags = if context.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from_bytes(context.trace()), SpanId::from_bytes(context.span()));
    SpanContext::new(trace, span, flags, true, TraceState::default())
}

/// The context of the running span, or of the running call.
pub fn current() -> Option<TraceContext> {
    let exported = tracing::Span::current().context();
    let exported = exported.span().span_context().clone();
    if exported.is_valid() {
        let (trace, span) = (exported.trace_id().to_bytes(), exported.span_id().to_bytes());
        return TraceContext::new(trace, span, exported.is_sampled());
    }
    CURRENT.try_with(|c| *c).ok()
}

/// The traceparent to keep with a record or a message: of the running span, or of a new trace.
pub fn traceparent() -> String {
    current().unwrap_or_else(begin).to_string()
}

/// Runs a call within a context.
pub async fn within<F: Future>(context: TraceContext, call: F) -> F::Output {
    CURRENT.scope(context, call).await
}

/// Makes the span a child of the context, where spans are exported.
pub fn continue_from(span: &tracing::Span, context: TraceContext) {
    let parent = opentelemetry::Context::new().with_remote_span_context(to_otel(context));
    // Refused when nothing is exported: then there is nothing to continue.
    let _ = span.set_parent(parent);
}

/// Whether spans go anywhere: without it a mark costs nothing.
static EXPORTING: AtomicBool = AtomicBool::new(false);

/// Spans are exported from now on.
pub(super) fn exporting() {
    EXPORTING.store(true, Ordering::Relaxed);
}

/// One step of a record on its way, in the trace that its publisher began: sent, stored, acknowledged.
pub fn mark(step: &'static str, traceparent: &str, peer: &str) {
    if !EXPORTING.load(Ordering::Relaxed) {
        return;
    }
    let Some(context) = TraceContext::parse(traceparent) else { return };
    let span = tracing::info_span!("step", otel.name = step, peer);
    continue_from(&span, context);
    span.in_scope(|| tracing::trace!("a step"));
}

/// Writes the running context into outgoing metadata.
pub fn inject(metadata: &mut MetadataMap) {
    if let Some(value) = current().and_then(|c| c.to_string().parse().ok()) {
        metadata.insert("traceparent", value);
    }
}

/// The caller's context, if it sent a valid one.
pub fn extract(headers: &http::HeaderMap) -> Option<TraceContext> {
    TraceContext::parse(headers.get("traceparent")?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_trace_is_whole_and_another_each_time() {
        let (a, b) = (begin(), begin());
        assert_eq!(TraceContext::parse(&a.to_string()), Some(a));
        assert!(a.is_sampled() && a.trace() != b.trace() && a.span() != b.span());
    }

    #[tokio::test]
    async fn a_call_keeps_its_trace() {
        let context = begin();
        within(context, async {
            let mut metadata = MetadataMap::new();
            inject(&mut metadata);
            assert_eq!(metadata.get("traceparent").unwrap(), &context.to_string());
            assert_eq!(extract(&metadata.into_headers()), Some(context));
        })
        .await;
        assert_eq!(current(), None);
    }
}
