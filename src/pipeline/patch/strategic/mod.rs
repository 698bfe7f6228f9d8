//! Strategic merge, as the API server does it: mappings by key, lists as the
//! published schema says, directives that begin with `$`.

mod error;
mod fresh;
mod list;

use std::collections::{HashMap, HashSet};

use super::super::schema::{Field, Type};
use super::super::yaml::{Mapping, Node, Position, Value};

pub use error::{Idle, IdleReason, StrategicError};

/// Deletes or replaces the mapping in which it stands, or one element.
const PATCH: &str = "$patch";
/// The keys that stay.
const RETAIN: &str = "$retainKeys";
/// The order of a list's elements.
const ORDER: &str = "$setElementOrder/";
/// Values to be taken from a list.
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Why a patch does not fit, and where in the patch that is.
pub type Misfit = (Position, StrategicError);

/// An object of the type `of` after a patch, and what of the patch had no effect.
///
/// # Errors
/// [`StrategicError`].
pub fn merged(object: &Node, patch: &Node, of: Type) -> Result<(Node, Vec<Idle>), Misfit> {
    let mut result = object.clone();
    let mut merge = Merge::default();
    let (Value::Mapping(base), Value::Mapping(changes)) = (&mut result.value, &patch.value) else {
        let (directive, found) = ("a patch".to_owned(), patch.describe());
        let wanted = "a mapping, as is what it changes";
        return Err((patch.at, StrategicError::Form { directive, wanted, found }));
    };
    merge.mapping(base, changes, Known { below: Some(of), field: None })?;
    Ok((result, merge.idle))
}

/// Whether a node holds a directive of strategic merge.
#[must_use]
pub fn directive(node: &Node) -> Option<(&str, Position)> {
    match &node.value {
        Value::Mapping(mapping) => mapping.iter().find_map(|(key, value)| {
            if is_directive(key.text()) {
                return Some((key.text(), value.at));
            }
            directive(value)
        }),
        Value::Sequence(items) => items.iter().find_map(directive),
        Value::Scalar(_) => None,
    }
}

fn is_directive(key: &str) -> bool {
    key == PATCH || key == RETAIN || key.starts_with(ORDER) || key.starts_with(DELETE_FROM)
}

/// One merge under way.
#[derive(Default)]
struct Merge {
    idle: Vec<Idle>,
}

/// What the schema says of a field: nothing, where it does not know it.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The type of the value, or of the elements of its list.
    below: Option<Type>,
    /// The field.
    field: Option<Field>,
}

impl Known {
    /// A field of the type `of`.
    fn new(of: Option<Type>, name: &str) -> Self {
        let Some(of) = of else { return Self::default() };
        let field = of.field(name);
        let value = field.map(Field::of).or_else(|| of.values());
        Self { below: value.and_then(Type::items).or(value), field }
    }

    /// Whether the list is merged element by element.
    fn merges(self) -> bool {
        self.field.is_some_and(|field| field.strategy().merge)
    }

    /// The merge key: what tells the elements of the list apart.
    fn key(self) -> Option<&'static str> {
        self.field.filter(|_| self.merges()).and_then(Field::merge_key)
    }

    /// What else tells them apart, with what stands for an absent value.
    fn further(self) -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
        let keys = self.field.map(Field::list_keys).unwrap_or_default();
        let default = move |key| self.below?.field(key)?.default();
        keys.iter()
            .filter(move |key| Some(**key) != self.key())
            .map(move |key| (*key, default(key)))
    }
}

/// What `$patch` says.
enum Directive {
    Delete,
    Replace,
    Merge,
}

/// What `$patch` of this mapping says, if it has one.
fn patch_directive(mapping: &Mapping) -> Result<Option<Directive>, Misfit> {
    let Some(value) = mapping.get(PATCH) else { return Ok(None) };
    match value.as_str() {
        Some("delete") => Ok(Some(Directive::Delete)),
        Some("replace") => Ok(Some(Directive::Replace)),
        // The API server refuses to be told what it does anyway; kustomize doesn't.
        Some("merge") => Ok(Some(Directive::Merge)),
        _ => Err((value.at, StrategicError::Directive(value.summary()))),
    }
}

/// Above this many keys a mapping is looked up in a table.
const FEW: usize = 16;

