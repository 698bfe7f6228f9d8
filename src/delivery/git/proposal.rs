//! A proposal: one commit on a branch of its own, on top of the base, which
//! changes the files of one environment and no other. It is made in the object
//! store alone.

use std::collections::BTreeMap;
use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, Oid, Repository, Signature, Tree};

use super::error::GitError;
use super::remote::Remote;
use crate::digest::Digest;

/// What names the tree that we made, in the commit's message: a commit that
/// was amended holds another tree.
const TREE: &str = "Warren-Tree: ";

/// How many commits are looked through for an earlier state of a file.
const LOOKED: usize = 5000;

/// The commit that a proposal stands on.
#[derive(Debug)]
pub struct Base {
    /// Its branch.
    pub branch: String,
    /// The commit; `None` where the branch is not there yet.
    pub commit: Option<Oid>,
}

/// Which branches a proposal stands on.
#[derive(Clone, Debug, Default)]
pub struct Bases {
    /// Where the sources are; the remote's default branch where not named.
    pub source: Option<String>,
    /// A branch of the rendering's own; the source where not named. It need
    /// not be there yet.
    pub own: Option<String>,
}

/// The files that a proposal puts in place.
#[derive(Debug, Default)]
pub struct Content {
    /// Folders that hold nothing else afterwards.
    pub folders: Vec<String>,
    /// Files by their path in the repository.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A proposal in the making.
pub struct Proposal<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Where it goes.
    pub remote: &'a Remote,
    /// What it stands on.
    pub base: Base,
    /// Where the files are that the rendering read: the base, unless the
    /// rendering has a branch of its own.
    pub source: Base,
    /// Its branch.
    pub branch: String,
    /// Where the branch is at the remote now.
    pub there: Option<Oid>,
    /// The project's folder in the repository, with a `/` behind it; empty
    /// where it is the whole.
    pub prefix: String,
}

/// A commit that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// The base has it all: there is nothing to propose.
    Nothing,
    /// The branch at the remote is this proposal already.
    There(Oid),
    /// A new commit.
    Commit(Oid),
}

/// Whether something was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Publication {
    /// The branch was not there.
    Created,
    /// The branch was there with another proposal.
    Updated,
    /// The branch was there with the same.
    Unchanged,
}

impl<'a> Proposal<'a> {
    /// Looks at the remote: fetches the base and our branch, and makes sure
    /// that the branch holds nothing but our own commits.
    ///
    /// # Errors
    /// [`GitError::Edited`], [`GitError::OntoBase`], [`GitError::NoBranch`], and when the remote can't
    /// be reached.
    pub fn open(
        repository: &'a Repository,
        remote: &'a Remote,
        root: &Path,
        branch: &str,
        bases: &Bases,
    ) -> Result<Self, GitError> {
        let (branches, default) = remote.branches(repository)?;
        let source = bases.source.clone().or(default).unwrap_or_else(|| "main".to_owned());
        let at = |branch: String| Base { commit: branches.get(&branch).copied(), branch };
        let base = at(bases.own.clone().unwrap_or_else(|| source.clone()));
        let source = at(source);
        let must_be = if bases.own.is_some() { &source } else { &base };
        if must_be.commit.is_none() {
            return Err(GitError::NoBranch { url: remote.shown(), branch: must_be.branch.clone() });
        }
        let there = branches.get(branch).copied();
        // What is here already needs no second transfer.
        let wanted: Vec<_> = [
            (source.branch.as_str(), source.commit),
            (base.branch.as_str(), base.commit),
            (branch, there),
        ]
        .into_iter()
        .filter(|(_, commit)| commit.is_some_and(|id| repository.find_commit(id).is_err()))
        .map(|(branch, _)| branch)
        .collect();
        if !wanted.is_empty() {
            remote.fetch(repository, &wanted)?;
        }
        let prefix = prefix(repository, root)?;
        let proposal =
            Self { repository, remote, base, source, branch: branch.to_owned(), there, prefix };
        proposal.ours()?;
        Ok(proposal)
    }

    /// The base's files below a folder of the project.
    ///
    /// # Errors
    /// What libgit2 says.
    pub fn base_files(&self, folder: &str) -> Result<BTreeMap<String, String>, GitError> {
        let mut files = BTreeMap::new();
        let Some(tree) = self.tree_of(&self.base)? else { return Ok(files) };
        let path = format!("{}{folder}", self.prefix);
        let Ok(entry) = tree.get_path(Path::new(&path)) else { return Ok(files) };
        let Ok(folder) = entry.to_object(self.repository)?.peel_to_tree() else { return Ok(files) };
        for entry in &folder {
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            if let Ok(blob) = entry.to_object(self.repository)?.into_blob() {
                files.insert(name, String::from_utf8_lossy(blob.content()).into_owned());
            }
        }
        Ok(files)
    }

