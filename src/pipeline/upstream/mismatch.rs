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

#[allow(clippy::needless_pass_by_value, reason = "it reads better at the many calls")]
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

/// Each on a line of its own, and no more than twenty: what follows a colon.
pub(super) fn in_lines<T: fmt::Display>(all: &[T]) -> String {
    const MOST: usize = 20;
    let mut text = String::new();
    for one in all.iter().take(MOST) {
        text.push_str("\n  ");
        text.push_str(&one.to_string());
    }
    if let Some(more) = all.len().checked_sub(MOST).filter(|more| *more > 0) {
        text.push_str("\n  and more: ");
        text.push_str(&more.to_string());
    }
    text
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row `{}`: expected {}, found {}", self.row, self.expected, self.found)
    }
}
