//! The environments: `environments/<name>.toml`, read into typed settings.

mod address;
mod admission;
pub mod advice;
mod combination;
mod disruption;
mod exposure;
mod keys;
mod monitoring;
mod network;
mod registry;
mod scheduling;
#[cfg(warren_schema)]
pub mod schema;
mod secrets;
mod storage;
mod text;
mod tls;
mod waive;

use std::path::{Path, PathBuf};

pub use address::{Address, AddressProvider};
pub use admission::{Admission, AdmissionKind, FailurePolicy, Verdict};
pub use disruption::DisruptionBudget;
pub use exposure::{Controller, Exposure, ExposureKind, Gateway, Ingress, Service};
pub use keys::{Cluster, Environment, KubernetesVersion, PodSecurity, PodSecurityLevel};
pub use monitoring::Monitoring;
pub use network::{Egress, NetworkPolicy};
pub use registry::{Amounts, Engine, LogLevel, Registry, Resources};
pub use scheduling::{AntiAffinity, NodeRule, Scheduling, Spread, Toleration};
pub use secrets::{Secrets, SecretsProvider};
pub use storage::{AccessMode, Owner, Storage, Volume};
pub use text::{
    AbsolutePath, AnnotationValue, BodySize, ContextName, Domain, DottedName, ImagePrefix,
    ImageReference, LabelKey, LabelValue, Network, ObjectName, PageOrigin, Quantity, UserName,
};
pub use tls::{Tls, TlsKind};

pub use waive::{Reason, Waive};

use super::document::{self, DocumentError};
use super::origins::Origins;
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

/// The names of all environments of the repository at `root`, sorted.
///
/// # Errors
/// The folder cannot be listed, or holds a `.toml` file whose name is no label.
pub fn names(root: &Path) -> Result<Vec<String>, EnvironmentError> {
    fs::list(&folder(root))?
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
    let path = folder(root).join(format!("{name}.toml"));
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(unknown()),
        text => text?,
    };
    // Errors name the file as the user of the repository knows it.
    let shown = Path::new("environments").join(format!("{name}.toml"));
    parse(&shown, name, &text).map_err(|error| EnvironmentError::Document(Box::new(error)))
}

fn folder(root: &Path) -> PathBuf {
    root.join("environments")
}

/// Checks the text of an environment's file that is not written yet.
///
/// # Errors
/// It says something that it cannot.
pub fn check_text(name: &str, text: &str) -> Result<Environment, DocumentError> {
    parse(&Path::new("environments").join(format!("{name}.toml")), name, text)
}

fn parse(path: &Path, name: &str, text: &str) -> Result<Environment, DocumentError> {
    let mut environment: Environment = document::parse(path, text)?;
    name.clone_into(&mut environment.name);
    environment.origins = Origins::read(&path.to_string_lossy(), text);
    if let Err(conflict) = combination::check(&environment) {
        let span = toml::de::DeTable::parse(text)
            .ok()
            .and_then(|tables| combination::span_of(tables.get_ref(), conflict.key));
        return Err(DocumentError::new(path, text, span, &conflict.reason, Some(conflict.hint)));
    }
    Ok(environment)
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
