//! The files that one environment is made of: its own, and those that it
//! extends. A place in any of them is one number, so that what is wrong with
//! a value is said of the file and line that it came from.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::super::document::DocumentError;
use super::super::origins::Origins;
use super::super::yaml::Position;

/// Up to here the characters of a line are counted.
const WIDTH: usize = 4096;

/// The files of one environment, its own first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    files: Vec<Source>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    path: PathBuf,
    text: String,
    /// Where its text begins if all texts stood after each other.
    start: usize,
    /// Where its lines begin.
    lines: Vec<usize>,
}

/// A line of one of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, relative to the repository.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

impl Sources {
    /// Adds a file. What is returned is to be added to each span within it.
    pub(super) fn add(&mut self, path: PathBuf, text: String) -> usize {
        let start = self.files.last().map_or(0, |last| last.start + last.text.len() + 1);
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        self.files.push(Source { path, text, start, lines });
        start
    }

    /// Where each text begins, and the text.
    pub(super) fn texts(&self) -> impl Iterator<Item = (usize, &str)> {
        self.files.iter().map(|source| (source.start, source.text.as_str()))
    }

    /// Where the keys of all the files stand.
    pub(super) fn origins(&self) -> Origins {
        let mut origins = Origins::default();
        for source in &self.files {
            origins.inherit(Origins::read(&source.path.to_string_lossy(), &source.text));
        }
        origins
    }

    /// The files, the environment's own first.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|source| source.path.as_path())
    }

    /// An error at a span, or at the start of the environment's own file.
    #[must_use]
    pub fn error(
        &self,
        span: Option<Range<usize>>,
        reason: &str,
        hint: Option<String>,
    ) -> DocumentError {
        let at = span.as_ref().map_or(0, |span| span.start);
        let Some(source) = self.source(at) else {
            return DocumentError::new(Path::new(""), "", None, reason, hint);
        };
        let local =
            |span: Range<usize>| span.start - source.start..span.end.saturating_sub(source.start);
        DocumentError::new(&source.path, &source.text, span.map(local), reason, hint)
    }

    /// The line on which the value at a span stands.
    #[must_use]
    pub fn place(&self, span: &Range<usize>) -> Place {
        let Some(source) = self.source(span.start) else {
            return Place { path: PathBuf::new(), line: 1, column: 1 };
        };
        let at = span.start - source.start;
        let line = source.lines.partition_point(|start| *start <= at).max(1);
        let start = source.lines.get(line - 1).copied().unwrap_or_default();
        // To count the characters of an endless line for each of its values
        // would take for ever.
        let before = source.text.get(start..at).filter(|before| before.len() <= WIDTH);
        let column = before.map_or(1, |before| before.chars().count() + 1);
        Place { path: source.path.clone(), line, column }
    }

    /// An error at a line and column of the file in which a span is.
    pub(in crate::pipeline) fn error_at(
        &self,
        span: &Range<usize>,
        at: Position,
        reason: &str,
    ) -> DocumentError {
        let place = self.source(span.start).and_then(|source| {
            let start = *source.lines.get(at.line().checked_sub(1)?)?;
            let line = source.text.get(start..)?.lines().next()?;
            let before = line.chars().take(at.column().saturating_sub(1)).map(char::len_utf8);
            let at = source.start + start + before.sum::<usize>();
            Some(at..at)
        });
        self.error(Some(place.unwrap_or_else(|| span.clone())), reason, None)
    }

    /// How many lines stand before the first of a text in quotes.
    pub(super) fn first_line(&self, span: &Range<usize>) -> usize {
        let line = self.place(span).line;
        let quoted =
            self.source(span.start).and_then(|source| source.text.get(span.start - source.start..));
        // A line end right after three quotes is no part of the text.
        let broken = quoted.is_some_and(|quoted| {
            let after = quoted.strip_prefix("\"\"\"").or_else(|| quoted.strip_prefix("'''"));
            after.is_some_and(|after| after.starts_with('\n') || after.starts_with("\r\n"))
        });
        if broken { line } else { line - 1 }
    }

    fn source(&self, at: usize) -> Option<&Source> {
        self.files.iter().rev().find(|source| source.start <= at)
    }
}
