//! What Argo CD and Flux need to sync the rendering of an environment: their
//! own objects, which live in their own namespaces.

mod argo;
mod flux;

use std::collections::BTreeMap;

pub use argo::argo;
pub use flux::flux;
use serde_json::{Value, json};

use super::difference::node;
use crate::pipeline::compose::{KUSTOMIZATION, Rendered};
use crate::pipeline::manifest::Object;
use crate::pipeline::schema::Schema;
use crate::pipeline::strict;

/// Where the rendering is, as an agent sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The repository's url, as the agent reaches it.
    pub url: String,
    /// The project's folder in the repository, with a `/` behind it; empty
    /// where it is the whole.
    pub prefix: String,
    /// The branch.
    pub branch: String,
    /// A Secret with the credentials for the url, in the agent's namespace. For
    /// Argo CD it is made here, without the credentials.
    pub secret: Option<String>,
    /// Names of what must be synced before.
    pub depends_on: Vec<String>,
    /// The agent's namespace.
    pub namespace: String,
    /// The clusters of environments that have one of their own: a server's url for
    /// Argo CD, the Secret with a kubeconfig for Flux.
    pub clusters: BTreeMap<String, String>,
    /// The cluster that Argo CD deploys the others to.
    pub server: String,
    /// The Secret with the age or PGP key of SOPS, in Flux's namespace.
    pub sops_secret: String,
}

/// The folder that is synced.
fn path(rendered: &Rendered, source: &Source) -> String {
    format!("{}deploy/{}", source.prefix, rendered.environment.name)
}

/// What the agent's objects are called.
fn name(rendered: &Rendered) -> String {
    format!("trow-{}", rendered.environment.name)
}

/// The metadata of an agent's object.
fn metadata(name: &str, source: &Source) -> Value {
    json!({
        "name": name,
        "namespace": source.namespace,
        "labels": {"app.kubernetes.io/part-of": "trow"},
    })
}

/// The objects as the pipeline knows them.
fn objects(values: &[Value]) -> Vec<Object> {
    values.iter().map(|value| Object { node: node(value), source: String::new() }).collect()
}

/// Two environments that would go to the same cluster and hold an object of the
/// same name, each taking it from the other; with that object.
#[must_use]
pub fn collision(rendered: &[Rendered], source: &Source) -> Option<(String, String, String)> {
    let cluster = |one: &Rendered| source.clusters.get(&one.environment.name);
    let identities = |one: &Rendered| -> BTreeMap<(String, String, String, String), String> {
        let identity = |object: &Object| {
            let group = object.api_version().split_once('/').map_or("", |(group, _)| group);
            let words = [group, object.kind(), object.namespace(), object.name()];
            let [group, kind, namespace, name] = words.map(str::to_owned);
            ((group, kind, namespace, name), object.id())
        };
        one.objects.iter().map(identity).collect()
    };
    rendered.iter().enumerate().find_map(|(number, one)| {
        let ours = identities(one);
        let others = rendered.get(number + 1..)?.iter();
        others.filter(|other| cluster(other) == cluster(one)).find_map(|other| {
            let both = identities(other).into_iter().find(|(key, _)| ours.contains_key(key))?;
            Some((one.environment.name.clone(), other.environment.name.clone(), both.1))
        })
    })
}

/// The namespaces that the rendering writes to, sorted.
fn namespaces(rendered: &Rendered) -> Vec<String> {
    let mut found: Vec<_> = rendered
        .objects
        .iter()
        .map(|object| object.namespace().to_owned())
        .filter(|namespace| !namespace.is_empty())
        .collect();
    found.push(rendered.environment.namespace.to_string());
    found.sort_unstable();
    found.dedup();
    found
}

/// The groups and kinds that the rendering holds, by whether they live in a
/// namespace.
fn kinds(rendered: &Rendered) -> BTreeMap<bool, Vec<(String, String)>> {
    let mut found: BTreeMap<bool, Vec<_>> = BTreeMap::new();
    for object in rendered.objects.iter().filter(|object| object.source != KUSTOMIZATION) {
        let group = object.api_version().split_once('/').map_or("", |(group, _)| group);
        let list = found.entry(object.is_namespaced()).or_default();
        list.push((group.to_owned(), object.kind().to_owned()));
    }
    for list in found.values_mut() {
        list.sort_unstable();
        list.dedup();
    }
    found
}

/// What an API server would refuse or drop of these objects, a line each.
#[must_use]
pub fn faults(objects: &[Object]) -> Vec<String> {
    let schema = Schema::newest();
    let found = objects.iter().flat_map(|object| {
        strict::check(schema, &object.node)
            .into_iter()
            .filter(|fault| !fault.rule.is_warning())
            .map(|fault| format!("{} {}: {}", object.id(), fault.field, fault.message))
            .collect::<Vec<_>>()
    });
    found.collect()
}
