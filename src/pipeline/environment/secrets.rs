//! The `[secrets]` table: where the cluster's Secrets come from.

use serde::{Deserialize, Serialize};

use super::text::{Argument, DottedName, Interval, ManifestPath, typed_as};

/// Where the Secrets `trow-pass` and `trow-cred` come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Keys")]
pub struct Secrets {
    /// Who makes them.
    pub provider: SecretsProvider,
    /// The store of the External Secrets operator.
    pub store: DottedName,
    /// Its kind.
    pub store_kind: StoreKind,
    /// The entry of the store with the password.
    pub key: Argument,
    /// The field of that entry.
    pub property: Option<Argument>,
    /// How often the store is asked.
    pub refresh: Interval,
    /// The files with the sealed or encrypted objects.
    pub files: Vec<ManifestPath>,
}

typed_as!(Secrets, Keys);

impl Default for Secrets {
    fn default() -> Self {
        Keys::default().into_secrets()
    }
}

/// Who makes the Secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SecretsProvider {
    /// People, by `warren secret`.
    #[default]
    Existing,
    /// The External Secrets operator, from a store outside.
    ExternalSecrets,
    /// The Sealed Secrets controller, from objects that only it can open.
    SealedSecrets,
    /// Flux, from Secrets that SOPS encrypted.
    Sops,
}

/// A kind of store of the External Secrets operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
pub enum StoreKind {
    /// One for all namespaces.
    #[default]
    ClusterSecretStore,
    /// One of the environment's namespace.
    SecretStore,
}

impl StoreKind {
    /// The word as an `ExternalSecret` takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterSecretStore => "ClusterSecretStore",
            Self::SecretStore => "SecretStore",
        }
    }
}

/// Where the Secrets `trow-pass` and `trow-cred` come from.
#[derive(Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct Keys {
    /// `existing`: `warren secret`, or whoever else, makes them in the cluster;
    /// `external-secrets`: the External Secrets operator, from a store;
    /// `sealed-secrets` and `sops`: the files that `files` names.
    provider: SecretsProvider,
    /// The store; `external-secrets` needs it.
    store: Option<DottedName>,
    /// The store's kind.
    store_kind: StoreKind,
    /// The entry of the store with the password.
    key: Argument,
    /// The field of that entry, where it has several.
    property: Option<Argument>,
    /// How often the store is asked.
    refresh: Interval,
    /// Files below `environments/` with `SealedSecret` objects, or with Secrets
    /// that SOPS encrypted; `sealed-secrets` and `sops` need them.
    files: Vec<ManifestPath>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            provider: SecretsProvider::default(),
            store: None,
            store_kind: StoreKind::default(),
            key: Argument::literal("trow-pass"),
            property: None,
            refresh: Interval::literal("1h"),
            files: Vec::new(),
        }
    }
}

impl Keys {
    fn into_secrets(self) -> Secrets {
        let Self { provider, store, store_kind, key, property, refresh, files } = self;
        let store = store.unwrap_or_else(|| DottedName::literal("default"));
        Secrets { provider, store, store_kind, key, property, refresh, files }
    }
}

impl TryFrom<Keys> for Secrets {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        match keys.provider {
            SecretsProvider::ExternalSecrets if keys.store.is_none() => {
                Err("which store holds the password: add `store = \"…\"`")
            }
            SecretsProvider::SealedSecrets | SecretsProvider::Sops if keys.files.is_empty() => {
                Err("which files hold the Secrets: add `files = [\"sealed/….yaml\"]`, made with \
                     `warren secret … | kubeseal` or `sops encrypt`")
            }
            _ => Ok(keys.into_secrets()),
        }
    }
}
