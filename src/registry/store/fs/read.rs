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
use super::resident;
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
    /// Whether it is all of it.
    pub(super) whole: bool,
    /// Whether the digest is computed meanwhile; then the part is the whole.
    pub(super) check: bool,
}

/// A stream of a part of an open file. Where it is checked, its last piece
/// comes only when the digest is right.
pub(super) fn stream(inner: &Arc<Inner>, part: Part) -> BlobStream {
    let Part { path, digest, file, metadata, start, length, whole, check } = part;
    let check = check.then(|| Hasher::new(digest.algorithm()));
    let blob = Arc::new(OpenBlob { file, digest });
    let reader = Box::new(Reader {
        inner: Arc::clone(inner),
        blob,
        path,
        metadata,
        at: start,
        left: length,
        trusted: whole && check.is_none(),
        check,
        copies: None,
    });
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
    inner: Arc<Inner>,
    blob: Arc<OpenBlob>,
    path: PathBuf,
    metadata: Metadata,
    at: u64,
    left: u64,
    /// The digest of what was read so far.
    check: Option<Hasher>,
    /// Whether this is the whole of a content of which all was in memory, as it
    /// was when its digest was found to be right.
    trusted: bool,
    /// The buffers of a stream that is copied.
    copies: Option<Member>,
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
        self.is_resident(wanted).then(|| self.file_piece(wanted))
    }

    fn resident_chunk(&self, wanted: usize) -> Option<Piece> {
        if !self.is_resident(wanted) {
            return None;
        }
        let mut buffer = self.buffer(wanted);
        let read = resident::read(&self.blob.file, self.at, buffer.as_mut())?;
        (read == wanted).then(|| Piece::Bytes(buffer.freeze()))
    }

    fn is_resident(&self, wanted: usize) -> bool {
        (self.inner.resident)(&self.blob.file, self.at, wanted as u64)
    }

    /// Reads a chunk.
    fn chunk(&mut self, wanted: usize) -> Result<Piece, StoreError> {
        let mut buffer = self.buffer(wanted);
        self.begin_to_doubt()?;
        self.read(buffer.as_mut(), self.at)?;
        if let Some(hasher) = &mut self.check {
            hasher.update(buffer.as_ref());
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
        self.begin_to_doubt()?;
        self.look_through(self.at, self.at + wanted as u64)?;
        self.conclude(wanted)?;
        Ok(self.file_piece(wanted))
    }

    /// Reads a part of the file.
    fn look_through(&mut self, from: u64, end: u64) -> Result<(), StoreError> {
        let most = usize::try_from(end.saturating_sub(from)).unwrap_or(SCRATCH).min(SCRATCH);
        let (mut scratch, mut at) = (vec![0; most], from);
        while at < end {
            let count = usize::try_from(end - at).unwrap_or(SCRATCH).min(SCRATCH);
            let buffer = scratch.get_mut(..count).unwrap_or_default();
            self.read(buffer, at)?;
            if let Some(hasher) = &mut self.check {
                hasher.update(buffer);
            }
            at += count as u64;
        }
        Ok(())
    }

    /// What is read here was not in memory any more, though all of it was when
    /// the stream began. A disk may have lost bits meanwhile, so what went out is
    /// looked at too.
    fn begin_to_doubt(&mut self) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.trusted) {
            return Ok(());
        }
        self.check = Some(Hasher::new(self.blob.digest.algorithm()));
        self.look_through(0, self.at)
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> Result<(), StoreError> {
        let read = self
            .inner
            .disk
            .may_read(&self.path)
            .and_then(|()| self.blob.file.read_exact_at(buffer, at));
        match read {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let what = format!("{} ends {} bytes early", self.path.display(), self.left);
                Err(StoreError::Damaged { digest: self.blob.digest.clone(), what })
            }
            Err(error) => {
                self.inner.unreadable(&self.blob.digest, &self.metadata, &error);
                Err(error).at("read", &self.path).map_err(StoreError::from)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Compares the digest once all but the last `wanted` bytes were sent.
    fn conclude(&mut self, wanted: usize) -> Result<(), StoreError> {
        if self.left != wanted as u64 {
            return Ok(());
        }
        let Some(hasher) = self.check.take() else { return Ok(()) };
        let digest = &self.blob.digest;
        if hasher.finish() == *digest {
            self.inner.verified(digest, &self.metadata);
            return Ok(());
        }
        match self.inner.refuted(digest, &self.metadata) {
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::registry::name::RepositoryName;
    use crate::registry::store::{FsStore, Store as _, UploadWriter as _};

    /// Large enough for several pieces of every way out.
    const LENGTH: usize = 9 << 20;

    fn here() -> RepositoryName {
        "a".parse().unwrap()
    }

    async fn pushed(store: &FsStore) -> Digest {
        let bytes: Vec<u8> = (0..=250).cycle().take(LENGTH).collect();
        let digest = Digest::sha256(&bytes);
        let mut upload = store.upload_once(&here(), digest.algorithm()).await.unwrap();
        upload.write(Bytes::from(bytes)).await.unwrap();
        upload.finish(&digest).await.unwrap();
        digest
    }

    /// Loses a bit as a disk does, without a trace in the file's times: as far as
    /// this process knows it has just read the right bytes there.
    fn rot(store: &FsStore, digest: &Digest) {
        let path = store.inner.layout.blob(digest);
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(b"rotten", 5 << 20).unwrap();
        (&file).flush().unwrap();
        store.inner.verified(digest, &file.metadata().unwrap());
    }

    /// How many bytes come, and whether the stream ends well.
    async fn pull(store: &FsStore, digest: &Digest, by_pieces: bool) -> (usize, bool) {
        let read = store.blob_read(&here(), digest, None).await.unwrap().unwrap();
        let (mut stream, mut count) = (read.stream, 0);
        loop {
            let next = std::future::poll_fn(|cx| {
                if by_pieces {
                    stream.poll_piece(cx)
                } else {
                    stream.poll_chunk(cx).map(|chunk| chunk.map(|bytes| bytes.map(Piece::Bytes)))
                }
            });
            match next.await {
                None => return (count, true),
                Some(Err(_)) => return (count, false),
                Some(Ok(Piece::Bytes(bytes))) => count += bytes.len(),
                Some(Ok(Piece::File(piece))) => count += piece.length,
            }
        }
    }

    #[tokio::test]
    async fn what_comes_from_the_disk_again_is_checked_again() {
        for by_pieces in [false, true] {
            let root = tempfile::tempdir().unwrap();
            let mut store = FsStore::open(root.path()).unwrap();
            let digest = pushed(&store).await;
            Arc::get_mut(&mut store.inner).unwrap().resident = |_, _, _| true;
            assert_eq!(pull(&store, &digest, by_pieces).await, (LENGTH, true));
            Arc::get_mut(&mut store.inner).unwrap().resident = |_, _, _| false;
            assert_eq!(pull(&store, &digest, by_pieces).await, (LENGTH, true));
            rot(&store, &digest);
            let (count, well) = pull(&store, &digest, by_pieces).await;
            assert!(count < LENGTH && !well, "{by_pieces}: {count}");
            assert_eq!(store.blob_size(&here(), &digest).await.unwrap(), None, "it is set aside");
        }
    }

    /// Whether the memory keeps the file as long as the stream goes on.
    static KEPT: AtomicBool = AtomicBool::new(true);

    #[tokio::test]
    async fn what_the_memory_loses_under_a_stream_is_checked_from_its_beginning() {
        let root = tempfile::tempdir().unwrap();
        let mut store = FsStore::open(root.path()).unwrap();
        let digest = pushed(&store).await;
        rot(&store, &digest);
        // All of it is there in the beginning, and the end is not when it is due.
        Arc::get_mut(&mut store.inner).unwrap().resident =
            |_, offset, _| KEPT.load(Ordering::Relaxed) || offset < 7 << 20;
        let read = store.blob_read(&here(), &digest, None).await.unwrap().unwrap();
        KEPT.store(false, Ordering::Relaxed);
        let (mut stream, mut count) = (read.stream, 0);
        let end = loop {
            match std::future::poll_fn(|cx| stream.poll_chunk(cx)).await {
                Some(Ok(bytes)) => count += bytes.len(),
                end => break end,
            }
        };
        assert!(matches!(end, Some(Err(StoreError::Damaged { .. }))), "{count}");
        assert!((7 << 20..LENGTH).contains(&count), "{count}");
    }
}
