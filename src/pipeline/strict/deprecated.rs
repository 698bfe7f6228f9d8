//! Fields, annotations and labels that a server takes and warns of, or takes
//! and forgets. No schema says so; these are the warnings of the API server.

use super::super::schema::Schema;
use super::super::yaml::Node;

/// A field of a type.
struct Old {
    of: &'static str,
    field: &'static str,
    /// The minor version from which on this is said.
    since: u8,
    what: &'static str,
    hint: &'static str,
}

const fn old(
    of: &'static str,
    field: &'static str,
    since: u8,
    what: &'static str,
    hint: &'static str,
) -> Old {
    Old { of, field, since, what, hint }
}

const FIELDS: [Old; 17] = [
    old(
        "core/v1.ServiceSpec",
        "externalIPs",
        36,
        "is deprecated from Kubernetes 1.36 on, and kube-proxy will ignore it: anyone who may make a Service could take any address (CVE-2020-8554)",
        "let MetalLB or a Gateway announce the address",
    ),
    old(
        "core/v1.ServiceSpec",
        "loadBalancerIP",
        25,
        "is deprecated since Kubernetes 1.24, and each provider reads it differently",
        "use the provider's annotation, such as metallb.io/loadBalancerIPs",
    ),
    old(
        "core/v1.PodSpec",
        "serviceAccount",
        25,
        "is an old name of serviceAccountName",
        "write serviceAccountName",
    ),
    old(
        "core/v1.Volume",
        "gitRepo",
        25,
        "is deprecated, and disabled from Kubernetes 1.33 on",
        "clone in an init container",
    ),
    old(
        "core/v1.Volume",
        "photonPersistentDisk",
        25,
        "does nothing since Kubernetes 1.16",
        "use a CSI driver",
    ),
    old("core/v1.Volume", "scaleIO", 25, "does nothing since Kubernetes 1.22", "use a CSI driver"),
    old("core/v1.Volume", "flocker", 25, "does nothing since Kubernetes 1.25", "use a CSI driver"),
    old(
        "core/v1.Volume",
        "storageos",
        25,
        "does nothing since Kubernetes 1.25",
        "use a CSI driver",
    ),
    old("core/v1.Volume", "quobyte", 25, "does nothing since Kubernetes 1.25", "use a CSI driver"),
    old(
        "core/v1.Volume",
        "glusterfs",
        26,
        "does nothing since Kubernetes 1.26",
        "use a CSI driver",
    ),
    old(
        "core/v1.Volume",
        "cephfs",
        28,
        "is deprecated, and does nothing from Kubernetes 1.31 on",
        "use the Ceph CSI driver",
    ),
    old(
        "core/v1.Volume",
        "rbd",
        28,
        "is deprecated, and does nothing from Kubernetes 1.31 on",
        "use the Ceph CSI driver",
    ),
    old(
        "core/v1.PersistentVolumeSpec",
        "glusterfs",
        26,
        "does nothing since Kubernetes 1.26",
        "use a CSI driver",
    ),
    old(
        "core/v1.PersistentVolumeSpec",
        "cephfs",
        28,
        "is deprecated, and does nothing from Kubernetes 1.31 on",
        "use the Ceph CSI driver",
    ),
    old(
        "core/v1.PersistentVolumeSpec",
        "rbd",
        28,
        "is deprecated, and does nothing from Kubernetes 1.31 on",
        "use the Ceph CSI driver",
    ),
    old(
        "core/v1.PersistentVolumeSpec",
        "flexVolume",
        25,
        "is deprecated since Kubernetes 1.23",
        "use a CSI driver",
    ),
    old(
        "core/v1.Volume",
        "flexVolume",
        25,
        "is deprecated since Kubernetes 1.23",
        "use a CSI driver",
    ),
];