    /// One of the base's files.
    ///
    /// # Errors
    /// What libgit2 says.
    pub fn base_file(&self, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        self.file(&self.base, path)
    }

    /// The newest state of one of the source's files that is accepted, now or in its
    /// history as far as this clone has it and at most [`LOOKED`] commits back.
    ///
    /// # Errors
    /// What libgit2 says.
    pub fn earlier_file(
        &self,
        path: &str,
        accept: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, GitError> {
        let Some(commit) = self.source.commit else { return Ok(None) };
        let mut walk = self.repository.revwalk()?;
        walk.simplify_first_parent()?;
        walk.push(commit)?;
        let path = format!("{}{path}", self.prefix);
        let mut seen = None;
        for id in walk.take(LOOKED) {
            // A shallow clone ends somewhere.
            let Ok(commit) = id.and_then(|id| self.repository.find_commit(id)) else { break };
            let Ok(entry) = commit.tree()?.get_path(Path::new(&path)) else { continue };
            if seen.replace(entry.id()) == Some(entry.id()) {
                continue;
            }
            let blob = entry.to_object(self.repository)?.into_blob().ok();
            if let Some(blob) = blob.filter(|blob| accept(blob.content())) {
                return Ok(Some(blob.content().to_vec()));
            }
        }
        Ok(None)
    }

    fn file(&self, base: &Base, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let Some(tree) = self.tree_of(base)? else { return Ok(None) };
        let Ok(entry) = tree.get_path(Path::new(&format!("{}{path}", self.prefix))) else {
            return Ok(None);
        };
        let blob = entry.to_object(self.repository)?.into_blob().ok();
        Ok(blob.map(|blob| blob.content().to_vec()))
    }

    /// Makes sure that a file which the proposal brings from this clone is not
    /// one that somebody changed at the source since: what the source has is what
    /// it has at our own `HEAD`, or what we bring.
    ///
    /// # Errors
    /// [`GitError::Behind`].
    pub fn not_behind(&self, path: &str, content: &Content) -> Result<(), GitError> {
        let there = self.file(&self.source, path)?;
        if content.files.get(path) == there.as_ref() {
            return Ok(());
        }
        let head = self.repository.head().ok().and_then(|head| head.peel_to_commit().ok());
        let Some(head) = head else { return Ok(()) };
        let here = Base { branch: String::new(), commit: Some(head.id()) };
        if self.file(&here, path)? == there {
            return Ok(());
        }
        Err(GitError::Behind { file: path.to_owned(), base: self.source.branch.clone() })
    }

    /// Makes sure that what a rendering read, but for what the proposal
    /// brings itself, is what the source has. Inputs are named with the hex
    /// digits of their SHA-256.
    ///
    /// # Errors
    /// [`GitError::OtherInput`].
    pub fn same_inputs<'i>(
        &self,
        inputs: impl IntoIterator<Item = (&'i str, &'i str)>,
        content: &Content,
    ) -> Result<(), GitError> {
        for (file, sha256) in inputs {
            if content.files.contains_key(file) {
                continue;
            }
            let there = self.file(&self.source, file)?;
            if there.is_none_or(|bytes| Digest::sha256(&bytes).hex() != sha256) {
                let base = self.source.branch.clone();
                return Err(GitError::OtherInput { file: file.to_owned(), base });
            }
        }
        Ok(())
    }

    /// Makes the commit.
    ///
    /// # Errors
    /// What libgit2 says.
    pub fn commit(&self, content: &Content, message: &str) -> Result<Made, GitError> {
        let base = self.tree_of(&self.base)?;
        let tree = self.tree(base.as_ref(), content)?;
        if base.is_some_and(|base| base.id() == tree) {
            return Ok(Made::Nothing);
        }
        let message = format!("{}\n\n{TREE}{tree}\n", message.trim_end());
        if let Some(there) = self.there {
            let commit = self.repository.find_commit(there)?;
            let parents: Vec<_> = commit.parent_ids().collect();
            let same = commit.tree_id() == tree && commit.message_bytes() == message.as_bytes();
            if same && parents == self.base.commit.into_iter().collect::<Vec<_>>() {
                return Ok(Made::There(there));
            }
        }
        let parent = self.base.commit.map(|oid| self.repository.find_commit(oid)).transpose()?;
        let parents: Vec<&Commit<'_>> = parent.iter().collect();
        let signature = self
            .repository
            .signature()
            .or_else(|_| Signature::now("warren", "warren@localhost"))?;
        let tree = self.repository.find_tree(tree)?;
        let commit =
            self.repository.commit(None, &signature, &signature, &message, &tree, &parents)?;
        Ok(Made::Commit(commit))
    }

