//! What Prometheus and Grafana find.

use super::super::address::AddressError;
use super::super::environment::{Environment, TlsKind};
use super::super::origins::Origins;
use super::super::yaml::Node;
use super::fill::{put, text};
use super::tls::service_name;

/// The dashboard, relative to the repository.
pub(super) const DASHBOARD: &str = "dashboards/warren-registry.json";

/// The `ServiceMonitor`.
pub(super) fn service_monitor(
    node: &mut Node,
    environment: &Environment,
) -> Result<(), AddressError> {
    let monitoring = &environment.monitoring;
    let endpoint = "spec.endpoints[port=http]";
    let interval = text(monitoring.interval.as_str());
    let address = format!("{endpoint}.interval");
    put(node, &address, (environment, "monitoring.interval"), interval)?;
    for (key, value) in &monitoring.labels {
        let address = format!("metadata.labels[\"{}\"]", key.as_str());
        put(
            node,
            &address,
            (environment, &Origins::entry("monitoring.labels", key.as_str())),
            text(value.as_str()),
        )?;
    }
    if !environment.serves_tls() {
        return Ok(());
    }
    let key = (environment, "exposure.kind");
    put(node, &format!("{endpoint}.scheme"), key, text("https"))?;
    let direct = environment.exposure.kind.is_direct();
    let own = direct && matches!(environment.tls.kind, TlsKind::Acme | TlsKind::ExistingSecret);
    let tls = if own {
        // The certificate of the domain alone, which the system's authorities know.
        Node::mapping([("serverName", text(environment.domain.as_str()))])
    } else {
        let secret = if direct { environment.tls.secret.as_str() } else { "trow-serving-tls" };
        let secret = Node::mapping([("name", text(secret)), ("key", text("ca.crt"))]);
        Node::mapping([
            ("serverName", text(&service_name(environment))),
            ("ca", Node::mapping([("secret", secret)])),
        ])
    };
    put(node, &format!("{endpoint}.tlsConfig"), key, tls)?;
    // The Service's one port has another name then.
    if direct { put(node, &format!("{endpoint}.port"), key, text("https")) } else { Ok(()) }
}

/// The `ConfigMap` with the dashboard.
pub(super) fn dashboard(
    node: &mut Node,
    environment: &Environment,
    json: &str,
) -> Result<(), AddressError> {
    for (key, value) in &environment.monitoring.dashboard_labels {
        let address = format!("metadata.labels[\"{}\"]", key.as_str());
        put(
            node,
            &address,
            (environment, &Origins::entry("monitoring.dashboard_labels", key.as_str())),
            text(value.as_str()),
        )?;
    }
    let key = (environment, "monitoring.dashboard");
    put(node, "data[\"warren-registry.json\"]", key, text(json))
}
