//! The store on a file system: the truth is files, there is no index.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use self::batch::Batches;
use self::buffers::Buffers;
use self::disk::Disk;
use self::layout::Layout;
use self::lease::Leases;
use self::listings::Listings;
use self::process::Process;
use self::quiet::Rank;
use self::remembered::{Known, Remembered};
use self::resident::Resident;
use self::upload::FsUpload;
use self::verified::Verified;
use super::{
    BlobRead, CollectPolicy, Collected, Expected, LEASE, Listing, Page, Referral, Referrers,
    ReferrersPage, Required, ScrubPolicy, Scrubbed, Store, StoreError, StoredManifest, TagMove,
    UploadId, UploadStatus, Watch,
};
use crate::digest::{Algorithm, Digest};
use crate::fs::FsError;
use crate::registry::access::{Actions, Permissions};
use crate::registry::name::RepositoryName;
use crate::registry::reference::Tag;

mod batch;
mod blob;
mod buffers;
mod cache;
mod catalog;
mod collect;
mod direct;
mod disk;
mod entries;
mod history;
mod lane;
mod layout;
mod lease;
mod listings;
mod manifest;
mod marks;
mod pipeline;
mod process;
mod quiet;
mod read;
mod remembered;
mod resident;
mod scrub;
mod snapshot;
mod stamp;
mod sweep;
mod tag;
mod upload;
mod verified;

pub use disk::{Faults, Step};
pub(crate) use quiet::yield_to_others;

/// What the `layout` file of a data folder says.
const LAYOUT: &str = "1";

/// Repositories share locks in this process: many enough that two seldom meet.
const WRITERS: usize = 64;

/// How long a sync that went well says that the next one would.
const SYNC_AGAIN: Duration = Duration::from_secs(1);

/// How many repositories are looked at to find one that holds a blob.
const HOLDERS_LOOKED_AT: usize = 1000;

/// A store in a folder of a file system that has atomic renames. No call
/// blocks an async thread, and no read waits for a write.
#[derive(Clone)]
pub struct FsStore {
    inner: Arc<Inner>,
}

/// What the blocking half works with.
struct Inner {
    disk: Disk,
    layout: Layout,
    remembered: Remembered,
    listings: Listings,
    verified: Verified,
    buffers: Buffers,
    batches: Batches,
    leases: Leases,
    lease: Duration,
    cached: u64,
    process: Process,
    /// Whether all of this part of a file is in memory, as far as one can tell
    /// without reading it.
    resident: fn(&std::fs::File, u64, u64) -> Resident,
    /// Whoever changes a repository holds one of these before it takes a
    /// thread, so that those who wait don't take all threads.
    writers: Vec<Arc<Mutex<()>>>,
    /// Held by who asks whether the store is ready.
    asking: Arc<Mutex<()>>,
    tried: std::sync::Mutex<Option<Tried>>,
}

/// How a store is opened.
#[derive(Clone)]
pub struct FsOptions {
    /// How long what a push, a mount or a question touched is kept from
    /// collection: [`LEASE`] unless said otherwise.
    pub lease: Duration,
    /// How many bytes of an upload the system may keep in memory, where those
    /// who pull it first find them: what comes after them goes straight to the
    /// disk. [`CACHED`] unless said otherwise.
    pub cached: u64,
    /// Asked before each step. For tests.
    pub faults: Option<Arc<dyn Faults>>,
}

/// Room for the layers that most images have.
pub const CACHED: u64 = 64 * 1024 * 1024;

impl Default for FsOptions {
    fn default() -> Self {
        Self { lease: LEASE, cached: CACHED, faults: None }
    }
}

impl FsStore {
    /// Whether there is a store in this folder, of whatever version.
    #[must_use]
    pub fn is_in(root: &Path) -> bool {
        Layout::new(root).version().is_file()
    }

