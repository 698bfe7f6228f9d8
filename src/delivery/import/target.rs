//! Which objects a patch of an overlay is for, and the patch applied to them.

use super::error::ImportError;
use super::report::{Deed, Place, Report};
use crate::pipeline::manifest::Object;
use crate::pipeline::patch::json::{self, Action};
use crate::pipeline::patch::{MergeError, merged};
use crate::pipeline::schema::Schema;
use crate::pipeline::yaml::Node;

/// What an overlay asks for. What is absent is not asked for.
#[derive(Clone, Debug, Default)]
pub struct Target {
    group: Option<String>,
    version: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    place: Option<Place>,
}

impl Target {
    /// Reads the `target` of a patch.
    ///
    /// # Errors
    /// It is no mapping of texts, or selects in a way that is not known here.
    pub fn read(node: &Node) -> Result<Self, ImportError> {
        let Some(mapping) = node.as_mapping() else {
            return Err(ImportError::at(node, "a target is a mapping of kind, name and the like"));
        };
        let mut target = Self { place: Place::of(node), ..Self::default() };
        for (key, value) in mapping.iter() {
            let Some(text) = value.as_str() else {
                return Err(ImportError::at(value, format!("`{}` is a text", key.text())));
            };
            match key.text() {
                "group" => target.group = Some(text.to_owned()),
                "version" => target.version = Some(text.to_owned()),
                "kind" => target.kind = Some(text.to_owned()),
                "name" => target.name = Some(text.to_owned()),
                "namespace" => {}
                other => {
                    let reason =
                        format!("a target with `{other}` is not understood: name the kind");
                    return Err(ImportError::at(value, reason));
                }
            }
        }
        Ok(target)
    }

    /// What a strategic merge patch says of itself.
    #[must_use]
    pub fn of_patch(patch: &Node) -> Self {
        let object = Object { node: patch.clone(), source: String::new() };
        let (group, version) = split(object.api_version());
        Self {
            group: Some(group.to_owned()),
            version: Some(version.to_owned()),
            kind: Some(object.kind().to_owned()),
            name: Some(object.name().to_owned()),
            place: Place::of(patch),
        }
    }

    fn says(wanted: Option<&String>, there: &str) -> bool {
        wanted.is_none_or(|wanted| wanted == there)
    }

    fn is_named(&self, object: &Object) -> bool {
        Self::says(self.kind.as_ref(), object.kind())
            && Self::says(self.name.as_ref(), object.name())
    }

    fn fits(&self, object: &Object) -> bool {
        let (group, version) = split(object.api_version());
        self.is_named(object)
            && Self::says(self.group.as_ref(), group)
            && Self::says(self.version.as_ref(), version)
    }

    fn describe(&self) -> String {
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        format!("{} {}", part(&self.kind), part(&self.name))
    }

    /// The indexes of the objects that are meant. An object that kustomize
    /// would miss for its API version alone is meant too, and said.
    fn find(&self, objects: &[Object], report: &mut Report) -> Vec<usize> {
        let all = |fits: &dyn Fn(&Object) -> bool| -> Vec<usize> {
            let hits = objects.iter().enumerate().filter(|(_, object)| fits(object));
            hits.map(|(index, _)| index).collect()
        };
        let exact = all(&|object| self.fits(object));
        if !exact.is_empty() {
            return exact;
        }
        let near = all(&|object| self.is_named(object));
        if let Some(object) = near.first().and_then(|index| objects.get(*index)) {
            let what = format!(
                "the patch of {} asks for an API version that is not there, so kustomize skips it \
                 without a word; it is applied to that of {}",
                self.describe(),
                object.api_version()
            );
            report.add(Deed::Fixed, self.place.clone(), what);
            return near;
        }
        let workload = |kind: &str| matches!(kind, "Deployment" | "StatefulSet");
        if self.kind.as_deref().is_some_and(workload) && self.name.as_deref().is_some_and(is_trow) {
            let pods = all(&|object| workload(object.kind()) && is_trow(object.name()));
            if !pods.is_empty() {
                let what = format!("{} is the StatefulSet trow-set now", self.describe());
                report.add(Deed::Upgraded, self.place.clone(), what);
                return pods;
            }
        }
        let what = format!("the patch of {} is for nothing that is there", self.describe());
        report.left(self.place.clone(), what, None);
        Vec::new()
    }
}

fn is_trow(name: &str) -> bool {
    matches!(name, "trow-set" | "trow-deploy")
}

fn split(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Applies a JSON patch, as kustomize does: `replace` adds a key too.
///
/// # Errors
/// It is no JSON patch, or does not fit.
pub fn apply_operations(
    objects: &mut [Object],
    target: &Target,
    patch: &Node,
    report: &mut Report,
) -> Result<(), ImportError> {
    let said = |at: crate::pipeline::yaml::Position, reason: String| {
        let mut node = patch.clone();
        node.at = at;
        ImportError::at(&node, reason)
    };
    let operations = json::operations(patch).map_err(|(at, error)| said(at, error.to_string()))?;
    for index in target.find(objects, report) {
        let Some(object) = objects.get_mut(index) else { continue };
        for operation in &operations {
            let one = std::slice::from_ref(operation);
            let result = json::applied(&object.node, one).or_else(|error| {
                let Action::Replace(value) = &operation.action else { return Err(error) };
                let parent = operation.path.split_last().map(|(parent, _)| parent);
                let parent = parent.and_then(|parent| parent.find(&object.node).ok().cloned());
                if parent.is_none_or(|parent| parent.as_mapping().is_none()) {
                    return Err(error);
                }
                let mut add = operation.clone();
                add.action = Action::Add(value.clone());
                json::applied(&object.node, &[add])
            });
            object.node = result.map_err(|(at, error)| {
                said(
                    at,
                    format!(
                        "{error}, in {} {}; if the overlay builds on a base that was changed, put \
                         that folder where the overlay looks for it",
                        object.kind(),
                        object.name()
                    ),
                )
            })?;
        }
    }
    Ok(())
}

/// Applies a strategic merge patch.
///
/// # Errors
/// It does not fit.
pub fn apply_merge(
    objects: &mut Vec<Object>,
    target: &Target,
    patch: &Node,
    report: &mut Report,
) -> Result<(), ImportError> {
    let found = target.find(objects, report);
    if patch.get("$patch").and_then(Node::as_str) == Some("delete") {
        let mut index = 0;
        objects.retain(|_| {
            index += 1;
            !found.contains(&(index - 1))
        });
        return Ok(());
    }
    let mut change = patch.clone();
    if let Some(mapping) = change.as_mapping_mut() {
        mapping.retain(|key| !matches!(key, "apiVersion" | "kind"));
        if let Some(metadata) = mapping.get_mut("metadata").and_then(Node::as_mapping_mut) {
            metadata.retain(|key| !matches!(key, "name" | "namespace"));
        }
    }
    for index in found {
        let Some(object) = objects.get_mut(index) else { continue };
        object.node = merged(object, &change, Schema::newest()).map_err(|(at, error)| {
            let mut node = patch.clone();
            node.at = at;
            let hint = match error {
                MergeError::Idle(_) => ": remove it from the patch",
                _ => "",
            };
            ImportError::at(&node, format!("{error}{hint}"))
        })?;
    }
    Ok(())
}
