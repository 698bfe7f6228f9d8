//! Tags, manifests and links of blobs that were read before. Each is good for as long as the
//! files that say so have the stamp that they were read with, which costs a
//! system call or two and no thread; whoever changes the files, this process
//! or another one, changes their stamps.

use std::path::Path;
use std::time::Duration;

use super::Inner;
use super::cache::Cache;
use super::stamp::Stamp;
use crate::digest::Digest;
use crate::registry::name::RepositoryName;
use crate::registry::reference::Tag;
use crate::registry::store::{StoreError, StoredManifest};

/// How much is remembered of tags, in bytes.
const TAGS: usize = 1 << 20;

/// How much is remembered of manifests, in bytes.
const MANIFESTS: usize = 8 << 20;

/// How much is remembered of blobs' links, in bytes.
const LINKS: usize = 2 << 20;

/// What was read of tags, manifests and links of blobs.
pub(super) struct Remembered {
    links: Cache<(Stamp, u64)>,
    tags: Cache<(Stamp, Digest)>,
    manifests: Cache<(Stamp, StoredManifest)>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self { links: Cache::new(LINKS), tags: Cache::new(TAGS), manifests: Cache::new(MANIFESTS) }
    }
}

/// What can be said without reading a file.
pub(super) enum Known<T> {
    /// This is what the file says now.
    Found(T),
    /// There is no such file now.
    Missing,
    /// It has to be read.
    Unknown,
}

impl Inner {
    /// What a tag points to, as far as it is known.
    pub(super) fn known_tag(&self, path: &Path) -> Result<Known<Digest>, StoreError> {
        self.known(&self.remembered.tags, path, Duration::MAX)
    }

    /// A manifest, as far as it is known. Its content was checked against its
    /// digest when it was read, so the link alone decides.
    pub(super) fn known_manifest(&self, link: &Path) -> Result<Known<StoredManifest>, StoreError> {
        self.known(&self.remembered.manifests, link, self.fresh())
    }

    /// The length that a blob was acknowledged with, as far as it is known.
    pub(super) fn known_link(&self, path: &Path) -> Result<Known<u64>, StoreError> {
        self.known(&self.remembered.links, path, Duration::MAX)
    }

    /// Reads the length that a blob was acknowledged with and remembers it.
    pub(super) fn read_link(
        &self,
        path: &Path,
        digest: &Digest,
    ) -> Result<Option<u64>, StoreError> {
        let Some((text, stamp)) = self.disk.read_stamped(path)? else { return Ok(None) };
        let size = self.size_in(&text, digest)?;
        if let Some(size) = size
            && stamp.is_settled()
        {
            self.remembered.links.put(path.as_os_str(), (stamp, size), size_of::<(Stamp, u64)>());
        }
        Ok(size)
    }

    fn known<V: Clone>(
        &self,
        cache: &Cache<(Stamp, V)>,
        path: &Path,
        fresh: Duration,
    ) -> Result<Known<V>, StoreError> {
        let Some((read, value)) = cache.get(path.as_os_str()) else { return Ok(Known::Unknown) };
        match self.disk.stamp(path)? {
            // A lease that has to be renewed is renewed by who reads the file.
            Some(stamp) if stamp == read && stamp.age() <= fresh => {
                return Ok(Known::Found(value));
            }
            Some(_) => {}
            None => {
                cache.forget(path.as_os_str());
                return Ok(Known::Missing);
            }
        }
        Ok(Known::Unknown)
    }

    /// Reads a tag and remembers it.
    pub(super) fn read_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError> {
        let path = self.layout.tag(repository, tag);
        let Some((text, stamp)) = self.disk.read_stamped(&path)? else { return Ok(None) };
        let digest: Option<Digest> = std::str::from_utf8(&text).ok().and_then(|t| t.parse().ok());
        if let Some(digest) = digest.clone()
            && stamp.is_settled()
        {
            let bytes = size_of::<(Stamp, Digest)>() + text.len();
            self.remembered.tags.put(path.as_os_str(), (stamp, digest), bytes);
        }
        Ok(digest)
    }

    /// Remembers a manifest that was read by a link with this stamp.
    pub(super) fn remember_manifest(&self, link: &Path, stamp: Stamp, manifest: &StoredManifest) {
        if stamp.is_settled() {
            let bytes = size_of::<(Stamp, StoredManifest)>()
                + manifest.bytes.len()
                + manifest.media_type.len()
                + manifest.digest.hex().len();
            self.remembered.manifests.put(link.as_os_str(), (stamp, manifest.clone()), bytes);
        }
    }
}
