//! What an environment's keys make worth knowing: nothing that can't work, but
//! what the operator has to do or should know.

use super::{
    AddressProvider, Controller, Environment, ExposureKind, SecretsProvider, TlsKind, Volume,
};

/// One thing worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// A stable name, such as `external-ips`.
    pub code: &'static str,
    /// The key that causes it.
    pub key: &'static str,
    /// What is so.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// All that is worth knowing of an environment.
#[must_use]
pub fn advice(environment: &Environment) -> Vec<Advice> {
    let mut found = Vec::new();
    let mut say = |code, key, message: String, hint: String| {
        found.push(Advice { code, key, message, hint });
    };
    let provider = environment.address.as_ref().map(|address| address.provider);
    if provider == Some(AddressProvider::ExternalIps) {
        let minor = environment.kubernetes.minor();
        let since = if minor >= 36 {
            "deprecated since Kubernetes 1.36, and nodes are to ignore them from about 1.40"
        } else {
            "deprecated from Kubernetes 1.36 on"
        };
        say(
            "external-ips",
            "address.provider",
            format!(
                "`externalIPs` are {since}; every node takes the address for its own, and whoever \
                 may make Services can take any address (CVE-2020-8554)"
            ),
            "use `provider = \"metallb\"` or `\"load-balancer\"`".to_owned(),
        );
    }
    for (node, labels) in &environment.scheduling.node_labels {
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        say(
            "node-labels",
            "scheduling.node_labels",
            format!("the node `{node}` is to have the labels {}", labels.join(", ")),
            format!(
                "kubectl --context={} label --overwrite node {node} {}",
                environment.cluster.context,
                labels.join(" ")
            ),
        );
    }
    ingress(environment, &mut say);
    if environment.secrets.provider == SecretsProvider::Sops {
        say(
            "sops",
            "secrets.provider",
            "only Flux, told to decrypt, can apply Secrets that SOPS encrypted".to_owned(),
            "set `spec.decryption` of the Kustomization in Flux, or use `sealed-secrets`"
                .to_owned(),
        );
    }
    if environment.tls.kind == TlsKind::SelfSigned {
        say(
            "self-signed",
            "tls.kind",
            "every client has to be given the certificate itself, again after each renewal"
                .to_owned(),
            "use `kind = \"private-ca\"`, whose authority stays".to_owned(),
        );
    }
    if matches!(environment.storage.volume, Volume::Dynamic { class: None }) {
        say(
            "default-class",
            "storage.class",
            "the claim gets the StorageClass that the cluster has as its default, if it has one"
                .to_owned(),
            "name one with `class = \"…\"`".to_owned(),
        );
    }
    found
}

/// What a controller takes from its own configuration alone.
fn ingress(
    environment: &Environment,
    say: &mut impl FnMut(&'static str, &'static str, String, String),
) {
    if environment.exposure.kind != ExposureKind::Ingress {
        return;
    }
    let seconds = environment.ingress.send_timeout;
    match environment.ingress.controller {
        Controller::IngressNginx | Controller::HaproxyIngress => {}
        Controller::Traefik => say(
            "traefik-timeout",
            "ingress.send_timeout",
            "Traefik cuts a push off after its entry point's `readTimeout`, 60 seconds unless set, \
             and takes it from its own configuration alone"
                .to_owned(),
            format!(
                "start Traefik with \
                 --entryPoints.websecure.transport.respondingTimeouts.readTimeout={seconds}s"
            ),
        ),
        Controller::Haproxy => say(
            "haproxy-timeout",
            "ingress.send_timeout",
            "the controller takes how long it waits for a client from its own configuration alone"
                .to_owned(),
            format!("set `timeout-client: {seconds}s` in the controller's ConfigMap"),
        ),
    }
}
