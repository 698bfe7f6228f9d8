//! Uploads into files: hashed while they are written, resumable by anyone.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::Inner;
use super::direct::{BLOCK, Direct};
use super::disk::Temporary;
use super::stamp::Stamp;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::fs::{self, At as _, FsError};
use crate::registry::name::RepositoryName;
use crate::registry::store::{StoreError, UploadId, UploadStatus, UploadWriter};

/// How much is gathered before it is hashed and written, in bytes. While one
/// batch is written the next one is gathered, so an upload holds two.
const BATCH: usize = 512 * 1024;

/// How many bytes are left to the system's own leisure before they are on
/// their way to the disk: the sync at the end has no more than that to wait for.
const BEHIND: u64 = 32 * 1024 * 1024;

/// How many pieces are gathered at most, however small: each costs more than
/// its bytes, and the system takes no more in one call.
const PIECES: usize = 1024;

/// Names what the system's cache lives as long as: this boot, or where the
/// system doesn't name it this process. Nothing where that has no name either.
static BOOT: LazyLock<Option<Vec<u8>>> = LazyLock::new(|| {
    let boot = fs::read(Path::new("/proc/sys/kernel/random/boot_id")).ok();
    boot.filter(|boot| !boot.is_empty())
        .or_else(|| UploadId::random().ok().map(|id| id.as_str().as_bytes().to_vec()))
});

/// What `uploads/<id>/state` says.
#[derive(Serialize, Deserialize)]
struct State {
    repository: String,
    algorithm: String,
}

/// Makes the folder of a new upload. Its state comes last: an upload without
/// one is none, so whoever sees an upload sees all of it.
pub(super) fn create(
    inner: &Inner,
    repository: &RepositoryName,
    algorithm: Algorithm,
) -> Result<UploadId, StoreError> {
    inner.process.join(&inner.disk)?;
    let uploads = inner.layout.uploads();
    let id = UploadId::random().at("draw a random name in", &uploads)?;
    let folder = inner.layout.upload(&id);
    inner.disk.make_folder_for_now(&folder)?;
    let state = State { repository: repository.to_string(), algorithm: algorithm.to_string() };
    let text = serde_json::to_vec(&state).map_err(std::io::Error::from).at("write", &folder)?;
    let made = inner
        .disk
        .create(&folder.join("data"))
        .and_then(|_| inner.disk.put_for_now(&folder.join("state"), &text));
    if let Err(error) = made {
        let _ = inner.disk.discard(&folder);
        return Err(error.into());
    }
    Ok(id)
}

/// How far an upload of this repository is.
pub(super) fn status(
    inner: &Inner,
    repository: &RepositoryName,
    id: &UploadId,
) -> Result<Option<UploadStatus>, StoreError> {
    let folder = inner.layout.upload(id);
    let Some(text) = inner.disk.read(&folder.join("state"))? else { return Ok(None) };
    let Ok(state) = serde_json::from_slice::<State>(&text) else { return Ok(None) };
    let Ok(algorithm) = state.algorithm.parse() else { return Ok(None) };
    if state.repository != repository.as_str() {
        return Ok(None);
    }
    let size = inner.disk.size(&folder.join("data"))?;
    Ok(size.map(|received| UploadStatus { received, algorithm }))
}

/// Takes up an upload of this repository where nobody else writes to it.
pub(super) fn resume(
    inner: &Arc<Inner>,
    repository: &RepositoryName,
    id: &UploadId,
) -> Result<Option<FsUpload>, StoreError> {
    let Some(status) = status(inner, repository, id)? else { return Ok(None) };
    inner.process.join(&inner.disk)?;
    let folder = inner.layout.upload(id);
    let path = folder.join("data");
    let Some(file) = lock(inner, &path)? else { return Ok(None) };
    let size = file.metadata().at("look at", &path)?.len();
    let checkpoint = Checkpoint::read(inner, &folder, status.algorithm)?;
    let (mut hasher, known) = checkpoint
        .filter(|(_, known)| *known <= size)
        .unwrap_or_else(|| (Hasher::new(status.algorithm), 0));
    hash_rest(&file, &path, &mut hasher, known)?;
    Ok(Some(FsUpload {
        inner: Arc::clone(inner),
        repository: repository.clone(),
        place: Place::Folder(folder),
        pending: Vec::new(),
        pending_bytes: 0,
        received: size,
        work: Work::Idle(Box::new(Open::new(file, path, hasher, size))),
        ahead: None,
    }))
}

