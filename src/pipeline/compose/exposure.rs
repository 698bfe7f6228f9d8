//! What lets requests in: annotations of an Ingress in its controller's own
//! terms, the route of the Gateway API, the Service's type and address.

use super::super::address::{AddressError, find_mut};
use super::super::environment::{AddressProvider, Controller, Environment, ExposureKind, TlsKind};
use super::super::origins::Origins;
use super::super::upstream::Upstream;
use super::super::yaml::Node;
use super::fill::{mark, put, text};

/// The annotations by which an Ingress tells its controller size and patience,
/// with the key that each comes from.
pub(super) fn annotations(environment: &Environment) -> Vec<(&'static str, &'static str, String)> {
    let ingress = &environment.ingress;
    let (size, read, send) = ("ingress.body_size", "ingress.read_timeout", "ingress.send_timeout");
    let inside = environment.serves_tls();
    let mut found = match ingress.controller {
        Controller::IngressNginx => vec![
            (
                "nginx.ingress.kubernetes.io/proxy-body-size",
                size,
                ingress.body_size.as_str().to_owned(),
            ),
            (
                "nginx.ingress.kubernetes.io/proxy-read-timeout",
                read,
                ingress.read_timeout.to_string(),
            ),
            (
                "nginx.ingress.kubernetes.io/proxy-send-timeout",
                send,
                ingress.send_timeout.to_string(),
            ),
        ],
        Controller::Traefik => {
            let mut found = vec![
                (
                    "traefik.ingress.kubernetes.io/router.entrypoints",
                    "ingress.controller",
                    "websecure".to_owned(),
                ),
                (
                    "traefik.ingress.kubernetes.io/router.tls",
                    "ingress.controller",
                    "true".to_owned(),
                ),
            ];
            if ingress.body_size.as_str() != "0" {
                let middleware = format!("{}-trow-body@kubernetescrd", environment.namespace);
                found.push(("traefik.ingress.kubernetes.io/router.middlewares", size, middleware));
            }
            found
        }
        Controller::Haproxy => {
            vec![("haproxy.org/timeout-server", read, format!("{}s", ingress.read_timeout))]
        }
        Controller::HaproxyIngress => vec![
            (
                "haproxy-ingress.github.io/proxy-body-size",
                size,
                haproxy_size(ingress.body_size.as_str()),
            ),
            (
                "haproxy-ingress.github.io/timeout-server",
                read,
                format!("{}s", ingress.read_timeout),
            ),
            (
                "haproxy-ingress.github.io/timeout-client",
                send,
                format!("{}s", ingress.send_timeout),
            ),
        ],
    };
    if inside {
        // The registry ends TLS as well, for the webhook.
        found.extend(match ingress.controller {
            Controller::IngressNginx => Some((
                "nginx.ingress.kubernetes.io/backend-protocol",
                "admission.kind",
                "HTTPS".to_owned(),
            )),
            Controller::Haproxy => {
                Some(("haproxy.org/server-ssl", "admission.kind", "true".to_owned()))
            }
            Controller::HaproxyIngress => Some((
                "haproxy-ingress.github.io/secure-backends",
                "admission.kind",
                "true".to_owned(),
            )),
            Controller::Traefik => None,
        });
    }
    found
}

/// The community's controller has a word of its own for "no limit".
fn haproxy_size(size: &str) -> String {
    if size == "0" { "unlimited".to_owned() } else { size.to_ascii_lowercase() }
}

/// The Service: its type, its ports, and what asks for its address.
pub(super) fn service(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let kind = environment.exposure.kind;
    let service = &environment.service;
    traefik_service(node, environment)?;
    if !kind.is_direct() {
        return Ok(());
    }
    let balanced = kind == ExposureKind::LoadBalancer;
    let word = if balanced { "LoadBalancer" } else { "NodePort" };
    put(node, "spec.type", (environment, "exposure.kind"), text(word))?;
    let policy = text(service.traffic_policy.as_str());
    let key = (environment, "service.traffic_policy");
    put(node, "spec.externalTrafficPolicy", key, policy)?;
    // One port, for those inside the cluster too: every port of such a Service is
    // open to the outside.
    let mut port = vec![
        ("name", text("https")),
        ("port", Node::integer(service.port.get().into())),
        ("targetPort", text("http")),
        ("protocol", text("TCP")),
    ];
    if let Some(number) = service.node_port {
        port.push(("nodePort", Node::integer(number.get().into())));
    }
    let ports = Node::sequence([Node::mapping(port)]);
    put(node, "spec.ports", (environment, "service.port"), ports)?;
    if let Some(class) = &service.class {
        let key = (environment, "service.class");
        put(node, "spec.loadBalancerClass", key, text(class.as_str()))?;
    }
    if !service.source_ranges.is_empty() {
        let ranges = service.source_ranges.iter().map(|range| text(range.as_str()));
        let key = (environment, "service.source_ranges");
        put(node, "spec.loadBalancerSourceRanges", key, Node::sequence(ranges))?;
    }
    for (name, value) in &service.annotations {
        let origin = Origins::entry("service.annotations", name.as_str());
        annotate(node, (environment, &origin), name.as_str(), value.as_str())?;
    }
    service_address(node, environment)
}

