use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// What became of the spans of traces.
#[derive(Clone, Debug)]
pub struct TraceMetrics {
    exported: Counter,
    dropped: Counter,
}

impl TraceMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let new = Self { exported: Counter::default(), dropped: Counter::default() };
        registry.register("spans_exported", "Spans that a collector took", new.exported.clone());
        registry.register(
            "spans_dropped",
            "Spans that the collector didn't take, or that came faster than it takes them",
            new.dropped.clone(),
        );
        new
    }

    /// The collector took spans.
    pub fn exported(&self, count: usize) {
        self.exported.inc_by(count as u64);
    }

    /// Spans were lost.
    pub fn dropped(&self, count: usize) {
        self.dropped.inc_by(count as u64);
    }
}
