//! What is looked at.

use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::Path;

use serde_json::Value;
use time::OffsetDateTime;

use super::{Diagnosis, Verdict};
use crate::cli::ca;
use crate::cli::cluster::secret_text;
use crate::cli::composition::Composed;
use crate::delivery::cluster::{Cluster, ClusterError, Health, Identity, health, manifests, text};
use crate::delivery::references::{CERT_MANAGER_NAMESPACE, secret_references};
use crate::delivery::secret::SecretKind;
use crate::pipeline::environment::{
    AddressProvider, Controller, Environment, ExposureKind, TlsKind, Volume,
};
use crate::trust::{expiry, is_authority};

/// An authority or certificate that expires within this many days is told.
const SOON_DAYS: i64 = 30;
const DAY: i64 = 86_400;

/// Which component brings a group of kinds, and whether it is one of the
/// prerequisites that can be installed from here.
const GROUPS: [(&str, &str, bool); 5] = [
    ("cert-manager.io", "cert-manager", true),
    ("metallb.io", "MetalLB", true),
    ("gateway.networking.k8s.io", "the Gateway API and a controller for it", true),
    ("monitoring.coreos.com", "the Prometheus operator", false),
    ("traefik.io", "Traefik", false),
];

/// Looks at one environment's cluster.
pub(super) struct Look<'a> {
    cluster: &'a Cluster,
    composed: &'a Composed,
    environment: &'a Environment,
    root: &'a Path,
}

impl<'a> Look<'a> {
    pub(super) fn new(cluster: &'a Cluster, composed: &'a Composed, root: &'a Path) -> Self {
        Self { cluster, composed, environment: &composed.rendered.environment, root }
    }

    /// Everything, in the order in which one thing needs the other.
    pub(super) fn everything(&self) -> Vec<Diagnosis> {
        let mut found = vec![
            Diagnosis::good("cluster", format!("{} answers", self.cluster.context())),
            self.version(),
        ];
        found.extend(self.kinds());
        found.extend(self.cert_manager());
        found.extend(self.entrance());
        found.extend(self.storage());
        found.extend(self.address());
        found.extend(self.secrets());
        found.extend(self.authority());
        found.push(self.certificate());
        found.push(self.pods());
        found.push(domain(self.environment));
        found
    }

    fn name(&self) -> &str {
        &self.environment.name
    }

    fn version(&self) -> Diagnosis {
        let about = "version";
        let wanted = self.environment.kubernetes.to_string();
        match self.cluster.version() {
            Err(error) => cannot_look(about, &error),
            Ok(found) if found.starts_with("0.") => Diagnosis::with(
                about,
                Verdict::Unknown,
                format!("the API server calls itself {found}"),
                "it was built without its version",
            ),
            Ok(found) if minor(&found) == minor(&wanted) => Diagnosis::good(about, found),
            Ok(found) => Diagnosis::with(
                about,
                Verdict::Warning,
                format!("the cluster is {found}, the manifests are checked against {wanted}"),
                format!(
                    "set kubernetes = \"{}\" in environments/{}.toml and run warren check",
                    minor(&found),
                    self.name()
                ),
            ),
        }
    }

    /// The kinds that the environment uses, one line for each group that is
    /// not there.
    fn kinds(&self) -> Vec<Diagnosis> {
        let about = "kinds";
        let objects = match manifests(&self.composed.rendered.files) {
            Ok(objects) => objects,
            Err(error) => {
                let remedy = "render it again with warren render";
                return vec![Diagnosis::with(about, Verdict::Bad, error.to_string(), remedy)];
            }
        };
        let identities: Vec<_> =
            objects.iter().map(crate::delivery::cluster::Manifest::identity).collect();
        let brought = |one: &Identity| objects.iter().any(|definition| definition.defines(one));
        let kinds: BTreeSet<_> = identities
            .iter()
            .filter(|one| !brought(one))
            .map(|one| (one.api_version.as_str(), one.kind.as_str()))
            .collect();
        let mut missing = Vec::new();
        for (version, kind) in &kinds {
            match self.cluster.knows(version, kind) {
                Ok(true) => {}
                Ok(false) => missing.push((*version, *kind)),
                Err(error) => return vec![cannot_look(about, &error)],
            }
        }
        if missing.is_empty() {
            return vec![Diagnosis::good(about, format!("all {} are known", kinds.len()))];
        }
        let mut found: Vec<Diagnosis> = Vec::new();
        for (version, kind) in missing {
            let group = version.split('/').next().unwrap_or_default();
            let component = GROUPS.iter().find(|(known, _, _)| *known == group);
            let remedy = match component {
                Some((_, component, true)) => {
                    format!("install {component}: warren prerequisites {}", self.name())
                }
                Some((_, component, false)) => format!("install {component}, as its project says"),
                None => format!("this cluster does not serve {version}"),
            };
            let text = format!("{kind} in {version} is not known");
            found.push(Diagnosis::with(about, Verdict::Bad, text, remedy));
        }
        found
    }

