//! The objects of a rendering, as they go to the API server, in the order in
//! which they depend on each other.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::delivery::difference::{json, node};
use crate::pipeline::compose::KUSTOMIZATION;
use crate::pipeline::manifest::Object;
use crate::pipeline::yaml::{self, YamlError};

/// One object to apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The whole object, as JSON.
    pub value: Value,
}

/// What identifies an object in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Group and version, such as `apps/v1`.
    pub api_version: String,
    /// The kind, such as `StatefulSet`.
    pub kind: String,
    /// The namespace; empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Identity {
    /// The object of this name; an empty namespace is none.
    #[must_use]
    pub fn new(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// `statefulset/trow-set`, as kubectl prints it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind.to_lowercase(), self.name)
    }

    /// The same object, whichever version of its group names it.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let group = |version: &str| version.split_once('/').map_or("", |(group, _)| group).len();
        let prefix = |one: &Self| one.api_version[..group(&one.api_version)].to_owned();
        (prefix(self), &self.kind, &self.namespace, &self.name)
            == (prefix(other), &other.kind, &other.namespace, &other.name)
    }

    /// Whether deleting it deletes data or everything inside it.
    #[must_use]
    pub fn holds_data(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "Namespace" | "PersistentVolume" | "PersistentVolumeClaim" | "CustomResourceDefinition"
        )
    }
}

impl Manifest {
    /// A text below this JSON pointer; empty where there is none.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        text(&self.value, pointer)
    }

    /// What identifies it.
    #[must_use]
    pub fn identity(&self) -> Identity {
        identity(&self.value)
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// `statefulset/trow-set`.
    #[must_use]
    pub fn id(&self) -> String {
        self.identity().id()
    }

    /// Whether this, a definition, brings the kind of the other.
    #[must_use]
    pub fn defines(&self, other: &Identity) -> bool {
        self.kind() == "CustomResourceDefinition"
            && self.text("/spec/names/kind") == other.kind
            && other
                .api_version
                .split_once('/')
                .is_some_and(|(group, _)| group == self.text("/spec/group"))
    }
}

/// A text of an object below this JSON pointer; empty where there is none.
#[must_use]
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What an object waits for that is being deleted: its finalizers, or nothing but the
/// time of whoever deletes it. `None` for one that stays.
#[must_use]
pub fn deletion(value: &Value) -> Option<String> {
    let since = text(value, "/metadata/deletionTimestamp");
    if since.is_empty() {
        return None;
    }
    let metadata = value.pointer("/metadata/finalizers").and_then(Value::as_array);
    // A namespace has its own kind of them.
    let spec = value.pointer("/spec/finalizers").and_then(Value::as_array);
    let all = metadata.into_iter().chain(spec).flatten();
    let names: Vec<_> = all.filter_map(Value::as_str).collect();
    let waits = if names.is_empty() {
        String::new()
    } else {
        format!(", and waits for {}", names.join(", "))
    };
    Some(format!("it is being deleted since {since}{waits}"))
}

/// What identifies this object.
#[must_use]
pub fn identity(value: &Value) -> Identity {
    let text = |pointer| text(value, pointer);
    Identity::new(
        text("/apiVersion"),
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name"),
    )
}

/// The objects in these files, in the order to apply them: what others live
/// in or are defined by first, what judges others last.
///
/// # Errors
/// When a file is not YAML.
pub fn manifests(files: &BTreeMap<String, String>) -> Result<Vec<Manifest>, YamlError> {
    let mut found = Vec::new();
    for (file, text) in files.iter().filter(|(file, _)| *file != KUSTOMIZATION) {
        let nodes = yaml::read(file, text)?;
        found.extend(nodes.iter().map(|node| Manifest { value: json(node) }));
    }
    found.retain(|manifest| !manifest.kind().is_empty());
    found.sort_by_key(|manifest| (rank(manifest.kind()), manifest.identity()));
    Ok(found)
}

/// An object as the differences know it.
#[must_use]
pub fn object(value: &Value, source: &str) -> Object {
    Object { node: node(value), source: source.to_owned() }
}

/// When an object of this kind is applied. Kinds that are not named are those
/// of others' controllers and of what leads to the workloads.
fn rank(kind: &str) -> u8 {
    match kind {
        "CustomResourceDefinition" => 0,
        "Namespace" => 1,
        "StorageClass" | "PersistentVolume" | "PriorityClass" | "ServiceAccount" | "Role"
        | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding" | "NetworkPolicy"
        | "ResourceQuota" | "LimitRange" | "ConfigMap" | "Secret" => 2,
        "PersistentVolumeClaim" | "Service" => 3,
        "StatefulSet"
        | "Deployment"
        | "DaemonSet"
        | "ReplicaSet"
        | "Job"
        | "CronJob"
        | "Pod"
        | "PodDisruptionBudget"
        | "HorizontalPodAutoscaler" => 4,
        "ValidatingAdmissionPolicy" => 6,
        "ValidatingAdmissionPolicyBinding"
        | "ValidatingWebhookConfiguration"
        | "MutatingWebhookConfiguration" => 7,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(list: &[&str]) -> Vec<String> {
        let files = list.iter().enumerate().map(|(number, kind)| {
            let text = format!("apiVersion: v1\nkind: {kind}\nmetadata:\n  name: x\n");
            (format!("{number}.yaml"), text)
        });
        let manifests = manifests(&files.collect()).unwrap();
        manifests.iter().map(|manifest| manifest.kind().to_owned()).collect()
    }

    #[test]
    fn what_others_need_comes_first_and_what_judges_them_last() {
        assert_eq!(
            kinds(&[
                "ValidatingWebhookConfiguration",
                "Ingress",
                "StatefulSet",
                "Service",
                "ConfigMap",
                "Namespace",
                "CustomResourceDefinition",
            ]),
            [
                "CustomResourceDefinition",
                "Namespace",
                "ConfigMap",
                "Service",
                "StatefulSet",
                "Ingress",
                "ValidatingWebhookConfiguration"
            ]
        );
    }

    #[test]
    fn an_object_stays_the_same_in_another_version_of_its_group() {
        let of =
            |api_version: &str, name: &str| Identity::new(api_version, "Ingress", "trow", name);
        assert!(of("networking.k8s.io/v1", "a").is_same(&of("networking.k8s.io/v1beta1", "a")));
        assert!(!of("networking.k8s.io/v1", "a").is_same(&of("networking.k8s.io/v1", "b")));
        assert!(!of("networking.k8s.io/v1", "a").is_same(&of("extensions/v1beta1", "a")));
        assert!(of("v1", "a").is_same(&of("v1", "a")));
    }
}
