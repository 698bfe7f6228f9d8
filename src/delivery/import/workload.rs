//! The StatefulSet (once a Deployment) of Trow: arguments, owner, nodes.

use super::draft::{self, Draft};
use super::flags::{self, Flags};
use super::report::{Deed, Place, Report};
use super::secret::Moved;
use super::subject::Subject;
use crate::pipeline::yaml::Node;

/// What of a workload is left for others to read.
#[derive(Debug, Default)]
pub struct Workload {
    /// What the arguments say.
    pub flags: Flags,
    /// The template of the claim.
    pub claim: Option<Node>,
}

const POD: &str = "spec/template/spec";

/// Reads everything that keys exist for.
pub fn read(
    subject: &mut Subject,
    draft: &mut Draft,
    moved: &mut Moved,
    report: &mut Report,
) -> Workload {
    let mut found = Workload::default();
    for known in ["spec/selector", "spec/template/metadata/labels/app", "spec/strategy"] {
        subject.take(known);
    }
    let service = subject.text("spec/serviceName");
    if service.as_ref().is_some_and(|(name, _)| name != "trow-svc") {
        let what = "serviceName named a Service that is not there; it is trow-svc now";
        report.add(Deed::Fixed, service.and_then(|(_, place)| place), what);
    }
    if let Some((count, place)) = subject.text("spec/replicas")
        && count != "1"
    {
        let toml = format!("[registry]\nengine = \"warren\"\nreplicas = {}", digits(&count));
        let what = "`replicas`: the upstream's data is for one pod alone";
        report.left(place, what, Some(toml));
    }
    let container = format!("{POD}/containers/[trow-pod]");
    let args = subject.take(&format!("{container}/args"));
    let args = args.as_ref().and_then(Node::as_sequence).unwrap_or_default();
    found.flags = flags::read(args, draft, moved, report);
    image(subject.take(&format!("{container}/image")), report);
    for known in ["imagePullPolicy", "ports", "volumeMounts/[data-vol]", "volumeMounts/[trow-pass]"]
    {
        subject.take(&format!("{container}/{known}"));
    }
    for (part, amount, key) in [
        ("requests", "cpu", "resources.requests.cpu"),
        ("requests", "memory", "resources.requests.memory"),
        ("limits", "cpu", "resources.limits.cpu"),
        ("limits", "memory", "resources.limits.memory"),
    ] {
        if let Some((value, place)) =
            subject.text(&format!("{container}/resources/{part}/{amount}"))
        {
            draft.text("registry", key, &value, place);
        }
    }
    for known in ["volumes/[trow-pass]", "volumes/[data-vol]", "imagePullSecrets/[trow-cred]"] {
        subject.take(&format!("{POD}/{known}"));
    }
    owner(subject, draft);
    scheduling(subject, draft);
    let claims = subject.take("spec/volumeClaimTemplates");
    let claims = claims.as_ref().and_then(Node::as_sequence).unwrap_or_default();
    found.claim = claims.first().cloned();
    for more in claims.iter().skip(1) {
        report.left(
            Place::of(more),
            "a second volume of the registry, which keeps all in one",
            None,
        );
    }
    found
}

/// An image that is not ours to choose, unless it is somebody's own.
fn image(node: Option<Node>, report: &mut Report) {
    let Some(node) = node else { return };
    let Some(image) = node.as_scalar().map(|scalar| scalar.text().to_owned()) else { return };
    let name = image.split([':', '@']).next().unwrap_or_default();
    let theirs =
        ["containersol/trow", "ghcr.io/containersolutions/trow/trow", "ghcr.io/trow-registry/trow"];
    if theirs.contains(&name) {
        let what =
            format!("the image `{image}` is the pinned one of vendor/trow.lock.toml, pulled once");
        report.add(Deed::Upgraded, Place::of(&node), what);
    } else {
        let what = format!(
            "the image `{image}`: it has to take the arguments of Trow 0.10; name such a one"
        );
        let toml = format!("[registry]\nimage = {}", draft::quoted(&image));
        report.left(Place::of(&node), what, Some(toml));
    }
}

