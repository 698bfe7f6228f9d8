//! The Pod Security Standards: what the level that the namespace enforces
//! refuses. <https://kubernetes.io/docs/concepts/security/pod-security-standards/>

use super::super::environment::Environment;
use super::super::field::{element_addresses, find, items, under_key};
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::findings::Findings;
use super::graph::Graph;
use super::pods::{Pod, pod};
use super::rules;

const ENFORCE: &str = "metadata.labels[\"pod-security.kubernetes.io/enforce\"]";

/// Capabilities that `baseline` lets a container add.
const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Sysctls that `baseline` lets a pod set.
const SYSCTLS: [&str; 11] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
];

/// Volumes that `restricted` lets a pod mount.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Types that `baseline` lets `SELinux` options have.
const SELINUX: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

pub(super) fn check(
    object: &Object,
    graph: &Graph<'_>,
    environment: &Environment,
    findings: &mut Findings<'_>,
) {
    let declared = environment.pod_security.enforce.as_str();
    let own = environment.namespace.as_str();
    if object.kind() == "Namespace" && object.name() == own {
        label(object, declared, findings);
    }
    let Some(pod) = pod(object) else { return };
    let namespace = graph.named("Namespace", "", object.namespace());
    let level = namespace.and_then(|object| find(&object.node, ENFORCE)).and_then(Node::as_str);
    // Of the environment's own namespace what is declared holds too, whatever the
    // label became.
    let declared = (object.namespace() == own).then_some(declared);
    let Some(level) = stricter(level, declared) else { return };
    let mut faults = Vec::new();
    baseline(pod, &mut faults);
    if level == "restricted" {
        restricted(pod, &mut faults);
    }
    for (field, what) in faults {
        let message = format!("{what}, which the namespace's level `{level}` refuses");
        findings.add(rules::POD_SECURITY, object, &field, message);
    }
}

/// The label of the environment's namespace says what the environment declares.
fn label(object: &Object, declared: &str, findings: &mut Findings<'_>) {
    let found = find(&object.node, ENFORCE).and_then(Node::as_str);
    if found == Some(declared) {
        return;
    }
    let found = found.map_or("no level".to_owned(), |level| format!("the level `{level}`"));
    let message = format!("enforces {found}, and the environment declares `{declared}`");
    let found = findings.add(rules::POD_SECURITY, object, ENFORCE, message);
    "remove what sets the label, and set `enforce` below `[pod_security]`"
        .clone_into(&mut found.hint);
}

/// The stricter of two levels that refuse something.
fn stricter<'a>(one: Option<&'a str>, other: Option<&'a str>) -> Option<&'a str> {
    ["restricted", "baseline"]
        .into_iter()
        .find(|level| one == Some(*level) || other == Some(*level))
}

type Faults = Vec<(String, String)>;

fn is_true(node: Option<&Node>) -> bool {
    node.and_then(Node::as_bool) == Some(true)
}

fn baseline(pod: Pod<'_>, faults: &mut Faults) {
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if is_true(pod.find(&format!("spec.{field}"))) {
            faults.push((pod.address(&format!("spec.{field}")), "shares the node's".to_owned()));
        }
    }
    let volumes = pod.items("spec.volumes");
    for (at, volume) in element_addresses(&pod.address("spec.volumes"), volumes).iter().zip(volumes)
    {
        if volume.get("hostPath").is_some() {
            faults.push((format!("{at}.hostPath"), "mounts a folder of the node".to_owned()));
        }
    }
    for sysctl in pod.items("spec.securityContext.sysctls") {
        let name = sysctl.get("name").and_then(Node::as_str).unwrap_or_default();
        if !SYSCTLS.contains(&name) {
            let field = pod.address("spec.securityContext.sysctls");
            faults.push((field, format!("sets the sysctl `{name}`")));
        }
    }
    context(&pod.address("spec.securityContext"), pod.find("spec.securityContext"), faults);
    for (at, container) in pod.containers() {
        let security = container.get("securityContext");
        let at_security = under_key(&at, "securityContext");
        context(&at_security, security, faults);
        if let Some(security) = security {
            container_baseline(&at_security, security, faults);
        }
        let ports = items(container, "ports");
        for (at, port) in element_addresses(&under_key(&at, "ports"), ports).iter().zip(ports) {
            if port.get("hostPort").and_then(Node::as_integer).is_some_and(|port| port != 0) {
                faults.push((format!("{at}.hostPort"), "takes a port of the node".to_owned()));
            }
        }
    }
}

