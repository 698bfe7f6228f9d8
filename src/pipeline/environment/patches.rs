//! `[[patch]]`: what an environment changes beyond its keys.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::super::document::{DocumentError, hint};
use super::super::patch::Target;
use super::super::patch::steps::Step;
use super::super::yaml::{self, Mapping, Node, Origin, Position, Scalar, Value};
use super::sources::Sources;

/// The key of the list.
pub(super) const KEY: &str = "patch";

/// How many nodes one patch may have, after aliases: far beyond what a person
/// writes.
const NODES: usize = 50_000;

/// One `[[patch]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Where it stands, for [`Sources`].
    pub span: Range<usize>,
    /// Which objects it is for.
    pub target: Target,
    /// How many objects those are.
    pub expect: usize,
    /// What it does to each of them.
    pub change: Change,
}

/// What a patch does to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Merges this into it.
    Merge(Node),
    /// Applies these operations.
    Operations(Vec<Step>),
}

/// The keys of a patch, as far as their types are fixed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// Which objects it is for. What is absent is not asked for; `*` stands for
    /// any characters and `?` for one.
    target: Target,
    /// How many objects that must be.
    #[serde(default = "one_object")]
    expect: NonZeroU32,
    /// What to merge into each, as a table or as YAML in a text.
    #[serde(default)]
    merge: Option<Anything>,
    /// What to do to each, as a list or as YAML in a text.
    #[serde(default)]
    operations: Option<Anything>,
}

/// Any value: it is read from the tables, which know their lines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[cfg_attr(warren_schema, schemars(with = "serde_json::Value"))]
struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

fn one_object() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// Reads the list, the value of [`KEY`].
///
/// # Errors
/// What is wrong with one of them, and where.
pub(super) fn read(
    list: Spanned<DeValue<'_>>,
    sources: &Sources,
) -> Result<Vec<Patch>, DocumentError> {
    let span = list.span();
    let DeValue::Array(items) = list.into_inner() else {
        let reason = "patches are a list: write `[[patch]]`, with two brackets";
        return Err(sources.error(Some(span), reason, None));
    };
    let mut patches = Vec::new();
    let mut before = Vec::new();
    for item in items {
        // Those of each file are numbered for themselves.
        let file = sources.place(&item.span()).path;
        let number = before.iter().filter(|other| **other == file).count();
        patches.push(one(item, &format!("{KEY}[{number}]"), sources)?);
        before.push(file);
    }
    Ok(patches)
}

fn one(item: Spanned<DeValue<'_>>, key: &str, sources: &Sources) -> Result<Patch, DocumentError> {
    let span = item.span();
    let told = |span: &Range<usize>, reason: &str, hint: Option<String>| {
        sources.error(Some(span.clone()), reason, hint)
    };
    let part = |name: &str| item.get_ref().get(name).cloned();
    let (merge, operations) = (part("merge"), part("operations"));
    let target_span = part("target").map_or_else(|| span.clone(), |target| target.span());
    let keys = Keys::deserialize(toml::de::ValueDeserializer::from(item));
    let keys = keys.map_err(|error| {
        let at = error.span().unwrap_or_else(|| span.clone());
        told(&at, error.message(), hint(error.message()))
    })?;
    if keys.target.is_empty() {
        let reason = "this target means every object";
        let hint = "name a kind or a name; every object is `name = \"*\"`";
        return Err(told(&target_span, reason, Some(hint.to_owned())));
    }
    let reader = Reader { sources, key };
    let change = match (merge, operations) {
        (Some(merge), None) => {
            let at = merge.span();
            let node = reader.node(merge, "merge")?;
            if node.as_mapping().is_none_or(Mapping::is_empty) {
                let reason =
                    format!("`merge` is a table of what changes, and this is {}", node.describe());
                return Err(told(&at, &reason, None));
            }
            Change::Merge(node)
        }
        (None, Some(operations)) => {
            let at = operations.span();
            let node = reader.node(operations, "operations")?;
            let steps = Step::read(&node)
                .map_err(|(place, error)| sources.error_at(&at, place, &error.to_string()))?;
            if steps.is_empty() {
                return Err(told(&at, "there are no operations here", None));
            }
            Change::Operations(steps)
        }
        (found, _) => {
            let reason = match found {
                Some(_) => "a patch has either `merge` or `operations`: make two of it",
                None => "a patch says what changes, by `merge` or by `operations`",
            };
            return Err(told(&span, reason, None));
        }
    };
    let expect = usize::try_from(keys.expect.get()).unwrap_or(usize::MAX);
    Ok(Patch { span, target: keys.target, expect, change })
}