/// Begins an upload that is over with its writer.
pub(super) fn once(
    inner: &Arc<Inner>,
    repository: &RepositoryName,
    algorithm: Algorithm,
) -> Result<FsUpload, StoreError> {
    inner.process.join(&inner.disk)?;
    let temporary = inner.disk.temporary()?;
    let path = temporary.path.clone();
    let file = inner.disk.create(&path)?;
    Ok(FsUpload {
        inner: Arc::clone(inner),
        repository: repository.clone(),
        place: Place::Once { _file: temporary },
        pending: Vec::new(),
        pending_bytes: 0,
        received: 0,
        work: Work::Idle(Box::new(Open::new(file, path, Hasher::new(algorithm), 0))),
        ahead: None,
    })
}

/// Throws an upload of this repository away where nobody writes to it.
pub(super) fn cancel(
    inner: &Inner,
    repository: &RepositoryName,
    id: &UploadId,
) -> Result<bool, StoreError> {
    if status(inner, repository, id)?.is_none() {
        return Ok(false);
    }
    let folder = inner.layout.upload(id);
    let Some(_alone) = lock(inner, &folder.join("data"))? else { return Ok(false) };
    inner.disk.discard(&folder)?;
    Ok(true)
}

/// Opens the data of an upload for one writer alone, this process's other
/// requests excluded too; `None` where it is gone.
pub(super) fn lock(inner: &Inner, data: &Path) -> Result<Option<File>, StoreError> {
    let Some(file) = inner.disk.open_to_write(data)? else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Err(StoreError::UploadBusy),
        Err(std::fs::TryLockError::Error(error)) => {
            return Err(FsError { step: "lock", path: data.to_owned(), source: error }.into());
        }
    }
    // Finished, cancelled or swept between the opening and the lock.
    let here = inner.disk.exists(data)? && file.metadata().at("look at", data)?.nlink() > 0;
    Ok(here.then_some(file))
}

/// The writing end of an upload into a file.
pub struct FsUpload {
    inner: Arc<Inner>,
    repository: RepositoryName,
    place: Place,
    pending: Vec<Bytes>,
    pending_bytes: usize,
    received: u64,
    work: Work,
    /// Syncs what was written a while ago.
    ahead: Option<JoinHandle<Result<(), FsError>>>,
}

/// Where the data is, and what goes when the upload is over.
enum Place {
    Folder(PathBuf),
    Once { _file: Temporary },
}

/// The file, or the task that has it.
enum Work {
    Idle(Box<Open>),
    Running { writing: Writing, hashing: Option<JoinHandle<Hasher>> },
    Lost,
}

/// Writes a batch, and hashes it where nobody else does.
type Writing = JoinHandle<(Box<Open>, Result<(), FsError>)>;

/// The file of an upload, and the hash of what is in it.
struct Open {
    file: File,
    path: PathBuf,
    hasher: Hasher,
    written: u64,
    /// How much of it is on its way to the disk.
    begun: u64,
    /// The way past the system's cache.
    direct: Direct,
}

impl FsUpload {
    /// Waits for the batch that is being written. Where that failed the file
    /// holds what it held before, and so does the hash.
    async fn idle(&mut self) -> Result<&mut Box<Open>, StoreError> {
        if let Work::Running { .. } = &self.work
            && let Work::Running { writing, hashing } =
                std::mem::replace(&mut self.work, Work::Lost)
        {
            let (mut open, result) = writing.await?;
            if let (Some(hashing), Ok(())) = (hashing, &result) {
                open.hasher = hashing.await?;
            }
            let written = open.written;
            self.work = Work::Idle(open);
            if let Err(error) = result {
                self.pending.clear();
                self.pending_bytes = 0;
                self.received = written;
                return Err(error.into());
            }
        }
        match &mut self.work {
            Work::Idle(open) => Ok(open),
            Work::Running { .. } | Work::Lost => Err(StoreError::UploadBusy),
        }
    }

    /// Hands what was gathered to tasks that hash and write it.
    /// `more` comes, so some bytes may stay.
    async fn flush(&mut self, more: bool) -> Result<(), StoreError> {
        self.idle().await?;
        if self.pending.is_empty() {
            return Ok(());
        }
        self.sync_ahead().await?;
        let large = self.pending_bytes >= BATCH;
        let batch = self.batch(large && more);
        if let Work::Idle(mut open) = std::mem::replace(&mut self.work, Work::Lost) {
            // Either takes about as long as the other. Where the write fails,
            // the hash is still that of what is in the file.
            let hashing = large.then(|| {
                let (mut hasher, batch) = (open.hasher.clone(), batch.clone());
                tokio::task::spawn_blocking(move || {
                    for chunk in &batch {
                        hasher.update(chunk);
                    }
                    hasher
                })
            });
            let inner = Arc::clone(&self.inner);
            let writing = tokio::task::spawn_blocking(move || {
                let result = open.append(&inner, &batch, !large);
                (open, result)
            });
            self.work = Work::Running { writing, hashing };
        }
        Ok(())
    }

