//! How long and how much a fetch may take.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The limits of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For connecting and the first answer, over all sources together.
    pub reach: Duration,
    /// How long an answer that began may pause.
    pub stall: Duration,
    /// For everything together.
    pub total: Duration,
    /// How many bytes one source may send.
    pub bytes: u64,
}

impl Limits {
    /// For a build that must not wait more than 3 seconds where there is no
    /// network; the rest of the build's own work has to fit in, too.
    pub const AUTO: Self = Self {
        reach: Duration::from_millis(2800),
        stall: Duration::from_secs(15),
        total: Duration::from_mins(5),
        bytes: 256 << 20,
    };

    /// For who asked for the network: 30 seconds to reach the upstream.
    pub const PATIENT: Self = Self {
        reach: Duration::from_secs(30),
        stall: Duration::from_secs(30),
        total: Duration::from_mins(10),
        bytes: 256 << 20,
    };
}

/// What is left of the limits while one source after the other is tried.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    started: Instant,
    reach: Mutex<Duration>,
}

impl Budget {
    /// A full budget; the total starts to run now.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, started: Instant::now(), reach: Mutex::new(limits.reach) }
    }

    /// The limits that it started with.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What is left of the total.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.limits.total.saturating_sub(self.started.elapsed())
    }

    /// What one of `sources` that are still to be tried may take to give its
    /// first answer: an even share, so that a host that swallows packets does
    /// not use up the time of the mirror after it.
    pub(super) fn share(&self, sources: usize) -> Duration {
        let left = *self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        left / u32::try_from(sources.max(1)).unwrap_or(u32::MAX)
    }

    /// Takes what waiting for a first answer took.
    pub(super) fn spend(&self, time: Duration) {
        let mut left = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_sub(time);
    }
}
