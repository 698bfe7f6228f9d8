//! What ends an import.

use std::path::Path;

use super::report::Place;
use crate::fs::FsError;
use crate::pipeline::compose::ComposeError;
use crate::pipeline::yaml::{Node, YamlError};

/// What ends an import. Nothing was written then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A folder without the file that says what is in it.
    #[error("{folder} has no kustomization.yaml: name the folder of an overlay")]
    NoKustomization {
        /// The folder.
        folder: String,
    },
    /// A file can't be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A file is no YAML.
    #[error(transparent)]
    Yaml(Box<YamlError>),
    /// A file says something that it cannot.
    #[error("{place}: {reason}")]
    Said {
        /// Where.
        place: Place,
        /// What is wrong, and the way out.
        reason: String,
    },
    /// Something that the environment needs is said nowhere.
    #[error("{0}")]
    Missing(String),
    /// What came out can't be composed.
    #[error("the environment that comes out can't be composed: {0}")]
    Compose(Box<ComposeError>),
}

impl From<ComposeError> for ImportError {
    fn from(error: ComposeError) -> Self {
        Self::Compose(Box::new(error))
    }
}

impl From<YamlError> for ImportError {
    fn from(error: YamlError) -> Self {
        Self::Yaml(Box::new(error))
    }
}

impl ImportError {
    /// What is wrong with a node, at its place.
    #[must_use]
    pub fn at(node: &Node, reason: impl Into<String>) -> Self {
        Self::Said { place: placed(node), reason: reason.into() }
    }

    /// Without the line that a fault of YAML shows: it may hold a password.
    #[must_use]
    pub fn without_secrets(self) -> Self {
        let Self::Yaml(error) = self else { return self };
        let place = Place { file: error.file.clone(), line: error.at.line() };
        Self::Said { place, reason: error.fault.to_string() }
    }

    /// A folder has no kustomization.
    #[must_use]
    pub fn no_kustomization(folder: &Path) -> Self {
        Self::NoKustomization { folder: folder.display().to_string() }
    }
}

/// The place of a node that surely has one, for messages.
fn placed(node: &Node) -> Place {
    let file = node.origin.as_deref().and_then(|origin| origin.file()).unwrap_or_default();
    Place { file: file.to_owned(), line: node.at.line() }
}
