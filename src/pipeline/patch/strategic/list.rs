//! Lists: which elements are the same, and the order of the result.

use std::collections::{HashMap, HashSet};

use super::super::super::schema::Type;
use super::super::super::yaml::{Kind, Mapping, Node, Scalar, Value};
use super::error::{Idle, IdleReason, StrategicError};
use super::{DELETE_FROM, Directive, Known, Merge, Misfit, ORDER, patch_directive};

/// An element of the result.
struct Item {
    node: Node,
    /// Its place in the list before; `None` for a new one.
    was: Option<usize>,
    /// Its place in the order that the patch gives; `None` where the patch is silent.
    rank: Option<usize>,
}

/// What a scalar is, as something to look up.
type Identity = String;

impl Merge {
    /// Merges a list into another. `order` is the `$setElementOrder` of the list.
    pub(super) fn list(
        &mut self,
        base: &mut Vec<Node>,
        patch: &[Node],
        name: &str,
        known: Known,
        order: Option<&[Node]>,
    ) -> Result<(), Misfit> {
        let items = if !known.merges() {
            if order.is_none() && base.as_slice() == patch {
                return Ok(());
            }
            let fresh = patch.iter().filter_map(|node| self.fresh(node, name));
            let rank = order.is_none().then_some(0);
            fresh.map(|node| Item { node, was: None, rank }).collect()
        } else if elements_are_mappings(base, patch, name)? {
            let Some(key) = known.key() else {
                let at = patch.first().map(|node| node.at).unwrap_or_default();
                let reason = "the schema gives them no merge key";
                return Err((at, StrategicError::Elements { list: name.to_owned(), reason }));
            };
            self.mappings(base, patch, name, key, known)?
        } else {
            scalars(base, patch)
        };
        *base = arranged(items, order, known.key());
        Ok(())
    }

