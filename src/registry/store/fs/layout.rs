//! Where each thing is below the data folder.
//!
//! ```text
//! layout                                      which layout this is
//! blobs/<algorithm>/<2 hex>/<hex>             content, manifests included
//! repositories/<name>/_blobs/<algorithm>/<hex>       the blob's length: the repository holds it
//! repositories/<name>/_manifests/<algorithm>/<hex>   the manifest's media type
//! repositories/<name>/_tags/<tag>                    a digest
//! repositories/<name>/_history/<tag>                 what it pointed to, a line a move
//! repositories/<name>/_referrers/<algorithm>/<hex of the subject>/<algorithm>-<hex>
//! repositories/<name>/_lock                          held while tags or manifests change
//! uploads/<id>/{state,data,hash}              an upload under way
//! tmp/<random>                                not in its place yet
//! quarantine/<algorithm>-<hex>                content that doesn't have its digest
//! processes/<random>                          locked by each process that uses the folder
//! listed                                      what folders held, for the next start
//! scrubbed                                    how far a scrub came
//! collecting                                  locked while one of them collects
//! ```
//!
//! Nothing collides: no component of a repository name starts with `_`.

use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::registry::name::RepositoryName;
use crate::registry::reference::Tag;
use crate::registry::store::UploadId;

/// The paths below one data folder.
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The data folder itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn listed(&self) -> PathBuf {
        self.root.join("listed")
    }

    pub(super) fn version(&self) -> PathBuf {
        self.root.join("layout")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(super) fn repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(super) fn processes(&self) -> PathBuf {
        self.root.join("processes")
    }

    pub(super) fn collecting(&self) -> PathBuf {
        self.root.join("collecting")
    }

    pub(super) fn scrubbed(&self) -> PathBuf {
        self.root.join("scrubbed")
    }

    pub(super) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    pub(super) fn quarantined(&self, digest: &Digest) -> PathBuf {
        self.quarantine().join(format!("{}-{}", digest.algorithm(), digest.hex()))
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let shard = hex.get(..2).unwrap_or(hex);
        self.blobs().join(digest.algorithm().name()).join(shard).join(hex)
    }

    pub(super) fn repository(&self, name: &RepositoryName) -> PathBuf {
        self.repositories().join(name.as_str())
    }

    pub(super) fn blob_links(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join("_blobs")
    }

    pub(super) fn blob_link(&self, name: &RepositoryName, digest: &Digest) -> PathBuf {
        by_digest(&self.blob_links(name), digest)
    }

    pub(super) fn manifests(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join("_manifests")
    }

    pub(super) fn manifest(&self, name: &RepositoryName, digest: &Digest) -> PathBuf {
        by_digest(&self.manifests(name), digest)
    }

    pub(super) fn tags(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join("_tags")
    }

    pub(super) fn tag(&self, name: &RepositoryName, tag: &Tag) -> PathBuf {
        self.tags(name).join(tag.as_str())
    }

    pub(super) fn history(&self, name: &RepositoryName, tag: &Tag) -> PathBuf {
        self.repository(name).join("_history").join(tag.as_str())
    }

    pub(super) fn lock(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join("_lock")
    }

    pub(super) fn referrers(&self, name: &RepositoryName, subject: &Digest) -> PathBuf {
        by_digest(&self.repository(name).join("_referrers"), subject)
    }

    pub(super) fn referrer(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        digest: &Digest,
    ) -> PathBuf {
        let file = format!("{}-{}", digest.algorithm(), digest.hex());
        self.referrers(name, subject).join(file)
    }

    pub(super) fn upload(&self, id: &UploadId) -> PathBuf {
        self.uploads().join(id.as_str())
    }
}

fn by_digest(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(digest.algorithm().name()).join(digest.hex())
}
