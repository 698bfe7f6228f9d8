//! The memory that blobs are copied through, used again and again: fresh pages
//! cost the system more than the bytes that are copied into them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The most that is held in memory of one blob on its way out, in bytes: few
/// calls.
const LARGEST: usize = 256 * 1024;

/// The least, which even a crowd gets.
const SMALLEST: usize = 16 * 1024;

/// What all the blobs on their way out hold together, as long as the smallest
/// buffer allows it, in bytes.
const ALL: usize = 16 << 20;

/// How many buffers are kept that nobody uses now.
const SPARE: usize = 16;

/// Buffers for all blobs that are copied.
#[derive(Clone, Default)]
pub(super) struct Buffers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    users: AtomicUsize,
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// Takes part in sharing them.
    pub(super) fn join(&self) -> Member {
        self.0.users.fetch_add(1, Ordering::Relaxed);
        Member(Arc::clone(&self.0))
    }
}

/// One of those who share the buffers. Each gets less the more there are, so
/// that a crowd of slow clients neither fills the memory nor keeps anybody
/// waiting.
pub(super) struct Member(Arc<Shared>);

impl Member {
    /// How much to read at a time, in bytes.
    pub(super) fn size(&self) -> usize {
        share(self.0.users.load(Ordering::Relaxed))
    }

    /// A buffer of this length, with whatever is in it.
    pub(super) fn buffer(&self, length: usize) -> Buffer {
        let spare = self.0.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut bytes = spare.unwrap_or_default();
        if bytes.len() < length {
            bytes.resize(length, 0);
        }
        Buffer { bytes, length, shared: Arc::clone(&self.0) }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A buffer, which goes back when it is dropped.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    length: usize,
    shared: Arc<Shared>,
}

impl Buffer {
    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.length).unwrap_or_default()
    }

    /// What is in it now; it goes back with the last of these bytes.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // In a crowd each is small, and few large ones are asked for after it.
        let mut spare = self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(std::mem::take(&mut self.bytes));
        }
    }
}

/// How much one of so many may hold.
fn share(users: usize) -> usize {
    (ALL / users.max(1)).clamp(SMALLEST, LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_shares_the_memory() {
        assert_eq!(share(0), LARGEST);
        assert_eq!(share(1), LARGEST);
        assert_eq!(share(512), 32 * 1024);
        assert!((1..1000).all(|users| users * share(users) <= ALL));
        assert_eq!(share(100_000), SMALLEST);
    }

    #[test]
    fn a_buffer_goes_back_and_has_the_length_that_was_asked_for() {
        let member = Buffers::default().join();
        let mut large = member.buffer(1000);
        large.as_mut().fill(7);
        let bytes = large.freeze();
        let half = bytes.slice(500..);
        drop(bytes);
        assert_eq!(half, vec![7; 500]);
        assert!(member.0.spare.lock().unwrap().is_empty());
        drop(half);
        assert_eq!(member.0.spare.lock().unwrap().len(), 1);
        assert_eq!(member.buffer(10).freeze().len(), 10);
        assert_eq!(member.buffer(2000).freeze().len(), 2000);
        let many: Vec<_> = (0..100).map(|_| member.buffer(10)).collect();
        drop(many);
        assert_eq!(member.0.spare.lock().unwrap().len(), SPARE);
    }
}
