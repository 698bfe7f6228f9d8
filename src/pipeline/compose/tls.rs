//! Issuers and certificates of cert-manager.

use super::super::address::AddressError;
use super::super::environment::{AdmissionKind, Environment, ExposureKind, TlsKind};
use super::super::yaml::Node;
use super::exposure::hosts;
use super::fill::{put, text};

/// What the component calls the `ClusterIssuer` that the environment chooses.
pub(super) fn component(environment: &Environment) -> Option<&'static str> {
    let name = match environment.tls.kind {
        TlsKind::PrivateCa => "ca-issuer",
        TlsKind::Acme => "acme",
        TlsKind::SelfSigned => "self-signed",
        TlsKind::ExistingSecret => return None,
    };
    environment.tls.create_issuer.then_some(name)
}

/// The `ClusterIssuer`.
pub(super) fn issuer(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let tls = &environment.tls;
    put(node, "metadata.name", (environment, "tls.issuer"), text(tls.issuer.as_str()))?;
    match tls.kind {
        TlsKind::PrivateCa => {
            let secret = text(tls.ca_secret.as_str());
            put(node, "spec.ca.secretName", (environment, "tls.ca_secret"), secret)
        }
        TlsKind::Acme => acme(node, environment),
        TlsKind::SelfSigned | TlsKind::ExistingSecret => Ok(()),
    }
}

fn acme(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let tls = &environment.tls;
    put(node, "spec.acme.server", (environment, "tls.server"), text(tls.server.as_str()))?;
    if let Some(email) = &tls.email {
        put(node, "spec.acme.email", (environment, "tls.email"), text(email.as_str()))?;
    }
    let account = text(&format!("{}-account", tls.issuer));
    let key = (environment, "tls.issuer");
    put(node, "spec.acme.privateKeySecretRef.name", key, account)?;
    let way = if environment.exposure.kind == ExposureKind::Gateway {
        let parent = Node::mapping([
            ("group", text("gateway.networking.k8s.io")),
            ("kind", text("Gateway")),
            ("name", text(environment.gateway.name.as_str())),
            ("namespace", text(environment.namespace.as_str())),
            ("sectionName", text("http")),
        ]);
        let route = Node::mapping([("parentRefs", Node::sequence([parent]))]);
        ("gatewayHTTPRoute", route)
    } else {
        let class = text(environment.ingress.class.as_str());
        ("ingress", Node::mapping([("ingressClassName", class)]))
    };
    let solver = Node::mapping([("http01", Node::mapping([way]))]);
    let key = (environment, "exposure.kind");
    put(node, "spec.acme.solvers", key, Node::sequence([solver]))
}

/// The domain's certificate, where no Ingress asks for it.
pub(super) fn domain(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let tls = &environment.tls;
    let secret = text(tls.secret.as_str());
    put(node, "metadata.name", (environment, "tls.secret"), secret.clone())?;
    put(node, "spec.secretName", (environment, "tls.secret"), secret)?;
    let mut names: Vec<Node> = hosts(environment).collect();
    // The API server calls the webhook by the Service's name, and Prometheus
    // may. An ACME authority knows no such name.
    if environment.exposure.kind.is_direct() && tls.kind != TlsKind::Acme {
        names.push(text(&service_name(environment)));
    }
    put(node, "spec.dnsNames", (environment, "domain"), Node::sequence(names))?;
    let issuer = text(tls.issuer.as_str());
    put(node, "spec.issuerRef.name", (environment, "tls.issuer"), issuer)
}

/// The certificate of the Service's own name.
pub(super) fn serving(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let names = Node::sequence([text(&service_name(environment))]);
    put(node, "spec.dnsNames", (environment, "namespace"), names)
}

/// The Certificate whose authority the API server is to believe.
pub(super) fn webhook_certificate(environment: &Environment) -> Option<String> {
    if environment.admission.kind != AdmissionKind::Webhook {
        return None;
    }
    let direct = environment.exposure.kind.is_direct();
    let name = if direct { environment.tls.secret.as_str() } else { "trow-serving" };
    Some(format!("{}/{name}", environment.namespace))
}

/// The name by which the Service is called from inside the cluster.
pub(super) fn service_name(environment: &Environment) -> String {
    format!("trow-svc.{}.svc", environment.namespace)
}
