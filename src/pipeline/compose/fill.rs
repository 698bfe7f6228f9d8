//! The environment's values, put where they belong in each object.

use super::super::address::{AddressError, find, set};
use super::super::environment::{Domain, Engine, Environment, PodSecurityLevel, Volume};
use super::super::manifest::Object;
use super::super::upstream::Upstream;
use super::super::yaml::Node;
use super::{admission, exposure, monitoring, network, pod, secrets, tls};

/// The container that serves, in the StatefulSet.
pub(super) const CONTAINER: &str = "spec.template.spec.containers[name=trow-pod]";

/// Rows of the lock.
const PORT: &str = "contract[name=port].value";
const DATA_PATH: &str = "contract[name=data-path].value";

/// The namespace that stands in the base for the environment's.
const SAMPLE_NAMESPACE: &str = "trow";

/// Puts a value that a key of the environment causes at an address.
pub(super) fn put(
    node: &mut Node,
    address: &str,
    (environment, key): (&Environment, &str),
    value: Node,
) -> Result<(), AddressError> {
    set(node, address, mark(environment, key, value))
}

/// Says which key a node comes from.
pub(super) fn mark(environment: &Environment, key: &str, node: Node) -> Node {
    environment.origins.mark(key, node)
}

/// Puts the environment's values into one object. `dashboard` is the content of
/// [`monitoring::DASHBOARD`], where it is wanted.
pub(super) fn fill(
    object: &mut Object,
    environment: &Environment,
    upstream: &Upstream,
    dashboard: &str,
) -> Result<(), AddressError> {
    // What a component puts into another namespace, such as MetalLB's, stays there.
    let home = object.is_namespaced() && ["", SAMPLE_NAMESPACE].contains(&object.namespace());
    if home {
        let namespace = text(environment.namespace.as_str());
        put(&mut object.node, "metadata.namespace", (environment, "namespace"), namespace)?;
    }
    let (kind, name) = (object.kind().to_owned(), object.name().to_owned());
    let namespaced = object.is_namespaced();
    let node = &mut object.node;
    // What somebody adds to the base is theirs: only our own objects are filled,
    // known by kind, name and place.
    match (kind.as_str(), name.as_str()) {
        ("Service", "trow-external") => exposure::external(node, environment),
        ("IPAddressPool" | "L2Advertisement", "trow") => pool(node, environment),
        (kind, name) if home => fill_home(node, (kind, name), environment, upstream, dashboard),
        (kind, name) if !namespaced => fill_cluster(node, (kind, name), environment, upstream),
        _ => Ok(()),
    }
}

/// Our objects of the environment's namespace.
fn fill_home(
    node: &mut Node,
    id: (&str, &str),
    environment: &Environment,
    upstream: &Upstream,
    dashboard: &str,
) -> Result<(), AddressError> {
    match id {
        STATEFUL_SET => {
            stateful_set(node, environment, upstream)?;
            pod::fill(node, environment)
        }
        ("Service", "trow-svc") => {
            port(node, "spec.ports[name=http].port", upstream)?;
            exposure::service(node, environment)
        }
        ("Ingress", "trow-ingress") => ingress(node, environment, upstream),
        ("HTTPRoute", "trow-route") => exposure::route(node, environment, upstream),
        ("Gateway", "trow-gateway") => exposure::gateway(node, environment),
        ("Middleware", "trow-body") => exposure::body(node, environment),
        ("ServersTransport", "trow-transport") => exposure::transport(node, environment),
        ("Certificate", "trow-serving") => tls::serving(node, environment),
        ("Certificate", "trow-registry-tls") => tls::domain(node, environment),
        ("ConfigMap", "trow-config") => {
            let file = text(&admission::configuration(environment));
            put(node, "data[\"config.yaml\"]", (environment, "admission"), file)
        }
        ("ConfigMap", "trow-dashboard") if environment.monitoring.dashboard => {
            monitoring::dashboard(node, environment, dashboard)
        }
        ("NetworkPolicy", "trow") => network::policy(node, environment),
        ("PodDisruptionBudget", "trow") => network::budget(node, environment),
        ("ServiceMonitor", "trow") => monitoring::service_monitor(node, environment),
        ("ExternalSecret", name @ ("trow-pass" | "trow-cred")) => {
            secrets::external(node, name, environment)
        }
        _ => Ok(()),
    }
}

