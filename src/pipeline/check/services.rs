//! References to a Service or a ServiceAccount, and what a Service leads to.

use super::super::field::{element_addresses, find, items, text};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::findings::Findings;
use super::graph::{named, names, selects};
use super::pods::{Pod, pod};
use super::rules;

pub(super) fn check(object: &Object, objects: &[Object], findings: &mut Findings<'_>) {
    match object.kind() {
        "Service" => service(object, objects, findings),
        "StatefulSet" => service_name(object, objects, findings),
        _ => {}
    }
    if let Some(pod) = pod(object) {
        account(object, pod, objects, findings);
    }
}

/// `serviceName` to Service.
fn service_name(object: &Object, objects: &[Object], findings: &mut Findings<'_>) {
    let (namespace, service) = (object.namespace(), text(&object.node, "spec.serviceName"));
    if named(objects, "Service", namespace, service).is_none() {
        let message = format!("names the Service `{service}`, which does not exist");
        findings.add(rules::SERVICE_NAME, object, "spec.serviceName", message).hint =
            names(objects, "Service", namespace);
    }
}

fn account(object: &Object, pod: Pod<'_>, objects: &[Object], findings: &mut Findings<'_>) {
    let (namespace, account) = (object.namespace(), pod.text("spec.serviceAccountName"));
    // Each namespace has the account `default`.
    if matches!(account, "" | "default") {
        return;
    }
    if named(objects, "ServiceAccount", namespace, account).is_none() {
        let message = format!("names the ServiceAccount `{account}`, which does not exist");
        let field = pod.address("spec.serviceAccountName");
        findings.add(rules::SERVICE_ACCOUNT, object, &field, message).hint =
            names(objects, "ServiceAccount", namespace);
    }
}

/// A Service's selector to labels, and its ports to those of the containers.
fn service(object: &Object, objects: &[Object], findings: &mut Findings<'_>) {
    let selector = find(&object.node, "spec.selector");
    // Without a selector somebody else makes its endpoints.
    if selector.is_none() {
        return;
    }
    let mut pods = objects
        .iter()
        .filter(|other| other.namespace() == object.namespace())
        .filter_map(pod)
        .peekable();
    // A Service of ours can lead to what others run in a namespace of theirs.
    if pods.peek().is_none() {
        return;
    }
    let target = pods.find(|pod| selects(selector, pod.find("metadata.labels")));
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
            let shown = wanted.and_then(Node::as_scalar).map_or("", |scalar| scalar.text());
            let message = format!("leads to the port `{shown}`, which no container declares");
            let field = format!("{address}.targetPort");
            findings.add(rules::TARGET_PORT, object, &field, message).hint =
                format!("the ports that are declared: {}", declared_ports(&declared));
        }
    }
}

fn declared_ports(ports: &[&Node]) -> String {
    let shown = |port: &&Node| {
        let number = port.get("containerPort").and_then(Node::as_integer).unwrap_or_default();
        match port.get("name").and_then(Node::as_str) {
            Some(name) => format!("{name} ({number})"),
            None => number.to_string(),
        }
    };
    let list: Vec<_> = ports.iter().map(shown).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}
