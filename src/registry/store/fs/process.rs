//! Which processes use a data folder: a collection relies on knowing who
//! touches what, and so runs only where there is one.
//!
//! Each process holds the lock of a file of its own in `processes/`; the
//! system gives it back when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::layout::Layout;
use crate::fs::{At as _, FsError, remove_if_there};
use crate::registry::store::UploadId;

/// This process among those that use the folder.
pub(super) struct Process {
    folder: PathBuf,
    collecting: PathBuf,
    own: PathBuf,
    _lock: File,
}

impl Process {
    /// Makes this process known. Where another one collects it waits until
    /// that has noticed, which it does within moments.
    pub(super) fn join(disk: &Disk, layout: &Layout) -> Result<Self, FsError> {
        let (folder, collecting) = (layout.processes(), layout.collecting());
        disk.make_folder(&folder)?;
        let (own, lock) = loop {
            let id = UploadId::random().at("draw a random name in", &folder)?;
            let own = folder.join(id.as_str());
            let lock = disk.lock(&own)?;
            // It may have passed for a leftover before it was locked.
            if lock.metadata().at("look at", &own)?.nlink() > 0 {
                break (own, lock);
            }
        };
        if disk.try_lock(&collecting)?.is_none() {
            tracing::info!("another process collects in the data folder; it ends for this one");
            disk.lock_shared(&collecting)?;
        }
        Ok(Self { folder, collecting, own, _lock: lock })
    }

    /// Shows others that this process collects; `None` where one of them does.
    pub(super) fn collect(&self, disk: &Disk) -> Result<Option<File>, FsError> {
        disk.try_lock(&self.collecting)
    }

    /// Whether no other process uses the folder. Leftovers of those that were
    /// killed are removed on the way.
    pub(super) fn is_alone(&self, disk: &Disk) -> Result<bool, FsError> {
        for path in disk.list(&self.folder)? {
            if path == self.own {
                continue;
            }
            let Some(file) = disk.open(&path)? else { continue };
            match file.try_lock() {
                Ok(()) => remove_if_there(&path)?,
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(source)) => {
                    return Err(FsError { step: "lock", path, source });
                }
            }
        }
        Ok(true)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = remove_if_there(Path::new(&self.own));
    }
}
