//! Tags: small files that are replaced in one step.

use std::path::Path;

use super::Inner;
use crate::digest::Digest;
use crate::registry::name::RepositoryName;
use crate::registry::reference::Tag;
use crate::registry::store::{Expected, Listing, Page, StoreError};

impl Inner {
    /// What the tag in this file points to.
    pub(super) fn tag(&self, path: &Path) -> Result<Option<Digest>, StoreError> {
        let text = self.disk.read(path)?;
        Ok(text.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok()))
    }

    pub(super) fn set_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        expected: &Expected,
    ) -> Result<(), StoreError> {
        let missing = || StoreError::NoManifest { digest: digest.clone() };
        if !self.disk.exists(&self.layout.repository(repository))? {
            return Err(missing());
        }
        let _alone = self.disk.lock(&self.layout.lock(repository))?;
        let _pin = self.leases.pin(digest);
        if !self.manifest_exists(repository, digest)? {
            return Err(missing());
        }
        let path = self.layout.tag(repository, tag);
        let now = self.tag(&path)?;
        match expected {
            Expected::Absent if now.is_some() => return Err(StoreError::TagMoved),
            Expected::Digest(expected) if now.as_ref() != Some(expected) => {
                return Err(StoreError::TagMoved);
            }
            _ => {}
        }
        // What an earlier process pushed may not be durable.
        self.disk.keep(&self.layout.manifest(repository, digest))?;
        if now.as_ref() == Some(digest) {
            return Ok(self.disk.keep(&path)?);
        }
        let from = self.last_move(&path)?;
        self.disk.put(&path, digest.to_string().as_bytes())?;
        if let Err(error) = self.remember(repository, tag, from.as_ref(), digest) {
            tracing::warn!(%repository, %tag, %error, "a move of the tag is not in its history");
        }
        self.renew(repository, now.as_ref())
    }

    /// What a tag no longer points to is kept for a lease from now on.
    fn renew(
        &self,
        repository: &RepositoryName,
        digest: Option<&Digest>,
    ) -> Result<(), StoreError> {
        if let Some(digest) = digest {
            let pin = self.leases.pin(digest);
            self.read_leased(&self.layout.manifest(repository, digest), &pin)?;
        }
        Ok(())
    }

    pub(super) fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<bool, StoreError> {
        let path = self.layout.tag(repository, tag);
        if !self.disk.exists(&path)? {
            return Ok(false);
        }
        let _alone = self.disk.lock(&self.layout.lock(repository))?;
        let now = self.tag(&path)?;
        let removed = self.disk.remove(&path)?;
        self.renew(repository, now.as_ref())?;
        Ok(removed)
    }

    pub(super) fn tags(
        &self,
        repository: &RepositoryName,
        page: &Page,
    ) -> Result<Option<Listing<Tag>>, StoreError> {
        let known = self.disk.exists(&self.layout.manifests(repository))?
            || self.disk.exists(&self.layout.blob_links(repository))?;
        if !known {
            return Ok(None);
        }
        let names = self.names(&self.layout.tags(repository))?;
        let last = page.last.as_deref().unwrap_or_default();
        let tags =
            names.from(last).filter(|name| *name > last).filter_map(|name| name.parse().ok());
        // One more than the page has tells whether there is more.
        let most = page.count.map_or(usize::MAX, |count| count.saturating_add(1));
        Ok(Some(Listing::pick(tags.take(most), page)))
    }
}
