//! Repository names, by the grammar of the OCI distribution specification.

use std::fmt;
use std::str::FromStr;

use super::error::{ErrorCode, RegistryError};

/// A repository name: components of lower-case letters and digits, joined
/// within by `.`, `_`, `__` or dashes and separated by `/`, at most
/// [`RepositoryName::MAX_LEN`] bytes ("Pulling manifests"). So no component is
/// empty, `.` or `..` or starts with `_`, and the name is safe as a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(String);

impl RepositoryName {
    /// The longest name, in bytes: what clients agree on.
    pub const MAX_LEN: usize = 255;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > Self::MAX_LEN {
            return Err(NameError::Long { bytes: text.len() });
        }
        if !text.split('/').all(is_component) {
            return Err(NameError::Form);
        }
        Ok(Self(text.to_owned()))
    }
}

impl AsRef<str> for RepositoryName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no repository name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// It has more than [`RepositoryName::MAX_LEN`] bytes.
    #[error(
        "a repository name has at most {} bytes, this one has {bytes}",
        RepositoryName::MAX_LEN
    )]
    Long {
        /// How many it has.
        bytes: usize,
    },
    /// It breaks the grammar.
    #[error(
        "a repository name is made of lower-case letters and digits, joined by one of . _ __ or dashes, and of / between components"
    )]
    Form,
}

impl From<NameError> for RegistryError {
    fn from(error: NameError) -> Self {
        Self::new(ErrorCode::NameInvalid, error.to_string())
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separator = String::new();
    let mut any = false;
    for byte in component.bytes() {
        if alphanumeric(byte) {
            let joined = match separator.as_str() {
                "" | "." | "_" | "__" => true,
                dashes => dashes.bytes().all(|byte| byte == b'-'),
            };
            if !joined || (!any && !separator.is_empty()) {
                return false;
            }
            separator.clear();
            any = true;
        } else if matches!(byte, b'.' | b'_' | b'-') {
            separator.push(char::from(byte));
        } else {
            return false;
        }
    }
    any && separator.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_of_the_specification() {
        for good in ["a", "a/b/c", "a.b", "a_b", "a__b", "a---b", "0", "a0.b1_c2-d3/e"] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a._b", "-a", "a-", "_a", "a/_b",
            "..", "a/../b", "a b", "a:b", "é", "a\0b", "a%2fb",
        ] {
            assert_eq!(bad.parse::<RepositoryName>(), Err(NameError::Form), "{bad}");
        }
    }

    #[test]
    fn the_longest_name() {
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
        assert_eq!("a".repeat(256).parse::<RepositoryName>(), Err(NameError::Long { bytes: 256 }));
    }
}
