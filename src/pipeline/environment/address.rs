//! The `[address]` table: the fixed address that the domain resolves to.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::text::ObjectName;

/// The fixed address that the domain resolves to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The address, IPv4 or IPv6.
    pub ip: IpAddr,
    /// Who announces it: `metallb`; `load-balancer`, the cluster's own, which is
    /// asked for this address; `external-ips`, every node; or `none`, something
    /// outside these manifests.
    #[serde(default)]
    pub provider: AddressProvider,
    /// The name of `MetalLB`'s pool.
    #[serde(default = "pool")]
    pub pool: ObjectName,
    /// Whether pool and announcement are rendered; `false` where they are there
    /// already.
    #[serde(default = "yes")]
    pub create_pool: bool,
}

fn pool() -> ObjectName {
    ObjectName::literal("trow")
}

fn yes() -> bool {
    true
}

/// Who announces the address to the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AddressProvider {
    /// `MetalLB`, by layer 2.
    Metallb,
    /// The cluster's load balancer, which is asked for this address.
    LoadBalancer,
    /// Every node, by `externalIPs` of a Service.
    ExternalIps,
    /// Something outside these manifests, such as a cloud's load balancer.
    #[default]
    None,
}