    /// Opens the store in this folder, making it if it isn't there, without
    /// looking through what it holds. Blocks for a few system calls. One that
    /// is there opens also where the disk is full or read-only now: what it
    /// holds can be read, and removed where the disk lets it.
    ///
    /// # Errors
    /// Where the folder can't be made or written to, or holds a layout of
    /// another version.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        Self::open_with(root, FsOptions::default())
    }

    /// The same with other options.
    ///
    /// # Errors
    /// As [`FsStore::open`].
    pub fn open_with(root: &Path, options: FsOptions) -> Result<Self, StoreError> {
        let layout = Layout::new(root);
        let disk = Disk::new(layout.temporary(), options.faults);
        let found = disk.read(&layout.version())?;
        if let Some(found) = found.as_ref().filter(|found| *found != LAYOUT.as_bytes()) {
            let found = String::from_utf8_lossy(found).into_owned();
            return Err(StoreError::Layout { path: root.to_owned(), found, known: LAYOUT });
        }
        let folders = [layout.temporary(), layout.uploads(), layout.blobs(), layout.repositories()];
        let made = folders.iter().try_for_each(|folder| disk.make_folder(folder));
        unless_unwritable(found.is_some(), made)?;
        if found.is_none() {
            // Only a new store has none, and its folder may be as new.
            disk.keep_folder(root)?;
            disk.put(&layout.version(), LAYOUT.as_bytes())?;
        }
        let process = Process::new(&layout);
        // Nobody builds on what a killed process left before it is durable.
        unless_unwritable(found.is_some(), process.is_alone(&disk).map(drop))?;
        unless_unwritable(found.is_some(), process.join(&disk))?;
        let inner = Inner {
            disk,
            layout,
            remembered: Remembered::default(),
            listings: Listings::default(),
            verified: Verified::default(),
            buffers: Buffers::default(),
            batches: Batches::default(),
            leases: Leases::default(),
            lease: options.lease,
            cached: options.cached,
            process,
            resident: resident::look,
            writers: std::iter::repeat_with(Arc::default).take(WRITERS).collect(),
            asking: Arc::default(),
            tried: std::sync::Mutex::default(),
        };
        unless_unwritable(found.is_some(), inner.probe(false))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs file system calls that change a repository, one after the other.
    async fn change<T: Send + 'static>(
        &self,
        repository: &RepositoryName,
        work: impl FnOnce(&Inner, &RepositoryName) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut hasher = DefaultHasher::new();
        repository.as_str().hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % WRITERS as u64).unwrap_or_default();
        let alone = match self.inner.writers.get(index) {
            Some(writer) => Some(Arc::clone(writer).lock_owned().await),
            None => None,
        };
        let repository = repository.clone();
        self.run(move |inner| {
            // The thread holds it, not the request, which may go away.
            let _alone = alone;
            work(inner, &repository)
        })
        .await
    }

    /// Runs file system calls where they may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Inner>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner)).await?
    }

    /// Reads ahead what pages of the catalog will ask for. Who asks for what can't
    /// be read meets the error.
    async fn read_catalog(&self) {
        let inner = Arc::clone(&self.inner);
        let _ = quiet::run("catalog", Rank::Last, move || catalog::warm(&inner)).await;
    }
}

impl std::fmt::Debug for FsStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FsStore")
    }
}

/// What came of a step that a store which is there already can do without, as
/// long as the disk takes no writes.
fn unless_unwritable(there: bool, result: Result<(), FsError>) -> Result<(), FsError> {
    match result {
        Err(error) if there && error.takes_no_writes() => {
            tracing::debug!(%error, "the store is opened all the same");
            Ok(())
        }
        other => other,
    }
}

impl Inner {
    /// Writes a block, durably if told to, and takes it away again.
    fn probe(&self, durably: bool) -> Result<(), FsError> {
        let probe = self.disk.temporary()?;
        let file = self.disk.create(&probe.path)?;
        self.disk.write(&file, &probe.path, &[0; 4096])?;
        if durably {
            self.disk.sync(&file, &probe.path)?;
            self.disk.keep(&probe.path)?;
        }
        Ok(())
    }

    /// Whether pushes would go well now, for who asked at that time. Anybody may
    /// ask: those who waited meanwhile share one try. A sync costs everyone who
    /// writes: there is one in a second, and after one that failed until one goes
    /// well.
    fn ready(&self, asked: Instant) -> Result<(), FsError> {
        let mut last = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = self.disk.failed_syncs();
        let good = last.filter(|tried| tried.failed == failed);
        if good.is_some_and(|tried| tried.begun >= asked) {
            return Ok(());
        }
        let synced = good.map(|tried| tried.synced).filter(|at| at.elapsed() < SYNC_AGAIN);
        let begun = Instant::now();
        self.process.join(&self.disk)?;
        self.probe(synced.is_none())?;
        *last = Some(Tried { begun, synced: synced.unwrap_or(begun), failed });
        Ok(())
    }
}

