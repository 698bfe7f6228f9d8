//! Reading blobs, a piece at a time and only when the client takes it.

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::ops::{Range, RangeInclusive};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::Inner;
use super::buffers::{Buffer, Buffers, Member};
use super::marks::{Parts, Trail};
use super::resident::{self, Resident};
use super::stamp::Stamp;
use crate::digest::{Algorithm, Digest};
use crate::fs::At as _;
use crate::registry::store::{BlobStream, ChunkSource, FilePiece, OpenBlob, Piece, StoreError};

/// How much is read at a time of what goes out by another way, in bytes.
const SCRATCH: usize = 128 * 1024;

/// Farther than a system reads ahead of what it is asked for, in bytes. So far
/// behind what it has to read a stream asks what is in memory, before reading can
/// have brought it there, and twice as much is doubted where something is not.
const AHEAD: u64 = 32 * 1024 * 1024;

/// What to read of an open blob.
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) digest: Digest,
    pub(super) file: File,
    pub(super) metadata: Metadata,
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) check: Check,
}

/// What the bytes are compared with before they go out.
pub(super) enum Check {
    /// Nothing: a part of content that is not known to be right.
    Nothing,
    /// The whole with its digest, as it goes out: the last piece comes only when
    /// that is right.
    Whole(Box<Trail>),
    /// What was right and has come from the disk again since, grain by grain.
    Parts(Known),
}

/// Content that was right.
pub(super) struct Known {
    parts: Arc<Parts>,
    /// Up to where it was asked whether it is in memory.
    asked: u64,
    /// How much is doubted where something is found missing next: more where what
    /// is behind it was missing too.
    stretch: u64,
    /// The grain that this stream has compared last: a system that can't say what
    /// it has in memory isn't asked for it once more.
    compared: Option<u64>,
}

impl Check {
    /// Of content that is not known to be right, all of which is wanted.
    pub(super) fn whole(algorithm: Algorithm) -> Self {
        Self::Whole(Box::new(Trail::new(algorithm)))
    }

    /// Of content that was right, from here on.
    pub(super) fn parts(parts: Arc<Parts>, start: u64) -> Self {
        Self::Parts(Known { parts, asked: start, stretch: 2 * AHEAD, compared: None })
    }
}

