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
mod tests;
