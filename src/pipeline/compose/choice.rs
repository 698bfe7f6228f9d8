//! Which components an environment's settings choose.

use super::super::environment::{
    AddressProvider, AdmissionKind, Controller, Environment, ExposureKind, SecretsProvider,
    TlsKind, Volume,
};

/// The folders of `environments/components/`, in the order in which they are added.
pub(super) fn components(environment: &Environment) -> Vec<&'static str> {
    let mut chosen = Vec::new();
    chosen.extend(certificate(environment));
    chosen.extend(match environment.storage.volume {
        Volume::HostPath { .. } => Some("host-path-volume"),
        Volume::Local { .. } => Some("local-volume"),
        Volume::ExistingClaim { .. } => Some("existing-claim"),
        Volume::Dynamic { .. } => None,
    });
    chosen.extend(exposure(environment));
    chosen.extend(address(environment));
    if environment.serves_tls() {
        chosen.push("serving-tls");
    }
    match environment.admission.kind {
        AdmissionKind::None => {}
        AdmissionKind::Webhook => chosen.extend(["webhook", "config"]),
        AdmissionKind::Policy => chosen.push("admission-policy"),
    }
    for (component, wanted) in [
        ("users", environment.registry.users.is_some()),
        ("network-policy", environment.network_policy.enabled),
        ("disruption-budget", environment.disruption_budget.is_some()),
        ("service-monitor", environment.monitoring.service_monitor),
        ("dashboard", environment.monitoring.dashboard),
        ("external-secrets", environment.secrets.provider == SecretsProvider::ExternalSecrets),
    ] {
        if wanted {
            chosen.push(component);
        }
    }
    chosen
}

/// Issuers and certificates; an Ingress asks for its certificate by itself.
fn certificate(environment: &Environment) -> Vec<&'static str> {
    let tls = &environment.tls;
    let kind = environment.exposure.kind;
    // A Gateway that is there already ends TLS without us.
    let elsewhere = kind == ExposureKind::Gateway && environment.gateway.class.is_none();
    let mut chosen = Vec::new();
    if tls.is_issued() && !elsewhere {
        if tls.create_issuer {
            chosen.extend(match tls.kind {
                TlsKind::PrivateCa => Some("private-ca"),
                TlsKind::Acme => Some("acme"),
                TlsKind::SelfSigned => Some("self-signed"),
                TlsKind::ExistingSecret => None,
            });
        }
        if kind != ExposureKind::Ingress {
            chosen.push("certificate");
        }
    }
    if environment.admission.kind == AdmissionKind::Webhook && !kind.is_direct() {
        chosen.push("serving-certificate");
    }
    chosen
}

fn exposure(environment: &Environment) -> Vec<&'static str> {
    match environment.exposure.kind {
        ExposureKind::Ingress => {
            let mut chosen = vec!["ingress"];
            if environment.ingress.controller == Controller::Traefik {
                chosen.push("traefik-transport");
                if environment.ingress.body_size.as_str() != "0" {
                    chosen.push("traefik-body");
                }
            }
            chosen
        }
        ExposureKind::Gateway if environment.gateway.class.is_some() => {
            vec!["gateway", "gateway-route"]
        }
        ExposureKind::Gateway => vec!["gateway-route"],
        ExposureKind::LoadBalancer | ExposureKind::NodePort => Vec::new(),
    }
}

fn address(environment: &Environment) -> Option<&'static str> {
    let address = environment.address.as_ref()?;
    match address.provider {
        AddressProvider::Metallb if address.create_pool => Some("address-metallb"),
        // Clients reach the controller's Service, which is not ours to change.
        AddressProvider::ExternalIps if environment.exposure.kind == ExposureKind::Ingress => {
            Some("external-ips")
        }
        _ => None,
    }
}
