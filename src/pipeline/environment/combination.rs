//! Keys that are right one by one and can't work together. Each is refused at
//! the key that is easiest to change, with the way out.

use std::ops::Range;

use toml::de::DeTable;

use super::{
    AccessMode, AddressProvider, AdmissionKind, Controller, DisruptionBudget, Engine, Environment,
    ExposureKind, PodSecurityLevel, TlsKind, Verdict, Volume,
};

/// What can't work together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    /// The key that it is said at: `storage.kind`.
    pub key: &'static str,
    /// Why it can't work.
    pub reason: String,
    /// The way out.
    pub hint: String,
}

type Check = Result<(), Conflict>;

/// A conflict, where the condition holds.
fn refuse(holds: bool, key: &'static str, reason: &str, hint: &str) -> Check {
    if !holds {
        return Ok(());
    }
    Err(Conflict { key, reason: reason.to_owned(), hint: hint.to_owned() })
}

/// Refuses what can't work together.
pub(super) fn check(environment: &Environment) -> Check {
    storage(environment)?;
    registry(environment)?;
    tls(environment)?;
    exposure(environment)?;
    address(environment)?;
    scheduling(environment)?;
    admission(environment)?;
    network(environment)?;
    monitoring(environment)?;
    labels(environment)
}

/// Where a key stands, or the nearest table around it that is there.
pub(super) fn span_of(tables: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let mut span = None;
    let mut table = Some(tables);
    for step in key.split('.') {
        let Some(value) = table.and_then(|table| table.get(step)) else { break };
        span = Some(value.span());
        table = value.get_ref().as_table();
    }
    span
}

fn storage(environment: &Environment) -> Check {
    let storage = &environment.storage;
    let folder = storage.path().is_some();
    refuse(
        matches!(storage.volume, Volume::HostPath { .. })
            && environment.pod_security.enforce == PodSecurityLevel::Restricted,
        "storage.kind",
        "a restricted namespace refuses the init container that gives a host path its owner",
        "set `enforce = \"baseline\"` below `[pod_security]`, or use a local volume",
    )?;
    refuse(
        folder && storage.access_mode == AccessMode::ReadWriteMany,
        "storage.access_mode",
        "a folder of one node can't be mounted by the pods of others",
        "use `ReadWriteOnce`, or another kind of volume",
    )?;
    refuse(
        storage.access_mode == AccessMode::ReadWriteOncePod && environment.kubernetes.minor() < 29,
        "storage.access_mode",
        "`ReadWriteOncePod` is stable since Kubernetes 1.29",
        "use `ReadWriteOnce`, or a newer cluster",
    )
}

fn registry(environment: &Environment) -> Check {
    let registry = &environment.registry;
    let trow = registry.engine == Engine::Trow;
    refuse(
        trow && registry.replicas.get() > 1,
        "registry.replicas",
        "the upstream keeps its index in a database that one process alone may write",
        "use `replicas = 1`, or `engine = \"warren\"`",
    )?;
    let shared = matches!(environment.storage.volume, Volume::ExistingClaim { .. })
        && environment.storage.access_mode == AccessMode::ReadWriteMany;
    refuse(
        registry.replicas.get() > 1 && !shared,
        "registry.replicas",
        "several pods serve the same images only from one claim that all of them mount",
        "set `kind = \"existing-claim\"` and `access_mode = \"ReadWriteMany\"` below `[storage]`",
    )?;
    refuse(
        trow && registry.users.is_some(),
        "registry.users",
        "the upstream knows one user",
        "remove `users`, or use `engine = \"warren\"`",
    )?;
    refuse(
        trow && !registry.trusted_proxies.is_empty(),
        "registry.trusted_proxies",
        "the upstream has no such argument, and would not start",
        "remove `trusted_proxies`, or use `engine = \"warren\"`",
    )?;
    // What the manifests set themselves, and what would put a password there.
    for argument in &registry.extra_args {
        let flag = argument.as_str().split('=').next().unwrap_or_default();
        let own = [
            "--bind",
            "--hostname",
            "-n",
            "--data-dir",
            "-d",
            "--user",
            "-U",
            "--password",
            "-P",
            "--tls",
            "--cors",
            "--htpasswd",
            "--trusted-proxies",
            "--config-file",
        ];
        refuse(
            own.contains(&flag),
            "registry.extra_args",
            &format!("`{flag}` is set from other keys, and may not stand twice"),
            "use the key: domain, registry.user, registry.users, registry.cors, \
             registry.trusted_proxies, [tls] or [admission]; a password is in a Secret",
        )?;
    }
    Ok(())
}

