//! Manifests and who refers to whom.

use std::path::{Path, PathBuf};

use super::Inner;
use crate::digest::Digest;
use crate::fs::FsError;
use crate::registry::manifest::Descriptor;
use crate::registry::name::RepositoryName;
use crate::registry::store::collect::{Candidate, mentions};
use crate::registry::store::{
    Page, Referral, Referrers, ReferrersPage, Required, StoreError, StoredManifest,
};

impl Inner {
    /// Whether the repository holds a manifest, whose lease begins anew.
    pub(super) fn manifest_exists(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let pin = self.leases.pin(digest);
        let link = self.layout.manifest(repository, digest);
        Ok(self.read_leased(&link, &pin)?.is_some()
            && self.disk.exists(&self.layout.blob(digest))?)
    }

    /// A manifest of this repository, its digest checked again: that costs
    /// little for so few bytes. It is remembered.
    pub(super) fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError> {
        let damaged =
            |what: &str| StoreError::Damaged { digest: digest.clone(), what: what.into() };
        let pin = self.leases.pin(digest);
        let link = self.layout.manifest(repository, digest);
        if let Err(error) = self.read_leased(&link, &pin) {
            // Who pulls needs no lease; at worst an untagged manifest expires.
            tracing::debug!(%repository, %digest, %error, "the lease of a manifest can't be renewed");
        }
        let Some((text, stamp)) = self.disk.read_stamped(&link)? else { return Ok(None) };
        let media_type =
            String::from_utf8(text).map_err(|_| damaged("its media type is not UTF-8"))?;
        let Some(bytes) = self.disk.read(&self.layout.blob(digest))? else {
            // Whoever removed it since has removed the link before.
            if !self.disk.exists(&link)? {
                return Ok(None);
            }
            return Err(damaged("its file is missing"));
        };
        if Digest::of(digest.algorithm(), &bytes) != *digest {
            return Err(damaged("its file has other content"));
        }
        let manifest = StoredManifest { digest: digest.clone(), media_type, bytes: bytes.into() };
        self.remember_manifest(&link, stamp, &manifest);
        Ok(Some(manifest))
    }

    /// The bytes come first, then who it refers to, then the link that shows
    /// the manifest: whoever sees it sees all of it.
    pub(super) fn put_manifest(
        &self,
        repository: &RepositoryName,
        manifest: &StoredManifest,
        referral: Option<&Referral>,
        required: &Required,
    ) -> Result<(), StoreError> {
        let digest = &manifest.digest;
        let blob = self.layout.blob(digest);
        self.disk.make_folder(&self.layout.repository(repository))?;
        let _alone = self.disk.lock(&self.layout.lock(repository))?;
        let (mentions, _) = mentions(&manifest.media_type, &manifest.bytes);
        let pins: Vec<_> =
            mentions.iter().map(|digest| (digest, self.leases.pin(digest))).collect();
        for (digest, pin) in &pins {
            self.read_leased(&self.layout.blob_link(repository, digest), pin)?;
            self.read_leased(&self.layout.manifest(repository, digest), pin)?;
        }
        for digest in &required.blobs {
            if self.blob_size(repository, digest)?.is_none() {
                return Err(StoreError::Missing { what: "blob", digest: digest.clone() });
            }
        }
        for digest in &required.manifests {
            if !self.manifest_exists(repository, digest)? {
                return Err(StoreError::Missing { what: "manifest", digest: digest.clone() });
            }
        }
        for (digest, pin) in &pins {
            // The manifest must not be durable before what it is made of. What
            // was found above was put there by someone who held a pin since, or
            // who has made it durable.
            if pin.was_shared() {
                self.keep_blob(repository, digest)?;
            }
        }
        let pin = self.leases.pin(digest);
        let link = self.layout.manifest(repository, digest);
        let referral = referral.map(|Referral { subject, descriptor }| {
            (self.layout.referrer(repository, subject, digest), descriptor)
        });
        let listed = match &referral {
            Some((path, _)) => self.disk.exists(path)?,
            None => true,
        };
        if listed
            && self.read_leased(&link, &pin)?.as_deref() == Some(manifest.media_type.as_bytes())
            && self.disk.read(&blob)?.as_deref() == Some(&*manifest.bytes)
        {
            self.disk.keep(&blob)?;
            return Ok(self.disk.keep(&link)?);
        }
        self.disk.make_folder_of(&blob)?;
        let staged = self.disk.stage(&manifest.bytes)?;
        self.leases.alone(digest, || self.disk.rename(&staged.path, &blob))?;
        self.disk.keep(&blob)?;
        // The damaged one has been replaced. Its leftover harms nobody.
        let _ = self.disk.unlink(&self.layout.quarantined(digest));
        if let Some((path, descriptor)) = referral {
            let text = serde_json::to_vec(descriptor).unwrap_or_default();
            self.disk.put(&path, &text)?;
        }
        Ok(self.disk.put(&link, manifest.media_type.as_bytes())?)
    }

