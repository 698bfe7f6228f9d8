//! Checks of a composed environment, before anything is written. A finding
//! says what is wrong, where, and the way out.

use serde::Serialize;

use super::address::find;
use super::compose::Rendered;
use super::environment::Engine;
use super::faults::Fault;
use super::manifest::Object;
use super::upstream::Upstream;
use super::yaml::Node;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It would not work, or would leak: nothing is written.
    Error,
    /// The operator should know.
    Warning,
}

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable name, such as `service-name`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// The environment.
    pub environment: String,
    /// The object, such as `statefulset/trow-set`; empty for the whole.
    pub object: String,
    /// The field within it; empty for the whole.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: String,
}

/// Checks one environment. `faults` are those known of the upstream's version.
#[must_use]
pub fn check(rendered: &Rendered, upstream: &Upstream, faults: &[Fault]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in &rendered.objects {
        secret(rendered, object, &mut findings);
        namespace(rendered, object, &mut findings);
        match object.kind() {
            "StatefulSet" => stateful_set(rendered, object, &mut findings),
            "Service" => service(rendered, object, &mut findings),
            "Ingress" => ingress(rendered, object, &mut findings),
            "PersistentVolume" => volume(rendered, object, &mut findings),
            _ => {}
        }
    }
    let registry = &rendered.environment.registry;
    if registry.engine == Engine::Warren && registry.image.is_none() {
        findings.push(Finding {
            code: "engine-image".to_owned(),
            severity: Severity::Warning,
            environment: rendered.environment.name.clone(),
            object: "statefulset/trow-set".to_owned(),
            field: "spec.template.spec.containers[name=trow-pod].image".to_owned(),
            message: "the image is one that only this machine's nodes can have".to_owned(),
            hint: "build an image of warren-registry, push it, and name it as image in [registry]"
                .to_owned(),
        });
    }
    if registry.engine == Engine::Trow {
        for fault in faults {
            findings.push(Finding {
                code: format!("upstream-fault/{}", fault.code),
                severity: Severity::Warning,
                environment: rendered.environment.name.clone(),
                object: "statefulset/trow-set".to_owned(),
                field: String::new(),
                message: format!(
                    "trow {}: {}; {}",
                    upstream.version, fault.what, fault.consequence
                ),
                hint: "engine = \"warren\" in [registry] runs our own registry instead".to_owned(),
            });
        }
    }
    findings
}

fn secret(rendered: &Rendered, object: &Object, findings: &mut Vec<Finding>) {
    if object.kind() == "Secret" {
        findings.push(finding(
            rendered,
            object,
            "plain-secret",
            "data",
            "a Secret would be committed in plain".to_owned(),
            "remove it from the manifests; `warren secret` makes it in the cluster",
        ));
    }
}

fn namespace(rendered: &Rendered, object: &Object, findings: &mut Vec<Finding>) {
    let message = match (object.is_namespaced(), object.namespace().is_empty()) {
        (true, true) => "lives in a namespace and names none",
        (false, false) => "lives in no namespace and names one",
        _ => return,
    };
    let hint = "correct metadata.namespace in its file";
    findings.push(finding(
        rendered,
        object,
        "namespace",
        "metadata.namespace",
        message.to_owned(),
        hint,
    ));
}

fn stateful_set(rendered: &Rendered, object: &Object, findings: &mut Vec<Finding>) {
    let node = &object.node;
    let service = text(node, "spec.serviceName");
    let in_its_namespace = |other: &&Object| other.namespace() == object.namespace();
    let mut neighbours = rendered.objects.iter().filter(in_its_namespace);
    if !neighbours.any(|other| other.kind() == "Service" && other.name() == service) {
        findings.push(finding(
            rendered,
            object,
            "service-name",
            "spec.serviceName",
            format!("names the Service `{service}`, which does not exist"),
            "name the Service that is rendered: trow-svc",
        ));
    }
    let account = text(node, "spec.template.spec.serviceAccountName");
    let mut neighbours = rendered.objects.iter().filter(in_its_namespace);
    if !neighbours.any(|other| other.kind() == "ServiceAccount" && other.name() == account) {
        findings.push(finding(
            rendered,
            object,
            "service-account",
            "spec.template.spec.serviceAccountName",
            format!("names the ServiceAccount `{account}`, which does not exist"),
            "name the ServiceAccount that is rendered: trow",
        ));
    }
    let selector = find(node, "spec.selector.matchLabels").ok();
    let labels = find(node, "spec.template.metadata.labels").ok();
    if !selects(selector, labels) {
        findings.push(finding(
            rendered,
            object,
            "selector",
            "spec.selector.matchLabels",
            "does not select the pods of its own template".to_owned(),
            "give the template the labels of the selector",
        ));
    }
    for list in ["initContainers", "containers"] {
        let containers = find(node, &format!("spec.template.spec.{list}"));
        for container in containers.ok().and_then(Node::as_sequence).unwrap_or_default() {
            let image = container.get("image").and_then(Node::as_str).unwrap_or_default();
            let name = container.get("name").and_then(Node::as_str).unwrap_or_default();
            let field = format!("spec.template.spec.{list}[name={name}].image");
            let tag = image.rsplit('/').next().and_then(|last| last.split_once(':'));
            let pinned = image.contains("@sha") || image.starts_with("localhost/");
            if !pinned {
                let floating = tag.is_none_or(|(_, tag)| tag == "latest");
                let mut found = finding(
                    rendered,
                    object,
                    "image-pin",
                    &field,
                    format!("`{image}` can change under its name"),
                    "pin it by digest: warren upstream pin TAG --image-digest sha256:…",
                );
                if !floating {
                    found.severity = Severity::Warning;
                }
                findings.push(found);
            }
        }
    }
}

