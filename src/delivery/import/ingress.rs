//! The Ingress of Trow: host names, certificate, controller.

use super::draft::{self, Draft};
use super::report::{Deed, Place, Report};
use super::standin::PLACEHOLDERS;
use super::subject::Subject;
use crate::pipeline::yaml::{Node, Scalar};

/// Host names in the order in which they were found.
pub type Hosts = Vec<(String, Option<Place>)>;

const NOTES: &str = "metadata/annotations";

/// Annotations of ingress-nginx that are keys here, with the default.
const SIZES: [(&str, &str, &str); 3] = [
    ("proxy-body-size", "body_size", "0"),
    ("proxy-read-timeout", "read_timeout", "600"),
    ("proxy-send-timeout", "send_timeout", "600"),
];

/// Reads everything that keys exist for. The hosts are those of the rules.
pub fn read(subject: &mut Subject, draft: &mut Draft, report: &mut Report) -> Hosts {
    let version = subject.text("apiVersion");
    if let Some((version, place)) = version
        && version != "networking.k8s.io/v1"
    {
        let what = format!(
            "the Ingress is of networking.k8s.io/v1: Kubernetes 1.22 removed {version}, with \
             serviceName and servicePort"
        );
        report.add(Deed::Upgraded, place, what);
    }
    class(subject, draft, report);
    for (annotation, key, default) in SIZES {
        let annotation = format!("{NOTES}/nginx.ingress.kubernetes.io|{annotation}");
        let Some((value, place)) = subject.text(&annotation) else { continue };
        if value == default {
            continue;
        }
        let number = key != "body_size" && value.bytes().all(|byte| byte.is_ascii_digit());
        let value = if number { value } else { draft::quoted(&value) };
        draft.set("ingress", key, value, "", place);
    }
    let hosts = rules(subject, report);
    let secret = certificate(subject, report, &hosts);
    issuer(subject, draft, report, secret);
    hosts
}

/// The class, and with it the controller.
fn class(subject: &mut Subject, draft: &mut Draft, report: &mut Report) {
    let old = subject.text(&format!("{NOTES}/kubernetes.io|ingress.class"));
    let new = subject.text("spec/ingressClassName");
    if let Some((class, place)) = &old {
        let what = format!(
            "the annotation kubernetes.io/ingress.class is spec.ingressClassName: {}",
            class.escape_debug()
        );
        report.add(Deed::Upgraded, place.clone(), what);
    }
    let Some((class, place)) = new.or(old) else { return };
    let controller = match class.as_str() {
        "nginx" => None,
        "traefik" => Some("traefik"),
        "haproxy" => Some("haproxy"),
        _ => {
            let what = format!(
                "the controller behind the class `{}` is ingress-nginx; `controller` below \
                 [ingress] says otherwise",
                class.escape_debug()
            );
            report.add(Deed::Assumed, place.clone(), what);
            None
        }
    };
    if let Some(controller) = controller {
        draft.text("ingress", "controller", controller, place.clone());
    }
    draft.text("ingress", "class", &class, place);
}

/// The hosts of the rules. All of them lead to the registry.
fn rules(subject: &mut Subject, report: &mut Report) -> Hosts {
    let rules = subject.take("spec/rules");
    let mut hosts = Hosts::new();
    for rule in rules.as_ref().and_then(Node::as_sequence).unwrap_or_default() {
        if let Some(host) = rule.get("host").and_then(Node::as_scalar) {
            hosts.push((host.text().to_owned(), rule.get("host").and_then(Place::of)));
        }
        let paths = rule.get("http").and_then(|http| http.get("paths")).and_then(Node::as_sequence);
        for path in paths.unwrap_or_default() {
            let at = path.get("path").and_then(Node::as_str).unwrap_or("/");
            let backend = path.get("backend");
            let name = backend.and_then(|backend| {
                let service = backend.get("service").and_then(|service| service.get("name"));
                backend.get("serviceName").or(service)
            });
            let name = name.and_then(Node::as_str).unwrap_or("trow-svc");
            if at != "/" || name != "trow-svc" {
                let what = format!(
                    "the path {} of the Ingress, to {}: the registry has its host to itself",
                    at.escape_debug(),
                    name.escape_debug()
                );
                report.left(Place::of(path), what, None);
            }
        }
    }
    subject.take("spec/backend");
    hosts
}

