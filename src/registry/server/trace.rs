//! Traces: a span for each request, as part of the caller's trace where it
//! brings one (W3C Trace Context), and off unless a collector is named.

use std::sync::Arc;
use std::time::SystemTime;

use axum::http::HeaderMap;

use super::otlp::Exporter;
use crate::registry::metrics::{Method, Operation};

/// How much of a path is kept, in bytes. Thousands of spans may wait for the
/// collector, and clients choose their paths.
const MAX_PATH: usize = 512;

/// Where a request stands in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: u128,
    /// The caller's span, if it named one.
    pub parent: Option<u64>,
    /// Whether the caller, who decides it, records the trace.
    pub sampled: bool,
}

impl TraceContext {
    /// The context that a request brings; a damaged one counts as none, as the
    /// standard has it.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        let text = values.next()?.to_str().ok()?;
        if values.next().is_some() {
            return None;
        }
        let mut parts = text.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32).filter(|trace| *trace != 0)?;
        let parent = hex(parts.next()?, 16).and_then(|parent| u64::try_from(parent).ok());
        let parent = parent.filter(|parent| *parent != 0)?;
        let flags = hex(parts.next()?, 2)?;
        // Later versions may add parts, this one has no more.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        Some(Self { trace, parent: Some(parent), sampled: flags & 1 == 1 })
    }

    /// The first span of a new trace.
    fn new() -> Option<Self> {
        let trace = u128::from(getrandom::u64().ok()?) << 64 | u128::from(getrandom::u64().ok()?);
        Some(Self { trace, parent: None, sampled: true })
    }
}

/// Lower-case hexadecimal digits, so many.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let sound = text.len() == digits && text.bytes().all(plain);
    sound.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// One request as the collector gets it.
#[derive(Clone, Debug)]
pub struct Span {
    /// Where it stands.
    pub context: TraceContext,
    /// Its own id.
    pub id: u64,
    /// The method, one of those that are counted.
    pub method: Method,
    /// What it was about.
    pub operation: Operation,
    /// The path, without the query, as [`Span::path`] keeps it.
    pub path: String,
    /// The request's id in the log.
    pub request_id: String,
    /// The client's address.
    pub peer: Option<String>,
    /// Who asked.
    pub user: Option<String>,
    /// The answer's status.
    pub status: u16,
    /// When the request's head was there.
    pub start: SystemTime,
    /// When the last byte of the answer was handed over.
    pub end: SystemTime,
}

impl Span {
    /// What is kept of a path: its beginning.
    #[must_use]
    pub fn path(path: &str) -> String {
        path.get(..path.floor_char_boundary(MAX_PATH)).unwrap_or_default().to_owned()
    }
}

/// Makes spans and hands them to the exporter.
pub struct Tracer {
    exporter: Exporter,
}

impl Tracer {
    /// A tracer for this exporter.
    #[must_use]
    pub fn new(exporter: Exporter) -> Self {
        Self { exporter }
    }

    /// Where a request stands, and the id of its span; `None` where its caller
    /// doesn't record the trace.
    #[must_use]
    pub fn begin(headers: &HeaderMap) -> Option<(TraceContext, u64)> {
        let context = TraceContext::of(headers).or_else(TraceContext::new)?;
        let id = getrandom::u64().ok()?.max(1);
        context.sampled.then_some((context, id))
    }

    /// Keeps a span open until the last clone of this goes.
    #[must_use]
    pub fn open(self: &Arc<Self>, span: Span) -> OpenSpan {
        OpenSpan { _guard: Arc::new(Guard { tracer: Arc::clone(self), span: Some(span) }) }
    }

    /// Sends what has not been sent, for a bounded time.
    pub async fn flush(&self) {
        self.exporter.flush().await;
    }
}

/// A span whose end has not come. It goes with the response.
#[derive(Clone)]
pub struct OpenSpan {
    _guard: Arc<Guard>,
}

struct Guard {
    tracer: Arc<Tracer>,
    span: Option<Span>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.end = SystemTime::now();
            self.tracer.exporter.send(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<TraceContext> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", text.parse().unwrap());
        TraceContext::of(&headers)
    }

    #[test]
    fn a_span_keeps_the_beginning_of_a_path() {
        assert_eq!(Span::path("/v2/"), "/v2/");
        assert_eq!(Span::path(&"/".repeat(60_000)), "/".repeat(MAX_PATH));
        assert_eq!(Span::path(&format!("/{}", "\u{fc}".repeat(600))).len(), MAX_PATH - 1);
    }

    #[test]
    fn a_context_is_taken_over_as_the_standard_has_it() {
        let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let context = of(&format!("00-{trace}-{parent}-01")).unwrap();
        assert_eq!(format!("{:032x}", context.trace), trace);
        assert_eq!(format!("{:016x}", context.parent.unwrap()), parent);
        assert!(context.sampled);
        assert!(!of(&format!("00-{trace}-{parent}-00")).unwrap().sampled);
        assert!(of(&format!("cc-{trace}-{parent}-01-what-comes-later")).is_some());
        for bad in [
            String::new(),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{trace}-{parent}-01-more"),
            format!("00-{trace}-{parent}"),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace}-{parent}-1"),
            format!("00-+{}-{parent}-01", &trace[1..]),
        ] {
            assert_eq!(of(&bad), None, "{bad}");
        }
    }
}
