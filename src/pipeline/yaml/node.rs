//! The node model.

use std::sync::Arc;

use super::origin::Origin;
use super::scalar::{Kind, Scalar};

/// Where something stood in a file. Both count from 1 and the column counts
/// characters; 0 and 0 is what was made by the program. No text of ours has more of
/// either than fit here, and a node for each value of many objects is small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Position {
    /// The place at this line and column.
    #[must_use]
    pub fn new(line: usize, column: usize) -> Self {
        let bounded = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { line: bounded(line), column: bounded(column) }
    }

    /// The line, as an index counts.
    #[must_use]
    pub fn line(self) -> usize {
        self.line as usize
    }

    /// The column, as an index counts.
    #[must_use]
    pub fn column(self) -> usize {
        self.column as usize
    }
}

/// A YAML node with its position. Two nodes are equal when Kubernetes reads
/// the same from them: the position, the quotes and the order of keys don't
/// count.
#[derive(Clone, Debug)]
pub struct Node {
    /// What the node is.
    pub value: Value,
    /// Where it stood.
    pub at: Position,
    /// In what it stood; none is what was made by the program. All nodes of a
    /// file share one.
    pub origin: Option<Arc<Origin>>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, number, bool or null.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with values.
    Mapping(Mapping),
}

impl Eq for Node {}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Node {
    /// A text, quoted where any reader would take it for something else.
    #[must_use]
    pub fn string(text: impl Into<String>) -> Self {
        Value::Scalar(Scalar::string(text)).into()
    }

    /// A whole number.
    #[must_use]
    pub fn integer(number: i64) -> Self {
        Value::Scalar(Scalar::integer(number)).into()
    }

    /// A list.
    #[must_use]
    pub fn sequence(items: impl IntoIterator<Item = Self>) -> Self {
        Value::Sequence(items.into_iter().collect()).into()
    }

    /// A mapping of these texts to these nodes. A later key wins.
    #[must_use]
    pub fn mapping<'a>(entries: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let mut mapping = Mapping::default();
        for (key, value) in entries {
            mapping.set(key, value);
        }
        Value::Mapping(mapping).into()
    }

    /// The mapping, if it is one.
    #[must_use]
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The mapping, if it is one.
    pub fn as_mapping_mut(&mut self) -> Option<&mut Mapping> {
        match &mut self.value {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The items, if it is a list.
    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Self]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The scalar, if it is one.
    #[must_use]
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text, if Kubernetes reads a string here.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.as_scalar().filter(|scalar| scalar.kind() == Kind::String).map(Scalar::text)
    }

    /// The number, if Kubernetes reads a whole number here.
    #[must_use]
    pub fn as_integer(&self) -> Option<i128> {
        match self.as_scalar()?.kind() {
            Kind::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The bool, if Kubernetes reads one here.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_scalar()?.kind() {
            Kind::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Whether Kubernetes reads null here.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_scalar().is_some_and(|scalar| scalar.kind() == Kind::Null)
    }

    /// The value under this key, if it is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_mapping()?.get(key)
    }

    /// The same node, said to come from this place with all that is below it:
    /// what whoever makes nodes from a file's values calls.
    #[must_use]
    pub fn placed(mut self, at: Position, origin: &Arc<Origin>) -> Self {
        self.place(at, origin);
        self
    }

    /// Recurses as deep as the node.
    fn place(&mut self, at: Position, origin: &Arc<Origin>) {
        self.at = at;
        self.origin = Some(Arc::clone(origin));
        match &mut self.value {
            Value::Scalar(_) => {}
            Value::Sequence(items) => items.iter_mut().for_each(|item| item.place(at, origin)),
            Value::Mapping(mapping) => {
                mapping.iter_mut().for_each(|(_, value)| value.place(at, origin));
            }
        }
    }

    /// How many nodes it is made of, itself included. A text counts as one
    /// more for every 64 bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let text = |scalar: &Scalar| 1 + scalar.text().len() / 64;
        match &self.value {
            Value::Scalar(scalar) => text(scalar),
            Value::Sequence(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Mapping(mapping) => {
                1 + mapping.iter().map(|(key, value)| text(key) + value.size()).sum::<usize>()
            }
        }
    }

    /// How many lists and mappings lie within each other.
    #[must_use]
    pub fn depth(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 0,
            Value::Sequence(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Mapping(mapping) => {
                1 + mapping.iter().map(|(_, value)| value.depth()).max().unwrap_or(0)
            }
        }
    }

    /// The value in a few words, for messages: a scalar's text, or what it is.
    #[must_use]
    pub fn summary(&self) -> String {
        match &self.value {
            Value::Mapping(_) | Value::Sequence(_) => self.describe().to_owned(),
            Value::Scalar(_) if self.is_null() => "null".to_owned(),
            Value::Scalar(scalar) => {
                let text: String = scalar.text().chars().take(60).collect();
                let more = if text.len() < scalar.text().len() { "…" } else { "" };
                format!("{}{more}", text.escape_debug())
            }
        }
    }

    /// What the node is, for messages: "a mapping", "a list", "a string", …
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match &self.value {
            Value::Mapping(_) => "a mapping",
            Value::Sequence(_) => "a list",
            Value::Scalar(scalar) => scalar.kind().describe(),
        }
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { value, at: Position::default(), origin: None }
    }
}

