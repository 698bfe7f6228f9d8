//! The StatefulSet's parts that are not in every environment: arguments,
//! scheduling, the claim.

use super::super::address::{AddressError, find, find_mut, set};
use super::super::environment::{
    AntiAffinity, Domain, Engine, Environment, Network, NodeRule, PageOrigin, Spread, Toleration,
    Volume,
};
use super::super::origins::Origins;
use super::super::yaml::{Node, Value};
use super::admission;
use super::fill::{CONTAINER, mark, put, text};

/// Where the pod's own specification begins.
const POD: &str = "spec.template.spec";

/// Puts in what the environment asks for.
pub(super) fn fill(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let registry = &environment.registry;
    let replicas = Node::integer(registry.replicas.get().into());
    put(node, "spec.replicas", (environment, "registry.replicas"), replicas)?;
    arguments(node, environment)?;
    claim(node, environment)?;
    scheduling(node, environment)?;
    if let Some(users) = &registry.users {
        let address = format!("{POD}.volumes[name=trow-users].secret.secretName");
        put(node, &address, (environment, "registry.users"), text(users.as_str()))?;
    }
    if environment.serves_tls() {
        let direct = environment.exposure.kind.is_direct();
        let secret = if direct { environment.tls.secret.as_str() } else { "trow-serving-tls" };
        let address = format!("{POD}.volumes[name=trow-tls].secret.secretName");
        put(node, &address, (environment, "tls.secret"), text(secret))?;
    }
    if find(node, &format!("{POD}.volumes[name=trow-config]")).is_ok() {
        // Another configuration is another pod: the upstream reads it once.
        let sum = admission::checksum(environment);
        let annotations = Node::mapping([("checksum/config", text(&sum))]);
        put(node, "spec.template.metadata.annotations", (environment, "admission"), annotations)?;
    }
    Ok(())
}

fn arguments(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let registry = &environment.registry;
    let joined = |texts: Vec<&str>| texts.join(",");
    let mut more: Vec<(&str, String)> = Vec::new();
    if registry.engine == Engine::Warren && !environment.aliases.is_empty() {
        let hosts = joined(environment.hosts().map(Domain::as_str).collect());
        let address = format!("{CONTAINER}.args[after=--hostname]");
        put(node, &address, (environment, "aliases"), text(&hosts))?;
    }
    if !registry.cors.is_empty() {
        let origins = joined(registry.cors.iter().map(PageOrigin::as_str).collect());
        more.push(("registry.cors", "--cors".to_owned()));
        more.push(("registry.cors", origins));
    }
    if registry.users.is_some() {
        more.push(("registry.users", "--htpasswd".to_owned()));
        more.push(("registry.users", "/etc/trow-users/htpasswd".to_owned()));
    }
    if !registry.trusted_proxies.is_empty() {
        let networks = registry.trusted_proxies.iter().map(Network::as_str).collect();
        more.push(("registry.trusted_proxies", "--trusted-proxies".to_owned()));
        more.push(("registry.trusted_proxies", joined(networks)));
    }
    if environment.serves_tls() {
        let pair = "--tls=/etc/trow-tls/tls.crt,/etc/trow-tls/tls.key";
        more.push(("exposure.kind", pair.to_owned()));
    }
    if find(node, &format!("{POD}.volumes[name=trow-config]")).is_ok() {
        more.push(("admission.kind", "--config-file".to_owned()));
        more.push(("admission.kind", "/etc/trow-config/config.yaml".to_owned()));
    }
    for argument in &registry.extra_args {
        more.push(("registry.extra_args", argument.as_str().to_owned()));
    }
    let list = find_mut(node, &format!("{CONTAINER}.args"))?;
    if let Value::Sequence(items) = &mut list.value {
        items.extend(more.iter().map(|(key, argument)| mark(environment, key, text(argument))));
    }
    Ok(())
}

fn claim(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let storage = &environment.storage;
    if let Volume::ExistingClaim { claim } = &storage.volume {
        let address = format!("{POD}.volumes[name=data-vol].persistentVolumeClaim.claimName");
        return put(node, &address, (environment, "storage.claim"), text(claim.as_str()));
    }
    let template = "spec.volumeClaimTemplates[metadata.name=data-vol].spec";
    if let Some(size) = &storage.size {
        let address = format!("{template}.resources.requests.storage");
        put(node, &address, (environment, "storage.size"), text(size.as_str()))?;
    }
    let modes = Node::sequence([text(storage.access_mode.as_str())]);
    let address = format!("{template}.accessModes");
    put(node, &address, (environment, "storage.access_mode"), modes)?;
    let (key, class) = match &storage.volume {
        Volume::HostPath { .. } => ("storage.kind", ""),
        Volume::Local { .. } => ("storage.kind", "trow-local"),
        Volume::Dynamic { class: Some(class) } => ("storage.class", class.as_str()),
        Volume::Dynamic { class: None } | Volume::ExistingClaim { .. } => {
            // Absent, the cluster's default class provides; empty, none would.
            if let Some(claim) = find_mut(node, template)?.as_mapping_mut() {
                claim.remove("storageClassName");
            }
            return Ok(());
        }
    };
    put(node, &format!("{template}.storageClassName"), (environment, key), text(class))
}