/// Makes nodes of TOML values.
struct Reader<'a> {
    sources: &'a Sources,
    key: &'a str,
}

impl Reader<'_> {
    /// A value of the patch; a text is read as YAML.
    fn node(&self, value: Spanned<DeValue<'_>>, part: &str) -> Result<Node, DocumentError> {
        let span = value.span();
        let file = self.sources.place(&span).path.to_string_lossy().into_owned();
        let origin = Arc::new(Origin::Key { file, key: format!("{}.{part}", self.key) });
        let node = match value.get_ref() {
            DeValue::String(text) => self.yaml(text, &span, &origin)?,
            _ => self.value(value, &origin)?,
        };
        if node.size() > NODES {
            let reason = format!("this patch has more than {NODES} values");
            return Err(self.sources.error(Some(span), &reason, None));
        }
        Ok(node)
    }

    fn value(
        &self,
        value: Spanned<DeValue<'_>>,
        origin: &Arc<Origin>,
    ) -> Result<Node, DocumentError> {
        let span = value.span();
        let told = |reason: &str| self.sources.error(Some(span.clone()), reason, None);
        let place = self.sources.place(&span);
        let at = Position::new(place.line, place.column);
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Scalar(Scalar::string(text)),
            DeValue::Boolean(value) => Value::Scalar(Scalar::bool(value)),
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix());
                let number = number.map_err(|_| told("this number has more than 64 bits"))?;
                Value::Scalar(Scalar::integer(number))
            }
            DeValue::Float(number) => {
                let number = number.as_str().parse().ok().filter(|number: &f64| number.is_finite());
                let number = number.ok_or_else(|| told("JSON has no such number"))?;
                Value::Scalar(Scalar::float(number))
            }
            DeValue::Datetime(_) => {
                return Err(told("Kubernetes takes dates as texts: put it in quotes"));
            }
            DeValue::Array(items) => Value::Sequence(self.items(items, origin)?),
            DeValue::Table(table) => Value::Mapping(self.table(table, origin)?),
        };
        Ok(Node { value, at, origin: Some(Arc::clone(origin)) })
    }

    fn items(&self, items: DeArray<'_>, origin: &Arc<Origin>) -> Result<Vec<Node>, DocumentError> {
        items.into_iter().map(|item| self.value(item, origin)).collect()
    }

    /// The keys in the order in which they stand.
    fn table(&self, table: DeTable<'_>, origin: &Arc<Origin>) -> Result<Mapping, DocumentError> {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut mapping = Mapping::new();
        for (key, value) in entries {
            mapping.append(Scalar::string(key.into_inner()).into(), self.value(value, origin)?);
        }
        Ok(mapping)
    }

    /// The one document of a text of YAML, its lines those of the TOML.
    fn yaml(
        &self,
        text: &str,
        span: &Range<usize>,
        origin: &Arc<Origin>,
    ) -> Result<Node, DocumentError> {
        let first = self.sources.first_line(span);
        let bounds = yaml::Limits { alias_nodes: NODES, ..yaml::Limits::default() };
        let nodes = yaml::read_with("patch", text, bounds).map_err(|error| {
            let at = Position::new(error.at.line() + first, error.at.column());
            self.sources.error_at(span, at, &error.fault.to_string())
        })?;
        let told = |reason: &str| self.sources.error(Some(span.clone()), reason, None);
        let mut nodes = nodes.into_iter();
        let mut node = nodes.next().ok_or_else(|| told("this text of YAML is empty"))?;
        if nodes.next().is_some() {
            return Err(told("this text of YAML has several documents: make a patch of each"));
        }
        shift(&mut node, first, origin);
        Ok(node)
    }
}

/// Counts lines on from those before. Recurses as deep as the YAML, which its
/// reader bounds.
fn shift(node: &mut Node, lines: usize, origin: &Arc<Origin>) {
    node.at = Position::new(node.at.line() + lines, node.at.column());
    node.origin = Some(Arc::clone(origin));
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| shift(item, lines, origin)),
        Value::Mapping(mapping) => {
            mapping.iter_mut().for_each(|(_, value)| shift(value, lines, origin));
        }
    }
}
