//! Which objects a patch is for, and what to say where there is none.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::super::manifest::Object;
use super::super::yaml::{Node, Scalar};
use super::glob::Glob;

/// What an object must be like. What is absent is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// The API group; empty for the core's.
    pub group: Option<Glob>,
    /// The version within the group.
    pub version: Option<Glob>,
    /// The kind.
    pub kind: Option<Glob>,
    /// The name.
    pub name: Option<Glob>,
    /// The namespace; empty for objects of the cluster.
    pub namespace: Option<Glob>,
    /// Labels with their values.
    pub labels: BTreeMap<String, Glob>,
}

/// What an object differs in from what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    GroupVersion,
    Namespace,
    Labels,
    Name,
    Kind,
}

impl Target {
    /// Whether it asks for nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an object is meant.
    #[must_use]
    pub fn matches(&self, object: &Object) -> bool {
        self.misses(object).is_empty()
    }

    /// Which objects come nearest to what is asked for, as a sentence.
    #[must_use]
    pub fn nearest(&self, objects: &[Object]) -> Option<String> {
        let missed = objects.iter().map(|object| (self.misses(object), object));
        // Of those that differ in one thing alone, the most telling first.
        let mut near: Vec<_> = missed.filter(|(misses, _)| misses.len() == 1).collect();
        near.sort_by_key(|(misses, object)| {
            let wanted = self.name.as_ref().map_or("", Glob::as_str);
            let distance = strsim::damerau_levenshtein(wanted, object.name());
            (misses.first().copied(), distance, object.file_name())
        });
        let Some((differs, object)) = near.first() else { return self.similar(objects) };
        let (kind, name) = (object.kind(), object.name());
        Some(match differs.first()? {
            Miss::GroupVersion => format!("kind {kind} {name} exists in {}", object.api_version()),
            Miss::Namespace if object.namespace().is_empty() => {
                format!("kind {kind} {name} exists, in no namespace")
            }
            Miss::Namespace => {
                format!("kind {kind} {name} exists in the namespace {}", object.namespace())
            }
            Miss::Labels => format!("kind {kind} {name} exists, {}", labels(object)),
            Miss::Name => {
                let of_kind = near.iter().filter(|(misses, _)| misses.as_slice() == [Miss::Name]);
                let names: Vec<_> = of_kind
                    .take(5)
                    .map(|(_, object)| format!("{} {}", object.kind(), object.name()))
                    .collect();
                format!("there is {}", names.join(", "))
            }
            Miss::Kind => format!("{name} exists as kind {kind} in {}", object.api_version()),
        })
    }

    /// Where nothing is near, the object whose name or kind is the most alike.
    fn similar(&self, objects: &[Object]) -> Option<String> {
        let (kind, name) = (self.kind.as_ref(), self.name.as_ref());
        let nearest = |wanted: &Glob, of: fn(&Object) -> &str| {
            let distance = |object: &&Object| {
                let (wanted, found) = (wanted.as_str(), of(object));
                strsim::damerau_levenshtein(&wanted.to_lowercase(), &found.to_lowercase())
            };
            let bound = (wanted.as_str().chars().count() / 3).max(1);
            objects.iter().filter(|object| distance(object) <= bound).min_by_key(distance)
        };
        let object = name
            .and_then(|name| nearest(name, Object::name))
            .or_else(|| kind.and_then(|kind| nearest(kind, Object::kind)))?;
        let (kind, name) = (object.kind(), object.name());
        Some(format!("kind {kind} {name} exists in {}", object.api_version()))
    }

    fn misses(&self, object: &Object) -> Vec<Miss> {
        let (group, version) =
            object.api_version().rsplit_once('/').unwrap_or(("", object.api_version()));
        let fits =
            |glob: &Option<Glob>, text: &str| glob.as_ref().is_none_or(|glob| glob.matches(text));
        let labelled = self.labels.iter().all(|(key, value)| {
            label(object, key)
                .and_then(Node::as_scalar)
                .map(Scalar::text)
                .is_some_and(|text| value.matches(text))
        });
        let all = [
            (Miss::GroupVersion, fits(&self.group, group) && fits(&self.version, version)),
            (Miss::Kind, fits(&self.kind, object.kind())),
            (Miss::Name, fits(&self.name, object.name())),
            (Miss::Namespace, fits(&self.namespace, object.namespace())),
            (Miss::Labels, labelled),
        ];
        all.into_iter().filter(|(_, fits)| !fits).map(|(miss, _)| miss).collect()
    }
}

impl std::fmt::Display for Target {
    /// What is asked for, in words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            ("group", &self.group),
            ("version", &self.version),
            ("kind", &self.kind),
            ("name", &self.name),
            ("namespace", &self.namespace),
        ];
        let parts = parts.into_iter().filter_map(|(what, glob)| {
            glob.as_ref().map(|glob| format!("{what} `{}`", glob.as_str()))
        });
        let labels = self.labels.iter();
        let labels = labels.map(|(key, glob)| format!("label `{key}: {}`", glob.as_str()));
        f.write_str(&parts.chain(labels).collect::<Vec<_>>().join(", "))
    }
}

fn label<'a>(object: &'a Object, key: &str) -> Option<&'a Node> {
    object.node.get("metadata")?.get("labels")?.get(key)
}

fn labels(object: &Object) -> String {
    let labels = object.node.get("metadata").and_then(|metadata| metadata.get("labels"));
    let pair =
        |(key, value): (&Arc<Scalar>, &Node)| format!("`{}: {}`", key.name(), value.summary());
    let pairs: Vec<_> = labels
        .and_then(Node::as_mapping)
        .map_or_else(Vec::new, |mapping| mapping.iter().take(8).map(pair).collect());
    if pairs.is_empty() {
        "without labels".to_owned()
    } else {
        format!("labelled {}", pairs.join(", "))
    }
}
