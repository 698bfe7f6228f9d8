//! How much of everything.

use std::time::Duration;

/// The sizes and times of one run.
pub struct Plan {
    /// How often each measurement is repeated; the median counts.
    pub rounds: usize,
    /// The large blob, in MiB.
    pub large: usize,
    /// How long each load of many clients lasts.
    pub time: Duration,
    /// How many layers of 1 MiB there are.
    pub layers: usize,
    /// How many clients pull them.
    pub clients: [usize; 3],
    /// How many small blobs are pushed.
    pub small: usize,
    /// How many pages of a list are asked for.
    pub pages: usize,
    /// How many contents nobody needs when collections run beside pulls.
    pub litter: usize,
    /// The large store.
    pub repositories: usize,
    /// Blobs of each of them.
    pub blobs_each: usize,
    /// Tags of one repository.
    pub tags: usize,
}

impl Plan {
    /// What the figures of the documentation are made with.
    pub fn full() -> Self {
        Self {
            rounds: 3,
            large: 1024,
            time: Duration::from_secs(2),
            layers: 64,
            clients: [8, 64, 512],
            small: 1000,
            pages: 200,
            litter: 10_000,
            repositories: 10_000,
            blobs_each: 10,
            tags: 50_000,
        }
    }

    /// That everything works, within seconds.
    pub fn smoke() -> Self {
        Self {
            rounds: 1,
            large: 4,
            time: Duration::from_millis(200),
            layers: 4,
            clients: [2, 4, 8],
            small: 20,
            pages: 5,
            litter: 100,
            repositories: 20,
            blobs_each: 2,
            tags: 300,
        }
    }
}
