//! Parts of files on their way from a response to its connection.
//!
//! The HTTP library moves bytes in memory and nothing else. So a body gives it
//! a placeholder for each part of a file: a slice of a region that is never
//! written to and never read, as long as the part. The connection recognises
//! the slice by its address when it comes out at the other end, and has the
//! system send the part of the file instead. Parts come out in the order that
//! they went in, and each has its place in the region; what comes out of turn
//! ends the connection, so that no placeholder is ever taken for content.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::registry::store::FilePiece;

/// How large the region of the placeholders is, in bytes: no two parts next to
/// each other have the same place in it.
const REGION: usize = 4 * FilePiece::MAX_LEN;

/// The region. The system gives it addresses but, as nobody touches it, no
/// memory.
static PLACEHOLDERS: LazyLock<Box<[u8]>> = LazyLock::new(|| vec![0; REGION].into());

/// What one connection still has to send of files.
#[derive(Clone, Debug, Default)]
pub struct Handoff(Arc<Mutex<Parts>>);

#[derive(Debug, Default)]
struct Parts {
    waiting: VecDeque<Part>,
    /// Where in the region the next one goes.
    next: usize,
}

#[derive(Debug)]
struct Part {
    piece: FilePiece,
    /// The place of its placeholder in the region.
    place: usize,
}

impl Handoff {
    /// Takes a part of a file and gives what stands for it.
    ///
    /// # Errors
    /// Where the part is empty or longer than [`FilePiece::MAX_LEN`].
    pub fn put(&self, piece: FilePiece) -> io::Result<Bytes> {
        let mut parts = self.lock();
        let length = piece.length;
        let place = if parts.next + length > REGION { 0 } else { parts.next };
        let placeholder = PLACEHOLDERS.get(place..place + length);
        let placeholder = placeholder
            .filter(|_| (1..=FilePiece::MAX_LEN).contains(&length))
            .ok_or_else(|| io::Error::other("a part of a file has no length that it may have"))?;
        parts.next = place + length;
        parts.waiting.push_back(Part { piece, place });
        Ok(Bytes::from_static(placeholder))
    }

    /// The part of a file that these bytes stand for; `None` where they stand
    /// for themselves.
    ///
    /// # Errors
    /// Where they stand for no part, or for one whose turn it isn't.
    pub fn part(&self, bytes: &[u8]) -> io::Result<Option<FilePiece>> {
        let Some(place) = place(bytes) else { return Ok(None) };
        let parts = self.lock();
        match parts.waiting.front() {
            Some(part) if part.place == place && bytes.len() <= part.piece.length => {
                Ok(Some(FilePiece { length: bytes.len(), ..part.piece.clone() }))
            }
            _ => Err(io::Error::other("a part of a file came out of turn")),
        }
    }

    /// So many bytes of the first part were sent.
    pub fn advance(&self, count: usize) {
        let mut parts = self.lock();
        let Some(part) = parts.waiting.front_mut() else { return };
        part.piece.offset += count as u64;
        part.place += count;
        part.piece.length = part.piece.length.saturating_sub(count);
        if part.piece.length == 0 {
            parts.waiting.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether these bytes stand for a part of a file.
#[must_use]
pub fn is_placeholder(bytes: &[u8]) -> bool {
    place(bytes).is_some()
}

/// Where in the region bytes lie.
fn place(bytes: &[u8]) -> Option<usize> {
    let place = bytes.as_ptr().addr().checked_sub(PLACEHOLDERS.as_ptr().addr())?;
    (place < REGION && !bytes.is_empty()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::registry::store::OpenBlob;

    fn piece(offset: u64, length: usize) -> FilePiece {
        let file = std::fs::File::open("/dev/null").unwrap();
        let blob = Arc::new(OpenBlob { file, digest: Digest::sha256(b"") });
        FilePiece { blob, offset, length }
    }

    #[test]
    fn parts_come_out_as_they_went_in() {
        let handoff = Handoff::default();
        let lengths = [1, FilePiece::MAX_LEN, 7, FilePiece::MAX_LEN, FilePiece::MAX_LEN, 4096];
        for round in 0..20 {
            let placeholders: Vec<_> =
                lengths.iter().map(|length| handoff.put(piece(round, *length)).unwrap()).collect();
            for (placeholder, length) in placeholders.iter().zip(lengths) {
                assert!(is_placeholder(placeholder));
                let half = length / 2;
                let found = handoff.part(placeholder).unwrap().unwrap();
                assert_eq!((found.offset, found.length), (round, length));
                handoff.advance(half);
                let rest = handoff.part(&placeholder[half..]).unwrap().unwrap();
                assert_eq!((rest.offset, rest.length), (round + half as u64, length - half));
                handoff.advance(length - half);
            }
        }
        assert!(handoff.lock().waiting.is_empty());
    }

    #[test]
    fn what_comes_out_of_turn_is_an_error() {
        let handoff = Handoff::default();
        let first = handoff.put(piece(0, 10)).unwrap();
        let second = handoff.put(piece(0, 10)).unwrap();
        assert!(handoff.part(&second).is_err());
        assert!(handoff.part(&first[1..]).is_err());
        assert!(Handoff::default().part(&first).is_err(), "of another connection");
        handoff.advance(10);
        assert!(handoff.part(&first).is_err(), "a second time");
        assert!(handoff.part(&second).unwrap().is_some());
        assert!(handoff.part(b"bytes").unwrap().is_none());
        assert!(handoff.put(piece(0, 0)).is_err());
        assert!(handoff.put(piece(0, FilePiece::MAX_LEN + 1)).is_err());
    }
}
