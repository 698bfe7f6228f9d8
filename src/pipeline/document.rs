//! TOML files that people edit: parsed into typed structs, and refused with
//! the line, the column, the line itself and the nearest right word.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Parses `text`, the content of the file at `path`.
///
/// # Errors
/// What is wrong, and where, ready to be shown.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, DocumentError> {
    toml::from_str(text).map_err(|error| {
        let hint = hint(error.message());
        DocumentError::new(path, text, error.span(), error.message(), hint)
    })
}

/// Of a line without end, this many characters before the place and as many
/// after it are shown.
const WIDTH: usize = 100;

/// What is wrong with a TOML file. Its `Display` holds several lines: the place
/// and the reason, the line of the file with a caret below, and a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentError {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong, in one line.
    pub reason: String,
    /// The way out, where one is known.
    pub hint: Option<String>,
    /// The line as it stands in the file.
    excerpt: Box<str>,
    /// How many of the line's characters stand before the shown ones.
    skipped: usize,
    /// How many characters the carets underline; at least one.
    width: usize,
}

impl std::error::Error for DocumentError {}

impl DocumentError {
    /// Places `reason` at `span` (in bytes of `text`); without a span, at the
    /// start of the file.
    #[must_use]
    pub fn new(
        path: &Path,
        text: &str,
        span: Option<Range<usize>>,
        reason: &str,
        hint: Option<String>,
    ) -> Self {
        let span = span.unwrap_or(0..0);
        let start = boundary(text, span.start);
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = text.get(line_start..).unwrap_or_default();
        let excerpt = rest.lines().next().unwrap_or_default();
        let line_end = line_start + excerpt.len();
        let end = boundary(text, span.end).clamp(start, line_end.max(start));
        let count = |range: Range<usize>| text.get(range).map_or(0, |part| part.chars().count());
        let column = count(line_start..start) + 1;
        let skipped = column.saturating_sub(WIDTH);
        let shown = excerpt.chars().skip(skipped).take(2 * WIDTH);
        Self {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column,
            reason: reason.trim_end().replace('\n', "; "),
            hint,
            excerpt: shown.map(|c| if c == '\t' { ' ' } else { c }).collect(),
            skipped,
            width: count(start..end).clamp(1, WIDTH),
        }
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, reason, excerpt, skipped, .. } = self;
        let gutter = " ".repeat(line.to_string().len());
        writeln!(f, "{}:{line}:{column}: {reason}", self.path.display())?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{line} | {excerpt}")?;
        write!(f, "{gutter} | {}{}", " ".repeat(column - 1 - skipped), "^".repeat(self.width))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The start of the character that `at` falls into, so that no slice splits one.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&index| text.is_char_boundary(index)).unwrap_or(0)
}

/// Reads the words out of serde's message: the first in backquotes is what was
/// found, those after "expected" are what could have stood there.
pub(super) fn hint(message: &str) -> Option<String> {
    let (found, expected) = message.split_once(", expected ")?;
    if ["floating point", "integer", "boolean"].iter().any(|kind| found.contains(kind))
        && expected.trim_end() == "a string"
    {
        return Some("put it in quotes".to_owned());
    }
    if !found.starts_with("unknown field") && !found.starts_with("unknown variant") {
        return None;
    }
    let found = found.split('`').nth(1)?;
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|word| (strsim::damerau_levenshtein(found, word), word))
        .filter(|(distance, word)| *distance <= (word.chars().count() / 2).max(1))
        .min()
        .map(|(_, word)| format!("did you mean `{word}`?"))
}
