//! One difference between the lock and what is there.

use std::fmt;

/// One difference between the lock and what is there.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mismatch {
    /// Which statement of the lock: `commit`, `file Cargo.toml`, `contract port`.
    pub row: String,
    /// What the lock says.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Mismatch {
    pub(super) fn new(
        row: impl Into<String>,
        expected: impl ToString,
        found: impl ToString,
    ) -> Self {
        Self { row: row.into(), expected: expected.to_string(), found: found.to_string() }
    }

    /// A row whose two sides have to be equal: nothing where they are.
    pub(super) fn unless_equal(
        row: impl Into<String>,
        expected: impl ToString,
        found: impl ToString,
    ) -> Option<Self> {
        let row = Self::new(row, expected, found);
        (row.expected != row.found).then_some(row)
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row `{}`: expected {}, found {}", self.row, self.expected, self.found)
    }
}
