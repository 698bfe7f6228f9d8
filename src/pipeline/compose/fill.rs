//! The environment's values, put where they belong in each object.

use super::super::address::{AddressError, find, set};
use super::super::environment::{Engine, Environment, PodSecurityLevel, Volume};
use super::super::manifest::Object;
use super::super::upstream::Upstream;
use super::super::yaml::Node;

/// The container that serves, in the StatefulSet.
const CONTAINER: &str = "spec.template.spec.containers[name=trow-pod]";

/// Rows of the lock.
const PORT: &str = "contract[name=port].value";
const DATA_PATH: &str = "contract[name=data-path].value";

/// The namespace that stands in the base for the environment's.
const SAMPLE_NAMESPACE: &str = "trow";

/// Puts a value that a key of the environment causes at an address.
fn put(
    node: &mut Node,
    address: &str,
    (environment, key): (&Environment, &str),
    value: Node,
) -> Result<(), AddressError> {
    set(node, address, environment.origins.mark(key, value))
}

/// Puts the environment's values into one object.
pub(super) fn fill(
    object: &mut Object,
    environment: &Environment,
    upstream: &Upstream,
) -> Result<(), AddressError> {
    // What a component puts into another namespace, such as MetalLB's, stays there.
    if object.is_namespaced() && ["", SAMPLE_NAMESPACE].contains(&object.namespace()) {
        let namespace = text(environment.namespace.as_str());
        put(&mut object.node, "metadata.namespace", (environment, "namespace"), namespace)?;
    }
    match object.kind().to_owned().as_str() {
        "Namespace" => namespace(&mut object.node, environment),
        "StatefulSet" => stateful_set(&mut object.node, environment, upstream),
        "Service" => port(&mut object.node, "spec.ports[name=http].port", upstream),
        "Ingress" => ingress(&mut object.node, environment, upstream),
        "PersistentVolume" => volume(&mut object.node, environment),
        "ClusterIssuer" => issuer(&mut object.node, environment),
        "IPAddressPool" => pool(&mut object.node, environment),
        _ => Ok(()),
    }
}

