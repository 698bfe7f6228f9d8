//! Makes a lock from a tag of the upstream.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{Oid, Repository};

use super::commit::Found;
use super::contract::Contract;
use super::facts::Image;
use super::id::GitId;
use super::listing::Listing;
use super::lock::{Lock, LockedFile, LockedRow, Parts};
use super::lookup::lookup;
use super::mismatch::{Mismatch, in_lines};
use super::snapshot::SnapshotError;
use super::toml_file::FileError;
use crate::digest::Digest;

/// What to pin.
#[derive(Clone, Debug)]
pub struct Pinning<'a> {
    /// What we rely on.
    pub contract: &'a Contract,
    /// The tag.
    pub tag: &'a str,
    /// The commit that it leads to, which the repository holds.
    pub commit: Oid,
    /// The lock that there was.
    pub old: Option<&'a Lock>,
    /// The image's digest, if it was given.
    pub image_digest: Option<&'a Digest>,
}

/// A lock and its listing, as texts to write.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// The new lock.
    pub lock: Lock,
    /// The text of `vendor/trow.lock.toml`.
    pub lock_text: String,
    /// The text of `vendor/trow.files`.
    pub listing_text: String,
}

/// Why a tag can't be pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Its tree is of a kind that can't be pinned.
    #[error(transparent)]
    Tree(#[from] SnapshotError),
    /// It does not state what we rely on.
    #[error(
        "{tag} does not state what vendor/trow.contract.toml relies on:{}",
        in_lines(.rows)
    )]
    Contract {
        /// The tag.
        tag: String,
        /// Each row that it does not state.
        rows: Vec<Mismatch>,
    },
    /// The lock that came of it can't be read back.
    #[error(transparent)]
    Lock(#[from] FileError),
}

impl Pinning<'_> {
    /// Reads the commit from the repository and makes its lock.
    ///
    /// # Errors
    /// When the tree can't be pinned or does not state what we rely on.
    pub fn pin(&self, repository: &Repository) -> Result<Pinned, PinError> {
        let wanted: BTreeSet<_> = self.contract.rows.iter().map(|row| row.file.as_str()).collect();
        let found = Found::read(repository, self.commit, &wanted)?;
        let contract = self.look_up(&found)?;
        let listing = &found.snapshot.listing;
        let files: Vec<_> = wanted
            .iter()
            .filter_map(|path| {
                let sha256 = listing.entries.get(*path)?.sha256.clone();
                Some(LockedFile { path: (*path).to_owned(), sha256 })
            })
            .collect();
        let parts = Parts {
            url: &self.contract.url,
            mirrors: &self.contract.mirrors,
            tag: self.tag,
            commit: GitId(self.commit),
            commit_object: &found.object,
            tree: GitId(found.tree),
            export: &listing.digest(),
            signer: found.signer.as_deref(),
            image: &self.image(),
            files: &files,
            contract: &contract,
        };
        let lock_text = parts.to_toml();
        let lock = Lock::parse(Path::new(Lock::PATH), &lock_text)?;
        let listing_text = listing.to_text();
        self.consistent(&lock, listing)?;
        Ok(Pinned { lock, lock_text, listing_text })
    }

    fn look_up(&self, found: &Found) -> Result<Vec<LockedRow>, PinError> {
        let mut rows = Vec::new();
        let mut missing = Vec::new();
        for row in &self.contract.rows {
            let value = match found.snapshot.contents.get(&row.file) {
                Some(bytes) => lookup(&row.file, bytes, &row.place).map_err(|e| e.to_string()),
                None => Err("no such file".to_owned()),
            };
            match value {
                Ok(value) => rows.push(LockedRow {
                    name: row.name.clone(),
                    file: row.file.clone(),
                    place: row.place.clone(),
                    value,
                }),
                Err(found) => missing.push(Mismatch::new(
                    format!("contract {}", row.name),
                    format!("{:?} in {} ({})", row.place, row.file, row.why),
                    found,
                )),
            }
        }
        if missing.is_empty() {
            return Ok(rows);
        }
        Err(PinError::Contract { tag: self.tag.to_owned(), rows: missing })
    }

    /// The image is tagged with the version, and the version is the tag
    /// without its `v`; a digest outlives a new pin of the same image only.
    fn image(&self) -> Image {
        let image = Image {
            repository: self.contract.image.clone(),
            tag: self.tag.strip_prefix('v').unwrap_or(self.tag).to_owned(),
            digest: self.image_digest.cloned(),
        };
        let old = self.old.map(|old| &old.image);
        let same = old.filter(|old| old.repository == image.repository && old.tag == image.tag);
        match (image.digest.is_none(), same) {
            (true, Some(old)) => old.clone(),
            _ => image,
        }
    }

    fn consistent(&self, lock: &Lock, listing: &Listing) -> Result<(), PinError> {
        let mut rows = super::check::check_lock(lock, listing);
        rows.extend(super::check::check_commit(lock));
        if rows.is_empty() {
            return Ok(());
        }
        Err(PinError::Contract { tag: self.tag.to_owned(), rows })
    }
}

/// What changed in what we rely on, a line each, for people.
#[must_use]
pub fn changes(old: Option<&Lock>, new: &Lock) -> Vec<String> {
    let Some(old) = old else {
        return vec![format!("pinned {} at {}", new.tag, new.commit)];
    };
    let mut lines = Vec::new();
    let mut compare = |name: &str, old: String, new: String| {
        if old != new {
            lines.push(format!("{name}: {old} -> {new}"));
        }
    };
    let signer = |lock: &Lock| lock.signer.clone().unwrap_or_else(|| "nobody".to_owned());
    compare("url", old.url.clone(), new.url.clone());
    compare("mirrors", old.mirrors.join(" "), new.mirrors.join(" "));
    compare("tag", old.tag.clone(), new.tag.clone());
    compare("commit", old.commit.short(), new.commit.short());
    compare("signer", signer(old), signer(new));
    compare("image", old.image.to_string(), new.image.to_string());
    for row in &new.contract {
        match old.contract.iter().find(|before| before.name == row.name) {
            None => lines.push(format!("{}: new, {:?}", row.name, row.value)),
            Some(before) if before.value != row.value => {
                lines.push(format!("{}: {:?} -> {:?}", row.name, before.value, row.value));
            }
            Some(_) => {}
        }
    }
    for row in &old.contract {
        if !new.contract.iter().any(|after| after.name == row.name) {
            lines.push(format!("{}: no longer relied on", row.name));
        }
    }
    for file in &new.files {
        let before = old.files.iter().find(|before| before.path == file.path);
        if before.is_some_and(|before| before.sha256 != file.sha256) {
            lines.push(format!(
                "{}: its content changed; what we rely on is still in it",
                file.path
            ));
        }
    }
    lines
}
