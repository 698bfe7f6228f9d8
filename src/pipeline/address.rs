//! Addresses of fields: `spec.containers[name=trow-pod].args[after=--user]`.
//! List elements are found by what they are; `[2]` goes by place, and `[-]` is
//! the place behind the last. A key with dots is written
//! `annotations["cert-manager.io/issuer"]`, a value with brackets `[name="a[b]"]`.

use std::fmt;

use super::patch::Pointer;
use super::yaml::{Node, Value};

/// Why a field was not found.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// The address itself is malformed.
    #[error("`{address}` is not an address: {reason}")]
    Form {
        /// The whole address.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A step leads nowhere.
    #[error("`{address}` leads nowhere: at `{step}` there is {found}")]
    NotFound {
        /// The whole address.
        address: String,
        /// The step that leads nowhere.
        step: String,
        /// What is there instead.
        found: String,
    },
    /// A step leads to more than one element.
    #[error("`{address}` is not clear: several elements are `{step}`")]
    Several {
        /// The whole address.
        address: String,
        /// The step.
        step: String,
    },
}

/// One step of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value under a key.
    Key(String),
    /// The element of a list whose field has this value.
    Where(String, String),
    /// The element of a list of texts that follows this text.
    After(String),
    /// The element at this place of a list.
    At(usize),
    /// The place behind the last element.
    End,
}

/// An address that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    text: String,
    steps: Vec<Step>,
}

/// What an address means in one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The place.
    pub pointer: Pointer,
    /// How many tokens of the pointer lead up to and including each element
    /// that is named by its place alone.
    pub by_place: Vec<usize>,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// [`AddressError::Form`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        Ok(Self { text: text.to_owned(), steps: parse(text)? })
    }

    /// The place that is meant in this document. The last step may be a key
    /// that is not there yet, or the place behind the last element.
    ///
    /// # Errors
    /// [`AddressError::NotFound`], also where several elements are meant.
    pub fn resolve(&self, node: &Node) -> Result<Resolved, AddressError> {
        let mut node = Some(node);
        let (mut tokens, mut by_place) = (Vec::new(), Vec::new());
        let last = self.steps.len().saturating_sub(1);
        for (number, step) in self.steps.iter().enumerate() {
            let Some(here) = node else { break };
            let nowhere = || lost(here, &self.text, step);
            let token = match (step, &here.value) {
                (Step::Key(key), Value::Mapping(mapping)) => {
                    if number < last && mapping.get(key).is_none() {
                        return Err(nowhere());
                    }
                    key.clone()
                }
                (Step::End, Value::Sequence(_)) if number == last => "-".to_owned(),
                (Step::Where(..) | Step::After(_), Value::Sequence(items)) => {
                    if several(items, step) {
                        return Err(AddressError::Several {
                            address: self.text.clone(),
                            step: step.to_string(),
                        });
                    }
                    index(here, step).ok_or_else(nowhere)?.to_string()
                }
                (Step::At(place), Value::Sequence(items)) if *place < items.len() => {
                    by_place.push(tokens.len() + 1);
                    place.to_string()
                }
                _ => return Err(nowhere()),
            };
            node = next(here, step);
            tokens.push(token);
        }
        Ok(Resolved { pointer: Pointer::of(tokens), by_place })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Where(field, value) => write!(f, "[{field}={value}]"),
            Self::After(text) => write!(f, "[after={text}]"),
            Self::At(place) => write!(f, "[{place}]"),
            Self::End => f.write_str("[-]"),
        }
    }
}

/// Whether a step means more than one element.
fn several(items: &[Node], step: &Step) -> bool {
    let meant = |item: &&Node| match step {
        Step::Where(field, value) => scalar(item, field).is_some_and(|text| text == value),
        Step::After(text) => item.as_str() == Some(text),
        Step::Key(_) | Step::At(_) | Step::End => false,
    };
    items.iter().filter(meant).nth(1).is_some()
}

/// The field at an address.
///
/// # Errors
/// [`AddressError`].
pub fn find<'a>(node: &'a Node, address: &str) -> Result<&'a Node, AddressError> {
    let steps = parse(address)?;
    steps
        .iter()
        .try_fold(node, |node, step| next(node, step).ok_or_else(|| lost(node, address, step)))
}

/// The field at an address, to be changed.
///
/// # Errors
/// [`AddressError`].
pub fn find_mut<'a>(node: &'a mut Node, address: &str) -> Result<&'a mut Node, AddressError> {
    walk(node, address, &parse(address)?)
}

/// Puts a value at an address. All but the last step must lead somewhere; a
/// last step that is a key may be new.
///
/// # Errors
/// [`AddressError`].
pub fn set(node: &mut Node, address: &str, value: Node) -> Result<(), AddressError> {
    let steps = parse(address)?;
    if let Some((Step::Key(key), before)) = steps.split_last() {
        let parent = walk(node, address, before)?;
        if let Some(mapping) = parent.as_mapping_mut() {
            mapping.set(key, value);
            return Ok(());
        }
        return Err(lost(parent, address, &Step::Key(key.clone())));
    }
    *walk(node, address, &steps)? = value;
    Ok(())
}

fn walk<'a>(
    node: &'a mut Node,
    address: &str,
    steps: &[Step],
) -> Result<&'a mut Node, AddressError> {
    let mut node = node;
    for step in steps {
        let Some(index) = index(node, step) else { return Err(lost(node, address, step)) };
        let error = lost(node, address, step);
        node = child_mut(node, index).ok_or(error)?;
    }
    Ok(node)
}

