//! Git object ids: 40 hex digits.

use std::fmt;

use git2::Oid;
use serde::{Deserialize, Deserializer, de};

/// A git object id in full, as the lock writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GitId(pub Oid);

impl GitId {
    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(self) -> String {
        self.0.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for GitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl<'de> Deserialize<'de> for GitId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == 40
            && digits
            && let Ok(id) = Oid::from_str(&text)
        {
            return Ok(Self(id));
        }
        Err(de::Error::custom(format!("`{text}` is no git id: 40 lower-case hex digits")))
    }
}

/// Reads a digest such as `sha256:…`.
pub(super) fn digest<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<crate::digest::Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| de::Error::custom(format!("`{text}`: {error}")))
}

/// Reads a digest that may be absent.
pub(super) fn some_digest<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<crate::digest::Digest>, D::Error> {
    digest(deserializer).map(Some)
}
