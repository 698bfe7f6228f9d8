//! A store in memory: the model that other stores are held against, and a
//! registry for tests that want no disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::collect::{Candidate, Key, living, mentions};
use super::{
    BlobRead, BlobStream, CollectPolicy, Collected, Expected, LEASE, Listing, Page, Referral,
    Referrers, ReferrersPage, Required, ScrubPolicy, Scrubbed, Store, StoreError, StoredManifest,
    TAG_MOVES_KEPT, TagMove, UploadId, UploadStatus, UploadWriter, Watch,
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
    lease: Duration,
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
    touched: BTreeMap<Digest, Instant>,
}

struct Upload {
    repository: RepositoryName,
    algorithm: Algorithm,
    bytes: Vec<u8>,
    touched: Instant,
    busy: bool,
}

impl MemoryStore {
    /// An empty store with the lease of other stores.
    #[must_use]
    pub fn new() -> Self {
        Self::with_lease(LEASE)
    }

    /// An empty store with another lease.
    #[must_use]
    pub fn with_lease(lease: Duration) -> Self {
        Self { state: Arc::default(), lease }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something of a repository, if there is that repository.
    fn of<T>(&self, name: &RepositoryName, pick: impl Fn(&Repository) -> Option<T>) -> Option<T> {
        self.lock().repositories.get(name).and_then(pick)
    }

    /// The same, and its lease begins anew.
    fn touch<T>(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        pick: impl Fn(&Repository) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.lock();
        let found = state.repositories.get_mut(name)?;
        let picked = pick(found)?;
        found.touched.insert(digest.clone(), Instant::now());
        Some(picked)
    }
}

impl Repository {
    /// Takes out what nothing refers to.
    fn collect(&mut self, policy: &CollectPolicy, lease: Duration, done: &mut Collected) {
        let age =
            |digest: &Digest| self.touched.get(digest).map_or(Duration::MAX, Instant::elapsed);
        let tagged: BTreeSet<&Digest> = self.tags.values().collect();
        let candidates: BTreeMap<Key, Candidate> = self
            .manifests
            .iter()
            .map(|(digest, found)| {
                let old = policy.untagged.is_some_and(|limit| age(digest) >= limit.max(lease));
                let rooted = tagged.contains(digest) || !old;
                (Key::from(digest), Candidate::read(&found.media_type, &found.bytes, rooted))
            })
            .collect();
        let mut mentioned = living(&candidates);
        let gone: Vec<Digest> = self
            .manifests
            .keys()
            .filter(|digest| !mentioned.contains(&Key::from(*digest)))
            .cloned()
            .collect();
        for candidate in mentioned.clone().iter().filter_map(|key| candidates.get(key)) {
            mentioned.extend(&candidate.mentions);
        }
        let (leased, idle): (Vec<Digest>, Vec<Digest>) = self
            .blobs
            .keys()
            .filter(|digest| !mentioned.contains(&Key::from(*digest)))
            .cloned()
            .partition(|digest| age(digest) < lease);
        done.repositories += 1;
        done.manifests += gone.len() as u64;
        done.links += idle.len() as u64;
        done.leased += leased.len() as u64;
        if policy.dry_run {
            return;
        }
        self.manifests.retain(|digest, _| !gone.contains(digest));
        self.referrals.retain(|(_, referrer), _| !gone.contains(referrer));
        self.blobs.retain(|digest, _| !idle.contains(digest));
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
        let size = |found: &Repository| found.blobs.get(digest).map(|bytes| bytes.len() as u64);
        Ok(self.touch(repository, digest, size))
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
        self.touch(to, digest, |_| Some(()));
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
        Ok(self.touch(repository, digest, |found| found.manifests.get(digest).cloned()))
    }

    async fn manifest_exists(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let there = |found: &Repository| found.manifests.get(digest).map(|_| ());
        Ok(self.touch(repository, digest, there).is_some())
    }

    async fn manifest_put(
        &self,
        repository: &RepositoryName,
        manifest: &StoredManifest,
        referral: Option<&Referral>,
        required: &Required,
    ) -> Result<(), StoreError> {
        let mut state = self.lock();
        let found = state.repository(repository);
        let missing = |what, digest: &Digest| StoreError::Missing { what, digest: digest.clone() };
        for digest in &required.blobs {
            found.blobs.get(digest).ok_or_else(|| missing("blob", digest))?;
        }
        for digest in &required.manifests {
            found.manifests.get(digest).ok_or_else(|| missing("manifest", digest))?;
        }
        let (mentions, _) = mentions(&manifest.media_type, &manifest.bytes);
        let touched = mentions.into_iter().chain([manifest.digest.clone()]);
        found.touched.extend(touched.map(|digest| (digest, Instant::now())));
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
        let before = found.tags.insert(tag.clone(), digest.clone());
        if before.as_ref() != Some(digest) {
            let moves = found.history.entry(tag.clone()).or_default();
            moves.insert(0, TagMove { digest: digest.clone(), at: SystemTime::now() });
            moves.truncate(TAG_MOVES_KEPT);
        }
        found.touched.extend(before.map(|digest| (digest, Instant::now())));
        Ok(())
    }

    async fn tag_delete(&self, repository: &RepositoryName, tag: &Tag) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let Some(found) = state.repositories.get_mut(repository) else { return Ok(false) };
        let Some(before) = found.tags.remove(tag) else { return Ok(false) };
        found.touched.insert(before, Instant::now());
        Ok(true)
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

    async fn collect(
        &self,
        policy: &CollectPolicy,
        watch: Watch<Collected>,
    ) -> Result<Collected, StoreError> {
        let mut done = Collected::default();
        for found in self.lock().repositories.values_mut() {
            found.collect(policy, self.lease, &mut done);
            if !watch(&done) {
                break;
            }
        }
        Ok(done)
    }

    /// Memory doesn't rot here: there is nothing to compare.
    async fn scrub(&self, _: &ScrubPolicy, _: Watch<Scrubbed>) -> Result<Scrubbed, StoreError> {
        Ok(Scrubbed { finished: true, ..Scrubbed::default() })
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
        let repository = state.repository(&self.repository);
        repository.touched.insert(found.clone(), Instant::now());
        repository.blobs.insert(found, bytes);
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
