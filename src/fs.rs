//! File access whose errors carry the path, and writes that are atomic and
//! durable. The bare `std::fs` calls are banned elsewhere by `clippy.toml`.
#![allow(clippy::disallowed_methods, reason = "this file is the one that wraps them")]

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// An IO error with the path and the step at which it happened.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} {}: {source}", path.display())]
pub struct FsError {
    /// What was tried: "read", "create", "sync", …
    pub step: &'static str,
    /// Where it was tried.
    pub path: PathBuf,
    /// What the system answered.
    pub source: io::Error,
}

impl FsError {
    /// The system's kind of error.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl FsError {
    /// Whether the disk, or the share of it that this process may use, is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    }

    /// Whether the disk only takes no writes now: what is there can be read,
    /// and on a full one removed.
    #[must_use]
    pub fn takes_no_writes(&self) -> bool {
        self.is_full() || self.kind() == io::ErrorKind::ReadOnlyFilesystem
    }
}

/// Adds the step and the path to an IO result.
pub trait At<T> {
    /// Turns the error into an [`FsError`].
    ///
    /// # Errors
    /// The error that was there, with its path.
    fn at(self, step: &'static str, path: &Path) -> Result<T, FsError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, step: &'static str, path: &Path) -> Result<T, FsError> {
        self.map_err(|source| FsError { step, path: path.to_owned(), source })
    }
}

/// Reads a whole file.
///
/// # Errors
/// Whatever the system answers, with the path.
pub fn read(path: &Path) -> Result<Vec<u8>, FsError> {
    fs::read(path).at("read", path)
}

/// Reads a whole UTF-8 file.
///
/// # Errors
/// Whatever the system answers, or that the file is not UTF-8, with the path.
pub fn read_to_string(path: &Path) -> Result<String, FsError> {
    fs::read_to_string(path).at("read", path)
}

/// Reads a file below `root`, of at most `bound` bytes. `path` is relative to
/// `root`, and links that lead out of it are not followed.
///
/// # Errors
/// Whatever the system answers, or that the file is too large, is no file, or
/// lies outside, with the path.
pub fn read_within(root: &Path, path: &Path, bound: u64) -> Result<Vec<u8>, FsError> {
    use io::Read as _;
    let place = root.join(path);
    let refused = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let read = || {
        let (inside, real) = (fs::canonicalize(root)?, fs::canonicalize(&place)?);
        if !real.starts_with(&inside) {
            return Err(refused(format!("it is a link out of {}", root.display())));
        }
        // A device or a pipe would have no end, or no beginning.
        if !fs::metadata(&real)?.is_file() {
            return Err(refused("it is no file".to_owned()));
        }
        let mut bytes = Vec::new();
        fs::File::open(&real)?.take(bound.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bound {
            return Err(refused(format!("it is larger than {bound} bytes")));
        }
        Ok(bytes)
    };
    read().at("read", &place)
}

/// Whether a path below `root` leads out of it by a link, or by one that leads nowhere.
/// What is not there leads nowhere else.
///
/// # Errors
/// Whatever the system answers, with the path.
pub fn leads_out(root: &Path, path: &Path) -> Result<bool, FsError> {
    let place = root.join(path);
    let inside = fs::canonicalize(root).at("read", root)?;
    match fs::canonicalize(&place) {
        Ok(real) => Ok(!real.starts_with(&inside)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(fs::symlink_metadata(&place).is_ok_and(|there| there.is_symlink()))
        }
        error => error.at("read", &place).map(|_| false),
    }
}

/// Like [`read_within`], a UTF-8 file.
///
/// # Errors
/// As [`read_within`], or the line of the first byte that is no UTF-8.
pub fn read_text_within(root: &Path, path: &Path, bound: u64) -> Result<String, FsError> {
    let bytes = read_within(root, path, bound)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.split(|byte| *byte == b'\n').count();
        let reason = format!("line {line} is not UTF-8: save the file as UTF-8");
        let source = io::Error::new(io::ErrorKind::InvalidData, reason);
        FsError { step: "read", path: root.join(path), source }
    })
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The stamp of the file that a path leads to, through all its links; `None`
/// where it can't be seen.
#[must_use]
pub fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::metadata(path).ok()?;
    Some(Stamp {
        device: found.dev(),
        inode: found.ino(),
        length: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

/// Reads a whole file; `None` where there is none.
///
/// # Errors
/// Whatever the system answers but "not found", with the path.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, FsError> {
    match read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a folder and those above it.
///
/// # Errors
/// Whatever the system answers, with the path.
pub fn create_dir_all(path: &Path) -> Result<(), FsError> {
    fs::create_dir_all(path).at("create the folder", path)
}

/// The entries of a folder, sorted by name.
///
/// # Errors
/// Whatever the system answers, with the path.
pub fn list(path: &Path) -> Result<Vec<PathBuf>, FsError> {
    let mut entries = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>())
        .at("list", path)?;
    entries.sort();
    Ok(entries)
}

/// The names of a folder's entries as the system gives them, one by one: in no
/// order, and without those that are not UTF-8.
///
/// # Errors
/// Whatever the system answers, with the path; so does each name.
pub fn names(path: &Path) -> Result<impl Iterator<Item = Result<String, FsError>>, FsError> {
    let entries = fs::read_dir(path).at("list", path)?;
    Ok(entries.filter_map(move |entry| {
        let name = entry.at("list", path).map(|entry| entry.file_name().into_string().ok());
        name.transpose()
    }))
}

/// Removes a file; it is no error where there is none.
///
/// # Errors
/// Whatever the system answers but "not found", with the path.
pub fn remove_if_there(path: &Path) -> Result<(), FsError> {
    remove_file(path).map(drop)
}

/// Removes a file; `false` where there was none.
///
/// # Errors
/// Whatever the system answers but "not found", with the path.
pub fn remove_file(path: &Path) -> Result<bool, FsError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).at("remove", path),
    }
}

