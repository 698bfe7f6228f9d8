//! The strict check of one object against the schema of its kind: what an API
//! server of that version would refuse, drop without a word, or warn of.

mod deprecated;
mod path;
mod value;
mod walk;

use super::schema::{Kind, Schema, Scope};
use super::yaml::Node;

pub use path::Path;

/// What is wrong. Each has a stable name, [`Rule::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// No known API has the kind.
    UnknownKind,
    /// Another Kubernetes version serves the kind, this one does not.
    RemovedApi,
    /// The kind is served, and a newer version of it should be used.
    DeprecatedApi,
    /// API servers serve the kind only when told to.
    AlphaApi,
    /// The schema has no such field: the server would drop it.
    UnknownField,
    /// The value is of another type.
    FieldType,
    /// A required field is not there.
    MissingField,
    /// The value is none of those that the field may have.
    FieldValue,
    /// Two elements of a list are the same one to the server.
    RepeatedElement,
    /// The field does nothing any more, or soon will not.
    DeprecatedField,
    /// A namespace on a kind of the cluster, or none on another.
    Namespace,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 11] = [
        Self::UnknownKind,
        Self::RemovedApi,
        Self::DeprecatedApi,
        Self::AlphaApi,
        Self::UnknownField,
        Self::FieldType,
        Self::MissingField,
        Self::FieldValue,
        Self::RepeatedElement,
        Self::DeprecatedField,
        Self::Namespace,
    ];

    /// Its name in findings.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownKind => "unknown-kind",
            Self::RemovedApi => "removed-api",
            Self::DeprecatedApi => "deprecated-api",
            Self::AlphaApi => "alpha-api",
            Self::UnknownField => "unknown-field",
            Self::FieldType => "field-type",
            Self::MissingField => "missing-field",
            Self::FieldValue => "field-value",
            Self::RepeatedElement => "repeated-element",
            Self::DeprecatedField => "deprecated-field",
            Self::Namespace => "namespace",
        }
    }

    /// Whether the object would still do what it says.
    #[must_use]
    pub fn is_warning(self) -> bool {
        matches!(
            self,
            Self::DeprecatedApi | Self::AlphaApi | Self::DeprecatedField | Self::RepeatedElement
        )
    }
}

/// One thing that is wrong with an object.
#[derive(Clone, Debug)]
pub struct Fault<'a> {
    /// What is wrong.
    pub rule: Rule,
    /// The address of the field, such as `spec.ports[0].protocol`; empty for
    /// the whole object.
    pub field: String,
    /// The value, or what lacks one: it knows its file and line.
    pub node: &'a Node,
    /// What is wrong, in words.
    pub message: String,
    /// The way out.
    pub hint: String,
}

/// Checks one object. The order is that of the manifest.
#[must_use]
pub fn check(schema: Schema, object: &Node) -> Vec<Fault<'_>> {
    let text = |key| object.get(key).and_then(Node::as_str).unwrap_or_default();
    let (api_version, name) = (text("apiVersion"), text("kind"));
    let Some(kind) = schema.kind(api_version, name) else {
        return vec![not_served(schema, object, api_version, name)];
    };
    let mut faults = Vec::new();
    faults.extend(served(schema, kind, object));
    faults.extend(namespace(kind, object));
    if let Some(of) = kind.object() {
        faults.extend(walk::walk(schema, kind, of, object));
    }
    faults
}

fn not_served<'a>(schema: Schema, object: &'a Node, api_version: &str, name: &str) -> Fault<'a> {
    let node = object.get("apiVersion").unwrap_or(object);
    let version = schema.version();
    if let Some(kind) = schema.kind_of_any_version(api_version, name) {
        let when = kind.removed().filter(|_| kind.is_gone()).map_or_else(
            || format!("comes only after Kubernetes {version}"),
            |removed| format!("was removed in Kubernetes {removed}"),
        );
        let hint = match kind.replacement() {
            Some(other) if other.kind == name => {
                format!("write apiVersion: {}, and see what changed", other.api_version)
            }
            Some(other) => format!("use {} {}", other.api_version, other.kind),
            None => format!("nothing takes its place in Kubernetes {version}"),
        };
        let message = format!("{api_version} {name} {when}");
        return Fault { rule: Rule::RemovedApi, field: "apiVersion".into(), node, message, hint };
    }
    let hint = nearest_kind(schema, api_version, name);
    let message =
        format!("Kubernetes {version} knows no {api_version} {name}, nor does any CRD of ours");
    Fault { rule: Rule::UnknownKind, field: "apiVersion".into(), node, message, hint }
}

/// The kind that was most likely meant: the name in another API, or the name
/// that is nearest in this one.
fn nearest_kind(schema: Schema, api_version: &str, name: &str) -> String {
    let same_name = schema.kinds().filter(|kind| kind.name() == name).max_by_key(|kind| {
        let near = 1000 - strsim::damerau_levenshtein(kind.api_version(), api_version).min(1000);
        (!kind.is_alpha(), near)
    });
    if let Some(kind) = same_name {
        return format!("it is {} {}", kind.api_version(), kind.name());
    }
    let names = schema.kinds().filter(|kind| kind.api_version() == api_version).map(Kind::name);
    match value::nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "correct apiVersion and kind".to_owned(),
    }
}

fn served(schema: Schema, kind: Kind, object: &Node) -> Option<Fault<'_>> {
    let node = object.get("apiVersion").unwrap_or(object);
    let (api_version, name) = (kind.api_version(), kind.name());
    let fault =
        |rule, message, hint| Some(Fault { rule, field: "apiVersion".into(), node, message, hint });
    let newer = kind.replacement();
    if kind.is_deprecated() {
        let end = kind
            .removed()
            .map_or_else(String::new, |minor| format!(", and gone in Kubernetes {minor}"));
        let hint = match newer {
            Some(other) => format!("use {} {}", other.api_version, other.kind),
            None => "do without it".to_owned(),
        };
        return fault(
            Rule::DeprecatedApi,
            format!("{api_version} {name} is deprecated in Kubernetes {}{end}", schema.version()),
            hint,
        );
    }
    if kind.is_alpha() {
        let hint = match newer {
            Some(other) => format!("use {} {}", other.api_version, other.kind),
            None => format!("start the API servers with --runtime-config={api_version}=true"),
        };
        let message = format!("API servers don't serve {api_version} {name} unless told to");
        return fault(Rule::AlphaApi, message, hint);
    }
    None
}

fn namespace(kind: Kind, object: &Node) -> Option<Fault<'_>> {
    let metadata = object.get("metadata")?;
    let named = metadata.get("namespace").filter(|node| !node.is_null());
    let (node, message, hint) = match (kind.scope(), named) {
        (Scope::Namespaced, None) => {
            (metadata, "lives in a namespace and names none", "add metadata.namespace")
        }
        (Scope::Cluster, Some(node)) => {
            (node, "lives in no namespace and names one", "remove metadata.namespace")
        }
        _ => return None,
    };
    Some(Fault {
        rule: Rule::Namespace,
        field: "metadata.namespace".into(),
        node,
        message: message.to_owned(),
        hint: hint.to_owned(),
    })
}

#[cfg(test)]
mod tests;
