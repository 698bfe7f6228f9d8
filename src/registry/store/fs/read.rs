//! Reading blobs, a piece at a time and only when the client takes it.

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::Inner;
use super::buffers::{Buffer, Buffers, Member};
use super::resident::{self, is_resident};
use crate::digest::{Digest, Hasher};
use crate::fs::At as _;
use crate::registry::store::{BlobStream, ChunkSource, FilePiece, OpenBlob, Piece, StoreError};

/// How much is read at a time of what goes out by another way, in bytes.
const SCRATCH: usize = 128 * 1024;

/// What to read of an open blob.
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) digest: Digest,
    pub(super) file: File,
    pub(super) metadata: Metadata,
    pub(super) start: u64,
    pub(super) length: u64,
    /// Whether the digest is computed meanwhile; then the part is the whole.
    pub(super) check: bool,
}

/// A stream of a part of an open file. Where it is checked, its last piece
/// comes only when the digest is right.
pub(super) fn stream(inner: &Arc<Inner>, part: Part) -> BlobStream {
    let Part { path, digest, file, metadata, start, length, check } = part;
    let check = check.then(|| Check {
        inner: Arc::clone(inner),
        hasher: Hasher::new(digest.algorithm()),
        metadata,
    });
    let blob = Arc::new(OpenBlob { file, digest });
    let reader = Box::new(Reader { blob, path, at: start, left: length, check, copies: None });
    let source = FileSource { inner: Arc::clone(inner), state: State::Idle(reader) };
    BlobStream::new(length, source)
}

/// No thread waits for a slow client: each piece is a task of its own, and
/// what the system has in memory already needs no task.
struct FileSource {
    inner: Arc<Inner>,
    state: State,
}

enum State {
    Idle(Box<Reader>),
    Reading(JoinHandle<(Box<Reader>, Result<Piece, StoreError>)>),
    Over,
}

impl FileSource {
    /// The next piece, which `at_once` gives or else `read` in a thread.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
        at_once: impl FnOnce(&Reader, usize) -> Option<Piece>,
        read: impl FnOnce(&mut Reader, usize) -> Result<Piece, StoreError> + Send + 'static,
    ) -> Poll<Option<Result<Piece, StoreError>>> {
        if let State::Idle(reader) = &mut self.state {
            let wanted = usize::try_from(reader.left).unwrap_or(wanted).min(wanted);
            if wanted == 0 {
                return Poll::Ready(None);
            }
            if reader.check.is_none()
                && let Some(piece) = at_once(reader, wanted)
            {
                reader.advance(wanted);
                return Poll::Ready(Some(Ok(piece)));
            }
            let State::Idle(mut reader) = std::mem::replace(&mut self.state, State::Over) else {
                return Poll::Ready(None);
            };
            self.state = State::Reading(tokio::task::spawn_blocking(move || {
                let piece = read(&mut reader, wanted);
                reader.advance(wanted);
                (reader, piece)
            }));
        }
        let State::Reading(task) = &mut self.state else { return Poll::Ready(None) };
        let Poll::Ready(read) = Pin::new(task).poll(cx) else { return Poll::Pending };
        self.state = State::Over;
        Poll::Ready(Some(match read {
            Err(error) => Err(error.into()),
            Ok((_, Err(error))) => Err(error),
            Ok((reader, Ok(piece))) => {
                self.state = State::Idle(reader);
                Ok(piece)
            }
        }))
    }
}

