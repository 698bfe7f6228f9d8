//! Operations as the environment's file has them: those of RFC 6902 whose
//! paths may be addresses, and which go by index only after a test.

use super::super::address::{Address, AddressError, Resolved};
use super::super::yaml::{Node, Position, Value};
use super::json::{Action, ApplyError, Operation, OperationError, apply_in_place};
use super::pointer::{Pointer, PointerError};

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    op: Op,
    path: Place,
    from: Option<Place>,
    value: Option<Node>,
    /// What is there before, as a test.
    was: Option<Node>,
    at: Position,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Add,
    Remove,
    Replace,
    Move,
    Copy,
    Test,
}

/// A place, as a JSON pointer when it begins with `/`, else as an address.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Pointer(Pointer),
    Address(Address),
}

/// Why operations are malformed, or can't be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The form of an operation.
    #[error(transparent)]
    Form(#[from] OperationError),
    /// A member that there is not.
    #[error("an operation has no `{member}`: it has op, path, from, value and was")]
    Member {
        /// The member.
        member: String,
    },
    /// An address is malformed or leads nowhere.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// An operation can't be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// An element is named by its place alone.
    #[error(
        "`{pointer}` goes by index: say what is there with `was`, test the element before, \
         or name it by key, as in `containers[name=…]`"
    )]
    Untested {
        /// The pointer up to the index.
        pointer: Pointer,
    },
}

impl Step {
    /// Reads a list of operations.
    ///
    /// # Errors
    /// [`StepError`], and where it stands.
    pub fn read(node: &Node) -> Result<Vec<Self>, (Position, StepError)> {
        let Some(items) = node.as_sequence() else {
            return Err((node.at, OperationError::NoList(node.describe()).into()));
        };
        items.iter().map(|item| Self::one(item).map_err(|error| (item.at, error))).collect()
    }

    fn one(node: &Node) -> Result<Self, StepError> {
        const MEMBERS: [&str; 5] = ["op", "path", "from", "value", "was"];
        let Some(mapping) = node.as_mapping() else {
            return Err(OperationError::NoMapping(node.describe()).into());
        };
        if let Some((odd, _)) = mapping.iter().find(|(key, _)| !MEMBERS.contains(&key.text())) {
            return Err(StepError::Member { member: odd.text().to_owned() });
        }
        let text = |member: &'static str, operation: &str| {
            node.get(member).and_then(Node::as_str).ok_or_else(|| OperationError::Missing {
                operation: operation.to_owned(),
                member,
                what: ", a text",
            })
        };
        let name = text("op", "of any kind")?;
        let op = match name {
            "add" => Op::Add,
            "remove" => Op::Remove,
            "replace" => Op::Replace,
            "move" => Op::Move,
            "copy" => Op::Copy,
            "test" => Op::Test,
            unknown => return Err(OperationError::Unknown(unknown.to_owned()).into()),
        };
        let place =
            |member| -> Result<Place, StepError> { Place::parse(member, text(member, name)?) };
        let from = matches!(op, Op::Move | Op::Copy).then(|| place("from")).transpose()?;
        let value = node.get("value").cloned();
        if value.is_none() && matches!(op, Op::Add | Op::Replace | Op::Test) {
            let operation = name.to_owned();
            return Err(OperationError::Missing { operation, member: "value", what: "" }.into());
        }
        Ok(Self {
            op,
            path: place("path")?,
            from,
            value,
            was: node.get("was").cloned(),
            at: node.at,
        })
    }
}

impl Place {
    fn parse(member: &'static str, text: &str) -> Result<Self, StepError> {
        if !text.starts_with('/') && !text.is_empty() {
            return Ok(Self::Address(Address::parse(text)?));
        }
        let malformed = |source: PointerError| OperationError::Pointer {
            member,
            text: text.to_owned(),
            source,
        };
        Ok(Self::Pointer(Pointer::parse(text).map_err(malformed)?))
    }

    fn resolve(&self, node: &Node) -> Result<Resolved, AddressError> {
        match self {
            Self::Address(address) => address.resolve(node),
            Self::Pointer(pointer) => {
                Ok(Resolved { pointer: pointer.clone(), by_place: by_place(pointer, node) })
            }
        }
    }
}

