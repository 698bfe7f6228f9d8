//! Writes `vendor/trow/`, a copy of the pinned tree for builds without network.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use git2::Repository;

use super::listing::Mode;
use super::verify::{Pin, VerifyError, verify_folder};
use crate::fs::{self, Access, At as _};

/// Writes the pinned tree into `folder`: first beside it, then in its place,
/// so that a build sees the old copy or the new. The repository's commit has
/// been verified; the copy is verified again before it takes the place.
///
/// # Errors
/// What the system answers, with the path.
pub fn write_copy(pin: &Pin, repository: &Repository, folder: &Path) -> Result<(), VerifyError> {
    let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    let beside = |what: &str| folder.with_file_name(format!(".{name}.{what}"));
    let (new, old) = (beside("new"), beside("old"));
    fs::remove_dir_all_if_there(&new)?;
    fs::create_dir_all(&new)?;
    for (path, entry) in &pin.listing.entries {
        let blob = repository.find_blob(entry.blob)?;
        write_entry(&new.join(path), entry.mode, blob.content())?;
    }
    verify_folder(pin, &new)?;
    fs::remove_dir_all_if_there(&old)?;
    if folder.exists() {
        std::fs::rename(folder, &old).at("rename", folder)?;
    }
    std::fs::rename(&new, folder).at("rename into place", folder)?;
    fs::remove_dir_all_if_there(&old)?;
    if let Some(parent) = folder.parent() {
        fs::sync_dir(parent)?;
    }
    Ok(())
}

fn write_entry(path: &Path, mode: Mode, content: &[u8]) -> Result<(), VerifyError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if mode == Mode::Link {
        let target = std::ffi::OsStr::from_bytes(content);
        return Ok(symlink(target, path).at("create the link", path)?);
    }
    fs::write_atomic(path, content, Access::Everyone)?;
    if mode == Mode::Executable {
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, executable).at("make executable", path)?;
    }
    Ok(())
}
