//! Mounts to volumes, and volumes to what they hold: config maps, Secrets and
//! claims, with their keys.

use super::super::field::{element_addresses, find, items, nearest, text, under_key};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::finding::Severity;
use super::findings::Findings;
use super::graph::Graph;
use super::pods::{Pod, pod};
use super::providers;
use super::rules;

pub(super) fn check(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    let mut sink = Sink { object, graph, findings };
    if object.kind() == "ServiceAccount" {
        sink.pull_secrets("imagePullSecrets", items(&object.node, "imagePullSecrets"));
    }
    if let Some(pod) = pod(object) {
        sink.pull_secrets(
            &pod.address("spec.imagePullSecrets"),
            pod.items("spec.imagePullSecrets"),
        );
        mounts(pod, &mut sink);
        volumes(pod, &mut sink);
        variables(pod, &mut sink);
    }
    if object.kind() == "Ingress" {
        let tls = items(&object.node, "spec.tls");
        for (at, entry) in element_addresses("spec.tls", tls).iter().zip(tls) {
            let (at, name) = (format!("{at}.secretName"), text(entry, "secretName"));
            sink.secret(&at, object.namespace(), name, &["tls.crt", "tls.key"], name.is_empty());
        }
    }
    if matches!(object.kind(), "Issuer" | "ClusterIssuer")
        && let Some(name) = find(&object.node, "spec.ca.secretName").and_then(Node::as_str)
    {
        let home =
            if object.kind() == "Issuer" { object.namespace() } else { providers::CERT_MANAGER };
        sink.secret("spec.ca.secretName", home, name, &["tls.crt", "tls.key"], false);
    }
}

/// What the searches below have in common.
struct Sink<'a, 'f, 'e> {
    object: &'a Object,
    graph: &'a Graph<'a>,
    findings: &'f mut Findings<'e>,
}

impl Sink<'_, '_, '_> {
    fn pull_secrets(&mut self, at: &str, list: &[Node]) {
        for (at, entry) in element_addresses(at, list).iter().zip(list) {
            let (name, at) = (text(entry, "name"), format!("{at}.name"));
            self.secret(&at, self.object.namespace(), name, &[".dockerconfigjson"], false);
        }
    }

    /// A Secret with keys that it must have. Which Secrets somebody makes by
    /// hand can't be known: such a name is a warning, a wrong key an error.
    fn secret(&mut self, at: &str, namespace: &str, name: &str, keys: &[&str], optional: bool) {
        let found = self.graph.secret_keys(namespace, name);
        let Some(there) = found else {
            // Whoever names it in the environment's file knows that it is there.
            let named_there = nearest(&self.object.node, at).origin.as_deref();
            if !optional && named_there.is_none_or(|origin| origin.kind() != "environment") {
                let message =
                    format!("refers to the Secret `{namespace}/{name}`, which nothing here makes");
                self.findings.add(rules::SECRET_REF, self.object, at, message);
            }
            return;
        };
        for key in keys {
            if !there.is_empty() && !there.iter().any(|other| other == key) {
                let message =
                    format!("wants the key `{key}` of the Secret `{name}`, which has no such");
                let found = self.findings.add(rules::SECRET_REF, self.object, at, message);
                found.severity = Severity::Error;
                found.hint = format!("its keys: {}", there.join(", "));
            }
        }
    }

    fn config_map(&mut self, at: &str, name: &str, keys: &[&str], optional: bool) {
        let namespace = self.object.namespace();
        // Each namespace is given this one.
        if name == "kube-root-ca.crt" || optional {
            return;
        }
        let Some(map) = self.graph.named("ConfigMap", namespace, name) else {
            let message = format!("refers to the ConfigMap `{name}`, which is not rendered");
            self.findings.add(rules::CONFIG_MAP_REF, self.object, at, message).hint =
                self.graph.names("ConfigMap", namespace);
            return;
        };
        for key in keys {
            let there = ["data", "binaryData"]
                .iter()
                .any(|field| map.node.get(field).and_then(|data| data.get(key)).is_some());
            if !there {
                let message =
                    format!("wants the key `{key}` of the ConfigMap `{name}`, which has no such");
                self.findings.add(rules::CONFIG_MAP_REF, self.object, at, message);
            }
        }
    }
}

