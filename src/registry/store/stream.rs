//! The bytes of a blob on their way out.

use std::fs::File;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::StoreError;
use crate::digest::Digest;

/// An open file of the store.
#[derive(Debug)]
pub struct OpenBlob {
    /// The file, read at offsets only: its position means nothing.
    pub file: File,
    /// The content that it holds.
    pub digest: Digest,
}

/// A part of a file, for senders that let the system copy it.
#[derive(Clone, Debug)]
pub struct FilePiece {
    /// The file.
    pub blob: Arc<OpenBlob>,
    /// Where the part begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; at most [`FilePiece::MAX_LEN`].
    pub length: usize,
}

impl FilePiece {
    /// The longest piece, in bytes.
    pub const MAX_LEN: usize = 1 << 20;
}

/// What comes next of a blob.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes in a file, not empty.
    File(FilePiece),
}

/// Where the bytes of a blob come from, a chunk at a time.
pub trait ChunkSource: Send + 'static {
    /// The next chunk, `None` after the last one.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>>;

    /// The same, for a caller that can send parts of files.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, StoreError>>> {
        self.poll_chunk(cx).map(|chunk| chunk.map(|chunk| chunk.map(Piece::Bytes)))
    }
}

/// The bytes of a blob, or of a range of one. The length is known before the
/// first byte; a source that gives less than that has failed.
pub struct BlobStream {
    length: u64,
    source: Box<dyn ChunkSource>,
}

impl BlobStream {
    /// A stream of `length` bytes out of this source.
    pub fn new(length: u64, source: impl ChunkSource) -> Self {
        Self { length, source: Box::new(source) }
    }

    /// A stream of bytes that are in memory already.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self::new(bytes.len() as u64, Whole(Some(bytes)))
    }

    /// How many bytes come all in all.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The next chunk, `None` after the last one.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>> {
        self.source.poll_chunk(cx)
    }

    /// The next piece, `None` after the last one.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, StoreError>>> {
        self.source.poll_piece(cx)
    }

    /// The next chunk, `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<Bytes, StoreError>> {
        poll_fn(|cx| self.source.poll_chunk(cx)).await
    }

    /// All that is left, in one piece.
    ///
    /// # Errors
    /// Whatever the store answers half way.
    pub async fn collect(mut self) -> Result<Vec<u8>, StoreError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next().await {
            all.extend_from_slice(&chunk?);
        }
        Ok(all)
    }
}

/// One chunk, then nothing.
struct Whole(Option<Bytes>);

impl ChunkSource for Whole {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>> {
        Poll::Ready(self.0.take().filter(|bytes| !bytes.is_empty()).map(Ok))
    }
}
