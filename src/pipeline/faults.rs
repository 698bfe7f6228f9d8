//! What is known to be wrong with the pinned upstream: `vendor/trow.faults.toml`.

use std::path::Path;

use serde::Deserialize;

use super::document::{self, DocumentError};
use crate::fs;

/// One fault of the upstream, seen by running it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// A short name in kebab case, by which reports refer to it.
    pub code: String,
    /// The releases that have it, without the `v`.
    pub versions: Vec<String>,
    /// What it does wrong.
    pub what: String,
    /// What comes of it for the one who runs it.
    pub consequence: String,
}

/// Why the list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FaultsError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] fs::FsError),
    /// The file says something that it cannot.
    #[error(transparent)]
    Document(Box<DocumentError>),
}

/// The faults of one release, in the order of the file. `version` may begin
/// with `v`, as tags do.
///
/// # Errors
/// The list is absent or malformed.
pub fn known(root: &Path, version: &str) -> Result<Vec<Fault>, FaultsError> {
    let shown = Path::new("vendor").join("trow.faults.toml");
    let text = fs::read_to_string(&root.join(&shown))?;
    let list: List =
        document::parse(&shown, &text).map_err(|error| FaultsError::Document(Box::new(error)))?;
    let version = version.strip_prefix('v').unwrap_or(version);
    let has = |fault: &Fault| fault.versions.iter().any(|affected| affected == version);
    Ok(list.fault.into_iter().filter(has).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    fault: Vec<Fault>,
}
