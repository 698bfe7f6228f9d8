//! The keys of `environments/<name>.toml`, one field each.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::origins::Origins;
use super::address::Address;
use super::admission::Admission;
use super::disruption::DisruptionBudget;
use super::exposure::{Exposure, Gateway, Ingress, Service};
use super::monitoring::Monitoring;
use super::network::NetworkPolicy;
use super::patches::{Keys, Patch};
use super::registry::Registry;
use super::scheduling::Scheduling;
use super::secrets::Secrets;
use super::sources::Sources;
use super::storage::Storage;
use super::text::{AnnotationValue, ContextName, Domain, LabelKey, LabelValue, ObjectName};
use super::tls::Tls;
use super::waive::Waive;

/// All that distinguishes one installation from another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// The name of the file without `.toml`.
    #[serde(skip)]
    pub name: String,
    /// Where each key stands.
    #[serde(skip)]
    pub origins: Origins,
    /// The files that it was read from.
    #[serde(skip)]
    pub sources: Sources,
    /// What it changes beyond its keys, those that it inherits first.
    #[serde(skip)]
    pub patches: Vec<Patch>,
    /// The environment to start from: a file of this folder, without `.toml`.
    #[serde(default)]
    pub extends: Option<ObjectName>,
    /// What changes beyond the keys.
    #[serde(default)]
    pub(super) patch: Vec<Keys>,
    /// The cluster's version, from "1.25" to "1.37", in quotes; the manifests are
    /// checked against its schemas.
    pub kubernetes: KubernetesVersion,
    /// The host name that clients type; it has at least one dot, and neither a
    /// scheme nor a port.
    pub domain: Domain,
    /// More host names that lead to the same registry.
    #[serde(default)]
    pub aliases: Vec<Domain>,
    /// Where the objects live.
    #[serde(default = "trow")]
    pub namespace: ObjectName,
    /// Labels for every object and pod, beside those that they have.
    #[serde(default)]
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Annotations for every object; one that an object has already stays.
    #[serde(default)]
    pub annotations: BTreeMap<LabelKey, AnnotationValue>,
    /// How to reach the cluster.
    pub cluster: Cluster,
    /// The program that serves.
    pub registry: Registry,
    /// Where the data lives.
    pub storage: Storage,
    /// How the certificate of the domain comes about.
    #[serde(default)]
    pub tls: Tls,
    /// How requests enter the cluster.
    #[serde(default)]
    pub exposure: Exposure,
    /// The Ingress, where `exposure.kind` is `ingress`.
    #[serde(default)]
    pub ingress: Ingress,
    /// The route of the Gateway API, where `exposure.kind` is `gateway`.
    #[serde(default)]
    pub gateway: Gateway,
    /// The Service, where `exposure.kind` is `load-balancer` or `node-port`.
    #[serde(default)]
    pub service: Service,
    /// The fixed address that the domain resolves to.
    #[serde(default)]
    pub address: Option<Address>,
    /// Which nodes the registry's pods run on.
    #[serde(default)]
    pub scheduling: Scheduling,
    /// Which images may run in the cluster.
    #[serde(default)]
    pub admission: Admission,
    /// Who may talk to the registry's pods.
    #[serde(default)]
    pub network_policy: NetworkPolicy,
    /// How many pods may go at the same time when nodes are emptied.
    #[serde(default)]
    pub disruption_budget: Option<DisruptionBudget>,
    /// Metrics for Prometheus and a dashboard for Grafana.
    #[serde(default)]
    pub monitoring: Monitoring,
    /// Where the cluster's Secrets come from.
    #[serde(default)]
    pub secrets: Secrets,
    /// What the namespace demands of its pods.
    #[serde(default)]
    pub pod_security: PodSecurity,
    /// Findings that are taken as they are, with the reasons.
    #[serde(default)]
    pub waive: Vec<Waive>,
}

impl Environment {
    /// Every host name of the registry, the domain first.
    pub fn hosts(&self) -> impl Iterator<Item = &Domain> {
        std::iter::once(&self.domain).chain(&self.aliases)
    }

    /// Whether the registry itself ends TLS: where clients reach it without
    /// anything between, and where the API server calls its webhook.
    #[must_use]
    pub fn serves_tls(&self) -> bool {
        self.exposure.kind.is_direct() || self.admission.kind == super::AdmissionKind::Webhook
    }
}

/// How to reach the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The kubeconfig context of the cluster, from `kubectl config get-contexts`.
    pub context: ContextName,
}

/// What the namespace demands of its pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PodSecurity {
    /// The level of the Pod Security Standards that the namespace enforces.
    pub enforce: PodSecurityLevel,
}

/// A level of the Pod Security Standards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PodSecurityLevel {
    /// Refuses what is known to break out of a container.
    Baseline,
    /// Refuses root and whatever a careful pod can do without.
    #[default]
    Restricted,
}

impl PodSecurityLevel {
    /// The word as the namespace's label takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// A minor version of Kubernetes, from 1.25 to 1.37.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct KubernetesVersion(u8);

impl KubernetesVersion {
    /// The number after `1.`.
    #[must_use]
    pub fn minor(self) -> u8 {
        self.0
    }
}

impl TryFrom<String> for KubernetesVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // Comparing the text back refuses `1.036` and `1.+36`.
        let minor = text.strip_prefix("1.").and_then(|minor| minor.parse().ok());
        match minor.filter(|minor| (25..=37).contains(minor)).map(Self) {
            Some(version) if version.to_string() == text => Ok(version),
            _ => Err(format!(
                "`{}` is no version of Kubernetes that is known here: write \"1.25\" to \"1.37\"",
                text.escape_debug()
            )),
        }
    }
}

#[cfg(warren_schema)]
impl schemars::JsonSchema for KubernetesVersion {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KubernetesVersion".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let known: Vec<_> = (25..=37).map(|minor| Self(minor).to_string()).collect();
        schemars::json_schema!({ "type": "string", "enum": known })
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// What stands in for an absent key.
fn trow() -> ObjectName {
    ObjectName::literal("trow")
}
