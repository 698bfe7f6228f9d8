//! That a request only waits for what its client has still to send.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many requests of one connection wait for a body with which nothing
/// would be lost: that of a stranger, or one that was refused. It is among the
/// extensions of a request that has a body. A connection all of whose requests
/// wait so makes room for another one, as an idle one does.
#[derive(Clone, Debug, Default)]
pub struct Waiting(Arc<AtomicU32>);

impl Waiting {
    /// One more waits, until the guard goes.
    #[must_use]
    pub fn begin(&self) -> Waits {
        self.0.fetch_add(1, Ordering::AcqRel);
        Waits(self.clone())
    }

    /// How many wait now.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// A request that waits for as long as this is there.
#[derive(Debug)]
pub struct Waits(Waiting);

impl Drop for Waits {
    fn drop(&mut self) {
        (self.0).0.fetch_sub(1, Ordering::AcqRel);
    }
}
