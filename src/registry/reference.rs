//! What a manifest is asked for by: a tag or a digest.

use std::fmt;
use std::str::FromStr;

use super::error::{ErrorCode, RegistryError};
use crate::digest::Digest;

/// A tag: up to 128 letters, digits, `_`, `.` and `-`, not starting with `.`
/// or `-`. Safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// The longest tag, in bytes.
    pub const MAX_LEN: usize = 128;

    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let rest = |byte: u8| first(byte) || matches!(byte, b'.' | b'-');
        let mut bytes = text.bytes();
        if text.len() > Self::MAX_LEN || !bytes.next().is_some_and(first) || !bytes.all(rest) {
            return Err(ReferenceError::Tag);
        }
        Ok(Self(text.to_owned()))
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By name, which may move.
    Tag(Tag),
    /// By content, which can't.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            text.parse().map(Self::Digest).map_err(ReferenceError::Digest)
        } else {
            text.parse().map(Self::Tag)
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Why a text is no reference.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReferenceError {
    /// It has no colon and is no tag.
    #[error(
        "a tag has at most 128 letters, digits, underscores, dots and dashes and starts with none of . and -"
    )]
    Tag,
    /// It has a colon and is no digest.
    #[error(transparent)]
    Digest(crate::digest::DigestError),
}

impl From<ReferenceError> for RegistryError {
    fn from(error: ReferenceError) -> Self {
        let code = match error {
            ReferenceError::Tag => ErrorCode::TagInvalid,
            ReferenceError::Digest(_) => ErrorCode::DigestInvalid,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        for good in ["latest", "v1.2-3", "_x", "A", "1", "a..b", &"t".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".a", "-a", "a/b", "a b", "é", &"t".repeat(129)] {
            assert_eq!(bad.parse::<Tag>(), Err(ReferenceError::Tag), "{bad}");
        }
    }

    #[test]
    fn a_colon_makes_it_a_digest() {
        assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
        let digest = Digest::sha256(b"").to_string();
        assert!(matches!(digest.parse(), Ok(Reference::Digest(_))));
        assert!(matches!("sha256:../x".parse::<Reference>(), Err(ReferenceError::Digest(_))));
    }
}
