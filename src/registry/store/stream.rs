//! The bytes of a blob on their way out.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::StoreError;

/// Where the bytes of a blob come from, a chunk at a time.
pub trait ChunkSource: Send + 'static {
    /// The next chunk, `None` after the last one.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>>;
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
