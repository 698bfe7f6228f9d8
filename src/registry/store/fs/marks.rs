//! Where a hash was on its way through a content. With them a part of it can be
//! compared alone: the hash goes on from the mark before it and has to arrive at
//! the mark behind it.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use crate::digest::{Algorithm, Digest, Hasher};

/// How far apart the marks of a content are at least, in bytes.
const GRAIN: u64 = 1 << 20;

/// At most so many marks of a content. Where there would be more every other one
/// goes.
const MOST: usize = 4096;

/// A hash on its way through a content, with the marks that it leaves.
pub(super) struct Trail {
    hasher: Hasher,
    at: u64,
    marks: Marks,
}

impl Trail {
    /// At the beginning.
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self { hasher: Hasher::new(algorithm), at: 0, marks: Marks::default() }
    }

    /// Goes on from a place with what was there; nothing where the marks are not
    /// those of the way there.
    pub(super) fn resume(hasher: Hasher, at: u64, marks: Marks) -> Option<Self> {
        marks.reach(at).then_some(Self { hasher, at, marks })
    }

    /// How far it is, in bytes.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The hash of all that is behind.
    pub(super) fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// The marks that were left.
    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Takes the next bytes.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let next = self.marks.grain - self.at % self.marks.grain;
            let count = usize::try_from(next).map_or(bytes.len(), |next| next.min(bytes.len()));
            let (now, rest) = bytes.split_at(count);
            self.hasher.update(now);
            self.at += count as u64;
            bytes = rest;
            if count as u64 == next {
                self.marks.note(&self.hasher, self.at);
            }
        }
    }

    /// Back to a place where the hash was this one.
    pub(super) fn back(mut self, at: u64, hasher: Hasher) -> Self {
        self.marks.truncate(at);
        Self { hasher, at, marks: self.marks }
    }

    /// At the end: the digest, and the marks.
    pub(super) fn finish(self) -> (Digest, Marks) {
        (self.hasher.finish(), self.marks)
    }
}

/// The chaining values of a hash at each multiple of the grain, as far as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Marks {
    /// How far apart they are, in bytes: [`GRAIN`] times a power of two.
    grain: u64,
    /// One after the other, all of the same length.
    #[serde(with = "text")]
    chains: Vec<u8>,
    /// How many there are.
    count: usize,
}

impl Default for Marks {
    fn default() -> Self {
        Self { grain: GRAIN, chains: Vec::new(), count: 0 }
    }
}

impl Marks {
    fn note(&mut self, hasher: &Hasher, at: u64) {
        if self.count >= MOST {
            self.thin_out();
        }
        if at.is_multiple_of(self.grain)
            && let Some(chain) = hasher.chain(at)
        {
            self.chains.extend(chain);
            self.count += 1;
        }
    }

    /// Keeps the marks at multiples of twice the grain.
    fn thin_out(&mut self) {
        let length = self.length();
        let (mut kept, mut number) = (0, 1);
        while number < self.count {
            self.chains.copy_within(number * length..(number + 1) * length, kept * length);
            (kept, number) = (kept + 1, number + 2);
        }
        self.chains.truncate(kept * length);
        (self.count, self.grain) = (kept, self.grain * 2);
    }

    /// How long a chaining value is.
    fn length(&self) -> usize {
        self.chains.len() / self.count.max(1)
    }

    /// The chaining value at the end of this grain.
    fn chain(&self, grain: u64) -> Option<&[u8]> {
        let number = usize::try_from(grain).ok().filter(|number| *number < self.count)?;
        self.chains.get(number * self.length()..(number + 1) * self.length())
    }

    /// Lets go of the marks beyond this place.
    fn truncate(&mut self, at: u64) {
        let (length, count) = (self.length(), at / self.grain);
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.count);
        self.chains.truncate(count * length);
        self.count = count;
    }

    /// Names all of it.
    pub(super) fn digest(&self) -> Digest {
        let numbers = [self.grain, self.count as u64].map(u64::to_be_bytes);
        Digest::sha256(&[numbers.as_flattened(), &self.chains].concat())
    }

    /// Whether they are those of a hash that is at this place.
    fn reach(&self, at: u64) -> bool {
        self.grain >= GRAIN
            && at / self.grain == self.count as u64
            && self.chains.len().is_multiple_of(self.count.max(1))
    }
}

/// Bytes as text, for JSON.
mod text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(de::Error::custom)
    }
}