/// Where a step leads from a node.
pub(super) fn next<'a>(node: &'a Node, step: &Step) -> Option<&'a Node> {
    match (step, &node.value) {
        (Step::Key(key), Value::Mapping(mapping)) => mapping.get(key),
        (_, Value::Sequence(items)) => items.get(index(node, step)?),
        _ => None,
    }
}

/// Writes a key behind an address, `first` where that is empty.
///
/// # Errors
/// When nothing more can be written to `out`.
pub fn write_key(out: &mut impl fmt::Write, first: bool, key: &str) -> fmt::Result {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.is_empty() || !key.chars().all(plain) {
        write!(out, "[\"{key}\"]")
    } else if first {
        out.write_str(key)
    } else {
        write!(out, ".{key}")
    }
}

/// Which entry of a mapping or list a step means.
fn index(node: &Node, step: &Step) -> Option<usize> {
    match (step, &node.value) {
        (Step::Key(key), Value::Mapping(mapping)) => {
            mapping.iter().position(|(name, _)| name.name() == key.as_str())
        }
        (Step::Where(field, value), Value::Sequence(items)) => {
            items.iter().position(|item| scalar(item, field).is_some_and(|text| text == value))
        }
        (Step::After(text), Value::Sequence(items)) => {
            let at = items.iter().position(|item| item.as_str() == Some(text))?;
            (at + 1 < items.len()).then_some(at + 1)
        }
        (Step::At(place), Value::Sequence(items)) => (*place < items.len()).then_some(*place),
        _ => None,
    }
}

/// The text of an element's field, which may lie deeper: `metadata.name`.
pub(super) fn scalar<'a>(item: &'a Node, field: &str) -> Option<&'a str> {
    let deep = field.split('.').try_fold(item, |node, key| node.get(key))?;
    deep.as_scalar().map(super::yaml::Scalar::text)
}

fn child_mut(node: &mut Node, index: usize) -> Option<&mut Node> {
    match &mut node.value {
        Value::Mapping(mapping) => mapping.iter_mut().nth(index).map(|(_, value)| value),
        Value::Sequence(items) => items.get_mut(index),
        Value::Scalar(_) => None,
    }
}

fn lost(node: &Node, address: &str, step: &Step) -> AddressError {
    let keys = |node: &Node| {
        let names: Vec<_> = node.as_mapping().map_or_else(Vec::new, |mapping| {
            mapping.iter().map(|(key, _)| key.name().into_owned()).collect()
        });
        names.join(", ")
    };
    let found = match (&node.value, step) {
        (Value::Mapping(mapping), Step::Key(_)) if !mapping.is_empty() => {
            format!("{} with {}", node.describe(), keys(node))
        }
        (Value::Sequence(items), Step::Where(field, _)) => {
            let values: Vec<_> = items
                .iter()
                .filter_map(|item| scalar(item, field))
                .map(|text| format!("{field}={text}"))
                .collect();
            format!("a list of {}", values.join(", "))
        }
        _ => node.describe().to_owned(),
    };
    AddressError::NotFound { address: address.to_owned(), step: step.to_string(), found }
}

/// Reads the steps of an address.
///
/// # Errors
/// [`AddressError::Form`].
pub fn parse(address: &str) -> Result<Vec<Step>, AddressError> {
    let malformed = |reason| AddressError::Form { address: address.to_owned(), reason };
    let mut steps = Vec::new();
    let mut rest = address;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[\"") {
            let (key, left) = after.split_once("\"]").ok_or(malformed("a `[\"` has no `\"]`"))?;
            steps.push(Step::Key(key.to_owned()));
            rest = left;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (step, left) = bracket(after).map_err(malformed)?;
            steps.push(step);
            rest = left;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, left) = rest.split_at(end);
            if key.is_empty() {
                return Err(malformed("a key is empty"));
            }
            steps.push(Step::Key(key.to_owned()));
            rest = left;
        }
        if let Some(left) = rest.strip_prefix('.') {
            if left.is_empty() {
                return Err(malformed("it ends with a dot"));
            }
            rest = left;
        }
    }
    Ok(steps)
}

/// What stands in brackets after the first, and what comes after the last.
fn bracket(text: &str) -> Result<(Step, &str), &'static str> {
    // A quoted value may hold brackets itself.
    if let Some((field, quoted)) = text.split_once("=\"")
        && !field.contains(']')
    {
        let (value, left) = quoted.split_once("\"]").ok_or("a `=\"` has no `\"]`")?;
        return Ok((named(field, value)?, left));
    }
    let (inside, left) = text.split_once(']').ok_or("a `[` has no `]`")?;
    let step = match inside.split_once('=') {
        Some((field, value)) => named(field, value)?,
        None if inside == "-" => Step::End,
        None => {
            let digits = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit());
            let place = inside.parse().ok().filter(|_| digits);
            Step::At(place.ok_or("in brackets stands field=value, an index or `-`")?)
        }
    };
    Ok((step, left))
}

fn named(field: &str, value: &str) -> Result<Step, &'static str> {
    match field {
        "" => Err("in brackets stands field=value"),
        "after" => Ok(Step::After(value.to_owned())),
        _ => Ok(Step::Where(field.to_owned(), value.to_owned())),
    }
}
