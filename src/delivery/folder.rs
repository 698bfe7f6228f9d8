//! The synced folder `deploy/<environment>/`: replaced as a whole, so that
//! what no longer renders disappears from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::changes::{ChangeKind, Changes, read_folder};
use crate::fs::{self, FsError};
use crate::pipeline::compose::KUSTOMIZATION;

/// Why a folder was not replaced. It is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file could not be read, written or renamed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The folder holds something that no render wrote.
    #[error(
        "{} holds files but no {KUSTOMIZATION}, so no render wrote it: name an empty or a new folder",
        folder.display()
    )]
    NotOurs {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder of the repository is somewhere else.
    #[error(
        "{} is a link out of the repository: put a folder in its place, or name another by --output",
        folder.display()
    )]
    Outside {
        /// The link.
        folder: PathBuf,
    },
    /// The folder has no name, such as `/` or `..`.
    #[error("{} has no name of its own: name a folder to replace", folder.display())]
    NoName {
        /// The folder.
        folder: PathBuf,
    },
}

/// The synced folder of an environment of the repository at `root`.
///
/// # Errors
/// It, its parent or the folder of the statements is a link that leads out of the
/// repository.
pub fn own(root: &Path, name: &str) -> Result<PathBuf, FolderError> {
    let target = Path::new("deploy").join(name);
    for folder in [Path::new("deploy"), Path::new("deploy/.provenance"), target.as_path()] {
        if fs::leads_out(root, folder)? {
            return Err(FolderError::Outside { folder: folder.to_owned() });
        }
    }
    Ok(root.join(target))
}

/// Makes `target` hold these files and nothing else. A crash leaves the old
/// folder or the new, or, between the two renames, the old one as
/// `.NAME.old`, which the next call puts back. Says whether anything changed.
///
/// # Errors
/// [`FolderError`].
pub fn replace(target: &Path, files: &BTreeMap<String, String>) -> Result<bool, FolderError> {
    let no_name = || FolderError::NoName { folder: target.to_owned() };
    let name = target.file_name().ok_or_else(no_name)?.to_string_lossy();
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    // Two at once would write into each other's new folder.
    let _lock = fs::lock_dir(parent)?;
    recover(target, &name)?;
    let there = target.exists();
    if there {
        let entries = fs::list(target)?;
        if !entries.is_empty() && !target.join(KUSTOMIZATION).exists() {
            return Err(FolderError::NotOurs { folder: target.to_owned() });
        }
        if Changes::between(&read_folder(target)?, files).is_empty() && entries.len() == files.len()
        {
            return Ok(false);
        }
    }
    let sibling = |kind: &str| parent.join(format!(".{name}.{kind}"));
    let (new, old) = (sibling("new"), sibling("old"));
    fs::remove_dir_all_if_there(&new)?;
    fs::create_dir_all(&new)?;
    let written = files.iter().map(|(file, text)| (file.as_str(), text.as_bytes()));
    if let Err(error) = fs::write_new_files(&new, written) {
        fs::remove_dir_all_if_there(&new)?;
        return Err(error.into());
    }
    if there {
        fs::remove_dir_all_if_there(&old)?;
        fs::rename(target, &old)?;
    }
    if let Err(error) = fs::rename(&new, target) {
        // Should this fail too, the old folder stays where the next run finds it.
        if there {
            fs::rename(&old, target)?;
        }
        return Err(error.into());
    }
    fs::remove_dir_all_if_there(&old)?;
    fs::sync_dir(parent)?;
    Ok(true)
}

/// What differs between `target` and these files, a line a file.
///
/// # Errors
/// When the folder can't be read; that it is missing is a difference.
pub fn differences(
    target: &Path,
    files: &BTreeMap<String, String>,
) -> Result<Vec<String>, FsError> {
    let there = if target.exists() { read_folder(target)? } else { BTreeMap::new() };
    let changes = Changes::between(&there, files);
    let mut lines = Vec::new();
    for (kind, says) in [
        (ChangeKind::Added, "is not in deploy/"),
        (ChangeKind::Changed, "differs"),
        (ChangeKind::Removed, "no longer renders"),
    ] {
        lines.extend(changes.files(kind).into_iter().map(|file| format!("{file} {says}")));
    }
    Ok(lines)
}

/// Puts back the folder that a crash between the two renames left aside.
fn recover(target: &Path, name: &str) -> Result<(), FsError> {
    let old = target.with_file_name(format!(".{name}.old"));
    if !target.exists() && old.exists() {
        fs::rename(&old, target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Access;

    fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_link_out_of_the_repository_is_refused() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let refused = |folder: &str| match own(root.path(), "sandbox") {
            Err(FolderError::Outside { folder: found }) => assert_eq!(found, Path::new(folder)),
            other => panic!("{other:?}"),
        };
        assert_eq!(own(root.path(), "sandbox").unwrap(), root.path().join("deploy/sandbox"));
        std::os::unix::fs::symlink(outside.path(), root.path().join("deploy")).unwrap();
        refused("deploy");
        fs::remove_if_there(&root.path().join("deploy")).unwrap();
        fs::create_dir_all(&root.path().join("deploy")).unwrap();
        std::os::unix::fs::symlink("/nowhere", root.path().join("deploy/.provenance")).unwrap();
        refused("deploy/.provenance");
        fs::remove_if_there(&root.path().join("deploy/.provenance")).unwrap();
        std::os::unix::fs::symlink("../..", root.path().join("deploy/sandbox")).unwrap();
        refused("deploy/sandbox");
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole_and_once() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("deploy/sandbox");
        let first = files(&[(KUSTOMIZATION, "a"), ("gone.yaml", "b")]);
        let second = files(&[(KUSTOMIZATION, "a"), ("new.yaml", "c")]);
        assert!(replace(&target, &first).unwrap());
        assert!(!replace(&target, &first).unwrap());
        assert_eq!(
            differences(&target, &second).unwrap(),
            ["new.yaml is not in deploy/", "gone.yaml no longer renders"]
        );
        assert!(replace(&target, &second).unwrap());
        assert!(differences(&target, &second).unwrap().is_empty());
        assert_eq!(fs::list(target.parent().unwrap()).unwrap(), [target]);
    }

    #[test]
    fn many_at_once_leave_one_of_theirs() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("deploy/sandbox");
        let of = |number: usize| -> BTreeMap<_, _> {
            let mut files = files(&[(KUSTOMIZATION, "a")]);
            for file in 0..20 {
                files.insert(format!("{file}.yaml"), number.to_string());
            }
            files
        };
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (target, files) = (&target, of(number));
                scope.spawn(move || replace(target, &files).unwrap());
            }
        });
        let found = read_folder(&target).unwrap();
        assert!((0..4).any(|number| found == of(number)), "{found:?}");
        assert_eq!(fs::list(target.parent().unwrap()).unwrap(), [target]);
    }

    #[test]
    fn a_crash_between_the_renames_loses_nothing() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("sandbox");
        let first = files(&[(KUSTOMIZATION, "a")]);
        replace(&target, &first).unwrap();
        fs::rename(&target, &root.path().join(".sandbox.old")).unwrap();
        assert!(!replace(&target, &first).unwrap(), "the old folder is back");
        assert_eq!(fs::list(root.path()).unwrap(), [target]);
    }

    #[test]
    fn somebody_elses_folder_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("precious");
        fs::write_atomic(&file, b"x", Access::Everyone).unwrap();
        let error = replace(root.path(), &files(&[(KUSTOMIZATION, "a")])).unwrap_err();
        assert!(matches!(error, FolderError::NotOurs { .. }), "{error}");
        assert!(file.exists());
    }
}
