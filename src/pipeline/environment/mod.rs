//! The environments: `environments/<name>.toml`, read into typed settings.

mod address;
mod admission;
pub mod advice;
mod combination;
mod disruption;
mod exposure;
mod extends;
mod keys;
mod monitoring;
mod network;
mod patches;
mod registry;
mod scheduling;
#[cfg(warren_schema)]
pub mod schema;
mod secrets;
mod sources;
mod storage;
mod text;
mod tls;
mod waive;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeValue};

pub use address::{Address, AddressProvider};
pub use admission::{Admission, AdmissionKind, FailurePolicy, Verdict};
pub use disruption::DisruptionBudget;
pub use exposure::{Controller, Exposure, ExposureKind, Gateway, Ingress, NodePort, Service};
pub use keys::{Cluster, Environment, KubernetesVersion, PodSecurity, PodSecurityLevel};
pub use monitoring::Monitoring;
pub use network::{Egress, NetworkPolicy};
pub use patches::{Change, Patch};
pub use registry::{Amounts, Engine, LogLevel, Registry, Resources};
pub use scheduling::{AntiAffinity, NodeRule, Scheduling, Spread, Toleration};
pub use secrets::{Secrets, SecretsProvider};
pub use sources::{Place, Sources};
pub use storage::{AccessMode, Owner, Storage, Volume};
pub use text::{
    AbsolutePath, AnnotationValue, BodySize, ContextName, Domain, DottedName, Email, ImagePrefix,
    ImageReference, LabelKey, LabelValue, Network, ObjectName, PageOrigin, Quantity, UserName,
};
pub use tls::{Tls, TlsKind};
pub use waive::{Reason, Waive};

use super::document::{DocumentError, hint};
use crate::fs;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// No such file, or a name that no file can have.
    #[error("there is no environment `{}`; there {}", name.escape_debug(), list(known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Those there are, sorted.
        known: Vec<String>,
    },
    /// A file whose name is no label.
    #[error("{}: {reason}; rename the file", path.display())]
    FileName {
        /// The file.
        path: PathBuf,
        /// Why it cannot name an environment.
        reason: String,
    },
    /// The file or its folder cannot be read.
    #[error(transparent)]
    File(#[from] fs::FsError),
    /// The file says something that it cannot.
    #[error(transparent)]
    Document(Box<DocumentError>),
}

impl From<DocumentError> for EnvironmentError {
    fn from(error: DocumentError) -> Self {
        Self::Document(Box::new(error))
    }
}

/// The names of all environments of the repository at `root`, sorted.
///
/// # Errors
/// The folder cannot be listed, or holds a `.toml` file whose name is no label.
pub fn names(root: &Path) -> Result<Vec<String>, EnvironmentError> {
    fs::list(&root.join(FOLDER))?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match ObjectName::try_from(stem.as_str()) {
                Ok(_) => Ok(stem),
                Err(reason) => Err(EnvironmentError::FileName { path, reason }),
            }
        })
        .collect()
}

/// Reads one environment of the repository at `root`.
///
/// # Errors
/// There is none of that name, or its file cannot be read, or says something
/// that it cannot. A name that is no label counts as unknown, so that none
/// leads out of the folder.
pub fn read(root: &Path, name: &str) -> Result<Environment, EnvironmentError> {
    let unknown = || match names(root) {
        Ok(known) => EnvironmentError::Unknown { name: name.to_owned(), known },
        Err(error) => error,
    };
    if ObjectName::try_from(name).is_err() {
        return Err(unknown());
    }
    let sources = match extends::gather(root, name) {
        Err(EnvironmentError::File(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(unknown());
        }
        sources => sources?,
    };
    Ok(typed(name, sources)?)
}

/// Checks the text of an environment's file that is not written yet. What it
/// extends is not looked for.
///
/// # Errors
/// It says something that it cannot.
pub fn check_text(name: &str, text: &str) -> Result<Environment, DocumentError> {
    let mut sources = Sources::default();
    sources.add(PathBuf::from(FOLDER).join(format!("{name}.toml")), text.to_owned());
    typed(name, sources)
}

/// Where the environments are, relative to the repository.
const FOLDER: &str = "environments";

/// The merged tables of the files as typed settings.
fn typed(name: &str, sources: Sources) -> Result<Environment, DocumentError> {
    let mut tables = extends::merge(&sources)?;
    let patches = tables.get_mut().get_mut(patches::KEY).map(take_list);
    let patches = patches.map(|list| patches::read(list, &sources)).transpose()?;
    let parsed = Environment::deserialize(toml::Deserializer::from(tables));
    let mut environment = parsed
        .map_err(|error| sources.error(error.span(), error.message(), hint(error.message())))?;
    name.clone_into(&mut environment.name);
    environment.origins = sources.origins();
    if let Err(conflict) = combination::check(&environment) {
        let tables = extends::merge(&sources)?;
        let span = combination::span_of(tables.get_ref(), conflict.key);
        return Err(sources.error(span, &conflict.reason, Some(conflict.hint)));
    }
    environment.patches = patches.unwrap_or_default();
    environment.sources = sources;
    Ok(environment)
}

impl Environment {
    /// What its file and those that it extends say together; no defaults.
    ///
    /// # Errors
    /// A file is no TOML, which reading the environment has ruled out.
    pub fn document(&self) -> Result<toml::Table, DocumentError> {
        let tables = extends::merge(&self.sources)?;
        toml::Table::deserialize(toml::Deserializer::from(tables))
            .map_err(|error| self.sources.error(error.span(), error.message(), None))
    }
}

/// Takes a value out and leaves an empty list in its place, so that its key
/// stays one of those that messages name.
fn take_list<'a>(value: &mut Spanned<DeValue<'a>>) -> Spanned<DeValue<'a>> {
    let empty = Spanned::new(value.span(), DeValue::Array(DeArray::new()));
    std::mem::replace(value, empty)
}

/// The second half of "there …": "is `lapin`", "are `lapin` and `sandbox`".
fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "are none yet: add environments/<name>.toml".to_owned(),
        Some((only, [])) => format!("is {only}"),
        Some((last, others)) => format!("are {} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_to_their_grammars() {
        let tls = Tls::default();
        for name in [&tls.issuer, &tls.secret, &Ingress::default().class] {
            assert!(DottedName::try_from(name.as_str()).is_ok(), "{name}");
        }
        assert!(ObjectName::try_from(tls.ca_secret.as_str()).is_ok());
        assert_eq!(Gateway::default().name.as_str(), "trow-gateway");
        assert_eq!(Service::default().port.get(), 443);
        assert_eq!(Monitoring::default().interval.as_str(), "30s");
        assert_eq!(Secrets::default().key.as_str(), "trow-pass");
        assert_eq!(Ingress::default().read_timeout.get(), 600);
    }
}
