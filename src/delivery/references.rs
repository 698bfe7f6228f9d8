//! Which Secrets the rendered objects refer to and nothing else provides.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize as _, Serialize};
use serde_yaml::{Mapping, Value};

/// Where cert-manager looks for the Secrets of a `ClusterIssuer`, unless it is
/// told otherwise by `--cluster-resource-namespace`.
pub const CERT_MANAGER_NAMESPACE: &str = "cert-manager";

/// A Secret that has to be there for the objects to work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SecretReference {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub name: String,
    /// The first object that refers to it, as `Kind/name`.
    pub by: String,
    /// What for.
    #[serde(rename = "use")]
    pub usage: Use,
}

/// What a Secret is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// A container reads it, as files or as environment variables.
    Mounted,
    /// The kubelet pulls images with it.
    ImagePull,
    /// An issuer of cert-manager signs with it.
    Authority,
    /// An Ingress serves TLS with it.
    Tls,
}

/// Why the objects could not be searched.
#[derive(Debug, thiserror::Error)]
#[error("{file}: not YAML: {source}")]
pub struct ReferenceError {
    file: String,
    source: serde_yaml::Error,
}

/// The Secrets that the objects in these files refer to, sorted. Left out are
/// optional ones, and those that another of the objects has made: a
/// Certificate, a `SealedSecret`, an `ExternalSecret`, an Ingress that an
/// issuer's annotation gives its certificate.
///
/// # Errors
/// When a file is not YAML.
pub fn secret_references(
    files: &BTreeMap<String, String>,
) -> Result<Vec<SecretReference>, ReferenceError> {
    let mut search = Search::default();
    for (file, text) in files.iter().filter(|(file, _)| is_yaml(file)) {
        for document in serde_yaml::Deserializer::from_str(text) {
            let value = Value::deserialize(document)
                .map_err(|source| ReferenceError { file: file.clone(), source })?;
            search.object(&value);
        }
    }
    Ok(search.finish())
}

fn is_yaml(file: &str) -> bool {
    [".yaml", ".yml"].iter().any(|ending| file.ends_with(ending))
}

#[derive(Default)]
struct Search {
    found: BTreeMap<(String, String), SecretReference>,
    provided: BTreeSet<(String, String)>,
}

impl Search {
    fn object(&mut self, object: &Value) {
        let kind = text(object, &["kind"]).unwrap_or_default();
        let name = text(object, &["metadata", "name"]).unwrap_or_default();
        let namespace = text(object, &["metadata", "namespace"]).unwrap_or("default");
        let by = format!("{kind}/{name}");
        let mut provide = |secret: Option<&str>| {
            let secret = secret.unwrap_or(name);
            self.provided.insert((namespace.to_owned(), secret.to_owned()));
        };
        match kind {
            "Certificate" => provide(text(object, &["spec", "secretName"])),
            // One that SOPS encrypted: no other is rendered.
            "Secret" => provide(None),
            "SealedSecret" => provide(text(object, &["spec", "template", "metadata", "name"])),
            "ExternalSecret" => provide(text(object, &["spec", "target", "name"])),
            "ClusterIssuer" | "Issuer" => {
                let home = if kind == "Issuer" { namespace } else { CERT_MANAGER_NAMESPACE };
                if let Some(secret) = text(object, &["spec", "ca", "secretName"]) {
                    self.add(home, secret, &by, Use::Authority);
                }
            }
            "Ingress" => self.ingress(object, namespace, &by),
            _ => self.walk(object, namespace, &by),
        }
    }

    fn ingress(&mut self, object: &Value, namespace: &str, by: &str) {
        let annotations = at(object, &["metadata", "annotations"]).and_then(Value::as_mapping);
        let issued = ["cert-manager.io/cluster-issuer", "cert-manager.io/issuer"]
            .iter()
            .any(|key| annotations.is_some_and(|annotations| annotations.contains_key(*key)));
        let entries = at(object, &["spec", "tls"]).and_then(Value::as_sequence);
        for entry in entries.into_iter().flatten() {
            if let Some(secret) = text(entry, &["secretName"]).filter(|_| !issued) {
                self.add(namespace, secret, by, Use::Tls);
            }
        }
    }

    /// Looks at every depth: a pod's template sits elsewhere in each kind.
    fn walk(&mut self, value: &Value, namespace: &str, by: &str) {
        match value {
            Value::Sequence(elements) => {
                for element in elements {
                    self.walk(element, namespace, by);
                }
            }
            Value::Mapping(fields) => {
                for (key, field) in fields {
                    self.field(key.as_str().unwrap_or_default(), field, namespace, by);
                    self.walk(field, namespace, by);
                }
            }
            _ => {}
        }
    }

