//! Blobs: content under its digest, and the links that show it to repositories.

use std::ops::Range;

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

    pub(super) fn blob_read(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>, StoreError> {
        let Some(size) = self.linked_size(repository, digest)? else { return Ok(None) };
        let damaged = |what: String| StoreError::Damaged { digest: digest.clone(), what };
        let path = self.layout.blob(digest);
        let Some(file) = self.disk.open(&path)? else {
            return Err(damaged(format!("{} is missing", path.display())));
        };
        let found = file.metadata().at("look at", &path)?.len();
        if found != size {
            return Err(damaged(format!("{} has {found} bytes, not {size}", path.display())));
        }
        let range = range.unwrap_or(0..size);
        let end = range.end.min(size);
        let start = range.start.min(end);
        let stream = read::stream(file, &path, digest, start, end - start)?;
        Ok(Some(BlobRead { size, stream }))
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
