//! Uploads into files: hashed while they are written, resumable by anyone.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::Inner;
use super::batch::{Batch, Pool, SMALLEST, Share};
use super::direct::Direct;
use super::disk::Temporary;
use super::marks::{Marks, Trail};
use super::pipeline::Pipeline;
use super::stamp::Stamp;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::fs::{self, At as _, FsError};
use crate::registry::name::RepositoryName;
use crate::registry::store::{StoreError, UploadId, UploadStatus, UploadWriter};

/// How much of a file is read at a time, in bytes.
const CHUNK: usize = 512 * 1024;

/// After how many bytes what the system's cache has of them is on its way to the
/// disk: the sync at the end has no more than that to wait for. [`CACHED`] is a
/// multiple of it.
///
/// [`CACHED`]: super::CACHED
const BEHIND: u64 = 32 * 1024 * 1024;

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
    let mut trail = checkpoint
        .filter(|trail| trail.at() <= size)
        .unwrap_or_else(|| Trail::new(status.algorithm));
    hash_rest(&file, &path, &mut trail)?;
    let open = Open::new(file, path, trail);
    Ok(Some(FsUpload::new(inner, repository, Place::Folder(folder), open)))
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
    let open = Open::new(file, path, Trail::new(algorithm));
    Ok(FsUpload::new(inner, repository, Place::Once { _file: temporary }, open))
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
    share: Share,
    gathered: Batch,
    pool: Pool,
    work: Work,
    file: Arc<File>,
    path: PathBuf,
    cached: Arc<AtomicU64>,
    /// Up to where what went through the system's cache is on its way to the disk.
    begun: u64,
    /// Syncs what was written a while ago.
    ahead: Option<JoinHandle<Result<(), FsError>>>,
}

/// Where the data is, and what goes when the upload is over.
enum Place {
    Folder(PathBuf),
    Once { _file: Temporary },
}

/// The file, or those who have it.
enum Work {
    Idle(Box<Open>),
    Running(Box<Pipeline>),
    Lost,
}

/// The file of an upload, and the hash of what is in it.
pub(super) struct Open {
    file: Arc<File>,
    path: PathBuf,
    pub(super) trail: Trail,
    /// How much is in it.
    pub(super) written: u64,
    /// Up to where it was written through the system's cache; `inner.cached` is
    /// how far it may be.
    cached: Arc<AtomicU64>,
    /// The way past that.
    direct: Direct,
}

impl FsUpload {
    fn new(inner: &Arc<Inner>, repository: &RepositoryName, place: Place, open: Open) -> Self {
        let share = inner.batches.join();
        Self {
            inner: Arc::clone(inner),
            repository: repository.clone(),
            place,
            gathered: share.batch(open.written, None),
            share,
            pool: Pool::default(),
            file: Arc::clone(&open.file),
            path: open.path.clone(),
            cached: Arc::clone(&open.cached),
            begun: open.written,
            work: Work::Idle(Box::new(open)),
            ahead: None,
        }
    }

    /// Waits for all batches that are on their way. Where one could not be
    /// written the file holds what it held before that one, and so does the hash.
    async fn idle(&mut self) -> Result<(), StoreError> {
        match std::mem::replace(&mut self.work, Work::Lost) {
            Work::Running(pipeline) => {
                let (open, result) = pipeline.end().await?;
                if result.is_err() {
                    self.gathered = self.share.batch(open.written, None);
                }
                self.work = Work::Idle(open);
                Ok(result?)
            }
            idle @ Work::Idle(_) => {
                self.work = idle;
                Ok(())
            }
            Work::Lost => Err(StoreError::UploadBusy),
        }
    }

    /// Hands what was gathered to those who hash and write it.
    async fn flush(&mut self) -> Result<(), StoreError> {
        // Who waits for its client leaves the right to be fast to others.
        let may_be_fast =
            self.share.is_largest() && !(self.pool.is_quiet() && self.share.is_contested());
        if matches!(&self.work, Work::Running(pipeline) if !(may_be_fast && pipeline.is_fast())) {
            self.idle().await?;
        }
        // Nobody goes on with it where this is given up in the middle.
        let mut pipeline = match std::mem::replace(&mut self.work, Work::Lost) {
            Work::Running(pipeline) => pipeline,
            Work::Idle(open) => {
                let fast = may_be_fast.then(|| self.share.fast()).flatten();
                Box::new(Pipeline::start(&self.inner, open, fast))
            }
            Work::Lost => return Err(StoreError::UploadBusy),
        };
        let memory = self.pool.room(pipeline.most()).await;
        let next = self.share.batch(self.gathered.end(), memory);
        let piece = self.pool.piece(std::mem::replace(&mut self.gathered, next));
        let taken = pipeline.push(piece).await?;
        self.work = Work::Running(pipeline);
        if !taken {
            self.idle().await?;
            return Err(StoreError::UploadBusy);
        }
        self.sync_ahead().await
    }