/// A content that had its digest, in parts that can be compared alone.
#[derive(Debug)]
pub(super) struct Parts {
    digest: Digest,
    size: u64,
    marks: Marks,
    /// For each grain twice how often it was doubted, and one more while it is: what
    /// there is in memory of it, or may be in a moment, has come from the disk again
    /// and was not compared since.
    doubts: Box<[AtomicU32]>,
}

impl Parts {
    pub(super) fn new(digest: &Digest, size: u64, marks: Marks) -> Self {
        let doubts = (0..size.div_ceil(marks.grain)).map(|_| AtomicU32::new(0)).collect();
        let mut marks = marks;
        marks.chains.shrink_to_fit();
        Self { digest: digest.clone(), size, marks, doubts }
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.digest.hex().len()
            + self.marks.chains.len()
            + size_of_val(&*self.doubts)
    }

    /// The grain that this byte is in.
    pub(super) fn grain(&self, at: u64) -> u64 {
        at / self.marks.grain
    }

    /// What is in a grain.
    pub(super) fn bounds(&self, grain: u64) -> Range<u64> {
        let start = grain.saturating_mul(self.marks.grain).min(self.size);
        start..start.saturating_add(self.marks.grain).min(self.size)
    }

    /// Remembers that the grains which these bytes are in have to be compared before
    /// they are sent. The end of the last one.
    pub(super) fn doubt(&self, bytes: Range<u64>) -> u64 {
        let mut end = bytes.start;
        while end < bytes.end.min(self.size) {
            let grain = self.grain(end);
            if let Some(doubts) = self.doubts(grain) {
                let more = |doubts: u32| Some((doubts | 1).wrapping_add(2));
                let _ = doubts.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
            }
            end = self.bounds(grain).end;
        }
        end
    }

    /// Compares a grain, and remembers that it was right unless somebody doubts it
    /// again meanwhile. Whether it was.
    pub(super) fn compare<E>(
        &self,
        grain: u64,
        compare: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let doubts = self.doubts(grain);
        let before = doubts.map(|doubts| doubts.load(Ordering::Acquire));
        let right = compare()?;
        if let (true, Some(doubts), Some(before)) = (right, doubts, before) {
            let (release, acquire) = (Ordering::Release, Ordering::Acquire);
            let _ = doubts.compare_exchange(before, before & !1, release, acquire);
        }
        Ok(right)
    }

    /// Whether a grain has to be compared before it is sent.
    pub(super) fn is_doubtful(&self, grain: u64) -> bool {
        self.doubts(grain).is_none_or(|doubts| doubts.load(Ordering::Acquire) & 1 != 0)
    }

    fn doubts(&self, grain: u64) -> Option<&AtomicU32> {
        self.doubts.get(usize::try_from(grain).ok()?)
    }

    /// Whether it has these marks.
    pub(super) fn has(&self, marks: &Marks) -> bool {
        self.marks == *marks
    }

    /// How long the content is, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The hash at the beginning of a grain.
    pub(super) fn before(&self, grain: u64) -> Option<Hasher> {
        let algorithm = self.digest.algorithm();
        match grain.checked_sub(1) {
            None => Some(Hasher::new(algorithm)),
            Some(previous) => {
                let chain = self.marks.chain(previous)?;
                Hasher::resume_chain(algorithm, chain, self.bounds(grain).start)
            }
        }
    }

    /// Whether this is the hash at the end of a grain.
    pub(super) fn is_after(&self, grain: u64, hasher: Hasher) -> bool {
        let end = self.bounds(grain).end;
        if end == self.size {
            return hasher.finish() == self.digest;
        }
        let chain = hasher.chain(end);
        chain.is_some() && self.marks.chain(grain) == chain.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: u64) -> Vec<u8> {
        (0..=250).cycle().take(usize::try_from(length).unwrap()).collect()
    }

    /// Hashes in pieces of this length, with marks this far apart at first.
    fn hashed(algorithm: Algorithm, bytes: &[u8], piece: usize, grain: u64) -> (Digest, Marks) {
        let mut trail = Trail::new(algorithm);
        trail.marks.grain = grain;
        for piece in bytes.chunks(piece) {
            trail.update(piece);
        }
        assert_eq!(trail.at(), bytes.len() as u64);
        trail.finish()
    }

    fn right(parts: &Parts, bytes: &[u8]) -> Vec<bool> {
        let grains = 0..parts.size.div_ceil(parts.marks.grain);
        let compare = |grain| {
            let bounds = parts.bounds(grain);
            let mut hasher = parts.before(grain).unwrap();
            let range =
                usize::try_from(bounds.start).unwrap()..usize::try_from(bounds.end).unwrap();
            hasher.update(&bytes[range]);
            parts.is_after(grain, hasher)
        };
        grains.map(compare).collect()
    }

