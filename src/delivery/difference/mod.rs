//! What differs between two sets of objects: by object and field, each change
//! with what it puts at risk.

mod compare;
mod json;
mod markdown;
mod networks;
mod risk;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

pub use json::{json, node};
pub use risk::Risk;
pub use text::{Palette, value as value_text};

use crate::pipeline::compose::KUSTOMIZATION;
use crate::pipeline::manifest::Object;
use crate::pipeline::yaml;

/// What differs, sorted by object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Objects that were added, changed or removed.
    pub objects: Vec<ObjectChange>,
    /// Files that differ in their bytes and not in what Kubernetes reads from
    /// them, and files that are no manifests.
    pub files: Vec<String>,
}

/// One object that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectChange {
    /// The object, such as `ingress/trow-ingress`.
    pub object: String,
    /// Its namespace; empty where it has none.
    pub namespace: String,
    /// What happens to it.
    pub change: Kind,
    /// The gravest of `risks`.
    pub risk: Risk,
    /// What the change puts at risk, the gravest first.
    pub risks: Vec<Risk>,
    /// The fields that differ, in the order of the object; none for an object
    /// that is added or removed.
    pub fields: Vec<FieldChange>,
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its address; elements of lists are named by what they are.
    pub field: String,
    /// What happens to it.
    pub change: Kind,
    /// What was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// What comes there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
    /// The gravest of `risks`.
    pub risk: Risk,
    /// What the change puts at risk, the gravest first.
    pub risks: Vec<Risk>,
}

/// What happens to an object or field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It was not there.
    Added,
    /// It had another value.
    Changed,
    /// It goes away.
    Removed,
}

impl Difference {
    /// What it takes to get from some objects to others.
    #[must_use]
    pub fn between(before: &[Object], after: &[Object]) -> Self {
        Self { objects: compare::objects(before, after), files: Vec::new() }
    }

    /// What it takes to get from some files to others.
    #[must_use]
    pub fn of_files(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Self {
        let (old, old_rest) = read(before);
        let (new, new_rest) = read(after);
        let mut difference = Self::between(&old, &new);
        // A file whose objects are listed needs no line of its own.
        let changed: BTreeSet<_> =
            difference.objects.iter().map(|change| change.object.clone()).collect();
        let told: BTreeSet<_> = old
            .iter()
            .chain(&new)
            .filter(|object| changed.contains(&object.id()))
            .map(|object| object.source.clone())
            .collect();
        let mut files: Vec<_> = before
            .keys()
            .chain(after.keys())
            .filter(|file| before.get(*file) != after.get(*file) && !told.contains(*file))
            // The list of the others follows them.
            .filter(|file| file.as_str() != KUSTOMIZATION || told.is_empty())
            .map(|file| match (before.get(file), after.get(file)) {
                (None, _) => format!("{file} is added"),
                (_, None) => format!("{file} is removed"),
                _ if old_rest.contains(file) || new_rest.contains(file) => {
                    format!("{file} is changed")
                }
                _ => format!("{file} differs in its form only"),
            })
            .collect();
        files.sort_unstable();
        files.dedup();
        difference.files = files;
        difference
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.files.is_empty()
    }

    /// How many objects this happens to.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.objects.iter().filter(|object| object.change == kind).count()
    }

    /// The risks of all changes, the gravest first.
    #[must_use]
    pub fn risks(&self) -> Vec<Risk> {
        risk::sorted(self.objects.iter().flat_map(|object| object.risks.iter().copied()))
    }

    /// One line: how many objects are added, changed and removed, and what that
    /// puts at risk.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.is_empty() {
            return "nothing changed".to_owned();
        }
        let mut line = format!(
            "{} added, {} changed, {} removed",
            self.count(Kind::Added),
            self.count(Kind::Changed),
            self.count(Kind::Removed)
        );
        if !self.files.is_empty() {
            let _ = write!(line, ", {} other files", self.files.len());
        }
        let risks: Vec<_> = self.risks().into_iter().filter(|risk| *risk != Risk::None).collect();
        if !risks.is_empty() {
            let risks: Vec<_> = risks.iter().map(|risk| risk.as_str()).collect();
            let _ = write!(line, "; {}", risks.join(", "));
        }
        line
    }
}

/// The objects of a folder's files, and the names of the files that hold none.
fn read(files: &BTreeMap<String, String>) -> (Vec<Object>, Vec<String>) {
    let (mut objects, mut rest) = (Vec::new(), Vec::new());
    for (file, text) in files.iter().filter(|(file, _)| *file != KUSTOMIZATION) {
        let nodes = yaml::read(file, text).unwrap_or_default();
        let read = nodes.into_iter().map(|node| Object { node, source: file.clone() });
        let read: Vec<_> = read.collect();
        let whole = |object: &Object| !object.kind().is_empty() && !object.name().is_empty();
        if !read.is_empty() && read.iter().all(whole) {
            objects.extend(read);
        } else {
            rest.push(file.clone());
        }
    }
    (objects, rest)
}
