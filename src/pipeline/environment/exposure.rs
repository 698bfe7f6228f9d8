//! `[exposure]`, `[ingress]`, `[gateway]` and `[service]`: how requests enter
//! the cluster and reach the registry.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};

use serde::{Deserialize, Serialize};

use super::text::{AnnotationValue, BodySize, DottedName, LabelKey, Network, ObjectName, typed_as};

/// How requests enter the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Exposure {
    /// By an Ingress (`[ingress]`), an `HTTPRoute` of the Gateway API
    /// (`[gateway]`), or a Service of the type `load-balancer` or `node-port`
    /// (`[service]`), where the registry itself ends TLS.
    pub kind: ExposureKind,
}

/// What lets requests in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ExposureKind {
    /// An Ingress and its controller.
    #[default]
    Ingress,
    /// An `HTTPRoute` and a Gateway.
    Gateway,
    /// A Service of the type `LoadBalancer`.
    LoadBalancer,
    /// A Service of the type `NodePort`.
    NodePort,
}

impl ExposureKind {
    /// Whether clients reach the registry itself, which then ends TLS.
    #[must_use]
    pub fn is_direct(self) -> bool {
        matches!(self, Self::LoadBalancer | Self::NodePort)
    }
}

/// The Ingress, in its controller's own terms.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "IngressKeys")]
pub struct Ingress {
    /// The program behind the class.
    pub controller: Controller,
    /// The name of the `IngressClass`.
    pub class: DottedName,
    /// The largest request body.
    pub body_size: BodySize,
    /// How long the controller waits for the registry to answer, in seconds.
    pub read_timeout: NonZeroU32,
    /// How long the controller waits to pass bytes on, in seconds.
    pub send_timeout: NonZeroU32,
    /// Where the controller lives.
    pub controller_namespace: ObjectName,
}

typed_as!(Ingress, IngressKeys);

impl Default for Ingress {
    fn default() -> Self {
        IngressKeys::default().into()
    }
}

/// A program that serves Ingresses; each has its own annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Controller {
    /// Kubernetes' own, retired in March 2026 and still widely deployed.
    #[default]
    IngressNginx,
    /// Traefik.
    Traefik,
    /// That of HAProxy Technologies, with annotations of `haproxy.org`.
    Haproxy,
    /// The community's, with annotations of `haproxy-ingress.github.io`.
    HaproxyIngress,
}

impl Controller {
    /// The class that its own installation makes.
    fn class(self) -> &'static str {
        match self {
            Self::IngressNginx => "nginx",
            Self::Traefik => "traefik",
            Self::Haproxy | Self::HaproxyIngress => "haproxy",
        }
    }

    /// The label `app.kubernetes.io/name` of its pods, by its own chart.
    #[must_use]
    pub fn app_name(self) -> &'static str {
        match self {
            Self::IngressNginx => "ingress-nginx",
            Self::Traefik => "traefik",
            Self::Haproxy => "kubernetes-ingress",
            Self::HaproxyIngress => "haproxy-ingress",
        }
    }
}

/// The Ingress, in its controller's own terms.
#[derive(Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct IngressKeys {
    /// The program behind the class; it decides how body size and timeouts are
    /// written.
    controller: Controller,
    /// The `IngressClass`; `nginx`, `traefik` or `haproxy`, by the controller,
    /// unless given.
    class: Option<DottedName>,
    /// The largest request body: `0` for no limit, or a number with `k`, `m` or
    /// `g`. Layers are large.
    body_size: BodySize,
    /// Seconds that the controller waits for the registry to answer.
    read_timeout: NonZeroU32,
    /// Seconds that the controller waits to pass bytes on.
    send_timeout: NonZeroU32,
    /// Where the controller lives; `provider = "external-ips"` puts a Service
    /// there.
    controller_namespace: ObjectName,
}

impl Default for IngressKeys {
    fn default() -> Self {
        Self {
            controller: Controller::default(),
            class: None,
            body_size: BodySize::literal("0"),
            read_timeout: ten_minutes(),
            send_timeout: ten_minutes(),
            controller_namespace: ObjectName::literal("ingress-controller"),
        }
    }
}

impl From<IngressKeys> for Ingress {
    fn from(keys: IngressKeys) -> Self {
        let IngressKeys { controller, class, body_size, read_timeout, send_timeout, .. } = keys;
        Self {
            controller,
            class: class.unwrap_or_else(|| DottedName::literal(controller.class())),
            body_size,
            read_timeout,
            send_timeout,
            controller_namespace: keys.controller_namespace,
        }
    }
}

/// The route of the Gateway API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// The Gateway that the route hangs on.
    pub name: DottedName,
    /// The Gateway's namespace; the environment's unless given.
    pub namespace: Option<ObjectName>,
    /// The `GatewayClass`. Where it is given the Gateway is rendered, with TLS;
    /// where it is absent the Gateway is there already, and ends TLS by itself.
    pub class: Option<DottedName>,
    /// The Gateway's listener; every one that fits unless given.
    pub listener: Option<DottedName>,
    /// Seconds that a request may take.
    pub timeout: NonZeroU32,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            name: DottedName::literal("trow-gateway"),
            namespace: None,
            class: None,
            listener: None,
            timeout: ten_minutes(),
        }
    }
}

/// The Service that clients reach, of the type `LoadBalancer` or `NodePort`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// The port that clients of a load balancer connect to.
    pub port: NonZeroU16,
    /// The port of each node, from 30000 to 32767; the cluster picks one unless
    /// given.
    pub node_port: Option<NodePort>,
    /// The `loadBalancerClass`, where several load balancers are in the cluster.
    pub class: Option<LabelKey>,
    /// The networks that a load balancer lets in; all unless given.
    pub source_ranges: Vec<Network>,
    /// `cluster`, or `local`, which keeps the client's address and serves only on
    /// nodes with a pod.
    pub traffic_policy: TrafficPolicy,
    /// Annotations that a cloud's load balancer reads.
    pub annotations: BTreeMap<LabelKey, AnnotationValue>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            port: NonZeroU16::MIN.saturating_add(442),
            node_port: None,
            class: None,
            source_ranges: Vec::new(),
            traffic_policy: TrafficPolicy::default(),
            annotations: BTreeMap::new(),
        }
    }
}

/// Which nodes pass on what comes from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TrafficPolicy {
    /// All.
    #[default]
    Cluster,
    /// Those with a pod.
    Local,
}

impl TrafficPolicy {
    /// The word as a Service takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        }
    }
}

/// A port of every node, of the range that clusters set aside unless told
/// otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "u16")]
pub struct NodePort(u16);

impl NodePort {
    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for NodePort {
    type Error = String;

    fn try_from(port: u16) -> Result<Self, String> {
        if (30000..=32767).contains(&port) {
            Ok(Self(port))
        } else {
            Err(format!("{port} is no port that clusters set aside for this: use 30000 to 32767"))
        }
    }
}

#[cfg(warren_schema)]
impl schemars::JsonSchema for NodePort {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NodePort".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 30000, "maximum": 32767 })
    }
}

fn ten_minutes() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(599)
}
