//! Where the data lives: volumes and claims.

use super::draft::Draft;
use super::report::{Deed, Place, Report};
use super::subject::Subject;
use crate::pipeline::yaml::Node;

fn at<'a>(node: &'a Node, path: &[&str]) -> Option<&'a Node> {
    path.iter().try_fold(node, |node, key| node.get(key))
}

fn text(node: Option<&Node>) -> Option<String> {
    Some(node?.as_scalar()?.text().to_owned())
}

/// Reads the volume, or, where there is none, the claim.
pub fn read(volumes: &mut [Subject], claim: Option<&Node>, draft: &mut Draft, report: &mut Report) {
    let asked = claim.and_then(|claim| at(claim, &["spec", "resources", "requests", "storage"]));
    let mode =
        claim.and_then(|claim| at(claim, &["spec", "accessModes"])).and_then(Node::as_sequence);
    if let Some(mode) = mode.and_then(<[Node]>::first)
        && let Some(word) = text(Some(mode))
        && word != "ReadWriteOnce"
    {
        draft.text("storage", "access_mode", &word, Place::of(mode));
    }
    let Some(volume) = volumes.iter_mut().find_map(folder) else {
        dynamic(claim, asked, draft, report);
        return;
    };
    let Folder { kind, path, node, size, name } = volume;
    draft.text("storage", "kind", kind, Place::of(&path));
    draft.text("storage", "path", &text(Some(&path)).unwrap_or_default(), Place::of(&path));
    if let Some(node) = node {
        draft.text("storage", "node", &text(Some(&node)).unwrap_or_default(), Place::of(&node));
    }
    if let Some(offered) = text(size.as_ref()) {
        let place = size.as_ref().and_then(Place::of);
        draft.text("storage", "size", &offered, place.clone());
        if let Some(asked) = text(asked)
            && asked != offered
        {
            let what = format!(
                "the claim asked for {asked} of a volume that offers {offered}, and so could not \
                 be bound to it; both say {offered}"
            );
            report.add(Deed::Fixed, place, what);
        }
    }
    let ours = if kind == "local" { "trow-data-local-pv" } else { "trow-data-hostpath-pv" };
    let named = if name == ours { String::new() } else { format!(", as {ours},") };
    let what = format!(
        "the volume {name} is kept{named} for the claim data-vol-trow-set-0 by claimRef, and its \
         data when the claim goes by Retain"
    );
    report.add(Deed::Fixed, Place::of(&path), what);
    let what = if kind == "host-path" {
        draft.set(
            "pod_security",
            "enforce",
            "\"baseline\"".to_owned(),
            "a host path needs an init container that runs as root",
            None,
        );
        "the owner of the folder, which somebody had to set with chown, is set by an init container"
    } else {
        "the owner of the folder follows the pod's group"
    };
    report.add(Deed::Fixed, Place::of(&path), what);
}

/// A volume that is a folder of a node.
struct Folder {
    kind: &'static str,
    path: Node,
    node: Option<Node>,
    size: Option<Node>,
    name: String,
}

fn folder(subject: &mut Subject) -> Option<Folder> {
    let (kind, path) = match subject.take("spec/hostPath/path") {
        Some(path) => ("host-path", path),
        None => ("local", subject.take("spec/local/path")?),
    };
    subject.take("spec/hostPath");
    subject.take("spec/local");
    let terms = subject.take("spec/nodeAffinity");
    let node = terms.as_ref().and_then(host);
    let size = subject.take("spec/capacity");
    let size = size.and_then(|size| size.get("storage").cloned());
    for known in [
        "accessModes",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "claimRef",
        "volumeMode",
    ] {
        subject.take(&format!("spec/{known}"));
    }
    subject.take("metadata/labels/app");
    subject.take("metadata/labels/type");
    let name = subject.text("metadata/name").map(|(name, _)| name).unwrap_or_default();
    Some(Folder { kind, path, node, size, name })
}

/// The one node that a volume's affinity names.
fn host(affinity: &Node) -> Option<Node> {
    let [term] = at(affinity, &["required", "nodeSelectorTerms"])?.as_sequence()? else {
        return None;
    };
    let [rule] = term.get("matchExpressions")?.as_sequence()? else { return None };
    let [value] = rule.get("values")?.as_sequence()? else { return None };
    let hostname = rule.get("key")?.as_str()? == "kubernetes.io/hostname";
    (hostname && rule.get("operator")?.as_str()? == "In").then(|| value.clone())
}

/// No volume is there: a provisioner makes one, or the claim has one.
fn dynamic(claim: Option<&Node>, asked: Option<&Node>, draft: &mut Draft, report: &mut Report) {
    draft.text("storage", "kind", "dynamic", None);
    let size = text(asked).unwrap_or_else(|| "20Gi".to_owned());
    draft.text("storage", "size", &size, asked.and_then(Place::of));
    let class = claim.and_then(|claim| at(claim, &["spec", "storageClassName"]));
    match text(class).filter(|class| !class.is_empty()) {
        Some(name) => draft.text("storage", "class", &name, class.and_then(Place::of)),
        None => report.add(
            Deed::Assumed,
            None,
            format!("a provisioner of the cluster makes the volume of {size}"),
        ),
    }
}
