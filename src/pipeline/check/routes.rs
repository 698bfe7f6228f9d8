//! From the door to the Service behind it.

use super::super::field::{element_addresses, find, items, text};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::findings::Findings;
use super::graph::named;
use super::rules;

pub(super) fn check(object: &Object, objects: &[Object], findings: &mut Findings<'_>) {
    if object.kind() == "Ingress" {
        ingress(object, objects, findings);
    }
}

fn ingress(object: &Object, objects: &[Object], findings: &mut Findings<'_>) {
    let rules = items(&object.node, "spec.rules");
    for (at, rule) in element_addresses("spec.rules", rules).iter().zip(rules) {
        let paths = items(rule, "http.paths");
        for (at, path) in element_addresses(&format!("{at}.http.paths"), paths).iter().zip(paths) {
            backend(object, &format!("{at}.backend"), path.get("backend"), objects, findings);
        }
    }
    let default = find(&object.node, "spec.defaultBackend");
    if default.is_some() {
        backend(object, "spec.defaultBackend", default, objects, findings);
    }
}

fn backend(
    object: &Object,
    at: &str,
    backend: Option<&Node>,
    objects: &[Object],
    findings: &mut Findings<'_>,
) {
    let Some(backend) = backend else { return };
    // A backend that is no Service is the controller's to know.
    if backend.get("resource").is_some() {
        return;
    }
    let service = text(backend, "service.name");
    let target = named(objects, "Service", object.namespace(), service);
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
