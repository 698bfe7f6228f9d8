//! The cluster of an environment. Nothing here ever uses the kubeconfig's
//! current context: an environment is applied to the context that it names,
//! or not at all.

mod additions;
mod api;
mod drift;
mod error;
mod health;
mod history;
mod lease;
mod manifest;
mod owner;
mod plan;
mod rollout;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use tokio::runtime::Runtime;

pub use additions::Addition;
pub use api::{Applied, Change, FIELD_MANAGER};
pub use drift::{Drift, Drifted, DriftedField};
pub use error::{ClusterError, LOG_IN, Obstacle, Refusal};
pub use health::{Health, health};
pub use history::{Record, State, now};
pub use lease::{Held, Lease};
pub use manifest::{Identity, Manifest, identity, manifests, text};
pub use owner::Owner;
pub use plan::{Asked, Kept, Plan, Planned};
pub use rollout::{Progress, Rollout, RolloutError, Unhealthy};

use super::references::SecretReference;

/// How long a connection to the API server may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the API server may be silent within one answer.
const SILENCE: Duration = Duration::from_secs(35);
/// How long the API server has to say that it is ready.
const READY: Duration = Duration::from_secs(8);

/// A cluster: a context of the kubeconfig that answers.
pub struct Cluster {
    context: String,
    runtime: Runtime,
    api: api::Api,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Connects to the cluster of this context of the kubeconfig, which is
    /// what `KUBECONFIG` names, else `~/.kube/config`, and asks whether it is
    /// ready.
    ///
    /// # Errors
    /// [`Obstacle`].
    pub fn connect(context: &str) -> Result<Self, Obstacle> {
        let no_kubeconfig = |reason: String| Obstacle::NoKubeconfig { reason };
        let kubeconfig = kubeconfig().map_err(|error| no_kubeconfig(error::chain(&error)))?;
        let known: Vec<_> = kubeconfig.contexts.iter().map(|one| one.name.clone()).collect();
        if !known.iter().any(|name| name == context) {
            return Err(Obstacle::NoContext { name: context.to_owned(), known });
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Obstacle::Unreachable { reason: error.to_string() })?;
        let options =
            KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
        let client = runtime.block_on(async {
            let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(|error| no_kubeconfig(error::chain(&error)))?;
            config.connect_timeout = Some(CONNECT);
            config.read_timeout = Some(SILENCE);
            config.write_timeout = Some(SILENCE);
            config.reset_reader_on_write = true;
            Client::try_from(config).map_err(|error| no_kubeconfig(error::chain(&error)))
        })?;
        let cluster = Self { context: context.to_owned(), runtime, api: api::Api::new(client) };
        cluster.ready()?;
        Ok(cluster)
    }

    fn ready(&self) -> Result<(), Obstacle> {
        let asked = self.wait(async { tokio::time::timeout(READY, self.api.ready()).await });
        let silent = || format!("no answer within {} s", READY.as_secs());
        let Ok(answer) = asked else { return Err(Obstacle::Unreachable { reason: silent() }) };
        match answer {
            Ok(()) => Ok(()),
            // Who may not ask for readiness may still be allowed to apply.
            Err(error) if error.refusal == Refusal::Forbidden => Ok(()),
            Err(error) if error.refusal == Refusal::NotAuthenticated => {
                Err(Obstacle::NotAuthenticated { reason: error.reason })
            }
            Err(error) => Err(Obstacle::Unreachable { reason: error.reason }),
        }
    }

    /// The context's name.
    #[must_use]
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The API server's version, such as `1.36.3`.
    ///
    /// # Errors
    /// When it does not say.
    pub fn version(&self) -> Result<String, ClusterError> {
        self.wait(self.api.version())
    }

    /// The object, as it is; `None` when it, or its kind, is not there.
    ///
    /// # Errors
    /// When the cluster does not let us look.
    pub fn get(&self, identity: &Identity) -> Result<Option<serde_json::Value>, ClusterError> {
        self.wait(self.api.get(identity))
    }

    /// The objects of this kind in a namespace, or in all for an empty one;
    /// none when the cluster does not know the kind.
    ///
    /// # Errors
    /// When the cluster does not let us look.
    pub fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
    ) -> Result<Vec<serde_json::Value>, ClusterError> {
        self.wait(self.api.list(api_version, kind, namespace, ""))
    }

    /// Whether the cluster knows this kind in this version.
    ///
    /// # Errors
    /// When it does not say.
    pub fn knows(&self, api_version: &str, kind: &str) -> Result<bool, ClusterError> {
        self.wait(async { Ok(self.api.resource(api_version, kind).await?.is_some()) })
    }

    /// Whether the cluster has any version of this group of kinds.
    ///
    /// # Errors
    /// When it does not say.
    pub fn has_group(&self, group: &str) -> Result<bool, ClusterError> {
        self.wait(self.api.has_group(group))
    }

    /// Those of these Secrets that are not there.
    ///
    /// # Errors
    /// When the cluster does not let us look.
    pub fn missing_secrets(
        &self,
        wanted: &[SecretReference],
    ) -> Result<Vec<SecretReference>, ClusterError> {
        let mut there: BTreeMap<(&str, &str), bool> = BTreeMap::new();
        let names: BTreeSet<_> =
            wanted.iter().map(|one| (one.namespace.as_str(), one.name.as_str())).collect();
        for (namespace, name) in names {
            // By name rather than as a list: that needs the right to `get` only.
            let identity = Identity::new("v1", "Secret", namespace, name);
            there.insert((namespace, name), self.get(&identity)?.is_some());
        }
        let is_missing = |one: &&SecretReference| {
            there.get(&(one.namespace.as_str(), one.name.as_str())) == Some(&false)
        };
        Ok(wanted.iter().filter(is_missing).cloned().collect())
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// What `KUBECONFIG` names, else `~/.kube/config`. Of several files those that are
/// not there are passed over, as kubectl does; the first says what the others do
/// not say otherwise.
fn kubeconfig() -> Result<Kubeconfig, KubeconfigError> {
    let Some(list) = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) else {
        return Kubeconfig::read();
    };
    let files: Vec<_> = std::env::split_paths(&list).filter(|path| path.exists()).collect();
    let Some((first, others)) = files.split_first() else { return Kubeconfig::read() };
    others.iter().try_fold(Kubeconfig::read_from(first)?, |merged, file| {
        merged.merge(Kubeconfig::read_from(file)?)
    })
}
