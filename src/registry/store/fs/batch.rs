//! What is gathered of an upload before it is hashed and written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::direct::BLOCK;

/// The most that is gathered at a time, in bytes: few calls.
const LARGEST: usize = 512 * 1024;

/// The least, which even a crowd gets.
pub(super) const SMALLEST: usize = 64 * 1024;

/// What all uploads gather at a time together, as long as the least allows it,
/// in bytes. Each has as much again that is being hashed and written, and the few
/// that are fast have more.
const ALL: usize = 8 << 20;

/// How many uploads may have several batches on their way at a time: as many as
/// few cores can use.
const FAST: usize = 4;

/// What all uploads share.
pub(super) struct Batches {
    users: Arc<AtomicUsize>,
    fast: Arc<Semaphore>,
}

impl Default for Batches {
    fn default() -> Self {
        Self { users: Arc::default(), fast: Arc::new(Semaphore::new(FAST)) }
    }
}

impl Batches {
    /// Takes part in sharing it.
    pub(super) fn join(&self) -> Share {
        self.users.fetch_add(1, Ordering::Relaxed);
        Share { users: Arc::clone(&self.users), fast: Arc::clone(&self.fast) }
    }
}

/// The share of one upload.
pub(super) struct Share {
    users: Arc<AtomicUsize>,
    fast: Arc<Semaphore>,
}

/// The right to have several batches on their way.
pub(super) struct Fast {
    _permit: OwnedSemaphorePermit,
}

impl Share {
    /// Whether there is no crowd: batches are as large as they get.
    pub(super) fn is_largest(&self) -> bool {
        share(self.users.load(Ordering::Relaxed)) == LARGEST
    }

    /// Whether all rights to be fast are given.
    pub(super) fn is_contested(&self) -> bool {
        self.fast.available_permits() == 0
    }

    /// One of the few rights to be fast.
    pub(super) fn fast(&self) -> Option<Fast> {
        let permit = Arc::clone(&self.fast).try_acquire_owned().ok()?;
        Some(Fast { _permit: permit })
    }

    /// The batch that begins at this place in the file. It takes the memory of
    /// one that is done with, where that fits.
    pub(super) fn batch(&self, position: u64, memory: Option<Batch>) -> Batch {
        let size = share(self.users.load(Ordering::Relaxed));
        // The first one may be shorter: all others begin between two blocks.
        let beyond = usize::try_from(position % BLOCK as u64).unwrap_or_default();
        let mut batch = memory.filter(|batch| batch.capacity() <= size).unwrap_or_default();
        batch.bytes.truncate(batch.start);
        (batch.position, batch.size) = (position, size - beyond);
        batch
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.users.fetch_sub(1, Ordering::Relaxed);
    }
}

fn share(users: usize) -> usize {
    let share = ALL / users.max(1);
    (share - share % BLOCK).clamp(SMALLEST, LARGEST)
}

/// Bytes that follow each other in a file, in memory from where a disk can take
/// them.
#[derive(Default)]
pub(super) struct Batch {
    /// Filling up to the first address that is a multiple of [`BLOCK`], then
    /// what was gathered.
    bytes: Vec<u8>,
    start: usize,
    /// Where in the file it begins.
    position: u64,
    /// How much is gathered.
    size: usize,
}

impl Batch {
    /// Where in the file it ends.
    pub(super) fn end(&self) -> u64 {
        self.position + self.bytes().len() as u64
    }

    /// What was gathered.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Whether it takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.bytes().len() >= self.size
    }

    /// Takes what it has room for, and gives back the rest.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let length = self.bytes().len();
        let (taken, rest) = bytes.split_at(bytes.len().min(self.size - length));
        self.reserve(length + taken.len());
        self.bytes.extend_from_slice(taken);
        rest
    }

    /// Most uploads are small, and need no more memory than their bytes.
    fn reserve(&mut self, length: usize) {
        if length <= self.capacity() {
            return;
        }
        let capacity = length.next_power_of_two().clamp(BLOCK, self.size.max(length));
        let mut bytes: Vec<u8> = Vec::with_capacity(capacity + BLOCK);
        let start = bytes.as_ptr().align_offset(BLOCK).min(BLOCK);
        bytes.resize(start, 0);
        bytes.extend_from_slice(self.bytes());
        (self.bytes, self.start) = (bytes, start);
    }

    /// How much there is memory for.
    fn capacity(&self) -> usize {
        self.bytes.capacity().saturating_sub(BLOCK)
    }
}

/// A batch on its way. Its memory goes back to the [`Pool`] once nobody has it.
pub(super) struct Piece {
    batch: Batch,
    back: UnboundedSender<Batch>,
}