/// Removes a folder and all below it; it is no error where there is none.
///
/// # Errors
/// Whatever the system answers but "not found", with the path.
pub fn remove_dir_all_if_there(path: &Path) -> Result<(), FsError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}

/// Renames a file or folder.
///
/// # Errors
/// Whatever the system answers, with the new path.
pub fn rename(from: &Path, to: &Path) -> Result<(), FsError> {
    fs::rename(from, to).at("rename into place", to)
}

/// Makes what a folder lists (new names, renames, removals) survive a crash.
///
/// # Errors
/// Whatever the system answers, with the path.
pub fn sync_dir(path: &Path) -> Result<(), FsError> {
    fs::File::open(path).and_then(|dir| dir.sync_all()).at("sync the folder", path)
}

/// Who may read a file that [`write_atomic`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Mode 0644.
    Everyone,
    /// Mode 0600: keys and passwords.
    Owner,
}

/// Lets nobody but the owner open something that is there: mode 0600.
///
/// # Errors
/// Whatever the system answers, with the path.
pub fn restrict_to_owner(path: &Path) -> Result<(), FsError> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(path, mode).at("set the mode of", path)
}

/// Lets everybody read something that is there, whatever the process's umask says:
/// mode 0644, and 0755 for a folder.
///
/// # Errors
/// Whatever the system answers, with the path.
pub fn share(path: &Path) -> Result<(), FsError> {
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    fs::set_permissions(path, mode).at("set the mode of", path)
}

/// Waits until nobody else holds the lock of this folder, and takes it. It is
/// given back when the result goes out of scope, and when the process ends.
///
/// # Errors
/// Whatever the system answers, with the path.
pub fn lock_dir(path: &Path) -> Result<fs::File, FsError> {
    let folder = fs::File::open(path).at("open", path)?;
    folder.lock().at("lock", path)?;
    Ok(folder)
}