/// How a Service asks for the environment's address.
fn service_address(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let Some(address) = &environment.address else { return Ok(()) };
    let ip = address.ip.to_string();
    let key = (environment, "address.ip");
    match address.provider {
        AddressProvider::Metallb => {
            let pool = (environment, "address.pool");
            annotate(node, pool, "metallb.io/address-pool", address.pool.as_str())?;
            annotate(node, key, "metallb.io/loadBalancerIPs", &ip)
        }
        AddressProvider::LoadBalancer => put(node, "spec.loadBalancerIP", key, text(&ip)),
        AddressProvider::ExternalIps => {
            put(node, "spec.externalIPs", key, Node::sequence([text(&ip)]))
        }
        AddressProvider::None => Ok(()),
    }
}

/// Traefik reads how to talk to the registry from the Service.
fn traefik_service(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    if environment.exposure.kind != ExposureKind::Ingress
        || environment.ingress.controller != Controller::Traefik
    {
        return Ok(());
    }
    let transport = format!("{}-trow-transport@kubernetescrd", environment.namespace);
    let name = "traefik.ingress.kubernetes.io/service.serverstransport";
    annotate(node, (environment, "ingress.read_timeout"), name, &transport)?;
    if environment.serves_tls() {
        let name = "traefik.ingress.kubernetes.io/service.serversscheme";
        annotate(node, (environment, "admission.kind"), name, "https")?;
    }
    Ok(())
}

/// Puts an annotation, where there may be none yet.
pub(super) fn annotate(
    node: &mut Node,
    key: (&Environment, &str),
    name: &str,
    value: &str,
) -> Result<(), AddressError> {
    let metadata = find_mut(node, "metadata")?;
    if metadata.get("annotations").is_none()
        && let Some(metadata) = metadata.as_mapping_mut()
    {
        metadata.set("annotations", Node::mapping([]));
    }
    put(node, &format!("metadata.annotations[\"{name}\"]"), key, text(value))
}

/// How long Traefik waits, and, where the registry ends TLS, whom it believes.
pub(super) fn transport(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let timeout = text(&format!("{}s", environment.ingress.read_timeout));
    let key = (environment, "ingress.read_timeout");
    put(node, "spec.forwardingTimeouts.responseHeaderTimeout", key, timeout)?;
    if environment.serves_tls() {
        let key = (environment, "admission.kind");
        let name = format!("trow-svc.{}.svc", environment.namespace);
        put(node, "spec.serverName", key, text(&name))?;
        let secret = Node::mapping([("secret", text("trow-serving-tls"))]);
        put(node, "spec.rootCAs", key, Node::sequence([secret]))?;
    }
    Ok(())
}

/// The largest body, in bytes.
pub(super) fn body(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let size = environment.ingress.body_size.as_str().to_ascii_lowercase();
    let (number, unit) = match size.strip_suffix(['k', 'm', 'g']) {
        Some(number) => (number, size.chars().next_back()),
        None => (size.as_str(), None),
    };
    let shift = match unit {
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        _ => 0,
    };
    // Twelve digits, which the grammar allows, fit with any unit but the largest.
    let bytes = number.parse::<i64>().unwrap_or_default().saturating_mul(1 << shift);
    let key = (environment, "ingress.body_size");
    put(node, "spec.buffering.maxRequestBodyBytes", key, Node::integer(bytes))
}

/// The route of the Gateway API.
pub(super) fn route(
    node: &mut Node,
    environment: &Environment,
    upstream: &Upstream,
) -> Result<(), AddressError> {
    let gateway = &environment.gateway;
    let mut parent = vec![
        ("group", text("gateway.networking.k8s.io")),
        ("kind", text("Gateway")),
        ("name", text(gateway.name.as_str())),
    ];
    if let Some(namespace) = &gateway.namespace {
        parent.push(("namespace", text(namespace.as_str())));
    }
    // Of a Gateway of ours only the listeners that end TLS.
    let own: Vec<String> =
        if gateway.class.is_some() { listeners(environment) } else { Vec::new() };
    let sections: Vec<String> = match &gateway.listener {
        Some(listener) => vec![listener.to_string()],
        None => own,
    };
    let parents: Vec<Node> = if sections.is_empty() {
        vec![Node::mapping(parent)]
    } else {
        let with = |section: &String| {
            let mut parent = parent.clone();
            parent.push(("sectionName", text(section)));
            Node::mapping(parent)
        };
        sections.iter().map(with).collect()
    };
    put(node, "spec.parentRefs", (environment, "gateway.name"), Node::sequence(parents))?;
    let names = Node::sequence(hosts(environment));
    put(node, "spec.hostnames", (environment, "domain"), names)?;
    let backend = Node::mapping([
        ("group", text("")),
        ("kind", text("Service")),
        ("name", text("trow-svc")),
        ("port", Node::integer(upstream.port.into())),
    ]);
    let path = Node::mapping([("type", text("PathPrefix")), ("value", text("/"))]);
    let matches = Node::sequence([Node::mapping([("path", path)])]);
    let timeout = text(&format!("{}s", gateway.timeout));
    let rule = Node::mapping([
        ("matches", matches),
        ("timeouts", Node::mapping([("request", timeout)])),
        ("backendRefs", Node::sequence([backend])),
    ]);
    put(node, "spec.rules", (environment, "gateway.timeout"), Node::sequence([rule]))
}

