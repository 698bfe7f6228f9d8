//! What an import did with each thing that it found.

use std::fmt;

use serde::Serialize;

use super::standin;
use crate::pipeline::yaml::Node;

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// It is written as it was, in words that servers of today take.
    Upgraded,
    /// It could not have worked, or worked by accident.
    Fixed,
    /// It is secret, and is written nowhere.
    MovedOut,
    /// No key fits, and a `[[patch]]` says it.
    Patched,
    /// It is not in the file; the reason says what to do about it.
    NotCarried,
    /// The overlay does not say it, and something has to be written.
    Assumed,
    /// It has no meaning for the environment.
    Ignored,
}

impl Deed {
    /// The word that reports have for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Upgraded => "upgraded",
            Self::Fixed => "fixed",
            Self::MovedOut => "moved out",
            Self::Patched => "patched",
            Self::NotCarried => "not carried",
            Self::Assumed => "assumed",
            Self::Ignored => "ignored",
        }
    }
}

/// A line of a file of the overlay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file, relative to the overlay.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

impl Place {
    /// Where a node came from; none where the overlay does not have it.
    #[must_use]
    pub fn of(node: &Node) -> Option<Self> {
        let file = node.origin.as_deref()?.file()?;
        (file != standin::NAME).then(|| Self { file: file.to_owned(), line: node.at.line() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What became of it.
    pub deed: Deed,
    /// What it is, and why.
    pub what: String,
    /// Where the overlay says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What to add to the environment's file by hand, if it is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toml: Option<String>,
}

/// All lines, in the order in which things were found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report {
    entries: Vec<Entry>,
}

impl Report {
    /// Adds a line. One that is there already is not repeated.
    pub fn add(&mut self, deed: Deed, place: Option<Place>, what: impl Into<String>) {
        self.push(Entry { deed, what: what.into(), place, toml: None });
    }

    /// Adds a line about something that is left to be done by hand.
    pub fn left(&mut self, place: Option<Place>, what: impl Into<String>, toml: Option<String>) {
        self.push(Entry { deed: Deed::NotCarried, what: what.into(), place, toml });
    }

    fn push(&mut self, entry: Entry) {
        if !self.entries.contains(&entry) {
            self.entries.push(entry);
        }
    }

    /// Takes lines of a deed out that turned out to be wrong, by a word of them.
    pub fn retract(&mut self, deed: Deed, word: &str) {
        self.entries.retain(|entry| entry.deed != deed || !entry.what.contains(word));
    }

    /// The same with each text changed.
    #[must_use]
    pub fn map(mut self, change: impl Fn(&str) -> String) -> Self {
        for entry in &mut self.entries {
            entry.what = change(&entry.what);
            entry.toml = entry.toml.as_deref().map(&change);
        }
        self
    }

    /// The lines, those of one deed beside each other.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.entries.sort_by_key(|entry| entry.deed);
        self
    }

    /// The lines.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Entry { deed, what, place, toml } in &self.entries {
            write!(f, "{:<12}{what}", deed.word())?;
            if let Some(place) = place {
                write!(f, " ({place})")?;
            }
            writeln!(f)?;
            for line in toml.iter().flat_map(|toml| toml.lines()) {
                writeln!(f, "{:<12}  {line}", "")?;
            }
        }
        Ok(())
    }
}
