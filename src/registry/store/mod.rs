//! Where the registry keeps what it was given: one trait, several
//! implementations, one suite of tests (`tests/it/store.rs`) for all of them.
//!
//! The trait asks for nothing that an object store can't give: content is
//! written once under its digest, an upload can be taken up by another
//! process, a tag changes by compare-and-swap, lists are pages in byte order.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::access::Permissions;
use super::manifest::Descriptor;
use super::name::RepositoryName;
use super::reference::Tag;
use crate::digest::{Algorithm, Digest};

mod collect;
mod error;
pub mod fs;
pub mod memory;
mod page;
mod referrers;
mod scrub;
mod stream;
mod upload_id;

pub use collect::{CollectPolicy, Collected, Watch};
pub use error::StoreError;
pub use fs::{FsOptions, FsStore};
pub use memory::MemoryStore;
pub use page::{Listing, Page};
pub use referrers::{Referrers, ReferrersPage};
pub use scrub::{ScrubPolicy, Scrubbed};
pub use stream::{BlobStream, ChunkSource, FilePiece, OpenBlob, Piece};
pub use upload_id::UploadId;

/// How long what a push, a mount or a question touched is kept from collection,
/// unless the store is told otherwise.
pub const LEASE: Duration = Duration::from_hours(24);

/// A blob about to be read.
pub struct BlobRead {
    /// The length of the whole blob in bytes, whatever the range.
    pub size: u64,
    /// The bytes of the range.
    pub stream: BlobStream,
}

/// What is known of an upload under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// How many bytes have arrived.
    pub received: u64,
    /// Which digest is computed while they arrive.
    pub algorithm: Algorithm,
}

/// A manifest as it was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    /// The digest of the bytes.
    pub digest: Digest,
    /// The media type that it was pushed with.
    pub media_type: String,
    /// Byte for byte what was pushed.
    pub bytes: Bytes,
}

/// What a manifest says about another one: it is that one's referrer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referral {
    /// The manifest that is referred to. It need not exist.
    pub subject: Digest,
    /// How the referrer is listed.
    pub descriptor: Descriptor,
}

/// That a tag was pointed to a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagMove {
    /// The manifest, which may be gone since.
    pub digest: Digest,
    /// When, to the millisecond.
    pub at: SystemTime,
}

/// How many moves of a tag are remembered at least, and given at most.
pub const TAG_MOVES_KEPT: usize = 1000;

/// What must be in a repository for a manifest to be kept there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Required {
    /// Its config and its layers.
    pub blobs: Vec<Digest>,
    /// The manifests of an index.
    pub manifests: Vec<Digest>,
}

/// What a tag must point to for a change of it to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it points to, or nothing.
    Anything,
    /// Nothing: the tag must be new.
    Absent,
    /// This digest.
    Digest(Digest),
}

