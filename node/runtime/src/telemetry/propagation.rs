//! One trace from publish in one city to acknowledge in another: W3C trace contexts, through gRPC metadata and
//! through the `traceparent` of records. A context is 16 and 8 random bytes and a flag: no identifier of anything else.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tonic::metadata::MetadataMap;
use tracing_opentelemetry::OpenTelemetrySpanExt;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// Where in which trace we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

impl TraceContext {
    /// A trace that begins here, under random ids.
    pub fn begin() -> Self {
        let random = uuid::Uuid::new_v4();
        let mut span = [0_u8; 8];
        span.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[8..]);
        Self { trace: *random.as_bytes(), span, sampled: true }
    }

    /// A traceparent of version 00 (W3C Trace Context); `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let dashes = bytes.len() == 55 && bytes[2] == b'-' && bytes[35] == b'-' && bytes[52] == b'-';
        if !dashes || &bytes[..2] != b"00" {
            return None;
        }
        let hex = |range: std::ops::Range<usize>| data_encoding::HEXLOWER.decode(&bytes[range]).ok();
        let trace: [u8; 16] = hex(3..35)?.try_into().ok()?;
        let span: [u8; 8] = hex(36..52)?.try_into().ok()?;
        let flags = hex(53..55)?;
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span, sampled: flags[0] & 1 == 1 })
    }

    /// Version 00 of W3C `traceparent`.
    pub fn to_traceparent(self) -> String {
        let hex = |b: &[u8]| data_encoding::HEXLOWER.encode(b);
        format!("00-{}-{}-{:02x}", hex(&self.trace), hex(&self.span), u8::from(self.sampled))
    }

    /// The trace id in lower-case hexadecimal.
    pub fn trace_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.trace)
    }

    fn to_otel(self) -> SpanContext {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let (trace, span) = (TraceId::from_bytes(self.trace), SpanId::from_bytes(self.span));
        SpanContext::new(trace, span, flags, true, TraceState::default())
    }
}

/// The context of the running span, or of the running call.
pub fn current() -> Option<TraceContext> {
    let exported = tracing::Span::current().context();
    let exported = exported.span().span_context().clone();
    if exported.is_valid() {
        let (trace, span) = (exported.trace_id().to_bytes(), exported.span_id().to_bytes());
        return Some(TraceContext { trace, span, sampled: exported.is_sampled() });
    }
    CURRENT.try_with(|c| *c).ok()
}

/// The traceparent to keep with a record or a message: of the running span, or of a new trace.
pub fn traceparent() -> String {
    current().unwrap_or_else(TraceContext::begin).to_traceparent()
}

/// Runs a call within a context.
pub async fn within<F: Future>(context: TraceContext, call: F) -> F::Output {
    CURRENT.scope(context, call).await
}

/// Makes the span a child of the context, where spans are exported.
pub fn continue_from(span: &tracing::Span, context: TraceContext) {
    let parent = opentelemetry::Context::new().with_remote_span_context(context.to_otel());
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
    if let Some(value) = current().and_then(|c| c.to_traceparent().parse().ok()) {
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
    fn a_traceparent_has_one_form() {
        let context = TraceContext::begin();
        assert_eq!(TraceContext::parse(&context.to_traceparent()), Some(context));
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceContext::parse(good).unwrap().to_traceparent(), good);
        for bad in [
            "",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-é4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_call_keeps_its_trace() {
        let context = TraceContext::begin();
        within(context, async {
            let mut metadata = MetadataMap::new();
            inject(&mut metadata);
            assert_eq!(metadata.get("traceparent").unwrap(), &context.to_traceparent());
            assert_eq!(extract(&metadata.into_headers()), Some(context));
        })
        .await;
        assert_eq!(current(), None);
    }
}