    fn cert_manager(&self) -> Option<Diagnosis> {
        let tls = &self.environment.tls;
        (tls.cert_manager && tls.kind != TlsKind::ExistingSecret)
            .then(|| self.deployments("cert-manager", CERT_MANAGER_NAMESPACE, "cert-manager"))
    }

    /// Whether the Deployments of a namespace work.
    fn deployments(&self, about: &'static str, namespace: &str, component: &str) -> Diagnosis {
        let install = || format!("install it: warren prerequisites {}", self.name());
        let list = match self.cluster.list("apps/v1", "Deployment", namespace) {
            Err(error) => return cannot_look(about, &error),
            Ok(list) => list,
        };
        if list.is_empty() {
            let found = format!("{component} has no Deployment in {namespace}");
            return Diagnosis::with(about, Verdict::Bad, found, install());
        }
        let ill: Vec<_> = list
            .iter()
            .filter_map(|one| match health(one) {
                Health::Ready => None,
                Health::Waiting(reason) | Health::Failed(reason) => {
                    Some(format!("{}: {reason}", text(one, "/metadata/name")))
                }
            })
            .collect();
        if ill.is_empty() {
            return Diagnosis::good(about, format!("{component} runs in {namespace}"));
        }
        let remedy = format!("kubectl -n {namespace} describe deployments,pods says why");
        Diagnosis::with(about, Verdict::Bad, ill.join("; "), remedy)
    }

    /// The ingress class, or the gateway.
    fn entrance(&self) -> Option<Diagnosis> {
        let environment = self.environment;
        let (about, identity, what) = match environment.exposure.kind {
            ExposureKind::Ingress => (
                "ingress class",
                Identity::new(
                    "networking.k8s.io/v1",
                    "IngressClass",
                    "",
                    environment.ingress.class.as_str(),
                ),
                "the ingress controller",
            ),
            ExposureKind::Gateway => {
                let gateway = &environment.gateway;
                let namespace = gateway.namespace.as_ref().unwrap_or(&environment.namespace);
                (
                    "gateway",
                    Identity::new(
                        "gateway.networking.k8s.io/v1",
                        "Gateway",
                        namespace.as_str(),
                        gateway.name.as_str(),
                    ),
                    "the gateway's controller",
                )
            }
            ExposureKind::LoadBalancer | ExposureKind::NodePort => return None,
        };
        let rendered = manifests(&self.composed.rendered.files).unwrap_or_default();
        if rendered.iter().any(|object| object.identity().is_same(&identity)) {
            return Some(Diagnosis::good(about, format!("{} is rendered", identity.name)));
        }
        Some(match self.cluster.get(&identity) {
            Err(error) => cannot_look(about, &error),
            Ok(Some(_)) => Diagnosis::good(about, format!("{} is there", identity.name)),
            Ok(None) => Diagnosis::with(
                about,
                Verdict::Bad,
                format!("there is no {} {}", identity.kind, identity.name),
                if environment.exposure.kind == ExposureKind::Ingress
                    && environment.ingress.controller == Controller::IngressNginx
                {
                    format!("install {what}: warren prerequisites {}", self.name())
                } else {
                    format!("install {what}, as its project says, or name one that is there")
                },
            ),
        })
    }

