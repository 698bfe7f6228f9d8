//! Volumes and the claims that they wait for.

use super::super::field::{find, items, text};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::findings::Findings;
use super::graph::Graph;
use super::rules;

/// `claimRef` to the claim's real name, and both of one class.
pub(super) fn check(object: &Object, graph: &Graph<'_>, findings: &mut Findings<'_>) {
    if object.kind() != "PersistentVolume" || find(&object.node, "spec.claimRef").is_none() {
        return;
    }
    let namespace = text(&object.node, "spec.claimRef.namespace");
    let name = text(&object.node, "spec.claimRef.name");
    let Some(claim) = graph.claim(namespace, name) else {
        let message = format!("waits for the claim {namespace}/{name}, which nothing makes");
        let found = findings.add(rules::CLAIM_REF, object, "spec.claimRef.name", message);
        let made = graph.claim_names();
        if !made.is_empty() {
            found.hint = format!("the claims that are made: {}", made.join(", "));
        }
        return;
    };
    let class = |node| text(node, "spec.storageClassName");
    let (volume, wanted) = (class(&object.node), class(claim));
    if volume != wanted {
        let message = format!(
            "has the class `{volume}`, and the claim that it waits for `{wanted}`: they never bind"
        );
        let found = findings.add(rules::CLAIM_REF, object, "spec.storageClassName", message);
        "give both the same storageClassName".clone_into(&mut found.hint);
    }
}

/// The claims that an object is or makes, by namespace and name, with the claim
/// or its template.
pub(super) fn made(object: &Object) -> Vec<((String, String), &Node)> {
    let namespace = || object.namespace().to_owned();
    if object.kind() == "PersistentVolumeClaim" {
        return vec![((namespace(), object.name().to_owned()), &object.node)];
    }
    if object.kind() != "StatefulSet" {
        return Vec::new();
    }
    let number = |field| find(&object.node, field).and_then(Node::as_integer);
    let (count, start) = (number("spec.replicas").unwrap_or(1), number("spec.ordinals.start"));
    let start = start.unwrap_or(0);
    // More volumes than this are not bound by name, and the number comes from a file.
    let ordinals = start..start.saturating_add(count.clamp(0, 1000));
    items(&object.node, "spec.volumeClaimTemplates")
        .iter()
        .flat_map(|template| ordinals.clone().map(move |ordinal| (template, ordinal)))
        .map(|(template, ordinal)| {
            let name = text(template, "metadata.name");
            ((namespace(), format!("{name}-{}-{ordinal}", object.name())), template)
        })
        .collect()
}
