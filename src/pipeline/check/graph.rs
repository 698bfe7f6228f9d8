//! Which object refers to which.

use super::super::manifest::Object;
use super::super::yaml::Node;

/// The object of this kind and name in this namespace.
pub(super) fn named<'a>(
    objects: &'a [Object],
    kind: &str,
    namespace: &str,
    name: &str,
) -> Option<&'a Object> {
    objects.iter().find(|other| {
        other.kind() == kind && other.name() == name && other.namespace() == namespace
    })
}

/// The names of the objects of a kind in a namespace, for messages.
pub(super) fn names(objects: &[Object], kind: &str, namespace: &str) -> String {
    let there: Vec<_> = objects
        .iter()
        .filter(|other| other.kind() == kind && other.namespace() == namespace)
        .map(|other| format!("`{}`", other.name()))
        .collect();
    if there.is_empty() {
        format!("no {kind} is rendered in the namespace `{namespace}`")
    } else {
        format!("the {kind} that is rendered there: {}", there.join(", "))
    }
}

/// Whether a plain selector selects what bears these labels. None selects nothing.
pub(super) fn selects(selector: Option<&Node>, labels: Option<&Node>) -> bool {
    let (Some(selector), Some(labels)) =
        (selector.and_then(Node::as_mapping), labels.and_then(Node::as_mapping))
    else {
        return false;
    };
    !selector.is_empty()
        && selector.iter().all(|(key, value)| labels.get(&key.name()) == Some(value))
}
