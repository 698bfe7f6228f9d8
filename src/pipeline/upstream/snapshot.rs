//! Reads a tree, from git objects or from a folder, into a listing and the
//! contents that the contract asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use git2::{ObjectType, Oid, Repository};

use super::listing::{Entry, Listing, Mode};
use crate::fs::{self, At as _, FsError};

/// Trees nest no deeper than this.
const DEPTH: usize = 64;

/// A tree as it is.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Every file.
    pub listing: Listing,
    /// The content of the files that were asked for, where they are there and
    /// no links.
    pub contents: BTreeMap<String, Vec<u8>>,
    /// Files that would have the expected bytes if their CRLF were LF: what
    /// they would hash to. Someone's git or editor changed the line ends.
    pub with_lf: BTreeMap<String, crate::digest::Digest>,
}

/// Why a tree can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The tree holds a commit of another repository.
    #[error(
        "`{0}` is a submodule: its content is not part of the upstream's tree, so it cannot be \
         pinned; pin a tag without submodules"
    )]
    Submodule(String),
    /// A name that could lead outside of a folder, or that a line can't hold.
    #[error("`{0}` is no name for a file of an export")]
    Name(String),
    /// Something that is neither a file nor a folder nor a link.
    #[error("`{0}` is neither a file nor a folder nor a symbolic link")]
    Kind(String),
    /// Folders in folders without end.
    #[error("`{0}` lies more than {DEPTH} folders deep")]
    Depth(String),
    /// An object is missing or broken.
    #[error("cannot read the git objects: {}", .0.message())]
    Git(#[from] git2::Error),
    /// The folder can't be read.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl Snapshot {
    /// Reads a git tree. Contents are the raw bytes of the blobs: no attribute
    /// and no line-end setting has a say.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn of_tree(
        repository: &Repository,
        tree: Oid,
        wanted: &BTreeSet<&str>,
    ) -> Result<Self, SnapshotError> {
        let mut snapshot = Self::default();
        snapshot.add_tree(repository, tree, "", wanted, 0)?;
        Ok(snapshot)
    }

    /// Reads a folder. A `.git` at its top is not looked at.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn of_folder(folder: &Path, wanted: &BTreeSet<&str>) -> Result<Self, SnapshotError> {
        let mut snapshot = Self::default();
        snapshot.add_folder(folder, "", wanted, 0)?;
        Ok(snapshot)
    }

    fn add_tree(
        &mut self,
        repository: &Repository,
        tree: Oid,
        prefix: &str,
        wanted: &BTreeSet<&str>,
        depth: usize,
    ) -> Result<(), SnapshotError> {
        for entry in &repository.find_tree(tree)? {
            let path = join(prefix, entry.name_bytes(), depth)?;
            let mode = match entry.kind() {
                Some(ObjectType::Tree) => {
                    self.add_tree(repository, entry.id(), &path, wanted, depth + 1)?;
                    continue;
                }
                Some(ObjectType::Commit) => return Err(SnapshotError::Submodule(path)),
                Some(ObjectType::Blob) => match entry.filemode() {
                    0o120_000 => Mode::Link,
                    0o100_755 => Mode::Executable,
                    _ => Mode::Plain,
                },
                _ => return Err(SnapshotError::Kind(path)),
            };
            let blob = repository.find_blob(entry.id())?;
            self.add(path, mode, blob.content(), wanted)?;
        }
        Ok(())
    }

    fn add_folder(
        &mut self,
        folder: &Path,
        prefix: &str,
        wanted: &BTreeSet<&str>,
        depth: usize,
    ) -> Result<(), SnapshotError> {
        for file in fs::list(folder)? {
            let name = file.file_name().map_or(&b""[..], |name| name.as_bytes());
            if name == b".git" && prefix.is_empty() {
                continue;
            }
            let path = join(prefix, name, depth)?;
            let metadata = file.symlink_metadata().at("inspect", &file)?;
            if metadata.is_dir() {
                self.add_folder(&file, &path, wanted, depth + 1)?;
            } else if metadata.is_symlink() {
                let target = file.read_link().at("read the link", &file)?;
                self.add(path, Mode::Link, target.as_os_str().as_bytes(), wanted)?;
            } else if metadata.is_file() {
                let executable = metadata.permissions().mode() & 0o100 != 0;
                let mode = if executable { Mode::Executable } else { Mode::Plain };
                self.add(path, mode, &fs::read(&file)?, wanted)?;
            } else {
                return Err(SnapshotError::Kind(path));
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: String,
        mode: Mode,
        content: &[u8],
        wanted: &BTreeSet<&str>,
    ) -> Result<(), SnapshotError> {
        if let Some(lf) = without_carriage_returns(content) {
            self.with_lf.insert(path.clone(), crate::digest::Digest::sha256(&lf));
        }
        if mode != Mode::Link && wanted.contains(path.as_str()) {
            self.contents.insert(path.clone(), content.to_owned());
        }
        self.listing.entries.insert(path, Entry::of(mode, content)?);
        Ok(())
    }
}

/// The content with LF for each CRLF, where there is one.
fn without_carriage_returns(content: &[u8]) -> Option<Vec<u8>> {
    content.windows(2).any(|pair| pair == b"\r\n").then(|| {
        let mut lf = Vec::with_capacity(content.len());
        let mut bytes = content.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            if byte != b'\r' || bytes.peek() != Some(&b'\n') {
                lf.push(byte);
            }
        }
        lf
    })
}

/// Adds a name to a path, if it can be a file's name on every system of ours
/// and part of a line.
fn join(prefix: &str, name: &[u8], depth: usize) -> Result<String, SnapshotError> {
    let shown = || format!("{prefix}/{}", String::from_utf8_lossy(name).escape_debug());
    if depth >= DEPTH {
        return Err(SnapshotError::Depth(shown()));
    }
    let text = std::str::from_utf8(name).map_err(|_| SnapshotError::Name(shown()))?;
    let special = matches!(text, "" | "." | "..") || text.eq_ignore_ascii_case(".git");
    if special || text.contains('/') || text.chars().any(char::is_control) {
        return Err(SnapshotError::Name(shown()));
    }
    Ok(if prefix.is_empty() { text.to_owned() } else { format!("{prefix}/{text}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [&b".."[..], b".", b"", b"a/b", b".GIT", b"a\nb", b"\xff"] {
            assert!(matches!(join("x", name, 0), Err(SnapshotError::Name(_))), "{name:?}");
        }
        assert_eq!(join("x", b"y", 0).unwrap(), "x/y");
        assert!(matches!(join("x", b"y", DEPTH), Err(SnapshotError::Depth(_))));
    }

    #[test]
    fn line_ends_can_be_undone() {
        assert_eq!(without_carriage_returns(b"a\r\nb\rc\r\n").unwrap(), b"a\nb\rc\n");
        assert_eq!(without_carriage_returns(b"a\nb\r"), None);
    }
}
