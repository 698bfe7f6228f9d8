//! From the door to the Service behind it.

use super::super::field::{element_addresses, find, items, text};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::findings::Findings;
use super::graph::Graph;
use super::rules;

pub(super) fn check(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    match object.kind() {
        "Ingress" => ingress(object, graph, findings),
        "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute" => route(object, graph, findings),
        _ => {}
    }
}

fn ingress(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    let rules = items(&object.node, "spec.rules");
    for (at, rule) in element_addresses("spec.rules", rules).iter().zip(rules) {
        let paths = items(rule, "http.paths");
        for (at, path) in element_addresses(&format!("{at}.http.paths"), paths).iter().zip(paths) {
            backend(object, &format!("{at}.backend"), path.get("backend"), graph, findings);
        }
    }
    let default = find(&object.node, "spec.defaultBackend");
    if default.is_some() {
        backend(object, "spec.defaultBackend", default, graph, findings);
    }
}

fn backend(
    object: &Object,
    at: &str,
    backend: Option<&Node>,
    graph: &Graph<'_>,
    findings: &mut Findings<'_>,
) {
    let Some(backend) = backend else { return };
    // A backend that is no Service is the controller's to know.
    if backend.get("resource").is_some() {
        return;
    }
    let service = text(backend, "service.name");
    let target = graph.named("Service", object.namespace(), service);
    let Some(target) = target else {
        let message = format!("leads to the Service `{service}`, which does not exist");
        findings.add(rules::INGRESS_BACKEND, object, &format!("{at}.service.name"), message);
        return;
    };
    let wanted = find(backend, "service.port.number").map(|number| ("port", number));
    let wanted = wanted.or_else(|| find(backend, "service.port.name").map(|name| ("name", name)));
    let there = wanted.is_some_and(|(key, wanted)| {
        items(&target.node, "spec.ports").iter().any(|port| port.get(key) == Some(wanted))
    });
    if !there {
        let shown = wanted.and_then(|(_, node)| node.as_scalar()).map_or("", |port| port.text());
        let message = format!("leads to the port `{shown}`, which the Service `{service}` lacks");
        findings.add(rules::INGRESS_BACKEND, object, &format!("{at}.service.port"), message);
    }
}

/// A route of the Gateway API: to its Services, and from its Gateways.
fn route(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    let rules_ = items(&object.node, "spec.rules");
    for (at, rule) in element_addresses("spec.rules", rules_).iter().zip(rules_) {
        let refs = items(rule, "backendRefs");
        for (at, target) in element_addresses(&format!("{at}.backendRefs"), refs).iter().zip(refs) {
            backend_ref(object, at, target, graph, findings);
        }
    }
    let parents = items(&object.node, "spec.parentRefs");
    let mut listeners = Vec::new();
    for (at, parent) in element_addresses("spec.parentRefs", parents).iter().zip(parents) {
        let namespace = match text(parent, "namespace") {
            "" => object.namespace(),
            namespace => namespace,
        };
        // A Gateway that is not rendered is the cluster's own, with what listeners it has.
        let Some(gateway) = graph.named("Gateway", namespace, text(parent, "name")) else {
            return;
        };
        let section = text(parent, "sectionName");
        let chosen = |listener: &&Node| section.is_empty() || text(listener, "name") == section;
        let before = listeners.len();
        listeners.extend(items(&gateway.node, "spec.listeners").iter().filter(chosen));
        if listeners.len() == before {
            let message = format!("attaches to the listener `{section}`, which the Gateway lacks");
            findings.add(rules::ROUTE_PARENT, object, &format!("{at}.sectionName"), message);
            return;
        }
    }
    if !parents.is_empty() {
        hosts(object, &listeners, findings);
    }
}

/// A listener of a Gateway must take each of the route's names.
fn hosts(object: &Object, listeners: &[&Node], findings: &mut Findings<'_>) {
    let hosts = items(&object.node, "spec.hostnames");
    for (at, host) in element_addresses("spec.hostnames", hosts).iter().zip(hosts) {
        let host = host.as_str().unwrap_or_default();
        let taken = listeners.iter().any(|listener| {
            let name = text(listener, "hostname");
            name.is_empty() || takes(name, host) || takes(host, name)
        });
        if !taken {
            let message = format!("serves `{host}`, which no listener of the Gateway takes");
            findings.add(rules::TLS_HOST, object, at, message);
        }
    }
}

fn backend_ref(
    object: &Object,
    at: &str,
    target: &Node,
    graph: &Graph<'_>,
    findings: &mut Findings<'_>,
) {
    if !matches!(text(target, "kind"), "" | "Service") {
        return;
    }
    let namespace = match text(target, "namespace") {
        "" => object.namespace(),
        namespace => namespace,
    };
    let name = text(target, "name");
    let Some(service) = graph.named("Service", namespace, name) else {
        let message = format!("leads to the Service `{name}`, which does not exist");
        findings.add(rules::ROUTE_BACKEND, object, &format!("{at}.name"), message).hint =
            graph.names("Service", namespace);
        return;
    };
    let port = target.get("port");
    if !items(&service.node, "spec.ports").iter().any(|other| other.get("port") == port) {
        let shown = port.and_then(Node::as_scalar).map_or("", |port| port.text());
        let message = format!("leads to the port `{shown}`, which the Service `{name}` lacks");
        findings.add(rules::ROUTE_BACKEND, object, &format!("{at}.port"), message);
    }
}

/// Whether a listener's name takes a host: its star stands for one label or more.
fn takes(name: &str, host: &str) -> bool {
    let below = |parent: &str| host.len() > parent.len() && host.ends_with(parent);
    name == host || name.strip_prefix('*').is_some_and(below)
}
