//! TOML files whose errors name the file, the line and the column.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::fs;

/// What is wrong with a file that people or `warren` wrote, and where.
#[derive(Debug)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, both from 1, where the fault has a place.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
}

impl FileError {
    /// A fault of the file as a whole.
    pub(super) fn whole(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), place: None, message: message.into() }
    }

    /// A fault at a byte offset of the text.
    pub(super) fn at(path: &Path, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let place = Some((line, column));
        Self { path: path.to_owned(), place, message: message.into() }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for FileError {}

/// Reads a TOML file into `T`.
///
/// # Errors
/// When it can't be read, or says something else.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    parse(path, &read(path)?)
}

/// Reads a UTF-8 file.
pub(super) fn read(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(|error| FileError::whole(path, error.source.to_string()))
}

/// Reads TOML into `T`.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, FileError> {
    toml::from_str(text).map_err(|error| {
        let message = error.message().trim_end().replace('\n', ": ");
        match error.span() {
            Some(span) => FileError::at(path, text, span.start, message),
            None => FileError::whole(path, message),
        }
    })
}

/// A TOML string literal of this text.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
