//! Addresses of fields: `spec.containers[name=trow-pod].args[after=--user]`.
//! List elements are found by what they are, never by where they stand.
//! A key with dots is written `annotations["cert-manager.io/issuer"]`.

use super::yaml::{Node, Value};

/// Why a field was not found.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
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
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The value under a key.
    Key(String),
    /// The element of a list whose field has this value.
    Where(String, String),
    /// The element of a list of texts that follows this text.
    After(String),
}

/// The field at an address.
///
/// # Errors
/// [`AddressError`].
pub fn find<'a>(node: &'a Node, address: &str) -> Result<&'a Node, AddressError> {
    let steps = parse(address)?;
    steps.iter().try_fold(node, |node, step| {
        index(node, step)
            .and_then(|index| child(node, index))
            .ok_or_else(|| lost(node, address, step))
    })
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
        _ => None,
    }
}

/// The text of an element's field, which may lie deeper: `metadata.name`.
fn scalar<'a>(item: &'a Node, field: &str) -> Option<&'a str> {
    let deep = field.split('.').try_fold(item, |node, key| node.get(key))?;
    deep.as_scalar().map(super::yaml::Scalar::text)
}

fn child(node: &Node, index: usize) -> Option<&Node> {
    match &node.value {
        Value::Mapping(mapping) => mapping.iter().nth(index).map(|(_, value)| value),
        Value::Sequence(items) => items.get(index),
        Value::Scalar(_) => None,
    }
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
    let step = match step {
        Step::Key(key) => key.clone(),
        Step::Where(field, value) => format!("[{field}={value}]"),
        Step::After(text) => format!("[after={text}]"),
    };
    AddressError::NotFound { address: address.to_owned(), step, found }
}

fn parse(address: &str) -> Result<Vec<Step>, AddressError> {
    let malformed = |reason| AddressError::Form { address: address.to_owned(), reason };
    let mut steps = Vec::new();
    let mut rest = address;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[\"") {
            let (key, left) = after.split_once("\"]").ok_or(malformed("a `[\"` has no `\"]`"))?;
            steps.push(Step::Key(key.to_owned()));
            rest = left;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (inside, left) = after.split_once(']').ok_or(malformed("a `[` has no `]`"))?;
            let (field, value) =
                inside.split_once('=').ok_or(malformed("in brackets stands field=value"))?;
            steps.push(match field {
                "after" => Step::After(value.to_owned()),
                _ => Step::Where(field.to_owned(), value.to_owned()),
            });
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
