//! References to a Service or a ServiceAccount, and what a Service leads to.

use super::super::field::{element_addresses, find, items, text};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::findings::Findings;
use super::graph::Graph;
use super::pods::{Pod, pod};
use super::ports::shown;
use super::rules;

pub(super) fn check(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    match object.kind() {
        "Service" => service(object, graph, findings),
        "StatefulSet" => service_name(object, graph, findings),
        _ => {}
    }
    if let Some(pod) = pod(object) {
        account(object, pod, graph, findings);
    }
}

/// `serviceName` to Service.
fn service_name(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    let (namespace, service) = (object.namespace(), text(&object.node, "spec.serviceName"));
    if graph.named("Service", namespace, service).is_none() {
        let message = format!("names the Service `{service}`, which does not exist");
        findings.add(rules::SERVICE_NAME, object, "spec.serviceName", message).hint =
            graph.names("Service", namespace);
    }
}

fn account(object: &Object, pod: Pod<'_>, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    let (namespace, account) = (object.namespace(), pod.text("spec.serviceAccountName"));
    // Each namespace has the account `default`.
    if matches!(account, "" | "default") {
        return;
    }
    if graph.named("ServiceAccount", namespace, account).is_none() {
        let message = format!("names the ServiceAccount `{account}`, which does not exist");
        let field = pod.address("spec.serviceAccountName");
        findings.add(rules::SERVICE_ACCOUNT, object, &field, message).hint =
            graph.names("ServiceAccount", namespace);
    }
}

/// A Service's selector to labels, and its ports to those of the containers.
fn service(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    let selector = find(&object.node, "spec.selector");
    // Without a selector somebody else makes its endpoints.
    if selector.is_none() {
        return;
    }
    // A Service of ours can lead to what others run in a namespace of theirs.
    if !graph.has_pods(object.namespace()) {
        return;
    }
    let target = graph.selected(object.namespace(), selector).into_iter().next();
    let Some(target) = target else {
        let message = "selects no pod that is rendered";
        findings.add(rules::SELECTOR, object, "spec.selector", message);
        return;
    };
    let declared: Vec<&Node> =
        target.containers().flat_map(|(_, container)| items(container, "ports")).collect();
    let ports = items(&object.node, "spec.ports");
    let addresses = element_addresses("spec.ports", ports);
    for (address, port) in addresses.iter().zip(ports) {
        let wanted = port.get("targetPort").or_else(|| port.get("port"));
        let there = |other: &&Node| {
            wanted.is_some()
                && (other.get("name") == wanted || other.get("containerPort") == wanted)
        };
        if !declared.iter().any(there) {
            let name = wanted.and_then(Node::as_scalar).map_or("", |scalar| scalar.text());
            let message = format!("leads to the port `{name}`, which no container declares");
            let field = format!("{address}.targetPort");
            findings.add(rules::TARGET_PORT, object, &field, message).hint =
                format!("the ports that are declared: {}", shown(&declared));
        }
    }
}
