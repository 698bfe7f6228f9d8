//! What a change puts at risk, from what the API server and the controllers do
//! with the field.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Kind, networks};
use crate::pipeline::field;
use crate::pipeline::manifest::Object;
use crate::pipeline::yaml::Node;

/// What a change puts at risk, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Data is deleted, may be, or is no longer where the program looks.
    DataLoss,
    /// The API server refuses the change: the object must be made anew.
    Immutable,
    /// Somebody or something may do more than before.
    WiderRights,
    /// Nothing serves any more.
    Outage,
    /// Other pods or Services are selected.
    Selector,
    /// Clients need another name or address.
    Host,
    /// Pods are replaced.
    Restart,
    /// Nothing of the above.
    None,
}

impl Risk {
    /// The words of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DataLoss => "data loss",
            Self::Immutable => "immutable field",
            Self::WiderRights => "wider rights",
            Self::Outage => "outage",
            Self::Selector => "selector change",
            Self::Host => "host change",
            Self::Restart => "restart",
            Self::None => "none",
        }
    }
}

/// Each once, the gravest first; [`Risk::None`] only where there is no other.
pub(super) fn sorted(risks: impl IntoIterator<Item = Risk>) -> Vec<Risk> {
    let mut risks: BTreeSet<_> = risks.into_iter().collect();
    risks.remove(&Risk::None);
    if risks.is_empty() { vec![Risk::None] } else { risks.into_iter().collect() }
}

/// What adding or removing an object puts at risk.
pub(super) fn of_object(object: &Object, change: Kind) -> Vec<Risk> {
    let node = &object.node;
    let risks: &[Risk] = match (change, object.kind()) {
        (
            Kind::Removed,
            "PersistentVolume" | "PersistentVolumeClaim" | "Namespace" | "CustomResourceDefinition",
        ) => &[Risk::DataLoss],
        (Kind::Removed, "StatefulSet") => {
            let policy = field::text(node, "spec.persistentVolumeClaimRetentionPolicy.whenDeleted");
            if policy == "Delete" { &[Risk::DataLoss, Risk::Restart] } else { &[Risk::Restart] }
        }
        (Kind::Removed, "Deployment" | "DaemonSet" | "ReplicaSet" | "Pod") => &[Risk::Restart],
        (
            Kind::Removed,
            "NetworkPolicy"
            | "ValidatingWebhookConfiguration"
            | "ValidatingAdmissionPolicy"
            | "ValidatingAdmissionPolicyBinding",
        )
        | (Kind::Added, "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding") => {
            &[Risk::WiderRights]
        }
        (
            Kind::Removed,
            "Ingress" | "HTTPRoute" | "Gateway" | "Service" | "IPAddressPool" | "L2Advertisement",
        ) => &[Risk::Host],
        _ => &[],
    };
    let mut found: BTreeSet<_> = risks.iter().copied().collect();
    if change == Kind::Added {
        for (address, leaf) in field::leaves(node) {
            if widens(object, &address, None, Some(leaf)) {
                found.insert(Risk::WiderRights);
            }
        }
    }
    sorted(found)
}

/// What changing a field puts at risk. A whole element that comes or goes is
/// looked at leaf by leaf.
pub(super) fn of_field(
    old: &Object,
    new: &Object,
    address: &str,
    before: Option<&Node>,
    after: Option<&Node>,
    risks: &mut BTreeSet<Risk>,
) {
    let kind = new.kind();
    if is_immutable(kind, address, before, after) {
        risks.insert(Risk::Immutable);
    }
    if loses_data(old, new, address, before, after) {
        risks.insert(Risk::DataLoss);
    }
    if goes_to_nothing(kind, address, before, after) {
        risks.insert(Risk::Outage);
    }
    if networks::opens(old, new, address) {
        risks.insert(Risk::WiderRights);
    }
    if is_selector(kind, address) {
        risks.insert(Risk::Selector);
    }
    if is_host(kind, address, before, after) {
        risks.insert(Risk::Host);
    }
    if is_template(kind, address) {
        risks.insert(Risk::Restart);
    }
    match (before, after) {
        (_, Some(after)) => {
            for (leaf, node) in field::leaves_under(address, after) {
                let was = if before.is_some_and(|before| before.as_scalar().is_some()) {
                    before
                } else {
                    None
                };
                if widens(new, &leaf, was, Some(node)) {
                    risks.insert(Risk::WiderRights);
                }
            }
        }
        // What no longer runs has no rights.
        (Some(_), None) if is_container(address) => {}
        (Some(before), None) => {
            for (leaf, node) in field::leaves_under(address, before) {
                if widens(new, &leaf, Some(node), None) {
                    risks.insert(Risk::WiderRights);
                }
            }
        }
        (None, None) => {}
    }
}

