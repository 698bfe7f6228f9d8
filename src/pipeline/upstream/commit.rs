//! Reads the pinned commit, out of a repository or as git stores it.

use std::collections::BTreeSet;

use git2::{ObjectType, Oid, Repository};

use super::signature;
use super::snapshot::{Snapshot, SnapshotError};

/// A commit and its tree.
#[derive(Debug)]
pub(super) struct Found {
    /// The commit as git stores it.
    pub object: Vec<u8>,
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
        let object = repository.odb()?.read(commit)?.data().to_vec();
        let tree = repository.find_commit(commit)?.tree_id();
        let signer = Object(&object).signer();
        let snapshot = Snapshot::of_tree(repository, tree, wanted)?;
        Ok(Self { object, tree, signer, snapshot })
    }
}

/// A commit as git stores it: header lines, an empty line, the message.
pub(super) struct Object<'a>(pub &'a [u8]);

impl Object<'_> {
    /// Its id.
    pub(super) fn id(&self) -> Result<Oid, git2::Error> {
        Oid::hash_object(ObjectType::Commit, self.0)
    }

    /// The tree that it names, in hex.
    pub(super) fn tree(&self) -> Option<String> {
        self.header("tree")
    }

    /// The key that it says it is signed with.
    pub(super) fn signer(&self) -> Option<String> {
        signature::signer(&self.header("gpgsig")?)
    }

    /// A header's value; lines that begin with a space continue the one before.
    fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(self.0);
        let (headers, _) = text.split_once("\n\n")?;
        let unfolded = headers.replace("\n ", "\u{0}");
        let line = unfolded.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(line.replace('\u{0}', "\n"))
    }
}
