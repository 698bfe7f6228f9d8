//! The canonical export of a tree: one line per file, in one order, with one
//! digest over all of it. `docs/upstream.md` defines it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use git2::{ObjectType, Oid};

use super::mismatch::Mismatch;
use super::toml_file::FileError;
use crate::digest::Digest;

/// What kind of file an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A file.
    Plain,
    /// A file with the executable bit.
    Executable,
    /// A symbolic link; its content is the target.
    Link,
}

impl Mode {
    /// As git writes it: six octal digits.
    #[must_use]
    pub fn octal(self) -> &'static str {
        match self {
            Self::Plain => "100644",
            Self::Executable => "100755",
            Self::Link => "120000",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Plain, Self::Executable, Self::Link].into_iter().find(|mode| mode.octal() == text)
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Plain => "a plain file",
            Self::Executable => "an executable file",
            Self::Link => "a symbolic link",
        }
    }
}

/// One file of the export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Plain, executable or link.
    pub mode: Mode,
    /// The git id of the content as a blob.
    pub blob: Oid,
    /// SHA-256 of the content.
    pub sha256: Digest,
    /// Length of the content in bytes.
    pub len: u64,
}

impl Entry {
    /// The entry of this content.
    ///
    /// # Errors
    /// When libgit2 can't hash it.
    pub fn of(mode: Mode, content: &[u8]) -> Result<Self, git2::Error> {
        let len = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let blob = Oid::hash_object(ObjectType::Blob, content)?;
        Ok(Self { mode, blob, sha256: Digest::sha256(content), len })
    }

    fn describe(&self) -> String {
        format!("{} of {} bytes with {}", self.mode.noun(), self.len, self.sha256)
    }
}

/// All files of a tree by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Path, with `/` between its parts, to entry.
    pub entries: BTreeMap<String, Entry>,
}

impl Listing {
    /// Where the pinned tree's listing is, from the repository's root.
    pub const PATH: &'static str = "vendor/trow.files";

    /// The canonical export: for each file, sorted by the bytes of its path, a
    /// line of mode, git blob id, SHA-256 in hex, length in decimal and path,
    /// separated by single spaces and ended by a line feed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (path, entry) in &self.entries {
            let Entry { mode, blob, sha256, len } = entry;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {blob} {} {len} {path}", mode.octal(), sha256.hex());
        }
        text
    }

    /// SHA-256 over the canonical export.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::sha256(self.to_text().as_bytes())
    }

    /// Reads what [`Listing::to_text`] wrote; `path` is for messages.
    ///
    /// # Errors
    /// A line of another form, or lines out of order, with its number.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        let mut entries = BTreeMap::new();
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            let Some((name, entry)) = parse_line(line) else {
                let message = "not a line of the canonical export: run `warren upstream pin` again";
                return Err(FileError::at(path, text, offset, message));
            };
            let later = entries.last_key_value().is_none_or(|(last, _)| *last < name);
            if !later {
                return Err(FileError::at(path, text, offset, "this path is out of order"));
            }
            entries.insert(name, entry);
            offset += line.len();
        }
        Ok(Self { entries })
    }

    /// The git id of the tree that holds exactly these files.
    ///
    /// # Errors
    /// When libgit2 can't hash it.
    pub fn tree_id(&self) -> Result<Oid, git2::Error> {
        let entries: Vec<_> =
            self.entries.iter().map(|(path, entry)| (path.as_str(), entry)).collect();
        tree_id(&entries)
    }

    /// How `found` differs from this listing, a row per path.
    #[must_use]
    pub fn differences(&self, found: &Self) -> Vec<Mismatch> {
        let mut rows = Vec::new();
        for (path, expected) in &self.entries {
            let row = format!("file {path}");
            let Some(entry) = found.entries.get(path) else {
                rows.push(Mismatch::new(row, expected.describe(), "no such file"));
                continue;
            };
            if expected.sha256 == entry.sha256 && expected.mode != entry.mode {
                rows.push(Mismatch::new(row, expected.mode.noun(), entry.mode.noun()));
            } else if expected != entry {
                rows.push(Mismatch::new(row, expected.describe(), entry.describe()));
            }
        }
        for (path, entry) in &found.entries {
            if !self.entries.contains_key(path) {
                rows.push(Mismatch::new(format!("file {path}"), "no such file", entry.describe()));
            }
        }
        rows
    }
}

