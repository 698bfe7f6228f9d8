//! What Flux would replace.

use super::super::field::{find, leaves};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::findings::Findings;
use super::rules;

/// The annotation or label that keeps Flux from replacing `${…}`.
const GUARD: &str = "kustomize.toolkit.fluxcd.io/substitute";

pub(super) fn check(object: &Object, findings: &mut Findings<'_>) {
    let guarded = ["annotations", "labels"].iter().any(|place| {
        find(&object.node, &format!("metadata.{place}[\"{GUARD}\"]")).and_then(Node::as_str)
            == Some("disabled")
    });
    if guarded {
        return;
    }
    for (field, leaf) in leaves(&object.node) {
        if leaf.as_str().is_some_and(|text| text.contains("${")) {
            let message = "contains `${`, which Flux replaces where substitution is on";
            findings.add(rules::FLUX_SUBSTITUTION, object, &field, message);
        }
    }
}
