//! Where the kinds that run pods keep what they run.

use super::super::field;
use super::super::manifest::Object;
use super::super::yaml::Node;

/// The pod that an object runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pod<'a> {
    /// The address of the pod's own `metadata` and `spec`; empty for a Pod.
    pub at: &'static str,
    /// The whole object's node.
    node: &'a Node,
}

/// The lists of containers of a pod.
pub(super) const CONTAINERS: [&str; 2] = ["initContainers", "containers"];

/// The pod of an object, where it runs one.
pub(super) fn pod(object: &Object) -> Option<Pod<'_>> {
    let at = match object.kind() {
        "Pod" => "",
        "StatefulSet"
        | "Deployment"
        | "DaemonSet"
        | "ReplicaSet"
        | "ReplicationController"
        | "Job" => "spec.template",
        "CronJob" => "spec.jobTemplate.spec.template",
        _ => return None,
    };
    Some(Pod { at, node: &object.node })
}

impl<'a> Pod<'a> {
    /// The address of a field of the pod, such as `spec.containers`.
    pub fn address(&self, below: &str) -> String {
        if self.at.is_empty() { below.to_owned() } else { format!("{}.{below}", self.at) }
    }

    /// A field of the pod.
    pub fn find(&self, below: &str) -> Option<&'a Node> {
        field::find(self.node, &self.address(below))
    }

    /// The text of a field of the pod; empty where there is none.
    pub fn text(&self, below: &str) -> &'a str {
        self.find(below).and_then(Node::as_str).unwrap_or_default()
    }

    /// The items of a list of the pod; none where there is none.
    pub fn items(&self, below: &str) -> &'a [Node] {
        self.find(below).and_then(Node::as_sequence).unwrap_or_default()
    }

    /// All containers with their addresses within the object.
    pub fn containers(&self) -> impl Iterator<Item = (String, &'a Node)> {
        CONTAINERS.into_iter().flat_map(|list| {
            let list = format!("spec.{list}");
            let items = self.items(&list);
            field::element_addresses(&self.address(&list), items).into_iter().zip(items)
        })
    }
}