/// A stream of a part of an open file.
pub(super) fn stream(inner: &Arc<Inner>, part: Part) -> BlobStream {
    let Part { path, digest, file, metadata, start, length, check } = part;
    let blob = Arc::new(OpenBlob { file, digest });
    let reader = Box::new(Reader {
        inner: Arc::clone(inner),
        blob,
        path,
        metadata,
        at: start,
        left: length,
        check,
        found: None,
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
        at_once: impl FnOnce(&mut Reader, usize) -> Option<Piece>,
        read: impl FnOnce(&mut Reader, usize) -> Result<Piece, StoreError> + Send + 'static,
    ) -> Poll<Option<Result<Piece, StoreError>>> {
        if let State::Idle(reader) = &mut self.state {
            let wanted = usize::try_from(reader.left).unwrap_or(wanted).min(wanted);
            if wanted == 0 {
                return Poll::Ready(None);
            }
            if reader.is_trusted(wanted)
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
    check: Check,
    /// Whether the next bytes are in memory, as far as it was asked: to ask once more
    /// says nothing, since it may have brought them.
    found: Option<Resident>,
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

    fn resident_piece(&mut self, wanted: usize) -> Option<Piece> {
        self.is_resident(wanted).then(|| self.file_piece(wanted))
    }

    fn resident_chunk(&mut self, wanted: usize) -> Option<Piece> {
        if !self.is_resident(wanted) {
            return None;
        }
        let mut buffer = self.buffer(wanted);
        if resident::read(&self.blob.file, self.at, buffer.as_mut()) == Some(wanted) {
            return Some(Piece::Bytes(buffer.freeze()));
        }
        self.found = Some(Resident::No);
        None
    }

    fn is_resident(&mut self, wanted: usize) -> bool {
        let found = (self.inner.resident)(&self.blob.file, self.at, wanted as u64);
        self.found = Some(found);
        found == Resident::Yes
    }

    /// Whether the next bytes may go out as the memory has them.
    fn is_trusted(&mut self, wanted: usize) -> bool {
        self.found = None;
        match &self.check {
            Check::Nothing => true,
            Check::Whole(_) => false,
            Check::Parts(known) => {
                self.grains(&known.parts, wanted).all(|grain| !known.parts.is_doubtful(grain))
            }
        }
    }

    /// The grains that the next bytes are in.
    fn grains(&self, parts: &Parts, wanted: usize) -> RangeInclusive<u64> {
        let end = self.at + wanted as u64;
        parts.grain(self.at)..=parts.grain(end.saturating_sub(1))
    }

    /// Asks what is in memory behind a place up to which it is about to read, before
    /// the system can have brought it there.
    fn ask_ahead(&mut self, parts: &Parts, place: u64) {
        let Check::Parts(known) = &mut self.check else { return };
        known.asked = known.asked.max(place);
        if known.asked >= place + AHEAD {
            return;
        }
        // Twice as far, so that it is asked now and then.
        while known.asked < parts.size().min(place + 2 * AHEAD) {
            let grain = parts.grain(known.asked);
            let bounds = parts.bounds(grain);
            let length = bounds.end - bounds.start;
            if parts.is_doubtful(grain) {
                known.asked = bounds.end;
            } else if (self.inner.resident)(&self.blob.file, bounds.start, length) == Resident::Yes
            {
                (known.asked, known.stretch) = (bounds.end, 2 * AHEAD);
            } else {
                // To ask of what isn't there brings a page of it, which tears what
                // the system would read in large pieces. So it is seldom asked where
                // much is missing.
                known.asked = parts.doubt(bounds.start..bounds.start + known.stretch);
                known.stretch *= 2;
            }
        }
    }

    /// Reads a chunk.
    fn chunk(&mut self, wanted: usize) -> Result<Piece, StoreError> {
        self.compare(wanted)?;
        let mut buffer = self.buffer(wanted);
        self.read(buffer.as_mut(), self.at)?;
        if let Check::Whole(trail) = &mut self.check {
            trail.update(buffer.as_ref());
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
        self.compare(wanted)?;
        let range = self.at..self.at + wanted as u64;
        // What was compared is there.
        match std::mem::replace(&mut self.check, Check::Nothing) {
            Check::Nothing => self.look_through(range, |_| {})?,
            Check::Whole(mut trail) => {
                self.look_through(range, |bytes| trail.update(bytes))?;
                self.check = Check::Whole(trail);
            }
            known @ Check::Parts(_) => self.check = known,
        }
        self.conclude(wanted)?;
        Ok(self.file_piece(wanted))
    }

    /// Reads a part of the file, and shows it piece by piece.
    fn look_through(
        &self,
        range: Range<u64>,
        mut show: impl FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        let Range { start: mut at, end } = range;
        let most = usize::try_from(end.saturating_sub(at)).unwrap_or(SCRATCH).min(SCRATCH);
        let mut scratch = vec![0; most];
        while at < end {
            let count = usize::try_from(end - at).unwrap_or(SCRATCH).min(SCRATCH);
            let buffer = scratch.get_mut(..count).unwrap_or_default();
            self.read(buffer, at)?;
            show(buffer);
            at += count as u64;
        }
        Ok(())
    }

    /// Compares what the next bytes have of content that was right and that has
    /// come, or comes now, from the disk again: that may have lost bits under
    /// times that stay.
    fn compare(&mut self, wanted: usize) -> Result<(), StoreError> {
        let Check::Parts(known) = &self.check else { return Ok(()) };
        let (parts, compared) = (Arc::clone(&known.parts), known.compared);
        let found = self.found.take();
        for grain in self.grains(&parts, wanted) {
            let bounds = parts.bounds(grain);
            if !parts.is_doubtful(grain) {
                let start = bounds.start.max(self.at);
                let length = bounds.end.min(self.at + wanted as u64).saturating_sub(start);
                let look = || (self.inner.resident)(&self.blob.file, start, length);
                match found.unwrap_or_else(look) {
                    Resident::Yes => continue,
                    Resident::Unknown if compared == Some(grain) => continue,
                    Resident::Unknown | Resident::No => {}
                }
                parts.doubt(bounds.clone());
            }
            self.ask_ahead(&parts, bounds.end);
            let compare = || {
                let Some(mut hasher) = parts.before(grain) else { return Ok(false) };
                self.look_through(bounds, |bytes| hasher.update(bytes))?;
                Ok::<_, StoreError>(parts.is_after(grain, hasher))
            };
            if !parts.compare(grain, compare)? {
                return self.compare_all();
            }
            if let Check::Parts(known) = &mut self.check {
                known.compared = Some(grain);
            }
        }
        Ok(())
    }

    /// Compares the whole with its digest, which decides: a mark may be wrong.
    fn compare_all(&mut self) -> Result<(), StoreError> {
        if self.inner.verified.is_refuted(&self.blob.digest, &Stamp::of(&self.metadata)) {
            return Err(self.damaged(format!("{} has other content", self.path.display())));
        }
        let mut trail = Trail::new(self.blob.digest.algorithm());
        self.look_through(0..self.metadata.len(), |bytes| trail.update(bytes))?;
        self.judge(trail)
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> Result<(), StoreError> {
        let read = self
            .inner
            .disk
            .may_read(&self.path)
            .and_then(|()| self.blob.file.read_exact_at(buffer, at));
        match read {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(self.damaged(format!("{} ends early", self.path.display())))
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
        match std::mem::replace(&mut self.check, Check::Nothing) {
            Check::Whole(trail) => self.judge(*trail),
            other => {
                self.check = other;
                Ok(())
            }
        }
    }

    /// Says of the whole whether it has its digest.
    fn judge(&mut self, trail: Trail) -> Result<(), StoreError> {
        let digest = &self.blob.digest;
        let (found, marks) = trail.finish();
        if found == *digest {
            let parts = self.inner.verified(digest, &self.metadata, marks);
            self.check = Check::parts(parts, self.at);
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
        Err(self.damaged(format!("{} has other content", self.path.display())))
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::Damaged { digest: self.blob.digest.clone(), what }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Instant;

    use super::super::marks::Marks;
    use super::*;
    use crate::registry::name::RepositoryName;
    use crate::registry::store::{FsStore, Store as _, UploadWriter as _};

    const MIB: u64 = 1 << 20;

    /// Large enough for several pieces of every way out, and several grains.
    const LENGTH: u64 = 9 * MIB + 5;

    /// Says what is in memory of a file: from this byte on, of this length.
    type Memory = fn(&File, u64, u64) -> Resident;

    fn here() -> RepositoryName {
        "a".parse().unwrap()
    }

    fn content() -> Bytes {
        (0..=250).cycle().take(usize::try_from(LENGTH).unwrap()).collect()
    }

    async fn pushed(store: &FsStore) -> Digest {
        let digest = Digest::sha256(&content());
        let mut upload = store.upload_once(&here(), digest.algorithm()).await.unwrap();
        upload.write(content()).await.unwrap();
        upload.finish(&digest).await.unwrap();
        digest
    }

    /// A store with one content, of which this is in memory.
    async fn with_content(memory: Memory) -> (tempfile::TempDir, FsStore, Digest) {
        let root = tempfile::tempdir().unwrap();
        let mut store = FsStore::open(root.path()).unwrap();
        let digest = pushed(&store).await;
        set(&mut store, memory);
        (root, store, digest)
    }

    fn there(is: bool) -> Resident {
        if is { Resident::Yes } else { Resident::No }
    }

    fn set(store: &mut FsStore, memory: Memory) {
        Arc::get_mut(&mut store.inner).unwrap().resident = memory;
    }

    fn stamp(store: &FsStore, digest: &Digest) -> Stamp {
        store.inner.disk.stamp(&store.inner.layout.blob(digest)).unwrap().unwrap()
    }

    fn parts(store: &FsStore, digest: &Digest) -> Arc<Parts> {
        let stamp = stamp(store, digest);
        store.inner.verified.parts(digest, &stamp, Instant::now()).unwrap()
    }

    /// Loses a bit as a disk does, without a trace in the file's times: as far as
    /// this process knows it has just read the right bytes there.
    fn rot(store: &FsStore, digest: &Digest, at: u64) {
        let parts = parts(store, digest);
        let path = store.inner.layout.blob(digest);
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(b"\xff", at).unwrap();
        (&file).flush().unwrap();
        store.inner.verified.enter(digest, stamp(store, digest), parts, Instant::now());
    }

    /// How many bytes come, and whether the stream ends well.
    async fn pull(
        store: &FsStore,
        digest: &Digest,
        range: Option<Range<u64>>,
        by_pieces: bool,
    ) -> (u64, bool) {
        let read = store.blob_read(&here(), digest, range).await.unwrap().unwrap();
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
                Some(Err(StoreError::Damaged { .. })) => return (count, false),
                Some(Err(error)) => panic!("{error}"),
                Some(Ok(Piece::Bytes(bytes))) => count += bytes.len() as u64,
                Some(Ok(Piece::File(piece))) => count += piece.length as u64,
            }
        }
    }

    async fn is_there(store: &FsStore, digest: &Digest) -> bool {
        store.blob_size(&here(), digest).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn what_comes_from_the_disk_again_is_checked_again() {
        let missing: [Memory; 2] = [|_, _, _| Resident::No, |_, _, _| Resident::Unknown];
        for (by_pieces, missing) in [false, true].into_iter().zip(missing) {
            let (_root, mut store, digest) = with_content(|_, _, _| Resident::Yes).await;
            assert_eq!(pull(&store, &digest, None, by_pieces).await, (LENGTH, true));
            set(&mut store, missing);
            assert_eq!(pull(&store, &digest, None, by_pieces).await, (LENGTH, true));
            rot(&store, &digest, 6 * MIB - 1);
            assert_eq!(pull(&store, &digest, None, by_pieces).await, (5 * MIB, false));
            assert!(!is_there(&store, &digest).await, "it is set aside");
        }
    }

    #[tokio::test]
    async fn a_part_is_checked_too_where_it_comes_from_the_disk_again() {
        for by_pieces in [false, true] {
            let (_root, store, digest) = with_content(|_, _, _| Resident::No).await;
            rot(&store, &digest, 5 * MIB + 7);
            for elsewhere in [0..5 * MIB, 6 * MIB..LENGTH, 77..78, 8 * MIB + 3..LENGTH] {
                let length = elsewhere.end - elsewhere.start;
                let found = pull(&store, &digest, Some(elsewhere), by_pieces).await;
                assert_eq!(found, (length, true));
            }
            // All of a grain is looked at, not what is asked for alone.
            let near = Some(5 * MIB + 100..5 * MIB + 200);
            assert_eq!(pull(&store, &digest, near, by_pieces).await, (0, false));
            assert!(!is_there(&store, &digest).await, "it is set aside");
        }
    }

    #[tokio::test]
    async fn what_stayed_in_memory_is_not_read_again() {
        for by_pieces in [false, true] {
            let part: Memory = |_, start, length| there(start + length <= 8 * MIB);
            let (_root, mut store, digest) = with_content(part).await;
            // The test's disk rots in memory too, which is how it can tell.
            for at in [0, 8 * MIB - 1] {
                rot(&store, &digest, at);
            }
            assert_eq!(pull(&store, &digest, None, by_pieces).await, (LENGTH, true));
            // Now all of it is there, and was compared.
            set(&mut store, |_, _, _| Resident::Yes);
            rot(&store, &digest, LENGTH - 1);
            assert_eq!(pull(&store, &digest, None, by_pieces).await, (LENGTH, true));
            set(&mut store, part);
            rot(&store, &digest, 8 * MIB);
            assert_eq!(pull(&store, &digest, None, by_pieces).await, (8 * MIB, false));
        }
    }

    #[tokio::test]
    async fn a_hole_in_memory_is_found_wherever_it_is_and_doubt_has_an_end() {
        const FIRST: u64 = 90 * MIB;
        const HOLE: u64 = 100 * MIB;
        const SIZE: u64 = 3 * HOLE;
        let holes: Memory = |_, start, length| {
            there([FIRST, HOLE].iter().all(|at| start + length <= *at || start >= at + MIB))
        };
        let (_root, store, _) = with_content(holes).await;
        let bytes = Bytes::from(vec![7; usize::try_from(SIZE).unwrap()]);
        let digest = Digest::sha256(&bytes);
        let mut upload = store.upload_once(&here(), digest.algorithm()).await.unwrap();
        upload.write(bytes).await.unwrap();
        upload.finish(&digest).await.unwrap();
        // What was there is not compared, nor is what lies far behind what was not.
        for at in [FIRST - 1, FIRST + MIB, HOLE - 1, HOLE + 2 * AHEAD] {
            rot(&store, &digest, at);
        }
        assert_eq!(pull(&store, &digest, None, true).await, (SIZE, true));
        // What may have been read with it is.
        rot(&store, &digest, HOLE + AHEAD);
        assert_eq!(pull(&store, &digest, None, true).await, (HOLE + AHEAD, false));
    }

    /// Whether the memory keeps the file as long as the stream goes on.
    static KEPT: AtomicBool = AtomicBool::new(true);

    #[tokio::test]
    async fn what_the_memory_loses_under_a_stream_is_checked() {
        let kept: Memory = |_, start, _| there(KEPT.load(Ordering::Relaxed) || start < 7 * MIB);
        let (_root, store, digest) = with_content(kept).await;
        rot(&store, &digest, 8 * MIB);
        let read = store.blob_read(&here(), &digest, None).await.unwrap().unwrap();
        let (mut stream, mut count) = (read.stream, 0);
        let end = loop {
            // All of it is there in the beginning, and the end is not when it is due.
            match std::future::poll_fn(|cx| stream.poll_chunk(cx)).await {
                Some(Ok(bytes)) => count += bytes.len() as u64,
                end => break end,
            }
            KEPT.store(false, Ordering::Relaxed);
        };
        assert!(matches!(end, Some(Err(StoreError::Damaged { .. }))), "{count}");
        assert_eq!(count, 8 * MIB);
    }

    /// How often it was asked for the end of the file.
    static ASKED: AtomicUsize = AtomicUsize::new(0);

    #[tokio::test]
    async fn what_the_system_reads_ahead_is_checked() {
        // It is not there at first; reading the beginning brings it.
        let ahead: Memory = |_, start, length| {
            let asked = || ASKED.fetch_add(1, Ordering::Relaxed) > 0;
            there(start > 0 && (start + length <= 8 * MIB || asked()))
        };
        let (_root, store, digest) = with_content(ahead).await;
        rot(&store, &digest, LENGTH - 1);
        // Who brings it wants nothing of it.
        assert_eq!(pull(&store, &digest, Some(0..1000), true).await, (1000, true));
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
        assert_eq!(pull(&store, &digest, Some(MIB..LENGTH), true).await, (8 * MIB, false));
    }

    /// How often it was asked for a piece.
    static AGAIN: AtomicUsize = AtomicUsize::new(0);

    #[tokio::test]
    async fn what_a_look_brings_is_checked() {
        for by_pieces in [false, true] {
            AGAIN.store(0, Ordering::Relaxed);
            let looked: Memory =
                |_, start, _| there(start != 5 * MIB || AGAIN.fetch_add(1, Ordering::Relaxed) > 0);
            let (_root, store, digest) = with_content(looked).await;
            rot(&store, &digest, 5 * MIB + 1000);
            assert_eq!(pull(&store, &digest, None, by_pieces).await, (5 * MIB, false));
        }
    }

    #[tokio::test]
    async fn what_was_compared_and_lost_again_is_compared_again() {
        // Who can't say what is in memory compares each grain once.
        for (memory, again) in [(Resident::No, true), (Resident::Unknown, false)] {
            let (_root, mut store, digest) = with_content(|_, _, _| Resident::No).await;
            if memory == Resident::Unknown {
                set(&mut store, |_, _, _| Resident::Unknown);
            }
            let read = store.blob_read(&here(), &digest, Some(5 * MIB..6 * MIB)).await.unwrap();
            let mut stream = read.unwrap().stream;
            let first = std::future::poll_fn(|cx| stream.poll_chunk(cx)).await.unwrap().unwrap();
            assert!((first.len() as u64) < MIB / 2, "{}", first.len());
            rot(&store, &digest, 6 * MIB - 1);
            let second = std::future::poll_fn(|cx| stream.poll_chunk(cx)).await.unwrap();
            assert_eq!(second.is_err(), again);
        }
    }

    #[tokio::test]
    async fn where_a_mark_is_wrong_the_digest_decides() {
        for by_pieces in [false, true] {
            let (_root, store, digest) = with_content(|_, _, _| Resident::No).await;
            let none = Arc::new(Parts::new(&digest, LENGTH, Marks::default()));
            store.inner.verified.enter(&digest, stamp(&store, &digest), none, Instant::now());
            assert_eq!(pull(&store, &digest, None, by_pieces).await, (LENGTH, true));
            assert!(parts(&store, &digest).before(8).is_some(), "the right ones are known now");
            assert!(is_there(&store, &digest).await);
        }
    }

    #[tokio::test]
    async fn an_upload_of_several_chunks_has_all_its_marks() {
        let root = tempfile::tempdir().unwrap();
        let store = FsStore::open(root.path()).unwrap();
        let digest = Digest::sha256(&content());
        let id = store.upload_create(&here(), digest.algorithm()).await.unwrap();
        let mut rest = content();
        while !rest.is_empty() {
            let chunk = rest.split_to(rest.len().min(2_222_222));
            let mut upload = store.upload_resume(&here(), &id).await.unwrap().unwrap();
            upload.write(chunk).await.unwrap();
            upload.pause().await.unwrap();
        }
        // What was hashed is not read again.
        let data = store.inner.layout.upload(&id).join("data");
        let file = std::fs::OpenOptions::new().write(true).open(data).unwrap();
        file.write_all_at(b"\xff", 77).unwrap();
        let upload = store.upload_resume(&here(), &id).await.unwrap().unwrap();
        upload.finish(&digest).await.unwrap();
        let parts = parts(&store, &digest);
        assert!((0..10).all(|grain| parts.before(grain).is_some()));
        assert!(parts.before(10).is_none());
    }
}