/// Our objects that live in no namespace.
fn fill_cluster(
    node: &mut Node,
    id: (&str, &str),
    environment: &Environment,
    upstream: &Upstream,
) -> Result<(), AddressError> {
    match id {
        NAMESPACE => namespace(node, environment),
        ("PersistentVolume", "trow-data-hostpath-pv" | "trow-data-local-pv") => {
            volume(node, environment)
        }
        ("ClusterIssuer", name) if Some(name) == tls::component(environment) => {
            tls::issuer(node, environment)
        }
        ("ValidatingWebhookConfiguration", "trow-validator") => {
            admission::webhook(node, environment, upstream)
        }
        ("ValidatingAdmissionPolicy", "trow-validator") => admission::policy(node, environment),
        _ => Ok(()),
    }
}

/// Kind and name of the set that serves, and of the namespace that it serves in:
/// without them an environment's keys would go nowhere.
pub(super) const STATEFUL_SET: (&str, &str) = ("StatefulSet", "trow-set");
/// The namespace, as the base calls it.
pub(super) const NAMESPACE: (&str, &str) = ("Namespace", SAMPLE_NAMESPACE);

/// The registry's own defaults of an environment: what the build bakes into
/// `warren-registry`, as setting and value.
#[must_use]
pub fn registry_defaults(environment: &Environment, upstream: &Upstream) -> Vec<(String, String)> {
    let pairs = [
        ("bind", format!("[::]:{}", upstream.port)),
        ("hostname", environment.hosts().map(Domain::as_str).collect::<Vec<_>>().join(",")),
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
        // Trow has no flag for the level of its log, and one host name alone.
        if name == "hostname" && environment.registry.engine == Engine::Trow {
            let domain = text(environment.domain.as_str());
            let address = format!("{CONTAINER}.args[after=--hostname]");
            put(node, &address, (environment, "domain"), domain)?;
        } else if name != "log-level" {
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
    let class = text(ingress.class.as_str());
    put(node, "spec.ingressClassName", (environment, "ingress.class"), class)?;
    if environment.tls.is_issued() {
        let issuer = text(environment.tls.issuer.as_str());
        let address = "metadata.annotations[\"cert-manager.io/cluster-issuer\"]";
        put(node, address, (environment, "tls.issuer"), issuer)?;
    }
    for (name, key, value) in exposure::annotations(environment) {
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
    let http = Node::mapping([("paths", paths)]);
    let rules = exposure::hosts(environment)
        .map(|host| Node::mapping([("host", host), ("http", http.clone())]));
    set(node, "spec.rules", Node::sequence(rules))?;
    let secret = text(environment.tls.secret.as_str());
    let tls = Node::mapping([
        ("hosts", Node::sequence(exposure::hosts(environment))),
        ("secretName", mark(environment, "tls.secret", secret)),
    ]);
    set(node, "spec.tls", Node::sequence([tls]))
}

fn volume(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let storage = &environment.storage;
    if let Some(size) = &storage.size {
        let size = text(size.as_str());
        put(node, "spec.capacity.storage", (environment, "storage.size"), size)?;
    }
    let modes = Node::sequence([text(storage.access_mode.as_str())]);
    put(node, "spec.accessModes", (environment, "storage.access_mode"), modes)?;
    let namespace = text(environment.namespace.as_str());
    put(node, "spec.claimRef.namespace", (environment, "namespace"), namespace)?;
    let kind = match storage.volume {
        Volume::HostPath { .. } => "hostPath",
        _ => "local",
    };
    if let Some(path) = storage.path() {
        let path = text(path.as_str());
        put(node, &format!("spec.{kind}.path"), (environment, "storage.path"), path)?;
    }
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

fn pool(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let Some(address) = environment.address.as_ref().filter(|address| address.create_pool) else {
        return Ok(());
    };
    let name = text(address.pool.as_str());
    put(node, "metadata.name", (environment, "address.pool"), name.clone())?;
    if node.get("kind").and_then(Node::as_str) == Some("L2Advertisement") {
        let pools = Node::sequence([name]);
        return put(node, "spec.ipAddressPools", (environment, "address.pool"), pools);
    }
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

pub(super) fn text(text: &str) -> Node {
    Node::string(text)
}
