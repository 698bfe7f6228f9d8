//! What a collection running beside the requests must leave alone.
//!
//! A link's lease is the time of its file: it outlives the process. On top of
//! it, everything that was touched since a running collection began is its
//! own exception, so that no clock decides whether that collection is safe.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::digest::Digest;

/// Digests share locks: many enough that two requests seldom meet.
const SHARDS: usize = 64;

/// Who touches which content now.
#[derive(Default)]
pub(super) struct Leases {
    shards: Shards,
    /// Held for as long as a collection runs: there is one at a time.
    collecting: Mutex<()>,
}

struct Shards([Mutex<Shard>; SHARDS]);

impl Default for Shards {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

#[derive(Default)]
struct Shard {
    /// Who is about to rely on a digest.
    pins: HashMap<Digest, Holders>,
    /// What was pinned since the running collection began.
    touched: Option<HashSet<Digest>>,
}

/// The requests that hold a pin.
#[derive(Default)]
struct Holders {
    count: usize,
    /// Whether there was ever more than one.
    shared: bool,
}

impl Leases {
    fn shard(&self, digest: &Digest) -> MutexGuard<'_, Shard> {
        let mut hasher = DefaultHasher::new();
        digest.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or_default();
        let [first, ..] = &self.shards.0;
        let shard = self.shards.0.get(index).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a digest from being collected until the pin is dropped, and for
    /// as long as the collection runs that is running now.
    pub(super) fn pin(&self, digest: &Digest) -> Pin<'_> {
        let mut shard = self.shard(digest);
        let holders = shard.pins.entry(digest.clone()).or_default();
        holders.count += 1;
        holders.shared |= holders.count > 1;
        if let Some(touched) = &mut shard.touched {
            touched.insert(digest.clone());
        }
        drop(shard);
        Pin { leases: self, digest: digest.clone() }
    }

    /// Runs something short while nobody else pins or removes the digest.
    pub(super) fn alone<T>(&self, digest: &Digest, work: impl FnOnce() -> T) -> T {
        let _shard = self.shard(digest);
        work()
    }

    /// Begins a collection; `None` while another one runs.
    pub(super) fn collect(&self) -> Option<Collection<'_>> {
        let alone = match self.collecting.try_lock() {
            Ok(alone) => alone,
            Err(std::sync::TryLockError::Poisoned(error)) => error.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        for shard in &self.shards.0 {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            // Who relies on something now does so beyond the beginning.
            shard.touched = Some(shard.pins.keys().cloned().collect());
        }
        Some(Collection { leases: self, _alone: alone })
    }
}

/// A digest that a request relies on.
pub(super) struct Pin<'a> {
    leases: &'a Leases,
    digest: Digest,
}

impl Pin<'_> {
    /// Whether another request relied on it while this pin was held: it may be
    /// one that has just pushed it, and not made it durable.
    pub(super) fn was_shared(&self) -> bool {
        let shard = self.leases.shard(&self.digest);
        shard.pins.get(&self.digest).is_some_and(|holders| holders.shared)
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        let mut shard = self.leases.shard(&self.digest);
        if let Some(holders) = shard.pins.get_mut(&self.digest) {
            holders.count -= 1;
            if holders.count == 0 {
                shard.pins.remove(&self.digest);
            }
        }
    }
}

/// A running collection.
pub(super) struct Collection<'a> {
    leases: &'a Leases,
    _alone: MutexGuard<'a, ()>,
}

impl Collection<'_> {
    /// Whether somebody touched the digest since the collection began.
    pub(super) fn is_touched(&self, digest: &Digest) -> bool {
        self.untouched(digest, || ()).is_none()
    }

    /// Runs `remove` where nobody touched the digest since the collection
    /// began, and lets nobody touch it meanwhile: it must be short. `None`
    /// where somebody did.
    pub(super) fn untouched<T>(&self, digest: &Digest, remove: impl FnOnce() -> T) -> Option<T> {
        let shard = self.leases.shard(digest);
        let touched = shard.pins.contains_key(digest)
            || shard.touched.as_ref().is_some_and(|touched| touched.contains(digest));
        (!touched).then(remove)
    }
}

impl Drop for Collection<'_> {
    fn drop(&mut self) {
        for shard in &self.leases.shards.0 {
            shard.lock().unwrap_or_else(PoisonError::into_inner).touched = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_touched_since_the_beginning_is_left_alone() {
        let leases = Leases::default();
        let (before, held, since, never) = (
            Digest::sha256(b"before"),
            Digest::sha256(b"held"),
            Digest::sha256(b"since"),
            Digest::sha256(b"never"),
        );
        drop(leases.pin(&before));
        let pin = leases.pin(&held);
        assert!(!pin.was_shared());
        let other = leases.pin(&held);
        assert!(pin.was_shared());
        drop(other);
        assert!(pin.was_shared(), "also when the other is gone");
        let collection = leases.collect().unwrap();
        assert!(leases.collect().is_none(), "there is one at a time");
        drop(leases.pin(&since));
        assert_eq!(collection.untouched(&before, || 1), Some(1));
        assert_eq!(collection.untouched(&held, || 1), None);
        drop(pin);
        assert_eq!(collection.untouched(&held, || 1), None, "held at the beginning");
        assert_eq!(collection.untouched(&since, || 1), None);
        assert_eq!(collection.untouched(&never, || 1), Some(1));
        drop(collection);
        let collection = leases.collect().unwrap();
        assert_eq!(collection.untouched(&since, || 1), Some(1), "the next one starts anew");
        assert_eq!(collection.untouched(&held, || 1), Some(1));
    }
}