/// Makes a folder that nobody but the owner can look into: mode 0700. It must
/// not be there yet, so that nobody else can have made it.
///
/// # Errors
/// Whatever the system answers, with the path.
pub fn create_private_dir(path: &Path) -> Result<(), FsError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(path).at("create the folder", path)
}

/// Writes these files, by their names in the folder, which nobody else knows
/// yet, and syncs them and the folder. They are written by several threads: what
/// is synced at once costs the disk little more than one file.
///
/// # Errors
/// Whatever the system answers first, with the path.
pub fn write_new_files<'a>(
    folder: &Path,
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<(), FsError> {
    let files: Vec<_> = files.into_iter().collect();
    in_parallel(&files, WRITERS, |(name, bytes)| {
        let path = folder.join(name);
        let mut file = fs::File::create_new(&path).at("create", &path)?;
        file.write_all(bytes).at("write", &path)?;
        file.sync_all().at("sync", &path)
    })
    .into_iter()
    .collect::<Result<Vec<()>, _>>()?;
    sync_dir(folder)
}

/// How many files are written at once: enough for a disk to sync them together.
const WRITERS: usize = 16;

/// Does the same to each, by as many threads as given, and keeps the order.
pub fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let run = || {
            let mut own = Vec::new();
            loop {
                let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(item) = items.get(index) else { return own };
                own.push((index, work(item)));
            }
        };
        let others: Vec<_> = (1..threads.min(items.len())).map(|_| scope.spawn(run)).collect();
        let mut all = run();
        for other in others {
            match other.join() {
                Ok(own) => all.extend(own),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Writes a file so that a reader or a crash sees the old content or the new,
/// never a part: temporary file, sync, rename, sync of the folder. What it
/// leaves on an error is the old file, unchanged.
///
/// # Errors
/// Whatever the system answers, with the path.
pub fn write_atomic(path: &Path, bytes: &[u8], access: Access) -> Result<(), FsError> {
    let temporary = write_temporary(path, bytes, access)?;
    fs::rename(&temporary.0, path).at("rename into place", path)?;
    sync_dir(folder_of(path))
}

/// Writes a file that must not be there yet, with the same promises as
/// [`write_atomic`]; of several writers at once one wins. Says whether it was
/// this one: `false` leaves the file of the other as it is.
///
/// # Errors
/// Whatever the system answers but "exists", with the path.
pub fn write_new(path: &Path, bytes: &[u8], access: Access) -> Result<bool, FsError> {
    let temporary = write_temporary(path, bytes, access)?;
    match fs::hard_link(&temporary.0, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error).at("link into place", path),
    }
    sync_dir(folder_of(path))?;
    Ok(true)
}

/// Whether files can be made in a folder: makes one, writes into it and
/// removes it. Nothing is synced, so that a probe may ask often.
///
/// # Errors
/// Whatever the system answers, with the path.
pub fn probe_writable(folder: &Path) -> Result<(), FsError> {
    let probe = Temporary(folder.join(temporary_name(&folder.join("probe"))));
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe.0)
        .and_then(|mut file| file.write_all(b"probe"))
        .at("write", &probe.0)
}

/// Writes and syncs a temporary file next to `path`.
fn write_temporary(path: &Path, bytes: &[u8], access: Access) -> Result<Temporary, FsError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let temporary = Temporary(folder_of(path).join(temporary_name(path)));
    let mode = match access {
        Access::Everyone => 0o644,
        Access::Owner => 0o600,
    };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary.0)
        .at("create", &temporary.0)?;
    file.write_all(bytes).at("write", &temporary.0)?;
    file.sync_all().at("sync", &temporary.0)?;
    Ok(temporary)
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A path that is removed when it goes out of scope; after a rename there is
/// nothing left to remove.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A name next to `path` that no one else uses: also no leftover of a process
/// that was killed, whose id the next one in a container has again.
fn temporary_name(path: &Path) -> String {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let random = RandomState::new().build_hasher().finish();
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    format!(".{name}.{random:016x}.tmp")
}
