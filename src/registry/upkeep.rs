//! What a registry does for its store without being asked: expired uploads,
//! collection, scrub.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::metrics::{Job, Outcome, Treatment};
use super::service::Registry;
use super::store::{CollectPolicy, Collected, ScrubPolicy, Scrubbed, Store, StoreError, Watch};

/// How soon after the start the first job of a kind begins, at the latest.
const FIRST: Duration = Duration::from_mins(10);

/// What is done how often.
#[derive(Clone, Copy, Debug, Default)]
pub struct Schedule {
    /// The time between two collections; none without.
    pub collect: Option<Duration>,
    /// What they may take.
    pub policy: CollectPolicy,
    /// The time between two scrubs; none without.
    pub scrub: Option<Duration>,
    /// Bytes that a scrub reads in a second at most.
    pub scrub_rate: Option<u64>,
}

impl<S: Store> Registry<S> {
    /// Does what the schedule says, for ever: to be spawned by the server, and
    /// dropped when it stops. What goes wrong is logged.
    pub async fn keep_up(&self, schedule: Schedule) {
        tokio::join!(
            self.store.warm(),
            self.sweep_uploads(),
            every(schedule.collect, || async {
                let stop = StopOnDrop::default();
                let _ = self.collect(&schedule.policy, stop.watch()).await;
            }),
            every(schedule.scrub, || async {
                let stop = StopOnDrop::default();
                let policy = ScrubPolicy { rate: schedule.scrub_rate, afresh: false };
                let _ = self.scrub(&policy, stop.watch()).await;
            }),
        );
    }
}

impl<S: Store> Registry<S> {
    /// Collects, counts it in the metrics, and logs what came of it.
    ///
    /// # Errors
    /// As [`Store::collect`].
    pub async fn collect(
        &self,
        policy: &CollectPolicy,
        watch: Watch<Collected>,
    ) -> Result<Collected, StoreError> {
        let mut run = self.metrics.jobs.begin(Job::Collection);
        let result = self.store.collect(policy, watch).await;
        log_collection(&result);
        if let Ok(done) = &result {
            if !policy.dry_run {
                run.count(Treatment::Removed, done.removed, done.bytes);
            }
            run.count(Treatment::Examined, done.contents, 0);
            run.end(Outcome::Ok);
        }
        result
    }

    /// Scrubs, counts it in the metrics, and logs what came of it.
    ///
    /// # Errors
    /// As [`Store::scrub`].
    pub async fn scrub(
        &self,
        policy: &ScrubPolicy,
        watch: Watch<Scrubbed>,
    ) -> Result<Scrubbed, StoreError> {
        let mut run = self.metrics.jobs.begin(Job::Scrub);
        let result = self.store.scrub(policy, watch).await;
        log_scrub(&result);
        if let Ok(found) = &result {
            run.count(Treatment::Examined, found.contents, found.bytes);
            let damaged = found.damaged.len() + found.in_place.len();
            run.count(Treatment::Damaged, damaged as u64, 0);
            run.count(Treatment::Unreadable, found.unreadable.len() as u64, 0);
            run.end(Outcome::Ok);
        }
        result
    }
}

/// Runs a job now and then.
async fn every<F: Future<Output = ()>>(interval: Option<Duration>, job: impl Fn() -> F) {
    let Some(interval) = interval else { return };
    tokio::time::sleep(interval.min(FIRST)).await;
    loop {
        let begun = Instant::now();
        job().await;
        tokio::time::sleep(interval.saturating_sub(begun.elapsed())).await;
    }
}

/// Ends a job, which runs in a thread, when nobody waits for it any more.
#[derive(Default)]
pub struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    /// A watch that goes on until this is dropped.
    #[must_use]
    pub fn watch<T>(&self) -> Watch<T> {
        let stopped = Arc::clone(&self.0);
        Arc::new(move |_| !stopped.load(Ordering::Relaxed))
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Says what came of a collection.
fn log_collection(result: &Result<Collected, StoreError>) {
    match result {
        Ok(done) => tracing::info!(
            repositories = done.repositories,
            manifests = done.manifests,
            links = done.links,
            removed = done.removed,
            bytes = done.bytes,
            leased = done.leased,
            skipped = done.skipped,
            "collected what nothing refers to"
        ),
        Err(error @ (StoreError::Collecting | StoreError::Shared)) => {
            tracing::info!(%error, "no collection now");
        }
        Err(error) => tracing::warn!(%error, "cannot collect"),
    }
}

/// Says what came of a scrub.
fn log_scrub(result: &Result<Scrubbed, StoreError>) {
    match result {
        Ok(found) => tracing::info!(
            contents = found.contents,
            bytes = found.bytes,
            damaged = found.damaged.len(),
            in_place = found.in_place.len(),
            unreadable = found.unreadable.len(),
            finished = found.finished,
            "scrubbed the store"
        ),
        Err(error) => tracing::warn!(%error, "cannot scrub"),
    }
}
