//! A store with very many blobs, repositories and tags, written in each
//! registry's own layout: pushing as much would take hours.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use warren::fs;

use super::Result;
use super::content;
use super::peer::{Kind, Peer};
use super::plan::Plan;

/// The repository with many tags.
pub const TAGGED: &str = "tagged/image";

/// The name of a tag.
pub fn tag(number: usize) -> String {
    format!("v{number:05}")
}

/// The name of a repository.
pub fn repository(number: usize) -> String {
    format!("team-{:03}/image-{number:05}", number % 100)
}

/// Makes it below `folder`, unless a run before did; `None` for a registry
/// whose layout isn't known here.
pub fn make(peer: &Peer, plan: &Plan, folder: &Path) -> Result<Option<PathBuf>> {
    let write = match peer.kind {
        Kind::Warren => warren,
        Kind::Distribution => distribution,
        Kind::Zot | Kind::Nginx => return Ok(None),
    };
    let name = format!("{:?}-{}-{}-{}", peer.kind, plan.repositories, plan.blobs_each, plan.tags);
    let (root, made) = (folder.join(&name), folder.join(format!("{name}.made")));
    if fs::read_if_there(&made)?.is_none() {
        fs::remove_dir_all_if_there(&root)?;
        write(plan, &root)?;
        rustix::fs::sync();
        File::create(&made)?;
    }
    Ok(Some(root))
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let create = || File::create(path);
    let mut file = match create() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            create()?
        }
        other => other?,
    };
    Ok(file.write_all(bytes)?)
}

/// The blobs of one repository: digest without its algorithm, and bytes.
fn blobs(plan: &Plan, repository: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    let first = repository * plan.blobs_each;
    (first..first + plan.blobs_each).map(|number| hashed(format!("blob {number}").into_bytes()))
}

fn hashed(bytes: Vec<u8>) -> (String, Vec<u8>) {
    let digest = content::digest(&bytes);
    (digest.trim_start_matches("sha256:").to_owned(), bytes)
}

fn the_manifest() -> (String, Vec<u8>) {
    hashed(content::manifest(b"{}", 512))
}

/// `src/registry/store/fs/layout.rs` says what is where.
fn warren(plan: &Plan, root: &Path) -> Result<()> {
    put(&root.join("layout"), b"1")?;
    let blob = |hex: &str| root.join("blobs/sha256").join(&hex[..2]).join(hex);
    for number in 0..plan.repositories {
        let held = root.join("repositories").join(repository(number)).join("_blobs/sha256");
        for (hex, bytes) in blobs(plan, number) {
            put(&blob(&hex), &bytes)?;
            put(&held.join(&hex), bytes.len().to_string().as_bytes())?;
        }
    }
    let (hex, bytes) = the_manifest();
    let tagged = root.join("repositories").join(TAGGED);
    put(&blob(&hex), &bytes)?;
    put(&tagged.join("_manifests/sha256").join(&hex), content::MANIFEST.as_bytes())?;
    let digest = format!("sha256:{hex}");
    for number in 0..plan.tags {
        put(&tagged.join("_tags").join(tag(number)), digest.as_bytes())?;
    }
    Ok(())
}

/// Links name a digest, content is in a folder of its own.
fn distribution(plan: &Plan, root: &Path) -> Result<()> {
    let root = root.join("docker/registry/v2");
    let blob = |hex: &str| root.join("blobs/sha256").join(&hex[..2]).join(hex).join("data");
    let link =
        |folder: PathBuf, hex: &str| put(&folder.join("link"), format!("sha256:{hex}").as_bytes());
    for number in 0..plan.repositories {
        let held = root.join("repositories").join(repository(number));
        for (hex, bytes) in blobs(plan, number) {
            put(&blob(&hex), &bytes)?;
            link(held.join("_layers/sha256").join(&hex), &hex)?;
        }
        // Its catalog shows only what has manifests.
        let (hex, _) = the_manifest();
        link(held.join("_manifests/revisions/sha256").join(&hex), &hex)?;
    }
    let (hex, bytes) = the_manifest();
    let tagged = root.join("repositories").join(TAGGED).join("_manifests");
    put(&blob(&hex), &bytes)?;
    link(tagged.join("revisions/sha256").join(&hex), &hex)?;
    for number in 0..plan.tags {
        link(tagged.join("tags").join(tag(number)).join("current"), &hex)?;
    }
    Ok(())
}