/// The names of the listeners that end TLS, one a host name.
fn listeners(environment: &Environment) -> Vec<String> {
    let count = environment.hosts().count();
    (0..count).map(|n| if n == 0 { "https".to_owned() } else { format!("https-{n}") }).collect()
}

/// The Gateway, where it is ours.
pub(super) fn gateway(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let gateway = &environment.gateway;
    put(node, "metadata.name", (environment, "gateway.name"), text(gateway.name.as_str()))?;
    if let Some(class) = &gateway.class {
        let key = (environment, "gateway.class");
        put(node, "spec.gatewayClassName", key, text(class.as_str()))?;
    }
    let routes = Node::mapping([("namespaces", Node::mapping([("from", text("Same"))]))]);
    let secret = Node::mapping([
        ("group", text("")),
        ("kind", text("Secret")),
        ("name", text(environment.tls.secret.as_str())),
    ]);
    let tls =
        Node::mapping([("mode", text("Terminate")), ("certificateRefs", Node::sequence([secret]))]);
    let mut all: Vec<Node> = listeners(environment)
        .iter()
        .zip(environment.hosts())
        .map(|(name, host)| {
            Node::mapping([
                ("name", text(name)),
                ("hostname", text(host.as_str())),
                ("port", Node::integer(443)),
                ("protocol", text("HTTPS")),
                ("tls", tls.clone()),
                ("allowedRoutes", routes.clone()),
            ])
        })
        .collect();
    if environment.tls.kind == TlsKind::Acme {
        // An ACME authority looks here for the proof.
        all.push(Node::mapping([
            ("name", text("http")),
            ("port", Node::integer(80)),
            ("protocol", text("HTTP")),
            ("allowedRoutes", routes),
        ]));
    }
    put(node, "spec.listeners", (environment, "domain"), Node::sequence(all))?;
    let Some(address) = &environment.address else { return Ok(()) };
    let key = (environment, "address.ip");
    let ip = address.ip.to_string();
    match address.provider {
        AddressProvider::LoadBalancer => {
            let asked = Node::mapping([("type", text("IPAddress")), ("value", text(&ip))]);
            put(node, "spec.addresses", key, Node::sequence([asked]))
        }
        // The controller gives the annotation to the Service that it makes.
        AddressProvider::Metallb => {
            let pool = text(address.pool.as_str());
            let annotations = Node::mapping([("metallb.io/address-pool", pool)]);
            let infrastructure = Node::mapping([("annotations", annotations)]);
            put(node, "spec.infrastructure", (environment, "address.pool"), infrastructure)
        }
        AddressProvider::ExternalIps | AddressProvider::None => Ok(()),
    }
}

/// The Service in the controller's namespace that every node answers for.
pub(super) fn external(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let ingress = &environment.ingress;
    let namespace = text(ingress.controller_namespace.as_str());
    put(node, "metadata.namespace", (environment, "ingress.controller_namespace"), namespace)?;
    let mut labels = vec![("app.kubernetes.io/name", text(ingress.controller.app_name()))];
    if ingress.controller == Controller::IngressNginx {
        labels.push(("app.kubernetes.io/component", text("controller")));
    }
    let key = (environment, "ingress.controller");
    put(node, "spec.selector", key, Node::mapping(labels))?;
    if ingress.controller == Controller::Traefik {
        for (port, target) in [("http", "web"), ("https", "websecure")] {
            let address = format!("spec.ports[name={port}].targetPort");
            put(node, &address, key, text(target))?;
        }
    }
    let Some(address) = &environment.address else { return Ok(()) };
    let ips = Node::sequence([text(&address.ip.to_string())]);
    put(node, "spec.externalIPs", (environment, "address.ip"), ips)
}

/// All host names, the domain first.
pub(super) fn hosts(environment: &Environment) -> impl Iterator<Item = Node> {
    environment.hosts().enumerate().map(|(index, host)| {
        let key = if index == 0 { "domain" } else { "aliases" };
        mark(environment, key, text(host.as_str()))
    })
}