    /// The tags go first, then who it refers to, then the manifest: a crash in
    /// between leaves a manifest that can be deleted again.
    pub(super) fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let link = self.layout.manifest(repository, digest);
        if !self.disk.exists(&link)? {
            return Ok(false);
        }
        let _alone = self.disk.lock(&self.layout.lock(repository))?;
        let tags = self.layout.tags(repository);
        let mut untagged = false;
        for path in self.disk.list(&tags)? {
            if self.tag(&path)?.as_ref() == Some(digest) {
                untagged |= self.disk.unlink(&path)?;
            }
        }
        if untagged {
            self.disk.sync_folder(&tags)?;
        }
        for folder in self.remove_manifest(repository, digest)? {
            self.disk.sync_folder(&folder)?;
        }
        Ok(true)
    }

    /// Removes a manifest to which no tag points; gives the folders that have to
    /// be synced. Its entry among the referrers goes first; one that comes back
    /// without its manifest isn't shown.
    pub(super) fn remove_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let link = self.layout.manifest(repository, digest);
        let mut gone = Vec::new();
        if let Some(media_type) = self.disk.read(&link)?
            && let Ok(Some(bytes)) = self.disk.read(&self.layout.blob(digest))
            && let (_, Some(subject)) = mentions(&String::from_utf8_lossy(&media_type), &bytes)
        {
            gone.push(self.layout.referrer(repository, &subject, digest));
        }
        gone.push(link);
        let mut folders = Vec::new();
        for path in gone {
            let removed = self.disk.unlink(&path)?;
            folders.extend(path.parent().filter(|_| removed).map(Path::to_owned));
        }
        Ok(folders)
    }

    /// What a collection has to know of a manifest; `None` where it is gone.
    pub(super) fn candidate(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        rooted: bool,
    ) -> Result<Option<Candidate>, StoreError> {
        let damaged =
            |what: &str| StoreError::Damaged { digest: digest.clone(), what: what.into() };
        let path = self.layout.manifest(repository, digest);
        let unread = |error: FsError| damaged(&error.to_string());
        let Some(link) = self.disk.read(&path).map_err(unread)? else { return Ok(None) };
        let bytes = self.disk.read(&self.layout.blob(digest)).map_err(unread)?;
        let Some(bytes) = bytes else {
            // Deleted meanwhile, or lost.
            let lost = self.disk.exists(&path)?;
            return if lost { Err(damaged("its file is missing")) } else { Ok(None) };
        };
        if Digest::of(digest.algorithm(), &bytes) != *digest {
            return Err(damaged("its file has other content"));
        }
        Ok(Some(Candidate::read(&String::from_utf8_lossy(&link), &bytes, rooted)))
    }

    /// Only those whose manifest is there: a crash may leave an entry without.
    pub(super) fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: &ReferrersPage,
    ) -> Result<Referrers, StoreError> {
        let folder = self.layout.referrers(repository, subject);
        let last =
            page.after.as_ref().map(|after| format!("{}-{}", after.algorithm(), after.hex()));
        let names = self.disk.names(&folder, &Page { last, count: Some(page.entries) })?;
        let mut found = Referrers::default();
        let mut next = None;
        for name in &names.entries {
            let Some(digest) = referrer(name) else { continue };
            let text = self.disk.read(&folder.join(name))?.unwrap_or_default();
            if let Ok(descriptor) = serde_json::from_slice::<Descriptor>(&text)
                && page.wants(&descriptor)
                && self.disk.exists(&self.layout.manifest(repository, &digest))?
                && !found.add(descriptor, page)
            {
                return Ok(found);
            }
            next = Some(digest);
        }
        found.next = next.filter(|_| names.more);
        Ok(found)
    }
}

/// The digest that an entry is named after.
fn referrer(name: &str) -> Option<Digest> {
    name.replacen('-', ":", 1).parse().ok()
}
