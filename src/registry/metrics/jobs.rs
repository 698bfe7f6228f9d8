use std::time::{Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Job, Level, Outcome, Treatment};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    task: Job,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    task: Job,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ItemLabels {
    task: Job,
    treatment: Treatment,
}

/// What runs in the background, and what it finds.
#[derive(Clone, Debug)]
pub struct JobMetrics {
    runs: Family<RunLabels, Counter>,
    running: Family<JobLabels, Gauge>,
    seconds: Family<JobLabels, Counter<f64, std::sync::atomic::AtomicU64>>,
    success: Family<JobLabels, Gauge>,
    items: Family<ItemLabels, Counter>,
    bytes: Family<ItemLabels, Counter>,
}

impl JobMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let new = Self {
            runs: Family::default(),
            running: Family::default(),
            seconds: Family::default(),
            success: Family::default(),
            items: Family::default(),
            bytes: Family::default(),
        };
        registry.register("task_runs", "Runs of background jobs", new.runs.clone());
        registry.register("task_running", "Whether a job runs now", new.running.clone());
        registry.register("task_seconds", "Time that jobs took", new.seconds.clone());
        registry.register(
            "task_success_timestamp_seconds",
            "When a job last ended well",
            new.success.clone(),
        );
        registry.register("task_items", "Files that jobs treated", new.items.clone());
        registry.register("task_bytes", "Bytes of the files that jobs treated", new.bytes.clone());
        new
    }

    /// A run of a job begins.
    #[must_use]
    pub fn begin(&self, job: Job) -> JobRun {
        let running = Level::up(&self.running.get_or_create(&JobLabels { task: job }));
        JobRun {
            metrics: self.clone(),
            job,
            start: Instant::now(),
            outcome: Outcome::Failed,
            _running: running,
        }
    }
}

/// One run of a job. It counts as failed unless its end says otherwise.
#[derive(Debug)]
pub struct JobRun {
    metrics: JobMetrics,
    job: Job,
    start: Instant,
    outcome: Outcome,
    _running: Level,
}

impl JobRun {
    /// So many files, of so many bytes together, were treated like this.
    pub fn count(&mut self, treatment: Treatment, files: u64, bytes: u64) {
        let labels = ItemLabels { task: self.job, treatment };
        self.metrics.items.get_or_create(&labels).inc_by(files);
        self.metrics.bytes.get_or_create(&labels).inc_by(bytes);
    }

    /// The run is over.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for JobRun {
    fn drop(&mut self) {
        let (job, outcome) = (self.job, self.outcome);
        let metrics = &self.metrics;
        metrics.runs.get_or_create(&RunLabels { task: job, outcome }).inc();
        let seconds = self.start.elapsed().as_secs_f64();
        metrics.seconds.get_or_create(&JobLabels { task: job }).inc_by(seconds);
        if outcome == Outcome::Ok {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let now = i64::try_from(now).unwrap_or(i64::MAX);
            metrics.success.get_or_create(&JobLabels { task: job }).set(now);
        }
    }
}