    /// Merges a list of mappings by their merge key.
    fn mappings(
        &mut self,
        base: &mut Vec<Node>,
        patch: &[Node],
        name: &str,
        key: &str,
        known: Known,
    ) -> Result<Vec<Item>, Misfit> {
        let identities = patch
            .iter()
            .map(|element| match patch_directive(element.as_mapping().unwrap_or(EMPTY))? {
                // This one speaks of the whole list, and has no need of a key.
                Some(Directive::Replace) => Ok(None),
                _ => identity_of(element, key, name).map(Some),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if identities.iter().any(Option::is_none) {
            let rest = patch
                .iter()
                .zip(&identities)
                .filter(|(element, identity)| identity.is_some() && !is_deletion(element));
            let fresh = rest.filter_map(|(element, _)| self.fresh(element, name));
            return Ok(fresh.map(|node| Item { node, was: None, rank: Some(0) }).collect());
        }
        let mut places: HashMap<Identity, Vec<usize>> = HashMap::new();
        for (place, element) in base.iter().enumerate() {
            if let Some(identity) = element.get(key).and_then(identity) {
                places.entry(identity).or_default().push(place);
            }
        }
        let mut items: Vec<Option<Item>> = std::mem::take(base)
            .into_iter()
            .zip(0..)
            .map(|(node, was)| Some(Item { node, was: Some(was), rank: None }))
            .collect();
        let elements = || patch.iter().zip(identities.iter().flatten()).zip(0..);
        // Deletions come first, so that an element can be deleted and written anew.
        for ((element, identity), _) in elements().filter(|((node, _), _)| is_deletion(node)) {
            let mut found = false;
            for place in places.get(identity).into_iter().flatten() {
                if let Some(slot) = items.get_mut(*place)
                    && slot.as_ref().is_some_and(|item| stated(element, &item.node, known))
                {
                    *slot = None;
                    found = true;
                }
            }
            if !found {
                let reason = IdleReason::Delete(name.to_owned());
                self.idle.push(Idle { at: element.at, reason });
            }
        }
        for ((element, identity), rank) in elements().filter(|((node, _), _)| !is_deletion(node)) {
            let same = places.get(identity).map_or(&[][..], Vec::as_slice);
            let place = choose(same, &items, element, known);
            let slot = place.and_then(|place| items.get_mut(place)).and_then(Option::as_mut);
            if let Some(item) = slot {
                item.rank = item.rank.or(Some(rank));
                if let (Value::Mapping(there), Value::Mapping(patch)) =
                    (&mut item.node.value, &element.value)
                {
                    self.mapping(there, patch, known)?;
                }
            } else if let Some(node) = self.fresh(element, name) {
                places.entry(identity.clone()).or_default().push(items.len());
                items.push(Some(Item { node, was: None, rank: Some(rank) }));
            }
        }
        Ok(items.into_iter().flatten().collect())
    }

    /// Merges the lists that have a `$setElementOrder`, and names them.
    pub(super) fn ordered_lists(
        &mut self,
        base: &mut Mapping,
        patch: &Mapping,
        of: Option<Type>,
    ) -> Result<HashSet<String>, Misfit> {
        let mut done = HashSet::new();
        for (directive, order) in patch.iter() {
            let Some(name) = directive.text().strip_prefix(ORDER) else { continue };
            let form = |node: &Node| {
                let (directive, wanted) = (directive.text().to_owned(), "a list");
                (node.at, StrategicError::Form { directive, wanted, found: node.describe() })
            };
            let order = order.as_sequence().ok_or_else(|| form(order))?;
            let known = Known::new(of, name);
            let given = match patch.get(name) {
                Some(given) => Some(given.as_sequence().ok_or_else(|| form(given))?),
                None => None,
            };
            if let Some(given) = given {
                follows(given, order, known.key(), name)?;
            }
            if base.get(name).is_none() && given.is_some() {
                base.set(name, Value::Sequence(Vec::new()).into());
            }
            let Some(there) = base.get_mut(name) else { continue };
            let found = form(there);
            let Value::Sequence(there) = &mut there.value else { return Err(found) };
            if let Some(given) = given {
                self.list(there, given, name, known, Some(order))?;
            } else {
                let items = std::mem::take(there).into_iter().zip(0..);
                let item = |(node, was)| Item { node, was: Some(was), rank: None };
                *there = arranged(items.map(item).collect(), Some(order), known.key());
            }
            done.insert(name.to_owned());
        }
        Ok(done)
    }

    /// Takes out of lists the values of `$deleteFromPrimitiveList`.
    pub(super) fn delete_values(
        &mut self,
        base: &mut Mapping,
        patch: &Mapping,
        of: Option<Type>,
    ) -> Result<(), Misfit> {
        for (directive, values) in patch.iter() {
            let Some(name) = directive.text().strip_prefix(DELETE_FROM) else { continue };
            let form = |found: &Node| {
                let (directive, wanted) = (directive.text().to_owned(), "a list of values");
                (values.at, StrategicError::Form { directive, wanted, found: found.describe() })
            };
            let items = values.as_sequence().ok_or_else(|| form(values))?;
            if !Known::new(of, name).merges() {
                let reason = "the schema does not merge this list, so give it as a whole";
                let list = name.to_owned();
                return Err((values.at, StrategicError::Elements { list, reason }));
            }
            let mut there = base.get_mut(name).and_then(|node| match &mut node.value {
                Value::Sequence(items) => Some(items),
                _ => None,
            });
            for value in items {
                let gone = identity(value).ok_or_else(|| form(value))?;
                let before = there.as_ref().map_or(0, |list| list.len());
                if let Some(list) = &mut there {
                    list.retain(|item| identity(item).as_ref() != Some(&gone));
                }
                if there.as_ref().map_or(0, |list| list.len()) == before {
                    let (list, value_text) = (name.to_owned(), value.summary());
                    let reason = IdleReason::Value { list, value: value_text };
                    self.idle.push(Idle { at: value.at, reason });
                }
            }
        }
        Ok(())
    }
}

/// The mapping without keys, for what is none.
const EMPTY: &Mapping = &Mapping::new();

/// Whether these lists hold mappings; `false` for scalars.
fn elements_are_mappings(base: &[Node], patch: &[Node], list: &str) -> Result<bool, Misfit> {
    let mut all = base.iter().chain(patch);
    let mappings = all.clone().next().is_some_and(|node| node.as_mapping().is_some());
    let odd = all.find(|node| match node.value {
        Value::Mapping(_) => !mappings,
        Value::Scalar(_) => mappings,
        Value::Sequence(_) => true,
    });
    let Some(odd) = odd else { return Ok(mappings) };
    let reason = "all of them must be mappings, or all of them texts or numbers";
    Err((odd.at, StrategicError::Elements { list: list.to_owned(), reason }))
}

fn is_deletion(element: &Node) -> bool {
    element.get(super::PATCH).and_then(Node::as_str) == Some("delete")
}

fn identity_of(element: &Node, key: &str, list: &str) -> Result<Identity, Misfit> {
    element.get(key).and_then(identity).ok_or_else(|| {
        let (list, key) = (list.to_owned(), key.to_owned());
        (element.at, StrategicError::NoKey { list, key })
    })
}

/// The same for equal scalars, and for nothing else.
fn identity(node: &Node) -> Option<Identity> {
    let scalar = node.as_scalar()?;
    Some(match scalar.kind() {
        Kind::String => format!("s{}", scalar.text()),
        Kind::Integer(number) => format!("i{number}"),
        Kind::Float(number) => format!("f{}", number.to_bits()),
        Kind::Bool(value) => format!("b{value}"),
        Kind::Null => "n".to_owned(),
    })
}

/// Of the elements with the patch's merge key, the one that is meant. One is
/// it in any case; among several, the rest of what tells them apart decides,
/// as in a Service with TCP and UDP on one port.
fn choose(same: &[usize], items: &[Option<Item>], element: &Node, known: Known) -> Option<usize> {
    let item = |place: &&usize| items.get(**place).and_then(Option::as_ref);
    let mut there = same.iter().filter(|place| item(place).is_some());
    let first = there.next()?;
    if there.next().is_none() || known.further().next().is_none() {
        return Some(*first);
    }
    let fits = |place: &&usize| {
        item(place).is_some_and(|item| {
            known.further().all(|(key, default)| {
                text_of(element, key).or(default) == text_of(&item.node, key).or(default)
            })
        })
    };
    same.iter().find(fits).copied()
}

/// Whether an element has all that a deletion states beyond the merge key.
fn stated(deletion: &Node, element: &Node, known: Known) -> bool {
    known.further().all(|(key, default)| {
        let asked = text_of(deletion, key);
        asked.is_none() || asked == text_of(element, key).or(default)
    })
}

fn text_of<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key)?.as_scalar().map(Scalar::text)
}

