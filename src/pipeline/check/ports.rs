//! Ports that are named, against those that are declared.

use super::super::field::{find, items};
use super::super::manifest::Object;
use super::super::yaml::{Kind, Node};
use super::findings::Findings;
use super::pods::pod;
use super::rules;

/// What asks a container at a port of its own.
const ASKS: [&str; 5] =
    ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop"];

pub(super) fn check(object: &Object, findings: &mut Findings<'_>) {
    let Some(pod) = pod(object) else { return };
    for (at, container) in pod.containers() {
        let declared: Vec<_> = items(container, "ports").iter().collect();
        for ask in ASKS {
            for way in ["httpGet", "tcpSocket"] {
                let Some(port) = find(container, &format!("{ask}.{way}.port")) else { continue };
                // A number needs no declaration.
                let Some(name) = port.as_str() else { continue };
                if !declared
                    .iter()
                    .any(|port| port.get("name").and_then(Node::as_str) == Some(name))
                {
                    let field = format!("{at}.{ask}.{way}.port");
                    let message =
                        format!("asks the port `{name}`, which the container does not declare");
                    findings.add(rules::PORT_NAME, object, &field, message).hint =
                        format!("the ports that it declares: {}", shown(&declared));
                }
            }
        }
    }
}

/// Ports with their names, for messages.
pub(super) fn shown(ports: &[&Node]) -> String {
    let one = |port: &&Node| {
        let number = port.get("containerPort").or_else(|| port.get("port"));
        let number = number.and_then(Node::as_scalar).map(|scalar| match scalar.kind() {
            Kind::Integer(number) => number.to_string(),
            _ => scalar.text().to_owned(),
        });
        let number = number.unwrap_or_default();
        match port.get("name").and_then(Node::as_str) {
            Some(name) => format!("{name} ({number})"),
            None => number,
        }
    };
    let list: Vec<_> = ports.iter().map(one).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(", ") }
}
