//! The `[monitoring]` table: metrics for Prometheus and a dashboard for Grafana.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::text::{Interval, LabelKey, LabelValue};

/// Metrics for Prometheus and a dashboard for Grafana; our own engine has them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Monitoring {
    /// Whether a `ServiceMonitor` of the Prometheus operator is rendered.
    pub service_monitor: bool,
    /// How often Prometheus asks.
    pub interval: Interval,
    /// Labels of the `ServiceMonitor`, by which a Prometheus finds it, such as
    /// `release`.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// Whether `dashboards/warren-registry.json` is rendered as a `ConfigMap`.
    pub dashboard: bool,
    /// Labels of the `ConfigMap`, by which Grafana's sidecar finds it.
    pub dashboard_labels: BTreeMap<LabelKey, LabelValue>,
}

impl Default for Monitoring {
    fn default() -> Self {
        let label = (LabelKey::literal("grafana_dashboard"), LabelValue::literal("1"));
        Self {
            service_monitor: false,
            interval: Interval::literal("30s"),
            labels: BTreeMap::new(),
            dashboard: false,
            dashboard_labels: BTreeMap::from([label]),
        }
    }
}
