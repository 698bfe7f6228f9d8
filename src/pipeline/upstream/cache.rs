//! The local repository that fetched objects are kept in.

use std::path::{Path, PathBuf};

use git2::{Oid, Repository};

use super::verify::VerifyError;
use crate::fs;
use crate::pipeline::fetch::PIN_REF;

/// A bare repository of our own, which can be thrown away at any time.
pub(super) struct Cache {
    path: PathBuf,
}

impl Cache {
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The repository, if it holds this commit as its pin.
    pub(super) fn with(&self, commit: Oid) -> Option<Repository> {
        let repository = Repository::open_bare(&self.path).ok()?;
        let pinned = repository.find_reference(PIN_REF).ok()?.peel_to_commit().ok()?.id();
        (pinned == commit).then_some(repository)
    }

    /// An empty repository in its place.
    pub(super) fn renew(&self) -> Result<Repository, VerifyError> {
        fs::remove_dir_all_if_there(&self.path)?;
        fs::create_dir_all(&self.path)?;
        // Without a template folder: what a machine's git puts into new
        // repositories (hooks, settings) has no part in this one.
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).external_template(false);
        Ok(Repository::init_opts(&self.path, &options)?)
    }
}