/// Both lists without doubles.
fn scalars(base: &mut Vec<Node>, patch: &[Node]) -> Vec<Item> {
    let mut ranks: HashMap<Identity, usize> = HashMap::new();
    for (rank, value) in patch.iter().enumerate() {
        if let Some(identity) = identity(value) {
            ranks.entry(identity).or_insert(rank);
        }
    }
    let mut seen = HashSet::new();
    let mut items = Vec::new();
    let there = std::mem::take(base).into_iter().zip((0..).map(Some));
    let given = patch.iter().cloned().map(|node| (node, None));
    for (node, was) in there.chain(given) {
        let Some(identity) = identity(&node) else { continue };
        let rank = ranks.get(&identity).copied();
        if seen.insert(identity) {
            items.push(Item { node, was, rank });
        }
    }
    items
}

/// Whether the elements of the patch stand in `$setElementOrder`, in its order.
fn follows(given: &[Node], order: &[Node], key: Option<&str>, list: &str) -> Result<(), Misfit> {
    if order.is_empty() {
        return Ok(());
    }
    let mut order = order.iter().map(|node| ranked(node, key));
    for element in given {
        let directive = element.get(super::PATCH).is_some();
        let wanted = ranked(element, key);
        if !directive && !order.any(|next| next == wanted) {
            return Err((element.at, StrategicError::Order(list.to_owned())));
        }
    }
    Ok(())
}

/// What `$setElementOrder` knows an element by.
fn ranked(node: &Node, key: Option<&str>) -> Option<Identity> {
    match (key, &node.value) {
        (Some(key), Value::Mapping(_)) => node.get(key).and_then(identity),
        _ => identity(node),
    }
}

/// The elements in the API server's order: those that the patch names as it
/// names them, the others as they were, and each other before the first named
/// one that stood behind it. So a new element stands before the others.
fn arranged(mut items: Vec<Item>, order: Option<&[Node]>, key: Option<&str>) -> Vec<Node> {
    if let Some(order) = order {
        let mut ranks: HashMap<Identity, usize> = HashMap::new();
        for (rank, node) in order.iter().enumerate() {
            if let Some(identity) = ranked(node, key) {
                ranks.entry(identity).or_insert(rank);
            }
        }
        for item in &mut items {
            item.rank = ranked(&item.node, key).and_then(|identity| ranks.get(&identity).copied());
        }
    }
    let (mut named, others): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| item.rank.is_some());
    named.sort_by_key(|item| item.rank);
    let mut result = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(next), Some(other)) = (named.peek(), others.peek()) {
        let before = matches!((other.was, next.was), (Some(other), Some(next)) if other < next);
        let from = if before { &mut others } else { &mut named };
        result.extend(from.next().map(|item| item.node));
    }
    result.extend(named.chain(others).map(|item| item.node));
    result
}
