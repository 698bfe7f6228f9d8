//! Who may talk to the registry's pods, and how many of those may go.

use super::super::address::AddressError;
use super::super::environment::{DisruptionBudget, Egress, Environment};
use super::super::yaml::Node;
use super::fill::{put, text};

/// The `NetworkPolicy`.
pub(super) fn policy(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let policy = &environment.network_policy;
    let namespaces = policy.from_namespaces.iter().map(|name| {
        let labels = Node::mapping([("kubernetes.io/metadata.name", text(name.as_str()))]);
        Node::mapping([("namespaceSelector", Node::mapping([("matchLabels", labels)]))])
    });
    let networks = policy.from_networks.iter().map(|network| {
        Node::mapping([("ipBlock", Node::mapping([("cidr", text(network.as_str()))]))])
    });
    let from: Vec<Node> = namespaces.chain(networks).collect();
    let port = Node::mapping([("port", text("http")), ("protocol", text("TCP"))]);
    let mut rule = Vec::new();
    if !from.is_empty() {
        rule.push(("from", Node::sequence(from)));
    }
    rule.push(("ports", Node::sequence([port])));
    let key = (environment, "network_policy.from_namespaces");
    put(node, "spec.ingress", key, Node::sequence([Node::mapping(rule)]))?;
    // An empty rule lets everything out, no rule nothing.
    let rules = match policy.egress {
        Egress::None => Node::sequence([]),
        Egress::Any => Node::sequence([Node::mapping([])]),
    };
    put(node, "spec.egress", (environment, "network_policy.egress"), rules)
}

/// The `PodDisruptionBudget`.
pub(super) fn budget(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let (address, key, pods) = match environment.disruption_budget {
        Some(DisruptionBudget::MaxUnavailable(pods)) => {
            ("spec.maxUnavailable", "disruption_budget.max_unavailable", pods)
        }
        Some(DisruptionBudget::MinAvailable(pods)) => {
            ("spec.minAvailable", "disruption_budget.min_available", pods)
        }
        None => return Ok(()),
    };
    put(node, address, (environment, key), Node::integer(pods.get().into()))?;
    // A pod that isn't ready anyway holds up nobody.
    if environment.kubernetes.minor() >= 27 {
        let key = (environment, "kubernetes");
        put(node, "spec.unhealthyPodEvictionPolicy", key, text("AlwaysAllow"))?;
    }
    Ok(())
}
