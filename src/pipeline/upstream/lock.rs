//! The pin, written by `warren upstream pin`: `vendor/trow.lock.toml`.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use toml::Spanned;

use super::super::origins::Origins;
use super::contract::{Place, place};
use super::facts::{Image, Upstream};
use super::id::{self, GitId};
use super::toml_file::{self, FileError, quoted};
use crate::digest::Digest;

/// The form of the lock that this code reads and writes.
const FORMAT: u32 = 1;

/// What the upstream is, how to check it, and which facts of it we rely on.
#[derive(Clone, Debug)]
pub struct Lock {
    /// Where the upstream is.
    pub url: String,
    /// Where else it can be had.
    pub mirrors: Vec<String>,
    /// The tag, such as `v0.10.0`.
    pub tag: String,
    /// The commit that the tag led to.
    pub commit: GitId,
    /// The commit itself, as git stores it: its hash is [`Lock::commit`], and it
    /// names tree and signature, so that none of the three can be exchanged.
    pub commit_object: Vec<u8>,
    /// The commit's tree.
    pub tree: GitId,
    /// SHA-256 of the tree's canonical export.
    pub export: Digest,
    /// The key that the commit says it is signed with, where it is.
    pub signer: Option<String>,
    /// The image of this version.
    pub image: Image,
    /// The files that the contract's rows name.
    pub files: Vec<LockedFile>,
    /// The facts that we rely on, with the values found.
    pub contract: Vec<LockedRow>,
    /// What composition needs of the above.
    facts: Upstream,
}

/// A file that we rely on.
#[derive(Clone, Debug)]
pub struct LockedFile {
    /// Its path in the upstream.
    pub path: String,
    /// SHA-256 of its content.
    pub sha256: Digest,
}

/// A fact that we rely on.
#[derive(Clone, Debug)]
pub struct LockedRow {
    /// The row's name in the contract.
    pub name: String,
    /// The file that states it.
    pub file: String,
    /// Where in the file.
    pub place: Place,
    /// What it states.
    pub value: String,
}

impl Lock {
    /// Where the lock is, from the repository's root.
    pub const PATH: &'static str = "vendor/trow.lock.toml";

    /// Reads the lock.
    ///
    /// # Errors
    /// When the file can't be read, or as [`Lock::parse`].
    pub fn read(path: &Path) -> Result<Self, FileError> {
        Self::parse(path, &toml_file::read(path)?)
    }

    /// Reads the lock from its text; `path` is for messages.
    ///
    /// # Errors
    /// A syntax error, an unknown key, an id or a digest of another form, or a
    /// fact that is missing: with line and column where it has a place.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        let raw: RawLock = toml_file::parse(path, text)?;
        if *raw.format.get_ref() != FORMAT {
            let message = format!(
                "this lock has format {}, and this code knows format {FORMAT}: run `warren \
                 upstream pin` of the same version",
                raw.format.get_ref()
            );
            return Err(FileError::at(path, text, raw.format.span().start, message));
        }
        let encoded = raw.commit_object.get_ref();
        let commit_object = BASE64.decode(encoded).map_err(|error| {
            let message = format!("`commit_object` is not base64: {error}");
            FileError::at(path, text, raw.commit_object.span().start, message)
        })?;
        let mut contract = Vec::new();
        for spanned in raw.contract {
            let offset = spanned.span().start;
            let row = spanned.into_inner();
            let place = place(row.pointer, row.contains, row.states).map_err(|what| {
                FileError::at(path, text, offset, format!("row `{}` {what}", row.name))
            })?;
            contract.push(LockedRow { name: row.name, file: row.file, place, value: row.value });
        }
        let mut facts = Upstream::from_rows(&raw.tag, raw.commit, &raw.image, &contract)
            .map_err(|message| FileError::whole(path, message))?;
        facts.origins = Origins::read(Self::PATH, text);
        Ok(Self {
            url: raw.url,
            mirrors: raw.mirrors,
            tag: raw.tag,
            commit: raw.commit,
            commit_object,
            tree: raw.tree,
            export: raw.export,
            signer: raw.signer,
            image: raw.image,
            files: raw
                .file
                .into_iter()
                .map(|RawFile { path, sha256 }| LockedFile { path, sha256 })
                .collect(),
            contract,
            facts,
        })
    }

    /// The facts that composition needs. They come from the lock alone, so the
    /// same commit of ours composes the same manifests everywhere.
    #[must_use]
    pub fn upstream(&self) -> &Upstream {
        &self.facts
    }

    /// The paths of the files that a check looks into.
    pub(super) fn wanted(&self) -> std::collections::BTreeSet<&str> {
        let rows = self.contract.iter().map(|row| row.file.as_str());
        rows.chain(self.files.iter().map(|file| file.path.as_str())).collect()
    }
}