/// Where the tokens of a pointer are indexes of lists. A place behind the last
/// element holds nothing that could be mistaken for another.
fn by_place(pointer: &Pointer, node: &Node) -> Vec<usize> {
    let mut node = Some(node);
    let mut found = Vec::new();
    for (number, token) in pointer.tokens().iter().enumerate() {
        node = match node.map(|node| &node.value) {
            Some(Value::Sequence(items)) => {
                let element = token.parse().ok().and_then(|place: usize| items.get(place));
                if element.is_some() {
                    found.push(number + 1);
                }
                element
            }
            Some(Value::Mapping(mapping)) => mapping.get(token),
            _ => None,
        };
    }
    found
}

/// A node after all operations.
///
/// # Errors
/// [`StepError`], and where the operation stands.
pub fn applied(node: &Node, steps: &[Step]) -> Result<Node, (Position, StepError)> {
    let mut result = node.clone();
    let mut run = Run::default();
    for step in steps {
        run.step(&mut result, step).map_err(|error| (step.at, error))?;
    }
    Ok(result)
}

/// What the steps so far have shown.
#[derive(Default)]
struct Run {
    copied: usize,
    /// Pointers whose value was tested and has not moved since.
    tested: Vec<Pointer>,
}

impl Run {
    fn step(&mut self, node: &mut Node, step: &Step) -> Result<(), StepError> {
        let from = step.from.as_ref().map(|from| from.resolve(node)).transpose()?;
        let path = match (&from, step.op) {
            // What moves is gone before it arrives, so other elements may have
            // other indexes by then.
            (Some(from), Op::Move) => {
                let mut without = node.clone();
                self.apply(&mut without, Action::Remove, &from.pointer, step.at)?;
                step.path.resolve(&without)?
            }
            _ => step.path.resolve(node)?,
        };
        if let Some(was) = &step.was {
            self.apply(node, Action::Test(was.clone()), &path.pointer, step.at)?;
            self.tested.push(path.pointer.clone());
        }
        let value = || step.value.clone().unwrap_or_else(|| Node::string(""));
        let origin = || from.as_ref().map(|from| from.pointer.clone()).unwrap_or_default();
        let action = match step.op {
            Op::Add => Action::Add(value()),
            Op::Remove => Action::Remove,
            Op::Replace => Action::Replace(value()),
            Op::Move => Action::Move(origin()),
            Op::Copy => Action::Copy(origin()),
            Op::Test => Action::Test(value()),
        };
        if step.op == Op::Test {
            self.apply(node, action, &path.pointer, step.at)?;
            self.tested.push(path.pointer);
            return Ok(());
        }
        let touched: Vec<_> = [Some(&path), from.as_ref()].into_iter().flatten().collect();
        let mut moved = Vec::new();
        for place in touched {
            self.guard(place)?;
            moved.push(changed(&place.pointer, node, step.op));
        }
        self.apply(node, action, &path.pointer, step.at)?;
        // What was tested there may be something else now.
        for changed in moved {
            self.tested.retain(|tested| !tested.tokens().starts_with(changed.tokens()));
        }
        Ok(())
    }

    fn apply(
        &mut self,
        node: &mut Node,
        action: Action,
        path: &Pointer,
        at: Position,
    ) -> Result<(), ApplyError> {
        apply_in_place(node, &Operation { action, path: path.clone(), at }, &mut self.copied)
    }

    /// Refuses a place that goes through an element of which nothing was tested.
    fn guard(&self, place: &Resolved) -> Result<(), StepError> {
        for length in &place.by_place {
            let up_to = place.pointer.tokens().get(..*length).unwrap_or_default();
            if !self.tested.iter().any(|tested| tested.tokens().starts_with(up_to)) {
                return Err(StepError::Untested { pointer: Pointer::of(up_to) });
            }
        }
        Ok(())
    }
}

/// What an operation at this place changes: a value, or, where elements are
/// put in or taken out, the whole list, whose other elements get other indexes.
fn changed(place: &Pointer, node: &Node, op: Op) -> Pointer {
    match place.split_last() {
        Some((parent, _))
            if op != Op::Replace
                && parent.find(node).is_ok_and(|parent| parent.as_sequence().is_some()) =>
        {
            parent
        }
        _ => place.clone(),
    }
}