    #[test]
    fn each_part_can_be_compared_alone_and_a_wrong_byte_is_found_in_its_own() {
        for algorithm in Algorithm::ALL {
            for size in [0, 1, GRAIN - 1, GRAIN, GRAIN + 1, 3 * GRAIN, 3 * GRAIN + 77] {
                let mut bytes = bytes(size);
                let (digest, marks) = hashed(algorithm, &bytes, 70_001, GRAIN);
                assert_eq!(digest, Digest::of(algorithm, &bytes));
                assert!(marks.reach(size));
                let parts = Parts::new(&digest, size, marks);
                let grains = usize::try_from(size.div_ceil(GRAIN)).unwrap();
                assert_eq!(right(&parts, &bytes), vec![true; grains]);
                for grain in 0..grains {
                    let at = usize::try_from(parts.bounds(grain as u64).end - 1).unwrap();
                    bytes[at] ^= 1;
                    let mut expected = vec![true; grains];
                    expected[grain] = false;
                    assert_eq!(right(&parts, &bytes), expected);
                    bytes[at] ^= 1;
                }
            }
        }
    }

    #[test]
    fn of_a_large_content_marks_are_further_apart() {
        // As many grains as 20 GiB have, each of a kibibyte.
        let bytes = bytes(20 * 1024 * 1024 + 3);
        let (digest, marks) = hashed(Algorithm::Sha256, &bytes, 333_333, 1024);
        assert!(marks.count <= MOST && marks.grain == 8 * 1024, "{}", marks.grain);
        let parts = Parts::new(&digest, bytes.len() as u64, marks);
        assert!(parts.memory() < 160 * 1024, "{}", parts.memory());
        assert_eq!(right(&parts, &bytes), [true; 2561]);
    }

    #[test]
    fn they_go_on_where_a_hash_was_taken_up_again_also_out_of_json() {
        let bytes = bytes(5 * GRAIN + 5);
        let (digest, all) = hashed(Algorithm::Sha256, &bytes, 1 << 16, GRAIN);
        for cut in [0, 5, GRAIN, 2 * GRAIN + 1] {
            let (head, tail) = bytes.split_at(usize::try_from(cut).unwrap());
            let mut hasher = Hasher::new(Algorithm::Sha256);
            hasher.update(head);
            let mut ahead = Trail::new(Algorithm::Sha256);
            ahead.update(&bytes);
            let back = ahead.back(cut, hasher.clone());
            let json = serde_json::to_string(back.marks()).unwrap();
            let marks: Marks = serde_json::from_str(&json).unwrap();
            assert!(Trail::resume(hasher.clone(), cut + GRAIN, marks.clone()).is_none());
            let mut again = Trail::resume(hasher, cut, marks).unwrap();
            again.update(tail);
            let (found, marks) = again.finish();
            assert_eq!((found, marks.chains), (digest.clone(), all.chains.clone()));
        }
    }

    #[test]
    fn what_is_doubted_is_so_until_it_was_compared() {
        let parts = Parts::new(&Digest::sha256(b""), 200 * GRAIN, Marks::default());
        for grain in [0, 63, 64, 199] {
            assert!(!parts.is_doubtful(grain));
            let start = grain * GRAIN + 5;
            assert_eq!(parts.doubt(start..start + 1), (grain + 1) * GRAIN);
            assert!(parts.is_doubtful(grain) && (grain == 199 || !parts.is_doubtful(grain + 1)));
            assert_eq!(parts.compare(grain, || Err("unreadable")), Err("unreadable"));
            assert_eq!(parts.compare(grain, || Ok::<_, ()>(false)), Ok(false));
            assert!(parts.is_doubtful(grain));
            let doubted_meanwhile = || {
                parts.doubt(start..start + 1);
                Ok::<_, ()>(true)
            };
            assert_eq!(parts.compare(grain, doubted_meanwhile), Ok(true));
            assert!(parts.is_doubtful(grain));
            assert_eq!(parts.compare(grain, || Ok::<_, ()>(true)), Ok(true));
            assert!(!parts.is_doubtful(grain));
        }
        assert_eq!(parts.doubt(190 * GRAIN..u64::MAX), 200 * GRAIN);
        assert!(!parts.is_doubtful(189) && (190..200).all(|grain| parts.is_doubtful(grain)));
        assert!(parts.is_doubtful(10_000), "beyond its end");
    }
}
