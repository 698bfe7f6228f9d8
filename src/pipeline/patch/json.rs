//! JSON Patch, RFC 6902: a list of operations, all of them or none.

use super::super::yaml::{Node, Position, Value};
use super::equal::equal;
use super::pointer::{End, Pointer, PointerError, StepError, index};

/// One operation (section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it does.
    pub action: Action,
    /// Where it does that.
    pub path: Pointer,
    /// Where it stood.
    pub at: Position,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Puts a value: under a key, or into a list before the one at the index.
    Add(Node),
    /// Takes out what is there.
    Remove,
    /// Puts a value in the place of what is there.
    Replace(Node),
    /// Takes out what is at another place, and puts it here.
    Move(Pointer),
    /// Puts here what is at another place.
    Copy(Pointer),
    /// Demands that this value is there.
    Test(Node),
}

impl Action {
    /// The operation's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Remove => "remove",
            Self::Replace(_) => "replace",
            Self::Move(_) => "move",
            Self::Copy(_) => "copy",
            Self::Test(_) => "test",
        }
    }
}

/// Why a node is no JSON patch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// Section 3: a patch is a list.
    #[error("a JSON patch is a list of operations, and this is {0}")]
    NoList(&'static str),
    /// An operation is a mapping.
    #[error("an operation is a mapping, and this is {0}")]
    NoMapping(&'static str),
    /// A member is missing, or is no text.
    #[error("an operation `{operation}` needs `{member}`{what}")]
    Missing {
        /// The operation, or "of any kind".
        operation: String,
        /// The member.
        member: &'static str,
        /// What the member must be.
        what: &'static str,
    },
    /// Section 4: one of six.
    #[error("there is no operation `{0}`: use add, remove, replace, move, copy or test")]
    Unknown(String),
    /// A pointer is malformed.
    #[error("`{text}` in `{member}`: {source}")]
    Pointer {
        /// The member.
        member: &'static str,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        source: PointerError,
    },
}

/// Why an operation can't be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A pointer leads nowhere.
    #[error("`{pointer}` leads nowhere: {source}")]
    Lost {
        /// The pointer.
        pointer: String,
        /// Why.
        source: StepError,
    },
    /// A test fails.
    #[error("the test of `{pointer}` fails: there is {found}")]
    Test {
        /// The pointer.
        pointer: String,
        /// What is there.
        found: String,
    },
    /// Section 4.4: what moves can't become a part of itself.
    #[error("`{from}` can't move into itself, to `{to}`")]
    IntoItself {
        /// From.
        from: String,
        /// To.
        to: String,
    },
    /// The whole document can't be taken away.
    #[error("this removes the whole document")]
    Whole,
    /// The result would be nested too deeply.
    #[error("the result is nested deeper than {0} levels")]
    Depth(usize),
    /// The copies would become too large.
    #[error("the copies amount to more than {0} nodes")]
    Size(usize),
}

/// How deep a result can be: what the reader of YAML takes.
const DEPTH: usize = 200;

/// How many nodes all copies of a patch can have.
const COPIED: usize = 100_000;

/// Reads a patch. Members that RFC 6902 does not define are ignored.
///
/// # Errors
/// [`OperationError`], with the place of the operation.
pub fn operations(patch: &Node) -> Result<Vec<Operation>, (Position, OperationError)> {
    let Some(items) = patch.as_sequence() else {
        return Err((patch.at, OperationError::NoList(patch.describe())));
    };
    items.iter().map(|item| operation(item).map_err(|error| (item.at, error))).collect()
}

/// Reads one operation.
///
/// # Errors
/// [`OperationError`].
pub fn operation(node: &Node) -> Result<Operation, OperationError> {
    if node.as_mapping().is_none() {
        return Err(OperationError::NoMapping(node.describe()));
    }
    let name = text(node, "of any kind", "op")?;
    let path = pointer(node, name, "path")?;
    let value = || {
        let missing = OperationError::Missing { operation: name.into(), member: "value", what: "" };
        node.get("value").cloned().ok_or(missing)
    };
    let action = match name {
        "add" => Action::Add(value()?),
        "remove" => Action::Remove,
        "replace" => Action::Replace(value()?),
        "move" => Action::Move(pointer(node, name, "from")?),
        "copy" => Action::Copy(pointer(node, name, "from")?),
        "test" => Action::Test(value()?),
        unknown => return Err(OperationError::Unknown(unknown.to_owned())),
    };
    Ok(Operation { action, path, at: node.at })
}