/// Who owns the files.
fn owner(subject: &mut Subject, draft: &mut Draft) {
    let path = |key: &str| format!("{POD}/securityContext/{key}");
    subject.take(&path("runAsNonRoot"));
    subject.take(&path("fsGroup"));
    for (field, key) in [("runAsUser", "uid"), ("runAsGroup", "gid")] {
        if let Some((number, place)) = subject.text(&path(field)) {
            draft.set("storage.owner", key, digits(&number), "", place);
        }
    }
}

/// A number, or what makes the file's check say that it is none.
fn digits(text: &str) -> String {
    let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if number { text.to_owned() } else { draft::quoted(text) }
}

/// Which nodes it runs on.
fn scheduling(subject: &mut Subject, draft: &mut Draft) {
    if let Some(selector) = subject.take(&format!("{POD}/nodeSelector"))
        && let Some(labels) = selector.as_mapping()
    {
        let labels = labels.iter().map(|(key, value)| (key.name(), draft::quoted(&text(value))));
        draft.set("scheduling", "node_selector", draft::inline(labels), "", Place::of(&selector));
    }
    if let Some(tolerations) = subject.take(&format!("{POD}/tolerations"))
        && let Some(items) = tolerations.as_sequence()
    {
        let items: Vec<_> = items.iter().map(toleration).collect();
        let value = format!("[{}]", items.join(", "));
        draft.set("scheduling", "tolerations", value, "", Place::of(&tolerations));
    }
    let node = format!("{POD}/affinity/nodeAffinity");
    if let Some(affinity) = subject.take(&node) {
        if let Some(rules) = rules(&affinity) {
            draft.set("scheduling", "affinity", rules, "", Place::of(&affinity));
        } else {
            put_back(subject, affinity);
        }
    }
}

fn text(node: &Node) -> String {
    node.as_scalar().map(|scalar| scalar.text().to_owned()).unwrap_or_default()
}

fn toleration(node: &Node) -> String {
    let mut pairs = Vec::new();
    for (field, key) in [("key", "key"), ("value", "value"), ("effect", "effect")] {
        if let Some(value) = node.get(field) {
            pairs.push((key, draft::quoted(&text(value))));
        }
    }
    if let Some(seconds) = node.get("tolerationSeconds") {
        pairs.push(("seconds", digits(&text(seconds))));
    }
    draft::inline(pairs)
}

/// The affinity as rules that must hold, where it is one list of them.
fn rules(affinity: &Node) -> Option<String> {
    let required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")?;
    let [term] = required.get("nodeSelectorTerms")?.as_sequence()? else { return None };
    if affinity.as_mapping()?.len() != 1 || term.as_mapping()?.len() != 1 {
        return None;
    }
    let rule = |node: &Node| -> Option<String> {
        let mut pairs = vec![("key", draft::quoted(node.get("key")?.as_str()?))];
        let operator = node.get("operator")?.as_str()?;
        if !["In", "NotIn", "Exists", "DoesNotExist"].contains(&operator) {
            return None;
        }
        if operator != "In" {
            pairs.push(("operator", draft::quoted(operator)));
        }
        if let Some(values) = node.get("values") {
            pairs.push(("values", draft::list(values.as_sequence()?.iter().map(text))));
        }
        Some(draft::inline(pairs))
    };
    let rules: Option<Vec<_>> =
        term.get("matchExpressions")?.as_sequence()?.iter().map(rule).collect();
    Some(format!("[{}]", rules?.join(", ")))
}

/// Leaves an affinity that no key can say for a patch.
fn put_back(subject: &mut Subject, affinity: Node) {
    let mut node = Some(&mut subject.after);
    for key in ["spec", "template", "spec", "affinity"] {
        node = node.and_then(|node| node.as_mapping_mut()).and_then(|keys| keys.get_mut(key));
    }
    if let Some(keys) = node.and_then(|node| node.as_mapping_mut()) {
        keys.set("nodeAffinity", affinity);
    }
}