impl Merge {
    /// Merges a mapping into another.
    fn mapping(&mut self, base: &mut Mapping, patch: &Mapping, known: Known) -> Result<(), Misfit> {
        let of = known.below;
        match patch_directive(patch)? {
            Some(Directive::Delete) => {
                *base = Mapping::default();
                return Ok(());
            }
            Some(Directive::Replace) => {
                *base = self.fresh_mapping(patch);
                return Ok(());
            }
            Some(Directive::Merge) | None => {}
        }
        retain_keys(base, patch)?;
        if known.field.is_some_and(|field| field.strategy().retain_keys)
            && patch.get(RETAIN).is_none()
        {
            exclude(base, patch, known.key())?;
        }
        let ordered = self.ordered_lists(base, patch, of)?;
        self.delete_values(base, patch, of)?;
        let mut removed: HashSet<String> = HashSet::new();
        let places: HashMap<String, usize> = if patch.len() > FEW {
            let names = base.iter().map(|(key, _)| key.name().into_owned());
            names.zip(0..).collect()
        } else {
            HashMap::new()
        };
        let mut added = Vec::new();
        for (key, value) in patch.iter() {
            let name = key.name();
            if is_directive(&name) || ordered.contains(&*name) {
                continue;
            }
            let there = if patch.len() > FEW {
                places.get(&*name).and_then(|place| base.value_mut(*place))
            } else {
                base.get_mut(&name)
            };
            match there {
                None if value.is_null() => {
                    self.idle
                        .push(Idle { at: value.at, reason: IdleReason::Null(name.into_owned()) });
                }
                Some(_) if value.is_null() => {
                    removed.insert(name.into_owned());
                }
                Some(there) => self.value(there, value, &name, of)?,
                None => {
                    if let Some(value) = self.fresh(value, &name) {
                        added.push((key.clone(), value));
                    }
                }
            }
        }
        if !removed.is_empty() {
            base.retain(|name| !removed.contains(name));
        }
        for (key, value) in added {
            base.append(key, value);
        }
        Ok(())
    }

    /// Merges a value into the one that is there.
    fn value(
        &mut self,
        there: &mut Node,
        value: &Node,
        name: &str,
        of: Option<Type>,
    ) -> Result<(), Misfit> {
        let known = Known::new(of, name);
        let replaced = known.field.is_some_and(|field| field.strategy().replace);
        match (&mut there.value, &value.value) {
            (Value::Mapping(base), Value::Mapping(patch)) if !replaced => {
                return self.mapping(base, patch, known);
            }
            (Value::Sequence(base), Value::Sequence(patch)) => {
                return self.list(base, patch, name, known, None);
            }
            _ => {}
        }
        // A value of another kind takes the place of what is there. The same
        // value leaves as it came, in its own quotes.
        if *there != *value
            && let Some(value) = self.fresh(value, name)
        {
            *there = value;
        }
        Ok(())
    }
}

/// Takes out of `base` what `$retainKeys` does not name.
fn retain_keys(base: &mut Mapping, patch: &Mapping) -> Result<(), Misfit> {
    let Some(directive) = patch.get(RETAIN) else { return Ok(()) };
    let form = |node: &Node| {
        let (directive, wanted) = (RETAIN.to_owned(), "a list of the keys that stay");
        (node.at, StrategicError::Form { directive, wanted, found: node.describe() })
    };
    let items = directive.as_sequence().ok_or_else(|| form(directive))?;
    let mut stay = HashSet::new();
    for item in items {
        stay.insert(item.as_scalar().ok_or_else(|| form(item))?.name());
    }
    for (key, value) in patch.iter() {
        let name = key.name();
        if !value.is_null() && !is_directive(&name) && !stay.contains(&name) {
            return Err((value.at, StrategicError::NotRetained(name.into_owned())));
        }
    }
    base.retain(|name| stay.contains(name));
    Ok(())
}

/// Refuses what would put fields side by side of which the API server takes
/// one: two sources of a volume, or a strategy's type and what belongs to another.
fn exclude(base: &Mapping, patch: &Mapping, key: Option<&str>) -> Result<(), Misfit> {
    let stays = |name: &str| patch.get(name).is_none() && Some(name) != key;
    let others: Vec<_> = base
        .iter()
        .map(|(name, _)| name.name())
        .filter(|name| stays(name) && name != "type")
        .map(|name| format!("`{name}`"))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    let clash = patch.iter().find(|(name, value)| {
        let name = name.name();
        // Among the elements of a list any second field clashes; a mapping
        // has a `type` that decides about the others.
        let decides = if key.is_some() { base.get(&name).is_none() } else { name == "type" };
        decides && !value.is_null() && !is_directive(&name) && base.get(&name) != Some(*value)
    });
    match clash {
        Some((name, value)) => {
            let (field, others) = (name.name().into_owned(), others.join(", "));
            Err((value.at, StrategicError::Union { field, others }))
        }
        None => Ok(()),
    }
}
