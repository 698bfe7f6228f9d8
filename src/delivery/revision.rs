//! The files of a folder as a git revision has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, Repository, TreeWalkMode, TreeWalkResult};

/// Why they can't be had.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// The folder is in no git repository.
    #[error("{} is in no git repository", folder.display())]
    NoRepository {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no such revision.
    #[error("git knows no revision `{revision}`")]
    Unknown {
        /// What was asked for.
        revision: String,
    },
    /// git can't read it.
    #[error("git can't read `{revision}`: {}", source.message())]
    Git {
        /// What was asked for.
        revision: String,
        /// What libgit2 says.
        source: git2::Error,
    },
}

/// The files below `folder`, relative to `root`, as `revision` has them; none
/// where it has no such folder. Bytes that are not UTF-8 become replacement
/// characters, as [`super::changes::read_folder`] has them.
///
/// # Errors
/// [`RevisionError`].
pub fn read_folder(
    root: &Path,
    folder: &str,
    revision: &str,
) -> Result<BTreeMap<String, String>, RevisionError> {
    let no_repository = || RevisionError::NoRepository { folder: root.to_owned() };
    let repository = Repository::discover(root).map_err(|_| no_repository())?;
    // The project may be a folder of a larger repository.
    let top = repository.workdir().ok_or_else(no_repository)?;
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let below = canonical(root);
    let below = below.strip_prefix(canonical(top)).map_err(|_| no_repository())?.join(folder);
    let failed = |source| RevisionError::Git { revision: revision.to_owned(), source };
    let unknown = || RevisionError::Unknown { revision: revision.to_owned() };
    let found = repository.revparse_single(revision).map_err(|_| unknown())?;
    let tree = found.peel_to_tree().map_err(|_| unknown())?;
    let entry = match tree.get_path(&below) {
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(BTreeMap::new()),
        entry => entry.map_err(failed)?,
    };
    let object = entry.to_object(&repository).map_err(failed)?;
    let Ok(tree) = object.peel_to_tree() else { return Ok(BTreeMap::new()) };
    let mut files = BTreeMap::new();
    let mut broken = None;
    tree.walk(TreeWalkMode::PreOrder, |prefix, entry| {
        if entry.kind() == Some(ObjectType::Blob) {
            let name = String::from_utf8_lossy(entry.name_bytes());
            match repository.find_blob(entry.id()) {
                Ok(blob) => {
                    let text = String::from_utf8_lossy(blob.content()).into_owned();
                    files.insert(format!("{prefix}{name}"), text);
                }
                Err(error) => {
                    broken = Some(error);
                    return TreeWalkResult::Abort;
                }
            }
        }
        TreeWalkResult::Ok
    })
    .or_else(|error| if broken.is_some() { Ok(()) } else { Err(error) })
    .map_err(failed)?;
    match broken {
        Some(error) => Err(failed(error)),
        None => Ok(files),
    }
}
