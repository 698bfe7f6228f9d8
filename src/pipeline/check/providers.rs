//! Who makes which Secret, and with which keys.

use std::collections::HashMap;

use super::super::environment::{Environment, TlsKind};
use super::super::field::{find, items, text};
use super::super::manifest::Object;
use super::super::yaml::{Mapping, Node};

/// Where cert-manager looks for the Secrets of a `ClusterIssuer`.
pub(super) const CERT_MANAGER: &str = "cert-manager";

/// The Secrets that `warren secret` makes, by namespace and name, with their keys.
pub(super) fn known(environment: &Environment) -> HashMap<(String, String), Vec<String>> {
    let (namespace, tls) = (environment.namespace.as_str(), &environment.tls);
    let mut known = HashMap::new();
    let mut add = |namespace: &str, name: &str, keys: &[&str]| {
        known.insert((namespace.to_owned(), name.to_owned()), owned(keys));
    };
    add(namespace, "trow-pass", &["pass"]);
    add(namespace, "trow-cred", &[".dockerconfigjson"]);
    add(CERT_MANAGER, tls.ca_secret.as_str(), &["tls.crt", "tls.key"]);
    // Without cert-manager it makes the certificate too.
    if tls.kind == TlsKind::PrivateCa && !tls.cert_manager {
        add(namespace, tls.secret.as_str(), &["tls.crt", "tls.key"]);
    }
    known
}

/// The Secrets that an object makes in its namespace, by name, with their keys;
/// no keys where they can't be known.
pub(super) fn made(object: &Object) -> Vec<(String, Vec<String>)> {
    let node = &object.node;
    let or_own = |text: &str| if text.is_empty() { object.name() } else { text }.to_owned();
    let tls = || owned(&["tls.crt", "tls.key", "ca.crt"]);
    match object.kind() {
        // One that SOPS encrypted; any other is a finding.
        "Secret" => {
            let lists = ["data", "stringData"].into_iter().filter_map(|list| node.get(list));
            vec![(object.name().to_owned(), lists.flat_map(keys).collect())]
        }
        "Certificate" => vec![(text(node, "spec.secretName").to_owned(), tls())],
        "SealedSecret" => {
            let name = or_own(text(node, "spec.template.metadata.name"));
            vec![(name, find(node, "spec.encryptedData").map(keys).unwrap_or_default())]
        }
        "ExternalSecret" => {
            let name = or_own(text(node, "spec.target.name"));
            // A template or a whole extract makes keys that are not listed.
            let open = ["spec.target.template", "spec.dataFrom"];
            if open.iter().any(|field| find(node, field).is_some()) {
                return vec![(name, Vec::new())];
            }
            let data = items(node, "spec.data").iter();
            vec![(name, data.map(|entry| text(entry, "secretKey").to_owned()).collect())]
        }
        "Ingress" => {
            let issued = ["cert-manager.io/issuer", "cert-manager.io/cluster-issuer"];
            let issued = issued
                .iter()
                .any(|key| find(node, &format!("metadata.annotations[\"{key}\"]")).is_some());
            let entries = items(node, "spec.tls").iter().filter(|_| issued);
            entries.map(|entry| (text(entry, "secretName").to_owned(), tls())).collect()
        }
        _ => Vec::new(),
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn keys(data: &Node) -> Vec<String> {
    let entries = data.as_mapping().into_iter().flat_map(Mapping::iter);
    entries.map(|(key, _)| key.name().into_owned()).collect()
}
