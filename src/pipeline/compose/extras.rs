//! Labels and annotations of one's own, on every object.

use super::super::address::{AddressError, find_mut};
use super::super::environment::Environment;
use super::super::manifest::Object;
use super::super::origins::Origins;
use super::super::yaml::Node;
use super::exposure::annotate;
use super::fill::{STATEFUL_SET, put, text};
use super::pod;

/// Adds them; what an object has already stays.
pub(super) fn fill(object: &mut Object, environment: &Environment) -> Result<(), AddressError> {
    let ours = (object.kind(), object.name()) == STATEFUL_SET
        && object.namespace() == environment.namespace.as_str();
    let node = &mut object.node;
    if !environment.labels.is_empty() {
        let metadata = find_mut(node, "metadata")?;
        if metadata.get("labels").is_none()
            && let Some(metadata) = metadata.as_mapping_mut()
        {
            metadata.set("labels", Node::mapping([]));
        }
    }
    for (key, value) in &environment.labels {
        if has(node, "labels", key.as_str()) {
            continue;
        }
        let address = format!("metadata.labels[\"{}\"]", key.as_str());
        let origin = Origins::entry("labels", key.as_str());
        put(node, &address, (environment, &origin), text(value.as_str()))?;
    }
    for (key, value) in &environment.annotations {
        if !has(node, "annotations", key.as_str()) {
            let origin = Origins::entry("annotations", key.as_str());
            annotate(node, (environment, &origin), key.as_str(), value.as_str())?;
        }
    }
    if ours { pod::labels(node, environment) } else { Ok(()) }
}

fn has(node: &Node, list: &str, key: &str) -> bool {
    node.get("metadata")
        .and_then(|metadata| metadata.get(list))
        .is_some_and(|list| list.get(key).is_some())
}
