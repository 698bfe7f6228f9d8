//! Blobs: content under its digest, and the links that show it to repositories.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::read::Part;
use super::stamp::Stamp;
use super::{Inner, read};
use crate::digest::Digest;
use crate::fs::At as _;
use crate::registry::name::RepositoryName;
use crate::registry::store::{BlobRead, StoreError};

impl Inner {
    /// The length that a blob of this repository was acknowledged with.
    fn linked_size(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, StoreError> {
        let link = self.disk.read(&self.layout.blob_link(repository, digest))?;
        Ok(link.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok()))
    }

    /// The length of a blob of this repository. One that lost bytes counts as
    /// not there, so that clients push it again and heal it.
    pub(super) fn blob_size(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, StoreError> {
        let Some(linked) = self.linked_size(repository, digest)? else { return Ok(None) };
        let found = self.disk.size(&self.layout.blob(digest))?;
        if found != Some(linked) {
            tracing::error!(%digest, linked, ?found, "a blob has another length than it was pushed with");
            return Ok(None);
        }
        Ok(Some(linked))
    }

    /// Opens a blob of this repository, finding out how long it should be.
    pub(super) fn blob_read(
        self: &Arc<Self>,
        repository: &RepositoryName,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>, StoreError> {
        match self.read_link(&self.layout.blob_link(repository, digest))? {
            Some(size) => self.blob_open(repository, digest, range, size),
            None => Ok(None),
        }
    }

    /// Opens a blob of this repository that was acknowledged with this size.
    pub(super) fn blob_open(
        self: &Arc<Self>,
        repository: &RepositoryName,
        digest: &Digest,
        range: Option<Range<u64>>,
        size: u64,
    ) -> Result<Option<BlobRead>, StoreError> {
        let damaged = |what: String| StoreError::Damaged { digest: digest.clone(), what };
        let path = self.layout.blob(digest);
        let Some(file) = self.disk.open(&path)? else {
            // Whoever removed it since has removed the link before.
            if !self.disk.exists(&self.layout.blob_link(repository, digest))? {
                return Ok(None);
            }
            return Err(damaged(format!("{} is missing", path.display())));
        };
        let metadata = file.metadata().at("look at", &path)?;
        let found = metadata.len();
        if found != size {
            return Err(damaged(format!("{} has {found} bytes, not {size}", path.display())));
        }
        let range = range.unwrap_or(0..size);
        let end = range.end.min(size);
        let start = range.start.min(end);
        let length = end - start;
        // A part can't be checked against the digest of the whole.
        let check =
            length == size && !self.verified.holds(digest, &Stamp::of(&metadata), Instant::now());
        let digest = digest.clone();
        let part = Part { path, digest, file, metadata, start, length, check };
        Ok(Some(BlobRead { size, stream: read::stream(self, part) }))
    }

    /// Shows a blob to a repository.
    pub(super) fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
    ) -> Result<(), StoreError> {
        let link = self.layout.blob_link(repository, digest);
        if self.linked_size(repository, digest)? == Some(size) {
            return Ok(self.disk.keep(&link)?);
        }
        Ok(self.disk.put(&link, size.to_string().as_bytes())?)
    }
}