fn parse_line(line: &str) -> Option<(String, Entry)> {
    let mut words = line.strip_suffix('\n')?.splitn(5, ' ');
    let mode = Mode::parse(words.next()?)?;
    let blob = words.next().filter(|id| id.len() == 40)?;
    let blob = Oid::from_str(blob).ok()?;
    let sha256 = format!("sha256:{}", words.next()?).parse().ok()?;
    let len = words.next()?.parse().ok()?;
    let path = words.next().filter(|path| !path.is_empty())?;
    Some((path.to_owned(), Entry { mode, blob, sha256, len }))
}

/// The id of the tree of these entries, whose paths are relative to it and
/// sorted. Sorted by whole paths is also the order in which git writes a tree,
/// where a folder's name sorts as if it ended in `/`.
fn tree_id(entries: &[(&str, &Entry)]) -> Result<Oid, git2::Error> {
    let mut content = Vec::new();
    let mut rest = entries;
    while let Some((&(path, entry), after)) = rest.split_first() {
        if let Some((folder, _)) = path.split_once('/') {
            let inside = |path: &str| path.strip_prefix(folder)?.strip_prefix('/').map(str::len);
            let count = rest.iter().take_while(|(path, _)| inside(path).is_some()).count();
            let (members, others) = rest.split_at(count);
            let members: Vec<_> = members
                .iter()
                .filter_map(|(path, entry)| Some((path.get(folder.len() + 1..)?, *entry)))
                .collect();
            push_entry(&mut content, "40000", folder, tree_id(&members)?);
            rest = others;
        } else {
            push_entry(&mut content, entry.mode.octal(), path, entry.blob);
            rest = after;
        }
    }
    Oid::hash_object(ObjectType::Tree, &content)
}

fn push_entry(content: &mut Vec<u8>, mode: &str, name: &str, id: Oid) {
    content.extend_from_slice(mode.as_bytes());
    content.push(b' ');
    content.extend_from_slice(name.as_bytes());
    content.push(0);
    content.extend_from_slice(id.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let mut entries = BTreeMap::new();
        for (path, mode, content) in [
            ("a.b", Mode::Plain, "one"),
            ("a/c", Mode::Executable, "two"),
            ("a/d e", Mode::Plain, ""),
            ("a0", Mode::Link, "a.b"),
        ] {
            entries.insert(path.to_owned(), Entry::of(mode, content.as_bytes()).unwrap());
        }
        Listing { entries }
    }

    #[test]
    fn the_text_can_be_read_back() {
        let listing = listing();
        let text = listing.to_text();
        assert_eq!(Listing::parse(Path::new("l"), &text).unwrap(), listing);
        let swapped: String = text.lines().rev().map(|line| format!("{line}\n")).collect();
        let error = Listing::parse(Path::new("l"), &swapped).unwrap_err();
        assert_eq!(error.to_string(), "l:2:1: this path is out of order");
    }

    #[test]
    fn each_difference_names_its_path() {
        let mut found = listing();
        found.entries.remove("a.b");
        found.entries.get_mut("a/c").unwrap().mode = Mode::Plain;
        found.entries.insert("new".into(), Entry::of(Mode::Plain, b"x").unwrap());
        let rows: Vec<_> =
            listing().differences(&found).into_iter().map(|row| row.to_string()).collect();
        assert_eq!(rows.len(), 3);
        assert!(rows[0].starts_with("row `file a.b`: expected a plain file of 3 bytes"));
        assert_eq!(rows[1], "row `file a/c`: expected an executable file, found a plain file");
        assert!(rows[2].starts_with("row `file new`: expected no such file, found a plain file"));
    }
}
