//! Selectors to the labels of pods.

use super::super::field::find;
use super::super::manifest::Object;
use super::findings::Findings;
use super::graph::selects;
use super::pods::pod;
use super::rules;

/// What runs pods must select those of its own template; the API server
/// refuses it otherwise.
pub(super) fn check(object: &Object, _objects: &[Object], findings: &mut Findings<'_>) {
    if !matches!(object.kind(), "StatefulSet" | "Deployment" | "DaemonSet" | "ReplicaSet") {
        return;
    }
    let Some(pod) = pod(object) else { return };
    let selector = find(&object.node, "spec.selector.matchLabels");
    if !selects(selector, pod.find("metadata.labels")) {
        let message = "does not select the pods of its own template";
        let found = findings.add(rules::SELECTOR, object, "spec.selector.matchLabels", message);
        "give the template the labels of the selector".clone_into(&mut found.hint);
    }
}
