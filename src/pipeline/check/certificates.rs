//! Certificates, who signs them, and the names that they are for.

use super::super::field::{element_addresses, find, items, text};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::finding::Severity;
use super::findings::Findings;
use super::graph::Graph;
use super::rules;

/// Annotations that cert-manager stopped reading, and what took their place.
const RETIRED: [(&str, &str); 2] = [
    ("certmanager.k8s.io/", "cert-manager.io/…, since cert-manager 0.11"),
    ("kubernetes.io/ingress.class", "spec.ingressClassName, since Kubernetes 1.18"),
];

pub(super) fn check(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    retired(object, findings);
    if object.kind() == "Certificate" {
        let kind = match text(&object.node, "spec.issuerRef.kind") {
            "" => "Issuer",
            kind => kind,
        };
        let name = text(&object.node, "spec.issuerRef.name");
        issuer(object, "spec.issuerRef.name", kind, name, graph, findings);
    }
    for (annotation, kind) in
        [("cert-manager.io/issuer", "Issuer"), ("cert-manager.io/cluster-issuer", "ClusterIssuer")]
    {
        let field = format!("metadata.annotations[\"{annotation}\"]");
        if let Some(name) = find(&object.node, &field).and_then(Node::as_str) {
            issuer(object, &field, kind, name, graph, findings);
        }
    }
    match object.kind() {
        "Ingress" => ingress_hosts(object, graph, findings),
        "Gateway" => listener_hosts(object, graph, findings),
        _ => {}
    }
}

/// Where no issuer of the kind is rendered the cluster is expected to have one.
fn issuer(
    object: &Object,
    field: &str,
    kind: &str,
    name: &str,
    graph: &Graph<'_>,
    findings: &mut Findings<'_>,
) {
    let namespace = if kind == "Issuer" { object.namespace() } else { "" };
    // One of the cluster that bears a namespace by mistake is another finding.
    let there = graph.of_kind(kind).iter().any(|other| {
        other.name() == name && (kind == "ClusterIssuer" || other.namespace() == namespace)
    });
    if there || !matches!(kind, "Issuer" | "ClusterIssuer") {
        return;
    }
    let others = !graph.of_kind(kind).is_empty();
    let message = format!("names the {kind} `{name}`, which is not rendered");
    let found = findings.add(rules::ISSUER_REF, object, field, message);
    if others {
        found.hint = graph.names(kind, namespace);
    } else {
        found.severity = Severity::Warning;
        found.hint = format!("the cluster must have the {kind} `{name}`");
    }
}

fn retired(object: &Object, findings: &mut Findings<'_>) {
    let Some(annotations) = find(&object.node, "metadata.annotations").and_then(Node::as_mapping)
    else {
        return;
    };
    for (key, _) in annotations.iter() {
        let name = key.name();
        if let Some((_, now)) = RETIRED.iter().find(|(start, _)| name.starts_with(start)) {
            let field = format!("metadata.annotations[\"{name}\"]");
            let message = format!("the annotation `{name}` is no longer read");
            findings.add(rules::RETIRED_ANNOTATION, object, &field, message).hint =
                format!("write {now}");
        }
    }
}

/// Host names in TLS against those of the rules, both ways, and against the
/// Certificate whose Secret is used.
fn ingress_hosts(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    let tls = items(&object.node, "spec.tls");
    if tls.is_empty() {
        return;
    }
    let rules_ = items(&object.node, "spec.rules");
    let served: Vec<_> = rules_.iter().map(|rule| text(rule, "host")).collect();
    let secured: Vec<_> =
        tls.iter().flat_map(|entry| items(entry, "hosts")).filter_map(Node::as_str).collect();
    for (at, host) in element_addresses("spec.rules", rules_).iter().zip(&served) {
        if !host.is_empty() && !secured.iter().any(|name| covers(name, host)) {
            let message = format!("serves `{host}`, for which no entry of spec.tls has a name");
            findings.add(rules::TLS_HOST, object, &format!("{at}.host"), message);
        }
    }
    for (at, entry) in element_addresses("spec.tls", tls).iter().zip(tls) {
        let hosts = items(entry, "hosts");
        for (at, host) in element_addresses(&format!("{at}.hosts"), hosts).iter().zip(hosts) {
            let host = host.as_str().unwrap_or_default();
            if !served.iter().any(|name| name.is_empty() || covers(host, name)) {
                let message = format!("has a certificate for `{host}`, which no rule serves");
                findings.add(rules::TLS_HOST, object, at, message);
            }
        }
        let Some(certificate) = certificate(object, text(entry, "secretName"), graph) else {
            continue;
        };
        for host in hosts.iter().filter_map(Node::as_str) {
            certified(object, &format!("{at}.hosts"), host, certificate, findings);
        }
    }
}

/// Host names of a Gateway's listeners against the Certificates that they show.
fn listener_hosts(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    let listeners = items(&object.node, "spec.listeners");
    for (at, listener) in element_addresses("spec.listeners", listeners).iter().zip(listeners) {
        let host = text(listener, "hostname");
        let mut shown = items(listener, "tls.certificateRefs").iter();
        let known = shown.find_map(|secret| certificate(object, text(secret, "name"), graph));
        if let Some(certificate) = known.filter(|_| !host.is_empty()) {
            certified(object, &format!("{at}.hostname"), host, certificate, findings);
        }
    }
}

/// The Certificate of an object's namespace that makes this Secret.
fn certificate<'a>(object: &Object, secret: &str, graph: &Graph<'a>) -> Option<&'a Object> {
    let makes = |other: &&&Object| {
        other.namespace() == object.namespace() && text(&other.node, "spec.secretName") == secret
    };
    graph.of_kind("Certificate").iter().find(makes).copied()
}

fn certified(
    object: &Object,
    at: &str,
    host: &str,
    certificate: &Object,
    findings: &mut Findings<'_>,
) {
    let mut names = items(&certificate.node, "spec.dnsNames").iter().filter_map(Node::as_str);
    if !names.any(|name| covers(name, host)) {
        let message = format!("wants `{host}` of {}, which is not for that name", certificate.id());
        findings.add(rules::TLS_HOST, object, at, message);
    }
}

/// Whether a name, which may begin with `*.`, is good for a host: the star
/// stands for one label (RFC 6125 section 6.4.3).
fn covers(name: &str, host: &str) -> bool {
    if name == host {
        return true;
    }
    name.strip_prefix("*.").is_some_and(|parent| {
        host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent)
    })
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(covers("*.a.example", "x.a.example") && covers("a.example", "a.example"));
        for host in ["a.example", "x.y.a.example", ".a.example"] {
            assert!(!covers("*.a.example", host), "{host}");
        }
    }
}