    /// Sends what has been written through the cache to the disk while the next
    /// bytes arrive.
    async fn sync_ahead(&mut self) -> Result<(), StoreError> {
        let cached = self.cached.load(Ordering::Relaxed);
        // At each multiple, which the part that goes through the cache ends with.
        if cached / BEHIND <= self.begun / BEHIND {
            return Ok(());
        }
        // One at a time: a client that is faster than the disk waits for it.
        if let Some(before) = self.ahead.take() {
            before.await??;
        }
        self.begun = cached;
        let (inner, file) = (Arc::clone(&self.inner), Arc::clone(&self.file));
        let path = self.path.clone();
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

    /// The file, once all is written but the last bytes that were gathered.
    async fn settle(&mut self) -> Result<(Box<Open>, Batch), StoreError> {
        self.idle().await?;
        if let Some(before) = self.ahead.take() {
            // The system says once that a sync went wrong, and it may be this one.
            before.await??;
        }
        let rest = std::mem::take(&mut self.gathered);
        match std::mem::replace(&mut self.work, Work::Lost) {
            Work::Idle(open) => Ok((open, rest)),
            Work::Running(_) | Work::Lost => Err(StoreError::UploadBusy),
        }
    }
}

impl UploadWriter for FsUpload {
    fn received(&self) -> u64 {
        self.gathered.end()
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let mut rest = self.gathered.take(&bytes);
        while self.gathered.is_full() {
            self.flush().await?;
            rest = self.gathered.take(rest);
        }
        Ok(())
    }

    async fn pause(mut self) -> Result<u64, StoreError> {
        let (mut open, rest) = self.settle().await?;
        // The last one to close it waits for the disk.
        drop(self.file);
        tokio::task::spawn_blocking(move || {
            open.end(&self.inner, &rest)?;
            if let Place::Folder(folder) = &self.place {
                Checkpoint::write(&self.inner, folder, &open.trail)?;
            }
            Ok(open.written)
        })
        .await?
    }

