//! Services, and the address that the domain resolves to.

use std::net::IpAddr;

use super::draft::{self, Draft};
use super::report::{Deed, Place, Report};
use super::subject::Subject;
use crate::pipeline::yaml::Node;

/// Reads the registry's own Service. `behind` says that an Ingress leads to it.
pub fn service(subject: &mut Subject, behind: bool, draft: &mut Draft, report: &mut Report) {
    subject.take("spec/selector");
    let ports = subject.take("spec/ports");
    let what = "port 8000 is named http, in the Service and in the pod";
    report.add(Deed::Upgraded, ports.as_ref().and_then(Place::of), what);
    let kind = subject.text("spec/type");
    let place = kind.as_ref().and_then(|(_, place)| place.clone());
    let kind = kind.map_or_else(|| "ClusterIP".to_owned(), |(kind, _)| kind);
    if behind {
        if kind != "ClusterIP" {
            let what = format!(
                "the Service is of the type ClusterIP: as {kind} it let requests in without TLS, \
                 past the Ingress"
            );
            report.add(Deed::Fixed, place, what);
        }
    } else {
        let word = if kind == "LoadBalancer" { "load-balancer" } else { "node-port" };
        draft.text("exposure", "kind", word, place.clone());
        let what = "no Ingress leads to the registry, so it ends TLS itself, on port 443";
        report.add(Deed::Fixed, place, what);
        let first = ports.as_ref().and_then(Node::as_sequence).and_then(<[Node]>::first);
        if let Some(port) = first.and_then(|port| port.get("nodePort"))
            && let Some(scalar) = port.as_scalar()
        {
            draft.set("service", "node_port", scalar.text().to_owned(), "", Place::of(port));
        }
    }
    let provider = if behind || kind == "LoadBalancer" { "metallb" } else { "external-ips" };
    external(subject, provider, draft, report);
}

/// Reads a Service of the ingress controller, for its address alone.
pub fn controller(subject: &mut Subject, draft: &mut Draft, report: &mut Report) -> bool {
    let namespace = subject.text("metadata/namespace");
    if !external(subject, "metallb", draft, report) {
        return false;
    }
    if let Some((namespace, place)) = namespace
        && namespace != "ingress-controller"
    {
        draft.text("ingress", "controller_namespace", &namespace, place);
    }
    true
}

/// The address of a Service, by whichever field it has it.
fn external(
    subject: &mut Subject,
    provider: &'static str,
    draft: &mut Draft,
    report: &mut Report,
) -> bool {
    let list = subject.take("spec/externalIPs");
    let single = subject.take("spec/loadBalancerIP");
    let addresses = list.as_ref().and_then(Node::as_sequence).unwrap_or_default();
    for more in addresses.iter().skip(1) {
        report.left(Place::of(more), "a second address: `ip` below [address] is one", None);
    }
    let Some(node) = addresses.first().or(single.as_ref()) else { return false };
    let ip = node.as_scalar().map(|scalar| scalar.text().to_owned()).unwrap_or_default();
    set(&ip, provider, Place::of(node), list.is_some(), draft, report);
    true
}

/// Writes the address. `everywhere` says that every node answered to it.
pub fn set(
    ip: &str,
    provider: &'static str,
    place: Option<Place>,
    everywhere: bool,
    draft: &mut Draft,
    report: &mut Report,
) {
    draft.text("address", "ip", ip, place.clone());
    draft.set("address", "provider", draft::quoted(provider), "", None);
    let what = match (provider, everywhere) {
        ("metallb", true) => format!(
            "the address {ip}: with externalIPs every node took it for its own; MetalLB announces \
             it from one, and the controller's Service asks for it by metallb.io/address-pool"
        ),
        ("metallb", false) => format!(
            "the address {ip} is announced by MetalLB; the controller's Service asks for it by \
             metallb.io/address-pool"
        ),
        _ => format!("the address {ip} stays in externalIPs, which Kubernetes 1.36 deprecates"),
    };
    report.add(Deed::Fixed, place, what);
}

/// The address that a line of a `hosts` file gives one of these names.
#[must_use]
pub fn in_hosts(text: &str, names: &[&str]) -> Option<(IpAddr, usize)> {
    text.lines().enumerate().find_map(|(number, line)| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let ip = words.next()?.parse().ok()?;
        words.any(|word| names.contains(&word)).then_some((ip, number + 1))
    })
}