    /// The storage class, or the node that holds the data.
    fn storage(&self) -> Vec<Diagnosis> {
        let storage = &self.environment.storage;
        let mut found = Vec::new();
        if let Volume::Dynamic { class: Some(class) } = &storage.volume {
            let about = "storage class";
            let one = Identity::new("storage.k8s.io/v1", "StorageClass", "", class.as_str());
            found.push(match self.cluster.get(&one) {
                Err(error) => cannot_look(about, &error),
                Ok(Some(_)) => Diagnosis::good(about, format!("{} is there", one.name)),
                Ok(None) => Diagnosis::with(
                    about,
                    Verdict::Bad,
                    format!("there is no StorageClass {}", one.name),
                    "kubectl get storageclass lists those there are: name one in [storage]",
                ),
            });
        }
        if let Some(node) = storage.node() {
            found.push(self.node(node.as_str()));
        }
        found
    }

    fn node(&self, name: &str) -> Diagnosis {
        let about = "node";
        let nodes = match self.cluster.list("v1", "Node", "") {
            Err(error) => return cannot_look(about, &error),
            Ok(nodes) => nodes,
        };
        let label =
            |node: &Value| text(node, "/metadata/labels/kubernetes.io~1hostname").to_owned();
        if nodes.iter().any(|node| label(node) == name) {
            return Diagnosis::good(about, format!("{name} is there"));
        }
        let known: Vec<_> = nodes.iter().map(label).collect();
        Diagnosis::with(
            about,
            Verdict::Bad,
            format!("no node has the label kubernetes.io/hostname={name}"),
            format!(
                "name the node that holds the data in [storage]; there is {}",
                known.join(", ")
            ),
        )
    }

    /// The pool that gives out the address, and that the address is in one.
    fn address(&self) -> Option<Diagnosis> {
        let about = "address pool";
        let address = self.environment.address.as_ref()?;
        if address.provider != AddressProvider::Metallb {
            return None;
        }
        let pools = match self.cluster.list("metallb.io/v1beta1", "IPAddressPool", "") {
            Err(error) => return Some(cannot_look(about, &error)),
            Ok(pools) => pools,
        };
        let holds = |pool: &Value| {
            let ranges = pool.pointer("/spec/addresses").and_then(Value::as_array);
            ranges
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .any(|range| in_range(address.ip, range))
        };
        let own = pools.iter().find(|pool| text(pool, "/metadata/name") == address.pool.as_str());
        let other = pools
            .iter()
            .find(|pool| holds(pool) && text(pool, "/metadata/name") != address.pool.as_str());
        Some(match (own, other) {
            (_, Some(other)) if address.create_pool => Diagnosis::with(
                about,
                Verdict::Bad,
                format!(
                    "{} is in the pool {} already: MetalLB refuses a second one",
                    address.ip,
                    text(other, "/metadata/name")
                ),
                "name that pool in [address], with create_pool = false",
            ),
            (Some(pool), _) if holds(pool) => {
                Diagnosis::good(about, format!("{} is in {}", address.ip, address.pool))
            }
            (Some(_), _) => Diagnosis::with(
                about,
                Verdict::Bad,
                format!("{} is not in the pool {}", address.ip, address.pool),
                format!("deliver it with warren deploy {}", self.name()),
            ),
            (None, _) => Diagnosis::with(
                about,
                Verdict::Unknown,
                format!("there is no pool {} yet", address.pool),
                format!("warren deploy {} makes it", self.name()),
            ),
        })
    }

    fn secrets(&self) -> Vec<Diagnosis> {
        let about = "secrets";
        let Ok(wanted) = secret_references(&self.composed.rendered.files) else {
            return Vec::new();
        };
        let missing = match self.cluster.missing_secrets(&wanted) {
            Err(error) => return vec![cannot_look(about, &error)],
            Ok(missing) => missing,
        };
        if missing.is_empty() {
            return vec![Diagnosis::good(about, format!("all {} are there", wanted.len()))];
        }
        missing
            .iter()
            .map(|one| {
                let ours = SecretKind::by_name(&one.name, self.environment).is_some();
                let remedy = if ours {
                    format!("warren secret {} {} --apply", self.name(), one.name)
                } else {
                    format!("make it: {} refers to it", one.by)
                };
                let found = format!("{}/{} is not there", one.namespace, one.name);
                Diagnosis::with(about, Verdict::Bad, found, remedy)
            })
            .collect()
    }