    fn field(&mut self, key: &str, field: &Value, namespace: &str, by: &str) {
        let name = match key {
            // A volume names it `secretName`, a source of a projected volume `name`.
            "secret" => text(field, &["secretName"]).or_else(|| text(field, &["name"])),
            "secretKeyRef" | "secretRef" => text(field, &["name"]),
            "imagePullSecrets" => {
                for element in field.as_sequence().into_iter().flatten() {
                    if let Some(name) = text(element, &["name"]) {
                        self.add(namespace, name, by, Use::ImagePull);
                    }
                }
                None
            }
            _ => None,
        };
        let optional = at(field, &["optional"]).and_then(Value::as_bool) == Some(true);
        if let Some(name) = name.filter(|_| !optional) {
            self.add(namespace, name, by, Use::Mounted);
        }
    }

    fn add(&mut self, namespace: &str, name: &str, by: &str, usage: Use) {
        let key = (namespace.to_owned(), name.to_owned());
        self.found.entry(key).or_insert_with(|| SecretReference {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            by: by.to_owned(),
            usage,
        });
    }

    fn finish(self) -> Vec<SecretReference> {
        let Self { found, provided } = self;
        found
            .into_iter()
            .filter(|(key, _)| !provided.contains(key))
            .map(|(_, found)| found)
            .collect()
    }
}

fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| {
        value.as_mapping().and_then(|fields: &Mapping| fields.get(*key))
    })
}

fn text<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    at(value, path).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let files = BTreeMap::from([("all.yaml".to_owned(), text.to_owned())]);
        let references = secret_references(&files).unwrap();
        references
            .iter()
            .map(|found| {
                format!("{}/{} {:?} {}", found.namespace, found.name, found.usage, found.by)
            })
            .collect()
    }

    #[test]
    fn a_workload_refers_by_volume_environment_and_pull_secret() {
        let text = "
kind: StatefulSet
metadata: {name: trow-set, namespace: trow}
spec:
  template:
    spec:
      imagePullSecrets: [{name: trow-cred}]
      containers:
      - env:
        - {name: A, valueFrom: {secretKeyRef: {name: from-env, key: a}}}
        - {name: B, valueFrom: {secretKeyRef: {name: maybe, key: b, optional: true}}}
        envFrom: [{secretRef: {name: all-env}}]
      volumes:
      - {name: pass, secret: {secretName: trow-pass}}
      - {name: p, projected: {sources: [{secret: {name: projected}}]}}
";
        assert_eq!(
            found(text),
            [
                "trow/all-env Mounted StatefulSet/trow-set",
                "trow/from-env Mounted StatefulSet/trow-set",
                "trow/projected Mounted StatefulSet/trow-set",
                "trow/trow-cred ImagePull StatefulSet/trow-set",
                "trow/trow-pass Mounted StatefulSet/trow-set",
            ]
        );
    }

    #[test]
    fn an_issuer_refers_in_cert_managers_namespace() {
        let text = "
kind: ClusterIssuer
metadata: {name: ca-issuer}
spec: {ca: {secretName: ca-priv}}
---
kind: Issuer
metadata: {name: own, namespace: trow}
spec: {ca: {secretName: own-ca}}
";
        assert_eq!(
            found(text),
            [
                "cert-manager/ca-priv Authority ClusterIssuer/ca-issuer",
                "trow/own-ca Authority Issuer/own"
            ]
        );
    }

    #[test]
    fn what_something_else_provides_is_not_asked_for() {
        let ingress = |annotation: &str| {
            format!(
                "{{kind: Ingress, metadata: {{name: i, namespace: trow, annotations: {{{annotation}: x}}}}, \
                 spec: {{tls: [{{secretName: trow-registry-tls}}]}}}}"
            )
        };
        assert_eq!(found(&ingress("cert-manager.io/cluster-issuer")), Vec::<String>::new());
        assert_eq!(found(&ingress("other")), ["trow/trow-registry-tls Tls Ingress/i"]);
        let sealed = "{kind: SealedSecret, metadata: {name: trow-registry-tls, namespace: trow}}";
        let both = format!("{}\n---\n{sealed}\n", ingress("other"));
        assert_eq!(found(&both), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_is_not_yaml_is_named() {
        let files = BTreeMap::from([("bad.yaml".to_owned(), "a: [".to_owned())]);
        assert!(secret_references(&files).unwrap_err().to_string().starts_with("bad.yaml:"));
    }
}
