//! Where each value of a composed environment came from.

use serde::Serialize;

use super::address::{self, AddressError, Step};
use super::field;
use super::manifest::Object;
use super::yaml::{Kind, Node, Value};

/// One value, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The object, such as `ingress/trow-ingress`.
    pub object: String,
    /// The field's address.
    pub field: String,
    /// The value as it is written, without quotes.
    pub value: String,
    /// Where it came from.
    pub origin: Source,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// `base`, `component`, `environment`, `patch`, `lock`, `default`, `file`,
    /// or `program` for what composition makes by itself.
    pub kind: &'static str,
    /// The file, relative to the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line and column in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The key of a TOML file, or the row of the lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Source {
    /// Where a node came from.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        let Some(origin) = node.origin.as_deref() else {
            return Self { kind: "program", file: None, line: None, column: None, key: None };
        };
        let placed = origin.file().is_some() && node.at.line > 0;
        Self {
            kind: origin.kind(),
            file: origin.file().map(str::to_owned),
            line: placed.then_some(node.at.line()),
            column: placed.then_some(node.at.column()),
            key: origin.key().map(str::to_owned),
        }
    }
}

impl std::fmt::Display for Source {
    /// `environments/sandbox.toml:4:10 domain`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.kind, &self.file, &self.key) {
            ("default", _, Some(key)) => return write!(f, "the default of {key}"),
            (_, Some(file), _) => f.write_str(file)?,
            _ => return f.write_str("made by warren"),
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        match &self.key {
            Some(key) => write!(f, " {key}"),
            None => Ok(()),
        }
    }
}

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExplainError {
    /// No object of this name.
    #[error("there is no object `{object}`; there are {}", known.join(", "))]
    Object {
        /// What was asked for.
        object: String,
        /// Those there are.
        known: Vec<String>,
        /// The nearest, where one is near.
        nearest: Option<String>,
    },
    /// The address is malformed.
    #[error(transparent)]
    Field(#[from] AddressError),
    /// The object has no such field.
    #[error("{object} has no field `{field}`: {found}")]
    NoField {
        /// The object.
        object: String,
        /// What was asked for.
        field: String,
        /// How far the address leads, and what is there.
        found: String,
        /// The nearest, where one is near.
        nearest: Option<String>,
    },
}

impl ExplainError {
    /// The nearest right word, where one is near.
    #[must_use]
    pub fn nearest(&self) -> Option<&str> {
        match self {
            Self::Object { nearest, .. } | Self::NoField { nearest, .. } => nearest.as_deref(),
            Self::Field(_) => None,
        }
    }
}

/// The object of this name: `ingress/trow-ingress`, in any case, with its namespace
/// before it where several bear that, or the name alone where only one object does.
///
/// # Errors
/// When there is none.
pub fn object<'a>(objects: &'a [Object], wanted: &str) -> Result<&'a Object, ExplainError> {
    let id = |object: &&Object| object.id().eq_ignore_ascii_case(wanted);
    if let Some(found) = objects.iter().find(id) {
        return Ok(found);
    }
    let place = |object: &&Object| {
        format!("{}/{}", object.namespace(), object.id()).eq_ignore_ascii_case(wanted)
    };
    if let Some(found) = objects.iter().find(place) {
        return Ok(found);
    }
    let mut named = objects.iter().filter(|object| object.name() == wanted);
    if let (Some(found), None) = (named.next(), named.next()) {
        return Ok(found);
    }
    let known: Vec<_> = objects.iter().map(Object::id).collect();
    let nearest = nearest(wanted, known.iter().map(String::as_str));
    Err(ExplainError::Object { object: wanted.to_owned(), known, nearest })
}

/// All values of an object, or those at and below a field of it.
///
/// # Errors
/// When the field's address is malformed, or leads nowhere.
pub fn explain(object: &Object, wanted: Option<&str>) -> Result<Vec<Explained>, ExplainError> {
    let id = object.id();
    let one = |(field, node): (String, &Node)| Explained {
        object: id.clone(),
        field,
        value: shown(node),
        origin: Source::of(node),
    };
    let Some(wanted) = wanted else {
        return Ok(field::leaves(&object.node).into_iter().map(one).collect());
    };
    let steps = address::parse(wanted)?;
    let (taken, found) = field::walk(&object.node, &steps);
    if taken < steps.len() {
        return Err(no_field(object, wanted, &steps, taken, found));
    }
    let prefix = field::canonical(&object.node, &steps);
    let below = field::leaves_under(&prefix, found);
    Ok(below.into_iter().map(one).collect())
}

fn no_field(
    object: &Object,
    wanted: &str,
    steps: &[Step],
    taken: usize,
    found: &Node,
) -> ExplainError {
    let so_far = field::canonical(&object.node, steps.get(..taken).unwrap_or_default());
    let there = match &found.value {
        Value::Mapping(mapping) => {
            let keys: Vec<_> = mapping.iter().map(|(key, _)| key.name().into_owned()).collect();
            format!("there is {}", keys.join(", "))
        }
        Value::Sequence(items) => {
            let addresses = field::element_addresses("", items);
            format!("there is {}", addresses.join(", "))
        }
        Value::Scalar(_) => format!("there is {}, which has no fields", found.describe()),
    };
    let place = if so_far.is_empty() { "at the top".to_owned() } else { format!("at `{so_far}`") };
    let all = addresses(&object.node);
    // With the part that leads somewhere in the form of the others.
    let rest = steps.get(taken..).unwrap_or_default().iter();
    let meant = rest.fold(so_far.clone(), |address, step| field::under(&address, step));
    ExplainError::NoField {
        object: object.id(),
        field: wanted.to_owned(),
        found: format!("{place} {there}"),
        nearest: nearest(&meant, all.iter().map(String::as_str)),
    }
}

/// The addresses of all fields, those that hold others among them.
fn addresses(node: &Node) -> Vec<String> {
    let mut all = Vec::new();
    for (address, _) in field::leaves(node) {
        let ends = address.char_indices().filter(|(_, c)| matches!(c, '.' | '['));
        all.extend(ends.filter_map(|(end, _)| address.get(..end).map(str::to_owned)));
        all.push(address);
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = |word: &str| (strsim::damerau_levenshtein(wanted, word), word.to_owned());
    let found = known.filter(|word| !word.is_empty()).map(near).min()?;
    (found.0 <= (wanted.chars().count() / 2).max(1)).then_some(found.1)
}

/// A value on one line.
#[must_use]
pub fn shown(node: &Node) -> String {
    match &node.value {
        Value::Mapping(_) => "{}".to_owned(),
        Value::Sequence(_) => "[]".to_owned(),
        Value::Scalar(scalar) => match scalar.kind() {
            Kind::String if scalar.text().is_empty() => "\"\"".to_owned(),
            Kind::Null => "null".to_owned(),
            _ => scalar.text().replace('\\', "\\\\").replace('\n', "\\n"),
        },
    }
}
