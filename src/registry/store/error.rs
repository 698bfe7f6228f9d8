//! Why a store can't do what it is asked to.

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::fs::FsError;
use crate::registry::error::{ErrorCode, RegistryError};

/// Why a store can't do what it is asked to. That something isn't there is no
/// error: the methods answer `None` or `false`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another request writes to the upload.
    #[error("the upload is being written to by another request")]
    UploadBusy,
    /// The content has another digest than it should.
    #[error("the content has the digest {found}, not {expected}")]
    DigestMismatch {
        /// The digest that the client named.
        expected: Digest,
        /// The digest of what arrived.
        found: Digest,
    },
    /// The tag doesn't point to what the change expected.
    #[error("the tag was moved by another request")]
    TagMoved,
    /// The manifest that a tag shall point to isn't in the repository.
    #[error("the repository has no manifest {digest}")]
    NoManifest {
        /// The manifest's digest.
        digest: Digest,
    },
    /// A manifest needs something that its repository doesn't hold.
    #[error(
        "the manifest names the {what} {digest}, which the repository doesn't have; push it first"
    )]
    Missing {
        /// A blob or a manifest.
        what: &'static str,
        /// Its digest.
        digest: Digest,
    },
    /// A collection runs already.
    #[error("a collection is running already")]
    Collecting,
    /// Other processes use the store, and what they touch isn't known here.
    #[error("another process uses the store; collection needs it to itself")]
    Shared,
    /// The data folder holds something that this program doesn't understand.
    #[error(
        "{} has the layout `{found}`, and this version knows only `{known}`; use the version that wrote it, or another folder",
        path.display()
    )]
    Layout {
        /// The data folder.
        path: PathBuf,
        /// What its `layout` file says.
        found: String,
        /// What it should say.
        known: &'static str,
    },
    /// What is stored isn't what was acknowledged.
    #[error("{digest} is damaged in the store: {what}")]
    Damaged {
        /// The content that is damaged.
        digest: Digest,
        /// What is wrong with it.
        what: String,
    },
    /// The file system says no.
    #[error(transparent)]
    File(#[from] FsError),
    /// A task of the store was stopped, as happens when the process ends.
    #[error("a task of the store was stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

impl StoreError {
    /// Whether the disk, or the share of it that the registry may use, is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::File(error) if error.is_full())
    }
}

impl From<StoreError> for RegistryError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::UploadBusy => {
                Self::new(ErrorCode::BlobUploadInvalid, error.to_string()).with_status(409)
            }
            StoreError::DigestMismatch { expected, found } => Self::new(
                ErrorCode::DigestInvalid,
                error.to_string(),
            )
            .with_detail(
                serde_json::json!({"expected": expected.to_string(), "found": found.to_string()}),
            ),
            StoreError::TagMoved => {
                Self::new(ErrorCode::ManifestInvalid, error.to_string()).with_status(409)
            }
            StoreError::File(_) if error.is_full() => {
                Self::new(ErrorCode::Unavailable, "no space left in the registry's store")
                    .with_status(507)
                    .with_source(error)
            }
            StoreError::File(file) if file.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Self::new(ErrorCode::Unavailable, "the registry's store is read-only now")
                    .with_source(error)
            }
            StoreError::Damaged { digest, .. } => Self::new(
                ErrorCode::Unknown,
                format!("{digest} is damaged in the registry's store; push it again to heal it"),
            )
            .with_source(error),
            StoreError::NoManifest { .. } => {
                Self::new(ErrorCode::ManifestUnknown, error.to_string())
            }
            StoreError::Missing { digest, .. } => {
                Self::new(ErrorCode::ManifestBlobUnknown, error.to_string())
                    .with_detail(serde_json::json!({"digest": digest.to_string()}))
            }
            StoreError::Collecting
            | StoreError::Shared
            | StoreError::Stopped(_)
            | StoreError::File(_)
            | StoreError::Layout { .. } => Self::internal(error),
        }
    }
}
