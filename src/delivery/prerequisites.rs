//! What an environment needs in its cluster before it can work: components of
//! others, each one file of manifests at one version, with its digest.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::tls::TlsConfig;

use crate::digest::Digest;
use crate::fs::{self, FsError};
use crate::pipeline::environment::{
    AddressProvider, Controller, Environment, ExposureKind, TlsKind,
};
use crate::pipeline::fetch::root_certificates;
use crate::pipeline::upstream::{FileError, load_toml};

/// The list, relative to the repository.
pub const PATH: &str = "vendor/prerequisites.toml";
/// No such file is larger.
const LARGEST: u64 = 16 << 20;
/// How long fetching one may take.
const LIMIT: Duration = Duration::from_mins(1);

/// The list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    component: Vec<Component>,
}

/// A component.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Which environments need it.
    #[serde(rename = "for")]
    pub purpose: Purpose,
    /// Its version.
    pub version: String,
    /// A group of kinds that it brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The namespace in which it has a Deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// An ingress class that it brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Where its manifests are.
    pub url: String,
    /// The hex digits of their SHA-256; nothing while nobody pinned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Which environments need a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Those whose certificates cert-manager makes.
    Certificates,
    /// Those whose address `MetalLB` gives out.
    Addresses,
    /// Those with an Ingress of ingress-nginx.
    IngressNginx,
    /// Those with a route of the Gateway API.
    Gateway,
}

/// Why a component can't be had.
#[derive(Debug, thiserror::Error)]
pub enum PrerequisiteError {
    /// The list is wrong.
    #[error(transparent)]
    List(#[from] FileError),
    /// A file can't be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It can't be fetched.
    #[error("{url} can't be fetched: {reason}")]
    Fetch {
        /// From where.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// What came is something else.
    #[error("{name}: expected sha256:{expected}, found {found}: this is not what was pinned")]
    Differs {
        /// The component.
        name: String,
        /// The hex digits of the list.
        expected: String,
        /// The digest of what came.
        found: Digest,
    },
}

impl Purpose {
    /// Whether this environment needs what is for this.
    #[must_use]
    pub fn is_of(self, environment: &Environment) -> bool {
        match self {
            Self::Certificates => {
                environment.tls.cert_manager && environment.tls.kind != TlsKind::ExistingSecret
            }
            Self::Addresses => environment
                .address
                .as_ref()
                .is_some_and(|address| address.provider == AddressProvider::Metallb),
            Self::IngressNginx => {
                environment.exposure.kind == ExposureKind::Ingress
                    && environment.ingress.controller == Controller::IngressNginx
            }
            Self::Gateway => environment.exposure.kind == ExposureKind::Gateway,
        }
    }
}

/// The components that an environment needs.
///
/// # Errors
/// When the list is wrong.
pub fn needed(root: &Path, environment: &Environment) -> Result<Vec<Component>, PrerequisiteError> {
    let list: List = load_toml(&root.join(PATH))?;
    let needed = list.component.into_iter().filter(|one| one.purpose.is_of(environment));
    Ok(needed.collect())
}

impl Component {
    /// Its manifests: from this folder, where they lie under the last part of
    /// the url or as `NAME.yaml`, else from the url. They are what was pinned,
    /// where something was.
    ///
    /// # Errors
    /// [`PrerequisiteError`].
    pub fn manifests(&self, folder: Option<&Path>) -> Result<Vec<u8>, PrerequisiteError> {
        let bytes = match folder {
            Some(folder) => {
                let own = folder.join(format!("{}.yaml", self.name));
                let last = self.url.rsplit('/').next().unwrap_or_default();
                fs::read(&if own.exists() { own } else { folder.join(last) })?
            }
            None => self.fetch()?,
        };
        let found = Digest::sha256(&bytes);
        match &self.sha256 {
            Some(expected) if *expected != found.hex() => Err(PrerequisiteError::Differs {
                name: self.name.clone(),
                expected: expected.clone(),
                found,
            }),
            _ => Ok(bytes),
        }
    }

    fn fetch(&self) -> Result<Vec<u8>, PrerequisiteError> {
        let failed = |reason: String| PrerequisiteError::Fetch { url: self.url.clone(), reason };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(LIMIT))
            .tls_config(TlsConfig::builder().root_certs(root_certificates()).build())
            .build()
            .new_agent();
        let mut answer = agent.get(&self.url).call().map_err(|error| failed(error.to_string()))?;
        let mut bytes = Vec::new();
        let reader = answer.body_mut().as_reader();
        reader
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(error.to_string()))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
            return Err(failed(format!("it is larger than {LARGEST} bytes")));
        }
        Ok(bytes)
    }
}

/// The list with this digest written into it; comments stay.
///
/// # Errors
/// When the list is wrong.
pub fn pinned(root: &Path, name: &str, digest: &Digest) -> Result<String, PrerequisiteError> {
    let path = root.join(PATH);
    let text = fs::read_to_string(&path)?;
    let wrong = |message: String| FileError { path: path.clone(), place: None, message };
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| wrong(error.to_string()))?;
    let list = document.get_mut("component").and_then(toml_edit::Item::as_array_of_tables_mut);
    let table = list.and_then(|list| {
        list.iter_mut().find(|one| one.get("name").and_then(|name| name.as_str()) == Some(name))
    });
    let table = table.ok_or_else(|| wrong(format!("has no component {name}")))?;
    table.insert("sha256", toml_edit::value(digest.hex()));
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_of_the_list_is_pinned() {
        let list: List = load_toml(&Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH)).unwrap();
        assert!(!list.component.is_empty());
        for component in list.component {
            let pinned = component.sha256.expect(&component.name);
            format!("sha256:{pinned}").parse::<Digest>().expect(&component.name);
            assert!(component.url.contains(&component.version), "{}", component.url);
        }
    }
}