/// The certificate's Secret; its hosts are compared with those of the rules.
fn certificate(
    subject: &mut Subject,
    report: &mut Report,
    hosts: &Hosts,
) -> Option<(String, Option<Place>)> {
    let tls = subject.take("spec/tls")?;
    let entries = tls.as_sequence()?;
    for host in entries.iter().filter_map(|entry| entry.get("hosts")?.as_sequence()).flatten() {
        let Some(name) = host.as_scalar().map(Scalar::text) else { continue };
        if !hosts.iter().any(|(other, _)| other == name) {
            let what = format!(
                "the certificate was for {}, which no rule has; it is for the hosts of the rules",
                name.escape_debug()
            );
            report.add(Deed::Fixed, Place::of(host), what);
        }
    }
    let secret = entries.first()?.get("secretName")?;
    Some((secret.as_scalar()?.text().to_owned(), Place::of(secret)))
}

/// Who signs the certificate.
fn issuer(
    subject: &mut Subject,
    draft: &mut Draft,
    report: &mut Report,
    secret: Option<(String, Option<Place>)>,
) {
    let old = subject.text(&format!("{NOTES}/certmanager.k8s.io|cluster-issuer"));
    let new = subject.text(&format!("{NOTES}/cert-manager.io|cluster-issuer"));
    subject.take(&format!("{NOTES}/kubernetes.io|tls-acme"));
    if let Some((name, place)) = &old {
        let what = format!(
            "the annotation certmanager.k8s.io/cluster-issuer is cert-manager.io/cluster-issuer: \
             cert-manager reads the old one no more ({})",
            name.escape_debug()
        );
        report.add(Deed::Upgraded, place.clone(), what);
    }
    if let Some((name, place)) = &secret
        && name != "trow-registry-tls"
    {
        draft.text("tls", "secret", name, place.clone());
    }
    let Some((name, place)) = new.or(old) else {
        draft.text("tls", "kind", "existing-secret", None);
        let what = match &secret {
            Some((name, _)) => format!("the Secret {name} with the certificate is in the cluster"),
            None => "the Ingress had no TLS; it has, with the Secret trow-registry-tls".to_owned(),
        };
        let deed = if secret.is_some() { Deed::Assumed } else { Deed::Fixed };
        report.add(deed, secret.and_then(|(_, place)| place), what);
        return;
    };
    let acme = name.contains("letsencrypt") || name.contains("acme");
    draft.text("tls", "kind", if acme { "acme" } else { "private-ca" }, place.clone());
    draft.text("tls", "issuer", &name, place.clone());
    let says = "it is in the cluster already";
    draft.set("tls", "create_issuer", "false".to_owned(), says, None);
    let what = format!(
        "the ClusterIssuer {name} is in the cluster, as the overlay takes it to be; without \
         `create_issuer = false` it is rendered"
    );
    report.add(Deed::Assumed, place, what);
}

/// Takes the hosts of rules and arguments for domain and aliases.
pub fn names(hosts: &Hosts, flags: &Hosts, draft: &mut Draft, report: &mut Report) -> bool {
    let mut known: Vec<String> = Vec::new();
    let mut places = Vec::new();
    let own = |name: &str| !PLACEHOLDERS.contains(&name);
    for (name, place) in hosts.iter().chain(flags) {
        if own(name) {
            if !known.contains(name) {
                known.push(name.clone());
                places.push(place.clone());
            }
        } else if hosts.iter().chain(flags).any(|(other, _)| own(other)) {
            let what = format!("{name}, the host of the base that nothing replaced, is the domain");
            report.add(Deed::Fixed, place.clone(), what);
        }
    }
    let Some((domain, aliases)) = known.split_first() else { return false };
    if let (Some((rule, place)), Some((flag, _))) = (hosts.first(), flags.first())
        && own(rule)
        && own(flag)
        && rule != flag
    {
        let what = format!(
            "the Ingress led to {rule} and the registry took itself for {flag}; {rule} is the \
             domain and {flag} an alias"
        );
        report.add(Deed::Fixed, place.clone(), what);
    }
    draft.text("", "domain", domain, places.first().cloned().flatten());
    if !aliases.is_empty() {
        let place = places.get(1).cloned().flatten();
        draft.set("", "aliases", draft::list(aliases), "", place);
    }
    true
}
