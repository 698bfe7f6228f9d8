//! What a rendering changes in a folder, file by file.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::fs::{self, FsError};

/// What differs between a folder and what is to replace it, sorted by file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(Vec<Change>);

/// One file that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path below the folder, with `/` between its parts.
    pub file: String,
    /// What happens to it.
    pub kind: ChangeKind,
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It had another content.
    Changed,
    /// It goes away.
    Removed,
}

impl Changes {
    /// What it takes to get from one set of files to another.
    #[must_use]
    pub fn between(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Self {
        let mut changes = Vec::new();
        for (file, old) in before {
            let kind = match after.get(file) {
                Some(new) if new == old => continue,
                Some(_) => ChangeKind::Changed,
                None => ChangeKind::Removed,
            };
            changes.push(Change { file: file.clone(), kind });
        }
        for file in after.keys().filter(|file| !before.contains_key(*file)) {
            changes.push(Change { file: file.clone(), kind: ChangeKind::Added });
        }
        changes.sort_by(|one, other| one.file.cmp(&other.file));
        Self(changes)
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The files that differ, sorted.
    pub fn iter(&self) -> std::slice::Iter<'_, Change> {
        self.0.iter()
    }

    /// The files to which this happens, sorted.
    #[must_use]
    pub fn files(&self, kind: ChangeKind) -> Vec<&str> {
        let of_kind = self.0.iter().filter(|change| change.kind == kind);
        of_kind.map(|change| change.file.as_str()).collect()
    }

    /// One line: how many files were added, changed and removed.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.is_empty() {
            return "nothing changed".to_owned();
        }
        let count = |kind| self.files(kind).len();
        format!(
            "{} added, {} changed, {} removed",
            count(ChangeKind::Added),
            count(ChangeKind::Changed),
            count(ChangeKind::Removed)
        )
    }
}

impl<'a> IntoIterator for &'a Changes {
    type Item = &'a Change;
    type IntoIter = std::slice::Iter<'a, Change>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The files below a folder by their path in it; none where there is no such
/// folder. Bytes that are not UTF-8 become replacement characters: no
/// rendering contains them, so that such a file always counts as changed.
///
/// # Errors
/// When something in it can't be read.
pub fn read_folder(folder: &Path) -> Result<BTreeMap<String, String>, FsError> {
    let mut files = BTreeMap::new();
    if folder.is_dir() {
        read_below(folder, "", &mut files)?;
    }
    Ok(files)
}

fn read_below(
    folder: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, String>,
) -> Result<(), FsError> {
    for path in fs::list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = format!("{prefix}{name}");
        if path.is_symlink() {
            // A link is never ours and may lead anywhere, also in a circle.
            files.insert(file, "a symbolic link\n".to_owned());
        } else if path.is_dir() {
            read_below(&path, &format!("{file}/"), files)?;
        } else {
            files.insert(file, String::from_utf8_lossy(&fs::read(&path)?).into_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn each_kind_of_change_is_told() {
        let before = files(&[("a.yaml", "one\ntwo\n"), ("b.yaml", "gone\n"), ("same", "x\n")]);
        let after = files(&[("a.yaml", "one\n2\n"), ("c.yaml", "new\n"), ("same", "x\n")]);
        let changes = Changes::between(&before, &after);
        assert_eq!(changes.summary(), "1 added, 1 changed, 1 removed");
        assert_eq!(changes.files(ChangeKind::Changed), ["a.yaml"]);
        assert_eq!(changes.files(ChangeKind::Removed), ["b.yaml"]);
    }

    #[test]
    fn equal_files_are_no_change() {
        let same = files(&[("a.yaml", "one\n")]);
        let changes = Changes::between(&same, &same);
        assert!(changes.is_empty());
        assert_eq!(changes.summary(), "nothing changed");
    }

    #[test]
    fn a_folder_is_read_to_the_bottom_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("crds");
        fs::create_dir_all(&below).unwrap();
        fs::write_atomic(&below.join("x.yaml"), b"a\xff\n", fs::Access::Everyone).unwrap();
        std::os::unix::fs::symlink(folder.path(), below.join("circle")).unwrap();
        let found = read_folder(folder.path()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["crds/circle", "crds/x.yaml"]);
        assert_eq!(found["crds/x.yaml"], "a\u{fffd}\n");
        assert!(read_folder(&folder.path().join("none")).unwrap().is_empty());
    }
}