/// Whether an address is this field or lies below it.
fn within(address: &str, field: &str) -> bool {
    address.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn within_any(address: &str, fields: &[&str]) -> bool {
    fields.iter().any(|field| within(address, field))
}

/// Whether an address is a container as a whole, or a list of them.
fn is_container(address: &str) -> bool {
    let path = match address.strip_suffix(']') {
        Some(inner) => inner.rsplit_once('[').map_or("", |(list, _)| list),
        None => address,
    };
    let list = path.rsplit('.').next().unwrap_or_default();
    ["containers", "initContainers", "ephemeralContainers"].contains(&list)
}

/// Whether a workload is scaled to no pod at all.
fn goes_to_nothing(kind: &str, address: &str, before: Option<&Node>, after: Option<&Node>) -> bool {
    let number = |node: Option<&Node>| node.and_then(Node::as_integer);
    matches!(kind, "StatefulSet" | "Deployment" | "ReplicaSet" | "ReplicationController")
        && address == "spec.replicas"
        && number(after) == Some(0)
        && number(before) != Some(0)
}

/// Pods that are replaced when it changes.
fn is_template(kind: &str, address: &str) -> bool {
    matches!(kind, "StatefulSet" | "Deployment" | "DaemonSet") && within(address, "spec.template")
}

/// Fields that the API server refuses to change.
fn is_immutable(kind: &str, address: &str, before: Option<&Node>, after: Option<&Node>) -> bool {
    if within_any(address, &["kind", "metadata.name", "metadata.namespace"]) {
        return true;
    }
    let spec = within(address, "spec");
    match kind {
        // Everything but what the API server names in its refusal.
        "StatefulSet" => {
            let mutable = [
                "spec.replicas",
                "spec.ordinals",
                "spec.template",
                "spec.updateStrategy",
                "spec.revisionHistoryLimit",
                "spec.persistentVolumeClaimRetentionPolicy",
                "spec.minReadySeconds",
            ];
            spec && !within_any(address, &mutable)
        }
        "Deployment" | "DaemonSet" | "ReplicaSet" => within(address, "spec.selector"),
        "Job" => within_any(address, &["spec.template", "spec.selector", "spec.completionMode"]),
        "Service" => {
            within_any(address, &["spec.clusterIP", "spec.loadBalancerClass"]) && before.is_some()
        }
        "PersistentVolume" => {
            let mutable = [
                "spec.accessModes",
                "spec.capacity",
                "spec.claimRef",
                "spec.mountOptions",
                "spec.persistentVolumeReclaimPolicy",
                "spec.storageClassName",
                "spec.volumeAttributesClassName",
            ];
            // An affinity can be set once.
            let first = within(address, "spec.nodeAffinity") && before.is_none();
            spec && !within_any(address, &mutable) && !first
        }
        "PersistentVolumeClaim" => {
            let grows = within(address, "spec.resources") && !shrinks(before, after);
            spec && !grows && !within(address, "spec.volumeAttributesClassName")
        }
        "StorageClass" => within_any(
            address,
            &["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"],
        ),
        "RoleBinding" | "ClusterRoleBinding" => within(address, "roleRef"),
        "IngressClass" => within(address, "spec.controller"),
        "PriorityClass" => within_any(address, &["value", "preemptionPolicy"]),
        "CustomResourceDefinition" => within_any(address, &["spec.group", "spec.scope"]),
        _ => false,
    }
}

fn loses_data(
    old: &Object,
    new: &Object,
    address: &str,
    before: Option<&Node>,
    after: Option<&Node>,
) -> bool {
    let is = |text: &str| after.and_then(Node::as_str) == Some(text);
    let was = |text: &str| before.and_then(Node::as_str) == Some(text);
    // What keeps Argo CD and Flux from pruning it.
    let guard = (address.ends_with("[\"argocd.argoproj.io/sync-options\"]")
        && before.and_then(Node::as_str).is_some_and(|text| text.contains("Prune=false"))
        && !after.and_then(Node::as_str).is_some_and(|text| text.contains("Prune=false")))
        || (address.ends_with("[\"kustomize.toolkit.fluxcd.io/prune\"]") && was("disabled"));
    if guard {
        return true;
    }
    match new.kind() {
        "PersistentVolume" => {
            let source = !within_any(
                address,
                &[
                    "metadata",
                    "spec.accessModes",
                    "spec.capacity",
                    "spec.mountOptions",
                    "spec.persistentVolumeReclaimPolicy",
                ],
            );
            (address == "spec.persistentVolumeReclaimPolicy" && !is("Retain"))
                || (within(address, "spec") && source)
                || (within(address, "spec.capacity") && shrinks(before, after))
        }
        "PersistentVolumeClaim" => {
            within_any(address, &["spec.volumeName", "spec.storageClassName"])
                || (within(address, "spec.resources") && shrinks(before, after))
        }
        "StatefulSet" => {
            (within(address, "spec.persistentVolumeClaimRetentionPolicy") && is("Delete"))
                || (within(address, "spec.volumeClaimTemplates")
                    && loses_claim(address, before, after))
                || keeps_elsewhere(old, address)
        }
        _ => false,
    }
}

/// A claim under another name is another claim, and one that goes is no longer
/// mounted; the API server refuses all of these until the set is made anew.
fn loses_claim(address: &str, before: Option<&Node>, after: Option<&Node>) -> bool {
    let whole = address.ends_with(']') && !address.contains("[\"") && after.is_none();
    let amount = address.ends_with("resources.requests.storage") && shrinks(before, after);
    whole || amount || address.ends_with("].metadata.name")
}

/// Where the data of a claim is mounted, and where the program looks for it.
fn keeps_elsewhere(old: &Object, address: &str) -> bool {
    if address.ends_with("args[after=--data-dir]") {
        return true;
    }
    let claims = field::items(&old.node, "spec.volumeClaimTemplates");
    claims
        .iter()
        .map(|claim| field::text(claim, "metadata.name"))
        .any(|claim| address.contains(&format!("volumeMounts[name={claim}]")) && !claim.is_empty())
}

/// Whether an amount becomes smaller; what can't be read counts as smaller.
fn shrinks(before: Option<&Node>, after: Option<&Node>) -> bool {
    let amount = |node: Option<&Node>| {
        let text = node?.as_scalar()?.text().to_owned();
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let unit = match unit {
            "" => 1.0,
            "k" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "T" => 1e12,
            "P" => 1e15,
            "Ki" => 1024.0,
            "Mi" => 1_048_576.0,
            "Gi" => 1_073_741_824.0,
            "Ti" => 1_099_511_627_776.0,
            "Pi" => 1_125_899_906_842_624.0,
            _ => return None,
        };
        Some(number * unit)
    };
    match (amount(before), amount(after)) {
        (Some(before), Some(after)) => after < before,
        _ => true,
    }
}

fn is_selector(kind: &str, address: &str) -> bool {
    match kind {
        "StatefulSet" | "Deployment" | "DaemonSet" | "ReplicaSet" => {
            within_any(address, &["spec.selector", "spec.template.metadata.labels"])
        }
        "Service" | "PodDisruptionBudget" | "ServiceMonitor" | "PodMonitor" => {
            within(address, "spec.selector")
        }
        "NetworkPolicy" => within(address, "spec.podSelector"),
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            address.contains("Selector")
        }
        _ => false,
    }
}