fn service(rendered: &Rendered, object: &Object, findings: &mut Vec<Finding>) {
    let selector = find(&object.node, "spec.selector").ok();
    let selected = |other: &Object| {
        other.kind() == "StatefulSet"
            && selects(selector, find(&other.node, "spec.template.metadata.labels").ok())
    };
    let Some(target) = rendered.objects.iter().find(|other| selected(other)) else {
        findings.push(finding(
            rendered,
            object,
            "selector",
            "spec.selector",
            "selects no pod of any StatefulSet".to_owned(),
            "select the labels of the pod template",
        ));
        return;
    };
    let declared: Vec<&Node> = items(&target.node, "spec.template.spec.containers")
        .iter()
        .flat_map(|container| items(container, "ports"))
        .collect();
    for port in items(&object.node, "spec.ports") {
        let wanted = port.get("targetPort").or_else(|| port.get("port"));
        let there = |other: &&Node| {
            wanted.is_some()
                && (other.get("name") == wanted || other.get("containerPort") == wanted)
        };
        if !declared.iter().any(there) {
            findings.push(finding(
                rendered,
                object,
                "target-port",
                "spec.ports",
                "leads to a port that no container declares".to_owned(),
                "name a port of the container, such as http",
            ));
        }
    }
}

fn ingress(rendered: &Rendered, object: &Object, findings: &mut Vec<Finding>) {
    for rule in items(&object.node, "spec.rules") {
        for path in items(rule, "http.paths") {
            let service = text(path, "backend.service.name");
            let port = find(path, "backend.service.port.number").ok().and_then(Node::as_integer);
            let target = rendered
                .objects
                .iter()
                .filter(|other| other.namespace() == object.namespace())
                .find(|other| other.kind() == "Service" && other.name() == service);
            let ports = target
                .and_then(|target| find(&target.node, "spec.ports").ok())
                .and_then(Node::as_sequence)
                .unwrap_or_default();
            let there = ports.iter().any(|other| {
                port.is_some() && other.get("port").and_then(Node::as_integer) == port
            });
            if !there {
                findings.push(finding(
                    rendered,
                    object,
                    "ingress-backend",
                    "spec.rules",
                    format!(
                        "leads to the Service `{service}`, which has no such port or is not there"
                    ),
                    "name a Service and port that are rendered",
                ));
            }
        }
    }
}

fn volume(rendered: &Rendered, object: &Object, findings: &mut Vec<Finding>) {
    let claims: Vec<_> = rendered.objects.iter().flat_map(claims).collect();
    let found = (
        text(&object.node, "spec.claimRef.namespace").to_owned(),
        text(&object.node, "spec.claimRef.name").to_owned(),
    );
    if !claims.contains(&found) {
        findings.push(finding(
            rendered,
            object,
            "claim-ref",
            "spec.claimRef",
            format!("waits for the claim {}/{}, which nothing makes", found.0, found.1),
            "a StatefulSet's claim is called TEMPLATE-SET-0",
        ));
    }
}

/// Namespace and name of the claims that a StatefulSet of one replica makes.
fn claims(object: &Object) -> Vec<(String, String)> {
    let templates =
        find(&object.node, "spec.volumeClaimTemplates").ok().and_then(Node::as_sequence);
    let name = |template| text(template, "metadata.name");
    templates
        .unwrap_or_default()
        .iter()
        .map(|template| {
            (object.namespace().to_owned(), format!("{}-{}-0", name(template), object.name()))
        })
        .collect()
}

fn selects(selector: Option<&Node>, labels: Option<&Node>) -> bool {
    let (Some(selector), Some(labels)) =
        (selector.and_then(Node::as_mapping), labels.and_then(Node::as_mapping))
    else {
        return false;
    };
    !selector.is_empty()
        && selector.iter().all(|(key, value)| labels.get(&key.name()) == Some(value))
}

/// The items of a list, none where there is no such list.
fn items<'a>(node: &'a Node, address: &str) -> &'a [Node] {
    find(node, address).ok().and_then(Node::as_sequence).unwrap_or_default()
}

fn text<'a>(node: &'a Node, address: &str) -> &'a str {
    find(node, address).ok().and_then(Node::as_str).unwrap_or_default()
}

fn finding(
    rendered: &Rendered,
    object: &Object,
    code: &str,
    field: &str,
    message: String,
    hint: &str,
) -> Finding {
    Finding {
        code: code.to_owned(),
        severity: Severity::Error,
        environment: rendered.environment.name.clone(),
        object: object.id(),
        field: field.to_owned(),
        message,
        hint: hint.to_owned(),
    }
}
