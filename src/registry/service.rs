//! The registry as its handlers see it: a store and the limits around it.

use std::sync::OnceLock;
use std::time::Duration;

use super::admission::Rules;
use super::bodies::{Arrivals, Room};
use super::metrics::{Job, Metrics, Outcome, Treatment};
use super::store::Store;
use super::swap::Swap;

/// How many of the largest manifests arrive at the same time.
const MANIFESTS: usize = 4;

/// How many bytes of reviews arrive at the same time.
const REVIEWS: usize = 16 << 20;

/// What an operator can set about the protocol.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest manifest in bytes; a larger one is answered with 413.
    pub manifest_bytes: usize,
    /// Whether a manifest is taken whose blobs or child manifests the
    /// repository doesn't have.
    pub sparse_manifests: bool,
    /// The largest blob in bytes, none for any; a larger one is answered with
    /// 413.
    pub blob_bytes: Option<u64>,
    /// The most repositories on a page of the catalog; a link leads on.
    pub catalog_entries: usize,
    /// The most tags on a page of a repository's; a link leads on.
    pub tag_entries: usize,
    /// The most bytes of a page of referrers; a link leads on.
    pub referrers_bytes: usize,
    /// How long an upload that nobody touches is kept.
    pub upload_expiry: Duration,
    /// How long a request waits for another one to let go of an upload.
    pub upload_wait: Duration,
    /// How many bytes of a request's body come in a second, over
    /// [`Limits::body_window`], at least.
    pub body_rate: u64,
    /// Over how long the bytes of a body are counted.
    pub body_window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 * 1024 * 1024,
            sparse_manifests: false,
            blob_bytes: None,
            catalog_entries: 10_000,
            tag_entries: 10_000,
            referrers_bytes: 4 * 1024 * 1024,
            upload_expiry: Duration::from_hours(24),
            upload_wait: Duration::from_secs(5),
            body_rate: 1024,
            body_window: Duration::from_mins(1),
        }
    }
}

/// A store and the limits around it. One per process, shared by all handlers.
#[derive(Debug)]
pub struct Registry<S> {
    /// Where everything is.
    pub store: S,
    /// What is too much.
    pub limits: Limits,
    /// Which images a cluster lets in; a reload replaces them.
    pub admission: Swap<Rules>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where reviews arrive.
    pub reviews: Arrivals,
    /// Where manifests arrive that aren't small.
    manifests: OnceLock<Room>,
}

impl<S: Store> Registry<S> {
    /// A registry over this store with the default limits.
    pub fn new(store: S) -> Self {
        Self {
            store,
            limits: Limits::default(),
            admission: Swap::default(),
            metrics: Metrics::default(),
            reviews: Arrivals::new(REVIEWS),
            manifests: OnceLock::new(),
        }
    }

    /// The room for manifests that aren't small, by the limits of the first
    /// time that it is asked for.
    pub fn room(&self) -> &Room {
        self.manifests
            .get_or_init(|| Room::new(self.limits.manifest_bytes.saturating_mul(MANIFESTS)))
    }

    /// Sweeps out expired uploads now and then, for ever: to be spawned by the
    /// server, and dropped when it stops. What goes wrong is logged.
    pub async fn sweep_uploads(&self) {
        let every = (self.limits.upload_expiry / 24).max(Duration::from_secs(1));
        loop {
            let mut run = self.metrics.jobs.begin(Job::Sweep);
            match self.store.upload_sweep(self.limits.upload_expiry).await {
                Ok(count) => {
                    if count > 0 {
                        tracing::info!(count, "swept out expired uploads");
                    }
                    run.count(Treatment::Removed, count as u64, 0);
                    run.end(Outcome::Ok);
                }
                Err(error) => tracing::warn!(%error, "cannot sweep out expired uploads"),
            }
            tokio::time::sleep(every).await;
        }
    }
}
