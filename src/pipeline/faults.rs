//! What is known to be wrong with which version of the upstream.

use std::path::Path;

use serde::Deserialize;

use super::document::{self, DocumentError};
use crate::fs::{self, FsError};

/// The file, relative to the repository.
const FILE: &str = "vendor/trow.faults.toml";

/// One known fault.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// A stable name, such as `digest-not-verified`.
    pub code: String,
    /// The versions that have it, such as `0.10.0`.
    pub versions: Vec<String>,
    /// What is wrong.
    pub what: String,
    /// What comes of it.
    pub consequence: String,
}

/// Why the faults could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FaultsError {
    /// The file can't be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The file is not what it should be.
    #[error(transparent)]
    Content(#[from] DocumentError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fault: Vec<Fault>,
}

/// Reads the faults that the repository at `root` knows of.
///
/// # Errors
/// [`FaultsError`].
pub fn read(root: &Path) -> Result<Vec<Fault>, FaultsError> {
    let file = root.join(FILE);
    let text = fs::read_to_string(&file)?;
    Ok(document::parse::<File>(&file, &text)?.fault)
}