/// Keys with values, in the order in which they stood. A key is found by the
/// name that Kubernetes reads: the key `on` has the name "true".
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// The same few keys stand in most objects: they share their memory.
    entries: Vec<(Arc<Scalar>, Node)>,
}

impl Eq for Mapping {}

impl PartialEq for Mapping {
    fn eq(&self, other: &Self) -> bool {
        // The same order is the usual case, and a search for each key is not linear.
        let same = |(place, (key, value)): (usize, &(Arc<Scalar>, Node))| {
            let name = key.name();
            let there = other.entries.get(place).filter(|(key, _)| key.is_named(&name));
            there.map(|(_, value)| value).or_else(|| other.get(&name)) == Some(value)
        };
        self.len() == other.len() && self.entries.iter().enumerate().all(same)
    }
}

impl Mapping {
    /// A mapping without keys.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<Scalar>, &Node)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The entries in order, values to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Scalar, &mut Node)> {
        self.entries.iter_mut().map(|(key, value)| (&**key, value))
    }

    /// The value under the key of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries.iter().find(|(key, _)| key.is_named(name)).map(|(_, value)| value)
    }

    /// The value under the key of this name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|(key, _)| key.is_named(name)).map(|(_, value)| value)
    }

    /// Puts a value under a key: in the key's place, or at the end.
    pub fn set(&mut self, name: &str, value: Node) {
        match self.get_mut(name) {
            Some(there) => *there = value,
            None => self.push(Scalar::string(name).into(), value),
        }
    }

    /// Appends an entry whose key, written as it is, the caller knows to be new.
    pub(in crate::pipeline) fn append(&mut self, key: Arc<Scalar>, value: Node) {
        self.push(key, value);
    }

    /// The value of the entry at this place.
    pub(in crate::pipeline) fn value_mut(&mut self, place: usize) -> Option<&mut Node> {
        self.entries.get_mut(place).map(|(_, value)| value)
    }

    /// Keeps the entries whose name passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.entries.retain(|(key, _)| keep(&key.name()));
    }

    /// Appends an entry whose name the caller knows to be new.
    pub(super) fn push(&mut self, key: Arc<Scalar>, value: Node) {
        self.entries.push((key, value));
    }

    /// Gives back memory that no entry uses: no more come as a rule.
    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// The entries in order, taken apart.
    pub(super) fn into_entries(self) -> Vec<(Arc<Scalar>, Node)> {
        self.entries
    }

    /// Takes a key and its value out.
    pub fn remove(&mut self, name: &str) -> Option<Node> {
        let index = self.entries.iter().position(|(key, _)| key.is_named(name))?;
        Some(self.entries.remove(index).1)
    }
}