    /// The Secret that cert-manager signs with.
    fn authority(&self) -> Option<Diagnosis> {
        let about = "authority";
        let tls = &self.environment.tls;
        if tls.kind != TlsKind::PrivateCa || !tls.cert_manager {
            return None;
        }
        let one = Identity::new("v1", "Secret", CERT_MANAGER_NAMESPACE, tls.ca_secret.as_str());
        let secret = match self.cluster.get(&one) {
            Err(error) => return Some(cannot_look(about, &error)),
            // Told among the Secrets.
            Ok(None) => return None,
            Ok(Some(secret)) => secret,
        };
        let again = format!("warren ca init {} --apply", self.name());
        let Some(pem) = secret_text(&secret, "tls.crt") else {
            let found = format!("{} has no tls.crt", one.name);
            return Some(Diagnosis::with(about, Verdict::Bad, found, again));
        };
        if !is_authority(&pem) {
            let found = format!("the certificate in {} may not sign others", one.name);
            return Some(Diagnosis::with(about, Verdict::Bad, found, again));
        }
        let rotate = format!("warren ca rotate {} replaces it without a gap", self.name());
        let mut diagnosis = lifetime(about, &pem, &rotate);
        let ours = ca::folder(self.root, self.environment).join("ca.crt");
        if diagnosis.verdict == Verdict::Good
            && let Ok(local) = crate::fs::read_to_string(&ours)
            && local.trim() != pem.trim()
        {
            diagnosis = Diagnosis::with(
                about,
                Verdict::Warning,
                format!("the cluster signs with another authority than {}", ours.display()),
                format!("{again} gives it this one; clients must trust the one that signs"),
            );
        }
        Some(diagnosis)
    }

    /// The domain's certificate.
    fn certificate(&self) -> Diagnosis {
        let about = "certificate";
        let one = Identity::new(
            "v1",
            "Secret",
            self.environment.namespace.as_str(),
            self.environment.tls.secret.as_str(),
        );
        let secret = match self.cluster.get(&one) {
            Err(error) => return cannot_look(about, &error),
            Ok(secret) => secret,
        };
        let Some(secret) = secret else {
            let found = format!("{}/{} is not there yet", one.namespace, one.name);
            return Diagnosis::with(about, Verdict::Unknown, found, self.new_certificate());
        };
        if let Some(pem) = secret_text(&secret, "tls.crt") {
            lifetime(about, &pem, &self.new_certificate())
        } else {
            let found = format!("{}/{} has no tls.crt", one.namespace, one.name);
            Diagnosis::with(about, Verdict::Bad, found, self.new_certificate())
        }
    }

    /// Where a new certificate of the domain comes from.
    fn new_certificate(&self) -> String {
        let tls = &self.environment.tls;
        let name = self.name();
        match tls.kind {
            TlsKind::ExistingSecret => {
                format!("you make it: put a new certificate into the Secret {}", tls.secret)
            }
            TlsKind::PrivateCa if !tls.cert_manager => {
                format!("warren secret {name} {} --apply", tls.secret)
            }
            _ => "cert-manager makes it once the environment is deployed, and anew when the \
                  Secret is deleted: kubectl describe certificate says how far it is"
                .to_owned(),
        }
    }

    /// The pods, and what they say of the data folder.
    fn pods(&self) -> Diagnosis {
        let about = "registry";
        let namespace = self.environment.namespace.as_str();
        let one = Identity::new("apps/v1", "StatefulSet", namespace, "trow-set");
        let set = match self.cluster.get(&one) {
            Err(error) => return cannot_look(about, &error),
            Ok(None) => {
                return Diagnosis::with(
                    about,
                    Verdict::Unknown,
                    "it is not deployed yet",
                    format!("warren deploy {}", self.name()),
                );
            }
            Ok(Some(set)) => set,
        };
        let (Health::Waiting(reason) | Health::Failed(reason)) = health(&set) else {
            return Diagnosis::good(about, "all pods are ready, and the data folder is theirs");
        };
        let details = self.cluster.why(&one);
        let owner = &self.environment.storage.owner;
        let denied = details.iter().any(|line| line.to_lowercase().contains("permission denied"))
            || details.iter().any(|line| line.contains("own-data"));
        let remedy = match (denied, self.environment.storage.path()) {
            (true, Some(path)) => {
                format!("on the node: chown -R {}:{} {path}", owner.uid, owner.gid)
            }
            _ => format!("kubectl -n {namespace} logs statefulset/trow-set --all-containers"),
        };
        let found = std::iter::once(reason).chain(details).collect::<Vec<_>>().join("; ");
        Diagnosis::with(about, Verdict::Bad, found, remedy)
    }
}

