//! Images, pinned.

use super::super::manifest::Object;
use super::super::yaml::Node;
use super::finding::Severity;
use super::findings::Findings;
use super::pods::pod;
use super::rules;

pub(super) fn check(object: &Object, findings: &mut Findings<'_>) {
    let Some(pod) = pod(object) else { return };
    for (address, container) in pod.containers() {
        let image = container.get("image").and_then(Node::as_str).unwrap_or_default();
        if image.contains("@sha") || image.starts_with("localhost/") {
            continue;
        }
        let tag = image.rsplit('/').next().and_then(|last| last.split_once(':'));
        let floating = tag.is_none_or(|(_, tag)| tag == "latest");
        let message = format!("`{image}` can change under its name");
        let found = findings.add(rules::IMAGE_PIN, object, &format!("{address}.image"), message);
        if !floating {
            found.severity = Severity::Warning;
        }
    }
}
