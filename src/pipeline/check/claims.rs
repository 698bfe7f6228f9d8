//! Volumes and the claims that they wait for.

use super::super::field::{find, items, text};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::findings::Findings;
use super::rules;

/// `claimRef` to the claim's real name.
pub(super) fn check(object: &Object, objects: &[Object], findings: &mut Findings<'_>) {
    if object.kind() != "PersistentVolume" || find(&object.node, "spec.claimRef").is_none() {
        return;
    }
    let made: Vec<_> = objects.iter().flat_map(claims).collect();
    let waits = (
        text(&object.node, "spec.claimRef.namespace").to_owned(),
        text(&object.node, "spec.claimRef.name").to_owned(),
    );
    if !made.contains(&waits) {
        let message = format!("waits for the claim {}/{}, which nothing makes", waits.0, waits.1);
        let found = findings.add(rules::CLAIM_REF, object, "spec.claimRef.name", message);
        let names: Vec<_> = made.iter().map(|(space, name)| format!("{space}/{name}")).collect();
        if !names.is_empty() {
            found.hint = format!("the claims that are made: {}", names.join(", "));
        }
    }
}

/// Namespace and name of the claims that an object is or makes.
fn claims(object: &Object) -> Vec<(String, String)> {
    let namespace = || object.namespace().to_owned();
    if object.kind() == "PersistentVolumeClaim" {
        return vec![(namespace(), object.name().to_owned())];
    }
    if object.kind() != "StatefulSet" {
        return Vec::new();
    }
    let count = find(&object.node, "spec.replicas").and_then(Node::as_integer).unwrap_or(1);
    let start = find(&object.node, "spec.ordinals.start").and_then(Node::as_integer).unwrap_or(0);
    // More volumes than this are not bound by name, and the number comes from a file.
    let ordinals = start..start.saturating_add(count.clamp(0, 1000));
    items(&object.node, "spec.volumeClaimTemplates")
        .iter()
        .map(|template| text(template, "metadata.name"))
        .flat_map(|name| ordinals.clone().map(move |ordinal| (name, ordinal)))
        .map(|(name, ordinal)| (namespace(), format!("{name}-{}-{ordinal}", object.name())))
        .collect()
}