    /// Takes what was gathered, or no more of it than ends between two blocks.
    fn batch(&mut self, blocks: bool) -> Vec<Bytes> {
        let mut batch = std::mem::take(&mut self.pending);
        let gathered = std::mem::take(&mut self.pending_bytes);
        let Work::Idle(open) = &self.work else { return batch };
        let mut over = if blocks { gathered - open.whole_blocks(&self.inner, gathered) } else { 0 };
        while over > 0
            && let Some(mut last) = batch.pop()
        {
            let stays = last.split_off(last.len().saturating_sub(over));
            over -= stays.len();
            self.pending_bytes += stays.len();
            self.pending.insert(0, stays);
            if !last.is_empty() {
                batch.push(last);
            }
        }
        batch
    }

    /// Sends what has been written to the disk while the next bytes arrive.
    async fn sync_ahead(&mut self) -> Result<(), StoreError> {
        let Work::Idle(open) = &mut self.work else { return Ok(()) };
        if open.written - open.begun < BEHIND {
            return Ok(());
        }
        // One at a time: a client that is faster than the disk waits for it.
        if let Some(before) = self.ahead.take() {
            before.await??;
        }
        let file = open.file.try_clone().at("sync", &open.path)?;
        open.begun = open.written;
        let (inner, path) = (Arc::clone(&self.inner), open.path.clone());
        let folder = match &self.place {
            Place::Folder(folder) => Some(folder.clone()),
            Place::Once { .. } => None,
        };
        self.ahead = Some(tokio::task::spawn_blocking(move || {
            let synced = inner.disk.sync(&file, &path);
            if let (Err(_), Some(folder)) = (&synced, folder) {
                // What the system has of it can't be trusted from now on, and
                // it says so only once: nobody may go on with this upload.
                let _ = inner.disk.discard(&folder);
            }
            synced
        }));
        Ok(())
    }

    /// The file with all that was taken in.
    async fn settle(&mut self) -> Result<Box<Open>, StoreError> {
        self.flush(false).await?;
        let open = self.idle().await?;
        // Whoever reads the file from here on does so in the ordinary way.
        open.direct.leave(&open.file).at("write", &open.path)?;
        if let Some(before) = self.ahead.take() {
            // The system says once that a sync went wrong, and it may be this one.
            before.await??;
        }
        match std::mem::replace(&mut self.work, Work::Lost) {
            Work::Idle(open) => Ok(open),
            Work::Running { .. } | Work::Lost => Err(StoreError::UploadBusy),
        }
    }
}

impl UploadWriter for FsUpload {
    fn received(&self) -> u64 {
        self.received
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.received += bytes.len() as u64;
        self.pending_bytes += bytes.len();
        if !bytes.is_empty() {
            self.pending.push(bytes);
        }
        if self.pending_bytes >= BATCH || self.pending.len() >= PIECES {
            self.flush(true).await?;
        }
        Ok(())
    }

    async fn pause(mut self) -> Result<u64, StoreError> {
        let open = self.settle().await?;
        let written = open.written;
        if let Place::Folder(folder) = self.place {
            let inner = self.inner;
            tokio::task::spawn_blocking(move || Checkpoint::write(&inner, &folder, &open))
                .await??;
        }
        Ok(written)
    }

    async fn finish(mut self, expected: &Digest) -> Result<u64, StoreError> {
        let open = self.settle().await?;
        let expected = expected.clone();
        tokio::task::spawn_blocking(move || {
            let result = open.finish(&self.inner, &self.repository, &expected);
            if let Place::Folder(folder) = &self.place {
                // Where this fails the sweep does it later.
                let _ = self.inner.disk.discard(folder);
            }
            result
        })
        .await?
    }
}

impl Open {
    fn new(file: File, path: PathBuf, hasher: Hasher, written: u64) -> Self {
        Self { file, path, hasher, written, begun: written, direct: Direct::default() }
    }

    /// How many of the bytes that were gathered are written now, so that the
    /// file ends between two blocks; the others wait for those that follow.
    fn whole_blocks(&self, inner: &Inner, gathered: usize) -> usize {
        if self.written < inner.cached || !self.direct.is_open() {
            return gathered;
        }
        let beyond = (self.written + gathered as u64) % BLOCK as u64;
        gathered.saturating_sub(usize::try_from(beyond).unwrap_or_default())
    }

    fn write(&mut self, inner: &Inner, chunks: &[&[u8]]) -> Result<(), FsError> {
        let length = chunks.iter().map(|chunk| chunk.len()).sum::<usize>();
        let blocks = self.written.is_multiple_of(BLOCK as u64) && length.is_multiple_of(BLOCK);
        if blocks && length >= BATCH && self.written >= inner.cached {
            let (file, path) = (&self.file, &self.path);
            if inner.disk.write_direct(file, path, chunks, &mut self.direct)? {
                // All of it is on the disk, but for what the last sync does.
                if self.begun == self.written {
                    self.begun += length as u64;
                }
                return Ok(());
            }
        }
        self.direct.leave(&self.file).at("write", &self.path)?;
        inner.disk.write(&self.file, &self.path, chunks)
    }