fn text<'a>(
    node: &'a Node,
    operation: &str,
    member: &'static str,
) -> Result<&'a str, OperationError> {
    node.get(member).and_then(Node::as_str).ok_or_else(|| OperationError::Missing {
        operation: operation.to_owned(),
        member,
        what: ", a text",
    })
}

fn pointer(node: &Node, operation: &str, member: &'static str) -> Result<Pointer, OperationError> {
    let text = text(node, operation, member)?;
    let malformed = |source| OperationError::Pointer { member, text: text.to_owned(), source };
    Pointer::parse(text).map_err(malformed)
}

/// A node after all operations: there is no other outcome but an error.
///
/// # Errors
/// [`ApplyError`], with the place of the operation.
pub fn applied(node: &Node, operations: &[Operation]) -> Result<Node, (Position, ApplyError)> {
    let mut result = node.clone();
    let mut copied = 0;
    for operation in operations {
        apply_in_place(&mut result, operation, &mut copied)
            .map_err(|error| (operation.at, error))?;
    }
    Ok(result)
}

/// Applies one operation; an error may leave the node half changed. `copied`
/// counts what the copies of a patch amount to.
pub(super) fn apply_in_place(
    node: &mut Node,
    operation: &Operation,
    copied: &mut usize,
) -> Result<(), ApplyError> {
    let path = &operation.path;
    match &operation.action {
        Action::Add(value) => add(node, path, value.clone()),
        Action::Remove => remove(node, path).map(drop),
        Action::Replace(value) => {
            bound_depth(path, value)?;
            let there = path.find_mut(node).map_err(|source| lost(path, source))?;
            // The same value leaves as it came, in its own quotes.
            if *there != *value {
                *there = value.clone();
            }
            Ok(())
        }
        Action::Move(from) => {
            if from.is_above(path) {
                let (from, to) = (from.to_string(), path.to_string());
                return Err(ApplyError::IntoItself { from, to });
            }
            let found = from.find(node).map_err(|source| lost(from, source))?;
            if from == path {
                return Ok(());
            }
            bound_depth(path, found)?;
            let value = remove(node, from)?;
            add(node, path, value)
        }
        Action::Copy(from) => {
            let found = from.find(node).map_err(|source| lost(from, source))?;
            *copied = copied.saturating_add(found.size());
            if *copied > COPIED {
                return Err(ApplyError::Size(COPIED));
            }
            let value = found.clone();
            add(node, path, value)
        }
        Action::Test(value) => {
            let found = path.find(node).map_err(|source| lost(path, source))?;
            if equal(found, value) {
                return Ok(());
            }
            Err(ApplyError::Test { pointer: path.to_string(), found: found.summary() })
        }
    }
}

/// Section 4.1. What holds the place must be there.
fn add(node: &mut Node, path: &Pointer, value: Node) -> Result<(), ApplyError> {
    bound_depth(path, &value)?;
    let Some((parent, last)) = path.split_last() else {
        *node = value;
        return Ok(());
    };
    let holder = parent.find_mut(node).map_err(|source| lost(path, source))?;
    let described = holder.describe();
    match &mut holder.value {
        // The same value leaves as it came, in its own quotes.
        Value::Mapping(mapping) if mapping.get(last) == Some(&value) => {}
        Value::Mapping(mapping) => mapping.set(last, value),
        Value::Sequence(items) => {
            let at = index(last, items.len(), End::Beyond).map_err(|source| lost(path, source))?;
            items.insert(at, value);
        }
        Value::Scalar(_) => return Err(lost(path, StepError::Leaf(described))),
    }
    Ok(())
}

/// Section 4.2.
fn remove(node: &mut Node, path: &Pointer) -> Result<Node, ApplyError> {
    let Some((parent, last)) = path.split_last() else { return Err(ApplyError::Whole) };
    let holder = parent.find_mut(node).map_err(|source| lost(path, source))?;
    let described = holder.describe();
    match &mut holder.value {
        Value::Mapping(mapping) => {
            mapping.remove(last).ok_or_else(|| lost(path, StepError::NoKey(last.to_owned())))
        }
        Value::Sequence(items) => {
            let at = index(last, items.len(), End::There).map_err(|source| lost(path, source))?;
            Ok(items.remove(at))
        }
        Value::Scalar(_) => Err(lost(path, StepError::Leaf(described))),
    }
}

fn lost(pointer: &Pointer, source: StepError) -> ApplyError {
    ApplyError::Lost { pointer: pointer.to_string(), source }
}

fn bound_depth(path: &Pointer, value: &Node) -> Result<(), ApplyError> {
    if path.tokens().len() + value.depth() > DEPTH {
        return Err(ApplyError::Depth(DEPTH));
    }
    Ok(())
}
