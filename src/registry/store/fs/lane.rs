//! A thread of the blocking pool that works off batches in their order.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::batch::{Batch, Piece};
use crate::registry::store::StoreError;

/// What is done with each batch.
pub(super) trait Worker: Send + 'static {
    /// Does it; whether there is any use in the next one.
    fn work(&mut self, batch: &Batch) -> bool;
}

/// Batches on their way through a worker. A thread takes them for as long as
/// there are any, and stays for a moment to see whether another one comes.
pub(super) struct Lane<W> {
    queue: Arc<Queue>,
    worker: Place<W>,
}

/// Where the worker is.
enum Place<W> {
    Resting(W),
    Working(JoinHandle<W>),
    Lost,
}

struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
    /// How long a thread stays.
    linger: Duration,
}

#[derive(Default)]
struct Waiting {
    pieces: VecDeque<Arc<Piece>>,
    /// A thread is there or about to come, and looks once more before it leaves.
    worked: bool,
    /// No more will come.
    ending: bool,
    /// The worker had no use for more.
    stopped: bool,
}

impl<W: Worker> Lane<W> {
    /// A lane whose thread stays this long for the next batch.
    pub(super) fn new(worker: W, linger: Duration) -> Self {
        let queue = Queue { waiting: Mutex::default(), more: Condvar::new(), linger };
        Self { queue: Arc::new(queue), worker: Place::Resting(worker) }
    }

    /// Puts a batch at the end; `false` where the worker has no use for it, or
    /// panicked, as [`Lane::end`] will tell.
    ///
    /// # Errors
    /// Where it panicked as it was about to rest.
    pub(super) async fn push(&mut self, piece: Arc<Piece>) -> Result<bool, StoreError> {
        {
            let mut waiting = self.queue.lock();
            if waiting.stopped {
                return Ok(false);
            }
            waiting.pieces.push_back(piece);
            if waiting.worked {
                self.queue.more.notify_one();
                return Ok(true);
            }
            waiting.worked = true;
        }
        let mut worker = self.rest().await?;
        let queue = Arc::clone(&self.queue);
        self.worker = Place::Working(tokio::task::spawn_blocking(move || {
            queue.work_off(&mut worker);
            worker
        }));
        Ok(true)
    }

    /// Waits until all batches are worked off, and gives the worker back.
    ///
    /// # Errors
    /// Where it panicked.
    pub(super) async fn end(mut self) -> Result<W, StoreError> {
        self.queue.end();
        self.rest().await
    }

    /// The worker, from the thread that has left or is about to.
    async fn rest(&mut self) -> Result<W, StoreError> {
        match std::mem::replace(&mut self.worker, Place::Lost) {
            Place::Resting(worker) => Ok(worker),
            Place::Working(task) => Ok(task.await?),
            Place::Lost => Err(StoreError::UploadBusy),
        }
    }
}

impl<W> Drop for Lane<W> {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().ending = true;
        self.more.notify_one();
    }

    fn work_off(&self, worker: &mut impl Worker) {
        let mut there = There { queue: self, left: false };
        while let Some(piece) = self.next(&mut there) {
            if !worker.work(piece.batch()) {
                // It stops the lane as it goes.
                return;
            }
        }
    }

    /// The next batch; nothing where none came, and the thread has left.
    fn next(&self, there: &mut There<'_>) -> Option<Arc<Piece>> {
        let waiting = self.lock();
        let wait = |waiting: &mut Waiting| waiting.pieces.is_empty() && !waiting.ending;
        let (mut waiting, _) = self
            .more
            .wait_timeout_while(waiting, self.linger, wait)
            .unwrap_or_else(PoisonError::into_inner);
        let next = waiting.pieces.pop_front();
        if next.is_none() {
            waiting.worked = false;
            there.left = true;
        }
        next
    }
}

/// A thread in a lane. Where it goes with work left, because there is no use in
/// it or by a panic, nobody else comes, and the memory of what waits is free.
struct There<'a> {
    queue: &'a Queue,
    left: bool,
}

impl Drop for There<'_> {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        let pieces = {
            let mut waiting = self.queue.lock();
            (waiting.worked, waiting.stopped) = (false, true);
            std::mem::take(&mut waiting.pieces)
        };
        drop(pieces);
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::{Batches, Pool};
    use super::*;

    /// Notes what it got, until it has had enough.
    struct Notes {
        got: Vec<u8>,
        most: usize,
    }

    impl Worker for Notes {
        fn work(&mut self, batch: &Batch) -> bool {
            assert_ne!(batch.bytes(), b"!", "told to panic");
            self.got.extend_from_slice(batch.bytes());
            self.got.len() < self.most
        }
    }

    fn piece(pool: &mut Pool, text: &str) -> Arc<Piece> {
        let mut batch = Batches::default().join().batch(0, None);
        assert!(batch.take(text.as_bytes()).is_empty());
        pool.piece(batch)
    }

    fn lane(most: usize, linger: u64) -> (Lane<Notes>, Pool) {
        let worker = Notes { got: Vec::new(), most };
        (Lane::new(worker, Duration::from_millis(linger)), Pool::default())
    }

    #[tokio::test]
    async fn batches_are_worked_off_in_their_order_whether_the_thread_is_still_there_or_not() {
        // Threads that go at once, that stay over a pause, and that stay longer.
        for linger in [0, 1, 10_000] {
            let (mut lane, mut pool) = lane(usize::MAX, linger);
            let mut sent = Vec::new();
            for number in 0..200_u8 {
                let text = char::from(b'a' + number % 26).to_string();
                pool.room(2).await;
                assert!(lane.push(piece(&mut pool, &text)).await.unwrap());
                sent.extend_from_slice(text.as_bytes());
                if number % 50 == 0 {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            }
            // Nobody waits for a thread that only stays in case more comes.
            let ended = tokio::time::timeout(Duration::from_secs(5), lane.end()).await;
            assert_eq!(ended.unwrap().unwrap().got, sent, "{linger}");
        }
    }

    #[tokio::test]
    async fn a_worker_that_has_had_enough_gets_no_more_and_the_memory_is_free() {
        let (mut lane, mut pool) = lane(2, 10_000);
        let mut taken = 0;
        loop {
            pool.room(2).await;
            if !lane.push(piece(&mut pool, "x")).await.unwrap() {
                break;
            }
            taken += 1;
        }
        assert!(taken >= 2, "{taken}");
        pool.room(2).await;
        assert_eq!(lane.end().await.unwrap().got, b"xx");
    }

    #[tokio::test]
    async fn a_worker_that_panics_is_an_error_and_nobody_waits_for_it() {
        let (mut lane, mut pool) = lane(usize::MAX, 10_000);
        assert!(lane.push(piece(&mut pool, "!")).await.unwrap());
        while lane.push(piece(&mut pool, "x")).await.unwrap() {
            pool.room(2).await;
        }
        assert!(matches!(lane.end().await, Err(StoreError::Stopped(_))));
    }
}