fn is_optional(node: &Node) -> bool {
    node.get("optional").and_then(Node::as_bool) == Some(true)
}

/// The keys that the `items` of a volume's source name.
fn keys(source: &Node) -> Vec<&str> {
    items(source, "items").iter().map(|item| text(item, "key")).collect()
}

fn mounts(pod: Pod<'_>, sink: &mut Sink<'_, '_, '_>) {
    let mut declared: Vec<_> =
        pod.items("spec.volumes").iter().map(|volume| text(volume, "name")).collect();
    let templates = items(&sink.object.node, "spec.volumeClaimTemplates");
    declared.extend(templates.iter().map(|template| text(template, "metadata.name")));
    for (at, container) in pod.containers() {
        for list in ["volumeMounts", "volumeDevices"] {
            let mounts = items(container, list);
            for (at, mount) in element_addresses(&under_key(&at, list), mounts).iter().zip(mounts) {
                let name = text(mount, "name");
                if !declared.contains(&name) {
                    let message =
                        format!("mounts the volume `{name}`, which the pod does not have");
                    let hint = format!("the volumes of the pod: {}", declared.join(", "));
                    let field = format!("{at}.name");
                    sink.findings.add(rules::VOLUME_MOUNT, sink.object, &field, message).hint =
                        hint;
                }
            }
        }
    }
}

fn volumes(pod: Pod<'_>, sink: &mut Sink<'_, '_, '_>) {
    let namespace = sink.object.namespace();
    let volumes = pod.items("spec.volumes");
    for (at, volume) in element_addresses(&pod.address("spec.volumes"), volumes).iter().zip(volumes)
    {
        if let Some(source) = volume.get("secret") {
            let (name, at) = (text(source, "secretName"), format!("{at}.secret.secretName"));
            sink.secret(&at, namespace, name, &keys(source), is_optional(source));
        }
        if let Some(source) = volume.get("configMap") {
            let (name, at) = (text(source, "name"), format!("{at}.configMap.name"));
            sink.config_map(&at, name, &keys(source), is_optional(source));
        }
        let sources = items(volume, "projected.sources");
        for (at, source) in
            element_addresses(&format!("{at}.projected.sources"), sources).iter().zip(sources)
        {
            if let Some(source) = source.get("secret") {
                let (name, at) = (text(source, "name"), format!("{at}.secret.name"));
                sink.secret(&at, namespace, name, &keys(source), is_optional(source));
            }
            if let Some(source) = source.get("configMap") {
                let (name, at) = (text(source, "name"), format!("{at}.configMap.name"));
                sink.config_map(&at, name, &keys(source), is_optional(source));
            }
        }
    }
}

fn variables(pod: Pod<'_>, sink: &mut Sink<'_, '_, '_>) {
    let namespace = sink.object.namespace();
    for (at, container) in pod.containers() {
        let env = items(container, "env");
        for (at, variable) in element_addresses(&under_key(&at, "env"), env).iter().zip(env) {
            if let Some(source) = find(variable, "valueFrom.secretKeyRef") {
                let (name, at) = (text(source, "name"), format!("{at}.valueFrom.secretKeyRef"));
                sink.secret(&at, namespace, name, &[text(source, "key")], is_optional(source));
            }
            if let Some(source) = find(variable, "valueFrom.configMapKeyRef") {
                let (name, at) = (text(source, "name"), format!("{at}.valueFrom.configMapKeyRef"));
                sink.config_map(&at, name, &[text(source, "key")], is_optional(source));
            }
        }
        let from = items(container, "envFrom");
        for (at, source) in element_addresses(&under_key(&at, "envFrom"), from).iter().zip(from) {
            if let Some(source) = source.get("secretRef") {
                let at = format!("{at}.secretRef.name");
                sink.secret(&at, namespace, text(source, "name"), &[], is_optional(source));
            }
            if let Some(source) = source.get("configMapRef") {
                let at = format!("{at}.configMapRef.name");
                sink.config_map(&at, text(source, "name"), &[], is_optional(source));
            }
        }
    }
}