    /// Makes the base's branch at the remote, with this one file in it, where
    /// it is not there yet: a pull request needs something to be for.
    ///
    /// # Errors
    /// As [`Remote::push`].
    pub fn begin(&mut self, file: &str, text: &str, message: &str) -> Result<bool, GitError> {
        if self.base.commit.is_some() {
            return Ok(false);
        }
        let files = BTreeMap::from([(file.to_owned(), text.as_bytes().to_vec())]);
        let content = Content { folders: Vec::new(), files };
        let Made::Commit(commit) = self.commit(&content, message)? else { return Ok(false) };
        self.remote.push(self.repository, commit, &self.base.branch, None)?;
        self.base.commit = Some(commit);
        Ok(true)
    }

    /// Pushes what was made.
    ///
    /// # Errors
    /// As [`Remote::push`].
    pub fn publish(&self, made: Made) -> Result<Publication, GitError> {
        let Made::Commit(commit) = made else { return Ok(Publication::Unchanged) };
        self.remote.push(self.repository, commit, &self.branch, self.there)?;
        Ok(if self.there.is_some() { Publication::Updated } else { Publication::Created })
    }

    /// Takes the branch away at the remote, where it is there.
    ///
    /// # Errors
    /// As [`Remote::push`].
    pub fn withdraw(&self) -> Result<bool, GitError> {
        let Some(there) = self.there else { return Ok(false) };
        self.remote.delete(self.repository, &self.branch, there)?;
        Ok(true)
    }

    fn tree_of(&self, base: &Base) -> Result<Option<Tree<'a>>, GitError> {
        let Some(commit) = base.commit else { return Ok(None) };
        Ok(Some(self.repository.find_commit(commit)?.tree()?))
    }

    fn tree(&self, base: Option<&Tree<'_>>, content: &Content) -> Result<Oid, GitError> {
        let empty;
        let base = if let Some(base) = base {
            base
        } else {
            empty = self.repository.find_tree(self.repository.treebuilder(None)?.write()?)?;
            &empty
        };
        let mut update = TreeUpdateBuilder::new();
        for folder in &content.folders {
            for file in self.base_files(folder)?.into_keys() {
                let path = format!("{folder}/{file}");
                if !content.files.contains_key(&path) {
                    update.remove(format!("{}{path}", self.prefix));
                }
            }
        }
        for (path, bytes) in &content.files {
            let blob = self.repository.blob(bytes)?;
            update.upsert(format!("{}{path}", self.prefix), blob, FileMode::Blob);
        }
        Ok(update.create_updated(self.repository, base)?)
    }

    /// The branch is one that we made, and so is every commit of it that the base
    /// has not.
    fn ours(&self) -> Result<(), GitError> {
        if [&self.base, &self.source].iter().any(|base| base.branch == self.branch) {
            return Err(GitError::OntoBase { branch: self.branch.clone() });
        }
        let Some(there) = self.there else { return Ok(()) };
        // What the base has is not ours by that: somebody may have begun a branch
        // there, or keeps one.
        self.is_ours(there)?;
        let mut walk = self.repository.revwalk()?;
        walk.push(there)?;
        if let Some(base) = self.base.commit {
            walk.hide(base)?;
        }
        for id in walk {
            self.is_ours(id?)?;
        }
        Ok(())
    }

    /// Refuses a commit that is not as we made it.
    fn is_ours(&self, id: Oid) -> Result<(), GitError> {
        let commit = self.repository.find_commit(id)?;
        if is_ours(&commit) {
            return Ok(());
        }
        Err(GitError::Edited {
            branch: self.branch.clone(),
            commit: short(id),
            author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
        })
    }
}

/// Whether the commit is as we made it: its message names the tree it has.
fn is_ours(commit: &Commit<'_>) -> bool {
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let tree = message.lines().rev().find_map(|line| line.strip_prefix(TREE));
    tree.is_some_and(|tree| tree.trim() == commit.tree_id().to_string())
}

/// An id as people write it.
fn short(id: Oid) -> String {
    id.to_string().chars().take(10).collect()
}

/// The project's folder in its repository, with a `/` behind it; empty where it
/// is the whole.
///
/// # Errors
/// [`GitError::NoRepository`].
pub fn prefix(repository: &Repository, root: &Path) -> Result<String, GitError> {
    let no_repository = || GitError::NoRepository { folder: root.to_owned() };
    let top = repository.workdir().ok_or_else(no_repository)?;
    let real = |path: &Path| path.canonicalize().map_err(|_| no_repository());
    let (root, top) = (real(root)?, real(top)?);
    let below = root.strip_prefix(&top).map_err(|_| no_repository())?;
    let below = below.to_string_lossy();
    Ok(if below.is_empty() { String::new() } else { format!("{below}/") })
}