/// What a pod's and a container's security context have in common.
fn context(at: &str, context: Option<&Node>, faults: &mut Faults) {
    let Some(context) = context else { return };
    let text = |field: &str| find(context, field).and_then(Node::as_str).unwrap_or_default();
    for (field, bad) in
        [("seccompProfile.type", "Unconfined"), ("appArmorProfile.type", "Unconfined")]
    {
        if text(field) == bad {
            faults.push((format!("{at}.{field}"), "runs unconfined".to_owned()));
        }
    }
    if is_true(find(context, "windowsOptions.hostProcess")) {
        let field = format!("{at}.windowsOptions.hostProcess");
        faults.push((field, "runs as a process of the node".to_owned()));
    }
    if !SELINUX.contains(&text("seLinuxOptions.type")) {
        faults.push((format!("{at}.seLinuxOptions.type"), "has a type of its own".to_owned()));
    }
    for field in ["user", "role"] {
        if !text(&format!("seLinuxOptions.{field}")).is_empty() {
            faults.push((format!("{at}.seLinuxOptions.{field}"), format!("sets its {field}")));
        }
    }
}

fn container_baseline(at: &str, security: &Node, faults: &mut Faults) {
    if is_true(security.get("privileged")) {
        faults.push((format!("{at}.privileged"), "is privileged".to_owned()));
    }
    let mount = security.get("procMount").and_then(Node::as_str).unwrap_or("Default");
    if mount != "Default" {
        faults.push((format!("{at}.procMount"), "sees the whole of /proc".to_owned()));
    }
    for capability in items(security, "capabilities.add") {
        let name = capability.as_str().unwrap_or_default();
        if !BASELINE_CAPABILITIES.contains(&name) {
            let field = format!("{at}.capabilities.add");
            faults.push((field, format!("adds the capability `{name}`")));
        }
    }
}

fn restricted(pod: Pod<'_>, faults: &mut Faults) {
    let volumes = pod.items("spec.volumes");
    for (at, volume) in element_addresses(&pod.address("spec.volumes"), volumes).iter().zip(volumes)
    {
        let Some(volume) = volume.as_mapping() else { continue };
        for (kind, _) in volume.iter().filter(|(key, _)| key.name() != "name") {
            let kind = kind.name();
            // `baseline` has said so already.
            if !VOLUMES.contains(&&*kind) && kind != "hostPath" {
                faults.push((format!("{at}.{kind}"), "mounts a volume of another kind".to_owned()));
            }
        }
    }
    let pod_context = pod.find("spec.securityContext");
    let of_pod = |field: &str| pod_context.and_then(|context| find(context, field));
    for (at, container) in pod.containers() {
        let at = under_key(&at, "securityContext");
        let own = |field: &str| {
            container.get("securityContext").and_then(|security| find(security, field))
        };
        let set = |field: &str| own(field).or_else(|| of_pod(field));
        if own("allowPrivilegeEscalation").and_then(Node::as_bool) != Some(false) {
            let field = format!("{at}.allowPrivilegeEscalation");
            faults.push((field, "may gain privileges".to_owned()));
        }
        if !is_true(set("runAsNonRoot")) {
            faults.push((format!("{at}.runAsNonRoot"), "may run as root".to_owned()));
        }
        if set("runAsUser").and_then(Node::as_integer) == Some(0) {
            faults.push((format!("{at}.runAsUser"), "runs as root".to_owned()));
        }
        let profile = set("seccompProfile.type").and_then(Node::as_str);
        if !matches!(profile, Some("RuntimeDefault" | "Localhost")) {
            let field = format!("{at}.seccompProfile.type");
            faults.push((field, "has no seccomp profile".to_owned()));
        }
        let listed = |list: &str, name: &str| {
            own(&format!("capabilities.{list}"))
                .and_then(Node::as_sequence)
                .unwrap_or_default()
                .iter()
                .any(|capability| capability.as_str() == Some(name))
        };
        if !listed("drop", "ALL") {
            let field = format!("{at}.capabilities.drop");
            faults.push((field, "does not drop all capabilities".to_owned()));
        }
        let added = own("capabilities.add").and_then(Node::as_sequence).unwrap_or_default();
        for name in added.iter().filter_map(Node::as_str) {
            if name != "NET_BIND_SERVICE" && BASELINE_CAPABILITIES.contains(&name) {
                let field = format!("{at}.capabilities.add");
                faults.push((field, format!("adds the capability `{name}`")));
            }
        }
    }
}
