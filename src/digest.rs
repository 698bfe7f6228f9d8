//! Content digests: `algorithm:hex`, as the OCI image specification writes them.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

/// The hash algorithms that the OCI image specification registers
/// ("Descriptors, Registered algorithms").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256: 64 hex digits. What everyone uses.
    Sha256,
    /// SHA-512: 128 hex digits.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the order they are tried.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name as it stands before the colon.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many bytes a chaining value has, a block, and the count of blocks in a
    /// saved state.
    fn sizes(self) -> (usize, u64, usize) {
        match self {
            Self::Sha256 => (32, 64, 8),
            Self::Sha512 => (64, 128, 16),
        }
    }

    /// How many hex digits a digest of this algorithm has.
    #[must_use]
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or_else(|| DigestError::Algorithm { found: text.to_owned() })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is not a digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DigestError {
    /// There is no colon between algorithm and hex.
    #[error("a digest is written algorithm:hex, such as sha256:e3b0…; this has no colon")]
    Form,
    /// The algorithm is not one of [`Algorithm::ALL`].
    #[error("unsupported digest algorithm `{found}`: sha256 and sha512 are known")]
    Algorithm {
        /// What stood before the colon.
        found: String,
    },
    /// The hex part has the wrong length or a character other than 0-9a-f.
    #[error("a {algorithm} digest has {} lower-case hex digits", algorithm.hex_len())]
    Hex {
        /// The algorithm whose digits were expected.
        algorithm: Algorithm,
    },
}

/// A content digest. Only well-formed values exist: the hex part has the
/// algorithm's length and lower-case digits, so it is safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

impl Digest {
    /// The SHA-256 digest of these bytes.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// The digest of these bytes by the given algorithm.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The algorithm before the colon.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hex digits after the colon.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::Form)?;
        let algorithm: Algorithm = algorithm.parse()?;
        let digits = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() != algorithm.hex_len() || !digits {
            return Err(DigestError::Hex { algorithm });
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

/// A hash under way. Its state can be saved half way and taken up by another
/// process, so that an upload resumes without reading back what it has.
#[derive(Clone)]
pub enum Hasher {
    /// SHA-256 under way.
    Sha256(Sha256),
    /// SHA-512 under way.
    Sha512(Sha512),
}

impl Hasher {
    /// A hash of nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// Which algorithm this hash runs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all that was taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        let hex = match self {
            Self::Sha256(hasher) => hex(&hasher.finalize()),
            Self::Sha512(hasher) => hex(&hasher.finalize()),
        };
        Digest { algorithm, hex }
    }

    /// The state, to be taken up by [`Hasher::resume`].
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        use sha2::digest::common::hazmat::SerializableState as _;
        match self {
            Self::Sha256(hasher) => hasher.serialize().to_vec(),
            Self::Sha512(hasher) => hasher.serialize().to_vec(),
        }
    }

    /// The chaining value (FIPS 180-4, 6.2.2) after `length` bytes: all that differs
    /// between two hashes of as many whole blocks. `None` where so many were not
    /// taken in, or they are no whole blocks.
    #[must_use]
    pub fn chain(&self, length: u64) -> Option<Vec<u8>> {
        let (state, algorithm) = (self.save(), self.algorithm());
        let chain = state.get(..algorithm.sizes().0)?;
        (chained(algorithm, chain, length)? == state).then(|| chain.to_owned())
    }

    /// Takes up a hash after `length` bytes, from what [`Hasher::chain`] gave; `None`
    /// where it gave no such thing.
    #[must_use]
    pub fn resume_chain(algorithm: Algorithm, chain: &[u8], length: u64) -> Option<Self> {
        Self::resume(algorithm, &chained(algorithm, chain, length)?)
    }

    /// Takes up a state that [`Hasher::save`] gave; `None` where it is none.
    #[must_use]
    pub fn resume(algorithm: Algorithm, state: &[u8]) -> Option<Self> {
        use sha2::digest::common::hazmat::SerializableState as _;
        match algorithm {
            Algorithm::Sha256 => {
                Sha256::deserialize(&state.try_into().ok()?).ok().map(Self::Sha256)
            }
            Algorithm::Sha512 => {
                Sha512::deserialize(&state.try_into().ok()?).ok().map(Self::Sha512)
            }
        }
    }
}

/// The state of a hash after `length` bytes with this chaining value.
fn chained(algorithm: Algorithm, chain: &[u8], length: u64) -> Option<Vec<u8>> {
    let (size, block, count) = algorithm.sizes();
    let mut state = Hasher::new(algorithm).save();
    if chain.len() != size || !length.is_multiple_of(block) {
        return None;
    }
    state.get_mut(..size)?.copy_from_slice(chain);
    let blocks = u128::from(length / block).to_le_bytes();
    state.get_mut(size..size + count)?.copy_from_slice(blocks.get(..count)?);
    Some(state)
}

/// Lower-case hex digits of these bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_hash_goes_on_where_it_was() {
        for algorithm in Algorithm::ALL {
            let mut first = Hasher::new(algorithm);
            first.update(b"hello, ");
            let mut second = Hasher::resume(algorithm, &first.save()).unwrap();
            second.update(b"world");
            assert_eq!(second.finish(), Digest::of(algorithm, b"hello, world"));
            assert!(Hasher::resume(algorithm, b"short").is_none());
        }
    }

    #[test]
    fn a_hash_goes_on_from_the_chaining_value_between_two_blocks() {
        let bytes: Vec<u8> = (0..=250).cycle().take(1000).collect();
        for algorithm in Algorithm::ALL {
            for length in [0, 128, 896] {
                let mut first = Hasher::new(algorithm);
                first.update(&bytes[..length]);
                let place = length as u64;
                let chain = first.chain(place).unwrap();
                assert_eq!(chain.len() * 2, algorithm.hex_len());
                let mut second = Hasher::resume_chain(algorithm, &chain, place).unwrap();
                second.update(&bytes[length..]);
                assert_eq!(second.finish(), Digest::of(algorithm, &bytes));
                assert!(first.chain(place + 128).is_none(), "it isn't there");
                assert!(Hasher::resume_chain(algorithm, &chain[1..], place).is_none());
                first.update(b"1");
                assert!(first.chain(place).is_none() && first.chain(place + 1).is_none());
            }
        }
    }

    #[test]
    fn only_well_formed_digests_parse() {
        let good = Digest::sha256(b"");
        assert_eq!(good.to_string().parse(), Ok(good.clone()));
        let upper = good.to_string().replace('e', "E");
        for bad in ["", "sha256", "sha256:", "sha256:../x", "md5:00", "sha512:00", &upper] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