impl ChunkSource for FileSource {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>> {
        let wanted = match &mut self.state {
            State::Idle(reader) => {
                reader.copies.get_or_insert_with(|| self.inner.buffers.join()).size()
            }
            State::Reading(_) | State::Over => 0,
        };
        let piece = self.poll(cx, wanted, Reader::resident_chunk, Reader::chunk);
        piece.map(|piece| {
            Some(piece?.map(|piece| match piece {
                Piece::Bytes(bytes) => bytes,
                // The two ways aren't mixed.
                Piece::File(_) => Bytes::new(),
            }))
        })
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, StoreError>>> {
        self.poll(cx, FilePiece::MAX_LEN, Reader::resident_piece, Reader::piece)
    }
}

/// Where in a file the stream is.
struct Reader {
    blob: Arc<OpenBlob>,
    path: PathBuf,
    at: u64,
    left: u64,
    check: Option<Check>,
    /// The buffers of a stream that is copied.
    copies: Option<Member>,
}

/// The digest of what was read so far.
struct Check {
    inner: Arc<Inner>,
    hasher: Hasher,
    metadata: Metadata,
}

impl Reader {
    fn advance(&mut self, count: usize) {
        self.at += count as u64;
        self.left = self.left.saturating_sub(count as u64);
    }

    fn file_piece(&self, wanted: usize) -> Piece {
        Piece::File(FilePiece { blob: Arc::clone(&self.blob), offset: self.at, length: wanted })
    }

    fn resident_piece(&self, wanted: usize) -> Option<Piece> {
        is_resident(&self.blob.file, self.at, wanted).then(|| self.file_piece(wanted))
    }

    fn resident_chunk(&self, wanted: usize) -> Option<Piece> {
        if !is_resident(&self.blob.file, self.at, wanted) {
            return None;
        }
        let mut buffer = self.buffer(wanted);
        let read = resident::read(&self.blob.file, self.at, buffer.as_mut())?;
        (read == wanted).then(|| Piece::Bytes(buffer.freeze()))
    }

    /// Reads a chunk.
    fn chunk(&mut self, wanted: usize) -> Result<Piece, StoreError> {
        let mut buffer = self.buffer(wanted);
        self.read(buffer.as_mut(), self.at)?;
        if let Some(check) = &mut self.check {
            check.hasher.update(buffer.as_ref());
        }
        self.conclude(wanted)?;
        Ok(Piece::Bytes(buffer.freeze()))
    }

    fn buffer(&self, wanted: usize) -> Buffer {
        match &self.copies {
            Some(copies) => copies.buffer(wanted),
            None => Buffers::default().join().buffer(wanted),
        }
    }

    /// Brings a piece of the file to memory, looking at it on the way where it
    /// has to be checked.
    fn piece(&mut self, wanted: usize) -> Result<Piece, StoreError> {
        let mut scratch = vec![0; SCRATCH.min(wanted)];
        let (mut at, end) = (self.at, self.at + wanted as u64);
        while at < end {
            let count = usize::try_from(end - at).unwrap_or(SCRATCH).min(SCRATCH);
            let buffer = scratch.get_mut(..count).unwrap_or_default();
            self.read(buffer, at)?;
            if let Some(check) = &mut self.check {
                check.hasher.update(buffer);
            }
            at += count as u64;
        }
        self.conclude(wanted)?;
        Ok(self.file_piece(wanted))
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> Result<(), StoreError> {
        match self.blob.file.read_exact_at(buffer, at) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let what = format!("{} ends {} bytes early", self.path.display(), self.left);
                Err(StoreError::Damaged { digest: self.blob.digest.clone(), what })
            }
            read => Ok(read.at("read", &self.path)?),
        }
    }

    /// Compares the digest once all but the last `wanted` bytes were sent.
    fn conclude(&mut self, wanted: usize) -> Result<(), StoreError> {
        if self.left != wanted as u64 {
            return Ok(());
        }
        let Some(Check { inner, hasher, metadata }) = self.check.take() else { return Ok(()) };
        let digest = &self.blob.digest;
        if hasher.finish() == *digest {
            inner.verified(digest, &metadata);
            return Ok(());
        }
        match inner.refuted(digest, &metadata) {
            Ok(true) => {
                tracing::error!(%digest, "content was damaged when it was pulled; it is in quarantine until it is pushed again");
            }
            // It was pushed again meanwhile, or removed.
            Ok(false) => {}
            Err(error) => tracing::error!(%digest, %error, "damaged content can't be set aside"),
        }
        let what = format!("{} has other content", self.path.display());
        Err(StoreError::Damaged { digest: digest.clone(), what })
    }
}