/// Whether the domain leads to the environment's address, as this machine
/// resolves it.
pub(super) fn domain(environment: &Environment) -> Diagnosis {
    let about = "domain";
    let host = environment.domain.as_str();
    let remedy = format!(
        "give {host} that address in the DNS; warren client {} has the line for /etc/hosts",
        environment.name
    );
    let found: Vec<IpAddr> = match (host, 443).to_socket_addrs() {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(error) => {
            let found = format!("{host} does not resolve here: {error}");
            return Diagnosis::with(about, Verdict::Warning, found, remedy);
        }
    };
    let shown = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match environment.address.as_ref().map(|address| address.ip) {
        Some(wanted) if !found.contains(&wanted) => Diagnosis::with(
            about,
            Verdict::Warning,
            format!("{host} is {shown} here, and the environment's address is {wanted}"),
            remedy,
        ),
        _ => Diagnosis::good(about, format!("{host} is {shown}")),
    }
}

fn lifetime(about: &'static str, pem: &str, remedy: &str) -> Diagnosis {
    let expires = match expiry(pem) {
        Ok(expires) => expires,
        Err(reason) => return Diagnosis::with(about, Verdict::Bad, reason, remedy),
    };
    let days = (expires - OffsetDateTime::now_utc().unix_timestamp()).div_euclid(DAY);
    match days {
        ..0 => Diagnosis::with(about, Verdict::Bad, format!("expired {} days ago", -days), remedy),
        0..SOON_DAYS => {
            Diagnosis::with(about, Verdict::Warning, format!("expires in {days} days"), remedy)
        }
        _ => Diagnosis::good(about, format!("valid for {days} days")),
    }
}

/// `1.36` of `1.36.3` or `1.36.3+k3s1`.
fn minor(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// Whether an address is in `10.0.0.0/24` or `10.0.0.1-10.0.0.9`.
fn in_range(ip: IpAddr, range: &str) -> bool {
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (4, u128::from(u32::from(ip))),
        IpAddr::V6(ip) => (6, u128::from(ip)),
    };
    let parsed = |text: &str| text.trim().parse::<IpAddr>().ok().map(number);
    let (family, value) = number(ip);
    if let Some((first, last)) = range.split_once('-') {
        return match (parsed(first), parsed(last)) {
            (Some((one, first)), Some((other, last))) => {
                one == family && other == family && (first..=last).contains(&value)
            }
            _ => false,
        };
    }
    let (network, bits) = range.split_once('/').unwrap_or((range, ""));
    let Some((of, network)) = parsed(network) else { return false };
    let width: u32 = if of == 4 { 32 } else { 128 };
    let bits = bits.parse::<u32>().unwrap_or(width).min(width);
    let shift = width - bits;
    of == family && (shift == 128 || value >> shift == network >> shift)
}

fn cannot_look(about: &'static str, error: &ClusterError) -> Diagnosis {
    let remedy = error.hint().unwrap_or_else(|| "try again".to_owned());
    Diagnosis::with(about, Verdict::Unknown, error.to_string(), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_networks_or_from_to() {
        let ip: IpAddr = "192.168.1.250".parse().unwrap();
        for (range, holds) in [
            ("192.168.1.250/32", true),
            ("192.168.1.250", true),
            ("192.168.1.0/24", true),
            ("0.0.0.0/0", true),
            ("192.168.2.0/24", false),
            ("192.168.1.240-192.168.1.250", true),
            ("192.168.1.251-192.168.1.255", false),
            ("::/0", false),
            ("nonsense", false),
        ] {
            assert_eq!(in_range(ip, range), holds, "{range}");
        }
        assert!(in_range("2001:db8::1".parse().unwrap(), "::/0"));
    }

    #[test]
    fn a_version_is_compared_by_its_minor() {
        assert_eq!(minor("1.36.3+k3s1"), minor("1.36"));
        assert_ne!(minor("1.35.9"), minor("1.36"));
    }
}
