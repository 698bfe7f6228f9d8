//! The file system calls of the store, each of which a test can make fail.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};

use super::direct::Direct;
use super::entries::Entries;
use super::stamp::Stamp;
use crate::fs::{self as files, At as _, FsError};
use crate::registry::store::{Listing, Page, UploadId};

/// A step of the store that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Making a folder.
    MakeFolder,
    /// Creating a file.
    Create,
    /// Writing to a file.
    Write,
    /// Making the content of a file durable.
    Sync,
    /// Moving a file to its place.
    Rename,
    /// Making the entries of a folder durable.
    SyncFolder,
    /// Removing a file or a folder.
    Remove,
    /// Opening or reading a file.
    Read,
    /// Setting the time of a file.
    Touch,
}

/// Asked before each step of the store; what it answers is what the store
/// gets in place of the system's answer. For tests.
pub trait Faults: Send + Sync {
    /// Whether the step may happen.
    ///
    /// # Errors
    /// The error that the step shall end with.
    fn before(&self, step: Step, path: &Path) -> io::Result<()>;
}

/// The file system below a data folder.
pub(super) struct Disk {
    temporary: PathBuf,
    faults: Option<Arc<dyn Faults>>,
    /// Held for writing while folders are made, so that whoever sees a folder
    /// can wait until it is durable.
    making: RwLock<()>,
    failed_syncs: AtomicU64,
}

impl Disk {
    pub(super) fn new(temporary: PathBuf, faults: Option<Arc<dyn Faults>>) -> Self {
        Self { temporary, faults, making: RwLock::new(()), failed_syncs: AtomicU64::new(0) }
    }

    fn ask(&self, step: Step, path: &Path) -> Result<(), FsError> {
        match &self.faults {
            None => Ok(()),
            Some(faults) => faults.before(step, path).at("touch", path),
        }
    }