/// A content-addressed store with repositories, tags and resumable uploads.
///
/// Every write that a method acknowledges is durable, uploads excepted: an
/// upload that isn't finished survives a restart of the process, and a loss of
/// power as far as the operating system had written it.
pub trait Store: Send + Sync + 'static {
    /// An upload that this process writes to.
    type Upload: UploadWriter;

    /// The length of a blob that the repository holds. The caller may be about
    /// to rely on it: it isn't collected for as long as the store's lease.
    fn blob_size(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Opens a blob that the repository holds. The range is cut to the blob.
    fn blob_read(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> impl Future<Output = Result<Option<BlobRead>, StoreError>> + Send;

    /// Makes a blob of `from` a blob of `to` as well; `false` where `from`
    /// doesn't hold it.
    fn blob_mount(
        &self,
        from: &RepositoryName,
        to: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// A repository that holds a blob and that the caller may pull from, for a
    /// mount whose client doesn't name one. A store may give up after some.
    fn blob_holder(
        &self,
        digest: &Digest,
        caller: &Permissions,
    ) -> impl Future<Output = Result<Option<RepositoryName>, StoreError>> + Send;

    /// Takes a blob out of a repository; other repositories keep it. `false`
    /// where the repository doesn't hold it.
    fn blob_delete(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Begins an upload that other requests, and other processes, continue.
    fn upload_create(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> impl Future<Output = Result<UploadId, StoreError>> + Send;

    /// Begins an upload that this request finishes or nobody.
    fn upload_once(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> impl Future<Output = Result<Self::Upload, StoreError>> + Send;

    /// How far an upload is; `None` where this repository has no such upload.
    fn upload_status(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> impl Future<Output = Result<Option<UploadStatus>, StoreError>> + Send;

    /// Takes up an upload, alone: [`StoreError::UploadBusy`] while another
    /// request writes to it. `None` where this repository has no such upload.
    fn upload_resume(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> impl Future<Output = Result<Option<Self::Upload>, StoreError>> + Send;

    /// Throws an upload away; `false` where this repository has no such one.
    fn upload_cancel(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Throws away every upload that nobody touched for this long, and says
    /// how many there were.
    fn upload_sweep(
        &self,
        untouched: Duration,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// A manifest that the repository holds.
    fn manifest_get(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<Option<StoredManifest>, StoreError>> + Send;

    /// Whether the repository holds a manifest.
    fn manifest_exists(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Keeps a manifest whose digest the caller has checked, if everything
    /// that it requires is in the repository: [`StoreError::Missing`]
    /// otherwise. No deletion and no collection comes in between.
    fn manifest_put(
        &self,
        repository: &RepositoryName,
        manifest: &StoredManifest,
        referral: Option<&Referral>,
        required: &Required,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes a manifest and every tag on it out of a repository; other
    /// repositories keep it. `false` where the repository doesn't hold it.
    fn manifest_delete(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// A page of the manifests that name `subject` as theirs.
    fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: &ReferrersPage,
    ) -> impl Future<Output = Result<Referrers, StoreError>> + Send;

    /// What a tag points to.
    fn tag_get(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> impl Future<Output = Result<Option<Digest>, StoreError>> + Send;

    /// Points a tag to a manifest if it points to what is expected now;
    /// [`StoreError::TagMoved`] otherwise.
    fn tag_set(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        expected: &Expected,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes a tag, not its manifest; `false` where there is no such tag.
    fn tag_delete(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// What a tag pointed to and since when, the newest first; of a tag that
    /// was removed as well. The last [`TAG_MOVES_KEPT`] moves are remembered.
    fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> impl Future<Output = Result<Vec<TagMove>, StoreError>> + Send;

    /// A page of tags; `None` where there is no such repository.
    fn tags(
        &self,
        repository: &RepositoryName,
        page: &Page,
    ) -> impl Future<Output = Result<Option<Listing<Tag>>, StoreError>> + Send;

    /// A page of the repositories that the caller may pull from.
    fn repositories(
        &self,
        page: &Page,
        caller: &Permissions,
    ) -> impl Future<Output = Result<Listing<RepositoryName>, StoreError>> + Send;

    /// Reads ahead what the first requests will ask for, gently: to be called once
    /// when a server begins. What can't be read is met by who asks for it.
    fn warm(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Removes what nothing refers to: blobs that no manifest of their
    /// repository mentions, by policy manifests that no tag leads to, and
    /// content that no repository holds. Nothing that was pushed, mounted or
    /// asked for within the store's lease, nor since the collection began, is
    /// touched. Requests go on meanwhile. `watch` hears of the progress and may
    /// end it.
    ///
    /// [`StoreError::Collecting`] while another collection runs, and
    /// [`StoreError::Shared`] where other processes use the store.
    fn collect(
        &self,
        policy: &CollectPolicy,
        watch: Watch<Collected>,
    ) -> impl Future<Output = Result<Collected, StoreError>> + Send;

    /// Reads every content, compares it with its digest, and sets aside what
    /// has other bytes: it is served to nobody, and a push of the same content
    /// heals it. `watch` hears of the progress and may end it; the next scrub
    /// goes on from there.
    fn scrub(
        &self,
        policy: &ScrubPolicy,
        watch: Watch<Scrubbed>,
    ) -> impl Future<Output = Result<Scrubbed, StoreError>> + Send;

    /// Whether the store can be written to now.
    fn ready(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The writing end of an upload. Dropping it leaves the upload as far as its
/// bytes were written, to be taken up again, unless it was begun by
/// [`Store::upload_once`]: then nothing remains.
pub trait UploadWriter: Send + 'static {
    /// How many bytes have arrived, those that aren't written yet included.
    fn received(&self) -> u64;

    /// Takes in more bytes.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes out what was taken in and says how many bytes the upload has.
    fn pause(self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Makes the upload a blob of its repository if its digest is the expected
    /// one, and gives its length. The upload is over, and where the digest is
    /// another ([`StoreError::DigestMismatch`]) nothing remains of it.
    fn finish(self, expected: &Digest) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
