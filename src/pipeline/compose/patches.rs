//! The environment's `[[patch]]`, applied to the composed objects.

use super::super::document::DocumentError;
use super::super::environment::{Change, Environment, Patch};
use super::super::manifest::Object;
use super::super::patch::{merged, steps};
use super::super::schema::Schema;
use super::super::yaml::Node;
use super::secrets::is_sealed;

/// How many objects a message names.
const NAMED: usize = 8;

/// Applies the environment's patches in their order.
///
/// # Errors
/// A patch matches another number of objects than it expects, does not fit
/// one, or changes nothing in one; with its line in the environment's file.
pub(super) fn apply(
    objects: &mut [Object],
    environment: &Environment,
    schema: Schema,
) -> Result<(), DocumentError> {
    for patch in &environment.patches {
        apply_one(objects, patch, environment, schema)?;
    }
    Ok(())
}

fn apply_one(
    objects: &mut [Object],
    patch: &Patch,
    environment: &Environment,
    schema: Schema,
) -> Result<(), DocumentError> {
    let told = |reason: &str, hint: Option<String>| {
        environment.sources.error(Some(patch.span.clone()), reason, hint)
    };
    let count = objects.iter().filter(|object| patch.target.matches(object)).count();
    if count == 0 {
        let reason = format!("no object matches {}", patch.target);
        return Err(told(&reason, patch.target.nearest(objects)));
    }
    if count != patch.expect {
        let matched = objects.iter().filter(|object| patch.target.matches(object));
        let mut names: Vec<_> = matched.take(NAMED).map(Object::id).collect();
        if count > NAMED {
            names.push("…".to_owned());
        }
        let reason = format!(
            "{} matches {count} object{}, and {} expected: {}",
            patch.target,
            if count == 1 { "" } else { "s" },
            if patch.expect == 1 { "1 is".to_owned() } else { format!("{} are", patch.expect) },
            names.join(", ")
        );
        let hint =
            format!("write `expect = {count}` if all of them are meant, or narrow the target");
        return Err(told(&reason, Some(hint)));
    }
    if let Some(object) = objects.iter().find(|one| patch.target.matches(one) && is_sealed(one)) {
        let what = format!("kind {} {}", object.kind(), object.name());
        let reason = format!("{what} is sealed: after any change nobody could open it any more");
        let hint = format!(
            "narrow the target, or change {} before it is encrypted or sealed again",
            object.source
        );
        return Err(told(&reason, Some(hint)));
    }
    for object in objects.iter_mut().filter(|object| patch.target.matches(object)) {
        let result = match &patch.change {
            Change::Merge(change) => {
                merged(object, change, schema).map_err(|(at, error)| (at, error.to_string()))
            }
            Change::Operations(steps) => {
                steps::applied(&object.node, steps).map_err(|(at, error)| (at, error.to_string()))
            }
        };
        let what = format!("kind {} {}", object.kind(), object.name());
        let result = result.map_err(|(at, error)| {
            environment.sources.error_at(&patch.span, at, &format!("{what}: {error}"))
        })?;
        if result == object.node {
            let reason = format!("this changes nothing in {what}: all that it says is so already");
            return Err(told(&reason, Some("remove it".to_owned())));
        }
        if let Some(field) = identity(&object.node, &result) {
            let reason =
                format!("{what}: a patch can't change {field}, by which the object is known");
            return Err(told(&reason, None));
        }
        object.node = result;
    }
    Ok(())
}

/// The first of the fields that say which object it is that differs.
fn identity(before: &Node, after: &Node) -> Option<&'static str> {
    let field =
        |node: &Node, path: &[&str]| path.iter().try_fold(node, |node, key| node.get(key)).cloned();
    let fields: [(&str, &[&str]); 4] = [
        ("`apiVersion`", &["apiVersion"]),
        ("`kind`", &["kind"]),
        ("`metadata.name`", &["metadata", "name"]),
        ("`metadata.namespace`", &["metadata", "namespace"]),
    ];
    let differs = |path| field(before, path) != field(after, path);
    fields.into_iter().find(|(_, path)| differs(*path)).map(|(name, _)| name)
}
