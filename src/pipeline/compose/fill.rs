//! The environment's values, put where they belong in each object.

use super::super::address::{AddressError, find, set};
use super::super::environment::{Engine, Environment, PodSecurityLevel, Volume};
use super::super::manifest::Object;
use super::super::upstream::Upstream;
use super::super::yaml::Node;

/// The container that serves, in the StatefulSet.
const CONTAINER: &str = "spec.template.spec.containers[name=trow-pod]";

/// The namespace that stands in the base for the environment's.
const SAMPLE_NAMESPACE: &str = "trow";

/// Puts the environment's values into one object.
pub(super) fn fill(
    object: &mut Object,
    environment: &Environment,
    upstream: &Upstream,
) -> Result<(), AddressError> {
    // What a component puts into another namespace, such as MetalLB's, stays there.
    if object.is_namespaced() && ["", SAMPLE_NAMESPACE].contains(&object.namespace()) {
        set(&mut object.node, "metadata.namespace", text(environment.namespace.as_str()))?;
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
fn image(environment: &Environment, upstream: &Upstream) -> String {
    if let Some(image) = &environment.registry.image {
        return image.as_str().to_owned();
    }
    match environment.registry.engine {
        Engine::Warren => {
            concat!("localhost/warren-registry:", env!("CARGO_PKG_VERSION")).to_owned()
        }
        Engine::Trow => upstream.image.to_string(),
    }
}

fn namespace(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    set(node, "metadata.name", text(environment.namespace.as_str()))?;
    let enforce = environment.pod_security.enforce.as_str();
    set(node, "metadata.labels[\"pod-security.kubernetes.io/enforce\"]", text(enforce))?;
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
    let image = image(environment, upstream);
    set(node, &format!("{CONTAINER}.image"), text(&image))?;
    let defaults = registry_defaults(environment, upstream);
    for (name, value) in &defaults {
        // Trow has no flag for the level of its log.
        if name != "log-level" {
            set(node, &format!("{CONTAINER}.args[after=--{name}]"), text(value))?;
        }
    }
    set(
        node,
        &format!("{CONTAINER}.env[name=RUST_LOG].value"),
        text(environment.registry.log_level.as_str()),
    )?;
    port(node, &format!("{CONTAINER}.ports[name=http].containerPort"), upstream)?;
    set(
        node,
        &format!("{CONTAINER}.volumeMounts[name=data-vol].mountPath"),
        text(&upstream.data_path),
    )?;
    let owner = environment.storage.owner;
    let security = "spec.template.spec.securityContext";
    set(node, &format!("{security}.runAsUser"), Node::integer(owner.uid.into()))?;
    set(node, &format!("{security}.runAsGroup"), Node::integer(owner.gid.into()))?;
    set(node, &format!("{security}.fsGroup"), Node::integer(owner.gid.into()))?;
    let claim = "spec.volumeClaimTemplates[metadata.name=data-vol]";
    set(
        node,
        &format!("{claim}.spec.resources.requests.storage"),
        text(environment.storage.size.as_str()),
    )?;
    let class = match environment.storage.volume {
        Volume::HostPath { .. } => "",
        Volume::Local { .. } => "trow-local",
    };
    set(node, &format!("{claim}.spec.storageClassName"), text(class))?;
    let own = "spec.template.spec.initContainers[name=own-data]";
    if find(node, own).is_ok() {
        // Whatever engine serves, this needs a shell: the upstream's image has one.
        set(node, &format!("{own}.image"), text(&upstream.image.to_string()))?;
        let owner = text(&format!("{}:{}", owner.uid, owner.gid));
        set(node, &format!("{own}.args"), Node::sequence([owner]))?;
    }
    let resources = &environment.registry.resources;
    for (kind, amounts) in [("requests", &resources.requests), ("limits", &resources.limits)] {
        for (name, amount) in [("cpu", &amounts.cpu), ("memory", &amounts.memory)] {
            if let Some(amount) = amount {
                let address = format!("{CONTAINER}.resources.{kind}.{name}");
                set(node, &address, text(amount.as_str()))?;
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
    set(node, "spec.ingressClassName", text(ingress.class.as_str()))?;
    let annotations = [
        ("cert-manager.io/cluster-issuer", environment.tls.issuer.as_str().to_owned()),
        ("nginx.ingress.kubernetes.io/proxy-body-size", ingress.body_size.as_str().to_owned()),
        ("nginx.ingress.kubernetes.io/proxy-read-timeout", ingress.read_timeout.to_string()),
        ("nginx.ingress.kubernetes.io/proxy-send-timeout", ingress.send_timeout.to_string()),
    ];
    for (name, value) in annotations {
        set(node, &format!("metadata.annotations[\"{name}\"]"), text(&value))?;
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
                    ("port", Node::mapping([("number", Node::integer(upstream.port.into()))])),
                ]),
            )]),
        ),
    ])]);
    let rule = Node::mapping([("host", text(domain)), ("http", Node::mapping([("paths", paths)]))]);
    set(node, "spec.rules", Node::sequence([rule]))?;
    let tls = Node::mapping([
        ("hosts", Node::sequence([text(domain)])),
        ("secretName", text("trow-registry-tls")),
    ]);
    set(node, "spec.tls", Node::sequence([tls]))
}

fn volume(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let storage = &environment.storage;
    set(node, "spec.capacity.storage", text(storage.size.as_str()))?;
    set(node, "spec.claimRef.namespace", text(environment.namespace.as_str()))?;
    let kind = match storage.volume {
        Volume::HostPath { .. } => "hostPath",
        Volume::Local { .. } => "local",
    };
    set(node, &format!("spec.{kind}.path"), text(storage.path.as_str()))?;
    let Some(name) = storage.node() else { return Ok(()) };
    let expression = Node::mapping([
        ("key", text("kubernetes.io/hostname")),
        ("operator", text("In")),
        ("values", Node::sequence([text(name.as_str())])),
    ]);
    let term = Node::mapping([("matchExpressions", Node::sequence([expression]))]);
    let required = Node::mapping([("nodeSelectorTerms", Node::sequence([term]))]);
    set(node, "spec.nodeAffinity", Node::mapping([("required", required)]))
}

fn issuer(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    set(node, "metadata.name", text(environment.tls.issuer.as_str()))?;
    set(node, "spec.ca.secretName", text(environment.tls.ca_secret.as_str()))
}

fn pool(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let Some(address) = &environment.address else { return Ok(()) };
    let bits = if address.ip.is_ipv4() { 32 } else { 128 };
    let range = text(&format!("{}/{bits}", address.ip));
    set(node, "spec.addresses", Node::sequence([range]))
}

fn port(node: &mut Node, address: &str, upstream: &Upstream) -> Result<(), AddressError> {
    set(node, address, Node::integer(upstream.port.into()))
}

fn text(text: &str) -> Node {
    Node::string(text)
}
