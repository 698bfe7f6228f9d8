//! Webhooks to the Service, port and path that answer them, and to what signs
//! the answer.

use super::super::field::{element_addresses, find, items, text};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::findings::Findings;
use super::graph::Graph;
use super::rules;

/// The path at which the upstream and our own registry answer reviews.
const REVIEW_PATH: &str = "/validate-image";

/// Annotations by which cert-manager puts the authority in.
const INJECT: [&str; 3] = [
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "cert-manager.io/inject-apiserver-ca",
];

pub(super) fn check(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    inject_ca_from(object, graph, findings);
    if !matches!(object.kind(), "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") {
        return;
    }
    let webhooks = items(&object.node, "webhooks");
    for (at, webhook) in element_addresses("webhooks", webhooks).iter().zip(webhooks) {
        for field in ["sideEffects", "admissionReviewVersions"] {
            if webhook.get(field).is_none() {
                let message = format!("has no `{field}`, which v1 requires");
                findings.add(rules::WEBHOOK, object, &format!("{at}.{field}"), message).hint =
                    format!("add `{field}`: sideEffects: None, admissionReviewVersions: [v1]");
            }
        }
        if find(webhook, "clientConfig.service").is_some() {
            service(object, at, webhook, graph, findings);
            authority(object, at, webhook, findings);
        }
    }
}

fn service(
    object: &Object,
    at: &str,
    webhook: &Node,
    graph: &Graph<'_>,
    findings: &mut Findings<'_>,
) {
    let at = format!("{at}.clientConfig.service");
    let namespace = text(webhook, "clientConfig.service.namespace");
    let name = text(webhook, "clientConfig.service.name");
    if namespace.is_empty() {
        let message = "names a Service without its namespace, which is required";
        let found = findings.add(rules::WEBHOOK, object, &format!("{at}.namespace"), message);
        "add the namespace of the Service".clone_into(&mut found.hint);
    }
    let Some(target) = graph.named("Service", namespace, name) else {
        let message = format!("calls the Service `{namespace}/{name}`, which does not exist");
        findings.add(rules::WEBHOOK, object, &format!("{at}.name"), message).hint =
            graph.names("Service", namespace);
        return;
    };
    let port = find(webhook, "clientConfig.service.port");
    let number = port.and_then(Node::as_integer).unwrap_or(443);
    let ports = items(&target.node, "spec.ports");
    if !ports.iter().any(|port| port.get("port").and_then(Node::as_integer) == Some(number)) {
        let default = if port.is_none() { ", the port of a webhook that names none" } else { "" };
        let message = format!("calls the port {number}{default}, which the Service `{name}` lacks");
        findings.add(rules::WEBHOOK, object, &format!("{at}.port"), message);
    }
    let path = text(webhook, "clientConfig.service.path");
    let selector = find(&target.node, "spec.selector");
    let registry = graph
        .selected(target.namespace(), selector)
        .iter()
        .any(|pod| pod.containers().any(|(_, container)| text(container, "name") == "trow-pod"));
    if registry && path != REVIEW_PATH {
        let message = format!("calls the path `{path}`, at which the registry answers no review");
        findings.add(rules::WEBHOOK, object, &format!("{at}.path"), message).hint =
            format!("the registry reviews at {REVIEW_PATH}");
    }
}

fn authority(object: &Object, at: &str, webhook: &Node, findings: &mut Findings<'_>) {
    let given = find(webhook, "clientConfig.caBundle").is_some();
    let injected = INJECT.iter().any(|name| annotation(object, name).is_some());
    if !given && !injected {
        let message = "trusts no authority: the API server refuses the answer's certificate";
        findings.add(rules::WEBHOOK, object, &format!("{at}.clientConfig"), message).hint = format!(
            "let cert-manager add it by the annotation {}: NAMESPACE/CERTIFICATE",
            INJECT[0]
        );
    }
}

/// `inject-ca-from` to Certificate, on whatever object bears it.
fn inject_ca_from(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    let name = INJECT[0];
    let Some(value) = annotation(object, name) else { return };
    let (namespace, certificate) = value.split_once('/').unwrap_or(("", value));
    if graph.named("Certificate", namespace, certificate).is_none() {
        let field = format!("metadata.annotations[\"{name}\"]");
        let message =
            format!("takes the authority from the Certificate `{value}`, which does not exist");
        findings.add(rules::INJECT_CA_FROM, object, &field, message).hint =
            graph.names("Certificate", namespace);
    }
}

fn annotation<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    find(&object.node, &format!("metadata.annotations[\"{name}\"]")).and_then(Node::as_str)
}