/// Keys of annotations; one that ends with `/` stands for all that begin so.
const ANNOTATIONS: [Old; 10] = [
    old(
        "",
        "kubernetes.io/ingress.class",
        25,
        "is deprecated since Kubernetes 1.18",
        "write spec.ingressClassName",
    ),
    old(
        "",
        "certmanager.k8s.io/",
        25,
        "is read by no cert-manager since 0.11",
        "write cert-manager.io/…",
    ),
    old(
        "",
        "seccomp.security.alpha.kubernetes.io/",
        27,
        "does nothing since Kubernetes 1.27",
        "write securityContext.seccompProfile",
    ),
    old(
        "",
        "container.seccomp.security.alpha.kubernetes.io/",
        27,
        "does nothing since Kubernetes 1.27",
        "write securityContext.seccompProfile",
    ),
    old(
        "",
        "container.apparmor.security.beta.kubernetes.io/",
        30,
        "is deprecated since Kubernetes 1.30",
        "write securityContext.appArmorProfile",
    ),
    old(
        "",
        "scheduler.alpha.kubernetes.io/critical-pod",
        25,
        "does nothing since Kubernetes 1.16",
        "write priorityClassName",
    ),
    old(
        "",
        "security.alpha.kubernetes.io/sysctls",
        25,
        "does nothing since Kubernetes 1.11",
        "write securityContext.sysctls",
    ),
    old(
        "",
        "security.alpha.kubernetes.io/unsafe-sysctls",
        25,
        "does nothing since Kubernetes 1.11",
        "write securityContext.sysctls",
    ),
    old(
        "",
        "service.kubernetes.io/topology-aware-hints",
        27,
        "is deprecated since Kubernetes 1.27",
        "write spec.trafficDistribution",
    ),
    old(
        "",
        "volume.beta.kubernetes.io/storage-class",
        25,
        "is deprecated since Kubernetes 1.6",
        "write spec.storageClassName",
    ),
];

/// Labels of nodes, where a selector asks for them.
const NODE_LABELS: [Old; 6] = [
    old(
        "",
        "beta.kubernetes.io/arch",
        25,
        "is deprecated since Kubernetes 1.14",
        "write kubernetes.io/arch",
    ),
    old(
        "",
        "beta.kubernetes.io/os",
        25,
        "is deprecated since Kubernetes 1.14",
        "write kubernetes.io/os",
    ),
    old(
        "",
        "failure-domain.beta.kubernetes.io/region",
        25,
        "is deprecated since Kubernetes 1.17",
        "write topology.kubernetes.io/region",
    ),
    old(
        "",
        "failure-domain.beta.kubernetes.io/zone",
        25,
        "is deprecated since Kubernetes 1.17",
        "write topology.kubernetes.io/zone",
    ),
    old(
        "",
        "beta.kubernetes.io/instance-type",
        25,
        "is deprecated since Kubernetes 1.17",
        "write node.kubernetes.io/instance-type",
    ),
    old(
        "",
        "node-role.kubernetes.io/master",
        25,
        "is on no node since Kubernetes 1.24",
        "write node-role.kubernetes.io/control-plane",
    ),
];

/// What there is to say of a field of a type: message and hint.
pub(super) fn fields(schema: Schema, of: &str, field: &str) -> Option<(String, String)> {
    let found = FIELDS.iter().find(|old| (old.of, old.field) == (of, field));
    found.filter(|old| schema.has(old.since)).map(Old::words)
}

/// What there is to say of the keys below a field: key, value, message, hint.
pub(super) fn keys<'a>(
    schema: Schema,
    of: &str,
    field: &str,
    node: &'a Node,
) -> Vec<(String, &'a Node, String, String)> {
    let table: &[Old] = match (of, field) {
        ("meta/v1.ObjectMeta", "annotations") => &ANNOTATIONS,
        (_, "nodeSelector") => &NODE_LABELS,
        _ => return Vec::new(),
    };
    let Some(mapping) = node.as_mapping() else { return Vec::new() };
    let mut found = Vec::new();
    for (key, value) in mapping.iter() {
        let name = key.name();
        let same = |old: &&Old| match old.field.strip_suffix('/') {
            Some(_) => name.starts_with(old.field),
            None => name == old.field,
        };
        if let Some(old) = table.iter().find(same).filter(|old| schema.has(old.since)) {
            let (message, hint) = old.words();
            found.push((name.into_owned(), value, message, hint));
        }
    }
    found
}

impl Old {
    fn words(&self) -> (String, String) {
        (self.what.to_owned(), self.hint.to_owned())
    }
}