/// Names and addresses that clients type or resolve.
fn is_host(kind: &str, address: &str, before: Option<&Node>, after: Option<&Node>) -> bool {
    match kind {
        "Ingress" => {
            within_any(address, &["spec.rules", "spec.tls", "spec.ingressClassName"])
                && !address.contains(".backend")
        }
        "HTTPRoute" | "GRPCRoute" | "TLSRoute" => {
            within_any(address, &["spec.hostnames", "spec.parentRefs"])
        }
        "Gateway" => {
            within_any(address, &["spec.listeners", "spec.addresses", "spec.gatewayClassName"])
        }
        "Certificate" => {
            within_any(address, &["spec.dnsNames", "spec.ipAddresses", "spec.commonName"])
        }
        "IPAddressPool" => within(address, "spec.addresses"),
        "Service" => {
            let fields = [
                "spec.type",
                "spec.ports",
                "spec.externalIPs",
                "spec.loadBalancerIP",
                "spec.externalName",
            ];
            within_any(address, &fields)
                || (address.contains("metallb.io/") && before.is_some() && after.is_some())
        }
        _ => address.ends_with("args[after=--hostname]"),
    }
}

/// Whether a field gives somebody or something more than it had.
fn widens(object: &Object, address: &str, before: Option<&Node>, after: Option<&Node>) -> bool {
    let last = address.rsplit(['.', '[']).next().unwrap_or_default();
    let truth = |node: Option<&Node>| node.and_then(Node::as_bool);
    let is = |text: &str| after.and_then(Node::as_str) == Some(text);
    let kind = object.kind();
    match last {
        "hostNetwork" | "hostPID" | "hostIPC" | "privileged" | "shareProcessNamespace" => {
            return truth(after) == Some(true);
        }
        // What is absent means `true` for both.
        "allowPrivilegeEscalation" | "automountServiceAccountToken" => {
            return truth(after) != Some(false) && (before.is_some() || truth(after) == Some(true));
        }
        "runAsNonRoot" | "readOnlyRootFilesystem" => {
            return truth(after) != Some(true) && truth(before) == Some(true)
                || before.is_none() && truth(after) == Some(false);
        }
        "procMount" => return after.is_some() && !is("Default"),
        "runAsUser" => return after.and_then(Node::as_integer) == Some(0),
        "serviceAccountName" => return after.is_some(),
        "failurePolicy" if kind.ends_with("WebhookConfiguration") || kind.ends_with("Policy") => {
            return is("Ignore");
        }
        _ => {}
    }
    if address.contains("capabilities.add") {
        return after.is_some();
    }
    if address.contains("capabilities.drop") {
        return before.is_some() && after.is_none();
    }
    if address.ends_with("seccompProfile.type") {
        return is("Unconfined") || (before.is_some() && after.is_none());
    }
    if address.contains("volumes[") && address.contains(".hostPath") {
        return after.is_some();
    }
    match kind {
        "Role" | "ClusterRole" => within(address, "rules") && after.is_some(),
        "RoleBinding" | "ClusterRoleBinding" => {
            within_any(address, &["subjects", "roleRef"]) && after.is_some()
        }
        "Namespace" => {
            address.contains("pod-security.kubernetes.io/enforce") && lowers(before, after)
        }
        "NetworkPolicy" => {
            within_any(address, &["spec.ingress", "spec.egress"])
                && (after.is_some() || before.is_some())
                || within(address, "spec.policyTypes") && after.is_none()
        }
        "Service" => match last {
            "type" => is("NodePort") || is("LoadBalancer"),
            _ => within(address, "spec.externalIPs") && after.is_some(),
        },
        "ValidatingAdmissionPolicyBinding" => {
            within(address, "spec.validationActions") && after.is_none()
        }
        "ValidatingWebhookConfiguration" => within(address, "webhooks") && after.is_none(),
        _ => false,
    }
}

/// Whether a Pod Security level becomes less strict.
fn lowers(before: Option<&Node>, after: Option<&Node>) -> bool {
    let strictness = |node: Option<&Node>| match node.and_then(Node::as_str) {
        Some("restricted") => 2,
        Some("baseline") => 1,
        _ => 0,
    };
    before.is_some() && strictness(after) < strictness(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Node {
        Node::string(text)
    }

    #[test]
    fn amounts_are_compared_and_not_their_texts() {
        for (before, after, smaller) in [
            ("10Gi", "9Gi", true),
            ("10Gi", "1Ti", false),
            ("1000Mi", "1Gi", false),
            ("1Gi", "x", true),
        ] {
            let (before, after) = (amount(before), amount(after));
            assert_eq!(shrinks(Some(&before), Some(&after)), smaller, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_field_is_within_another_only_as_a_whole() {
        assert!(within("spec.template.spec", "spec.template") && within("spec[0]", "spec"));
        assert!(!within("spec.templates", "spec.template"));
    }
}