/// A try to write that went well.
#[derive(Clone, Copy)]
struct Tried {
    begun: Instant,
    /// When one was synced last.
    synced: Instant,
    /// How many syncs had failed by then.
    failed: u64,
}

impl Store for FsStore {
    type Upload = FsUpload;

    async fn blob_size(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, StoreError> {
        let (repository, digest) = (repository.clone(), digest.clone());
        self.run(move |inner| inner.blob_size(&repository, &digest)).await
    }

    async fn blob_read(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>, StoreError> {
        match self.inner.known_link(&self.inner.layout.blob_link(repository, digest))? {
            // What is asked for often is opened without a wait for the disk.
            Known::Found(size) => self.inner.blob_open(repository, digest, range, size),
            Known::Missing => Ok(None),
            Known::Unknown => {
                let (repository, digest) = (repository.clone(), digest.clone());
                self.run(move |inner| inner.blob_read(&repository, &digest, range)).await
            }
        }
    }

    async fn blob_mount(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let (from, to, digest) = (from.clone(), to.clone(), digest.clone());
        self.run(move |inner| {
            inner.process.join(&inner.disk)?;
            let pin = inner.leases.pin(&digest);
            let Some(size) = inner.blob_size(&from, &digest)? else { return Ok(false) };
            inner.link_blob(&to, &digest, size, &pin)?;
            Ok(true)
        })
        .await
    }

    async fn blob_holder(
        &self,
        digest: &Digest,
        caller: &Permissions,
    ) -> Result<Option<RepositoryName>, StoreError> {
        let (digest, caller) = (digest.clone(), caller.clone());
        self.run(move |inner| {
            if !inner.disk.exists(&inner.layout.blob(&digest))? {
                return Ok(None);
            }
            let holds = |name: &RepositoryName| {
                caller.allow(name, Actions::PULL)
                    && matches!(inner.blob_size(name, &digest), Ok(Some(_)))
            };
            Ok(catalog::find(inner, HOLDERS_LOOKED_AT, &holds)?)
        })
        .await
    }

    async fn blob_delete(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let digest = digest.clone();
        self.change(repository, move |inner, name| inner.delete_blob(name, &digest)).await
    }

    async fn upload_create(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<UploadId, StoreError> {
        let repository = repository.clone();
        self.run(move |inner| upload::create(inner, &repository, algorithm)).await
    }

    async fn upload_once(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<FsUpload, StoreError> {
        let repository = repository.clone();
        self.run(move |inner| upload::once(inner, &repository, algorithm)).await
    }

    async fn upload_status(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<Option<UploadStatus>, StoreError> {
        let (repository, id) = (repository.clone(), id.clone());
        self.run(move |inner| upload::status(inner, &repository, &id)).await
    }

    async fn upload_resume(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<Option<FsUpload>, StoreError> {
        let (repository, id) = (repository.clone(), id.clone());
        self.run(move |inner| upload::resume(inner, &repository, &id)).await
    }

    async fn upload_cancel(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<bool, StoreError> {
        let (repository, id) = (repository.clone(), id.clone());
        self.run(move |inner| upload::cancel(inner, &repository, &id)).await
    }

    async fn upload_sweep(&self, untouched: Duration) -> Result<usize, StoreError> {
        self.run(move |inner| inner.sweep_uploads(untouched)).await
    }

    async fn manifest_get(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError> {
        match self.inner.known_manifest(&self.inner.layout.manifest(repository, digest))? {
            // Its content may have been set aside since.
            Known::Found(manifest)
                if self.inner.disk.exists(&self.inner.layout.blob(digest))? =>
            {
                Ok(Some(manifest))
            }
            Known::Missing => Ok(None),
            Known::Found(_) | Known::Unknown => {
                let (repository, digest) = (repository.clone(), digest.clone());
                self.run(move |inner| inner.manifest(&repository, &digest)).await
            }
        }
    }

    async fn manifest_exists(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let (repository, digest) = (repository.clone(), digest.clone());
        self.run(move |inner| inner.manifest_exists(&repository, &digest)).await
    }

    async fn manifest_put(
        &self,
        repository: &RepositoryName,
        manifest: &StoredManifest,
        referral: Option<&Referral>,
        required: &Required,
    ) -> Result<(), StoreError> {
        let (manifest, required) = (manifest.clone(), required.clone());
        let referral = referral.cloned();
        self.change(repository, move |inner, name| {
            inner.process.join(&inner.disk)?;
            inner.put_manifest(name, &manifest, referral.as_ref(), &required)
        })
        .await
    }

    async fn manifest_delete(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let digest = digest.clone();
        self.change(repository, move |inner, name| inner.delete_manifest(name, &digest)).await
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: &ReferrersPage,
    ) -> Result<Referrers, StoreError> {
        let (repository, subject, page) = (repository.clone(), subject.clone(), page.clone());
        self.run(move |inner| inner.referrers(&repository, &subject, &page)).await
    }

    async fn tag_get(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError> {
        match self.inner.known_tag(&self.inner.layout.tag(repository, tag))? {
            Known::Found(digest) => Ok(Some(digest)),
            Known::Missing => Ok(None),
            Known::Unknown => {
                let (repository, tag) = (repository.clone(), tag.clone());
                self.run(move |inner| inner.read_tag(&repository, &tag)).await
            }
        }
    }

    async fn tag_set(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        expected: &Expected,
    ) -> Result<(), StoreError> {
        let (tag, digest, expected) = (tag.clone(), digest.clone(), expected.clone());
        self.change(repository, move |inner, name| {
            inner.process.join(&inner.disk)?;
            inner.set_tag(name, &tag, &digest, &expected)
        })
        .await
    }

    async fn tag_delete(&self, repository: &RepositoryName, tag: &Tag) -> Result<bool, StoreError> {
        let tag = tag.clone();
        self.change(repository, move |inner, name| inner.delete_tag(name, &tag)).await
    }

    async fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Vec<TagMove>, StoreError> {
        let (repository, tag) = (repository.clone(), tag.clone());
        self.run(move |inner| inner.tag_history(&repository, &tag)).await
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: &Page,
    ) -> Result<Option<Listing<Tag>>, StoreError> {
        let (repository, page) = (repository.clone(), page.clone());
        self.run(move |inner| inner.tags(&repository, &page)).await
    }

    async fn repositories(
        &self,
        page: &Page,
        caller: &Permissions,
    ) -> Result<Listing<RepositoryName>, StoreError> {
        let (page, caller) = (page.clone(), caller.clone());
        let listing = self.run(move |inner| Ok(catalog::page(inner, &page, &caller)?)).await?;
        if listing.more && self.inner.listings.is_cold() {
            let this = self.clone();
            // Nobody waits for it.
            tokio::spawn(async move { this.read_catalog().await });
        }
        Ok(listing)
    }

    async fn warm(&self) {
        if self.inner.listings.is_cold() {
            self.read_catalog().await;
        }
    }

    async fn collect(
        &self,
        policy: &CollectPolicy,
        watch: Watch<Collected>,
    ) -> Result<Collected, StoreError> {
        let (inner, policy) = (Arc::clone(&self.inner), *policy);
        quiet::run("collect", Rank::Last, move || inner.collect(&policy, &watch)).await?
    }

    async fn scrub(
        &self,
        policy: &ScrubPolicy,
        watch: Watch<Scrubbed>,
    ) -> Result<Scrubbed, StoreError> {
        let (inner, policy) = (Arc::clone(&self.inner), *policy);
        quiet::run("scrub", Rank::Idle, move || inner.scrub(&policy, &watch)).await?
    }

    async fn ready(&self) -> Result<(), StoreError> {
        // One after the other: who asks without end has one thread.
        let asked = Instant::now();
        let alone = Arc::clone(&self.inner.asking).lock_owned().await;
        self.run(move |inner| {
            let _alone = alone;
            Ok(inner.ready(asked)?)
        })
        .await
    }
}
