//! A store in memory: the model that other stores are held against, and a
//! registry for tests that want no disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::{
    BlobRead, BlobStream, Expected, Listing, Page, Referral, Referrers, ReferrersPage, Store,
    StoreError, StoredManifest, TAG_MOVES_KEPT, TagMove, UploadId, UploadStatus, UploadWriter,
};
use crate::digest::{Algorithm, Digest};
use crate::fs::At as _;
use crate::registry::access::{Actions, Permissions};
use crate::registry::manifest::Descriptor;
use crate::registry::name::RepositoryName;
use crate::registry::reference::Tag;

/// A store that is gone with its process.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<RepositoryName, Repository>,
    uploads: BTreeMap<UploadId, Upload>,
}

#[derive(Default)]
struct Repository {
    blobs: BTreeMap<Digest, Bytes>,
    manifests: BTreeMap<Digest, StoredManifest>,
    referrals: BTreeMap<(Digest, Digest), Descriptor>,
    tags: BTreeMap<Tag, Digest>,
    history: BTreeMap<Tag, Vec<TagMove>>,
}

struct Upload {
    repository: RepositoryName,
    algorithm: Algorithm,
    bytes: Vec<u8>,
    touched: Instant,
    busy: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something of a repository, if there is that repository.
    fn of<T>(&self, name: &RepositoryName, pick: impl Fn(&Repository) -> Option<T>) -> Option<T> {
        self.lock().repositories.get(name).and_then(pick)
    }
}

impl State {
    fn repository(&mut self, name: &RepositoryName) -> &mut Repository {
        self.repositories.entry(name.clone()).or_default()
    }

    fn upload(&mut self, name: &RepositoryName, id: &UploadId) -> Option<&mut Upload> {
        self.uploads.get_mut(id).filter(|upload| upload.repository == *name)
    }
}

impl Store for MemoryStore {
    type Upload = MemoryUpload;