    /// Asked before content is read whose file is open.
    pub(super) fn may_read(&self, path: &Path) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.before(Step::Read, path))
    }

    /// A path for a file that is not in its place yet.
    pub(super) fn temporary(&self) -> Result<Temporary, FsError> {
        let id = UploadId::random().at("draw a random name in", &self.temporary)?;
        let path = self.temporary.join(id.as_str());
        Ok(Temporary { path, faults: self.faults.clone() })
    }

    pub(super) fn create(&self, path: &Path) -> Result<File, FsError> {
        self.ask(Step::Create, path)?;
        OpenOptions::new().read(true).write(true).create_new(true).open(path).at("create", path)
    }

    /// Opens a file to read; `None` where there is none.
    pub(super) fn open(&self, path: &Path) -> Result<Option<File>, FsError> {
        self.ask(Step::Read, path)?;
        there(File::open(path)).at("open", path)
    }

    /// Opens a file to go on writing it; `None` where there is none.
    pub(super) fn open_to_write(&self, path: &Path) -> Result<Option<File>, FsError> {
        self.ask(Step::Read, path)?;
        there(OpenOptions::new().read(true).write(true).open(path)).at("open", path)
    }

    /// Takes the lock that a file stands for, making the file if need be, and
    /// waits for whoever holds it. Dropping the file gives the lock back.
    pub(super) fn lock(&self, path: &Path) -> Result<File, FsError> {
        let file = self.lock_file(path)?;
        file.lock().at("lock", path)?;
        Ok(file)
    }

    /// Takes a lock as [`Disk::lock`] does, together with others.
    pub(super) fn lock_shared(&self, path: &Path) -> Result<File, FsError> {
        let file = self.lock_file(path)?;
        file.lock_shared().at("lock", path)?;
        Ok(file)
    }

    /// Takes a lock as [`Disk::lock`] does; `None` while someone holds it.
    pub(super) fn try_lock(&self, path: &Path) -> Result<Option<File>, FsError> {
        let file = self.lock_file(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).at("lock", path),
        }
    }

    fn lock_file(&self, path: &Path) -> Result<File, FsError> {
        self.ask(Step::Create, path)?;
        // A file that is open for writing would keep the disk from being made
        // read-only, for as long as the lock is held.
        if let Some(file) = there(File::open(path)).at("open", path)? {
            return Ok(file);
        }
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .at("create", path)?;
        File::open(path).at("open", path)
    }

    /// The length of a file; `None` where there is none.
    pub(super) fn size(&self, path: &Path) -> Result<Option<u64>, FsError> {
        self.ask(Step::Read, path)?;
        let metadata = there(fs::metadata(path)).at("look at", path)?;
        Ok(metadata.map(|metadata| metadata.len()))
    }

    pub(super) fn exists(&self, path: &Path) -> Result<bool, FsError> {
        Ok(self.size(path)?.is_some())
    }

    /// Reads a whole file; `None` where there is none.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FsError> {
        self.ask(Step::Read, path)?;
        files::read_if_there(path)
    }

    /// The stamp of a file or folder; `None` where there is none.
    pub(super) fn stamp(&self, path: &Path) -> Result<Option<Stamp>, FsError> {
        self.ask(Step::Read, path)?;
        let metadata = there(fs::metadata(path)).at("look at", path)?;
        Ok(metadata.map(|metadata| Stamp::of(&metadata)))
    }

    /// Reads a whole file with the stamp of what was read; `None` where there
    /// is none.
    pub(super) fn read_stamped(&self, path: &Path) -> Result<Option<(Vec<u8>, Stamp)>, FsError> {
        let Some(mut file) = self.open(path)? else { return Ok(None) };
        let stamp = Stamp::of(&file.metadata().at("look at", path)?);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).at("read", path)?;
        Ok(Some((bytes, stamp)))
    }

    /// The entries of a folder, sorted; none where there is no folder.
    pub(super) fn list(&self, path: &Path) -> Result<Vec<PathBuf>, FsError> {
        self.ask(Step::Read, path)?;
        match files::list(path) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(Vec::new())
            }
            listed => listed,
        }
    }

    /// A page of the names in a folder, sorted; none where there is no folder.
    /// No more of them are held than the page has.
    pub(super) fn names(&self, path: &Path, page: &Page) -> Result<Listing<String>, FsError> {
        self.ask(Step::Read, path)?;
        let names = match files::names(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Listing { entries: Vec::new(), more: false });
            }
            names => names?,
        };
        let mut failure = None;
        let readable = names.map_while(|name| name.map_err(|error| failure = Some(error)).ok());
        let listing = Listing::pick(readable, page);
        failure.map_or(Ok(listing), Err)
    }

    /// All that is in a folder; `None` where there is none.
    pub(super) fn entries(&self, path: &Path) -> Result<Option<Entries>, FsError> {
        self.ask(Step::Read, path)?;
        Entries::read(path).at("list", path)
    }

    /// Writes all of these chunks with as few calls as the system allows.
    pub(super) fn write(&self, mut file: &File, path: &Path, bytes: &[u8]) -> Result<(), FsError> {
        self.ask(Step::Write, path)?;
        file.write_all(bytes).at("write", path)
    }

    /// Writes bytes past the system's cache, as [`Direct::write`] does.
    pub(super) fn write_direct(
        &self,
        file: &File,
        path: &Path,
        position: u64,
        bytes: &[u8],
        direct: &mut Direct,
    ) -> Result<bool, FsError> {
        self.ask(Step::Write, path)?;
        direct.write(file, position, bytes).at("write", path)
    }

    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<(), FsError> {
        self.watched(|| {
            self.ask(Step::Sync, path)?;
            file.sync_all().at("sync", path)
        })
    }

    /// How many syncs have failed: as long as this is the same none has.
    pub(super) fn failed_syncs(&self) -> u64 {
        self.failed_syncs.load(Ordering::Acquire)
    }

    fn watched(&self, sync: impl FnOnce() -> Result<(), FsError>) -> Result<(), FsError> {
        sync().inspect_err(|_| {
            self.failed_syncs.fetch_add(1, Ordering::AcqRel);
        })
    }

    /// Puts a file that is durable itself to its place, durably, making the
    /// folders on the way. What was there before is replaced in one step.
    pub(super) fn place(&self, from: &Path, to: &Path) -> Result<(), FsError> {
        let folder = to.parent().unwrap_or(Path::new("."));
        self.make_folder(folder)?;
        self.rename(from, to)?;
        self.sync_folder(folder)
    }

    /// Writes a small file so that a reader or a crash sees the old content or
    /// the new, and returns when the new one is durable.
    pub(super) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), FsError> {
        let temporary = self.stage(bytes)?;
        self.place(&temporary.path, path)
    }

    /// Writes a small file durably that is not in its place yet.
    pub(super) fn stage(&self, bytes: &[u8]) -> Result<Temporary, FsError> {
        let temporary = self.temporary()?;
        let file = self.create(&temporary.path)?;
        self.write(&file, &temporary.path, bytes)?;
        self.sync(&file, &temporary.path)?;
        Ok(temporary)
    }

    /// Makes sure that a file which is in its place already stays there: whoever
    /// put it there may not have got so far.
    pub(super) fn keep(&self, path: &Path) -> Result<(), FsError> {
        self.sync_folder(path.parent().unwrap_or(Path::new(".")))
    }

    /// Writes a small file that nothing is lost with: whole or not at all for
    /// readers, whatever the system made of it after a loss of power.
    pub(super) fn put_for_now(&self, path: &Path, bytes: &[u8]) -> Result<(), FsError> {
        let temporary = self.temporary()?;
        let file = self.create(&temporary.path)?;
        self.write(&file, &temporary.path, bytes)?;
        self.rename(&temporary.path, path)
    }

    /// Adds to a small file that nothing is lost with, making it and its folder
    /// if need be.
    pub(super) fn append_for_now(&self, path: &Path, bytes: &[u8]) -> Result<(), FsError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        if !folder.is_dir() {
            match self.make_folder_for_now(folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
        }
        self.ask(Step::Create, path)?;
        let file = OpenOptions::new().append(true).create(true).open(path).at("create", path)?;
        self.write(&file, path, bytes)
    }

    /// Makes a folder and those above it, durably. A folder that is there was
    /// made durable by whoever made it, or will be before this returns.
    pub(super) fn make_folder(&self, path: &Path) -> Result<(), FsError> {
        if path.is_dir() {
            drop(self.making.read().unwrap_or_else(PoisonError::into_inner));
            // It is gone again where it could not be made durable.
            if path.is_dir() {
                return Ok(());
            }
        }
        let _alone = self.making.write().unwrap_or_else(PoisonError::into_inner);
        self.make_folder_alone(path)
    }

    /// Makes the folder that a file is to be put in.
    pub(super) fn make_folder_of(&self, path: &Path) -> Result<(), FsError> {
        self.make_folder(path.parent().unwrap_or(Path::new(".")))
    }

    /// Makes a folder in one that is there, not durably.
    pub(super) fn make_folder_for_now(&self, path: &Path) -> Result<(), FsError> {
        self.ask(Step::MakeFolder, path)?;
        fs::create_dir(path).at("create the folder", path)
    }

    fn make_folder_alone(&self, path: &Path) -> Result<(), FsError> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.ask(Step::MakeFolder, path)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match parent {
                None => return Err(error).at("create the folder", path),
                Some(parent) => {
                    self.make_folder_alone(parent)?;
                    fs::create_dir(path).at("create the folder", path)?;
                }
            },
            made => made.at("create the folder", path)?,
        }
        let durable = self.sync_folder(parent.unwrap_or(Path::new(".")));
        if durable.is_err() {
            // Left there, it would pass for one that is durable.
            let _ = fs::remove_dir(path);
        }
        durable
    }

    /// Makes a folder durable that someone else made just now, with those above
    /// it that may be as new: up to the root of its file system, or to one that
    /// this process may not read and so has not made.
    pub(super) fn keep_folder(&self, path: &Path) -> Result<(), FsError> {
        let path = fs::canonicalize(path).at("look at", path)?;
        let device = fs::metadata(&path).at("look at", &path)?.dev();
        for folder in path.ancestors().skip(1) {
            if fs::metadata(folder).at("look at", folder)?.dev() != device {
                break;
            }
            match self.sync_folder(folder) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
                synced => synced?,
            }
        }
        Ok(())
    }

    /// Makes everything durable that is on the disk of this folder.
    pub(super) fn sync_all(&self, path: &Path) -> Result<(), FsError> {
        self.watched(|| {
            self.ask(Step::Sync, path)?;
            let folder = File::open(path).at("open", path)?;
            rustix::fs::syncfs(&folder).map_err(io::Error::from).at("sync the disk of", path)
        })
    }

    pub(super) fn sync_folder(&self, path: &Path) -> Result<(), FsError> {
        self.watched(|| {
            self.ask(Step::SyncFolder, path)?;
            files::sync_dir(path)
        })
    }

    /// Removes a file durably; `false` where there was none.
    pub(super) fn remove(&self, path: &Path) -> Result<bool, FsError> {
        if !self.exists(path)? {
            return Ok(false);
        }
        self.ask(Step::Remove, path)?;
        files::remove_if_there(path)?;
        self.sync_folder(path.parent().unwrap_or(Path::new(".")))?;
        Ok(true)
    }

    /// How long ago a file was last written to; `None` where there is none.
    /// A clock that went back makes it zero.
    pub(super) fn age(&self, path: &Path) -> Result<Option<Duration>, FsError> {
        self.ask(Step::Read, path)?;
        let metadata = there(fs::metadata(path)).at("look at", path)?;
        let modified = metadata.map(|metadata| metadata.modified().at("look at", path));
        Ok(modified.transpose()?.map(|time| time.elapsed().unwrap_or_default()))
    }

    /// What the system says of a file; `None` where there is none.
    pub(super) fn look(&self, path: &Path) -> Result<Option<Metadata>, FsError> {
        self.ask(Step::Read, path)?;
        there(fs::metadata(path)).at("look at", path)
    }

    /// Sets the time of an open file to now: its lease begins anew. On a
    /// read-only disk nothing is collected either.
    pub(super) fn touch(&self, file: &File, path: &Path) -> Result<(), FsError> {
        self.ask(Step::Touch, path)?;
        // "Now" needs the right to write, any other time needs to own the file.
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        };
        match futimens(file, &times).map_err(io::Error::from) {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
            touched => touched.at("set the time of", path),
        }
    }

    /// Changes nothing of an open file but the time of its last change, so that
    /// whoever knows its content looks again.
    pub(super) fn stir(&self, file: &File, path: &Path) -> Result<(), FsError> {
        self.ask(Step::Touch, path)?;
        let mode = file.metadata().at("look at", path)?.permissions();
        file.set_permissions(mode).at("set the mode of", path)
    }

    /// Moves a file to a folder that is there, not durably.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), FsError> {
        self.ask(Step::Rename, to)?;
        fs::rename(from, to).at("rename into place", to)
    }

    /// Removes a file, not durably; `false` where there was none.
    pub(super) fn unlink(&self, path: &Path) -> Result<bool, FsError> {
        self.ask(Step::Remove, path)?;
        files::remove_file(path)
    }

    /// Removes a file or a folder with all that is in it, not durably.
    pub(super) fn discard(&self, path: &Path) -> Result<(), FsError> {
        self.ask(Step::Remove, path)?;
        if path.is_dir() {
            files::remove_dir_all_if_there(path)
        } else {
            files::remove_if_there(path)
        }
    }
}

/// A file that is removed when this goes out of scope; once it was renamed
/// there is nothing left to remove.
pub(super) struct Temporary {
    pub(super) path: PathBuf,
    faults: Option<Arc<dyn Faults>>,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let faults = self.faults.as_ref();
        if faults.is_none_or(|faults| faults.before(Step::Remove, &self.path).is_ok()) {
            let _ = files::remove_if_there(&self.path);
        }
    }
}

/// Turns "not found" into `None`. A file where a folder should be is the same.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