    /// Writes a batch at the end, and hashes it if told to.
    fn append(&mut self, inner: &Inner, batch: &[Bytes], hash: bool) -> Result<(), FsError> {
        let chunks: Vec<&[u8]> = batch.iter().map(AsRef::as_ref).collect();
        if let Err(error) = self.write(inner, &chunks) {
            // A part may have been written. What can't be cut off is hashed
            // when the upload is taken up again: the file says how far it is.
            let _ = self.file.set_len(self.written);
            let _ = self.file.seek(SeekFrom::Start(self.written));
            return Err(error);
        }
        for chunk in chunks {
            if hash {
                self.hasher.update(chunk);
            }
            self.written += chunk.len() as u64;
        }
        Ok(())
    }

    /// The data becomes durable, then the blob and the repository's link to it.
    fn finish(
        self,
        inner: &Inner,
        repository: &RepositoryName,
        expected: &Digest,
    ) -> Result<u64, StoreError> {
        let mut hasher = self.hasher;
        if hasher.algorithm() != expected.algorithm() {
            hasher = Hasher::new(expected.algorithm());
            hash_rest(&self.file, &self.path, &mut hasher, 0)?;
        }
        let found = hasher.finish();
        if found != *expected {
            return Err(StoreError::DigestMismatch { expected: expected.clone(), found });
        }
        inner.disk.sync(&self.file, &self.path)?;
        let metadata = self.file.metadata().at("look at", &self.path)?;
        let pin = inner.leases.pin(expected);
        inner.place_blob(repository, &self.path, expected, self.written, &pin)?;
        // Its new name has changed the time of its last change, and nothing else.
        if let Ok(placed) = self.file.metadata()
            && Stamp::of(&placed).has_content_of(&Stamp::of(&metadata))
        {
            inner.verified(expected, &placed);
        }
        // The damaged one has been replaced. Its leftover harms nobody.
        let _ = inner.disk.unlink(&inner.layout.quarantined(expected));
        Ok(self.written)
    }
}

/// Hashes a file from `start` to its end and leaves its cursor there.
fn hash_rest(
    mut file: &File,
    path: &Path,
    hasher: &mut Hasher,
    start: u64,
) -> Result<(), StoreError> {
    file.seek(SeekFrom::Start(start)).at("read", path)?;
    let mut buffer = vec![0; BATCH];
    loop {
        let count = file.read(&mut buffer).at("read", path)?;
        match buffer.get(..count) {
            Some(bytes) if count > 0 => hasher.update(bytes),
            _ => return Ok(()),
        }
    }
}

/// What `uploads/<id>/hash` holds: the hash up to a length, so that a chunk
/// doesn't cost reading all chunks before it. Only a shortcut: where it is
/// missing, torn or of another boot the data is read again: a loss of power may
/// have kept this and lost the data, which nobody has synced.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    length: u64,
    hasher: Vec<u8>,
    /// The digest of the boot and the two others.
    check: String,
}

impl Checkpoint {
    fn write(inner: &Inner, folder: &Path, open: &Open) -> Result<(), StoreError> {
        let hasher = open.hasher.save();
        let Some(check) = Self::check(open.written, &hasher) else { return Ok(()) };
        let checkpoint = Self { length: open.written, hasher, check };
        let text =
            serde_json::to_vec(&checkpoint).map_err(std::io::Error::from).at("write", folder)?;
        Ok(inner.disk.put_for_now(&folder.join("hash"), &text)?)
    }

    fn read(
        inner: &Inner,
        folder: &Path,
        algorithm: Algorithm,
    ) -> Result<Option<(Hasher, u64)>, StoreError> {
        let Some(text) = inner.disk.read(&folder.join("hash"))? else { return Ok(None) };
        let Ok(checkpoint) = serde_json::from_slice::<Self>(&text) else { return Ok(None) };
        if Self::check(checkpoint.length, &checkpoint.hasher) != Some(checkpoint.check) {
            return Ok(None);
        }
        let hasher = Hasher::resume(algorithm, &checkpoint.hasher);
        Ok(hasher.map(|hasher| (hasher, checkpoint.length)))
    }

    fn check(length: u64, hasher: &[u8]) -> Option<String> {
        let boot = BOOT.as_ref()?;
        // A digest makes it as long whatever the boot is called.
        let boot = Digest::sha256(boot).to_string();
        let checked = [boot.as_bytes(), &length.to_be_bytes(), hasher].concat();
        Some(Digest::sha256(&checked).to_string())
    }
}
