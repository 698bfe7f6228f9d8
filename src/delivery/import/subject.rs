//! An object of the overlay beside what it was in Trow's base. What is read
//! out of it is taken from both, so that what is left is what nobody read.

use super::report::Place;
use crate::pipeline::yaml::{Mapping, Node, Value};

/// An object, before and after the overlay.
#[derive(Clone, Debug)]
pub struct Subject {
    /// As the base has it.
    pub before: Option<Node>,
    /// As the overlay has it.
    pub after: Node,
}

impl Subject {
    /// Takes the value at this path; a step `[name]` is the element of a list
    /// with that `name`.
    pub fn take(&mut self, path: &str) -> Option<Node> {
        let steps: Vec<_> = path.split('/').collect();
        // Keys with slashes are written with a bar.
        let steps: Vec<_> = steps.iter().map(|step| step.replace('|', "/")).collect();
        if let Some(before) = &mut self.before {
            remove(before, &steps);
        }
        remove(&mut self.after, &steps)
    }

    /// Takes a text, with where it stood.
    pub fn text(&mut self, path: &str) -> Option<(String, Option<Place>)> {
        let node = self.take(path)?;
        let text = node.as_scalar()?.text().to_owned();
        Some((text, Place::of(&node)))
    }

    /// What differs from the base.
    #[must_use]
    pub fn rest(&self) -> Option<Node> {
        difference(self.before.as_ref(), &self.after)
    }

    /// The paths of what the base has and the overlay took away.
    #[must_use]
    pub fn removed(&self) -> Vec<String> {
        let mut paths = Vec::new();
        if let Some(before) = &self.before {
            missing(before, &self.after, "", &mut paths);
        }
        paths
    }
}

fn remove(node: &mut Node, steps: &[String]) -> Option<Node> {
    let (first, more) = steps.split_first()?;
    match &mut node.value {
        Value::Mapping(mapping) if more.is_empty() => mapping.remove(first),
        Value::Mapping(mapping) => {
            let below = mapping.get_mut(first)?;
            let taken = remove(below, more);
            // What is taken empty says nothing any more.
            if taken.is_some() && below.as_mapping().is_some_and(Mapping::is_empty) {
                mapping.remove(first);
            }
            taken
        }
        Value::Sequence(items) => {
            let name = first.strip_prefix('[')?.strip_suffix(']')?;
            let at = items.iter().position(|item| name_of(item) == Some(name))?;
            if more.is_empty() { Some(items.remove(at)) } else { remove(items.get_mut(at)?, more) }
        }
        Value::Scalar(_) => None,
    }
}

fn name_of(node: &Node) -> Option<&str> {
    node.get("name").and_then(Node::as_str)
}

/// The least that has to be merged into `before` to have what `after` says.
/// Recurses as deep as the reader of YAML allows.
fn difference(before: Option<&Node>, after: &Node) -> Option<Node> {
    if before == Some(after) {
        return None;
    }
    let value = match &after.value {
        Value::Scalar(_) if after.is_null() => return None,
        Value::Scalar(_) => return Some(after.clone()),
        Value::Mapping(mapping) => {
            let mut changed = Node { value: Value::Mapping(Mapping::default()), ..after.clone() };
            let keys = changed.as_mapping_mut()?;
            for (key, value) in mapping.iter() {
                let name = key.name();
                if let Some(value) = difference(before.and_then(|node| node.get(&name)), value) {
                    keys.set(&name, value);
                }
            }
            // An empty mapping that is new says something: `emptyDir: {}`.
            if keys.is_empty() && (before.is_some() || !mapping.is_empty()) {
                return None;
            }
            return Some(changed);
        }
        Value::Sequence(items) => {
            let old = before.and_then(Node::as_sequence).unwrap_or_default();
            if items.is_empty() || items.iter().any(|item| name_of(item).is_none()) {
                if items.is_empty() && old.is_empty() {
                    return None;
                }
                return Some(after.clone());
            }
            items.iter().filter_map(|item| element(old, item)).collect::<Vec<_>>()
        }
    };
    if value.is_empty() {
        return None;
    }
    Some(Node { value: Value::Sequence(value), ..after.clone() })
}

/// What differs in an element with a name.
fn element(old: &[Node], item: &Node) -> Option<Node> {
    let name = name_of(item)?;
    let before = old.iter().find(|other| name_of(other) == Some(name));
    let mut changed = difference(before, item)?;
    let keys = changed.as_mapping_mut()?;
    if keys.get("name").is_none() {
        let mut named = Mapping::default();
        named.set("name", Node::string(name));
        for (key, value) in keys.iter() {
            named.set(&key.name(), value.clone());
        }
        *keys = named;
    }
    Some(changed)
}

fn missing(before: &Node, after: &Node, path: &str, to: &mut Vec<String>) {
    match (&before.value, &after.value) {
        (Value::Mapping(keys), _) => {
            for (key, value) in keys.iter() {
                let path = if path.is_empty() {
                    key.name().into_owned()
                } else {
                    format!("{path}.{}", key.name())
                };
                match after.get(&key.name()) {
                    Some(other) => missing(value, other, &path, to),
                    None if is_hollow(value) => {}
                    None => to.push(path),
                }
            }
        }
        (Value::Sequence(old), Value::Sequence(new)) => {
            for item in old {
                let Some(name) = name_of(item) else { continue };
                let path = format!("{path}[name={name}]");
                match new.iter().find(|other| name_of(other) == Some(name)) {
                    Some(other) => missing(item, other, &path, to),
                    None => to.push(path),
                }
            }
        }
        _ => {}
    }
}

/// Whether nothing is left in a node.
fn is_hollow(node: &Node) -> bool {
    match &node.value {
        Value::Mapping(mapping) => mapping.iter().all(|(_, value)| is_hollow(value)),
        Value::Sequence(items) => items.iter().all(is_hollow),
        Value::Scalar(_) => false,
    }
}