    async fn blob_size(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, StoreError> {
        Ok(self.of(repository, |found| found.blobs.get(digest).map(|bytes| bytes.len() as u64)))
    }

    async fn blob_read(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>, StoreError> {
        let Some(bytes) = self.of(repository, |found| found.blobs.get(digest).cloned()) else {
            return Ok(None);
        };
        let range = range.unwrap_or(0..u64::MAX);
        let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
        let (start, end) = (at(range.start.min(range.end)), at(range.end));
        let stream = BlobStream::whole(bytes.slice(start..end));
        Ok(Some(BlobRead { size: bytes.len() as u64, stream }))
    }

    async fn blob_mount(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let Some(bytes) = self.of(from, |found| found.blobs.get(digest).cloned()) else {
            return Ok(false);
        };
        self.lock().repository(to).blobs.insert(digest.clone(), bytes);
        Ok(true)
    }

    async fn blob_holder(
        &self,
        digest: &Digest,
        caller: &Permissions,
    ) -> Result<Option<RepositoryName>, StoreError> {
        let state = self.lock();
        let holder = state.repositories.iter().find(|(name, repository)| {
            repository.blobs.contains_key(digest) && caller.allow(name, Actions::PULL)
        });
        Ok(holder.map(|(name, _)| name.clone()))
    }

    async fn blob_delete(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let found = state.repositories.get_mut(repository);
        Ok(found.is_some_and(|found| found.blobs.remove(digest).is_some()))
    }

    async fn upload_create(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<UploadId, StoreError> {
        let id = UploadId::random().at("draw a random name in", "memory".as_ref())?;
        let upload = Upload {
            repository: repository.clone(),
            algorithm,
            bytes: Vec::new(),
            touched: Instant::now(),
            busy: false,
        };
        self.lock().uploads.insert(id.clone(), upload);
        Ok(id)
    }

    async fn upload_once(
        &self,
        repository: &RepositoryName,
        _: Algorithm,
    ) -> Result<MemoryUpload, StoreError> {
        let (store, repository) = (self.clone(), repository.clone());
        Ok(MemoryUpload { store, repository, id: None, bytes: Vec::new() })
    }

    async fn upload_status(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<Option<UploadStatus>, StoreError> {
        Ok(self.lock().upload(repository, id).map(|upload| UploadStatus {
            received: upload.bytes.len() as u64,
            algorithm: upload.algorithm,
        }))
    }

    async fn upload_resume(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<Option<MemoryUpload>, StoreError> {
        let mut state = self.lock();
        let Some(upload) = state.upload(repository, id) else { return Ok(None) };
        if upload.busy {
            return Err(StoreError::UploadBusy);
        }
        upload.busy = true;
        Ok(Some(MemoryUpload {
            store: self.clone(),
            repository: repository.clone(),
            id: Some(id.clone()),
            bytes: upload.bytes.clone(),
        }))
    }

    async fn upload_cancel(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        match state.upload(repository, id) {
            None => Ok(false),
            Some(upload) if upload.busy => Err(StoreError::UploadBusy),
            Some(_) => Ok(state.uploads.remove(id).is_some()),
        }
    }

    async fn upload_sweep(&self, untouched: Duration) -> Result<usize, StoreError> {
        let mut state = self.lock();
        let before = state.uploads.len();
        state.uploads.retain(|_, upload| upload.busy || upload.touched.elapsed() < untouched);
        Ok(before - state.uploads.len())
    }

    async fn manifest_get(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError> {
        Ok(self.of(repository, |found| found.manifests.get(digest).cloned()))
    }

    async fn manifest_exists(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        Ok(self.of(repository, |found| found.manifests.get(digest).map(|_| ())).is_some())
    }

    async fn manifest_put(
        &self,
        repository: &RepositoryName,
        manifest: &StoredManifest,
        referral: Option<&Referral>,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let found = state.repository(repository);
        found.manifests.insert(manifest.digest.clone(), manifest.clone());
        if let Some(Referral { subject, descriptor }) = referral {
            let key = (subject.clone(), manifest.digest.clone());
            found.referrals.insert(key, descriptor.clone());
        }
        Ok(())
    }

    async fn manifest_delete(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let Some(found) = state.repositories.get_mut(repository) else { return Ok(false) };
        if found.manifests.remove(digest).is_none() {
            return Ok(false);
        }
        found.tags.retain(|_, target| target != digest);
        found.referrals.retain(|(_, referrer), _| referrer != digest);
        Ok(true)
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: &ReferrersPage,
    ) -> Result<Referrers, StoreError> {
        let listed = self.of(repository, |found| {
            let mut listed = Referrers::default();
            let passed = |referrer| page.after.as_ref().is_some_and(|after| referrer <= after);
            let all = found.referrals.iter();
            let mut left = all.filter(|((of, referrer), _)| of == subject && !passed(referrer));
            let mut next = None;
            for ((_, referrer), descriptor) in left.by_ref().take(page.entries) {
                if page.wants(descriptor) && !listed.add(descriptor.clone(), page) {
                    return Some(listed);
                }
                next = Some(referrer.clone());
            }
            listed.next = next.filter(|_| left.next().is_some());
            Some(listed)
        });
        Ok(listed.unwrap_or_default())
    }

    async fn tag_get(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError> {
        Ok(self.of(repository, |found| found.tags.get(tag).cloned()))
    }

    async fn tag_set(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        expected: &Expected,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let missing = StoreError::NoManifest { digest: digest.clone() };
        let Some(found) = state.repositories.get_mut(repository) else { return Err(missing) };
        if !found.manifests.contains_key(digest) {
            return Err(missing);
        }
        let now = found.tags.get(tag);
        let as_expected = match expected {
            Expected::Anything => true,
            Expected::Absent => now.is_none(),
            Expected::Digest(digest) => now == Some(digest),
        };
        if !as_expected {
            return Err(StoreError::TagMoved);
        }
        if found.tags.insert(tag.clone(), digest.clone()).as_ref() != Some(digest) {
            let moves = found.history.entry(tag.clone()).or_default();
            moves.insert(0, TagMove { digest: digest.clone(), at: SystemTime::now() });
            moves.truncate(TAG_MOVES_KEPT);
        }
        Ok(())
    }

    async fn tag_delete(&self, repository: &RepositoryName, tag: &Tag) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let found = state.repositories.get_mut(repository);
        Ok(found.is_some_and(|found| found.tags.remove(tag).is_some()))
    }

    async fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Vec<TagMove>, StoreError> {
        Ok(self.of(repository, |found| found.history.get(tag).cloned()).unwrap_or_default())
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: &Page,
    ) -> Result<Option<Listing<Tag>>, StoreError> {
        Ok(self.of(repository, |found| Some(Listing::pick(found.tags.keys().cloned(), page))))
    }

    async fn repositories(
        &self,
        page: &Page,
        caller: &Permissions,
    ) -> Result<Listing<RepositoryName>, StoreError> {
        let names: BTreeSet<_> = self.lock().repositories.keys().cloned().collect();
        let allowed = names.into_iter().filter(|name| caller.allow(name, Actions::PULL));
        Ok(Listing::pick(allowed, page))
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The writing end of an upload in memory.
pub struct MemoryUpload {
    store: MemoryStore,
    repository: RepositoryName,
    id: Option<UploadId>,
    bytes: Vec<u8>,
}

impl UploadWriter for MemoryUpload {
    fn received(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn pause(self) -> Result<u64, StoreError> {
        Ok(self.received())
    }

    async fn finish(mut self, expected: &Digest) -> Result<u64, StoreError> {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        let mut state = self.store.lock();
        if let Some(id) = self.id.take() {
            state.uploads.remove(&id);
        }
        let found = Digest::of(expected.algorithm(), &bytes);
        if found != *expected {
            return Err(StoreError::DigestMismatch { expected: expected.clone(), found });
        }
        let size = bytes.len() as u64;
        state.repository(&self.repository).blobs.insert(found, bytes);
        Ok(size)
    }
}

/// What was written stays with the upload, to be taken up again.
impl Drop for MemoryUpload {
    fn drop(&mut self) {
        if let Some(id) = &self.id
            && let Some(upload) = self.store.lock().uploads.get_mut(id)
        {
            upload.bytes = std::mem::take(&mut self.bytes);
            upload.touched = Instant::now();
            upload.busy = false;
        }
    }
}
