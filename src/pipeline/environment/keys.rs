//! The keys of `environments/<name>.toml`, one field each.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;

use serde::Deserialize;

use super::super::origins::Origins;
use super::storage::Storage;
use super::text::{BodySize, ContextName, Domain, ImageReference, ObjectName, Quantity, UserName};
use super::waive::Waive;

/// All that distinguishes one installation from another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// The name of the file without `.toml`.
    #[serde(skip)]
    pub name: String,
    /// Where each key stands.
    #[serde(skip)]
    pub origins: Origins,
    /// The Kubernetes version against whose schemas the manifests are checked.
    pub kubernetes: KubernetesVersion,
    /// The host name under which clients reach the registry.
    pub domain: Domain,
    /// Where the objects live; `trow` unless given.
    #[serde(default = "defaults::namespace")]
    pub namespace: ObjectName,
    /// How to reach the cluster.
    pub cluster: Cluster,
    /// The program that serves.
    pub registry: Registry,
    /// Where the data lives.
    pub storage: Storage,
    /// Who signs the certificate.
    #[serde(default)]
    pub tls: Tls,
    /// How requests enter the cluster.
    #[serde(default)]
    pub ingress: Ingress,
    /// The fixed address in front of the ingress controller.
    #[serde(default)]
    pub address: Option<Address>,
    /// What the namespace demands of its pods.
    #[serde(default)]
    pub pod_security: PodSecurity,
    /// Findings that are taken as they are, with the reasons.
    #[serde(default)]
    pub waive: Vec<Waive>,
}

/// How to reach the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// A context of the kubeconfig file.
    pub context: ContextName,
}

/// The program that serves, and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Which program; `trow` unless given.
    #[serde(default)]
    pub engine: Engine,
    /// Takes the place of the image that the engine brings.
    #[serde(default)]
    pub image: Option<ImageReference>,
    /// The user who may log in; the password is in the Secret `trow-pass`.
    pub user: UserName,
    /// How much it logs; `info` unless given.
    #[serde(default)]
    pub log_level: LogLevel,
    /// Takes the place of the base's requests and limits, one by one.
    #[serde(default)]
    pub resources: Resources,
}

/// The program that answers the clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The pinned upstream.
    #[default]
    Trow,
    /// Our own registry, with the same arguments and endpoints.
    Warren,
}

/// How much the registry logs, the value of `RUST_LOG`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// What may become a failure.
    Warn,
    /// One line for what happens.
    #[default]
    Info,
    /// What a developer wants to see.
    Debug,
    /// All.
    Trace,
}

impl LogLevel {
    /// The word as `RUST_LOG` takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Requests and limits of the registry's container; what is absent is the base's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// What the scheduler sets aside.
    #[serde(default)]
    pub requests: Amounts,
    /// What the kernel enforces.
    #[serde(default)]
    pub limits: Amounts,
}

/// Processor and memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// In cores.
    #[serde(default)]
    pub cpu: Option<Quantity>,
    /// In bytes.
    #[serde(default)]
    pub memory: Option<Quantity>,
}

/// Who signs the certificate of the domain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// How; `private-ca` unless given.
    pub kind: TlsKind,
    /// The name of cert-manager's `ClusterIssuer`; `ca-issuer` unless given.
    pub issuer: ObjectName,
    /// The Secret with the authority's key, in cert-manager's namespace;
    /// `ca-priv` unless given.
    pub ca_secret: ObjectName,
}

impl Default for Tls {
    fn default() -> Self {
        Self { kind: TlsKind::PrivateCa, issuer: defaults::issuer(), ca_secret: defaults::secret() }
    }
}

/// How the certificate comes about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsKind {
    /// cert-manager signs with the key of an authority of one's own.
    #[default]
    PrivateCa,
}

/// How requests enter the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingress {
    /// The name of the `IngressClass`; `nginx` unless given.
    pub class: ObjectName,
    /// The largest request body; `0`, no limit, unless given: layers are large.
    pub body_size: BodySize,
    /// How long the controller waits for the registry to answer, in seconds;
    /// 600 unless given.
    pub read_timeout: NonZeroU32,
    /// How long the controller waits to pass bytes on, in seconds; 600 unless given.
    pub send_timeout: NonZeroU32,
}

impl Default for Ingress {
    fn default() -> Self {
        let timeout = NonZeroU32::MIN.saturating_add(599);
        Self {
            class: defaults::class(),
            body_size: defaults::body_size(),
            read_timeout: timeout,
            send_timeout: timeout,
        }
    }
}

/// The fixed address in front of the ingress controller.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The address that the domain resolves to.
    pub ip: IpAddr,
    /// Who announces it; `none` unless given.
    #[serde(default)]
    pub provider: AddressProvider,
}

/// Who announces the address to the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressProvider {
    /// `MetalLB`, by layer 2.
    Metallb,
    /// Something outside these manifests, such as a cloud's load balancer.
    #[default]
    None,
}

/// What the namespace demands of its pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PodSecurity {
    /// The enforced level; `restricted` unless given.
    pub enforce: PodSecurityLevel,
}

/// A level of the Pod Security Standards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

/// What stands in for absent keys.
mod defaults {
    use super::{BodySize, ObjectName};

    pub fn namespace() -> ObjectName {
        ObjectName::literal("trow")
    }

    pub fn issuer() -> ObjectName {
        ObjectName::literal("ca-issuer")
    }

    pub fn secret() -> ObjectName {
        ObjectName::literal("ca-priv")
    }

    pub fn class() -> ObjectName {
        ObjectName::literal("nginx")
    }

    pub fn body_size() -> BodySize {
        BodySize::literal("0")
    }
}
