//! The way of an upload's batches through hashing and writing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::batch::{Batch, Fast, Piece};
use super::lane::{Lane, Worker};
use super::marks::Trail;
use super::upload::Open;
use crate::digest::Hasher;
use crate::fs::FsError;
use crate::registry::store::StoreError;

/// How many batches of a fast upload are on their way at a time. While one is
/// hashed and one is written, which take turns in being the slower one, the
/// client still sends the next.
const DEEP: usize = 4;

/// How long the threads of a fast upload wait for its next batch: to wake another
/// one for each batch costs more than the wait.
const LINGER: Duration = Duration::from_millis(5);

/// An upload's file with those who work on it.
pub(super) struct Pipeline {
    /// Beside the writing, where the upload is a fast one.
    hashing: Option<(Lane<Hashing>, Fast)>,
    writing: Lane<Writing>,
}

impl Pipeline {
    /// Begins to work on a file. With the right to be fast another thread hashes
    /// while one writes; else one thread does both.
    pub(super) fn start(inner: &Arc<Inner>, mut open: Box<Open>, fast: Option<Fast>) -> Self {
        let linger = if fast.is_some() { LINGER } else { Duration::ZERO };
        let hashing = fast.map(|fast| (Lane::new(Hashing::new(&mut open), linger), fast));
        let (inner, hashes) = (Arc::clone(inner), hashing.is_none());
        let writing = Writing { inner, open, hashes, result: Ok(()) };
        Self { hashing, writing: Lane::new(writing, linger) }
    }

    /// Whether it has the right to several batches at a time.
    pub(super) fn is_fast(&self) -> bool {
        self.hashing.is_some()
    }

    /// How many batches it may have at a time.
    pub(super) fn most(&self) -> usize {
        if self.is_fast() { DEEP } else { 1 }
    }

    /// Takes the next batch; `false` where a write failed, or hashing or writing
    /// panicked, as [`Pipeline::end`] will tell.
    ///
    /// # Errors
    /// Where one of them panicked as it was about to rest.
    pub(super) async fn push(&mut self, piece: Arc<Piece>) -> Result<bool, StoreError> {
        if !self.writing.push(Arc::clone(&piece)).await? {
            return Ok(false);
        }
        match &mut self.hashing {
            Some((hashing, _)) => hashing.push(piece).await,
            None => Ok(true),
        }
    }

    /// Waits for all of it. Where a write failed the file holds what it held
    /// before that, and so does the hash.
    ///
    /// # Errors
    /// Where hashing or writing panicked.
    pub(super) async fn end(self) -> Result<(Box<Open>, Result<(), FsError>), StoreError> {
        let Writing { mut open, result, .. } = self.writing.end().await?;
        if let Some((hashing, _fast)) = self.hashing {
            let hashing = hashing.end().await?;
            open.trail = hashing.at(open.written).ok_or(StoreError::UploadBusy)?;
        }
        Ok((open, result))
    }
}

/// Hashes one batch after the other.
struct Hashing {
    /// The hash at the end of each of the last batches, with that end: a write
    /// that fails is behind the hash.
    ends: VecDeque<(u64, Hasher)>,
    trail: Trail,
}

impl Hashing {
    fn new(open: &mut Open) -> Self {
        let behind = Trail::new(open.trail.hasher().algorithm());
        let trail = std::mem::replace(&mut open.trail, behind);
        Self { ends: VecDeque::from([(trail.at(), trail.hasher().clone())]), trail }
    }

    /// The hash of what ends here.
    fn at(self, end: u64) -> Option<Trail> {
        let (_, hasher) = self.ends.into_iter().find(|(known, _)| *known == end)?;
        Some(self.trail.back(end, hasher))
    }
}

impl Worker for Hashing {
    fn work(&mut self, batch: &Batch) -> bool {
        self.trail.update(batch.bytes());
        self.ends.push_back((self.trail.at(), self.trail.hasher().clone()));
        // Where a write fails: the end before that batch, those that were on their
        // way, and the one that came before anybody noticed.
        if self.ends.len() > DEEP + 2 {
            self.ends.pop_front();
        }
        true
    }
}

/// Writes one batch after the other, until one fails.
struct Writing {
    inner: Arc<Inner>,
    open: Box<Open>,
    /// Hashes them too.
    hashes: bool,
    result: Result<(), FsError>,
}

impl Worker for Writing {
    fn work(&mut self, batch: &Batch) -> bool {
        self.result = self.open.append(&self.inner, batch.bytes(), self.hashes);
        self.result.is_ok()
    }
}
