//! What is secret in an overlay: found, told, and written nowhere.

use std::fmt;

use super::error::ImportError;
use super::report::{Deed, Place, Report};
use crate::pipeline::check::{is_secret_annotation, is_secret_name};
use crate::pipeline::manifest::Object;
use crate::pipeline::yaml::{Mapping, Node, Value};

/// A Secret that the overlay makes: what is public of it.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Its name.
    pub name: String,
    /// Its type, as the overlay says it.
    pub kind: String,
    /// `docker-server`, where it is a login.
    pub server: Option<String>,
    /// `docker-username`, where it is a login.
    pub user: Option<String>,
    /// Where the overlay says it.
    pub place: Option<Place>,
}

/// The values that were found. They are kept to see to it that none of them
/// comes out, and have no way to be printed.
#[derive(Default)]
pub struct Moved {
    values: Vec<String>,
}

impl fmt::Debug for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Moved({})", self.values.len())
    }
}

impl Moved {
    /// Takes a value.
    pub fn take(&mut self, value: &str) {
        if !value.is_empty() {
            self.values.push(value.to_owned());
        }
    }

    /// Whether a text is, or holds, what was taken. Short values are only
    /// looked for as a whole: a password of one letter is in every text.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.values.iter().any(|value| text == value || (value.len() >= 6 && text.contains(value)))
    }

    /// A text in which nothing stands that was taken.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        let long = self.values.iter().filter(|value| value.len() >= 6);
        long.fold(text.to_owned(), |text, value| text.replace(value.as_str(), "…"))
    }

    /// A Secret among the objects.
    pub fn object(&mut self, object: &Object, report: &mut Report, to: &mut Vec<Generated>) {
        for part in ["data", "stringData"] {
            let entries = object.node.get(part).and_then(Node::as_mapping);
            for (_, value) in entries.iter().flat_map(|entries| entries.iter()) {
                self.take(value.as_str().unwrap_or_default());
            }
        }
        let kind = object.node.get("type").and_then(Node::as_str).unwrap_or("Opaque");
        let place = Place::of(&object.node);
        told(object.name(), place.clone(), report);
        let (name, kind) = (object.name().to_owned(), kind.to_owned());
        to.push(Generated { name, kind, server: None, user: None, place });
    }

    /// An entry of `secretGenerator`. Files that it names are not read.
    ///
    /// # Errors
    /// It has no name, or a literal has no `=`.
    pub fn generator(
        &mut self,
        item: &Node,
        report: &mut Report,
        to: &mut Vec<Generated>,
    ) -> Result<(), ImportError> {
        let Some(name) = item.get("name").and_then(Node::as_str) else {
            return Err(ImportError::at(item, "a Secret needs a `name`"));
        };
        let kind = item.get("type").and_then(Node::as_str).unwrap_or("Opaque").to_owned();
        let (mut server, mut user) = (None, None);
        for literal in item.get("literals").and_then(Node::as_sequence).unwrap_or_default() {
            // What is wrong with it is said without repeating it.
            let Some((key, value)) = literal.as_str().and_then(|text| text.split_once('=')) else {
                return Err(ImportError::at(literal, "a literal is written `key=value`"));
            };
            let value = value.trim_matches(['"', '\'']);
            match key {
                "docker-server" => server = Some(value.to_owned()),
                "docker-username" => user = Some(value.to_owned()),
                _ => self.take(value),
            }
        }
        let place = Place::of(item);
        told(name, place.clone(), report);
        to.push(Generated { name: name.to_owned(), kind, server, user, place });
        Ok(())
    }

    /// Takes out of a node what is, or looks like, a password, and tells of it.
    /// What is left is none where nothing is left.
    pub fn screen(&mut self, node: Node, report: &mut Report) -> Option<Node> {
        self.screen_below("a value", node, report)
    }

    /// `label` is what to call the node: the key that it stands under.
    fn screen_below(&mut self, label: &str, node: Node, report: &mut Report) -> Option<Node> {
        let place = Place::of(&node);
        let out = |what: &str, report: &mut Report| {
            let what = format!("`{what}` looks like a password: put it in a Secret of your own");
            report.add(Deed::MovedOut, place.clone(), what);
        };
        let Node { value, at, origin } = node;
        let value = match value {
            Value::Scalar(scalar) if self.is_in(scalar.text()) => {
                out(label, report);
                return None;
            }
            Value::Scalar(scalar) => Value::Scalar(scalar),
            Value::Sequence(items) => {
                let count = items.len();
                let kept: Vec<_> = items
                    .into_iter()
                    .filter_map(|item| self.screen_below(label, item, report))
                    .collect();
                if kept.is_empty() && count > 0 {
                    return None;
                }
                Value::Sequence(kept)
            }
            Value::Mapping(mapping) => {
                if let Some(name) = self.secret_variable(&mapping) {
                    // Without its value it would be an empty one.
                    let what = format!(
                        "`{name}` looks like a password: the variable is left out; put its value in \
                         a Secret of your own, and refer to it by valueFrom.secretKeyRef"
                    );
                    report.add(Deed::MovedOut, place.clone(), what);
                    return None;
                }
                let count = mapping.len();
                let kept = self.screen_entries(mapping, &out, report);
                if kept.is_empty() && count > 0 {
                    return None;
                }
                Value::Mapping(kept)
            }
        };
        Some(Node { value, at, origin })
    }

    /// The entries of a mapping whose keys and values tell no secret.
    fn screen_entries(
        &mut self,
        mut mapping: Mapping,
        out: &impl Fn(&str, &mut Report),
        report: &mut Report,
    ) -> Mapping {
        let keys: Vec<_> = mapping.iter().map(|(key, _)| key.name().into_owned()).collect();
        let mut kept = Mapping::new();
        for key in keys {
            let Some(value) = mapping.remove(&key) else { continue };
            if value.as_scalar().is_some() && (is_secret(&key) || is_secret_annotation(&key)) {
                out(&key, report);
            } else if let Some(value) = self.screen_below(&key, value, report) {
                kept.set(&key, value);
            }
        }
        kept
    }

    /// The name of a variable whose name says that its value is secret, or whose value
    /// is one that was taken.
    fn secret_variable(&self, mapping: &Mapping) -> Option<String> {
        let name = mapping.get("name").and_then(Node::as_str)?;
        let value = mapping.get("value").and_then(Node::as_scalar)?;
        let secret = is_secret(name) || is_secret_name(name) || self.is_in(value.text());
        secret.then(|| self.hide(name))
    }
}

/// Whether a name says that its value is secret: its last word does.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['-', '_', '.', '/']).next().unwrap_or_default();
    ["password", "passwd", "pwd", "token", "apikey"].iter().any(|word| last.ends_with(word))
}

fn told(name: &str, place: Option<Place>, report: &mut Report) {
    let what = match name {
        "trow-pass" | "trow-cred" => {
            format!("what is in the Secret {name}; `warren secret` makes it in the cluster")
        }
        _ => format!("what is in the Secret {name}; make it in the cluster yourself"),
    };
    report.add(Deed::MovedOut, place, what);
}
