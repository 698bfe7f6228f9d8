//! Selectors to the labels of what they should select.

use super::super::field::{element_addresses, find, items};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::findings::Findings;
use super::graph::{Graph, is_empty, matches};
use super::pods::{Pod, pod};
use super::ports::shown;
use super::rules;

pub(super) fn check(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    match object.kind() {
        "StatefulSet" | "Deployment" | "DaemonSet" | "ReplicaSet" => template(object, findings),
        "PodDisruptionBudget" | "PodMonitor" => pods(object, "spec.selector", graph, findings),
        "NetworkPolicy" => {
            pods(object, "spec.podSelector", graph, findings);
            policy_ports(object, graph, findings);
        }
        "ServiceMonitor" => monitor(object, graph, findings),
        _ => {}
    }
}

/// What runs pods must select those of its own template; the API server
/// refuses it otherwise.
fn template(object: &Object, findings: &mut Findings<'_>) {
    let Some(pod) = pod(object) else { return };
    let selector = find(&object.node, "spec.selector");
    let labels = pod.find("metadata.labels");
    let bare = selector.is_none_or(is_empty);
    if bare || !matches(selector, labels) {
        let message = "does not select the pods of its own template";
        let found = findings.add(rules::SELECTOR, object, "spec.selector.matchLabels", message);
        "give the template the labels of the selector".clone_into(&mut found.hint);
    }
}

fn pods(object: &Object, field: &str, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    if graph.matched(object.namespace(), find(&object.node, field)).is_empty() {
        findings.add(rules::SELECTOR, object, field, "selects no pod that is rendered");
    }
}

/// Ports that a policy names must be declared by a pod that it selects.
fn policy_ports(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    let selector = find(&object.node, "spec.podSelector");
    let selected = graph.matched(object.namespace(), selector);
    let declared: Vec<_> = selected
        .iter()
        .flat_map(Pod::containers)
        .flat_map(|(_, container)| items(container, "ports"))
        .collect();
    let rules_ = items(&object.node, "spec.ingress");
    for (at, rule) in element_addresses("spec.ingress", rules_).iter().zip(rules_) {
        let ports = items(rule, "ports");
        for (at, port) in element_addresses(&format!("{at}.ports"), ports).iter().zip(ports) {
            let Some(name) = port.get("port").and_then(Node::as_str) else { continue };
            if !declared.iter().any(|port| port.get("name").and_then(Node::as_str) == Some(name)) {
                let message = format!("lets in to the port `{name}`, which no pod declares");
                findings.add(rules::PORT_NAME, object, &format!("{at}.port"), message).hint =
                    format!("the ports that are declared: {}", shown(&declared));
            }
        }
    }
}

/// A monitor selects Services by their labels, and asks a port by its name.
fn monitor(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    let selector = find(&object.node, "spec.selector");
    let spaces: Vec<_> = items(&object.node, "spec.namespaceSelector.matchNames")
        .iter()
        .filter_map(Node::as_str)
        .collect();
    let any = find(&object.node, "spec.namespaceSelector.any").and_then(Node::as_bool);
    let within = |other: &&Object| {
        any == Some(true)
            || spaces.contains(&other.namespace())
            || (spaces.is_empty() && other.namespace() == object.namespace())
    };
    let services: Vec<_> = graph
        .of_kind("Service")
        .iter()
        .copied()
        .filter(within)
        .filter(|other| matches(selector, find(&other.node, "metadata.labels")))
        .collect();
    if services.is_empty() {
        findings.add(
            rules::SELECTOR,
            object,
            "spec.selector",
            "selects no Service that is rendered",
        );
        return;
    }
    let declared: Vec<_> =
        services.iter().flat_map(|service| items(&service.node, "spec.ports")).collect();
    let endpoints = items(&object.node, "spec.endpoints");
    for (at, endpoint) in element_addresses("spec.endpoints", endpoints).iter().zip(endpoints) {
        let Some(name) = endpoint.get("port").and_then(Node::as_str) else { continue };
        if !declared.iter().any(|port| port.get("name").and_then(Node::as_str) == Some(name)) {
            let message = format!("asks the port `{name}`, which no Service that it selects has");
            findings.add(rules::PORT_NAME, object, &format!("{at}.port"), message).hint =
                format!("the ports that are there: {}", shown(&declared));
        }
    }
}