fn tls(environment: &Environment) -> Check {
    let tls = &environment.tls;
    refuse(
        tls.kind == TlsKind::Acme && !tls.cert_manager,
        "tls.cert_manager",
        "nobody but cert-manager asks an ACME authority here",
        "remove `cert_manager = false`, or use `kind = \"existing-secret\"`",
    )?;
    refuse(
        tls.kind == TlsKind::SelfSigned && !tls.cert_manager,
        "tls.cert_manager",
        "nobody but cert-manager makes a self-signed certificate here",
        "use `kind = \"private-ca\"`, whose certificate `warren secret` then makes",
    )?;
    let gateway = environment.exposure.kind == ExposureKind::Gateway;
    refuse(
        gateway && environment.gateway.class.is_none() && tls.kind == TlsKind::Acme,
        "tls.kind",
        "a Gateway that is there already ends TLS by itself: nothing here could prove the domain",
        "add `class = \"…\"` below `[gateway]` to have the Gateway rendered, or use `kind = \
         \"existing-secret\"`",
    )?;
    refuse(
        tls.kind == TlsKind::Acme && tls.create_issuer && environment.exposure.kind.is_direct(),
        "tls.kind",
        "an ACME authority proves the domain through an Ingress or a Gateway, and there is none",
        "make the ClusterIssuer yourself, with another proof, and set `create_issuer = false`",
    )
}

fn exposure(environment: &Environment) -> Check {
    let ingress = &environment.ingress;
    let kind = environment.exposure.kind;
    refuse(
        kind == ExposureKind::Ingress
            && ingress.controller == Controller::Haproxy
            && ingress.body_size.as_str() != "0",
        "ingress.body_size",
        "the controller of HAProxy Technologies has no annotation for the size of a body",
        "use `body_size = \"0\"`, or `controller = \"haproxy-ingress\"`",
    )?;
    refuse(
        kind == ExposureKind::Gateway && environment.serves_tls(),
        "admission.kind",
        "the registry ends TLS for the webhook, and a route of the Gateway API can't be told so",
        "use `kind = \"policy\"` below `[admission]`, or `kind = \"ingress\"` below `[exposure]`",
    )?;
    refuse(
        environment.gateway.namespace.as_ref().is_some_and(|n| *n != environment.namespace)
            && environment.gateway.class.is_some(),
        "gateway.namespace",
        "a Gateway that is rendered lives in the environment's namespace, with its certificate",
        "remove `namespace`, or `class` where the Gateway is there already",
    )?;
    refuse(
        kind == ExposureKind::NodePort && environment.service.class.is_some(),
        "service.class",
        "a Service of the type NodePort has no class: no load balancer serves it",
        "remove `class`, or use `kind = \"load-balancer\"` below `[exposure]`",
    )?;
    refuse(
        kind == ExposureKind::NodePort && !environment.service.source_ranges.is_empty(),
        "service.source_ranges",
        "a Service of the type NodePort lets everybody in",
        "use `from_networks` below `[network_policy]`, or `kind = \"load-balancer\"` below \
         `[exposure]`",
    )
}

fn address(environment: &Environment) -> Check {
    let Some(address) = &environment.address else { return Ok(()) };
    let kind = environment.exposure.kind;
    let ours = kind == ExposureKind::Gateway && environment.gateway.class.is_some();
    refuse(
        address.provider == AddressProvider::LoadBalancer
            && kind != ExposureKind::LoadBalancer
            && !ours,
        "address.provider",
        "there is no Service or Gateway here that could ask the load balancer for the address",
        "use `kind = \"load-balancer\"` below `[exposure]`, add `class` below `[gateway]`, or set \
         the address where the controller is installed and use `provider = \"none\"`",
    )?;
    refuse(
        address.provider == AddressProvider::Metallb && kind == ExposureKind::NodePort,
        "address.provider",
        "MetalLB gives addresses to Services of the type LoadBalancer alone",
        "use `kind = \"load-balancer\"` below `[exposure]`, or `provider = \"none\"`",
    )?;
    refuse(
        address.provider == AddressProvider::ExternalIps && kind == ExposureKind::Gateway,
        "address.provider",
        "the Service of a Gateway is made by its controller, which can't be given `externalIPs`",
        "use `provider = \"load-balancer\"` or `\"metallb\"`",
    )
}