impl Piece {
    /// What was gathered.
    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // Nobody is there to take it where the upload is over.
        let _ = self.back.send(std::mem::take(&mut self.batch));
    }
}

/// The memory of the batches of one upload that are on their way, or were.
pub(super) struct Pool {
    back: UnboundedSender<Batch>,
    free: UnboundedReceiver<Batch>,
    /// How many there are, those in `free` included.
    out: usize,
}

impl Default for Pool {
    fn default() -> Self {
        let (back, free) = unbounded_channel();
        Self { back, free, out: 0 }
    }
}

impl Pool {
    /// Waits until less than so many batches are on their way; the memory of one
    /// that is back.
    pub(super) async fn room(&mut self, most: usize) -> Option<Batch> {
        let mut memory = None;
        while self.out >= most {
            // What there are too many of goes.
            memory = self.free.recv().await;
            self.out -= 1;
        }
        memory
    }

    /// Whether none is on its way.
    pub(super) fn is_quiet(&self) -> bool {
        self.free.len() >= self.out
    }

    /// Sends a batch on its way.
    pub(super) fn piece(&mut self, batch: Batch) -> Arc<Piece> {
        self.out += 1;
        Arc::new(Piece { batch, back: self.back.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_end_between_two_blocks_and_lie_where_a_disk_can_take_them() {
        let share = Batches::default().join();
        let bytes: Vec<u8> = (0..=250).cycle().take(2 * LARGEST + 5000).collect();
        for position in [0, 1, BLOCK as u64, 10 * BLOCK as u64 + 17] {
            let (mut rest, mut found) = (bytes.as_slice(), Vec::new());
            let mut batch = share.batch(position, None);
            while !rest.is_empty() {
                // Pieces come as they come.
                let piece = &rest[..rest.len().min(70_001)];
                let left = batch.take(piece);
                assert!(left.is_empty() || batch.is_full());
                rest = &rest[piece.len() - left.len()..];
                if batch.is_full() {
                    assert_eq!(batch.bytes().as_ptr().align_offset(BLOCK), 0);
                    assert!(batch.end().is_multiple_of(BLOCK as u64));
                    found.extend_from_slice(batch.bytes());
                    let end = batch.end();
                    batch = share.batch(end, Some(batch));
                }
            }
            found.extend_from_slice(batch.bytes());
            assert!(found == bytes, "{position}");
        }
    }

    #[test]
    fn a_crowd_shares_what_one_alone_does_not_take() {
        let batches = Batches::default();
        let first = batches.join();
        assert_eq!(first.batch(0, None).size, LARGEST);
        let crowd: Vec<Share> = (1..100).map(|_| batches.join()).collect();
        let size = first.batch(0, None).size;
        assert!(size.is_multiple_of(BLOCK) && size * 100 <= ALL, "{size}");
        // Memory that is larger than the share goes.
        let mut large = first.batch(0, None);
        large.reserve(LARGEST);
        assert_eq!(first.batch(0, Some(large)).capacity(), 0);
        drop(crowd);
        assert_eq!(first.batch(0, None).size, LARGEST);
        let thousands: Vec<Share> = (0..2000).map(|_| batches.join()).collect();
        assert_eq!(first.batch(0, None).size, SMALLEST);
        drop(thousands);
    }

    #[test]
    fn a_small_upload_takes_little_memory() {
        let mut batch = Batches::default().join().batch(0, None);
        assert!(batch.take(&[1; 100]).is_empty());
        assert!(batch.bytes.capacity() <= 2 * BLOCK);
    }

    #[tokio::test]
    async fn memory_is_used_again_and_only_so_many_batches_are_on_their_way() {
        let (share, mut pool) = (Batches::default().join(), Pool::default());
        let mut out = std::collections::VecDeque::new();
        for number in 0..50 {
            if number >= 3 {
                // There is no room until one is back.
                let early = tokio::time::timeout(std::time::Duration::ZERO, pool.room(3)).await;
                assert!(early.is_err());
                assert!(!pool.is_quiet());
                out.pop_front();
            }
            let memory = pool.room(3).await;
            let mut batch = share.batch(0, memory);
            assert_eq!(batch.capacity() > 0, number >= 3, "{number}");
            batch.take(&[1; BLOCK]);
            out.push_back(pool.piece(batch));
        }
        out.clear();
        assert!(pool.is_quiet());
        // Where fewer may be on their way, the memory of the others is let go of.
        pool.room(1).await;
        assert_eq!((pool.out, pool.free.len()), (0, 0));
    }
}