fn scheduling(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let scheduling = &environment.scheduling;
    if !scheduling.node_selector.is_empty() {
        let labels = Node::mapping(scheduling.node_selector.iter().map(|(key, value)| {
            let origin = Origins::entry("scheduling.node_selector", key.as_str());
            (key.as_str(), mark(environment, &origin, text(value.as_str())))
        }));
        let key = (environment, "scheduling.node_selector");
        put(node, &format!("{POD}.nodeSelector"), key, labels)?;
    }
    let affinity = affinity(&scheduling.affinity, scheduling.anti_affinity.as_ref());
    if affinity.as_mapping().is_some_and(|mapping| !mapping.is_empty()) {
        let key = (environment, "scheduling.affinity");
        put(node, &format!("{POD}.affinity"), key, affinity)?;
    }
    if !scheduling.tolerations.is_empty() {
        let list = Node::sequence(scheduling.tolerations.iter().map(toleration));
        let key = (environment, "scheduling.tolerations");
        put(node, &format!("{POD}.tolerations"), key, list)?;
    }
    if !scheduling.topology_spread.is_empty() {
        let list = Node::sequence(scheduling.topology_spread.iter().map(spread));
        let key = (environment, "scheduling.topology_spread");
        put(node, &format!("{POD}.topologySpreadConstraints"), key, list)?;
    }
    Ok(())
}

fn affinity(rules: &[NodeRule], apart: Option<&AntiAffinity>) -> Node {
    let mut parts = Vec::new();
    let mut nodes = Vec::new();
    let required: Vec<_> = rules.iter().filter(|rule| rule.weight.is_none()).collect();
    if !required.is_empty() {
        // One term: all of its expressions have to hold.
        let term = term(required.into_iter());
        let terms = Node::mapping([("nodeSelectorTerms", Node::sequence([term]))]);
        nodes.push(("requiredDuringSchedulingIgnoredDuringExecution", terms));
    }
    let preferred: Vec<_> = rules
        .iter()
        .filter_map(|rule| {
            let weight = Node::integer(rule.weight?.get().into());
            let preference = term(std::iter::once(rule));
            Some(Node::mapping([("weight", weight), ("preference", preference)]))
        })
        .collect();
    if !preferred.is_empty() {
        let list = Node::sequence(preferred);
        nodes.push(("preferredDuringSchedulingIgnoredDuringExecution", list));
    }
    if !nodes.is_empty() {
        parts.push(("nodeAffinity", Node::mapping(nodes)));
    }
    if let Some(apart) = apart {
        parts.push(("podAntiAffinity", anti_affinity(apart)));
    }
    Node::mapping(parts)
}

fn term<'a>(rules: impl Iterator<Item = &'a NodeRule>) -> Node {
    let expressions = rules.map(|rule| {
        let mut fields =
            vec![("key", text(rule.key.as_str())), ("operator", text(rule.operator.as_str()))];
        if !rule.values.is_empty() {
            let values = rule.values.iter().map(|value| text(value.as_str()));
            fields.push(("values", Node::sequence(values)));
        }
        Node::mapping(fields)
    });
    Node::mapping([("matchExpressions", Node::sequence(expressions))])
}

fn anti_affinity(apart: &AntiAffinity) -> Node {
    let term = Node::mapping([
        ("labelSelector", own_pods()),
        ("topologyKey", text(apart.topology_key.as_str())),
    ]);
    if apart.required {
        return Node::mapping([(
            "requiredDuringSchedulingIgnoredDuringExecution",
            Node::sequence([term]),
        )]);
    }
    let preferred = Node::mapping([("weight", Node::integer(100)), ("podAffinityTerm", term)]);
    Node::mapping([(
        "preferredDuringSchedulingIgnoredDuringExecution",
        Node::sequence([preferred]),
    )])
}

fn toleration(toleration: &Toleration) -> Node {
    let mut fields = Vec::new();
    if let Some(key) = &toleration.key {
        fields.push(("key", text(key.as_str())));
    }
    let operator = if toleration.value.is_some() { "Equal" } else { "Exists" };
    fields.push(("operator", text(operator)));
    if let Some(value) = &toleration.value {
        fields.push(("value", text(value.as_str())));
    }
    if let Some(effect) = toleration.effect {
        fields.push(("effect", text(effect.as_str())));
    }
    if let Some(seconds) = toleration.seconds {
        fields.push(("tolerationSeconds", Node::integer(seconds.into())));
    }
    Node::mapping(fields)
}

fn spread(spread: &Spread) -> Node {
    Node::mapping([
        ("maxSkew", Node::integer(spread.max_skew.get().into())),
        ("topologyKey", text(spread.topology_key.as_str())),
        ("whenUnsatisfiable", text(spread.when_unsatisfiable.as_str())),
        ("labelSelector", own_pods()),
    ])
}

/// The selector of the registry's own pods.
fn own_pods() -> Node {
    Node::mapping([("matchLabels", Node::mapping([("app", text("trow"))]))])
}

/// Adds labels to the pods, beside those that they have.
pub(super) fn labels(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    for (key, value) in &environment.labels {
        let address = format!("spec.template.metadata.labels[\"{}\"]", key.as_str());
        set(
            node,
            &address,
            mark(environment, &Origins::entry("labels", key.as_str()), text(value.as_str())),
        )?;
    }
    Ok(())
}
