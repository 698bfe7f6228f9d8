//! Reads the pinned commit out of a repository.

use std::collections::BTreeSet;

use git2::{Oid, Repository};

use super::signature;
use super::snapshot::{Snapshot, SnapshotError};

/// A commit and its tree.
#[derive(Debug)]
pub(super) struct Found {
    /// The id of its tree.
    pub tree: Oid,
    /// Which key it says it is signed with.
    pub signer: Option<String>,
    /// Its files.
    pub snapshot: Snapshot,
}

impl Found {
    pub(super) fn read(
        repository: &Repository,
        commit: Oid,
        wanted: &BTreeSet<&str>,
    ) -> Result<Self, SnapshotError> {
        let commit = repository.find_commit(commit)?;
        let signature = commit.header_field_bytes("gpgsig").ok();
        let signer = signature
            .as_ref()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .and_then(signature::signer);
        let tree = commit.tree_id();
        Ok(Self { tree, signer, snapshot: Snapshot::of_tree(repository, tree, wanted)? })
    }
}
