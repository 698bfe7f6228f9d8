//! What the registry counts. Nothing here knows HTTP: the server counts
//! requests in [`HttpMetrics`], what runs in the background reports to
//! [`JobMetrics`], and [`Metrics::render`] writes it all for Prometheus.

mod http;
mod jobs;
mod labels;
mod level;
mod process;
mod traces;

use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use http::HttpMetrics;
pub use jobs::{JobMetrics, JobRun};
pub use labels::{AuthFailure, Closed, Job, Method, Operation, Outcome, StatusClass, Treatment};
pub use level::Level;
pub use traces::TraceMetrics;

/// The media type of what [`Metrics::render`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted, once for each server. Cloning it is cheap and
/// counts on.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Requests, connections, bytes.
    pub http: HttpMetrics,
    /// What runs in the background.
    pub jobs: JobMetrics,
    /// The export of traces.
    pub traces: TraceMetrics,
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process::Process::new()));
        let own = registry.sub_registry_with_prefix("warren_registry");
        own.register("build", "What is running", Info::new([("version", env!("WARREN_VERSION"))]));
        let http = HttpMetrics::new(own);
        let jobs = JobMetrics::new(own);
        let traces = TraceMetrics::new(own);
        Self { http, jobs, traces, registry: Arc::new(registry) }
    }
}

impl Metrics {
    /// Everything in the text format of `OpenMetrics`, which Prometheus reads.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::with_capacity(16 * 1024);
        // Writing to a string does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_happened_is_in_the_text() {
        let metrics = Metrics::default();
        let after = Duration::from_millis(2);
        metrics.http.answered(Operation::PullBlob, Method::Get, 206, after);
        metrics.http.answered(Operation::PullBlob, Method::Get, 200, after);
        metrics.http.received().inc_by(7);
        let guard = metrics.http.request();
        let mut run = metrics.jobs.begin(Job::Collection);
        run.count(Treatment::Removed, 3, 4096);
        run.end(Outcome::Ok);
        let text = metrics.render();
        for line in [
            r#"warren_registry_http_requests_total{operation="pull_blob",method="GET",status="2xx"} 2"#,
            r#"warren_registry_http_request_seconds_bucket{le="0.0025",operation="pull_blob"} 2"#,
            "warren_registry_http_received_bytes_total 7",
            "warren_registry_http_requests_in_flight 1",
            r#"warren_registry_task_runs_total{task="collection",outcome="ok"} 1"#,
            r#"warren_registry_task_items_total{task="collection",treatment="removed"} 3"#,
            r#"warren_registry_task_bytes_total{task="collection",treatment="removed"} 4096"#,
            r#"warren_registry_task_running{task="collection"} 0"#,
            "# TYPE process_resident_memory_bytes gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("warren_registry_build_info{version=\""), "{text}");
        assert!(text.ends_with("# EOF\n"));
        drop(guard);
        assert!(metrics.render().contains("warren_registry_http_requests_in_flight 0"));
    }

    #[test]
    fn a_job_that_is_dropped_has_failed() {
        let metrics = Metrics::default();
        drop(metrics.jobs.begin(Job::Scrub));
        let text = metrics.render();
        assert!(text.contains(r#"task_runs_total{task="scrub",outcome="failed"} 1"#), "{text}");
        assert!(text.contains(r#"task_running{task="scrub"} 0"#), "{text}");
    }
}