/// The registry's own defaults of an environment: what the build bakes into
/// `warren-registry`, as setting and value.
#[must_use]
pub fn registry_defaults(environment: &Environment, upstream: &Upstream) -> Vec<(String, String)> {
    let pairs = [
        ("bind", format!("[::]:{}", upstream.port)),
        ("hostname", environment.domain.as_str().to_owned()),
        ("data-dir", upstream.data_path.clone()),
        ("user", environment.registry.user.as_str().to_owned()),
        ("password", "file:///etc/trow/pass".to_owned()),
        ("log-level", environment.registry.log_level.as_str().to_owned()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// The image that serves: the upstream's pinned one, or our own.
fn image(environment: &Environment, upstream: &Upstream) -> Node {
    if let Some(image) = &environment.registry.image {
        return environment.origins.mark("registry.image", text(image.as_str()));
    }
    match environment.registry.engine {
        Engine::Warren => {
            let ours = concat!("localhost/warren-registry:", env!("CARGO_PKG_VERSION"));
            environment.origins.mark("registry.engine", text(ours))
        }
        Engine::Trow => upstream_image(upstream),
    }
}

fn upstream_image(upstream: &Upstream) -> Node {
    upstream.origins.mark("image.tag", text(&upstream.image.to_string()))
}

fn namespace(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    put(node, "metadata.name", (environment, "namespace"), text(environment.namespace.as_str()))?;
    let enforce = environment.pod_security.enforce.as_str();
    let label = "metadata.labels[\"pod-security.kubernetes.io/enforce\"]";
    put(node, label, (environment, "pod_security.enforce"), text(enforce))?;
    for mode in ["audit", "warn"] {
        let level = PodSecurityLevel::Restricted.as_str();
        let key = format!("metadata.labels[\"pod-security.kubernetes.io/{mode}\"]");
        set(node, &key, text(level))?;
    }
    Ok(())
}

fn stateful_set(
    node: &mut Node,
    environment: &Environment,
    upstream: &Upstream,
) -> Result<(), AddressError> {
    set(node, &format!("{CONTAINER}.image"), image(environment, upstream))?;
    let defaults = registry_defaults(environment, upstream);
    for (name, value) in &defaults {
        // Trow has no flag for the level of its log.
        if name != "log-level" {
            let value = argument_origin(environment, upstream, name, text(value));
            set(node, &format!("{CONTAINER}.args[after=--{name}]"), value)?;
        }
    }
    put(
        node,
        &format!("{CONTAINER}.env[name=RUST_LOG].value"),
        (environment, "registry.log_level"),
        text(environment.registry.log_level.as_str()),
    )?;
    port(node, &format!("{CONTAINER}.ports[name=http].containerPort"), upstream)?;
    set(
        node,
        &format!("{CONTAINER}.volumeMounts[name=data-vol].mountPath"),
        upstream.origins.mark(DATA_PATH, text(&upstream.data_path)),
    )?;
    let owner = environment.storage.owner;
    let security = "spec.template.spec.securityContext";
    for (field, key, id) in [
        ("runAsUser", "storage.owner.uid", owner.uid),
        ("runAsGroup", "storage.owner.gid", owner.gid),
        ("fsGroup", "storage.owner.gid", owner.gid),
    ] {
        let address = format!("{security}.{field}");
        put(node, &address, (environment, key), Node::integer(id.into()))?;
    }
    let claim = "spec.volumeClaimTemplates[metadata.name=data-vol]";
    put(
        node,
        &format!("{claim}.spec.resources.requests.storage"),
        (environment, "storage.size"),
        text(environment.storage.size.as_str()),
    )?;
    let class = match environment.storage.volume {
        Volume::HostPath { .. } => "",
        Volume::Local { .. } => "trow-local",
    };
    let address = format!("{claim}.spec.storageClassName");
    put(node, &address, (environment, "storage.kind"), text(class))?;
    let own = "spec.template.spec.initContainers[name=own-data]";
    if find(node, own).is_ok() {
        // Whatever engine serves, this needs a shell: the upstream's image has one.
        set(node, &format!("{own}.image"), upstream_image(upstream))?;
        let owner = Node::sequence([text(&format!("{}:{}", owner.uid, owner.gid))]);
        put(node, &format!("{own}.args"), (environment, "storage.owner"), owner)?;
    }
    let resources = &environment.registry.resources;
    for (kind, amounts) in [("requests", &resources.requests), ("limits", &resources.limits)] {
        for (name, amount) in [("cpu", &amounts.cpu), ("memory", &amounts.memory)] {
            if let Some(amount) = amount {
                let address = format!("{CONTAINER}.resources.{kind}.{name}");
                let key = format!("registry.resources.{kind}.{name}");
                put(node, &address, (environment, &key), text(amount.as_str()))?;
            }
        }
    }
    Ok(())
}

fn ingress(
    node: &mut Node,
    environment: &Environment,
    upstream: &Upstream,
) -> Result<(), AddressError> {
    let ingress = &environment.ingress;
    let domain = environment.domain.as_str();
    let class = text(ingress.class.as_str());
    put(node, "spec.ingressClassName", (environment, "ingress.class"), class)?;
    let nginx = "nginx.ingress.kubernetes.io/proxy";
    let issuer = environment.tls.issuer.as_str().to_owned();
    let annotations = [
        ("cert-manager.io/cluster-issuer".to_owned(), "tls.issuer", issuer),
        (format!("{nginx}-body-size"), "ingress.body_size", ingress.body_size.as_str().to_owned()),
        (format!("{nginx}-read-timeout"), "ingress.read_timeout", ingress.read_timeout.to_string()),
        (format!("{nginx}-send-timeout"), "ingress.send_timeout", ingress.send_timeout.to_string()),
    ];
    for (name, key, value) in annotations {
        let address = format!("metadata.annotations[\"{name}\"]");
        put(node, &address, (environment, key), text(&value))?;
    }
    let paths = Node::sequence([Node::mapping([
        ("path", text("/")),
        ("pathType", text("Prefix")),
        (
            "backend",
            Node::mapping([(
                "service",
                Node::mapping([
                    ("name", text("trow-svc")),
                    ("port", Node::mapping([("number", port_number(upstream))])),
                ]),
            )]),
        ),
    ])]);
    let domain = || environment.origins.mark("domain", text(domain));
    let rule = Node::mapping([("host", domain()), ("http", Node::mapping([("paths", paths)]))]);
    set(node, "spec.rules", Node::sequence([rule]))?;
    let tls = Node::mapping([
        ("hosts", Node::sequence([domain()])),
        ("secretName", text("trow-registry-tls")),
    ]);
    set(node, "spec.tls", Node::sequence([tls]))
}

fn volume(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let storage = &environment.storage;
    let size = text(storage.size.as_str());
    put(node, "spec.capacity.storage", (environment, "storage.size"), size)?;
    let namespace = text(environment.namespace.as_str());
    put(node, "spec.claimRef.namespace", (environment, "namespace"), namespace)?;
    let kind = match storage.volume {
        Volume::HostPath { .. } => "hostPath",
        Volume::Local { .. } => "local",
    };
    let path = text(storage.path.as_str());
    put(node, &format!("spec.{kind}.path"), (environment, "storage.path"), path)?;
    let Some(name) = storage.node() else { return Ok(()) };
    let expression = Node::mapping([
        ("key", text("kubernetes.io/hostname")),
        ("operator", text("In")),
        ("values", Node::sequence([text(name.as_str())])),
    ]);
    let term = Node::mapping([("matchExpressions", Node::sequence([expression]))]);
    let required = Node::mapping([("nodeSelectorTerms", Node::sequence([term]))]);
    let affinity = Node::mapping([("required", required)]);
    put(node, "spec.nodeAffinity", (environment, "storage.node"), affinity)
}

fn issuer(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let name = text(environment.tls.issuer.as_str());
    put(node, "metadata.name", (environment, "tls.issuer"), name)?;
    let secret = text(environment.tls.ca_secret.as_str());
    put(node, "spec.ca.secretName", (environment, "tls.ca_secret"), secret)
}

fn pool(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let Some(address) = &environment.address else { return Ok(()) };
    let bits = if address.ip.is_ipv4() { 32 } else { 128 };
    let range = text(&format!("{}/{bits}", address.ip));
    put(node, "spec.addresses", (environment, "address.ip"), Node::sequence([range]))
}

fn port(node: &mut Node, address: &str, upstream: &Upstream) -> Result<(), AddressError> {
    set(node, address, port_number(upstream))
}

fn port_number(upstream: &Upstream) -> Node {
    upstream.origins.mark(PORT, Node::integer(upstream.port.into()))
}

/// Says which key or row causes an argument; those that are always the same
/// are the program's.
fn argument_origin(
    environment: &Environment,
    upstream: &Upstream,
    name: &str,
    value: Node,
) -> Node {
    match name {
        "bind" => upstream.origins.mark(PORT, value),
        "hostname" => environment.origins.mark("domain", value),
        "data-dir" => upstream.origins.mark(DATA_PATH, value),
        "user" => environment.origins.mark("registry.user", value),
        _ => value,
    }
}

fn text(text: &str) -> Node {
    Node::string(text)
}
