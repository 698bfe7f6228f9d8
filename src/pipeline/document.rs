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
        let (span, reason, hint) = told(text, &error);
        DocumentError::new(path, text, span, &reason, hint)
    })
}

/// How deep the parser of TOML goes.
const DEPTH: usize = 80;

/// Where an error is, what is wrong, and the way out. Of what is nested too deeply the
/// parser says little, and of a key with too many parts not where it stands.
pub(super) fn told(
    text: &str,
    error: &toml::de::Error,
) -> (Option<Range<usize>>, String, Option<String>) {
    let message = error.message();
    if !message.contains("recursion limit") && !message.contains("max recursion depth") {
        return (error.span(), message.to_owned(), hint(message));
    }
    let reason = format!("nested deeper than {DEPTH} levels");
    let way_out = "write less deeply; nothing that is read here has as many levels".to_owned();
    (error.span().or_else(|| long_key(text)), reason, Some(way_out))
}

/// The first key that has more parts between its dots than the parser takes.
fn long_key(text: &str) -> Option<Range<usize>> {
    let word = |c: char| c.is_alphanumeric() || "_-\"' \t".contains(c);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let parts = line.split('.');
        let mut run = 0;
        let long = parts.into_iter().any(|part| {
            run = if part.trim().is_empty() || !part.chars().all(word) { 0 } else { run + 1 };
            // The first and the last part have more beside them than the key.
            run >= DEPTH - 1
        });
        if long && !line.trim_start().starts_with('#') {
            let blank = line.len() - line.trim_start().len();
            return Some(start + blank..start + line.trim_end().len());
        }
        start += line.len();
    }
    None
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
