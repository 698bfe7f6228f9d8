//! Blobs: content under its digest, and the links that show it to repositories.

use std::fs::Metadata;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lease::Pin;
use super::read::{Check, Part};
use super::stamp::Stamp;
use super::{Inner, read};
use crate::digest::Digest;
use crate::fs::At as _;
use crate::registry::name::RepositoryName;
use crate::registry::store::{BlobRead, StoreError};

/// A lease is renewed after this part of it, so that most requests don't write.
const FRESH: u32 = 16;

impl Inner {
    /// What a link says. Its name is durable, its content may be lost with the
    /// power: then the blob's own length serves.
    pub(super) fn size_in(&self, link: &[u8], digest: &Digest) -> Result<Option<u64>, StoreError> {
        match parse_size(link) {
            Some(size) => Ok(Some(size)),
            None => Ok(self.disk.size(&self.layout.blob(digest))?),
        }
    }

    /// How old a lease gets before it is renewed.
    pub(super) fn fresh(&self) -> Duration {
        self.lease / FRESH
    }

    /// Reads a link and renews its lease where that is no longer fresh.
    pub(super) fn read_leased(
        &self,
        link: &Path,
        _pin: &Pin<'_>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut file) = self.disk.open(link)? else { return Ok(None) };
        let modified = file.metadata().and_then(|found| found.modified()).at("look at", link)?;
        if modified.elapsed().is_ok_and(|age| age > self.fresh()) {
            self.disk.touch(&file, link)?;
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).at("read", link)?;
        Ok(Some(text))
    }

    /// The length of a blob of this repository, whose lease begins anew: who
    /// asks may be about to push a manifest with it. One that lost bytes counts
    /// as not there, so that clients push it again and heal it.
    pub(super) fn blob_size(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, StoreError> {
        let pin = self.leases.pin(digest);
        let link = self.layout.blob_link(repository, digest);
        let Some(text) = self.read_leased(&link, &pin)? else { return Ok(None) };
        let Some(linked) = self.size_in(&text, digest)? else { return Ok(None) };
        let found = self.disk.look(&self.layout.blob(digest))?;
        let size = found.as_ref().map(Metadata::len);
        if size != Some(linked) {
            tracing::error!(%digest, linked, found = size, "a blob has another length than it was pushed with");
            return Ok(None);
        }
        let doubtful =
            |found: Metadata| self.verified.is_doubtful(digest, &Stamp::of(&found), Instant::now());
        if found.is_some_and(doubtful) {
            tracing::error!(%digest, "a blob has other bytes than it was pushed with, or can't be read");
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
        match self.read_link(&self.layout.blob_link(repository, digest), digest)? {
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
        let stamp = Stamp::of(&metadata);
        if self.verified.is_refuted(digest, &stamp) {
            return Err(damaged(format!("{} has other content", path.display())));
        }
        let range = range.unwrap_or(0..size);
        let end = range.end.min(size);
        let start = range.start.min(end);
        let length = end - start;
        let check = match self.verified.parts(digest, &stamp, Instant::now()) {
            Some(parts) => Check::parts(parts, start),
            None if length == size => Check::whole(digest.algorithm()),
            // A part can't be compared with the digest of the whole.
            None => Check::Nothing,
        };
        let digest = digest.clone();
        let part = Part { path, digest, file, metadata, start, length, check };
        Ok(Some(BlobRead { size, stream: read::stream(self, part) }))
    }

    /// Makes a file, whose content is durable, a blob of a repository. The two
    /// folders are synced together, as one of them often takes the other
    /// along: until then the pin tells others that the blob is not durable.
    pub(super) fn place_blob(
        &self,
        repository: &RepositoryName,
        from: &Path,
        digest: &Digest,
        size: u64,
        pin: &Pin<'_>,
    ) -> Result<(), StoreError> {
        let (blob, link) = (self.layout.blob(digest), self.layout.blob_link(repository, digest));
        self.disk.make_folder_of(&blob)?;
        self.disk.make_folder_of(&link)?;
        self.leases.alone(digest, || self.disk.rename(from, &blob))?;
        let known = self.read_leased(&link, pin)?.as_deref().and_then(parse_size) == Some(size);
        if !known {
            self.disk.put_for_now(&link, size.to_string().as_bytes())?;
        }
        let durable = self.disk.keep(&blob).and_then(|()| self.disk.keep(&link));
        if durable.is_err() && !known && !pin.was_shared() {
            // Nobody else has relied on it.
            let _ = self.disk.unlink(&link);
        }
        Ok(durable?)
    }

    /// Makes a blob durable that another request may be pushing, where it is
    /// there.
    pub(super) fn keep_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        for path in [self.layout.blob(digest), self.layout.blob_link(repository, digest)] {
            if self.disk.exists(&path)? {
                self.disk.keep(&path)?;
            }
        }
        Ok(())
    }

    /// Shows a blob to a repository. The pin has been held since before the
    /// content was found or put in its place.
    pub(super) fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
        pin: &Pin<'_>,
    ) -> Result<(), StoreError> {
        // Whoever pushed it may not have made it durable: not yet, or not any
        // more before the process ended.
        self.disk.keep(&self.layout.blob(digest))?;
        let link = self.layout.blob_link(repository, digest);
        if self.read_leased(&link, pin)?.as_deref().and_then(parse_size) == Some(size) {
            return Ok(self.disk.keep(&link)?);
        }
        Ok(self.disk.put(&link, size.to_string().as_bytes())?)
    }

    /// Takes a blob out of a repository under its lock; gives the folders that
    /// have to be synced.
    pub(super) fn remove_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let link = self.layout.blob_link(repository, digest);
        let removed = self.disk.unlink(&link)?;
        Ok(link.parent().filter(|_| removed).map(Path::to_owned).into_iter().collect())
    }

    /// Takes a blob out of a repository, not while a manifest that needs it is
    /// being pushed.
    pub(super) fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let link = self.layout.blob_link(repository, digest);
        if !self.disk.exists(&link)? {
            return Ok(false);
        }
        let _alone = self.disk.lock(&self.layout.lock(repository))?;
        Ok(self.disk.remove(&link)?)
    }
}

/// What a link says.
fn parse_size(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