/// The parts of a lock before their facts are known: what a pin puts together.
pub(super) struct Parts<'a> {
    pub url: &'a str,
    pub mirrors: &'a [String],
    pub tag: &'a str,
    pub commit: GitId,
    pub commit_object: &'a [u8],
    pub tree: GitId,
    pub export: &'a Digest,
    pub signer: Option<&'a str>,
    pub image: &'a Image,
    pub files: &'a [LockedFile],
    pub contract: &'a [LockedRow],
}

impl Parts<'_> {
    /// The lock's text.
    pub(super) fn to_toml(&self) -> String {
        let mut text = format!(
            "# Written by `warren upstream pin {tag}`: do not edit. What it relies on and why is\n\
             # in trow.contract.toml, the pinned tree file by file in trow.files.\n\
             format = {FORMAT}\n",
            tag = self.tag
        );
        let mirrors: Vec<_> = self.mirrors.iter().map(|mirror| quoted(mirror)).collect();
        line(&mut text, "url", self.url);
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "mirrors = [{}]", mirrors.join(", "));
        line(&mut text, "tag", self.tag);
        line(&mut text, "commit", &self.commit.to_string());
        line(&mut text, "commit_object", &BASE64.encode(self.commit_object));
        line(&mut text, "tree", &self.tree.to_string());
        line(&mut text, "export", &self.export.to_string());
        if let Some(signer) = self.signer {
            line(&mut text, "signer", signer);
        }
        text.push_str("\n[image]\n");
        line(&mut text, "repository", &self.image.repository);
        line(&mut text, "tag", &self.image.tag);
        if let Some(digest) = &self.image.digest {
            line(&mut text, "digest", &digest.to_string());
        }
        for file in self.files {
            text.push_str("\n[[file]]\n");
            line(&mut text, "path", &file.path);
            line(&mut text, "sha256", &file.sha256.to_string());
        }
        for row in self.contract {
            text.push_str("\n[[contract]]\n");
            line(&mut text, "name", &row.name);
            line(&mut text, "file", &row.file);
            match &row.place {
                Place::Pointer(pointer) => line(&mut text, "pointer", pointer),
                Place::Text { contains, states } => {
                    line(&mut text, "contains", contains);
                    if let Some(states) = states {
                        line(&mut text, "states", states);
                    }
                }
            }
            line(&mut text, "value", &row.value);
        }
        text
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "{key} = {}", quoted(value));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLock {
    format: Spanned<u32>,
    url: String,
    mirrors: Vec<String>,
    tag: String,
    commit: GitId,
    commit_object: Spanned<String>,
    tree: GitId,
    #[serde(deserialize_with = "id::digest")]
    export: Digest,
    signer: Option<String>,
    image: Image,
    #[serde(default)]
    file: Vec<RawFile>,
    #[serde(default)]
    contract: Vec<Spanned<RawRow>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    path: String,
    #[serde(deserialize_with = "id::digest")]
    sha256: Digest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    name: String,
    file: String,
    pointer: Option<String>,
    contains: Option<String>,
    states: Option<String>,
    value: String,
}