fn scheduling(environment: &Environment) -> Check {
    let scheduling = &environment.scheduling;
    let mut keys: Vec<_> = scheduling.topology_spread.iter().map(|it| &it.topology_key).collect();
    keys.sort_unstable();
    let twice = keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
    refuse(
        twice,
        "scheduling.topology_spread",
        "two entries have the same `topology_key`",
        "keep one of them",
    )?;
    let Some(node) = environment.storage.node() else { return Ok(()) };
    // Only labels that this file gives out are known; others may well be there.
    let lacks = scheduling.node_selector.iter().any(|(key, value)| {
        let carries = |name: &str| {
            scheduling
                .node_labels
                .iter()
                .any(|(other, labels)| other.as_str() == name && labels.get(key) == Some(value))
        };
        let given = scheduling.node_labels.values().any(|labels| labels.get(key) == Some(value));
        given && !carries(node.as_str())
    });
    refuse(
        lacks,
        "scheduling.node_selector",
        &format!("the data is on the node `{node}`, which is not among those with these labels"),
        "give that node the labels below `[scheduling.node_labels]`, or choose others",
    )
}

fn admission(environment: &Environment) -> Check {
    let admission = &environment.admission;
    let none = admission.kind == AdmissionKind::None;
    refuse(
        !none && admission.default == Verdict::Deny && admission.allow.is_empty(),
        "admission.kind",
        "no image could run: everything is denied, and nothing allowed",
        "name what may run with `allow = [\"…\"]`, or use `default = \"allow\"`",
    )?;
    refuse(
        admission.kind == AdmissionKind::Policy && environment.kubernetes.minor() < 30,
        "admission.kind",
        "ValidatingAdmissionPolicy is stable since Kubernetes 1.30",
        "use `kind = \"webhook\"`, or a newer cluster",
    )?;
    let webhook = admission.kind == AdmissionKind::Webhook;
    refuse(
        webhook && !environment.tls.cert_manager,
        "admission.kind",
        "the API server calls a webhook by TLS, and nobody here signs the Service's name",
        "use `kind = \"policy\"`, or set `cert_manager = true` below `[tls]`",
    )?;
    refuse(
        webhook
            && environment.exposure.kind.is_direct()
            && matches!(environment.tls.kind, TlsKind::Acme | TlsKind::ExistingSecret),
        "admission.kind",
        "the registry has one certificate, the domain's, and the API server asks for the \
         Service's name",
        "use `kind = \"policy\"`, or `kind = \"private-ca\"` below `[tls]`",
    )
}

fn network(environment: &Environment) -> Check {
    let policy = &environment.network_policy;
    let by_namespace_alone =
        policy.enabled && policy.from_networks.is_empty() && !policy.from_namespaces.is_empty();
    refuse(
        by_namespace_alone && environment.exposure.kind.is_direct(),
        "network_policy.from_namespaces",
        "clients from outside the cluster belong to no namespace, and would be kept out",
        "name their networks with `from_networks = [\"…\"]`",
    )?;
    refuse(
        by_namespace_alone && environment.admission.kind == AdmissionKind::Webhook,
        "network_policy.from_namespaces",
        "the API server, which calls the webhook, belongs to no namespace, and would be kept out",
        "name the control plane's addresses with `from_networks = [\"…\"]`, or use `kind = \
         \"policy\"` below `[admission]`",
    )?;
    let replicas = environment.registry.replicas;
    refuse(
        matches!(environment.disruption_budget, Some(DisruptionBudget::MinAvailable(least)) if least >= replicas),
        "disruption_budget.min_available",
        "no pod could ever go, and no node be emptied",
        "use `max_unavailable = 1`, or fewer than `replicas` below `[registry]`",
    )
}

fn monitoring(environment: &Environment) -> Check {
    let monitoring = &environment.monitoring;
    let trow = environment.registry.engine == Engine::Trow;
    refuse(
        trow && monitoring.service_monitor,
        "monitoring.service_monitor",
        "the upstream has no metrics any more",
        "remove it, or use `engine = \"warren\"` below `[registry]`",
    )?;
    refuse(
        trow && monitoring.dashboard,
        "monitoring.dashboard",
        "the dashboard shows metrics that the upstream does not have",
        "remove it, or use `engine = \"warren\"` below `[registry]`",
    )
}

fn labels(environment: &Environment) -> Check {
    let own = |key: &str| {
        key == "app"
            || ["name", "component", "part-of"]
                .iter()
                .any(|name| key.strip_prefix("app.kubernetes.io/") == Some(name))
    };
    let taken = environment.labels.keys().find(|key| own(key.as_str()));
    refuse(
        taken.is_some(),
        "labels",
        "the objects are found by their own labels `app` and `app.kubernetes.io/…`",
        "choose another key, such as `team`",
    )
}
