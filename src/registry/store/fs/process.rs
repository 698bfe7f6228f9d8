//! Which processes use a data folder: a collection relies on knowing who
//! touches what, and so runs only where there is one.
//!
//! Each process holds the lock of a file of its own in `processes/`; the
//! system gives it back when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::disk::Disk;
use super::layout::Layout;
use crate::fs::{At as _, FsError, remove_if_there};
use crate::registry::store::UploadId;

/// This process among those that use the folder. On a disk that takes no writes
/// it can't make itself known; then it does before the first write that a
/// collection of another process would have to know of.
pub(super) struct Process {
    folder: PathBuf,
    collecting: PathBuf,
    own: OnceLock<Own>,
    joining: Mutex<()>,
    /// Whether it is this process that collects.
    collects: AtomicBool,
}

/// The file by which others know of this process.
struct Own {
    path: PathBuf,
    _lock: File,
}

/// That this process collects, for as long as this is there.
pub(super) struct Collects<'a> {
    process: &'a Process,
    _shown: File,
}

impl Process {
    /// This process, of which others don't know yet.
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            folder: layout.processes(),
            collecting: layout.collecting(),
            own: OnceLock::new(),
            joining: Mutex::default(),
            collects: AtomicBool::new(false),
        }
    }

    /// Makes this process known, once. Where another one collects it waits
    /// until that has noticed, which it does within moments.
    pub(super) fn join(&self, disk: &Disk) -> Result<(), FsError> {
        if self.own.get().is_some() {
            return Ok(());
        }
        let _alone = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        if self.own.get().is_some() {
            return Ok(());
        }
        disk.make_folder(&self.folder)?;
        let own = loop {
            let id = UploadId::random().at("draw a random name in", &self.folder)?;
            let path = self.folder.join(id.as_str());
            let lock = disk.lock(&path)?;
            // It may have passed for a leftover before it was locked.
            if lock.metadata().at("look at", &path)?.nlink() > 0 {
                break Own { path, _lock: lock };
            }
        };
        // A collection of this process knows what this process touches.
        if !self.collects.load(Ordering::Acquire) && disk.try_lock(&self.collecting)?.is_none() {
            tracing::info!("another process collects in the data folder; it ends for this one");
            disk.lock_shared(&self.collecting)?;
        }
        // Nobody else sets it meanwhile.
        let _ = self.own.set(own);
        Ok(())
    }

    /// Shows others that this process collects; `None` where one of them does.
    pub(super) fn collect(&self, disk: &Disk) -> Result<Option<Collects<'_>>, FsError> {
        let _alone = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = disk.try_lock(&self.collecting)?;
        Ok(shown.map(|shown| {
            self.collects.store(true, Ordering::Release);
            Collects { process: self, _shown: shown }
        }))
    }

    /// Whether no other process uses the folder. Those that were killed may have
    /// put things in place and no longer synced them: that is made up for here,
    /// and what they left is removed.
    pub(super) fn is_alone(&self, disk: &Disk) -> Result<bool, FsError> {
        let (mut alone, mut left) = (true, Vec::new());
        for path in disk.list(&self.folder)? {
            if self.own.get().is_some_and(|own| own.path == path) {
                continue;
            }
            let Some(file) = disk.open(&path)? else { continue };
            match file.try_lock() {
                Ok(()) => left.push((path, file)),
                Err(TryLockError::WouldBlock) => alone = false,
                Err(TryLockError::Error(source)) => {
                    return Err(FsError { step: "lock", path, source });
                }
            }
        }
        if !left.is_empty() {
            disk.sync_all(&self.folder)?;
        }
        // Not before: whoever looks next would not know of them.
        left.iter().try_for_each(|(path, _)| remove_if_there(path))?;
        Ok(alone)
    }
}

impl Drop for Collects<'_> {
    fn drop(&mut self) {
        self.process.collects.store(false, Ordering::Release);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(own) = self.own.get() {
            let _ = remove_if_there(&own.path);
        }
    }
}
