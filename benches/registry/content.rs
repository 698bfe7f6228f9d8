//! What is pushed and pulled: bytes that no disk or protocol can make less of.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use rustix::fs::Advice;
use sha2::{Digest as _, Sha256};
use warren::fs;

use super::Result;

/// The large blob is this block again and again, so that a client holds little.
pub const BLOCK: usize = 1 << 20;

/// Bytes that look random and are the same for the same seed.
pub fn random(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// A digest as registries write it.
pub fn digest(bytes: &[u8]) -> String {
    named(&Sha256::digest(bytes))
}

fn named(hash: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in hash {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A blob of many blocks, of which only one is held.
pub struct Large {
    /// What it consists of.
    pub block: Vec<u8>,
    /// How many of it.
    pub blocks: usize,
    /// The digest of the whole.
    pub digest: String,
}

impl Large {
    /// Makes it and computes its digest.
    pub fn new(seed: u64, blocks: usize) -> Self {
        let block = random(seed, BLOCK);
        let mut hasher = Sha256::new();
        for _ in 0..blocks {
            hasher.update(&block);
        }
        Self { block, blocks, digest: named(&hasher.finalize()) }
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        (self.block.len() * self.blocks) as u64
    }
}

/// An image manifest of exactly this size, its config in the repository.
pub fn manifest(config: &[u8], size: usize) -> Vec<u8> {
    let text = |padding: usize| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[],"annotations":{{"padding":"{}"}}}}"#,
            digest(config),
            config.len(),
            "x".repeat(padding)
        )
    };
    text(size.saturating_sub(text(0).len())).into_bytes()
}

/// The media type of [`manifest`].
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Has the system drop what it keeps in memory of the files below a folder: the next
/// reader has it read them from the disk, whoever wrote them.
pub fn forget(folder: &Path) -> Result<()> {
    for path in fs::list(folder)? {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            forget(&path)?;
        } else if path.is_file() {
            rustix::fs::fadvise(File::open(&path)?, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
