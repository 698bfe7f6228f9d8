//! What no key can say: a `[[patch]]`, if the environment takes it.

use super::draft;
use super::report::{Place, Report};
use super::secret::Moved;
use super::subject::Subject;
use crate::pipeline::yaml::{self, Node};

/// A patch that may become part of the environment.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// The object and the fields.
    pub what: String,
    /// Where the overlay says it.
    pub place: Option<Place>,
    /// The patch.
    pub toml: String,
}

/// What is left of an object, as a patch of the object that Warren renders.
pub fn of(
    mut subject: Subject,
    kind: &str,
    name: &str,
    moved: &mut Moved,
    report: &mut Report,
) -> Option<Leftover> {
    for known in ["apiVersion", "kind", "metadata/name", "metadata/namespace", "status"] {
        subject.take(known);
    }
    for known in ["creationTimestamp", "resourceVersion", "uid", "selfLink", "generation"] {
        subject.take(&format!("metadata/{known}"));
    }
    subject.take("metadata/annotations/kubectl.kubernetes.io|last-applied-configuration");
    for path in subject.removed() {
        let what = format!("{kind} {name}: the overlay takes {path} away");
        report.left(None, what, None);
    }
    let rest = subject.rest().filter(|rest| rest.as_mapping().is_some_and(|it| !it.is_empty()))?;
    let rest = moved.screen(rest, report)?;
    let place = first_place(&rest);
    let what = format!("{kind} {name}: {}", paths(&rest).join(", "));
    let text = yaml::write(&rest);
    let literal = text.contains("'''") || text.chars().any(|c| c.is_control() && c != '\n');
    let merge = if literal { draft::quoted(&text) } else { format!("'''\n{text}'''") };
    let from = place.as_ref().map(|place| format!(" # {place}")).unwrap_or_default();
    let toml = format!(
        "[[patch]]{from}\ntarget = {{ kind = \"{kind}\", name = \"{name}\" }}\nmerge = {merge}\n"
    );
    Some(Leftover { what, place, toml })
}

fn first_place(node: &Node) -> Option<Place> {
    let below = match &node.value {
        yaml::Value::Mapping(mapping) => mapping.iter().find_map(|(_, value)| first_place(value)),
        yaml::Value::Sequence(items) => items.iter().find_map(first_place),
        yaml::Value::Scalar(_) => None,
    };
    below.or_else(|| Place::of(node))
}

/// The paths of the leaves, a list as a whole.
fn paths(node: &Node) -> Vec<String> {
    let Some(mapping) = node.as_mapping() else { return Vec::new() };
    let below = mapping.iter().flat_map(|(key, value)| {
        let deeper = paths(value);
        if deeper.is_empty() {
            return vec![key.name().into_owned()];
        }
        deeper.into_iter().map(|path| format!("{}.{path}", key.name())).collect()
    });
    below.collect()
}