    async fn finish(mut self, expected: &Digest) -> Result<u64, StoreError> {
        let (mut open, rest) = self.settle().await?;
        // The last one to close it waits for the disk.
        drop(self.file);
        let expected = expected.clone();
        tokio::task::spawn_blocking(move || {
            open.end(&self.inner, &rest)?;
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
    fn new(file: File, path: PathBuf, trail: Trail) -> Self {
        let (direct, written) = (Direct::default(), trail.at());
        let cached = Arc::new(AtomicU64::new(written));
        Self { file: Arc::new(file), path, trail, written, cached, direct }
    }

    fn write(&mut self, inner: &Inner, bytes: &[u8]) -> Result<(), FsError> {
        let (file, path) = (&self.file, &self.path);
        if self.written >= inner.cached
            && bytes.len() >= SMALLEST
            && inner.disk.write_direct(file, path, self.written, bytes, &mut self.direct)?
        {
            // All of it is on the disk, but for what the last sync does.
            return Ok(());
        }
        self.direct.leave(file).at("write", path)?;
        inner.disk.write(file, path, bytes)?;
        self.cached.store(self.written + bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Writes a batch at the end, and hashes it if told to.
    pub(super) fn append(
        &mut self,
        inner: &Inner,
        bytes: &[u8],
        hash: bool,
    ) -> Result<(), FsError> {
        if let Err(error) = self.write(inner, bytes) {
            // A part may have been written. What can't be cut off is hashed
            // when the upload is taken up again: the file says how far it is.
            let _ = self.file.set_len(self.written);
            let _ = (&*self.file).seek(SeekFrom::Start(self.written));
            return Err(error);
        }
        if hash {
            self.trail.update(bytes);
        }
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes and hashes the last bytes. Whoever reads the file from here on does
    /// so in the ordinary way.
    fn end(&mut self, inner: &Inner, rest: &Batch) -> Result<(), FsError> {
        if !rest.bytes().is_empty() {
            self.append(inner, rest.bytes(), true)?;
        }
        self.direct.leave(&self.file).at("write", &self.path)
    }

    /// The data becomes durable, then the blob and the repository's link to it.
    fn finish(
        self,
        inner: &Inner,
        repository: &RepositoryName,
        expected: &Digest,
    ) -> Result<u64, StoreError> {
        let mut trail = self.trail;
        if trail.hasher().algorithm() != expected.algorithm() {
            trail = Trail::new(expected.algorithm());
            hash_rest(&self.file, &self.path, &mut trail)?;
        }
        let (found, marks) = trail.finish();
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
            inner.verified(expected, &placed, marks);
        }
        // The damaged one has been replaced. Its leftover harms nobody.
        let _ = inner.disk.unlink(&inner.layout.quarantined(expected));
        Ok(self.written)
    }
}

/// Hashes a file to its end and leaves its cursor there.
fn hash_rest(mut file: &File, path: &Path, trail: &mut Trail) -> Result<(), StoreError> {
    file.seek(SeekFrom::Start(trail.at())).at("read", path)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = file.read(&mut buffer).at("read", path)?;
        match buffer.get(..count) {
            Some(bytes) if count > 0 => trail.update(bytes),
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
    marks: Marks,
    /// The digest of the boot and the others.
    check: String,
}

impl Checkpoint {
    fn write(inner: &Inner, folder: &Path, trail: &Trail) -> Result<(), StoreError> {
        let (hasher, marks) = (trail.hasher().save(), trail.marks().clone());
        let Some(check) = Self::check(trail.at(), &hasher, &marks) else { return Ok(()) };
        let checkpoint = Self { length: trail.at(), hasher, marks, check };
        let text =
            serde_json::to_vec(&checkpoint).map_err(std::io::Error::from).at("write", folder)?;
        Ok(inner.disk.put_for_now(&folder.join("hash"), &text)?)
    }

    fn read(
        inner: &Inner,
        folder: &Path,
        algorithm: Algorithm,
    ) -> Result<Option<Trail>, StoreError> {
        let Some(text) = inner.disk.read(&folder.join("hash"))? else { return Ok(None) };
        let Ok(checkpoint) = serde_json::from_slice::<Self>(&text) else { return Ok(None) };
        let Self { length, hasher, marks, check } = checkpoint;
        if Self::check(length, &hasher, &marks) != Some(check) {
            return Ok(None);
        }
        let hasher = Hasher::resume(algorithm, &hasher);
        Ok(hasher.and_then(|hasher| Trail::resume(hasher, length, marks)))
    }

    fn check(length: u64, hasher: &[u8], marks: &Marks) -> Option<String> {
        let boot = BOOT.as_ref()?;
        // A digest makes it as long whatever the boot is called.
        let boot = Digest::sha256(boot).to_string();
        let marks = marks.digest().to_string();
        let checked = [boot.as_bytes(), &length.to_be_bytes(), marks.as_bytes(), hasher].concat();
        Some(Digest::sha256(&checked).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::store::{FsStore, Store as _};

    fn is_fast(upload: &FsUpload) -> bool {
        matches!(&upload.work, Work::Running(pipeline) if pipeline.is_fast())
    }

    #[tokio::test]
    async fn who_waits_for_its_client_leaves_the_right_to_be_fast_to_others() {
        let root = tempfile::tempdir().unwrap();
        let store = FsStore::open(root.path()).unwrap();
        let here = "a".parse().unwrap();
        let batch = Bytes::from(vec![7; 512 * 1024]);
        let mut uploads = Vec::new();
        for _ in 0..5 {
            let mut upload = store.upload_once(&here, Algorithm::Sha256).await.unwrap();
            upload.write(batch.clone()).await.unwrap();
            uploads.push(upload);
        }
        let fast: Vec<bool> = uploads.iter().map(is_fast).collect();
        assert_eq!(fast, [true, true, true, true, false]);
        // The first one's client takes its time.
        while !uploads[0].pool.is_quiet() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        uploads[0].write(batch.clone()).await.unwrap();
        assert!(!is_fast(&uploads[0]));
        uploads[4].write(batch.clone()).await.unwrap();
        assert!(is_fast(&uploads[4]));
        let digest = Digest::sha256(&batch.repeat(2));
        for number in [4, 0] {
            uploads.swap_remove(number).finish(&digest).await.unwrap();
        }
    }
}
