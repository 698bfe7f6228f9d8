//! Which object refers to which: the objects of an environment, found by what
//! others call them. Built once, so that no check walks all objects for each.

use std::collections::{BTreeMap, HashMap};

use super::super::environment::Environment;
use super::super::field::items;
use super::super::manifest::Object;
use super::super::yaml::{Mapping, Node, Scalar};
use super::claims;
use super::pods::{Pod, pod};
use super::providers;

/// Namespace and name.
type Name = (String, String);

/// The objects of an environment, by what they are called.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    named: HashMap<(&'a str, &'a str, &'a str), &'a Object>,
    kinds: HashMap<&'a str, Vec<&'a Object>>,
    pods: HashMap<&'a str, Vec<Pod<'a>>>,
    /// Pods by namespace, key and value of each of their labels.
    labelled: HashMap<(&'a str, String, String), Vec<Pod<'a>>>,
    claims: BTreeMap<Name, &'a Node>,
    secrets: HashMap<Name, Vec<String>>,
}

/// How many names a message lists.
const LISTED: usize = 8;

impl<'a> Graph<'a> {
    pub fn new(objects: &'a [Object], environment: &Environment) -> Self {
        let mut graph = Self {
            named: HashMap::new(),
            kinds: HashMap::new(),
            pods: HashMap::new(),
            labelled: HashMap::new(),
            claims: BTreeMap::new(),
            secrets: providers::known(environment),
        };
        for object in objects {
            let name = (object.kind(), object.namespace(), object.name());
            graph.named.entry(name).or_insert(object);
            graph.kinds.entry(object.kind()).or_default().push(object);
            graph.claims.extend(claims::made(object));
            for (name, keys) in providers::made(object) {
                graph.secrets.entry((object.namespace().to_owned(), name)).or_insert(keys);
            }
            if let Some(pod) = pod(object) {
                graph.add_pod(object.namespace(), pod);
            }
        }
        graph
    }

    fn add_pod(&mut self, namespace: &'a str, pod: Pod<'a>) {
        self.pods.entry(namespace).or_default().push(pod);
        let labels = pod.find("metadata.labels").and_then(Node::as_mapping);
        for (key, value) in labels.into_iter().flat_map(Mapping::iter) {
            let label = (namespace, key.name().into_owned(), label_text(value));
            self.labelled.entry(label).or_default().push(pod);
        }
    }

    /// The object of this kind and name in this namespace.
    pub fn named(&self, kind: &str, namespace: &str, name: &str) -> Option<&'a Object> {
        self.named.get(&(kind, namespace, name)).copied()
    }

    /// The objects of a kind.
    pub fn of_kind(&self, kind: &str) -> &[&'a Object] {
        self.kinds.get(kind).map(Vec::as_slice).unwrap_or_default()
    }

    /// The names of the objects of a kind in a namespace, for messages.
    pub fn names(&self, kind: &str, namespace: &str) -> String {
        let there = self.of_kind(kind).iter().filter(|other| other.namespace() == namespace);
        let mut names: Vec<_> = there.map(|other| format!("`{}`", other.name())).collect();
        if names.is_empty() {
            return format!("no {kind} is rendered in the namespace `{namespace}`");
        }
        if names.len() > LISTED {
            names.truncate(LISTED);
            names.push("…".to_owned());
        }
        format!("the {kind} that is rendered there: {}", names.join(", "))
    }

    /// Whether any pod runs in a namespace.
    pub fn has_pods(&self, namespace: &str) -> bool {
        self.pods.contains_key(namespace)
    }

    /// The pods of a namespace that a Service's selector selects.
    pub fn selected(&self, namespace: &str, selector: Option<&Node>) -> Vec<Pod<'a>> {
        let candidates = self.candidates(namespace, selector).iter();
        candidates.filter(|pod| selects(selector, pod.find("metadata.labels"))).copied().collect()
    }

    /// The pods of a namespace that a selector of labels and expressions selects.
    pub fn matched(&self, namespace: &str, selector: Option<&Node>) -> Vec<Pod<'a>> {
        let labels = selector.and_then(|selector| selector.get("matchLabels"));
        let candidates = self.candidates(namespace, labels).iter();
        candidates.filter(|pod| matches(selector, pod.find("metadata.labels"))).copied().collect()
    }

    /// Those that have the first of these labels; without labels, all.
    fn candidates(&self, namespace: &str, labels: Option<&Node>) -> &[Pod<'a>] {
        let first = labels.and_then(Node::as_mapping).and_then(|labels| labels.iter().next());
        let found = match first {
            // The key borrows from the objects; a look-up may not, so it walks the few namespaces.
            Some((key, value)) => {
                let space = self.pods.keys().find(|space| **space == namespace);
                let (key, value) = (key.name().into_owned(), label_text(value));
                space.and_then(|space| self.labelled.get(&(*space, key, value)))
            }
            None => self.pods.get(namespace),
        };
        found.map(Vec::as_slice).unwrap_or_default()
    }

    /// The claim of this name, or the template that makes it.
    pub fn claim(&self, namespace: &str, name: &str) -> Option<&'a Node> {
        self.claims.get(&(namespace.to_owned(), name.to_owned())).copied()
    }

    /// The claims that are made, for messages.
    pub fn claim_names(&self) -> Vec<String> {
        let names = self.claims.keys().take(LISTED);
        names.map(|(namespace, name)| format!("{namespace}/{name}")).collect()
    }

    /// The keys of a Secret that somebody makes whom we know; none of them
    /// where they can't be known.
    pub fn secret_keys(&self, namespace: &str, name: &str) -> Option<&[String]> {
        self.secrets.get(&(namespace.to_owned(), name.to_owned())).map(Vec::as_slice)
    }
}

fn label_text(value: &Node) -> String {
    value.as_scalar().map(Scalar::text).unwrap_or_default().to_owned()
}

/// Whether a plain selector selects what bears these labels. None selects nothing.
pub(super) fn selects(selector: Option<&Node>, labels: Option<&Node>) -> bool {
    let (Some(selector), Some(labels)) =
        (selector.and_then(Node::as_mapping), labels.and_then(Node::as_mapping))
    else {
        return false;
    };
    !selector.is_empty()
        && selector.iter().all(|(key, value)| labels.get(&key.name()) == Some(value))
}

/// Whether a selector of labels and expressions selects what bears these
/// labels. An empty one selects everything, none nothing.
pub(super) fn matches(selector: Option<&Node>, labels: Option<&Node>) -> bool {
    let Some(selector) = selector else { return false };
    let by_labels = selector.get("matchLabels");
    let labelled = by_labels.is_none_or(|wanted| is_empty(wanted) || selects(Some(wanted), labels));
    labelled && items(selector, "matchExpressions").iter().all(|one| expression(one, labels))
}

/// Whether a selector has neither labels nor expressions.
pub(super) fn is_empty(selector: &Node) -> bool {
    selector.as_mapping().is_none_or(Mapping::is_empty)
}

fn expression(expression: &Node, labels: Option<&Node>) -> bool {
    let key = expression.get("key").and_then(Node::as_str).unwrap_or_default();
    let value = labels.and_then(|labels| labels.get(key));
    let listed = || items(expression, "values").iter().any(|one| Some(one) == value);
    match expression.get("operator").and_then(Node::as_str) {
        Some("In") => listed(),
        Some("NotIn") => !listed(),
        Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        _ => false,
    }
}
