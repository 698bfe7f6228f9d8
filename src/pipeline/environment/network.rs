//! The `[network_policy]` table: who may talk to the registry's pods.

use serde::{Deserialize, Serialize};

use super::text::{Network, ObjectName};

/// Who may talk to the registry's pods, and whom they may talk to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NetworkPolicy {
    /// Whether a `NetworkPolicy` is rendered.
    pub enabled: bool,
    /// Namespaces whose pods may reach the registry, such as the ingress
    /// controller's; everyone may where this and `from_networks` are empty.
    pub from_namespaces: Vec<ObjectName>,
    /// Networks that may reach the registry.
    pub from_networks: Vec<Network>,
    /// What the registry may reach: `none`, which it needs nothing beyond, or
    /// `any`, for images pulled through and traces.
    pub egress: Egress,
}

/// What the registry may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Egress {
    /// Nothing.
    #[default]
    None,
    /// Everything.
    Any,
}
